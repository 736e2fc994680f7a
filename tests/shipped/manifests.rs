//! The manifests for Kubernetes and the Compose file, against what the products publish of them.
//!
//! The validators of npm packages (`make stack-tools`) know types and values, but not which fields
//! there are. The custom resource definitions themselves do; they are large and not copied here, so
//! they are looked for in the directory `CRDS`, else in a directory `crds` of a neighbour of the
//! repository; where there is none, the test says so.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use route_metrics::command::envoy_config::{StatsConfig, yaml};
use route_metrics::config::parse;
use route_metrics::plan::{Capacity, compile};
use serde_json::Value;

use crate::support::rules;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn definitions() -> Option<PathBuf> {
    if let Some(given) = std::env::var_os("CRDS") {
        return Some(given.into());
    }
    let neighbours = fs::read_dir(root().parent()?).ok()?.flatten();
    neighbours.map(|entry| entry.path().join("crds")).find(|path| path.join("README.md").exists())
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

/// Checks a value against a structural schema as an API server does, and beyond it refuses unknown
/// fields instead of dropping them.
fn check(value: &Value, schema: &Value, path: &str, wrong: &mut Vec<String>) {
    if schema["x-kubernetes-preserve-unknown-fields"] == true && schema["properties"].is_null() {
        return;
    }
    let fits = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        _ => true,
    };
    if !fits {
        wrong.push(format!("{path}: {value} is not a {}", schema["type"]));
        return;
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        wrong.push(format!("{path}: {value} is none of {allowed:?}"));
    }
    if let (Some(text), Some(pattern)) = (value.as_str(), schema["pattern"].as_str())
        && regex_lite::Regex::new(pattern).is_ok_and(|regex| !regex.is_match(text))
    {
        wrong.push(format!("{path}: {text:?} does not match {pattern}"));
    }
    for (limit, found) in
        [("maxLength", value.as_str().map(str::len)), ("maxItems", value.as_array().map(Vec::len))]
    {
        if let (Some(limit), Some(found)) = (schema[limit].as_u64(), found)
            && found as u64 > limit
        {
            wrong.push(format!("{path}: longer than {limit}"));
        }
    }
    for required in schema["required"].as_array().into_iter().flatten() {
        if value.get(required.as_str().unwrap()).is_none() {
            wrong.push(format!("{path}.{required} is missing"));
        }
    }
    for (name, field) in value.as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        if let Some(known) = schema["properties"].get(name) {
            check(field, known, &path, wrong);
        } else if schema["additionalProperties"].is_object() {
            check(field, &schema["additionalProperties"], &path, wrong);
        } else {
            wrong.push(format!("{path} is unknown"));
        }
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        check(item, &schema["items"], &format!("{path}[{index}]"), wrong);
    }
}

#[test]
fn manifests_fit_the_published_definitions() {
    let Some(directory) = definitions() else {
        eprintln!("no custom resource definitions here; set CRDS=DIRECTORY to check the manifests");
        return;
    };
    let mut definitions = Vec::new();
    for entry in fs::read_dir(&directory).unwrap().flatten() {
        if entry.path().extension().is_some_and(|end| end == "yaml") {
            definitions.extend(yaml(&fs::read(entry.path()).unwrap()).unwrap());
        }
    }
    let mut kinds = Vec::new();
    for (file, resource) in resources() {
        let kind = resource["kind"].as_str().unwrap();
        let version = resource["apiVersion"].as_str().unwrap().rsplit('/').next().unwrap();
        let Some(definition) = definitions.iter().find(|d| d["spec"]["names"]["kind"] == kind)
        else {
            assert_eq!(kind, "Deployment", "{file}: no definition of {kind}");
            continue;
        };
        let group = definition["spec"]["group"].as_str().unwrap();
        assert_eq!(resource["apiVersion"], format!("{group}/{version}"), "{file}");
        let versions = definition["spec"]["versions"].as_array().unwrap();
        let schema = versions.iter().find(|v| v["name"] == version).unwrap();
        let spec = &schema["schema"]["openAPIV3Schema"]["properties"]["spec"];
        let mut wrong = Vec::new();
        check(&resource["spec"], spec, "spec", &mut wrong);
        assert!(wrong.is_empty(), "{file}: {wrong:#?}");
        // The check does refuse.
        let mut broken = resource["spec"].clone();
        broken["nonsense"] = true.into();
        check(&broken, spec, "spec", &mut wrong);
        assert_eq!(wrong, ["spec.nonsense is unknown"]);
        kinds.push(kind.to_owned());
    }
    kinds.sort();
    assert_eq!(
        kinds,
        ["EnvoyExtensionPolicy", "EnvoyProxy", "PodMonitor", "PrometheusRule", "WasmPlugin"]
    );
}

/// What the published validators find wrong with each document.
fn mistakes(documents: &[Value]) -> Vec<Vec<String>> {
    let directory = root().join("tests/shipped/published");
    let found = directory.join("node_modules/dclint").exists();
    assert!(found, "run `npm ci` in {} (`make stack-tools` does)", directory.display());
    let mut node = Command::new("node")
        .arg(directory.join("check.mjs"))
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
