//! `route-metrics check`.

use std::path::PathBuf;

use anyhow::anyhow;
use route_metrics::plan;
use route_metrics::plan::Capacity;

use crate::{Outcome, input};

/// Validate a plugin configuration: prints every mistake, one per line, and exits with 1, or exits
/// with 0
///
/// What is allowed but most likely not meant is printed as a warning, and leaves the exit code
/// alone.
#[derive(clap::Args)]
pub struct Arguments {
    /// The plugin's JSON, or a configuration of Envoy with the plugin in it; `-` is standard input
    file: PathBuf,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let mut errors = Vec::new();
    for plugin in input::plugins(&arguments.file)? {
        match plan::load(&plugin.configuration, |name| plugin.variable(name), Capacity::Checked) {
            Ok(plan) => {
                for line in input::lines(&plugin, &plan.warnings) {
                    log::warn!("warning: {line}");
                }
            }
            Err(mistakes) => errors.push(input::refused(&plugin, &mistakes).to_string()),
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(anyhow!(errors.join("\n"))) }
}
