//! `route-metrics dashboard`.

use std::io::Write;
use std::path::PathBuf;

use route_metrics::command::stack::{Families, dashboard};
use route_metrics::plan::Capacity;

use crate::{Outcome, input};

/// Print a Grafana dashboard for a plugin configuration, as JSON to provision or to import
#[derive(clap::Args)]
pub struct Arguments {
    /// The plugin's JSON, or a configuration of Envoy with the plugin in it; `-` is standard input
    file: PathBuf,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let (config, plan) = input::plan(&arguments.file, Capacity::Checked)?;
    let dashboard = dashboard(&Families::new(&config, &plan));
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &dashboard)?;
    writeln!(out)?;
    Ok(())
}
