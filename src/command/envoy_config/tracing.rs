//! Envoy's OpenTelemetry tracer, with the filter's endpoint as the name of spans.

use super::Upstream;
use super::metrics_listener::quoted;

/// Where spans go, and how many.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracing {
    /// A collector that takes OTLP over HTTP.
    pub collector: Upstream,
    /// `service.name`.
    pub service: String,
    /// The share of requests that are traced, 0 to 1. It is a bound for those that come with a
    /// `traceparent`, too, so that a client cannot have everything traced; one that says that the
    /// trace is not recorded is heeded.
    pub rate: f64,
}

impl Tracing {
    /// The block `tracing:` of the HTTP connection manager. The filter's filter state
    /// (`endpoint.export`) must be set in request headers. `tracing.operation` and formatted tags came
    /// with Envoy 1.37.
    pub(super) fn block(&self) -> String {
        let Upstream { host, port } = &self.collector;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        format!(
            r#"          tracing:
            provider:
              name: envoy.tracers.opentelemetry
              typed_config:
                "@type": type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig
                service_name: {service}
                http_service:
                  http_uri: {{ uri: "http://{host}:{port}/v1/traces", cluster: otlp, timeout: 10s }}
            random_sampling: {{ value: {percent} }}
            operation: "%REQ(:METHOD)% %FILTER_STATE(wasm.endpoint:PLAIN)%"
            # OpenTelemetry wants `http.route` for configured routes alone; an endpoint that was
            # inferred is a template of paths.
            custom_tags:
            - {{ tag: http.route, value: "%FILTER_STATE(wasm.route:PLAIN)%" }}
            - {{ tag: url.template, value: "%FILTER_STATE(wasm.url_template:PLAIN)%" }}
"#,
            service = quoted(&self.service),
            // Rounded to what Envoy can tell apart, a millionth.
            percent = (self.rate * 1e6).round() / 1e4,
        )
    }
}
