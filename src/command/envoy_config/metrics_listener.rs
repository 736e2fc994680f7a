//! The listener through which Prometheus scrapes: one path, two methods, and whoever may ask.
//!
//! Envoy's admin interface can stop Envoy, change it and show its secrets, so it stays on the
//! loopback interface. This listener hands on requests whose path is exactly `/stats/prometheus`,
//! compared byte by byte and with its query, before anything is normalised; so no other spelling
//! can lead elsewhere. The query may hold the two parameters that a scraper has use for.
//!
//! What Prometheus asks for in `accept` (protobuf) goes on to Envoy; compression, which the admin
//! interface does not know, is added here.

use std::net::IpAddr;
use std::str::FromStr;

/// The one path, and what may follow it: `histogram_buckets=KIND`, `usedonly`, or both in the order in
/// which Prometheus writes them. All of `:path` must match. Envoy refuses a program of RE2 above 100
/// (`source/common/common/regex.cc`), so this is short.
const PATH_AND_QUERY: &str =
    r"/stats/prometheus(\\?(usedonly=?|histogram_buckets=[a-z]+(&usedonly=?)?))?";

/// Who may scrape. Everything that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricsAccess {
    /// The path of a file in the format of Apache's `htpasswd -s`, which is what Envoy reads.
    pub users: Option<String>,
    /// TLS for the listener.
    pub tls: Option<MetricsTls>,
    /// The networks that may connect; empty for all.
    pub allow: Vec<Network>,
}

/// Paths of PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsTls {
    /// The listener's certificate chain.
    pub certificate: String,
    /// Its key.
    pub key: String,
    /// Where set, clients must show a certificate of this authority.
    pub client_ca: Option<String>,
}

/// An address, or a network as `ADDRESS/PREFIX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let wrong = || format!("{text:?} is not an address or network, such as 10.0.0.0/8");
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.parse().map_err(|_| wrong())?,
            None => longest,
        };
        if prefix > longest {
            return Err(wrong());
        }
        Ok(Self { address, prefix })
    }
}

impl MetricsAccess {
    /// The listener `metrics` as an entry of `static_resources.listeners`; it needs a cluster
    /// `admin`.
    pub fn listener(&self, address: IpAddr, port: u16) -> String {
        let filters = [self.allow_filter(), self.users_filter()].concat();
        let tls = self.transport_socket();
        format!(
            r#"  - name: metrics
    address:
      socket_address: {{ address: "{address}", port_value: {port} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: metrics
          request_headers_timeout: 10s
          route_config:
            virtual_hosts:
            - name: metrics
              domains: ["*"]
              routes:
              - match:
                  path: /stats/prometheus
                  headers:
                  # `path` alone would not look at the query.
                  - name: ":path"
                    string_match: {{ safe_regex: {{ regex: "{path}" }} }}
                  - name: ":method"
                    string_match: {{ safe_regex: {{ regex: GET|HEAD }} }}
                # Large scrapes take longer than the 15 s of the default.
                route: {{ cluster: admin, timeout: 60s }}
          http_filters:
{filters}          - name: envoy.filters.http.compressor
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.compressor.v3.Compressor
              response_direction_config:
                common_config:
                  min_content_length: 1024
              compressor_library:
                name: gzip
                typed_config:
                  "@type": type.googleapis.com/envoy.extensions.compression.gzip.compressor.v3.Gzip
                  compression_level: BEST_SPEED
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
{tls}"#,
            path = PATH_AND_QUERY,
        )
    }

    fn allow_filter(&self) -> String {
        if self.allow.is_empty() {
            return String::new();
        }
        let principal = |network: &Network| {
            let Network { address, prefix } = network;
            // The address of the connection: what a header says of it does not count.
            format!(
                "                    - direct_remote_ip: {{ address_prefix: \"{address}\", prefix_len: {prefix} }}\n"
            )
        };
        let principals: String = self.allow.iter().map(principal).collect();
        format!(
            r#"          - name: envoy.filters.http.rbac
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
              rules:
                policies:
                  prometheus:
                    permissions: [{{ any: true }}]
                    principals:
{principals}"#
        )
    }

    fn users_filter(&self) -> String {
        let Some(users) = &self.users else { return String::new() };
        format!(
            r#"          - name: envoy.filters.http.basic_auth
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.basic_auth.v3.BasicAuth
              users: {{ filename: {} }}
"#,
            quoted(users)
        )
    }

    fn transport_socket(&self) -> String {
        let Some(MetricsTls { certificate, key, client_ca }) = &self.tls else {
            return String::new();
        };
        let mut text = format!(
            r#"      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            tls_certificates:
            - certificate_chain: {{ filename: {} }}
              private_key: {{ filename: {} }}
"#,
            quoted(certificate),
            quoted(key)
        );
        if let Some(ca) = client_ca {
            text.push_str(&format!(
                r#"            validation_context:
              trusted_ca: {{ filename: {} }}
          require_client_certificate: true
"#,
                quoted(ca)
            ));
        }
        text
    }
}

/// A text as a YAML scalar in double quotes; JSON's strings are such.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_addresses_with_or_without_a_prefix() {
        for (text, prefix) in [("10.0.0.0/8", 8), ("127.0.0.1", 32), ("::1", 128), ("fd00::/8", 8)]
        {
            assert_eq!(text.parse::<Network>().unwrap().prefix, prefix, "{text}");
        }
        for text in ["", "10.0.0.0/33", "::/129", "10.0.0.0/", "host", "10.0.0.0/-1"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
