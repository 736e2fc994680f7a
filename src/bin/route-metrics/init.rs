//! `route-metrics init`.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, anyhow, bail};
use route_metrics::command::init::{self, HEAD_BYTES, Kind, Start};
use route_metrics::command::openapi::{self, Import};
use route_metrics::command::preview::{Replay, Report};

use crate::Outcome;
use crate::logs::Stop;

/// Write a first configuration into a folder: the plugin's JSON, a page that explains it, what Envoy
/// and Prometheus need, and what to do next
///
/// Give what there is: access logs, OpenAPI specifications, a configuration of Envoy, Istio or Envoy
/// Gateway, a plugin configuration. What each file is is seen from its content; with none, the
/// defaults are written.
#[derive(clap::Args)]
pub struct Arguments {
    /// An access log, a specification, or a configuration, in any order
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The folder
    #[arg(long, value_name = "DIR", default_value = "route-metrics")]
    out: PathBuf,
    /// Overwrite files that are there
    #[arg(long)]
    force: bool,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let mut start = Start::default();
    let mut import = Import::default();
    let (mut specifications, mut logs) = (Vec::new(), Vec::new());
    for file in &arguments.files {
        let name = file.display().to_string();
        let (kind, bytes) = look(file).with_context(|| name.clone())?;
        match kind {
            Kind::Log => logs.push(file),
            Kind::Specification => {
                import.add(file, &bytes)?;
                specifications.push(name);
            }
            Kind::Envoy => start.envoy(&name, &bytes)?,
            Kind::Plugin => start.plugin(&name, &bytes)?,
        }
    }
    if !specifications.is_empty() {
        let (found, notes) = import.configuration();
        start.add(&specifications, Kind::Specification, &found, notes);
    }
    let mut requests = Vec::new();
    if !logs.is_empty() {
        let configuration = start.checked()?;
        let mut replay = Replay::new(&configuration)
            .map_err(|mistakes| anyhow!("the configuration: {mistakes:?}"))?;
        let begun = Instant::now();
        for log in &logs {
            crate::logs::read(&mut replay, log, &Stop::default())?;
        }
        let report = Report::new(&mut replay, begun.elapsed());
        requests = report
            .endpoints
            .iter()
            .map(|endpoint| (endpoint.settled().to_owned(), endpoint.requests))
            .collect();
        let names: Vec<String> = logs.iter().map(|log| log.display().to_string()).collect();
        let lines = match report.broken_lines {
            0 => format!("all {} lines of the logs are requests", report.requests),
            none => format!("{} lines of the logs are requests, {none} are none", report.requests),
        };
        start.add(&names, Kind::Log, &report.configuration(), vec![lines]);
    }
    let folder = arguments.out.display().to_string();
    let (files, steps) = start.files(folder.trim_end_matches('/'), &requests)?;
    let there: Vec<String> = files
        .iter()
        .map(|file| arguments.out.join(file.name))
        .filter(|path| path.symlink_metadata().is_ok())
        .map(|path| path.display().to_string())
        .collect();
    if !arguments.force && !there.is_empty() {
        bail!("{} would be overwritten; give --force, or another --out", there.join(", "));
    }
    fs::create_dir_all(&arguments.out).with_context(|| folder.clone())?;
    let mut out = std::io::stdout().lock();
    for file in files {
        let path = arguments.out.join(file.name);
        fs::write(&path, file.text).with_context(|| path.display().to_string())?;
        writeln!(out, "{}", path.display())?;
    }
    write!(out, "\n{steps}")?;
    Ok(())
}

/// What a file is, and its bytes where it is no log, which may be large.
fn look(file: &Path) -> anyhow::Result<(Kind, Vec<u8>)> {
    if file == Path::new("-") {
        bail!("init takes files, as it looks at each before it reads it");
    }
    if file.is_dir() {
        bail!("is a folder; name the files in it");
    }
    let mut head = Vec::new();
    fs::File::open(file)?.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    if head.trim_ascii().is_empty() {
        bail!("is empty");
    }
    if init::is_log(&head) {
        return Ok((Kind::Log, Vec::new()));
    }
    let bytes = openapi::read(file).map_err(|error| anyhow!(error.root_cause().to_string()))?;
    Ok((init::kind(&bytes)?, bytes))
}
