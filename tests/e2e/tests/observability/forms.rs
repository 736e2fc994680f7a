//! What `route-metrics envoy` prints starts in each version of Envoy, without a warning.

use route_metrics::command::envoy_config::EnvoyVersion;
use route_metrics_e2e::{Binary, Host, Request, Scrape, Upstream, http1};
use serde_json::json;

use crate::support::Printed;

const DEPRECATED: &str = "PluginConfig.capability_restriction_config";

/// Starts with these arguments, has a request counted, and returns what Envoy has warned of.
fn warnings(binary: &Binary, arguments: &[&str]) -> String {
    let upstream = Upstream::start();
    let envoy = Printed::start_in(binary, &json!({}), upstream.address(), arguments);
    assert_eq!(http1::send(envoy.traffic, &Request::get("/users/1")).unwrap().status, 200);
    let scrape = Request::get("/stats/prometheus");
    let scrape = Scrape::parse(&http1::send(envoy.metrics, &scrape).unwrap().body).unwrap();
    let labels = [("method", "GET"), ("endpoint", "/users/{id}"), ("status", "200")];
    assert_eq!(scrape.value("http_requests_total", &labels), Some(1.0));
    envoy.warnings()
}

#[test]
fn each_version_takes_its_own_form_without_a_warning() {
    for binary in Binary::tested() {
        let form = ["--envoy-version", &binary.version, "--needed-only"];
        assert_eq!(warnings(&binary, &form[..2]), "", "{binary}");
        // The dynamic module may do whatever Envoy may.
        if Host::default() == Host::Wasm {
            assert_eq!(warnings(&binary, &form), "", "{binary}");
        }
    }
}

/// The form without a version, which is that of `envoy/envoy.yaml`, works everywhere.
#[test]
fn the_form_for_all_starts_everywhere() {
    for binary in Binary::tested() {
        let version: EnvoyVersion = binary.version.parse().unwrap();
        let warnings = warnings(&binary, &[]);
        let restricts = Host::default() == Host::Wasm && version.restricts_vms();
        assert_eq!(warnings.contains(DEPRECATED), restricts, "{binary}: {warnings}");
        assert!(warnings.lines().all(|line| line.contains(DEPRECATED)), "{binary}: {warnings}");
    }
}
