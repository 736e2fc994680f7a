//! The rules.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use route_metrics::command::envoy_config::buckets;
use route_metrics::command::stack::RuleFile;
use serde_json::json;

use crate::support::{promtool, rules, variants};

fn alerts(file: &RuleFile) -> BTreeSet<String> {
    file.groups
        .iter()
        .flat_map(|group| &group.rules)
        .filter_map(|rule| rule.alert.clone())
        .collect()
}

fn text(file: &RuleFile) -> String {
    file.yaml().unwrap()
}

#[test]
fn promtool_accepts_the_rules_of_every_configuration() {
    for (name, configuration) in variants() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("rules.yaml"), text(&rules(&configuration))).unwrap();
        let said = promtool(directory.path(), &["check", "rules", "rules.yaml"]);
        assert!(said.contains("SUCCESS"), "{name}: {said}");
    }
}

/// The shipped configurations of Prometheus, beside the files that they name.
#[test]
fn promtool_accepts_the_configurations_of_prometheus() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("envoy/prometheus");
    let directory = tempfile::tempdir().unwrap();
    for file in ["password", "remote-write-password", "ca.pem", "prometheus.pem", "prometheus.key"]
    {
        fs::write(directory.path().join(file), "x").unwrap();
    }
    fs::write(directory.path().join("targets.json"), r#"[{"targets": ["127.0.0.1:9902"]}]"#)
        .unwrap();
    let mut names = Vec::new();
    for entry in fs::read_dir(&shipped).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        fs::copy(entry.path(), directory.path().join(&name)).unwrap();
        names.push(name);
    }
    names.retain(|name| name.ends_with(".yml"));
    // What is to be added to the first one.
    let read = |name: &str| fs::read_to_string(shipped.join(name)).unwrap();
    let both = format!("{}\n{}", read("prometheus.yml"), read("remote-write.yml"));
    fs::write(directory.path().join("both.yml"), both).unwrap();
    names.push("both.yml".to_owned());
    assert_eq!(names.len(), 6);
    for name in names {
        let said = promtool(directory.path(), &["check", "config", &name]);
        assert!(said.contains("SUCCESS"), "{name}: {said}");
    }
}

#[test]
fn each_alert_fires_when_it_should_and_not_otherwise() {
    let directory = tempfile::tempdir().unwrap();
    let file = rules(&json!({}));
    fs::write(directory.path().join("rules.yaml"), text(&file)).unwrap();
    let mut all = String::new();
    for name in ["alerts.yaml", "alerts-series.yaml", "alerts-days.yaml"] {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shipped").join(name);
        fs::copy(&tests, directory.path().join(name)).unwrap();
        all.push_str(&fs::read_to_string(tests).unwrap());
        promtool(directory.path(), &["test", "rules", name]);
    }
    for alert in alerts(&file) {
        assert!(all.contains(&alert), "{alert} has no test");
    }
}

#[test]
fn every_alert_says_what_to_do_and_where_to_look() {
    for group in rules(&json!({"namespace": "shop"})).groups {
        for rule in group.rules.iter().filter(|rule| rule.alert.is_some()) {
            for key in ["summary", "description", "runbook", "dashboard"] {
                assert!(rule.annotations.contains_key(key), "{:?}: {key}", rule.alert);
            }
            assert_eq!(rule.labels["metrics_namespace"], "shop");
            assert!(["page", "ticket"].contains(&rule.labels["severity"].as_str()));
            assert!(rule.annotations["dashboard"].contains("/d/shop-route-metrics"));
        }
    }
}

#[test]
fn rules_need_no_label_or_metric_that_is_not_recorded() {
    for (name, needed, missing) in [
        ("no labels", &["RouteMetricsLatencyHigh"][..], &["RouteMetricsErrorBudgetBurn"][..]),
        ("no endpoint", &["RouteMetricsErrorBudgetBurn", "RouteMetricsLatencyHigh"], &[]),
        ("no counter", &["RouteMetricsLatencyHigh"], &["RouteMetricsErrorBudgetBurn"]),
        ("no histogram", &["RouteMetricsErrorBudgetBurn"], &["RouteMetricsLatencyHigh"]),
    ] {
        let (_, configuration) = variants().into_iter().find(|(n, _)| *n == name).unwrap();
        let file = rules(&configuration);
        let alerts = alerts(&file);
        for alert in needed {
            assert!(alerts.contains(*alert), "{name}: {alert}");
        }
        for alert in missing {
            assert!(!alerts.contains(*alert), "{name}: {alert}");
        }
        let text = text(&file);
        let words: &[&str] = match name {
            "no labels" => &["endpoint=", "status=", ", endpoint"],
            "no endpoint" => &["endpoint=", ", endpoint"],
            "no counter" => &["http_requests_total"],
            _ => &["duration"],
        };
        for word in words {
            assert!(!text.contains(word), "{name}: {word}");
        }
    }
}

#[test]
fn labels_are_called_as_the_configuration_calls_them() {
    let (_, configuration) = variants().into_iter().find(|(n, _)| *n == "other names").unwrap();
    let text = text(&rules(&configuration));
    assert!(text.contains("sum by (job, route)") && text.contains(r#"class=~"5..""#), "{text}");
    assert!(
        text.contains(r#"{route!="_UNMATCHED"}"#) && text.contains("var-endpoint={{ $labels.route")
    );
}

#[test]
fn each_bucket_of_the_bootstrap_has_its_rule() {
    for (unit, name, scale) in [
        ("microseconds", "http_request_duration_microseconds", 1e6),
        ("milliseconds", "http_request_duration_milliseconds", 1e3),
    ] {
        let file = rules(&json!({"metrics": {"request_duration": {"unit": unit}}}));
        let record = Some("http_request_duration_seconds_bucket".to_owned());
        let rules: Vec<_> = file.groups[0].rules.iter().filter(|r| r.record == record).collect();
        let bounds: Vec<f64> =
            rules.iter().map(|r| r.labels["le"].parse().unwrap_or(f64::INFINITY)).collect();
        let expected: Vec<f64> = buckets(name)
            .unwrap()
            .bounds
            .iter()
            .map(|&b| b as f64 / scale)
            .chain([f64::INFINITY])
            .collect();
        assert_eq!(bounds, expected);
    }
}
