//! `route-metrics envoy`.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use route_metrics::config;
use route_metrics::envoy_config::{Complete, StatsConfig, Upstream};

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
    /// Port of Envoy's admin interface, on 127.0.0.1
    #[arg(long, value_name = "PORT", default_value_t = 9901)]
    admin_port: u16,
    /// The module, as Envoy finds it
    #[arg(long, value_name = "PATH", default_value = "dist/route_metrics.wasm")]
    module: String,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let plugin = input::plugin(&arguments.file)?;
    let stats = config::parse(&plugin.configuration)
        .and_then(|config| StatsConfig::new(&config))
        .map_err(|mistakes| input::refused(&plugin, &mistakes))?;
    let complete = Complete {
        plugin: &plugin.configuration,
        stats: &stats,
        upstream: &arguments.upstream,
        upstream_http2: arguments.upstream_http2,
        address: arguments.address,
        port: arguments.port,
        metrics_port: arguments.metrics_port,
        admin_port: arguments.admin_port,
        module: &arguments.module,
    };
    Ok(std::io::stdout().write_all(complete.yaml().as_bytes())?)
}
