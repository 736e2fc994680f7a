//! The files in `envoy/` and `docs/` that the command prints are what it prints, and the plot of costs
//! is of the table beside it. `make generate` prints them again.

use std::path::{Path, PathBuf};
use std::process::Command;

use route_metrics::command::plot::{Bar, bars};

use crate::markdown::read;

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

/// The plot of the first table of docs/cost.md: what each case adds to a request.
fn cost_picture() -> String {
    let page = read("docs/cost.md");
    let table = page.lines().skip_while(|line| !line.starts_with("| case |"));
    let rows: Vec<(String, f64)> = table
        .take_while(|line| line.starts_with('|'))
        .filter_map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            // Of a link the text is the name.
            let [name, _, added, ..] = cells.get(1..)? else { return None };
            let name = match (name.find("]("), name.find(')')) {
                (Some(from), Some(to)) => format!("{}{}", &name[..from], &name[to + 1..]),
                _ => (*name).to_owned(),
            };
            Some((name.replace(['`', '['], ""), added.parse().ok()?))
        })
        .collect();
    assert!(rows.len() > 5, "{rows:?}");
    let rows: Vec<Bar<'_>> = rows
        .iter()
        .map(|(name, value)| Bar {
            name,
            class: if name.starts_with("route-metrics") { "first" } else { "second" },
            value: *value,
            dots: Vec::new(),
        })
        .collect();
    bars("CPU added to a request, in microseconds (medians of the first table in cost.md)", &rows)
}

#[test]
fn printed_files_have_the_plot_of_costs() {
    let path = root().join("docs/cost.svg");
    let expected = cost_picture();
    if std::env::var_os("GENERATE").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).ok();
    assert!(found == Some(expected), "docs/cost.svg is not of the table; run `make generate`");
}
