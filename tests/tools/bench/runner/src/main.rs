//! Measures what the filter costs a real Envoy.
//!
//! One Envoy per case, each with one worker, all pinned to one core; the load generator runs on
//! another. The cases are loaded in turn, in short rounds, so that whatever disturbs the machine
//! disturbs them all alike; figures are medians over the rounds of values that were taken within
//! one round. `make bench` runs it; `README.md` beside this crate says what the columns mean.

mod cases;
mod envoy;
mod load;
mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use cases::Case;
use envoy::Envoy;
use report::{Results, Round};
use route_metrics::command::envoy_config::EnvoyVersion;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// How the benchmark was asked for; everything comes from the environment.
struct Options {
    envoy: PathBuf,
    /// Its version, as far as configurations differ.
    version: EnvoyVersion,
    module: PathBuf,
    /// The dynamic module.
    dynamic: PathBuf,
    empty: PathBuf,
    floor: PathBuf,
    straightforward: PathBuf,
    /// Another build of the module, to be compared with the first.
    candidate: Option<PathBuf>,
    /// How often all Envoys are started: two processes of the same case differ by their memory's places.
    starts: usize,
    /// Rounds with each of them.
    rounds: usize,
    seconds: f64,
    /// Requests per second of the latency measurement; 0 leaves it out.
    rate: u32,
    /// Cases to run; all where empty.
    only: Vec<String>,
    results: PathBuf,
}

impl Options {
    fn from_environment() -> Result<Self> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let number = |name: &str, default: f64| match variable(name) {
            Some(text) => text.parse::<f64>().map_err(|error| format!("{name}={text}: {error}")),
            None => Ok(default),
        };
        let path = |name: &str, default: &str| {
            PathBuf::from(variable(name).unwrap_or_else(|| default.to_owned()))
        };
        let envoy = match variable("ENVOY") {
            Some(path) => path.into(),
            None => envoy::newest()?,
        };
        let version = envoy::version(&envoy)?.parse()?;
        let modules = "target/wasm32-wasip1/release";
        Ok(Self {
            envoy,
            version,
            module: path("BENCH_MODULE", "dist/route_metrics.wasm"),
            dynamic: path("BENCH_DYNAMIC", "dist/libroute_metrics.so"),
            empty: path("BENCH_EMPTY", &format!("{modules}/bench_empty_sdk.wasm")),
            floor: path("BENCH_FLOOR", &format!("{modules}/bench_floor.wasm")),
            straightforward: path(
                "BENCH_STRAIGHTFORWARD",
                &format!("{modules}/bench_straightforward.wasm"),
            ),
            candidate: variable("BENCH_CANDIDATE").map(PathBuf::from),
            starts: (number("BENCH_STARTS", 3.0)?.max(1.0)) as usize,
            rounds: (number("BENCH_ROUNDS", 3.0)?.max(1.0)) as usize,
            seconds: number("BENCH_SECONDS", 2.0)?.max(0.1),
            rate: number("BENCH_RATE", 2000.0)?.max(0.0) as u32,
            only: variable("BENCH_ONLY")
                .map(|text| text.split(',').map(|part| part.trim().to_owned()).collect())
                .unwrap_or_default(),
            results: path("BENCH_RESULTS", "tests/tools/bench/results"),
        })
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let options = Options::from_environment()?;
    let cores = std::thread::available_parallelism()?.get();
    if cores < 2 {
        return Err("two cores are needed: one for Envoy, one for the load".into());
    }
    let version = envoy::version(&options.envoy)?;
    let mut cases: Vec<Case> = cases::all(&options)
        .into_iter()
        .filter(|case| options.only.is_empty() || options.only.iter().any(|id| id == case.id))
        .collect();
    if cases.is_empty() {
        return Err("BENCH_ONLY names no case".into());
    }
    let directory = tempfile::tempdir()?;
    let mut rounds = Vec::new();
    for start in 0..options.starts {
        let running = start_all(&options, &mut cases, directory.path())?;
        for round in 0..options.rounds {
            rounds.push(one_round(&options, &running, round % 2 == 1, directory.path())?);
            eprintln!(
                "bench: round {} of {}, start {} of {}",
                round + 1,
                options.rounds,
                start + 1,
                options.starts
            );
        }
    }
    let results = Results {
        version,
        rate: options.rate,
        seconds: options.seconds,
        starts: options.starts,
        cases,
        rounds,
    };
    let table = results.markdown();
    println!("{table}");
    std::fs::create_dir_all(&options.results)?;
    std::fs::write(options.results.join("cost.md"), &table)?;
    std::fs::write(options.results.join("cost.svg"), results.svg())?;
    eprintln!("bench: written to {}", options.results.display());
    Ok(())
}

/// Starts an Envoy for each case, and has it learn, define and compile what there is. Cases that this
/// Envoy cannot run, and need not, are taken out of the list.
fn start_all(options: &Options, cases: &mut Vec<Case>, directory: &Path) -> Result<Vec<Envoy>> {
    let mut running = Vec::new();
    let mut left = Vec::new();
    for case in cases.drain(..) {
        match Envoy::start(&options.envoy, &case, directory) {
            Ok(envoy) => {
                running.push(envoy);
                left.push(case);
            }
            // Envoys before 1.37 do not know `envoy.access_loggers.stats`.
            Err(error) if case.optional => {
                eprintln!("bench: without the case \"{}\": {error}", case.title);
            }
            Err(error) => return Err(error),
        }
    }
    *cases = left;
    for envoy in &running {
        load::full(envoy, Duration::from_secs_f64(options.seconds.clamp(1.0, 2.0)))?;
    }
    Ok(running)
}

/// Loads all cases in turn; the other way round where `backwards`, so that a drift cancels out.
fn one_round(
    options: &Options,
    running: &[Envoy],
    backwards: bool,
    directory: &Path,
) -> Result<Vec<Round>> {
    let mut measured = Vec::new();
    let mut one = |envoy: &Envoy| -> Result<()> {
        let before = envoy.worker_cpu()?;
        let requests = load::full(envoy, Duration::from_secs_f64(options.seconds))?;
        let cpu = envoy.worker_cpu()?.saturating_sub(before);
        let (p50_us, p99_us) = match options.rate {
            0 => (f64::NAN, f64::NAN),
            rate => {
                load::at_rate(envoy, rate, Duration::from_secs_f64(options.seconds), directory)?
            }
        };
        let cpu_us = cpu.as_secs_f64() * 1e6 / requests as f64;
        measured.push(Round { cpu_us, requests, p50_us, p99_us, rss_kb: envoy.resident_kb()? });
        Ok(())
    };
    if backwards {
        running.iter().rev().try_for_each(&mut one)?;
        measured.reverse();
    } else {
        running.iter().try_for_each(&mut one)?;
    }
    Ok(measured)
}
