//! A complete configuration of Envoy with the plugin in front of one upstream.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use super::capabilities::{CAPABILITIES, restriction};
use super::metrics_listener::quoted;
use super::posts;
use super::{EnvoyVersion, MetricsAccess, StatsConfig, Tracing};
use crate::config::VARIABLES;
use crate::filter::HASH_KEY;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// An address, without brackets, or a name to be resolved by DNS.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl FromStr for Upstream {
    type Err = String;

    /// Reads `HOST:PORT`, `ADDRESS:PORT` or `[ADDRESS]:PORT`.
    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("{text:?} is not HOST:PORT, such as 127.0.0.1:8080");
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self { host: address.ip().to_string(), port: address.port() });
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(expected)?;
        let name = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        if host.is_empty() || !host.bytes().all(name) {
            return Err(expected());
        }
        Ok(Self { host: host.to_owned(), port: port.parse().map_err(|_| expected())? })
    }
}

/// What a complete configuration is made of.
#[derive(Clone, Debug)]
pub struct Complete<'a> {
    /// The plugin's configuration, as the filter gets it.
    pub plugin: &'a [u8],
    /// What it needs.
    pub stats: &'a StatsConfig,
    /// Where requests go.
    pub upstream: &'a Upstream,
    /// Whether the upstream speaks HTTP/2 without TLS, as gRPC servers do.
    pub upstream_http2: bool,
    /// The address of the listeners for traffic and metrics.
    pub address: IpAddr,
    /// The port for traffic.
    pub port: u16,
    /// The port for metrics alone.
    pub metrics_port: u16,
    /// The port to which events are posted, on the loopback interface, where the plugin takes posts.
    pub events_port: u16,
    /// The admin port, on the loopback interface.
    pub admin_port: u16,
    /// The path of the module.
    pub module: &'a str,
    /// Whether it is the dynamic module, not the Wasm module.
    pub native: bool,
    /// Who may scrape.
    pub metrics_access: &'a MetricsAccess,
    /// Tracing, off where absent.
    pub tracing: Option<&'a Tracing>,
    /// What the plugin may do, where that is not all of [`CAPABILITIES`] but what it [`needed`].
    ///
    /// [`needed`]: super::needed
    pub needed: Option<Vec<&'static str>>,
    /// The Envoy that it is for; without it, what all of 1.36 to 1.40 take.
    pub version: Option<EnvoyVersion>,
}

impl Complete<'_> {
    /// The configuration in YAML.
    pub fn yaml(&self) -> String {
        let Self { address, port, admin_port, .. } = self;
        let metrics = self.metrics_access.listener(self.address, self.metrics_port);
        let public = posts::without_posts(self.plugin);
        let plugin = String::from_utf8_lossy(self.plugin);
        let listener =
            self.listener(&self.http_filter(public.as_deref().unwrap_or(&plugin), false));
        let events = match public {
            Some(_) => posts::listener(self.events_port, &self.http_filter(&plugin, true)),
            None => String::new(),
        };
        let upstream = self.cluster();
        let stats = match self.native {
            true => self.stats.native_yaml(),
            false => format!(
                "# Takes the labels out of the stat names that the plugin makes.\n{}",
                self.stats.yaml()
            ),
        };
        format!(
            r#"# The admin interface can stop Envoy and change it, so it stays on the loopback interface;
# the listener `metrics` gives Prometheus the one path that it needs.
admin:
  address:
    socket_address: {{ address: 127.0.0.1, port_value: {admin_port} }}

# Envoy warns where there is no such limit.
overload_manager:
  resource_monitors:
  - name: envoy.resource_monitors.global_downstream_max_connections
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig
      max_active_downstream_connections: 50000

static_resources:
  listeners:
  - name: traffic
    address:
      socket_address: {{ address: "{address}", port_value: {port} }}
{listener}
{metrics}{events}
  clusters:
{upstream}
  - name: admin
    type: STATIC
    load_assignment:
      cluster_name: admin
      endpoints:
      - lb_endpoints:
        - endpoint:
            address:
              socket_address: {{ address: 127.0.0.1, port_value: {admin_port} }}

{stats}"#
        )
    }

    fn listener(&self, plugin: &str) -> String {
        format!(
            r#"    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: traffic
          use_remote_address: true
          upgrade_configs:
          - upgrade_type: websocket
{tracing}          route_config:
            virtual_hosts:
            - name: upstream
              domains: ["*"]
              routes:
              - match: {{ prefix: / }}
                route: {{ cluster: upstream }}
          http_filters:
          # First, so that it sees requests as the client sent them, and what other filters answer.
{plugin}          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
"#,
            tracing = self.tracing.map(Tracing::block).unwrap_or_default(),
        )
    }

    /// The plugin's entry in `http_filters`; `posts` where it is to see the bodies of posts before
    /// anything else happens.
    fn http_filter(&self, plugin: &str, posts: bool) -> String {
        if self.native {
            return self.native_filter(plugin);
        }
        let variables: Vec<&str> = VARIABLES.into_iter().chain([HASH_KEY]).collect();
        let stop = match posts {
            true => "                allow_on_headers_stop_iteration: true\n",
            false => "",
        };
        let (in_plugin, in_vm) = self.restrictions();
        format!(
            r#"          - name: route_metrics
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config:
                name: route_metrics
                # Should a VM ever die, Envoy starts the next one with the next request. By default
                # it would wait for a second, and answer 503 on this worker until then.
                failure_policy: FAIL_RELOAD
                reload_config: {{ backoff: {{ base_interval: 0.01s }} }}
{in_plugin}{stop}                vm_config:
                  # Workers share label values and series under this name.
                  vm_id: route_metrics
                  runtime: envoy.wasm.runtime.v8
{in_vm}                  code:
                    local:
                      filename: {module}
                  environment_variables:
                    host_env_keys:
{variables}{configuration}"#,
            module = quoted(self.module),
            variables = indented(&variables.join("\n"), 20, "- "),
            configuration = configuration("configuration", plugin.trim()),
        )
    }

    /// As [`Complete::http_filter`], for the dynamic module, which sees bodies in any case.
    fn native_filter(&self, plugin: &str) -> String {
        format!(
            r#"          - name: route_metrics
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter
              dynamic_module_config:
                module:
                  local:
                    filename: {module}
                # Label values and series are the module's, and stay while configurations come and go.
                do_not_close: true
              filter_name: route_metrics
{configuration}"#,
            module = quoted(self.module),
            configuration = outdented(&configuration("filter_config", plugin.trim())),
        )
    }

    /// What the module may do: beside `vm_config`, and in it.
    fn restrictions(&self) -> (String, String) {
        let (mut comment, capabilities) = match &self.needed {
            Some(needed) => {
                let restart = match self.version.is_some_and(EnvoyVersion::restricts_vms) {
                    true => "print this anew",
                    false => "print this anew and restart Envoy, whose VMs keep their list",
                };
                let comment = format!(
                    "# What the module calls with this configuration, and what of it Envoy has to call. When\n\
                     # the configuration changes, {restart}.\n"
                );
                (comment, needed.as_slice())
            }
            None => (
                "# All that the module calls, and all of it that Envoy calls.\n".to_owned(),
                CAPABILITIES.as_slice(),
            ),
        };
        if self.version.is_none() {
            comment.push_str(
                "# Envoy 1.40 warns that this should be in `vm_config`, where older ones refuse it;\n\
                 # `--envoy-version 1.40` puts it there.\n",
            );
        }
        let text = restriction(&comment, capabilities);
        if self.version.is_some_and(EnvoyVersion::restricts_vms) {
            (String::new(), indented(&text, 18, ""))
        } else {
            (indented(&text, 16, ""), String::new())
        }
    }

    fn cluster(&self) -> String {
        let protocol = if self.upstream_http2 {
            r#"    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config:
          http2_protocol_options: {}
"#
        } else {
            ""
        };
        let mut clusters = cluster("upstream", self.upstream, protocol);
        if let Some(tracing) = self.tracing {
            clusters.push_str(&cluster("otlp", &tracing.collector, ""));
        }
        clusters
    }
}

/// One level less deep.
fn outdented(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", line.strip_prefix("  ").unwrap_or(line))).collect()
}

fn configuration(key: &str, text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let mut out = format!(
        r#"                {key}:
                  "@type": type.googleapis.com/google.protobuf.StringValue
                  value: |
"#,
    );
    out.push_str(&indented(&ascii(text), 20, ""));
    out
}

fn cluster(name: &str, upstream: &Upstream, protocol: &str) -> String {
    let Upstream { host, port } = upstream;
    // Envoy's default prefers IPv6, and `localhost` is `::1` for it, where few development servers listen.
    let discovery = match host.parse::<IpAddr>() {
        Ok(_) => "STATIC",
        Err(_) => "STRICT_DNS\n    dns_lookup_family: V4_PREFERRED",
    };
    format!(
        r#"  - name: {name}
    type: {discovery}
{protocol}    load_assignment:
      cluster_name: {name}
      endpoints:
      - lb_endpoints:
        - endpoint:
            address:
              socket_address: {{ address: "{host}", port_value: {port} }}
"#
    )
}

fn indented(text: &str, spaces: usize, before: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        // Writing to a string cannot fail.
        let _ = match line.trim_end() {
            "" => writeln!(out),
            line => writeln!(out, "{:spaces$}{before}{line}", ""),
        };
    }
    out
}

/// JSON with everything but ASCII escaped, so that YAML sees no line end where there is none. It
/// can only stand in a string there.
fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for char in json.chars() {
        if char.is_ascii() {
            out.push(char);
            continue;
        }
        for unit in char.encode_utf16(&mut [0; 2]) {
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstreams_are_names_or_addresses() {
        for (text, host, port) in [
            ("127.0.0.1:8080", "127.0.0.1", 8080),
            ("[::1]:80", "::1", 80),
            ("app.example:443", "app.example", 443),
            ("my-app_1:1", "my-app_1", 1),
        ] {
            let upstream: Upstream = text.parse().unwrap();
            assert_eq!((upstream.host.as_str(), upstream.port), (host, port), "{text}");
        }
        for text in ["", "app", ":80", "app:", "app:70000", "a b:80", "http://app:80", "::1:80x"] {
            assert!(text.parse::<Upstream>().is_err(), "{text}");
        }
    }
}
