//! The plugin configuration as users write it: names, defaults and documentation of every key.
//!
//! The doc comments of this file are the reference: `route-metrics schema` prints the JSON Schema
//! made from them. Structure (types, unknown keys) is checked while parsing; what depends on more
//! than one value is checked by [`super::compile`].

use std::collections::BTreeMap;

/// The plugin configuration. Every key is optional; `{}` means the defaults.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(schemars::JsonSchema),
    schemars(default, deny_unknown_fields)
)]
pub struct Config {
    /// Switches the whole filter. When false, traffic passes and nothing is recorded.
    /// The environment variable `OBSERVABILITY_ENABLED` overrides it.
    pub enabled: bool,
    /// Prefix of the request metrics, joined by an underscore: `"django"` gives
    /// `django_http_requests_total`. Custom metrics have the names that they are given. Letters, digits and underscores, not starting with a digit.
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
}

impl Default for RequestDuration {
    fn default() -> Self {
        Self {
            enabled: true,
            labels: names(&["method", "endpoint"]),
            unit: DurationUnit::Microseconds,
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
}

impl Default for ResponseSize {
    fn default() -> Self {
        Self { enabled: true, labels: names(&["method", "endpoint"]) }
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
}

impl Default for RequestSize {
    fn default() -> Self {
        Self { enabled: false, labels: names(&["method", "endpoint"]) }
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

/// Where a label's value comes from.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(schemars::JsonSchema, serde::Serialize),
    serde(deny_unknown_fields)
)]
pub struct Label {
    /// The source of the value.
    pub from: Source,
    /// The header, query parameter or path parameter, for the sources that need a name.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    pub name: Option<String>,
    /// The value, for `"from": "constant"`.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    pub value: Option<String>,
    /// Replaces values: from what was found to what is recorded. A value that is neither here nor
    /// in `allow` is unlisted.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    pub map: Option<BTreeMap<String, String>>,
    /// The values that stay as they are. A value that is neither here nor in `map` is unlisted.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    pub allow: Option<Vec<String>>,
    /// Stands for an absent or unlisted value. Without it: `none` for absent, `_OTHER` for
    /// unlisted.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    pub default: Option<String>,
    /// Puts a keyed hash of sixteen hexadecimal digits in place of the value, so that identifiers
    /// of people do not reach the metrics.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        serde(default, skip_serializing_if = "std::ops::Not::not")
    )]
    pub hash: bool,
}

/// The sources of label values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(schemars::JsonSchema, serde::Serialize),
    serde(rename_all = "snake_case")
)]
pub enum Source {
    /// The request method, one of OpenTelemetry's closed set, else `_OTHER`.
    Method,
    /// The endpoint, as `endpoint` decides it.
    Endpoint,
    /// The response code, `0` where no response was sent.
    Status,
    /// The class of the response code: `1xx` to `5xx`, `0` where no response was sent.
    StatusClass,
    /// Envoy's route name.
    RouteName,
    /// Envoy's upstream cluster.
    ClusterName,
    /// Envoy's virtual host.
    VirtualHost,
    /// The `Host` or `:authority` that the client sent.
    Authority,
    /// `HTTP/1.0`, `HTTP/1.1`, `HTTP/2` or `HTTP/3`.
    Protocol,
    /// The service of a gRPC call.
    GrpcService,
    /// The method of a gRPC call.
    GrpcMethod,
    /// The status name of a gRPC call (`OK`, `Unavailable`).
    GrpcStatus,
    /// Envoy's response flags, long names, joined by commas.
    ResponseFlags,
    /// A request header, as the client sent it.
    RequestHeader,
    /// A response header.
    ResponseHeader,
    /// A parameter of the query.
    QueryParam,
    /// A placeholder of the matched template.
    PathParam,
    /// A fixed value.
    Constant,
}

/// How a request's path becomes the `endpoint` label. Decided in this order: `exclude`,
/// `templates`, `rules`, the route name, `inference`. Query and fragment never count.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(schemars::JsonSchema),
    schemars(default, deny_unknown_fields)
)]
pub struct Endpoint {
    /// Templates of requests that are not recorded at all.
    pub exclude: Vec<String>,
    /// Path templates. `{name}` is one segment or a part of one, `{*name}` one or more segments,
    /// once in a template, `:verb` may follow the last segment, and a method may stand before the
    /// path. The most specific template wins, whatever the order.
    pub templates: Vec<String>,
    /// Regular expressions on the path, tried in order after the templates.
    pub rules: Vec<Rule>,
    /// Takes Envoy's route name where the route has one.
    pub route_name: bool,
    /// What happens to paths that nothing above has matched.
    pub inference: InferenceMode,
    /// A path that was only inferred and is answered with one of these is `_UNMATCHED`, so that a
    /// scanner cannot create endpoints.
    pub ignore_statuses: Vec<u16>,
    /// Sets the endpoint as filter state `wasm.endpoint`, for access logs and tracing; and once
    /// more as `wasm.route` where it is a configured one, as `wasm.url_template` where it was
    /// inferred.
    pub export: bool,
}

impl Default for Endpoint {
    fn default() -> Self {
        Self {
            exclude: Vec::new(),
            templates: Vec::new(),
            rules: Vec::new(),
            route_name: false,
            inference: InferenceMode::Adaptive,
            ignore_statuses: vec![301, 400, 401, 403, 404, 405, 410],
            export: false,
        }
    }
}

/// One rule of `endpoint.rules`.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(schemars::JsonSchema),
    schemars(deny_unknown_fields)
)]
pub struct Rule {
    /// A regular expression on the path, in the syntax of the Rust crate `regex-lite`; unanchored
    /// unless it says `^` and `$`.
    pub regex: String,
    /// The endpoint of the paths that match.
    pub endpoint: String,
}

/// How endpoints are found where nothing is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(schemars::JsonSchema, serde::Serialize),
    serde(rename_all = "lowercase")
)]
pub enum InferenceMode {
    /// Heuristics, and learning from the traffic.
    Adaptive,
    /// Heuristics alone.
    Heuristic,
    /// None: `_UNMATCHED`.
    Off,
}

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
    /// Requests that are counted whatever the sample says, with weight 1.
    pub always: Always,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { rate: 1.0, always: Always::default() }
    }
}

/// Requests that are counted whatever the sample says.
#[derive(Clone, Debug, Default)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(schemars::JsonSchema),
    schemars(default, deny_unknown_fields)
)]
pub struct Always {
    /// Response codes (`"503"`) or classes (`"5xx"`).
    pub statuses: Vec<String>,
    /// Endpoints, as they stand in the label.
    pub endpoints: Vec<String>,
    /// Requests that took longer than this many milliseconds.
    pub slower_than_ms: Option<u64>,
}

/// Bounds for the whole Envoy process, whatever its number of workers.
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
    /// Values of one label, `_OTHER` among them, 1 to 1,000,000. What comes later is `_OTHER`.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 1000000)))]
    pub max_values_per_label: u32,
    /// Series of one metric, 1 to 1,000,000. What comes later is counted under `_OTHER`.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 1000000)))]
    pub max_series_per_metric: u32,
    /// Characters of one label value, 16 to 1,024. Longer ones are cut.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 16, max = 1024)))]
    pub max_label_value_length: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_labels_per_metric: 10,
            max_values_per_label: 100,
            max_series_per_metric: 2000,
            max_label_value_length: 120,
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
    /// Limits of this metric alone; without them, those of `limits` hold.
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

/// A metric of your own.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(schemars::JsonSchema),
    schemars(deny_unknown_fields)
)]
pub struct CustomMetric {
    /// The metric's name, as it stands in the scrape and in reports: `[a-zA-Z_][a-zA-Z0-9_]*`. The
    /// namespace does not come before it.
    pub name: String,
    /// What it is.
    pub r#type: MetricType,
    /// Whether requests make it (`match`) or the application reports it (`event`).
    #[cfg_attr(not(target_arch = "wasm32"), schemars(default))]
    pub source: MetricSource,
    /// The requests that count. Every condition given must hold.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(default))]
    pub r#match: Option<Match>,
    /// What is added, set or observed; 1 where absent. Only for `match` metrics.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(default))]
    pub value: Option<Value>,
    /// The labels: for `match` metrics each with its source (none where absent); for `event`
    /// metrics, which must have this key, the names that may be reported, each with `{}` or `map`,
    /// `allow`, `default`, `hash`.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(default))]
    pub labels: Option<BTreeMap<String, CustomLabel>>,
    /// Multiplies a value before it is rounded to the nearest whole number; above 0.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(default))]
    pub scale: Option<f64>,
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

/// The requests that a custom metric counts. Every condition given must hold; an empty list is no
/// condition.
#[derive(Clone, Debug, Default)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(schemars::JsonSchema),
    schemars(default, deny_unknown_fields)
)]
pub struct Match {
    /// One of these methods.
    pub methods: Vec<String>,
    /// One of these endpoints, as they stand in the label.
    pub endpoints: Vec<String>,
    /// One of these response codes (`"503"`) or classes (`"5xx"`).
    pub statuses: Vec<String>,
    /// Each of these request headers has this value; `*` for any.
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
pub struct Value {
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
    /// itself. Whoever reaches the listener can post, so it belongs on one of its own. Empty: none.
    pub path: String,
}
