//! Configurations of Envoy, read and written: where the plugin stands in one, and what it needs
//! there. Native only.

mod complete;
mod find;
mod stats;

pub use complete::{Complete, Upstream};
pub use find::{Plugin, plugins, yaml};
pub use stats::{Buckets, StatsConfig, buckets};
