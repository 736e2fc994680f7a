//! `route-metrics import-openapi`.

use std::io::Write;
use std::path::{Path, PathBuf};

use route_metrics::command::openapi::{self, Import};

use crate::{Outcome, input};

/// Print a plugin configuration with the endpoints of OpenAPI specifications
///
/// OpenAPI 3 and Swagger 2, JSON or YAML. Several are merged, in the order given. What a template
/// cannot say is changed, and told on standard error.
#[derive(clap::Args)]
pub struct Arguments {
    /// A specification; `-` is standard input
    #[arg(required = true, value_name = "SPEC")]
    specifications: Vec<PathBuf>,
    /// Parameters whose values have slashes, which specifications have no word for: path,ref
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    multi_segment: Vec<String>,
    /// Say nothing of what was changed or left out
    #[arg(short, long)]
    quiet: bool,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let mut import = Import::with_several(arguments.multi_segment.iter().cloned());
    for file in &arguments.specifications {
        if file == Path::new("-") {
            import.add(Path::new("standard input"), &input::read(file)?)?;
        } else {
            import.add(file, &openapi::read(file)?)?;
        }
    }
    let (configuration, notes) = import.configuration();
    if !arguments.quiet {
        for note in notes {
            log::warn!("{note}");
        }
    }
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &configuration)?;
    writeln!(out)?;
    Ok(())
}
