//! `route-metrics explain`.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;

use route_metrics::config::{Config, InferenceMode};
use route_metrics::endpoint::{CanonicalPath, Form, Knowledge, Learners, reasons};
use route_metrics::labels;
use route_metrics::plan::Capacity;
use route_metrics::request::readable;

use crate::labeller::Labeller;
use crate::{Outcome, input};

/// Print the endpoint of each path, and which entry of the configuration gave it
///
/// A line per path: method and path, the endpoint label (`-` for a request that is excluded), and
/// what decided, separated by tabs. Behind these, for each path that was inferred, a line per
/// segment: what became of it, and the traits that weighed most. A word whose score is above 0
/// stays. Inference is shown as it is before it has learned anything; try `label` or `preview --why` to
/// see what traffic teaches it.
///
/// An inferred endpoint counts only where the answer says that the application knows the path: with a
/// code of `endpoint.ignore_statuses`, such as 404 or 401, the request is counted as `_UNMATCHED`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The plugin's JSON, or a configuration of Envoy with the plugin in it; `-` is standard input
    file: PathBuf,
    /// Paths as clients send them; a method counts for the paths behind it, GET at first
    #[arg(required = true, value_name = "[METHOD] PATH")]
    requests: Vec<OsString>,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let (config, plan) = input::plan(&arguments.file, Capacity::Ignored)?;
    let mut labeller = Labeller::new(&plan);
    let learners = Learners::default();
    let mut inferred = Vec::new();
    let mut method: &[u8] = b"GET";
    let mut out = std::io::stdout().lock();
    for argument in &arguments.requests {
        let argument = argument.as_encoded_bytes();
        if is_method(argument) {
            method = argument;
            continue;
        }
        let (label, _) = labeller.label(method, argument, Knowledge::Unfinished);
        let path = CanonicalPath::new(readable(argument));
        let reason = match plan.endpoints.explain(method, &path) {
            Some(entry) => format!("endpoint.{entry}"),
            None => {
                inferred.push((method, argument, path));
                by_inference(&config, path.form())
            }
        };
        let label = if label.is_empty() { "-" } else { label };
        writeln!(out, "{} {}\t{label}\t{reason}", shown(method), shown(argument))?;
    }
    let learner = learners.of(plan.inference);
    for (method, argument, path) in inferred {
        let Some(reasons) = learner.map(|learner| reasons(learner, method, &path)) else { break };
        if reasons.is_empty() {
            continue;
        }
        writeln!(out, "\n{}", shown(argument))?;
        for reason in reasons {
            writeln!(out, "  {}", reason.line())?;
        }
    }
    Ok(())
}

/// RFC 9110, 9.1: a method is a token. `*` is one too, and also a request target.
fn is_method(argument: &[u8]) -> bool {
    let token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'+-.^_`|~".contains(b);
    !argument.is_empty() && argument.iter().all(token)
}

fn by_inference(config: &Config, form: Form) -> String {
    let mode = match config.endpoint.inference {
        _ if form == Form::None => return "not a path".to_owned(),
        InferenceMode::Off => "off",
        InferenceMode::Heuristic => "heuristic",
        InferenceMode::Adaptive => "adaptive",
    };
    let route = if config.endpoint.route_name { ", unless Envoy's route has a name" } else { "" };
    format!("endpoint.inference {mode:?}{route}")
}

/// What came from outside, fit for a terminal.
fn shown(bytes: &[u8]) -> String {
    let mut text = String::new();
    labels::encode(bytes, usize::MAX, &mut text);
    text
}
