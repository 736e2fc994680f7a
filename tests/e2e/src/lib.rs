//! A harness that starts real Envoys with the filter and shows what a scrape of them says.
//!
//! ```no_run
//! use route_metrics_e2e::{Answer, Request, Setup, Upstream, http1};
//! use serde_json::json;
//!
//! let upstream = Upstream::start();
//! let envoy = Setup::new(upstream.address())
//!     .filter(json!({"endpoint": {"templates": ["/users/{id}"]}}))
//!     .start();
//! let request = Request::get("/users/7").answer(&Answer::new().status(404).size(100));
//! assert_eq!(http1::send(envoy.address(), &request).unwrap().status, 404);
//! let labels = [("method", "GET"), ("endpoint", "/users/{id}"), ("status", "404")];
//! assert_eq!(envoy.scrape().value("http_requests_total", &labels), Some(1.0));
//! ```
//!
//! The module and the command are those of `make build`, the Envoys those of `make envoys`; see
//! [`Binary`] for how to choose another one.

pub mod config;
pub mod django;
pub mod envoy;
pub mod expect;
pub mod grpc;
pub mod http;
pub mod http1;
pub mod http2;
pub mod http2_frames;
pub mod prometheus;
pub mod scrape;
pub mod tcp;
pub mod upstream;
pub mod wait;

#[cfg(test)]
mod tests;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

pub use config::{Form, Host, Plugin, Setup, Stats};
pub use envoy::{Binary, Envoy};
pub use http::{NoResponse, Request, Response};
pub use prometheus::Prometheus;
pub use scrape::Scrape;
pub use upstream::{Answer, Upstream};

/// Runs the command `route-metrics` with these arguments and this input, and returns what it
/// prints; panics with its complaints where it fails.
pub fn command(arguments: &[&str], input: Vec<u8>) -> Vec<u8> {
    let program = repository().join("dist/route-metrics");
    let mut child = Command::new(&program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}; run `make build`", program.display()));
    let mut stdin = child.stdin.take().expect("standard input is a pipe");
    // The command prints while it reads, so both ends must move at once.
    let feeder = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("the command can be waited for");
    let _ = feeder.join();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "route-metrics {arguments:?}: {complaints}");
    output.stdout
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    root.canonicalize().expect("the sources are where they were built")
}

/// A file of the folder that `ROUTE_METRICS_CORPORA` names, for tests that ask for more than a clone has;
/// `make test-corpora` sets it.
#[track_caller]
pub fn corpus(file: &str) -> String {
    let folder = std::env::var_os("ROUTE_METRICS_CORPORA")
        .expect("ROUTE_METRICS_CORPORA names the folder of the corpora");
    let path = PathBuf::from(folder).join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A new directory under `target/e2e`, removed with the value.
pub(crate) fn temporary_directory(prefix: &str) -> TempDir {
    let parent = repository().join("target/e2e");
    std::fs::create_dir_all(&parent).expect("target/ is writable");
    tempfile::Builder::new().prefix(prefix).tempdir_in(parent).expect("target/ is writable")
}
