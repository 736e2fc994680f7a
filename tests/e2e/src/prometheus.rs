//! A real Prometheus that scrapes an Envoy.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::envoy::stop_process;
use crate::http::Request;
use crate::http1;
use crate::scrape::{Labels, Sample};
use crate::upstream::refusing_address;
use crate::wait::eventually;

/// A running Prometheus; it is stopped when dropped.
///
/// The program is that of the environment variable `PROMETHEUS`, else `prometheus` of the search
/// path (Debian package `prometheus`).
pub struct Prometheus {
    child: Child,
    directory: TempDir,
    address: SocketAddr,
}

impl Prometheus {
    /// Starts a server that scrapes `/stats/prometheus` of an admin address each second.
    #[track_caller]
    pub fn scraping(admin: SocketAddr) -> Self {
        let job = json!({"job_name": "envoy", "static_configs": [{"targets": [admin]}]});
        Self::with(vec![job], "{}", &[])
    }

    /// Starts a server with these `scrape_configs`, each of which scrapes `/stats/prometheus` each
    /// second unless it says otherwise, a rule file in YAML, and further arguments.
    #[track_caller]
    pub fn with(jobs: Vec<Value>, rules: &str, arguments: &[&str]) -> Self {
        let directory = crate::temporary_directory("prometheus-");
        let configuration = directory.path().join("prometheus.yml");
        let scrape = json!({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": jobs
                .into_iter()
                .map(|mut job| {
                    let path = job["metrics_path"].as_str().unwrap_or("/stats/prometheus");
                    job["metrics_path"] = path.to_owned().into();
                    job
                })
                .collect::<Vec<_>>(),
        });
        fs::write(&configuration, scrape.to_string()).expect("the directory is writable");
        fs::write(directory.path().join("rules.yaml"), rules).expect("the directory is writable");
        let address = free_address();
        let log = File::create(directory.path().join("log")).expect("the directory is writable");
        let program = std::env::var_os("PROMETHEUS").unwrap_or_else(|| "prometheus".into());
        let child = Command::new(&program)
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{}: {error}; `make test` installs it", program.display())
            });
        let server = Self { child, directory, address };
        eventually("Prometheus", || match http1::send(address, &Request::get("/-/ready")) {
            Ok(response) if response.status == 200 => Ok(()),
            _ => Err(server.log()),
        });
        server
    }

    /// Waits until the target was scraped (once more), and returns what is wrong with it, if
    /// anything. That it was too slow only says that the machine is busy, and so the next scrape counts.
    #[track_caller]
    pub fn trouble(&self) -> Option<String> {
        let target = || {
            let found = self.ask("/api/v1/targets?state=active");
            found["data"]["activeTargets"][0].clone()
        };
        let before = target()["lastScrape"].clone();
        let after = eventually("a scrape by Prometheus", || {
            let now = target();
            let fresh = now["lastScrape"] != before && now["health"] != "unknown";
            if fresh && !was_slow(&now) { Ok(now) } else { Err(now.to_string()) }
        });
        (after["health"] != "up").then(|| after["lastError"].to_string())
    }

    /// The series of a metric as Prometheus has stored them, without the labels of the target.
    #[track_caller]
    pub fn series(&self, name: &str) -> Vec<Sample> {
        let found = self.ask(&format!("/api/v1/query?query={name}"));
        let series = found["data"]["result"].as_array().cloned().unwrap_or_default();
        series.iter().filter_map(sample).collect()
    }

    /// `GET` on the API, parsed as JSON.
    #[track_caller]
    pub fn ask(&self, target: &str) -> Value {
        let response = http1::send(self.address, &Request::get(target))
            .unwrap_or_else(|error| panic!("Prometheus: {error}\n{}", self.log()));
        serde_json::from_slice(&response.body).expect("Prometheus answers JSON")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        stop_process(&mut self.child);
    }
}

/// Whether the last scrape of a target failed only because it took longer than it may.
pub fn was_slow(target: &Value) -> bool {
    target["lastError"].as_str().is_some_and(|error| error.contains("deadline exceeded"))
}

fn sample(series: &Value) -> Option<Sample> {
    let mut labels = Labels::new();
    for (label, value) in series["metric"].as_object()? {
        labels.insert(label.clone(), value.as_str()?.to_owned());
    }
    let name = labels.remove("__name__")?;
    labels.retain(|label, _| label != "job" && label != "instance");
    let value = series["value"][1].as_str()?.parse().ok()?;
    Some(Sample { name, labels, value })
}

/// An address of loopback for a program that cannot choose one itself; nobody else gets it meanwhile.
pub fn free_address() -> SocketAddr {
    refusing_address()
}
