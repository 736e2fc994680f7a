//! `route-metrics preview`.

use std::fs::File;
use std::io::{self, BufReader, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, anyhow, bail};
use flate2::read::MultiGzDecoder;
use indicatif::{ProgressBar, ProgressStyle};
use route_metrics::command::preview::log::{Broken, Hints, Lines, Role, Unit};
use route_metrics::command::preview::{Direction, Replay, Report, html, write_text};

use crate::{Outcome, input};

/// Lines between two looks at the progress bar.
const REDRAW_LINES: u64 = 1 << 14;
/// The share of requests that may be missed before the exit code says so.
const MAX_MISSED: f64 = 0.05;
/// The first bytes of gzip (RFC 1952, 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Show what a configuration makes of access logs: endpoints, series, overflow, cost
///
/// Reads Envoy's and Istio's text format, the common and combined formats of Apache and nginx, JSON
/// lines, and METHOD, PATH and STATUS separated by tabs; gzip, too. What is no request is counted
/// and shown.
#[derive(clap::Args)]
pub struct Arguments {
    /// The plugin's JSON, or a configuration of Envoy with the plugin in it
    file: PathBuf,
    /// An access log; `-` is standard input
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// Print JSON
    #[arg(long, conflicts_with_all = ["html", "templates"])]
    json: bool,
    /// Print one self-contained HTML page
    #[arg(long, conflicts_with = "templates")]
    html: bool,
    /// Print what was inferred as a configuration, behind the templates of FILE
    #[arg(long)]
    templates: bool,
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
    let stdin = Path::new("-");
    if arguments.logs.iter().filter(|log| *log == stdin).count()
        + usize::from(arguments.file == stdin)
        > 1
    {
        bail!("standard input can be read only once");
    }
    let plugin = input::plugin(&arguments.file)?;
    let mut replay = Replay::with_hints(&plugin.configuration, arguments.hints())
        .map_err(|mistakes| input::refused(&plugin, &mistakes))?;
    replay.only(match arguments.direction {
        Wanted::All => Direction::All,
        Wanted::Inbound => Direction::Inbound,
        Wanted::Outbound => Direction::Outbound,
    });
    let start = Instant::now();
    for log in &arguments.logs {
        read(&mut replay, log)?;
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
        write_text(report, &mut out)?;
    }
    out.flush()?;
    Ok(())
}

pub fn read(replay: &mut Replay, log: &Path) -> Outcome {
    if log == Path::new("-") {
        return replay_lines(replay, "standard input", io::stdin().lock(), progress(None));
    }
    let name = log.display().to_string();
    let file = File::open(log).with_context(|| name.clone())?;
    let metadata = file.metadata().with_context(|| name.clone())?;
    if metadata.is_dir() {
        bail!("{name}: is a directory");
    }
    let bar = progress(metadata.is_file().then_some(metadata.len()));
    replay_lines(replay, &name, file, bar)
}

/// The bar counts bytes as they are stored, so it is right for packed logs, too.
fn replay_lines(replay: &mut Replay, name: &str, reader: impl Read, bar: ProgressBar) -> Outcome {
    replay.start_input(name);
    let mut reader = BufReader::with_capacity(1 << 16, bar.wrap_read(reader));
    let packed = io::BufRead::fill_buf(&mut reader).context(name.to_owned())?.starts_with(&GZIP);
    let reader: Box<dyn Read + '_> =
        if packed { Box::new(MultiGzDecoder::new(reader)) } else { Box::new(reader) };
    let mut lines = Lines::new(reader);
    let mut count = 0u64;
    while let Some(line) = lines.read_line().with_context(|| name.to_owned())? {
        match line {
            Ok(line) => replay.line(line),
            Err(_) => replay.too_long(),
        }
        count += 1;
        if count.is_multiple_of(REDRAW_LINES) {
            bar.set_message(format!("{} requests", replay.requests()));
        }
    }
    bar.finish_and_clear();
    Ok(())
}

/// A progress bar on standard error, where that is a terminal; `None`: the length is not known.
fn progress(bytes: Option<u64>) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, style) = match bytes {
        Some(bytes) => (
            ProgressBar::new(bytes),
            "{bar:40} {percent:>3} %  {binary_bytes_per_sec}  {msg}  {eta} left",
        ),
        None => (ProgressBar::new_spinner(), "{spinner} {bytes}  {binary_bytes_per_sec}  {msg}"),
    };
    match ProgressStyle::with_template(style) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
