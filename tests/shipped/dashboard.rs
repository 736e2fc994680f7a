//! The dashboard.

use std::collections::BTreeSet;
use std::fs;

use route_metrics::command::stack::dashboard;
use serde_json::{Value, json};

use crate::support::{Published, families, promtool, variants};

fn printed(configuration: &Value) -> Value {
    dashboard(&families(configuration))
}

/// The panels that are not rows.
fn panels(dashboard: &Value) -> Vec<&Value> {
    let all = dashboard["panels"].as_array().unwrap();
    all.iter().filter(|panel| panel["type"] != "row").collect()
}

fn queries(dashboard: &Value) -> Vec<&str> {
    let targets = panels(dashboard).into_iter().flat_map(|p| p["targets"].as_array().unwrap());
    targets.map(|target| target["expr"].as_str().unwrap()).collect()
}

fn titles(dashboard: &Value) -> BTreeSet<&str> {
    panels(dashboard).into_iter().map(|panel| panel["title"].as_str().unwrap()).collect()
}

/// Grafana publishes its schema as types of TypeScript, so the dashboards of all configurations
/// are literals of those types in one program, and the compiler is asked.
#[test]
fn dashboards_fit_the_published_types_of_grafana() {
    let published = Published::new();
    let mut program = "import type { CheckedDashboard } from './checked';\n".to_owned();
    for (index, (_, configuration)) in variants().iter().enumerate() {
        let literal = printed(configuration);
        program.push_str(&format!("export const d{index}: CheckedDashboard = {literal};\n"));
    }
    let (fits, said) = published.compile(&program);
    assert!(fits, "{said}");
    // The types do refuse what Grafana would not understand.
    for (right, wrong) in
        [("\"displayMode\":\"table\"", "\"displayMode\":\"tabel\""), ("\"expr\":", "\"query\":")]
    {
        assert!(program.contains(right));
        assert!(!published.compile(&program.replacen(right, wrong, 1)).0, "{wrong} is accepted");
    }
}

#[test]
fn every_panel_has_a_unit_a_description_and_a_place() {
    for (name, configuration) in variants() {
        let dashboard = printed(&configuration);
        let mut ids = BTreeSet::new();
        let mut taken = BTreeSet::new();
        for panel in dashboard["panels"].as_array().unwrap() {
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{name}: {}", panel["id"]);
            let place = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            assert!(place("x") + place("w") <= 24, "{name}: {}", panel["title"]);
            for x in place("x")..place("x") + place("w") {
                for y in place("y")..place("y") + place("h") {
                    assert!(taken.insert((x, y)), "{name}: {} overlaps", panel["title"]);
                }
            }
        }
        for panel in panels(&dashboard) {
            let text = |value: &Value| value.as_str().unwrap_or_default().len();
            assert!(text(&panel["description"]) > 10, "{name}: {}", panel["title"]);
            assert!(text(&panel["fieldConfig"]["defaults"]["unit"]) > 0, "{}", panel["title"]);
            assert_eq!(panel["datasource"]["uid"], "${datasource}");
        }
    }
}

#[test]
fn rates_follow_the_resolution_of_the_view() {
    for (_, configuration) in variants() {
        for query in queries(&printed(&configuration)) {
            let ranges = query.matches('[').count();
            assert_eq!(ranges, query.matches("[$__rate_interval]").count(), "{query}");
            let functions = ["rate(", "min_over_time("].map(|name| query.matches(name).count());
            assert_eq!(ranges, functions.iter().sum::<usize>(), "{query}");
        }
    }
}

/// `promtool` parses the queries as if they were recording rules.
#[test]
fn every_query_is_promql() {
    let directory = tempfile::tempdir().unwrap();
    let mut rules = Vec::new();
    for (_, configuration) in variants() {
        for query in queries(&printed(&configuration)) {
            let query = query.replace("$__rate_interval_ms", "300000");
            let query = query.replace("$__rate_interval", "5m");
            rules.push(json!({"record": format!("q{}", rules.len()), "expr": query}));
        }
    }
    let file = json!({"groups": [{"name": "queries", "rules": rules}]});
    fs::write(directory.path().join("rules.yaml"), file.to_string()).unwrap();
    promtool(directory.path(), &["check", "rules", "rules.yaml"]);
}

#[test]
fn what_an_operator_looks_for_is_there() {
    let dashboard = printed(&json!({}));
    let titles = titles(&dashboard);
    for title in [
        "Total request rate",
        "Request rate by method",
        "Request rate by status",
        "Latency",
        "Error rate",
        "Active requests",
        "Top 10 endpoints",
        "Exceptions by type",
        "Response size",
        "Label values against limit",
        "Values that wait for a place",
        "Series against limit",
        "Overflow",
        "Sampling rate",
        "VM reloads",
    ] {
        assert!(titles.contains(title), "{title} in {titles:?}");
    }
    let variables: Vec<_> =
        dashboard["templating"]["list"].as_array().unwrap().iter().map(|v| &v["name"]).collect();
    assert_eq!(variables, ["datasource", "job", "instance", "endpoint"]);
}

#[test]
fn declared_metrics_have_panels() {
    let metric = |name: &str, kind: &str| json!({"name": name, "type": kind, "source": "event", "labels": {"plan": {}}});
    let dashboard = printed(&json!({
        "namespace": "shop",
        "detailed": {"enabled": true},
        "events": {"path": "/-/events"},
        "custom_metrics": [
            metric("orders_total", "counter"),
            metric("stock_items", "gauge"),
            metric("job_duration_milliseconds", "histogram"),
        ],
    }));
    let titles = titles(&dashboard);
    for title in [
        "orders_total",
        "stock_items",
        "job_duration_milliseconds",
        "Requests by organisation",
        "Requests by user",
    ] {
        assert!(titles.contains(title), "{title} in {titles:?}");
    }
    let all = queries(&dashboard).join("\n");
    assert!(all.contains("sum by (plan) (rate(orders_total{"), "{all}");
    assert!(all.contains("job_duration_milliseconds_bucket{"), "{all}");
}

#[test]
fn panels_ask_for_no_label_that_is_not_recorded() {
    let (_, configuration) = variants().into_iter().find(|(n, _)| *n == "no labels").unwrap();
    let dashboard = printed(&configuration);
    let of_requests: Vec<_> = queries(&dashboard)
        .into_iter()
        .filter(|query| query.contains("http_requests_total") || query.contains("duration"))
        .collect();
    assert!(!of_requests.is_empty());
    for query in of_requests {
        for label in ["endpoint", "status", "method"] {
            assert!(!query.contains(label) || query.contains("instance_endpoint:"), "{query}");
        }
    }
}

#[test]
fn panels_and_alerts_know_each_other() {
    let dashboard = printed(&json!({}));
    let rules = crate::support::rules(&json!({}));
    let alerts: BTreeSet<_> =
        rules.groups.iter().flat_map(|g| &g.rules).filter_map(|rule| rule.alert.clone()).collect();
    let links = panels(&dashboard)
        .into_iter()
        .flat_map(|p| p["links"].as_array().cloned().unwrap_or_default());
    let linked: BTreeSet<_> = links
        .map(|link| link["url"].as_str().unwrap().rsplit(':').next().unwrap().to_owned())
        .filter(|name| name != "RouteMetrics")
        .collect();
    assert_eq!(linked, alerts);
    for rule in rules.groups.iter().flat_map(|g| &g.rules).filter(|rule| rule.alert.is_some()) {
        let uid = format!("/d/{}", dashboard["uid"].as_str().unwrap());
        assert!(rule.annotations["dashboard"].contains(&uid));
    }
}
