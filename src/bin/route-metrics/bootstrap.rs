//! `route-metrics bootstrap`.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{anyhow, bail};
use route_metrics::command::envoy_config::StatsConfig;
use route_metrics::plan::{self, Capacity};

use crate::{Outcome, input};

/// Print what the plugin needs of Envoy's bootstrap: the tags that take labels out of stat names,
/// and histogram buckets
#[derive(clap::Args)]
pub struct Arguments {
    /// The plugin's JSON, or a configuration of Envoy with the plugin in it; `-` is standard input
    file: PathBuf,
    /// Print it for Istio: mesh configuration, and annotations of a workload
    #[arg(long, conflicts_with = "gateway")]
    istio: bool,
    /// Print it for Envoy Gateway: an EnvoyProxy
    #[arg(long)]
    gateway: bool,
    /// Print it for the dynamic module: buckets, and the switch that keeps the names of metrics; its labels
    /// need nothing. With --gateway, the library's place, too
    #[arg(long)]
    native: bool,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let Arguments { file, istio, gateway, native } = arguments;
    if *istio && *native {
        bail!(
            "Istio has no place for dynamic modules: leave out --native, and take the Wasm module"
        );
    }
    let mut all = StatsConfig::default();
    for plugin in input::plugins(file)? {
        let needs = plan::read(&plugin.configuration, Capacity::Checked)
            .and_then(|(config, _)| StatsConfig::new(&config))
            .map_err(|mistakes| input::refused(&plugin, &mistakes))?;
        all.merge(needs).map_err(|mistake| anyhow!(mistake))?;
    }
    let text = match (istio, gateway, native) {
        (true, _, _) => all.istio(),
        (_, true, false) => all.gateway(),
        (_, true, true) => all.native_gateway(),
        (_, _, true) => all.native_yaml(),
        _ => all.yaml(),
    };
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
