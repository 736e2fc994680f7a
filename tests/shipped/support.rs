//! Configurations, and the programs that check.

use std::path::Path;
use std::process::Command;

use route_metrics::command::stack::{Families, RuleFile, RuleOptions, rule_file};
use route_metrics::config::parse;
use route_metrics::plan::{Capacity, compile};
use serde_json::{Value, json};

/// The families of a configuration.
pub fn families(configuration: &Value) -> Families {
    let config = parse(configuration.to_string().as_bytes()).unwrap();
    let plan = compile(&config, Capacity::Checked).unwrap();
    Families::new(&config, &plan)
}

/// The rules of a configuration.
pub fn rules(configuration: &Value) -> RuleFile {
    rule_file(&families(configuration), &RuleOptions::default())
}

/// Configurations that differ in what rules and dashboard hang on.
pub fn variants() -> Vec<(&'static str, Value)> {
    let metrics = |metrics: Value| json!({"metrics": metrics});
    vec![
        ("default", json!({})),
        ("namespace", json!({"namespace": "django"})),
        ("milliseconds", metrics(json!({"request_duration": {"unit": "milliseconds"}}))),
        (
            "no labels",
            metrics(json!({
                "requests_total": {"labels": []}, "request_duration": {"labels": []},
            })),
        ),
        (
            "no endpoint",
            metrics(json!({
                "requests_total": {"labels": ["status"]}, "request_duration": {"labels": ["method"]},
            })),
        ),
        (
            "other names",
            json!({
                "labels": {"route": {"from": "endpoint"}, "class": {"from": "status_class"}},
                "metrics": {
                    "requests_total": {"labels": ["route", "class"]},
                    "request_duration": {"labels": ["route"]},
                },
            }),
        ),
        ("no counter", metrics(json!({"requests_total": {"enabled": false}}))),
        ("no histogram", metrics(json!({"request_duration": {"enabled": false}}))),
        ("off", json!({"enabled": false})),
        ("example", serde_json::from_str(include_str!("../../envoy/examples/saas.json")).unwrap()),
    ]
}

/// Runs `promtool` (Debian package `prometheus`) in a directory; panics with what it says where it
/// is not content.
#[track_caller]
pub fn promtool(directory: &Path, arguments: &[&str]) -> String {
    let program = std::env::var_os("PROMTOOL").unwrap_or_else(|| "promtool".into());
    let output = Command::new(&program)
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}; install Prometheus", program.display()));
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success(), "promtool {arguments:?}: {text}");
    text
}
