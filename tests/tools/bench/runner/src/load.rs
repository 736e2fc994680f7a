//! Load: as much as Envoy takes, or a fixed rate.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::Result;
use crate::envoy::Envoy;

/// The core of the load generator.
const CORE: &str = "1";
/// Open connections, each with one request at a time.
const CONNECTIONS: u32 = 16;

fn h2load(envoy: &Envoy, more: &[&str]) -> Result<String> {
    let output = Command::new("taskset")
        .args(["-c", CORE, "h2load", "--h1", "-t", "1", "-c", &CONNECTIONS.to_string()])
        .args(more)
        .arg("-i")
        .arg(&envoy.paths)
        .output()
        .map_err(|error| format!("h2load (package nghttp2-client): {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Loads an Envoy as much as it takes; gives the number of requests that it answered with 200.
pub fn full(envoy: &Envoy, time: Duration) -> Result<u64> {
    let text = h2load(envoy, &["-D", &format!("{}ms", time.as_millis())])?;
    // status codes: 123 2xx, 0 3xx, 0 4xx, 0 5xx
    let codes = text.lines().find_map(|line| line.strip_prefix("status codes: "));
    let numbers: Vec<u64> = codes
        .unwrap_or_default()
        .split(", ")
        .filter_map(|part| part.split(' ').next()?.parse().ok())
        .collect();
    match numbers.as_slice() {
        &[good, 0, 0, 0] if good > 0 => Ok(good),
        _ => Err(format!("unexpected answers in \"{}\":\n{text}", envoy.case.title).into()),
    }
}

/// Loads an Envoy with a fixed rate; gives the median and the 99th percentile of the latency in
/// microseconds, as the client sees it.
pub fn at_rate(envoy: &Envoy, rate: u32, time: Duration, directory: &Path) -> Result<(f64, f64)> {
    let log = directory.join("latency.tsv");
    let _ = std::fs::remove_file(&log);
    let log_argument = log.to_string_lossy();
    let per_client = (rate / CONNECTIONS).max(1).to_string();
    let time = format!("{}ms", time.as_millis());
    h2load(envoy, &["-D", &time, "--rps", &per_client, "--log-file", &log_argument])?;
    let mut latencies: Vec<f64> = std::fs::read_to_string(&log)?
        .lines()
        .filter_map(|line| line.split('\t').nth(2)?.parse().ok())
        .collect();
    latencies.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let index = (latencies.len() as f64 * share) as usize;
        latencies.get(index.min(latencies.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
    };
    Ok((at(0.5), at(0.99)))
}
