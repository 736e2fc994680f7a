//! Envoys with one worker on one core: started, measured, stopped.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Result;
use crate::cases::Case;

/// The core of all Envoys; the load generator has the next one.
pub const CORE: &str = "0";
/// How long an Envoy may take to be ready.
const START: Duration = Duration::from_secs(60);

/// The newest Envoy under `.tools/`.
pub fn newest() -> Result<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(".tools").into_iter().flatten().flatten() {
        for file in ["bin/envoy", "envoy"] {
            let path = entry.path().join(file);
            if path.is_file() {
                let version: Vec<u32> = entry
                    .file_name()
                    .to_string_lossy()
                    .split(|c: char| !c.is_ascii_digit())
                    .filter_map(|part| part.parse().ok())
                    .collect();
                found.push((version, path));
            }
        }
    }
    found.sort();
    let newest = found.pop().map(|(_, path)| path);
    newest.ok_or_else(|| "no Envoy: name one with ENVOY=PATH".into())
}

/// What `envoy --version` says, as far as it is the version.
pub fn version(envoy: &Path) -> Result<String> {
    let output = Command::new(envoy).arg("--version").output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    // `PATH  version: HASH/1.40.0/Clean/RELEASE/BoringSSL`
    let version = text.split_once("version: ").and_then(|(_, rest)| rest.split('/').nth(1));
    let version = version.unwrap_or("unknown");
    Ok(version.trim().to_owned())
}

/// A running Envoy; it ends with this value.
pub struct Envoy {
    /// What it runs.
    pub case: Case,
    /// The list of paths for the load generator.
    pub paths: PathBuf,
    process: Child,
}

impl Envoy {
    /// Starts an Envoy and waits until it is ready.
    pub fn start(envoy: &Path, case: &Case, directory: &Path) -> Result<Self> {
        let (port, admin) = (free_port()?, free_port()?);
        let paths = directory.join(format!("{}.paths", case.id));
        let mut list = String::new();
        for path in &case.paths {
            list.push_str(&format!("http://127.0.0.1:{port}{path}\n"));
        }
        std::fs::write(&paths, list)?;
        let config = directory.join(format!("{}.json", case.id));
        std::fs::write(&config, bootstrap(case, port, admin).to_string())?;
        let log = directory.join(format!("{}.log", case.id));
        let process = Command::new("taskset")
            .args(["-c", CORE])
            .arg(envoy)
            .args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning", "-c"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log)?)
            .spawn()?;
        let mut envoy = Self { case: case.clone(), paths, process };
        let deadline = Instant::now() + START;
        while !ready(admin) {
            let ended = envoy.process.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let log = std::fs::read_to_string(&log).unwrap_or_default();
                return Err(format!("Envoy did not start for \"{}\":\n{log}", case.title).into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(envoy)
    }

    /// The CPU time that the worker thread has used.
    pub fn worker_cpu(&self) -> Result<Duration> {
        for entry in std::fs::read_dir(format!("/proc/{}/task", self.process.id()))? {
            let task = entry?.path();
            let name = std::fs::read_to_string(task.join("comm")).unwrap_or_default();
            if name.trim() == "wrk:worker_0" {
                // Nanoseconds on the CPU; `stat` counts in hundredths of a second.
                let text = std::fs::read_to_string(task.join("schedstat"))?;
                let ns = text.split(' ').next().unwrap_or_default().parse()?;
                return Ok(Duration::from_nanos(ns));
            }
        }
        Err("Envoy has no worker thread".into())
    }

    /// Resident memory of the process, in kB.
    pub fn resident_kb(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next()).unwrap_or("0");
        Ok(number.parse()?)
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn ready(admin: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(("127.0.0.1", admin))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(b"GET /ready HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer)?;
        Ok(answer.ends_with(b"200"))
    };
    ask().unwrap_or(false)
}

fn bootstrap(case: &Case, port: u16, admin: u16) -> Value {
    let address =
        |port: u16| json!({"socket_address": {"address": "127.0.0.1", "port_value": port}});
    let mut filters = case.filters.clone();
    filters.push(json!({
        "name": "envoy.filters.http.router",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
        },
    }));
    let tag = |name: &str| json!({"tag_name": name, "regex": format!(r"({name}=\.=(.*?);\.;)")});
    let tags = [
        "method",
        "endpoint",
        "status",
        "type",
        "decision",
        "metric",
        "label",
        "shard",
        "outcome",
        "operation",
        "hit",
    ];
    let headers = case.response_headers.iter();
    let headers: Vec<Value> =
        headers.map(|(key, value)| json!({"header": {"key": key, "value": value}})).collect();
    json!({
        "admin": {"address": address(admin)},
        "stats_config": {"stats_tags": tags.map(tag)},
        "static_resources": {"listeners": [{
            "name": "bench",
            "address": address(port),
            "filter_chains": [{"filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                    "stat_prefix": "bench",
                    "access_log": case.access_log,
                    "http_filters": filters,
                    "route_config": {"virtual_hosts": [{
                        "name": "all",
                        "domains": ["*"],
                        "routes": [{
                            "match": {"prefix": "/"},
                            "response_headers_to_add": headers,
                            "direct_response": {"status": 200, "body": {"inline_string": "ok\n"}},
                        }],
                    }]},
                },
            }]}],
        }]},
    })
}
