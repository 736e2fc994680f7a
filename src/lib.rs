//! Per-endpoint request metrics for Envoy.
//!
//! The crate is the core of a proxy-wasm filter and of the command `route-metrics`. Everything
//! but the adapter to the host is free of proxy-wasm and runs natively, too.

pub mod config;
pub mod endpoint;
pub mod host;
pub mod labels;
pub mod limits;
