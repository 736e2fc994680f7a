//! Which requests are recorded.

/// Which requests are recorded.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(schemars::JsonSchema),
    schemars(default, deny_unknown_fields)
)]
pub struct Sampling {
    /// The share of requests in the uniform sample, from 0 to 1. Counters add 1/rate for each, so
    /// rates stay true. The environment variable `METRICS_SAMPLE_RATE` overrides it.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0.0, max = 1.0)))]
    pub rate: f64,
    /// Requests that are always counted, each as one.
    pub always: Always,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { rate: 1.0, always: Always::default() }
    }
}

/// Requests that are always counted.
#[derive(Clone, Debug, Default)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(schemars::JsonSchema),
    schemars(default, deny_unknown_fields)
)]
pub struct Always {
    /// Response codes (`"503"`) or classes (`"5xx"`).
    pub statuses: Vec<String>,
    /// Endpoints as in the label or in `endpoint.templates`. Impossible ones are refused.
    pub endpoints: Vec<String>,
    /// Requests that took longer than this many milliseconds.
    pub slower_than_ms: Option<u64>,
}
