//! The request metrics: which there are, with which labels.

/// The request metrics.
#[derive(Clone, Debug, Default)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(schemars::JsonSchema),
    schemars(default, deny_unknown_fields)
)]
pub struct Metrics {
    /// `http_requests_total`, a counter of finished requests.
    pub requests_total: RequestsTotal,
    /// `http_request_duration_microseconds`, a histogram from the first byte of the request to the
    /// end of the stream, by Envoy's own measure.
    pub request_duration: RequestDuration,
    /// `http_requests_active`, a gauge of requests that are open.
    pub requests_active: RequestsActive,
    /// `http_response_size_bytes`, a histogram of response body bytes.
    pub response_size: ResponseSize,
    /// `http_request_size_bytes`, a histogram of request body bytes.
    pub request_size: RequestSize,
    /// `http_exceptions_total`, a counter of requests that failed.
    pub exceptions_total: ExceptionsTotal,
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

/// `http_requests_total`.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(schemars::JsonSchema),
    schemars(default, deny_unknown_fields)
)]
pub struct RequestsTotal {
    /// Whether it is recorded.
    pub enabled: bool,
    /// Label names: built-in ones or those defined in `labels`.
    pub labels: Vec<String>,
}

impl Default for RequestsTotal {
    fn default() -> Self {
        Self { enabled: true, labels: names(&["method", "endpoint", "status"]) }
    }
}

/// `http_request_duration_microseconds` or `…_milliseconds`.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(schemars::JsonSchema),
    schemars(default, deny_unknown_fields)
)]
pub struct RequestDuration {
    /// Whether it is recorded.
    pub enabled: bool,
    /// Label names: built-in ones or those defined in `labels`.
    pub labels: Vec<String>,
    /// The unit of the values, which is also the end of the metric's name.
    pub unit: DurationUnit,
    /// Upper bounds of the buckets, in `unit`: up to 100 whole numbers, ascending. `bootstrap`,
    /// `rules` and `dashboard` follow them; Envoy reads them when it starts. Each bound adds a line
    /// per series to every scrape. Absent: bounds that fit most services.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(with = "Option<Vec<std::num::NonZeroU64>>", length(min = 1, max = 100))
    )]
    pub buckets: Option<Vec<f64>>,
}

impl Default for RequestDuration {
    fn default() -> Self {
        Self {
            enabled: true,
            labels: names(&["method", "endpoint"]),
            unit: DurationUnit::Microseconds,
            buckets: None,
        }
    }
}

/// The unit of a duration histogram. Envoy's Wasm histograms hold whole numbers only, so seconds
/// are not possible; the Prometheus rules derive them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(schemars::JsonSchema, serde::Serialize),
    serde(rename_all = "lowercase")
)]
pub enum DurationUnit {
    /// 10⁻⁶ s.
    Microseconds,
    /// 10⁻³ s.
    Milliseconds,
}

/// `http_requests_active`.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(schemars::JsonSchema),
    schemars(default, deny_unknown_fields)
)]
pub struct RequestsActive {
    /// Whether it is recorded.
    pub enabled: bool,
}

impl Default for RequestsActive {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// `http_response_size_bytes`.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(schemars::JsonSchema),
    schemars(default, deny_unknown_fields)
)]
pub struct ResponseSize {
    /// Whether it is recorded.
    pub enabled: bool,
    /// Label names: built-in ones or those defined in `labels`.
    pub labels: Vec<String>,
    /// Upper bounds of the buckets, in bytes: up to 100 whole numbers, ascending. `bootstrap`,
    /// `rules` and `dashboard` follow them; Envoy reads them when it starts. Each bound adds a line
    /// per series to every scrape. Absent: bounds that fit most services.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(with = "Option<Vec<std::num::NonZeroU64>>", length(min = 1, max = 100))
    )]
    pub buckets: Option<Vec<f64>>,
}

impl Default for ResponseSize {
    fn default() -> Self {
        Self { enabled: true, labels: names(&["method", "endpoint"]), buckets: None }
    }
}

/// `http_request_size_bytes`.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(schemars::JsonSchema),
    schemars(default, deny_unknown_fields)
)]
pub struct RequestSize {
    /// Whether it is recorded.
    pub enabled: bool,
    /// Label names: built-in ones or those defined in `labels`.
    pub labels: Vec<String>,
    /// Upper bounds of the buckets, in bytes: up to 100 whole numbers, ascending. `bootstrap`,
    /// `rules` and `dashboard` follow them; Envoy reads them when it starts. Each bound adds a line
    /// per series to every scrape. Absent: bounds that fit most services.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(with = "Option<Vec<std::num::NonZeroU64>>", length(min = 1, max = 100))
    )]
    pub buckets: Option<Vec<f64>>,
}

impl Default for RequestSize {
    fn default() -> Self {
        Self { enabled: false, labels: names(&["method", "endpoint"]), buckets: None }
    }
}

/// `http_exceptions_total`.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(schemars::JsonSchema),
    schemars(default, deny_unknown_fields)
)]
pub struct ExceptionsTotal {
    /// Whether it is recorded.
    pub enabled: bool,
    /// Label names: `type`, built-in ones or those defined in `labels`.
    pub labels: Vec<String>,
    /// The response header in which the upstream names the exception. Empty: none is read.
    pub header: String,
}

impl Default for ExceptionsTotal {
    fn default() -> Self {
        Self {
            enabled: true,
            labels: names(&["endpoint", "type"]),
            header: "x-exception-type".to_owned(),
        }
    }
}
