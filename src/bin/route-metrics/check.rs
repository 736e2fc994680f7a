//! `route-metrics check`.

use std::path::PathBuf;

use anyhow::anyhow;
use route_metrics::plan;
use route_metrics::plan::Capacity;

use crate::{Outcome, input};

/// Validate a plugin configuration: exits with 0, or prints every mistake, one per line, and exits
/// with 1
///
/// What is allowed, but most likely a mistake, is printed as a warning, and does not change the exit
/// code.
#[derive(clap::Args)]
pub struct Arguments {
    /// The plugin's JSON, or a configuration of Envoy with the plugin in it; `-` is standard input
    file: PathBuf,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let mut errors = Vec::new();
    for plugin in input::plugins(&arguments.file)? {
        match plan::load(&plugin.configuration, |_| None, Capacity::Checked) {
            Ok(plan) => {
                for warning in input::lines(&plugin, &plan.warnings) {
                    eprintln!("warning: {warning}");
                }
            }
            Err(mistakes) => errors.push(input::refused(&plugin, &mistakes).to_string()),
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(anyhow!(errors.join("\n"))) }
}
