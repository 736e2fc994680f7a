//! Metrics of the configuration's own, and the ways in which the application reports them.

use std::collections::BTreeMap;

use super::Source;

/// A metric of your own.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(schemars::JsonSchema),
    schemars(deny_unknown_fields)
)]
pub struct CustomMetric {
    /// The metric's name in the scrape and in reports: `[a-zA-Z_][a-zA-Z0-9_]*`. The namespace is
    /// not added.
    pub name: String,
    /// What it is.
    pub r#type: MetricType,
    /// `match`: counted from requests. `event`: reported by the application.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(default))]
    pub source: MetricSource,
    /// Which requests count. All conditions must hold.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(default))]
    pub r#match: Option<Match>,
    /// What is added, set or observed; 1 where absent. Only for `match` metrics.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(default))]
    pub value: Option<MetricValue>,
    /// The labels: for `match` metrics each with its source (none where absent); for `event`
    /// metrics, which must have this key, the names that may be reported, each with `{}` or `map`,
    /// `allow`, `default`, `hash`.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(default))]
    pub labels: Option<BTreeMap<String, CustomLabel>>,
    /// Multiplies a value before it is rounded to the nearest whole number; above 0.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(default))]
    pub scale: Option<f64>,
    /// The upper bounds of a histogram's buckets, in the unit of what is recorded: whole numbers,
    /// ascending, at most 100. Absent: those of the unit at the end of the name (`_microseconds`,
    /// `_milliseconds`, `_bytes`), else Envoy's own.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        schemars(default, with = "Option<Vec<std::num::NonZeroU64>>", length(min = 1, max = 100))
    )]
    pub buckets: Option<Vec<f64>>,
}

/// A label of a custom metric: as in `labels`, but `from` is absent where the application reports
/// the value.
#[derive(Clone, Debug, Default)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(schemars::JsonSchema),
    schemars(default, deny_unknown_fields)
)]
pub struct CustomLabel {
    /// The source of the value; absent for reported metrics.
    pub from: Option<Source>,
    /// See `labels`.
    pub name: Option<String>,
    /// See `labels`.
    pub value: Option<String>,
    /// See `labels`.
    pub map: Option<BTreeMap<String, String>>,
    /// See `labels`.
    pub allow: Option<Vec<String>>,
    /// See `labels`.
    pub default: Option<String>,
    /// See `labels`.
    pub hash: bool,
}

/// What a custom metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(schemars::JsonSchema, serde::Serialize),
    serde(rename_all = "lowercase")
)]
pub enum MetricType {
    /// Adds.
    Counter,
    /// Is set.
    Gauge,
    /// Observes.
    Histogram,
}

/// Who makes a custom metric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(schemars::JsonSchema, serde::Serialize),
    serde(rename_all = "lowercase")
)]
pub enum MetricSource {
    /// Requests that match.
    #[default]
    Match,
    /// The application, by response header or by post. Such metrics are not sampled.
    Event,
}

/// Which requests a custom metric counts. All conditions must hold. An empty list is no condition.
#[derive(Clone, Debug, Default)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(schemars::JsonSchema),
    schemars(default, deny_unknown_fields)
)]
pub struct Match {
    /// One of these methods.
    pub methods: Vec<String>,
    /// One of these endpoints, as in the label or in `endpoint.templates`. Impossible ones are
    /// refused.
    pub endpoints: Vec<String>,
    /// One of these response codes (`"503"`) or classes (`"5xx"`).
    pub statuses: Vec<String>,
    /// Each of these request headers has this value; `*` for any. `host` is `:authority`.
    pub request_headers: BTreeMap<String, String>,
    /// Each of these response headers has this value; `*` for any.
    pub response_headers: BTreeMap<String, String>,
}

/// The value of a custom metric.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(schemars::JsonSchema),
    schemars(deny_unknown_fields)
)]
pub struct MetricValue {
    /// The source of the number.
    pub from: ValueSource,
    /// The header, query parameter or path parameter, for the sources that need a name.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(default))]
    pub name: Option<String>,
    /// The number, for `"from": "constant"`.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(default))]
    pub value: Option<f64>,
    /// Multiplies the number before it is rounded to the nearest whole number; above 0.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(default))]
    pub scale: Option<f64>,
}

/// The sources of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(schemars::JsonSchema),
    schemars(rename_all = "snake_case")
)]
pub enum ValueSource {
    /// Milliseconds from the first byte of the request to the end of the stream.
    DurationMs,
    /// Bytes of the request body.
    RequestSize,
    /// Bytes of the response body.
    ResponseSize,
    /// A number in a request header.
    RequestHeader,
    /// A number in a response header.
    ResponseHeader,
    /// A number in a parameter of the query.
    QueryParam,
    /// A number in a placeholder of the matched template.
    PathParam,
    /// A fixed number.
    Constant,
}

/// How the application reports events.
#[derive(Clone, Debug, Default)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(schemars::JsonSchema),
    schemars(default, deny_unknown_fields)
)]
pub struct Events {
    /// The response header that carries events, an RFC 9651 list of at most 16 KiB. It is removed
    /// before the client sees it, and never read from a request. Empty: none.
    pub response_header: String,
    /// The path to which events may be posted as a JSON array of at most 64 KiB; the filter answers
    /// itself. Anyone who reaches the listener can post, so use a separate listener. Empty: none.
    pub path: String,
}
