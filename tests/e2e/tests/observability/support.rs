//! Programs that run what the command has printed.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use route_metrics_e2e::prometheus::free_address;
use route_metrics_e2e::wait::eventually;
use route_metrics_e2e::{Binary, Host, Plugin, Request, command, http1};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A program that is stopped when dropped.
pub struct Program {
    child: Child,
    log: std::path::PathBuf,
}

impl Program {
    /// Starts it, with its words in a file of the directory.
    pub fn start(command: &mut Command, directory: &Path) -> Self {
        let log = directory.join("program.log");
        let file = File::create(&log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child, log }
    }

    /// What it has written.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(id) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(id, Signal::TERM);
        }
        let _ = self.child.wait();
    }
}

/// An Envoy with the configuration that `route-metrics envoy` prints, for the host of the tests.
pub struct Printed {
    pub traffic: SocketAddr,
    pub metrics: SocketAddr,
    pub configuration: String,
    program: Program,
    _directory: TempDir,
}

impl Printed {
    /// Prints with further arguments, starts, and waits until it takes connections.
    #[track_caller]
    pub fn start(plugin: &Value, upstream: SocketAddr, arguments: &[&str]) -> Self {
        Self::start_in(&Binary::default(), plugin, upstream, arguments)
    }

    /// The same in this Envoy.
    #[track_caller]
    pub fn start_in(
        binary: &Binary,
        plugin: &Value,
        upstream: SocketAddr,
        arguments: &[&str],
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (traffic, metrics, admin) = (free_address(), free_address(), free_address());
        let module = Plugin::new(json!({})).module;
        let ports = [traffic, metrics, admin].map(|address| address.port().to_string());
        let upstream = upstream.to_string();
        let mut all = vec!["envoy", "-", "--upstream", &upstream, "--address", "127.0.0.1"];
        all.extend(["--port", &ports[0], "--metrics-port", &ports[1], "--admin-port", &ports[2]]);
        all.extend(["--module", module.to_str().unwrap()]);
        all.extend((Host::default() == Host::Native).then_some("--native"));
        all.extend(arguments);
        let printed = command(&all, plugin.to_string().into_bytes());
        let file = directory.path().join("envoy.yaml");
        fs::write(&file, &printed).unwrap();
        let mut envoy = Command::new(&binary.path);
        envoy.arg("--config-path").arg(file);
        envoy.args(["--concurrency", "2", "--disable-hot-restart", "--log-level", "warning"]);
        let program = Program::start(&mut envoy, directory.path());
        eventually("Envoy", || match http1::send(admin, &Request::get("/ready")) {
            Ok(response) if response.status == 200 => Ok(()),
            _ => Err(program.log()),
        });
        let configuration = String::from_utf8(printed).unwrap();
        Self { traffic, metrics, configuration, program, _directory: directory }
    }

    /// What Envoy has warned of.
    pub fn warnings(&self) -> String {
        self.program.log()
    }
}

/// Percent-encodes a text for a query.
pub fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}
