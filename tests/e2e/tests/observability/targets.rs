//! Labels that Prometheus' Operator gives to targets, and the filter's labels of the same name.

use std::collections::BTreeSet;
use std::fs;

use route_metrics::command::envoy_config::yaml;
use route_metrics_e2e::prometheus::Prometheus;
use route_metrics_e2e::wait::eventually;
use route_metrics_e2e::{Request, Upstream, command, http1, repository};
use serde_json::{Value, json};

use crate::support::{Printed, encoded};

/// The values of a label in what a query finds.
fn values(prometheus: &Prometheus, query: &str, label: &str) -> BTreeSet<String> {
    let found = prometheus.ask(&format!("/api/v1/query?query={}", encoded(query)));
    let series = found["data"]["result"].as_array().cloned().unwrap_or_default();
    let value = |series: &Value| series["metric"][label].as_str().map(str::to_owned);
    series.iter().filter_map(value).collect()
}

fn set(values: &[&str]) -> BTreeSet<String> {
    values.iter().map(|&value| value.to_owned()).collect()
}

/// What a shipped file says at a place.
fn shipped(file: &str, pointer: &str) -> Value {
    let documents = yaml(&fs::read(repository().join(file)).unwrap()).unwrap();
    documents[0].pointer(pointer).cloned().unwrap_or_default()
}

/// A `PodMonitor` with a named port makes such targets: `endpoint` is the port's name.
#[test]
fn the_endpoint_of_the_operator_does_not_hide_ours() {
    let upstream = Upstream::start();
    let envoy = Printed::start(&json!({}), upstream.address(), &[]);
    let send = |path: &str| {
        assert_eq!(http1::send(envoy.traffic, &Request::get(path)).unwrap().status, 200);
    };
    send("/users/7");
    send("/orders/8/items");
    let monitor = "envoy/kubernetes/podmonitor.yaml";
    let honored = shipped(monitor, "/spec/podMetricsEndpoints/0/honorLabels");
    // What the Operator makes of it without that line.
    let honored = if honored.is_null() { json!(false) } else { honored };
    let job = |name: &str, honor: Value| {
        json!({
            "job_name": name,
            "honor_labels": honor,
            "static_configs": [{
                "targets": [envoy.metrics],
                "labels": {
                    "endpoint": "metrics", "namespace": "shop", "pod": "shop-1", "container": "envoy",
                },
            }],
        })
    };
    let rules = String::from_utf8(command(&["rules", "-"], b"{}".to_vec())).unwrap();
    let jobs = vec![job("kept", honored), job("renamed", json!(false))];
    let prometheus = Prometheus::with(jobs, &rules, &[]);
    let endpoints = set(&["/users/{id}", "/orders/{id}/items"]);
    let recording = |job: &str| {
        values(&prometheus, &format!("endpoint:http_requests:rate5m{{job=\"{job}\"}}"), "endpoint")
    };
    eventually("the recordings", || {
        // A rate needs two scrapes.
        let found = (recording("kept"), recording("renamed"));
        if found.0 == endpoints && !found.1.is_empty() { Ok(()) } else { Err(format!("{found:?}")) }
    });
    let of = |job: &str, label: &str| {
        values(&prometheus, &format!("http_requests_total{{job=\"{job}\"}}"), label)
    };
    assert_eq!(
        (of("kept", "endpoint"), of("kept", "exported_endpoint")),
        (endpoints.clone(), set(&[]))
    );
    // The target's others are still there, so a proxy can be told from another.
    assert_eq!(of("kept", "pod"), set(&["shop-1"]));
    // What the table of troubles says: ours under another name, and the port's name in rules.
    assert_eq!(
        (of("renamed", "endpoint"), of("renamed", "exported_endpoint")),
        (set(&["metrics"]), endpoints)
    );
    eventually("the port's name in rules", || {
        let found = recording("renamed");
        if found == set(&["metrics"]) { Ok(()) } else { Err(format!("{found:?}")) }
    });
}
