//! Bounds, and the detailed metric, which has bounds of its own.

use super::{Label, Source};

/// Bounds for the whole Envoy process, all workers together.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(schemars::JsonSchema),
    schemars(default, deny_unknown_fields)
)]
pub struct Limits {
    /// Labels on one metric, 1 to 10. More are refused at configuration.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 10)))]
    pub max_labels_per_metric: u32,
    /// Values of one label, `_OTHER` among them, 1 to 1,000,000. Traffic earns them
    /// (docs/cardinality.md); what has no place is `_OTHER`.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 1000000)))]
    pub max_values_per_label: u32,
    /// Endpoints, `_OTHER` and `_UNMATCHED` among them, 1 to 1,000,000. Without it,
    /// `max_values_per_label` holds. Raise it for an application with more endpoints.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 1000000)))]
    pub max_endpoints: Option<u32>,
    /// Series of one metric, 1 to 1,000,000. Later ones are counted under `_OTHER`.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 1000000)))]
    pub max_series_per_metric: u32,
    /// Characters of one label value, 16 to 1,024. Longer values from outside are cut; longer ones
    /// in the configuration are refused.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 16, max = 1024)))]
    pub max_label_value_length: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_labels_per_metric: 10,
            max_values_per_label: 100,
            max_endpoints: None,
            max_series_per_metric: 2000,
            max_label_value_length: 120,
        }
    }
}

impl Limits {
    /// The endpoints that there may be.
    #[must_use]
    pub fn endpoints(&self) -> u32 {
        self.max_endpoints.unwrap_or(self.max_values_per_label)
    }

    /// The key that says so.
    #[must_use]
    pub fn endpoints_key(&self) -> &'static str {
        match self.max_endpoints {
            Some(_) => "limits.max_endpoints",
            None => "limits.max_values_per_label",
        }
    }
}

/// `http_requests_detailed_total{endpoint,org,user}`.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(schemars::JsonSchema),
    schemars(default, deny_unknown_fields)
)]
pub struct Detailed {
    /// Whether it is recorded. The environment variable `DETAILED_METRICS_ENABLED` overrides it.
    pub enabled: bool,
    /// Where the organisation comes from.
    pub org: Label,
    /// Where the user comes from.
    pub user: Label,
    /// Limits for this metric. Without them, `limits` holds.
    pub limits: DetailedLimits,
}

impl Default for Detailed {
    fn default() -> Self {
        let header = |name: &str| Label {
            from: Source::RequestHeader,
            name: Some(name.to_owned()),
            value: None,
            map: None,
            allow: None,
            default: None,
            hash: false,
        };
        Self {
            enabled: false,
            org: header("x-org-id"),
            user: header("x-user-id"),
            limits: DetailedLimits::default(),
        }
    }
}

/// Limits of the detailed metric alone.
#[derive(Clone, Debug, Default)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(schemars::JsonSchema),
    schemars(default, deny_unknown_fields)
)]
pub struct DetailedLimits {
    /// Values of `org` and of `user`.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 1000000)))]
    pub max_values_per_label: Option<u32>,
    /// Series of the metric.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 1000000)))]
    pub max_series_per_metric: Option<u32>,
}
