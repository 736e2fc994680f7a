//! Labels: where their values come from, and what becomes of these.

use std::collections::BTreeMap;

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
    /// Replaces values: what was found → what is recorded. A value that is in neither `map` nor
    /// `allow` is unlisted.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    pub map: Option<BTreeMap<String, String>>,
    /// Values that are recorded unchanged. A value that is in neither `allow` nor `map` is
    /// unlisted.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    pub allow: Option<Vec<String>>,
    /// Recorded for an absent or unlisted value. Without it, absent is `none` and unlisted is
    /// `_OTHER`.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    pub default: Option<String>,
    /// Records a keyed hash (16 hexadecimal digits) instead of the value, to keep identifiers of
    /// people out of the metrics.
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
    /// A request header, as Envoy shows it before routing; `host` is `:authority`. If it is
    /// repeated, the first one counts.
    RequestHeader,
    /// A response header. If it is repeated, the first one counts. Trailers are not read.
    ResponseHeader,
    /// A parameter of the query.
    QueryParam,
    /// A placeholder of the matched template.
    PathParam,
    /// A fixed value.
    Constant,
}
