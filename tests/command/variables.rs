//! `route-metrics check`: variables that a file of Istio or Envoy gives to the VM.

use super::{errors, stdout};

/// A `WasmPlugin` with these entries of `vmConfig.env`, as flow YAML.
fn wasm_plugin(env: &[&str]) -> String {
    format!(
        "apiVersion: extensions.istio.io/v1alpha1\n\
         kind: WasmPlugin\n\
         metadata: {{name: route-metrics}}\n\
         spec:\n  \
           url: oci://registry.example/route-metrics:1\n  \
           pluginConfig: {{labels: {{tier: {{from: request_header, name: x-tier}}}}}}\n  \
           vmConfig: {{env: [{}]}}\n",
        env.join(", ")
    )
}

/// A filter of Envoy, whose VM gets these variables under these keys, as flow YAML.
fn filter([vm_config, variables, key_values]: [&str; 3], pairs: &str) -> String {
    format!(
        "http_filters:\n\
         - name: route_metrics\n  \
           typed_config:\n    \
             \"@type\": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm\n    \
             config:\n      \
               name: route_metrics\n      \
               {vm_config}: {{vm_id: route_metrics, {variables}: {{{key_values}: {{{pairs}}}}}}}\n"
    )
}

const SNAKE: [&str; 3] = ["vm_config", "environment_variables", "key_values"];
const CAMEL: [&str; 3] = ["vmConfig", "environmentVariables", "keyValues"];

#[track_caller]
fn is_good(file: &str) {
    assert_eq!(stdout(&["check", "-"], file), "");
}

/// The mistakes of each form, without the place of the plugin, which is looked at, too.
#[track_caller]
fn mistakes(file: &str, place: &str) -> Vec<String> {
    let lines = errors(&["check", "-"], file);
    let rest = |line: String| {
        let (_, rest) = line.split_once(&format!("{place}: ")).unwrap_or_else(|| panic!("{line}"));
        rest.to_owned()
    };
    lines.into_iter().map(rest).collect()
}

#[test]
fn good_values_pass_in_every_form() {
    // YAML reads them as text, number and switch.
    let entries = [
        "{name: METRICS_SAMPLE_RATE, value: \"0.25\"}",
        "{name: METRICS_ENABLED, value: true}",
        "{name: DETAILED_METRICS_ENABLED, value: 0}",
        "{name: OBSERVABILITY_ENABLED, valueFrom: INLINE, value: \"on\"}",
        "{name: SOMETHING_ELSE, value: [1, 2]}",
    ];
    is_good(&wasm_plugin(&entries));
    is_good(&wasm_plugin(&[]));
    for keys in [SNAKE, CAMEL] {
        is_good(&filter(
            keys,
            "METRICS_SAMPLE_RATE: 0.25, METRICS_ENABLED: true, DETAILED_METRICS_ENABLED: \"off\", SOMETHING_ELSE: ~",
        ));
        is_good(&filter(keys, ""));
    }
}

#[test]
fn bad_values_are_named_in_every_form() {
    let expected = [
        "METRICS_ENABLED: \"maybe\" is not a switch; write true or false",
        "METRICS_SAMPLE_RATE: \"1.5\" is not a share; write a number from 0 to 1",
    ];
    let entries =
        ["{name: METRICS_SAMPLE_RATE, value: 1.5}", "{name: METRICS_ENABLED, value: maybe}"];
    assert_eq!(mistakes(&wasm_plugin(&entries), "spec.pluginConfig"), expected);
    for keys in [SNAKE, CAMEL] {
        let file = filter(keys, "METRICS_SAMPLE_RATE: 1.5, METRICS_ENABLED: maybe");
        let place = "http_filters[0].typed_config.config.configuration";
        assert_eq!(mistakes(&file, place), expected);
    }
}

#[test]
fn mistakes_of_variables_come_with_those_of_the_configuration() {
    let file = wasm_plugin(&["{name: OBSERVABILITY_ENABLED, value: 2}"]);
    let file = file.replace("name: x-tier", "name: \"x tier\"");
    let lines = mistakes(&file, "spec.pluginConfig");
    let about = |start: &str| lines.iter().filter(|line| line.starts_with(start)).count();
    assert_eq!((about("OBSERVABILITY_ENABLED: \"2\""), about("labels.tier")), (1, 1), "{lines:?}");
}

/// What the host's own variables hold is not in the file, whatever stands beside it.
#[test]
fn variables_of_the_host_are_left_alone() {
    is_good(&wasm_plugin(&["{name: METRICS_SAMPLE_RATE, valueFrom: HOST}"]));
    is_good(&wasm_plugin(&["{name: METRICS_SAMPLE_RATE, valueFrom: HOST, value: much}"]));
    let keys = ["vm_config", "environment_variables", "host_env_keys"];
    is_good(&filter(keys, "").replace("{}", "[METRICS_SAMPLE_RATE]"));
}
