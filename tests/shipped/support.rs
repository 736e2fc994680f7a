//! Configurations, and the programs that check.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use route_metrics::command::stack::{Families, RuleFile, RuleOptions, rule_file};
use route_metrics::config::parse;
use route_metrics::plan::{Capacity, compile};
use serde_json::{Value, json};
use tempfile::TempDir;

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

/// The folder of the npm packages in which products publish what they read.
#[track_caller]
pub fn published_modules() -> PathBuf {
    let published = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shipped/published");
    let modules = published.join("node_modules");
    let found = modules.join("dclint").exists();
    assert!(found, "run `npm ci` in {} (`make stack-tools` does)", published.display());
    modules
}

/// TypeScript's compiler beside the published types.
pub struct Published(TempDir);

impl Published {
    /// A folder of its own, with the types of the packages.
    #[track_caller]
    pub fn new() -> Self {
        let modules = published_modules();
        let directory = tempfile::tempdir().unwrap();
        for file in ["checked.ts", "tsconfig.json"] {
            fs::copy(modules.parent().unwrap().join(file), directory.path().join(file)).unwrap();
        }
        symlink(&modules, directory.path().join("node_modules")).unwrap();
        Self(directory)
    }

    /// Whether a program fits the types, and what the compiler said.
    pub fn compile(&self, program: &str) -> (bool, String) {
        fs::write(self.0.path().join("program.ts"), program).unwrap();
        let compiler = self.0.path().join("node_modules/.bin/tsc");
        let output = Command::new(compiler).args(["-p", "."]).current_dir(&self.0).output();
        let output = output.unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
