//! `route-metrics preview`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, anyhow, bail};
use route_metrics::command::preview::log::{Broken, Hints, Role, Unit};
use route_metrics::command::preview::{Direction, Replay, Report, html, reference, write_text};

use crate::logs::{self, Stop};
use crate::{Outcome, input};

/// The share of requests that may be missed before the exit code says so.
const MAX_MISSED: f64 = 0.05;

/// Show what a configuration makes of access logs: endpoints, series, overflow, cost
///
/// Reads what some forty programs write, as text, JSON and key=value pairs, plain, wrapped and packed
/// (see the end of --help). What is no request is counted and shown; where more than 5 % of the
/// requests were not understood, the exit code is 1.
#[derive(clap::Args)]
#[command(after_long_help = reference::help())]
pub struct Arguments {
    /// The plugin's JSON, or a configuration of Envoy with the plugin in it
    #[arg(required_unless_present = "formats")]
    file: Option<PathBuf>,
    /// An access log, packed or not; `-` is standard input, until its end or Ctrl-C
    #[arg(required_unless_present = "formats", value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// Print the reference of what is read, in Markdown
    #[arg(long, exclusive = true)]
    formats: bool,
    /// Print JSON
    #[arg(long, conflicts_with_all = ["html", "templates"])]
    json: bool,
    /// Print one self-contained HTML page
    #[arg(long, conflicts_with = "templates")]
    html: bool,
    /// Print what was inferred as a configuration, behind the templates of FILE
    #[arg(long)]
    templates: bool,
    /// Say for each inferred endpoint why its segments stay or become `{id}`, as `explain` does
    #[arg(long, conflicts_with_all = ["json", "html", "templates"])]
    why: bool,
    /// The key of the method in JSON, logfmt and columns; dots lead into objects
    #[arg(long, value_name = "KEY")]
    method_field: Option<String>,
    /// The key of the path
    #[arg(long, value_name = "KEY")]
    path_field: Option<String>,
    /// The key of the status
    #[arg(long, value_name = "KEY")]
    status_field: Option<String>,
    /// The key of the duration
    #[arg(long, value_name = "KEY")]
    duration_field: Option<String>,
    /// The unit of durations where the log has none; without it the report says which was taken
    #[arg(long, value_name = "UNIT")]
    duration_unit: Option<DurationUnit>,
    /// Which requests of an Istio sidecar to replay
    #[arg(long, value_name = "DIRECTION", default_value = "all")]
    direction: Wanted,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Wanted {
    /// Both directions
    All,
    /// Those to the workload
    Inbound,
    /// Those from it
    Outbound,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum DurationUnit {
    /// Nanoseconds
    Ns,
    /// Microseconds
    Us,
    /// Milliseconds
    Ms,
    /// Seconds
    S,
}

impl Arguments {
    fn hints(&self) -> Hints {
        let keys = [
            (Role::Method, &self.method_field),
            (Role::Path, &self.path_field),
            (Role::Status, &self.status_field),
            (Role::Duration, &self.duration_field),
        ];
        let named = |(role, key): (Role, &Option<String>)| Some((role, key.clone()?));
        let unit = |unit| match unit {
            DurationUnit::Ns => Unit::Nanoseconds,
            DurationUnit::Us => Unit::Microseconds,
            DurationUnit::Ms => Unit::Milliseconds,
            DurationUnit::S => Unit::Seconds,
        };
        Hints {
            keys: keys.into_iter().filter_map(named).collect(),
            duration_unit: self.duration_unit.map(unit),
        }
    }
}

pub fn run(arguments: &Arguments) -> Outcome {
    if arguments.formats {
        return Ok(io::stdout().write_all(reference::markdown().as_bytes())?);
    }
    let file = arguments.file.as_deref().context("FILE is missing")?;
    let stdin = Path::new("-");
    if arguments.logs.iter().filter(|log| *log == stdin).count() + usize::from(file == stdin) > 1 {
        bail!("standard input can be read only once");
    }
    let plugin = input::plugin(file)?;
    let mut replay = Replay::with_hints(&plugin.configuration, arguments.hints())
        .map_err(|mistakes| input::refused(&plugin, &mistakes))?;
    replay.only(match arguments.direction {
        Wanted::All => Direction::All,
        Wanted::Inbound => Direction::Inbound,
        Wanted::Outbound => Direction::Outbound,
    });
    let stop = Stop::on_signals()?;
    let start = Instant::now();
    for log in &arguments.logs {
        logs::read(&mut replay, log, &stop)?;
        if stop.has_come() {
            break;
        }
    }
    let report = Report::new(&mut replay, start.elapsed());
    let lines: u64 = report.inputs.iter().map(|input| input.lines).sum();
    if report.requests == 0 && (report.not_understood > 0 || !is_understood(&report)) {
        if arguments.json {
            print(&report, arguments)?;
        }
        return Err(summary(&report, &format!("no request in {lines} lines")));
    }
    print(&report, arguments)?;
    let missed = report.not_understood as f64 / (report.requests + report.not_understood) as f64;
    if missed > MAX_MISSED {
        let what = format!(
            "{} of {lines} lines look like requests and were not understood ({:.1} %)",
            report.not_understood,
            missed * 100.0
        );
        return Err(summary(&report, &what));
    }
    Ok(())
}

/// Whether something was read, though it was no request: TCP connections and the like.
fn is_understood(report: &Report) -> bool {
    let known = [Broken::NotHttp, Broken::Begun].map(|why| why.to_string());
    let mut reasons = report.inputs.iter().flat_map(|input| input.reasons.keys());
    report.directions.left_out > 0 || reasons.any(|why| known.contains(why))
}

/// What went wrong, with examples and the way out.
fn summary(report: &Report, what: &str) -> anyhow::Error {
    let mut message = what.to_owned();
    for (line, why, text) in report.inputs.iter().flat_map(|input| &input.broken_examples) {
        message.push_str(&format!("\nline {line}: {why}: {text}"));
    }
    for note in report.notes.iter().filter(|note| note.starts_with("lines with")) {
        message.push_str(&format!("\n{note}"));
    }
    anyhow!(message)
}

fn print(report: &Report, arguments: &Arguments) -> Outcome {
    let mut out = io::BufWriter::new(io::stdout().lock());
    if arguments.json {
        serde_json::to_writer_pretty(&mut out, report).map_err(io::Error::from)?;
        writeln!(out)?;
    } else if arguments.html {
        html::write(report, &mut out)?;
    } else if arguments.templates {
        serde_json::to_writer_pretty(&mut out, &report.configuration()).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        write_text(report, arguments.why, &mut out)?;
    }
    out.flush()?;
    Ok(())
}
