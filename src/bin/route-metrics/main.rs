//! The command `route-metrics`: checks plugin configurations, prints what they need from Envoy, and
//! shows what they make of requests. One file per subcommand.

#![allow(clippy::disallowed_methods, reason = "the command may look at the clock")]

mod bootstrap;
mod check;
mod dashboard;
mod envoy;
mod explain;
mod import_openapi;
mod init;
mod input;
mod label;
mod labeller;
mod logger;
mod logs;
mod preview;
mod rules;
mod schema;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Checks plugin configurations of route-metrics, prints what they need from Envoy, and shows what
/// they make of requests.
///
/// FILE is the plugin's JSON, or an Envoy, Istio or Envoy Gateway configuration (YAML or JSON)
/// with the plugin in it; `-` is standard input.
#[derive(Parser)]
#[command(name = "route-metrics", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(check::Arguments),
    Dashboard(dashboard::Arguments),
    Rules(rules::Arguments),
    Bootstrap(bootstrap::Arguments),
    Envoy(envoy::Arguments),
    ImportOpenapi(import_openapi::Arguments),
    Init(init::Arguments),
    Preview(preview::Arguments),
    Explain(explain::Arguments),
    Schema(schema::Arguments),
    Label(label::Arguments),
}

/// What a subcommand gives back: an error is printed, one mistake per line, and the exit code is 1.
type Outcome = anyhow::Result<()>;

fn main() -> ExitCode {
    logger::install();
    let outcome = match Arguments::parse().command {
        Command::Check(arguments) => check::run(&arguments),
        Command::Dashboard(arguments) => dashboard::run(&arguments),
        Command::Rules(arguments) => rules::run(&arguments),
        Command::Bootstrap(arguments) => bootstrap::run(&arguments),
        Command::Envoy(arguments) => envoy::run(&arguments),
        Command::ImportOpenapi(arguments) => import_openapi::run(&arguments),
        Command::Init(arguments) => init::run(&arguments),
        Command::Preview(arguments) => preview::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Schema(arguments) => schema::run(&arguments),
        Command::Label(arguments) => label::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the reader of the output has gone, as `head` does.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let is = |error: &std::io::Error| error.kind() == std::io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref().is_some_and(is))
}
