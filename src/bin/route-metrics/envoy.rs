//! `route-metrics envoy`.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use anyhow::{Context, bail};
use route_metrics::command::envoy_config::{
    Complete, EnvoyVersion, MetricsAccess, MetricsTls, Network, StatsConfig, Tracing, Upstream,
    needed,
};
use route_metrics::config;
use route_metrics::plan::{self, Capacity};

use crate::{Outcome, input};

/// Print a complete configuration of Envoy with the plugin in front of one upstream
#[derive(clap::Args)]
pub struct Arguments {
    /// The plugin's JSON, or a configuration of Envoy with the plugin in it; `-` is standard input
    file: PathBuf,
    /// Where requests go
    #[arg(long, value_name = "HOST:PORT")]
    upstream: Upstream,
    /// The upstream speaks HTTP/2 without TLS, as gRPC servers do
    #[arg(long)]
    upstream_http2: bool,
    /// Address of the listeners for traffic and metrics
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::UNSPECIFIED))]
    address: IpAddr,
    /// Port for traffic
    #[arg(long, default_value_t = 10000)]
    port: u16,
    /// Port that serves /stats/prometheus and nothing else
    #[arg(long, value_name = "PORT", default_value_t = 9902)]
    metrics_port: u16,
    /// Port to which events are posted, on 127.0.0.1, where the plugin has `events.path`
    #[arg(long, value_name = "PORT", default_value_t = 9903)]
    events_port: u16,
    /// Port of Envoy's admin interface, on 127.0.0.1
    #[arg(long, value_name = "PORT", default_value_t = 9901)]
    admin_port: u16,
    /// The module, as Envoy finds it; by default dist/route_metrics.wasm, or dist/libroute_metrics.so with
    /// --native
    #[arg(long, value_name = "PATH")]
    module: Option<String>,
    /// Run the filter in Envoy's own process, as a dynamic module, not as Wasm; needs Envoy 1.38 or newer
    #[arg(long, conflicts_with = "needed_only")]
    native: bool,
    /// The Envoy that it is for, such as 1.40, or what `envoy --version` prints; without it, the form
    /// that 1.36 to 1.40 take, of which 1.40 warns
    #[arg(long, value_name = "VERSION")]
    envoy_version: Option<EnvoyVersion>,
    /// Allow the module only what this plugin needs, not all that it can do, so that Envoy calls it less;
    /// print this anew when the plugin changes, and restart Envoys before 1.40
    #[arg(long)]
    needed_only: bool,
    /// Let nobody scrape without a name and password of this file, made with `htpasswd -s`
    #[arg(long, value_name = "FILE")]
    metrics_users: Option<String>,
    /// Serve metrics by TLS with this certificate chain (PEM)
    #[arg(long, value_name = "FILE", requires = "metrics_key")]
    metrics_certificate: Option<String>,
    /// The key of --metrics-certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "metrics_certificate")]
    metrics_key: Option<String>,
    /// Let nobody scrape without a client certificate of this authority (PEM)
    #[arg(long, value_name = "FILE", requires = "metrics_certificate")]
    metrics_client_ca: Option<String>,
    /// Let nobody scrape from elsewhere; an address or a network, more than one by commas
    #[arg(long, value_name = "NETWORK", value_delimiter = ',')]
    metrics_allow: Vec<Network>,
    /// Send spans to this collector by OTLP over HTTP, and set `endpoint.export`, which names them;
    /// needs Envoy 1.37 or newer
    #[arg(long, value_name = "HOST:PORT")]
    tracing: Option<Upstream>,
    /// The share of requests that begin a trace
    #[arg(long, value_name = "SHARE", default_value_t = 0.01, value_parser = share)]
    tracing_sample_rate: f64,
    /// `service.name` of the spans
    #[arg(long, value_name = "NAME", default_value = "envoy")]
    tracing_service: String,
}

fn share(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err("use 0 to 1".to_owned()) }
}

impl Arguments {
    fn metrics_access(&self) -> MetricsAccess {
        let pair = self.metrics_certificate.clone().zip(self.metrics_key.clone());
        MetricsAccess {
            users: self.metrics_users.clone(),
            tls: pair.map(|(certificate, key)| MetricsTls {
                certificate,
                key,
                client_ca: self.metrics_client_ca.clone(),
            }),
            allow: self.metrics_allow.clone(),
        }
    }

    fn tracing(&self) -> Option<Tracing> {
        self.tracing.clone().map(|collector| Tracing {
            collector,
            service: self.tracing_service.clone(),
            rate: self.tracing_sample_rate,
        })
    }
}

/// A configuration that was checked, with `endpoint.export`.
fn with_export(configuration: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut json = match configuration.trim_ascii() {
        b"" => serde_json::json!({}),
        text => serde_json::from_slice(text)?,
    };
    let endpoint = json.as_object_mut().context("not an object")?.entry("endpoint");
    let endpoint = endpoint.or_insert_with(|| serde_json::json!({}));
    if endpoint.is_null() {
        *endpoint = serde_json::json!({});
    }
    endpoint
        .as_object_mut()
        .context("`endpoint` is not an object")?
        .insert("export".to_owned(), true.into());
    Ok(serde_json::to_vec_pretty(&json)?)
}

pub fn run(arguments: &Arguments) -> Outcome {
    let plugin = input::plugin(&arguments.file)?;
    let (export, stats) = plan::read(&plugin.configuration, Capacity::Checked)
        .and_then(|(config, _)| Ok((config.endpoint.export, StatsConfig::new(&config)?)))
        .map_err(|mistakes| input::refused(&plugin, &mistakes))?;
    let tracing = arguments.tracing();
    let mut configuration = plugin.configuration;
    if tracing.is_some() && !export {
        configuration = with_export(&configuration)?;
    }
    let needed = match arguments.needed_only {
        true => config::parse(&configuration).ok().map(|config| needed(&config)),
        false => None,
    };
    if arguments.native && arguments.envoy_version.is_some_and(|version| !version.runs_natively()) {
        bail!("--native needs Envoy 1.38 or newer");
    }
    let module = arguments.module.as_deref().unwrap_or(match arguments.native {
        true => "dist/libroute_metrics.so",
        false => "dist/route_metrics.wasm",
    });
    let metrics_access = arguments.metrics_access();
    let complete = Complete {
        plugin: &configuration,
        stats: &stats,
        upstream: &arguments.upstream,
        upstream_http2: arguments.upstream_http2,
        address: arguments.address,
        port: arguments.port,
        metrics_port: arguments.metrics_port,
        events_port: arguments.events_port,
        admin_port: arguments.admin_port,
        module,
        native: arguments.native,
        metrics_access: &metrics_access,
        tracing: tracing.as_ref(),
        needed,
        version: arguments.envoy_version,
    };
    Ok(std::io::stdout().write_all(complete.yaml().as_bytes())?)
}
