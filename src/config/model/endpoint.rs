//! How a request's path becomes the `endpoint` label.

/// How a request's path becomes the `endpoint` label. Decided in this order: `exclude`,
/// `templates`, `rules`, the route name, `inference`. Query and fragment never count.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    derive(schemars::JsonSchema),
    schemars(default, deny_unknown_fields)
)]
pub struct Endpoint {
    /// Templates of requests that are not recorded at all, written like `templates`.
    pub exclude: Vec<String>,
    /// Path templates. `{name}` is one segment or a part of one, `{*name}` one or more segments,
    /// once in a template, `:verb` may follow the last segment, and a method may stand before the
    /// path. A template with `GET` is for `HEAD`, too, where none with `HEAD` has the same path. The
    /// most specific template wins, whatever the order.
    pub templates: Vec<String>,
    /// Regular expressions on the path, tried in order after the templates.
    pub rules: Vec<EndpointRule>,
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
pub struct EndpointRule {
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
