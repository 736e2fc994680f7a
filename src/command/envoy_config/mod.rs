//! Configurations of Envoy, read and written: where the plugin stands in one, and what it needs
//! there. Native only.

mod buckets;
mod capabilities;
mod complete;
mod find;
mod metrics_listener;
mod posts;
mod stats;
mod tracing;

pub use buckets::{Buckets, buckets};
pub use capabilities::{CAPABILITIES, EnvoyVersion, needed};
pub use complete::{Complete, Upstream};
pub use find::{Plugin, is_configuration, plugins, yaml};
pub use metrics_listener::{MetricsAccess, MetricsTls, Network};
pub use stats::StatsConfig;
pub use tracing::Tracing;
