//! The manifests for Kubernetes and the Compose file, against what the products publish of them.
//!
//! What is published are npm packages (`make stack-tools` installs them): validators, which know
//! values but not which fields there are, and types of TypeScript, which do.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use route_metrics::command::envoy_config::{StatsConfig, yaml};
use route_metrics::config::parse;
use route_metrics::plan::{Capacity, compile};
use serde_json::Value;

use crate::support::{Published, published_modules, rules};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every shipped or printed resource of a product, with where it comes from.
fn resources() -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(root().join("envoy/kubernetes")).unwrap().flatten() {
        let name = entry.path().display().to_string();
        all.extend(
            yaml(&fs::read(entry.path()).unwrap()).unwrap().into_iter().map(|r| (name.clone(), r)),
        );
    }
    let config = parse(b"{}").unwrap();
    let gateway = StatsConfig::new(&config).unwrap().gateway();
    let printed = [gateway, rules(&serde_json::json!({})).kubernetes().unwrap()];
    for text in printed {
        all.extend(yaml(text.as_bytes()).unwrap().into_iter().map(|r| ("printed".to_owned(), r)));
    }
    all
}

/// The type of a kind, and the module of the package that declares it.
fn published_type(resource: &Value) -> (String, String) {
    let (kind, version) = (resource["kind"].as_str(), resource["apiVersion"].as_str());
    let (kind, version) = (kind.unwrap(), version.unwrap());
    let package = match version.split('/').next().unwrap() {
        "apps" => "kubernetes-models",
        "extensions.istio.io" => "@kubernetes-models/istio",
        "gateway.envoyproxy.io" => "@kubernetes-models/envoy-gateway",
        "monitoring.coreos.com" => "@kubernetes-models/prometheus-operator",
        group => panic!("{group} is of no package"),
    };
    (format!("I{kind}"), format!("{package}/{version}/{kind}"))
}

/// Every place of an object, as a JSON pointer, outside the parts that users fill in.
fn objects(value: &Value, at: &str, found: &mut Vec<String>) {
    let ours = ["/spec/pluginConfig", "/config", "/labels", "/matchLabels", "/annotations"];
    if ours.iter().any(|end| at.ends_with(end)) {
        return;
    }
    match value {
        Value::Object(members) => {
            found.push(at.to_owned());
            members.iter().for_each(|(key, value)| objects(value, &format!("{at}/{key}"), found));
        }
        Value::Array(items) => {
            // One stands for all: rules are many.
            if let Some(item) = items.first() {
                objects(item, &format!("{at}/0"), found);
            }
        }
        _ => {}
    }
}

/// The compiler takes every resource as its published type, and none of them with one field more at
/// any place.
#[test]
fn manifests_have_no_field_that_is_not_published() {
    let mut program = String::new();
    let mut kinds = BTreeSet::new();
    for (index, (_, resource)) in resources().iter().enumerate() {
        let (name, module) = published_type(resource);
        program.push_str(&format!("import type {{ {name} as T{index} }} from '{module}';\n"));
        program.push_str(&format!("export const r{index}: T{index} = {resource};\n"));
        let mut places = Vec::new();
        objects(resource, "", &mut places);
        for (place, at) in places.iter().enumerate() {
            let mut wrong = resource.clone();
            wrong.pointer_mut(at).unwrap()["nonsense"] = 1.into();
            // The compiler says so where there is no error on the next line.
            program.push_str(&format!(
                "// @ts-expect-error {at}\nexport const w{index}_{place}: T{index} = {wrong};\n"
            ));
        }
        kinds.insert(resource["kind"].as_str().unwrap().to_owned());
    }
    let (fits, said) = Published::new().compile(&program);
    assert!(fits, "{said}");
    let expected = [
        "Deployment",
        "EnvoyExtensionPolicy",
        "EnvoyProxy",
        "PodMonitor",
        "PrometheusRule",
        "WasmPlugin",
    ];
    assert!(kinds.iter().map(String::as_str).eq(expected), "{kinds:?}");
}

/// What the published validators find wrong with each document.
fn mistakes(documents: &[Value]) -> Vec<Vec<String>> {
    published_modules();
    let mut node = Command::new("node")
        .arg(root().join("tests/shipped/published/check.mjs"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    serde_json::to_writer(node.stdin.take().unwrap(), documents).unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A document with another value at a JSON pointer.
fn broken(document: &Value, pointer: &str, value: impl Into<Value>) -> Value {
    let mut document = document.clone();
    *document.pointer_mut(pointer).unwrap() = value.into();
    document
}

#[test]
fn manifests_and_compose_file_satisfy_the_published_validators() {
    let compose = yaml(&fs::read(root().join("envoy/compose.yaml")).unwrap()).unwrap().remove(0);
    let (files, mut documents): (Vec<_>, Vec<_>) = resources().into_iter().unzip();
    documents.push(compose.clone());
    for (file, wrong) in
        files.iter().map(String::as_str).chain(["compose"]).zip(mistakes(&documents))
    {
        assert!(wrong.is_empty(), "{file}: {wrong:?}");
    }
    // They do refuse.
    let of = |kind: &str| documents.iter().find(|d| d["kind"] == kind).unwrap();
    let wrong = [
        broken(&compose, "/services/envoy/network_mode", 7),
        broken(&compose, "/services/grafana", serde_json::json!({"imagge": "x"})),
        broken(of("WasmPlugin"), "/spec/failStrategy", "FAIL_SOMEHOW"),
        broken(of("Deployment"), "/spec/template/spec/containers", "envoy"),
        broken(of("EnvoyExtensionPolicy"), "/spec/wasm/0/code/type", "Floppy"),
        broken(of("EnvoyProxy"), "/spec/bootstrap/type", "Guess"),
        broken(of("PodMonitor"), "/spec/sampleLimit", "many"),
        broken(of("PrometheusRule"), "/spec/groups/0/rules", 1),
    ];
    for (document, found) in wrong.iter().zip(mistakes(&wrong)) {
        assert!(!found.is_empty(), "{document} is accepted");
    }
}

#[test]
fn the_compose_file_asks_for_no_variable_that_the_script_does_not_set() {
    let compose = fs::read_to_string(root().join("envoy/compose.yaml")).unwrap();
    let script = fs::read_to_string(root().join("envoy/stack.sh")).unwrap();
    let exported: Vec<&str> = script
        .lines()
        .filter_map(|line| line.trim().strip_prefix("export "))
        .flat_map(str::split_whitespace)
        .collect();
    let mut variables = 0;
    for variable in compose.split("${").skip(1).filter_map(|rest| rest.split('}').next()) {
        assert!(exported.contains(&variable), "{variable} in {exported:?}");
        variables += 1;
    }
    assert!(variables >= 10);
}

/// Images of Envoy are those of the version that is run here; see `tests/envoys`.
#[test]
fn images_of_envoy_are_the_newest_that_is_tested() {
    let versions = fs::read_to_string(root().join("tests/envoys")).unwrap();
    let newest = versions.lines().find_map(|line| line.strip_suffix(" test")).unwrap();
    for file in ["envoy/compose.yaml", "envoy/kubernetes/sidecar.yaml"] {
        let text = fs::read_to_string(root().join(file)).unwrap();
        let image = text.lines().find_map(|line| line.trim().strip_prefix("image: envoyproxy/"));
        assert_eq!(image, Some(format!("envoy:v{newest}").as_str()), "{file}");
    }
}

#[test]
fn plugin_configurations_in_manifests_are_valid() {
    let mut checked = 0;
    for (file, resource) in resources() {
        let spec = &resource["spec"];
        for configuration in [&spec["pluginConfig"], &spec["wasm"][0]["config"]] {
            if configuration.is_object() {
                let config = parse(configuration.to_string().as_bytes());
                let config = config.unwrap_or_else(|mistakes| panic!("{file}: {mistakes:?}"));
                assert!(compile(&config, Capacity::Checked).is_ok(), "{file}");
                checked += 1;
            }
        }
    }
    assert_eq!(checked, 2);
}

/// The Operator gives targets a label `endpoint`; without this, Prometheus would rename ours.
#[test]
fn what_scrapes_keeps_the_labels_of_the_filter() {
    let all = resources();
    let (_, monitor) = all.iter().find(|(_, r)| r["kind"] == "PodMonitor").unwrap();
    assert_eq!(monitor["spec"]["podMetricsEndpoints"][0]["honorLabels"], true);
    let file = root().join("envoy/prometheus/prometheus.yml");
    let configuration = yaml(&fs::read(file).unwrap()).unwrap().remove(0);
    assert_eq!(configuration["scrape_configs"][0]["honor_labels"], true);
}
