//! `route-metrics preview`.

use std::fs::File;
use std::io::{self, BufReader, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, anyhow, bail};
use flate2::read::MultiGzDecoder;
use indicatif::{ProgressBar, ProgressStyle};
use route_metrics::command::preview::log::Lines;
use route_metrics::command::preview::{Replay, Report, html, write_text};

use crate::{Outcome, input};

/// Lines between two looks at the progress bar.
const REDRAW_LINES: u64 = 1 << 14;
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
    let mut replay = Replay::new(&plugin.configuration)
        .map_err(|mistakes| input::refused(&plugin, &mistakes))?;
    let start = Instant::now();
    for log in &arguments.logs {
        read(&mut replay, log)?;
    }
    let report = Report::new(&mut replay, start.elapsed());
    if report.requests == 0 {
        let lines: u64 = report.inputs.iter().map(|input| input.lines).sum();
        let mut message = format!("no request in {lines} lines");
        for (line, why, text) in report.inputs.iter().flat_map(|input| &input.broken_examples) {
            message.push_str(&format!("\nline {line}: {why}: {text}"));
        }
        return Err(anyhow!(message));
    }
    print(&report, arguments)
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
