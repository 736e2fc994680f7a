//! The plugin configuration as users write it: names, defaults and documentation of every key.
//!
//! The doc comments of these files are the reference: `route-metrics schema` prints the JSON Schema
//! made from them. Structure (types, unknown keys) is checked while reading ([`super::read`]); what
//! depends on more than one value is checked by the plan that is made of it.

mod custom;
mod endpoint;
mod labels;
mod limits;
mod metrics;
mod sampling;

use std::collections::BTreeMap;

pub use custom::*;
pub use endpoint::*;
pub use labels::*;
pub use limits::*;
pub use metrics::*;
pub use sampling::*;

/// The plugin configuration. Every key is optional; `{}` means the defaults.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(schemars::JsonSchema),
    schemars(default, deny_unknown_fields)
)]
pub struct Config {
    /// If false, traffic passes and nothing is recorded. The environment variable
    /// `OBSERVABILITY_ENABLED` overrides it.
    pub enabled: bool,
    /// Prefix of the request metrics, joined by an underscore: `"django"` gives
    /// `django_http_requests_total`. Custom metrics keep their names. Letters, digits and
    /// underscores, not starting with a digit.
    pub namespace: String,
    /// The request metrics.
    pub metrics: Metrics,
    /// Labels by name, for use in `metrics.*.labels`. A definition here replaces the built-in
    /// label of the same name.
    pub labels: BTreeMap<String, Label>,
    /// How a request's path becomes the `endpoint` label.
    pub endpoint: Endpoint,
    /// Which requests are recorded.
    pub sampling: Sampling,
    /// Bounds on labels, values and series, for the whole Envoy process.
    pub limits: Limits,
    /// Requests per organisation and user.
    pub detailed: Detailed,
    /// Metrics of your own, from requests or reported by the application.
    pub custom_metrics: Vec<CustomMetric>,
    /// How the application reports events.
    pub events: Events,
    /// Set by the environment variable `METRICS_ENABLED`: custom metrics are checked, but not
    /// recorded.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(skip))]
    pub custom_metrics_off: bool,
}

impl Config {
    /// A metric's name in the scrape: under the namespace, where there is one.
    pub fn full_name(&self, name: &str) -> String {
        match self.namespace.as_str() {
            "" => name.to_owned(),
            namespace => format!("{namespace}_{name}"),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            namespace: String::new(),
            metrics: Metrics::default(),
            labels: BTreeMap::new(),
            endpoint: Endpoint::default(),
            sampling: Sampling::default(),
            limits: Limits::default(),
            detailed: Detailed::default(),
            custom_metrics: Vec::new(),
            events: Events::default(),
            custom_metrics_off: false,
        }
    }
}
