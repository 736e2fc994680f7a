//! The files in `envoy/` and `docs/` that the command prints are what it prints. `make generate`
//! prints them again.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Each file, and what prints it.
const FILES: [(&str, &[&str]); 12] = [
    ("envoy/envoy.yaml", &["envoy", "envoy/plugin.json", "--upstream", "127.0.0.1:10080"]),
    ("envoy/bootstrap.yaml", &["bootstrap", "envoy/plugin.json"]),
    ("envoy/istio.yaml", &["bootstrap", "--istio", "envoy/plugin.json"]),
    ("envoy/gateway.yaml", &["bootstrap", "--gateway", "envoy/plugin.json"]),
    ("envoy/prometheus/rules.yaml", &["rules", "envoy/plugin.json"]),
    ("envoy/grafana/dashboards/requests.json", &["dashboard", "envoy/plugin.json"]),
    ("envoy/examples/saas-bootstrap.yaml", &["bootstrap", "envoy/examples/saas.json"]),
    ("envoy/examples/saas-rules.yaml", &["rules", "envoy/examples/saas.json"]),
    ("envoy/examples/saas-dashboard.json", &["dashboard", "envoy/examples/saas.json"]),
    ("envoy/plugin.schema.json", &["schema"]),
    ("docs/configuration.md", &["schema", "--markdown"]),
    ("docs/preview.md", &["preview", "--formats"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn printed(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_route-metrics"))
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// A file as it is to be: what is printed, below a line that says how where the format has comments.
fn expected(file: &str, arguments: &[&str]) -> String {
    let text = printed(arguments);
    match file.ends_with(".yaml") {
        true => format!("# Printed by: route-metrics {}\n{text}", arguments.join(" ")),
        false => text,
    }
}

#[test]
fn printed_files_are_what_the_command_prints() {
    let generate = std::env::var_os("GENERATE").is_some();
    let mut different = Vec::new();
    for (file, arguments) in FILES {
        let path: PathBuf = root().join(file);
        let expected = expected(file, arguments);
        if generate {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &expected).unwrap();
        }
        if std::fs::read_to_string(&path).ok().as_ref() != Some(&expected) {
            different.push(file);
        }
    }
    assert!(different.is_empty(), "{different:?} are not what is printed; run `make generate`");
}

#[test]
fn printed_yaml_parses_and_holds_the_plugin() {
    for (file, arguments) in FILES.iter().filter(|(file, _)| file.ends_with(".yaml")) {
        let text = printed(arguments);
        let documents = route_metrics::command::envoy_config::yaml(text.as_bytes()).unwrap();
        assert!(documents.iter().all(serde_json::Value::is_object), "{file}");
    }
    let plugins =
        route_metrics::command::envoy_config::plugins(printed(FILES[0].1).as_bytes()).unwrap();
    let [plugin] = &plugins[..] else { panic!("{plugins:?}") };
    assert_eq!(plugin.configuration.trim_ascii(), b"{}");
}
