//! `route-metrics schema`.

use std::io::Write as _;

use route_metrics::command::reference;

use crate::Outcome;

/// Print the JSON Schema of the plugin configuration
#[derive(clap::Args)]
pub struct Arguments {
    /// Print it as a reference page in Markdown
    #[arg(long)]
    markdown: bool,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let text = if arguments.markdown { reference::markdown() } else { reference::schema_text() };
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
