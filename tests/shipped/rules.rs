//! The rules.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use route_metrics::command::envoy_config::{StatsConfig, yaml};
use route_metrics::command::stack::RuleFile;
use route_metrics::config::parse;
use serde_json::{Value, json};

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

/// The bounds of a histogram in the printed bootstrap.
fn bootstrap(configuration: &Value, stat: &str) -> Vec<u64> {
    let config = parse(configuration.to_string().as_bytes()).unwrap();
    let printed = StatsConfig::new(&config).unwrap().yaml();
    let document = yaml(printed.as_bytes()).unwrap().remove(0);
    let settings = document["stats_config"]["histogram_bucket_settings"].as_array().unwrap();
    let of = |entry: &&Value| {
        let matcher = &entry["match"];
        matcher["prefix"] == format!("wasmcustom.{stat}.")
            || matcher["exact"] == format!("wasmcustom.{stat}")
    };
    let found: Vec<_> = settings.iter().filter(of).collect();
    assert_eq!(found.len(), 1, "{printed}");
    found[0]["buckets"].as_array().unwrap().iter().map(|bound| bound.as_u64().unwrap()).collect()
}

/// What is written here is what users know: the default of the documentation, and their own.
#[test]
fn bootstrap_and_rules_have_the_buckets_of_the_configuration() {
    let seconds = [
        "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.075", "0.1", "0.25", "0.5", "0.75",
        "1", "2.5", "5", "7.5", "10", "30", "+Inf",
    ];
    let whole = seconds.iter().filter(|le| **le != "0.0025").copied().collect();
    for (unit, buckets, bounds, expected) in [
        ("microseconds", None, None, seconds.to_vec()),
        ("milliseconds", None, None, whole),
        (
            "microseconds",
            Some(json!([200, 30000, 1200000])),
            Some([200, 30_000, 1_200_000]),
            vec!["0.0002", "0.03", "1.2", "+Inf"],
        ),
        (
            "milliseconds",
            Some(json!([2, 30, 120_000])),
            Some([2, 30, 120_000]),
            vec!["0.002", "0.03", "120", "+Inf"],
        ),
    ] {
        let configuration = json!({
            "namespace": "shop",
            "metrics": {"request_duration": {"unit": unit, "buckets": buckets}},
        });
        let record = Some("shop_http_request_duration_seconds_bucket".to_owned());
        let file = rules(&configuration);
        let rules: Vec<_> = file.groups[0].rules.iter().filter(|r| r.record == record).collect();
        let found: Vec<_> = rules.iter().map(|rule| rule.labels["le"].as_str()).collect();
        assert_eq!(found, expected, "{configuration}");
        let set = bootstrap(&configuration, &format!("shop_http_request_duration_{unit}"));
        assert_eq!(set.len() + 1, expected.len());
        if let Some(bounds) = bounds {
            assert_eq!(set, bounds);
        }
    }
    let configuration = json!({
        "metrics": {"response_size": {"buckets": [7, 8]}, "request_size": {"enabled": true, "buckets": [9]}},
        "custom_metrics": [
            {"name": "app_rows", "type": "histogram", "buckets": [1, 10]},
            {"name": "app_task_milliseconds", "type": "histogram", "labels": {"m": {"from": "method"}}},
        ],
    });
    assert_eq!(bootstrap(&configuration, "http_response_size_bytes"), [7, 8]);
    assert_eq!(bootstrap(&configuration, "http_request_size_bytes"), [9]);
    assert_eq!(bootstrap(&configuration, "app_rows"), [1, 10]);
    assert_eq!(bootstrap(&configuration, "app_task_milliseconds")[..3], [1, 5, 10]);
}

/// A quantile is at most the highest bound, so an alert that asks for more would never fire.
#[test]
fn latency_beyond_the_highest_bucket_alerts() {
    let configuration = json!({"metrics": {"request_duration": {"buckets": [100000, 500000]}}});
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("rules.yaml"), text(&rules(&configuration))).unwrap();
    let bucket = |le: &str, step: u32| {
        let labels = format!(r#"job="e", instance="a", method="GET", endpoint="/slow", le="{le}""#);
        let series = format!("http_request_duration_microseconds_bucket{{{labels}}}");
        json!({"series": series, "values": format!("0+{step}x40")})
    };
    let count = r#"http_request_duration_microseconds_count{job="e", instance="a", method="GET", endpoint="/slow"}"#;
    let tests = json!({
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [{
            "interval": "1m",
            // Everything takes longer than the highest bound.
            "input_series": [
                bucket("100000", 0), bucket("500000", 0), bucket("+Inf", 600),
                {"series": count, "values": "0+600x40"},
            ],
            "promql_expr_test": [{
                "expr": r#"count(ALERTS{alertname="RouteMetricsLatencyHigh", alertstate="firing"})"#,
                "eval_time": "30m",
                "exp_samples": [{"labels": "{}", "value": 1}],
            }],
        }],
    });
    fs::write(directory.path().join("tests.yaml"), tests.to_string()).unwrap();
    promtool(directory.path(), &["test", "rules", "tests.yaml"]);
}
