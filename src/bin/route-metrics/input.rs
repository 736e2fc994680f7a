//! Reading the FILE of a subcommand.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};
use route_metrics::command::envoy_config::{self, Plugin};
use route_metrics::config::{Config, Mistake, Mistakes};
use route_metrics::plan;
use route_metrics::plan::Capacity;
use route_metrics::plan::Plan;

/// The bytes of a file; `-` is standard input.
pub fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).context("standard input")?;
        return Ok(bytes);
    }
    std::fs::read(file).with_context(|| file.display().to_string())
}

/// The plugin configurations in a file: its whole content where that is one, else every
/// route-metrics plugin of an Envoy, Istio or Envoy Gateway configuration. At least one.
pub fn plugins(file: &Path) -> anyhow::Result<Vec<Plugin>> {
    let text = read(file)?;
    envoy_config::plugins(&text).with_context(|| file.display().to_string())
}

/// The one plugin configuration in a file, checked. Where there are several, they must be equal.
pub fn plugin(file: &Path) -> anyhow::Result<Plugin> {
    let mut plugins = plugins(file)?;
    let Some(first) = plugins.pop() else { bail!("{}: no plugin configuration", file.display()) };
    if plugins.iter().any(|other| other.configuration != first.configuration) {
        bail!("{}: several plugins with different configurations; give one", file.display());
    }
    Ok(first)
}

/// The one plugin configuration in a file and its plan. The environment is left alone.
pub fn plan(file: &Path, capacity: Capacity) -> anyhow::Result<(Config, Plan)> {
    let plugin = plugin(file)?;
    plan::read(&plugin.configuration, capacity).map_err(|mistakes| refused(&plugin, &mistakes))
}

/// The mistakes of a plugin's configuration as one error, one per line.
pub fn refused(plugin: &Plugin, mistakes: &Mistakes) -> anyhow::Error {
    anyhow::anyhow!(lines(plugin, mistakes).join("\n"))
}

/// Mistakes or warnings of a plugin's configuration, with the plugin's place where it has one.
pub fn lines(plugin: &Plugin, mistakes: &Mistakes) -> Vec<String> {
    let line = |mistake: &Mistake| match plugin.place.as_str() {
        "" => mistake.to_string(),
        place => format!("{place}: {mistake}"),
    };
    mistakes.iter().map(line).collect()
}
