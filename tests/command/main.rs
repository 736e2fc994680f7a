//! The command as its users see it: what it prints where, and how it exits.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod apis;
mod import_page;
mod init;
mod log_cases;
mod preview;
mod specs;
mod variables;

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn run(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_route-metrics"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // The command may stop reading before all is written.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

/// What a call that works prints.
#[track_caller]
fn stdout(arguments: &[&str], input: &str) -> String {
    let output = run(arguments, input.as_bytes());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// The lines that a call that fails prints as errors.
#[track_caller]
fn errors(arguments: &[&str], input: &str) -> Vec<String> {
    let output = run(arguments, input.as_bytes());
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap().lines().map(str::to_owned).collect()
}

fn yaml(text: &str) -> Value {
    let mut documents = route_metrics::command::envoy_config::yaml(text.as_bytes()).unwrap();
    assert_eq!(documents.len(), 1, "{text}");
    documents.remove(0)
}

/// A configuration of Envoy with a route-metrics plugin and another one.
fn envoy(configuration: &str) -> String {
    format!(
        r#"
static_resources:
  listeners:
  - filter_chains:
    - filters:
      - typed_config:
          http_filters:
          - typed_config:
              config:
                name: other
                vm_config: {{ code: {{ local: {{ filename: other.wasm }} }} }}
                configuration: {{ "@type": x/google.protobuf.StringValue, value: "[" }}
          - typed_config:
              config:
                vm_config: {{ code: {{ local: {{ filename: /etc/envoy/route_metrics.wasm }} }} }}
                {configuration}
"#
    )
}

const PLACE: &str = "static_resources.listeners[0].filter_chains[0].filters[0].typed_config\
                     .http_filters[1].typed_config.config.configuration";

#[test]
fn check_prints_every_mistake_on_a_line_of_its_own() {
    assert_eq!(stdout(&["check", "-"], "{}"), "");
    assert_eq!(stdout(&["check", "-"], ""), "");
    let found = errors(
        &["check", "-"],
        r#"{"limits": {"max_values_per_label": 0}, "sampling": {"rate": 2}}"#,
    );
    assert_eq!(
        found,
        [
            "limits.max_values_per_label: 0 is out of range; use 1 to 1000000",
            "sampling.rate: 2 is out of range; use 0 to 1",
        ]
    );
    let found = errors(&["check", "/no/such/file"], "");
    assert!(found.len() == 1 && found[0].starts_with("/no/such/file: "), "{found:?}");
}

/// A mistake of structure does not hide the others, whatever the configuration is given to.
#[test]
fn every_subcommand_names_every_mistake() {
    let plugin = r#"{"bogus": 1, "limits": {"max_values_per_label": 0}, "sampling": {"rate": 2}}"#;
    let expected = errors(&["check", "-"], plugin);
    assert_eq!(expected.len(), 3);
    for arguments in [
        &["bootstrap", "-"][..],
        &["rules", "-"],
        &["dashboard", "-"],
        &["label", "/dev/stdin"],
        &["explain", "-", "GET", "/users/17"],
        &["preview", "-", "/dev/null"],
        &["envoy", "-", "--upstream", "127.0.0.1:8080"],
    ] {
        assert_eq!(errors(arguments, plugin), expected, "{arguments:?}");
    }
}

/// Envoy's default takes `localhost` for `::1` alone, where few servers listen.
#[test]
fn a_named_upstream_is_looked_up_as_ipv4_first() {
    let cluster = |upstream: &str| {
        let printed = yaml(&stdout(&["envoy", "-", "--upstream", upstream], "{}"));
        printed["static_resources"]["clusters"][0].clone()
    };
    assert_eq!(cluster("localhost:8080")["dns_lookup_family"], "V4_PREFERRED");
    assert_eq!(cluster("127.0.0.1:8080")["dns_lookup_family"], Value::Null);
}

#[test]
fn check_prints_warnings_and_exits_with_0() {
    let warnings = |name: &str, kind: &str| {
        let plugin = format!(r#"{{"custom_metrics": [{{"name": "{name}", "type": "{kind}"}}]}}"#);
        let output = run(&["check", "-"], plugin.as_bytes());
        assert!(output.status.success() && output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    };
    for name in ["app_task_seconds", "app_task_minutes", "app_task_hours"] {
        let printed = warnings(name, "histogram");
        let expected =
            format!("warning: custom_metrics[0].name: `{name}` holds whole numbers only");
        assert!(printed.starts_with(&expected) && printed.lines().count() == 1, "{printed}");
        assert!(printed.contains("name it `app_task_milliseconds`"), "{printed}");
    }
    // Hours that are up or paid for are whole.
    assert_eq!(warnings("app_paid_hours_total", "counter"), "");
    assert_eq!(warnings("app_up_seconds", "gauge"), "");
}

#[test]
fn check_finds_the_plugin_in_a_configuration_of_envoy_in_every_form() {
    let base64 = "eyJ4IjogMX0";
    for configuration in [
        r#"configuration: { "@type": type.googleapis.com/google.protobuf.StringValue, value: '{"x": 1}' }"#.to_owned(),
        format!(r#"configuration: {{ "@type": type.googleapis.com/google.protobuf.BytesValue, value: {base64} }}"#),
        r#"configuration: { "@type": type.googleapis.com/google.protobuf.Struct, value: { x: 1 } }"#.to_owned(),
    ] {
        let found = errors(&["check", "-"], &envoy(&configuration));
        let start = format!("{PLACE}: x: unknown field `x`, expected one of `enabled`");
        assert!(found.len() == 1 && found[0].starts_with(&start), "{found:?}");
    }
    for good in [
        "",
        "configuration:",
        r#"configuration: { "@type": x/google.protobuf.Struct, value: { sampling: { rate: 0.5 } } }"#,
        r#"configuration: { "@type": x/google.protobuf.Struct }"#,
    ] {
        assert_eq!(stdout(&["check", "-"], &envoy(good)), "", "{good}");
    }
    for (bad, part) in [
        (r#"configuration: { "@type": x/google.protobuf.Value, value: 1 }"#, "`@type` is"),
        (r#"configuration: { "@type": x/google.protobuf.BytesValue, value: "!" }"#, "not base64"),
        (r#"configuration: { "@type": x/google.protobuf.StringValue, value: 1 }"#, "not a string"),
    ] {
        let found = errors(&["check", "-"], &envoy(bad));
        assert!(found.len() == 1 && found[0].contains(part), "{found:?}");
    }
}

#[test]
fn check_finds_the_plugin_in_resources_of_istio_and_envoy_gateway() {
    let istio = "kind: Namespace\n---\nkind: WasmPlugin\nmetadata: {name: metrics}\n\
                 spec: {url: 'oci://example/route-metrics:1', pluginConfig: {x: 1}}\n";
    let gateway = "kind: EnvoyExtensionPolicy\nmetadata: {name: metrics}\nspec:\n  wasm:\n  - name: other\n  \
                   - name: route-metrics\n    config: {x: 1}\n";
    for (text, place) in
        [(istio, "document[1].spec.pluginConfig: x: "), (gateway, "spec.wasm[1].config: x: ")]
    {
        let found = errors(&["check", "-"], text);
        assert!(found.len() == 1 && found[0].starts_with(place), "{found:?}");
    }
}

#[test]
fn what_holds_no_plugin_is_refused() {
    for (text, part) in [
        ("static_resources: {}", "no Wasm plugin"),
        ("a: [", "neither JSON nor YAML"),
        ("a: 1", "not JSON"),
        ("\u{1}", "neither JSON nor YAML"),
        (r#"{"vm_config": {"code": {}}, "name": "other"}"#, "none of the Wasm plugins"),
    ] {
        let found = errors(&["check", "-"], text);
        assert!(found.iter().any(|line| line.contains(part)), "{text:?}: {found:?}");
    }
    let found = errors(&["check", "-"], "kind: WasmPlugin\nspec: {url: other}\n");
    assert!(found[0].contains("none of the Wasm plugins"), "{found:?}");
}

#[test]
fn bootstrap_has_a_tag_for_every_label_and_buckets_for_every_histogram() {
    let plugin = r#"{
        "namespace": "shop",
        "labels": {"tenant": {"from": "request_header", "name": "x-tenant"}},
        "metrics": {
            "requests_total": {"labels": ["method", "endpoint", "tenant"]},
            "request_duration": {"unit": "milliseconds", "labels": []},
            "request_size": {"enabled": true}
        }
    }"#;
    let config = &yaml(&stdout(&["bootstrap", "-"], plugin))["stats_config"];
    let tags = config["stats_tags"].as_array().unwrap();
    let names: Vec<&str> = tags.iter().map(|tag| tag["tag_name"].as_str().unwrap()).collect();
    let expected = [
        "decision", "endpoint", "label", "method", "metric", "org", "outcome", "reason", "tenant",
        "type", "user", "version",
    ];
    assert_eq!(names, expected);
    for tag in tags {
        let name = tag["tag_name"].as_str().unwrap();
        assert_eq!(tag["regex"], format!(r"({name}=\.=(.*?);\.;)"));
    }
    let buckets = config["histogram_bucket_settings"].as_array().unwrap();
    let matches: Vec<String> = buckets.iter().map(|b| b["match"].to_string()).collect();
    assert_eq!(
        matches,
        [
            r#"{"exact":"wasmcustom.shop_http_request_duration_milliseconds"}"#,
            r#"{"prefix":"wasmcustom.shop_http_request_size_bytes."}"#,
            r#"{"prefix":"wasmcustom.shop_http_response_size_bytes."}"#,
        ]
    );
    for setting in buckets {
        let bounds: Vec<u64> = serde_json::from_value(setting["buckets"].clone()).unwrap();
        assert!(bounds.is_sorted_by(|a, b| a < b) && bounds.len() >= 10, "{bounds:?}");
    }
}

/// Envoy Gateway gets the library's place, and what `--native` alone prints as a bootstrap.
#[test]
fn bootstrap_for_the_dynamic_module_can_be_that_of_envoy_gateway() {
    let plugin = r#"{"namespace": "shop", "metrics": {"request_duration": {"buckets": [1, 2]}}}"#;
    let alone = yaml(&stdout(&["bootstrap", "--native", "-"], plugin));
    assert!(alone["stats_config"]["stats_tags"].is_null(), "labels need nothing: {alone}");
    let guard = "envoy.reloadable_features.dynamic_modules_strip_custom_stat_prefix";
    assert_eq!(alone["layered_runtime"]["layers"][0]["static_layer"][guard], true);
    let text = stdout(&["bootstrap", "--gateway", "--native", "-"], plugin);
    let proxy = yaml(&text);
    assert_eq!(proxy["kind"], "EnvoyProxy");
    let module = &proxy["spec"]["dynamicModules"][0];
    assert_eq!(module["name"], "route-metrics");
    assert_eq!(module["source"]["type"], "Local");
    assert_eq!(module["source"]["local"]["path"], "/module/libroute_metrics.so");
    let bootstrap = &proxy["spec"]["bootstrap"];
    assert_eq!(bootstrap["type"], "Merge");
    assert_eq!(yaml(bootstrap["value"].as_str().unwrap()), alone);
    // Without --native, there is no library.
    let proxy = yaml(&stdout(&["bootstrap", "--gateway", "-"], plugin));
    assert!(proxy["spec"]["dynamicModules"].is_null(), "{proxy}");
    let found = errors(&["bootstrap", "--istio", "--native", "-"], plugin);
    assert!(found[0].contains("Istio has no place for dynamic modules"), "{found:?}");
}

#[test]
fn bootstrap_leaves_out_labels_that_the_environment_cannot_switch_on() {
    // `org` is the end of `myorg`, so the detailed metric would be refused.
    let plugin = r#"{"labels": {"myorg": {"from": "authority"}},
                     "metrics": {"requests_total": {"labels": ["myorg"]}}}"#;
    let text = stdout(&["bootstrap", "-"], plugin);
    assert!(text.contains("tag_name: myorg") && !text.contains("tag_name: org"), "{text}");
}

#[test]
fn the_whole_configuration_keeps_the_plugin_as_it_was_written() {
    let plugin = "{\n  \"labels\": {\"x\": {\"from\": \"constant\",\n\n\"value\": \"\u{2028} caf\u{e9} \u{1f600}\"}}\n}";
    for upstream in ["[::1]:8080", "127.0.0.1:80", "app.example:8080"] {
        let text =
            stdout(&["envoy", "-", "--upstream", upstream, "--module", "a \"b\".wasm"], plugin);
        let plugins = route_metrics::command::envoy_config::plugins(
            text.replace("a \\\"b\\\"", "route_metrics").as_bytes(),
        )
        .unwrap();
        let read = |text: &[u8]| serde_json::from_slice::<Value>(text).unwrap();
        assert_eq!(read(&plugins[0].configuration), read(plugin.as_bytes()));
        let config = yaml(&text);
        let kind = &config["static_resources"]["clusters"][0]["type"];
        assert_eq!(*kind, if upstream.starts_with("app") { "STRICT_DNS" } else { "STATIC" });
    }
    let usage = run(&["envoy", "-", "--upstream", "http://app"], b"{}");
    assert_eq!(usage.status.code(), Some(2));
}

#[test]
fn explain_says_why_a_segment_stays() {
    let requests = ["/shop/acme/orders/17", "POST", "/v1/users", "/", "no path"];
    let found = stdout(&[&["explain", "-"], &requests[..]].concat(), "{}");
    let (answers, reasons) = found.split_once("\n\n").unwrap();
    assert_eq!(
        answers.lines().collect::<Vec<_>>(),
        [
            "GET /shop/acme/orders/17\t/shop/{id}/orders/{id}\tendpoint.inference \"adaptive\"",
            "POST /v1/users\t/v1/users\tendpoint.inference \"adaptive\"",
            "POST /\t/\tendpoint.inference \"adaptive\"",
            "POST no path\t_UNMATCHED\tnot a path",
        ]
    );
    let lines: Vec<&str> = reasons.lines().collect();
    assert_eq!(lines[0], "/shop/acme/orders/17");
    assert!(lines[1].starts_with("  shop: stays, score "), "{}", lines[1]);
    assert!(lines[1].contains("the first segment +"), "{}", lines[1]);
    assert!(lines[2].starts_with("  acme: {id}, score -"), "{}", lines[2]);
    assert!(lines[2].contains("an unknown word -"), "{}", lines[2]);
    assert!(lines[3].starts_with("  orders: stays, score "), "{}", lines[3]);
    assert_eq!(lines[4..7], ["  17: {id}, a number", "", "/v1/users"]);
    assert_eq!(lines[7], "  v1: stays, a version of the API");
    assert!(lines[8].starts_with("  users: stays, score "), "{}", lines[8]);
    assert_eq!(lines.len(), 9);
}

#[test]
fn explain_forges_no_line() {
    let found = stdout(&["explain", "-", "/a%0Ab/x\n  y: stays\u{1b}[2J"], "{}");
    let (answers, reasons) = found.split_once("\n\n").unwrap();
    assert_eq!(answers.lines().count(), 1, "{found}");
    assert_eq!(reasons.lines().count(), 3, "{found}");
    assert!(found.chars().all(|c| matches!(c, '\n' | '\t') || !c.is_control()), "{found}");
}

#[test]
fn explain_names_the_entry_that_decided() {
    let plugin = r#"{"endpoint": {
        "exclude": ["/healthz"], "templates": ["/users/{id}", "POST /users/{id}:reset"],
        "rules": [{"regex": "\\.php$", "endpoint": "/legacy/{script}"}], "inference": "off"
    }}"#;
    let dir = std::env::temp_dir().join(format!("route-metrics-explain-{}", std::process::id()));
    std::fs::write(&dir, plugin).unwrap();
    let file = dir.to_str().unwrap();
    let found = stdout(
        &["explain", file, "/users/7", "/healthz", "POST", "/users/7:reset", "/a.php", "/x", "a:1"],
        "",
    );
    std::fs::remove_file(&dir).unwrap();
    assert_eq!(
        found.lines().collect::<Vec<_>>(),
        [
            "GET /users/7\t/users/{id}\tendpoint.templates[0] \"/users/{id}\"",
            "GET /healthz\t-\tendpoint.exclude[0] \"/healthz\"",
            "POST /users/7:reset\t/users/{id}:reset\tendpoint.templates[1] \"/users/{id}:reset\"",
            "POST /a.php\t/legacy/{script}\tendpoint.rules[0] \"/legacy/{script}\"",
            "POST /x\t_UNMATCHED\tendpoint.inference \"off\"",
            "POST a:1\t_UNMATCHED\tnot a path",
        ]
    );
}

#[test]
fn the_schema_knows_every_key_with_its_default() {
    let schema: Value = serde_json::from_str(&stdout(&["schema"], "")).unwrap();
    let definition = |name: &str| schema["$defs"][name]["properties"].clone();
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(definition("Limits")["max_series_per_metric"]["default"], 2000);
    assert_eq!(definition("Endpoint")["inference"]["default"], "adaptive");
    assert_eq!(definition("RequestDuration")["unit"]["default"], "microseconds");
    let mut undocumented = Vec::new();
    for (name, object) in schema["$defs"].as_object().unwrap() {
        for (key, property) in object["properties"].as_object().into_iter().flatten() {
            if property["description"].as_str().is_none_or(str::is_empty) {
                undocumented.push(format!("{name}.{key}"));
            }
        }
    }
    assert!(undocumented.is_empty(), "{undocumented:?}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_route-metrics"))
        .args(["label", "envoy/plugin.json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    drop(stdin.write_all(&b"GET\t/users\n".repeat(200_000)));
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

/// A configuration of Envoy with two plugins.
fn two_plugins(first: &str, second: &str) -> String {
    let plugin = |configuration: &str| {
        format!(
            r#"{{ typed_config: {{ config: {{
                vm_config: {{ code: {{ local: {{ filename: route_metrics.wasm }} }} }},
                configuration: {{ "@type": x/google.protobuf.StringValue, value: '{configuration}' }} }} }} }}"#
        )
    };
    format!("http_filters: [{}, {}]", plugin(first), plugin(second))
}

#[test]
fn two_plugins_share_the_buckets_of_a_histogram_or_are_refused() {
    let with = |bounds: &str, more: &str| {
        format!(r#"{{"metrics": {{"request_duration": {{"buckets": [{bounds}]{more}}}}}}}"#)
    };
    let found = errors(&["bootstrap", "-"], &two_plugins("{}", &with("1, 2", "")));
    assert!(
        found.len() == 1
            && found[0].contains("different buckets for `http_request_duration_microseconds`"),
        "{found:?}"
    );
    // The same of a histogram with labels and of one without.
    let other = with("1, 2", r#", "labels": []"#);
    let printed = stdout(&["bootstrap", "-"], &two_plugins(&with("1, 2", ""), &other));
    let name = "wasmcustom.http_request_duration_microseconds";
    assert!(printed.contains(&format!("prefix: {name}.\n")), "{printed}");
    assert!(printed.contains(&format!("exact: {name}\n")), "{printed}");
    let found = errors(&["bootstrap", "-"], &two_plugins(&with("1, 3", ""), &other));
    assert_eq!(found.len(), 1, "{found:?}");
    // In another unit it is another histogram.
    let other = with("1, 2", r#", "unit": "milliseconds""#);
    let printed = stdout(&["bootstrap", "-"], &two_plugins(&with("5000, 9000", ""), &other));
    assert!(printed.contains("buckets: [5000, 9000]") && printed.contains("buckets: [1, 2]"));
}

#[test]
fn labels_of_two_plugins_that_collide_are_refused_with_a_name_that_works() {
    let with = |label: &str| {
        format!(
            r#"{{"labels": {{"{label}": {{"from": "authority"}}}},
                "metrics": {{"requests_total": {{"labels": ["{label}"]}}}}}}"#
        )
    };
    let found = errors(&["bootstrap", "-"], &two_plugins(&with("zone"), &with("time_zone")));
    let (_, better) = found[0].split_once("such as `").expect("a name");
    let (better, _) = better.split_once('`').unwrap();
    assert!(found.len() == 1 && found[0].contains("give `time_zone` another name"), "{found:?}");
    stdout(&["bootstrap", "-"], &two_plugins(&with("zone"), &with(better)));
}
