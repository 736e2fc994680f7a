//! What the command `route-metrics` does, without its arguments and its printing. Native only.

pub mod envoy_config;
pub mod init;
pub mod openapi;
pub mod plot;
pub mod preview;
pub mod reference;
pub mod stack;
pub mod yaml;
