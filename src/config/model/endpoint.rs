//! How a request's path becomes the `endpoint` label.

/// How a path becomes the `endpoint` label. Tried in this order: `exclude`, `templates`, `rules`,
/// the route name, `inference`. Query and fragment never count.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(schemars::JsonSchema),
    schemars(default, deny_unknown_fields)
)]
pub struct Endpoint {
    /// Templates of requests that are not recorded.
    pub exclude: Vec<String>,
    /// Path templates. `{name}` stands for a segment or a part of one. `{*name}` stands for one or
    /// more segments, once per template. `:verb` may follow the last segment, and a method may
    /// precede the path. A `GET` template also takes `HEAD`, unless there is one for `HEAD`. The
    /// most specific template wins, in any order.
    pub templates: Vec<String>,
    /// Regular expressions on the path, tried in order after the templates.
    pub rules: Vec<EndpointRule>,
    /// Takes Envoy's route name where the route has one.
    pub route_name: bool,
    /// What happens to paths that nothing else matched.
    pub inference: InferenceMode,
    /// An inferred path is `_UNMATCHED` if it is answered with one of these, so scanners cannot
    /// create endpoints.
    pub ignore_statuses: Vec<u16>,
    /// Sets the endpoint as filter state `wasm.endpoint`, for access logs and tracing, and also as
    /// `wasm.route` if it was configured or `wasm.url_template` if it was inferred.
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
pub struct EndpointRule {
    /// A regular expression for the path, in the syntax of the Rust crate `regex-lite`. Use `^` and
    /// `$` to anchor it.
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
