//! The forms in which a configuration arrives, and the environment variables of the VM.

use route_metrics_e2e::{Binary, Envoy, Form, Plugin, Request, Setup, Upstream, http1};
use serde_json::{Value, json};

use route_metrics_e2e::expect::{REQUEST, expect_decisions, expect_table, table};

fn start(plugin: Plugin) -> (Upstream, Envoy) {
    let upstream = Upstream::start();
    let envoy = Setup::new(upstream.address()).plugin(plugin).start();
    (upstream, envoy)
}

fn get(envoy: &Envoy, path: &str) {
    assert_eq!(http1::send(envoy.address(), &Request::get(path)).unwrap().status, 200);
}

#[test]
fn every_form_of_the_configuration_works() {
    // Numbers, lists, objects, booleans and null have a form of their own in a Struct.
    let configuration = json!({
        "enabled": true,
        "namespace": "app",
        "labels": {"tenant": {"from": "request_header", "name": "x-tenant", "default": null}},
        "metrics": {"requests_total": {"labels": ["endpoint", "tenant"]}},
        "endpoint": {"templates": ["/users/{id}"], "inference": "off",
                     "rules": [{"regex": "^/über", "endpoint": "/above"}]},
        "limits": {"max_values_per_label": 50},
        "sampling": {"rate": 1.0},
    });
    for binary in Binary::tested() {
        for form in [Form::StringValue, Form::BytesValue, Form::Struct] {
            let upstream = Upstream::start();
            let envoy = Setup::new(upstream.address())
                .binary(&binary)
                .plugin(Plugin::new(configuration.clone()).form(form))
                .start();
            let request = Request::get("/users/1").header("x-tenant", "acme");
            http1::send(envoy.address(), &request).unwrap();
            get(&envoy, "/users/2");
            expect_table(
                &envoy,
                "app_http_requests_total",
                &["endpoint", "tenant"],
                &table(&[(["/users/{id}", "acme"], 1), (["/users/{id}", "none"], 1)]),
            );
        }
    }
}

#[test]
fn an_empty_configuration_means_the_defaults() {
    for configuration in [json!({}), Value::String(String::new())] {
        let (_upstream, envoy) = start(Plugin::new(configuration));
        get(&envoy, "/users/1");
        let expected = table(&[(["GET", "/users/{id}", "200"], 1)]);
        expect_table(&envoy, "http_requests_total", &REQUEST, &expected);
        let scrape = envoy.scrape();
        for family in [
            "http_request_duration_microseconds",
            "http_response_size_bytes",
            "http_requests_active",
        ] {
            assert!(scrape.types().contains_key(family), "{family}");
        }
        for family in ["http_request_size_bytes", "http_requests_detailed_total"] {
            assert!(!scrape.types().contains_key(family), "{family}");
        }
    }
}

#[test]
fn a_struct_with_a_mistake_is_refused_with_its_path() {
    let upstream = Upstream::start();
    let plugin =
        Plugin::new(json!({"limits": {"max_values_per_label": 2.5, "max": 1}})).form(Form::Struct);
    let failure = Setup::new(upstream.address()).plugin(plugin).try_start().err();
    let failure = failure.expect("Envoy does not start").to_string();
    assert!(failure.contains("limits"), "{failure}");
}

/// Puts a filter that is switched off in front of one that is on, and waits until the second has
/// shown its counts: by then the first would have shown its own.
fn nothing_is_recorded(mut off: Plugin) {
    off.configuration["namespace"] = "off".into();
    let upstream = Upstream::start();
    let envoy = Setup::new(upstream.address())
        .filter_before(off.vm_id("off").http_filter())
        .filter(json!({"namespace": "on"}))
        .start();
    for n in 0..5 {
        get(&envoy, &format!("/users/{n}"));
    }
    let expected = table(&[(["GET", "/users/{id}", "200"], 5)]);
    expect_table(&envoy, "on_http_requests_total", &REQUEST, &expected);
    let scrape = envoy.scrape();
    let recorded: Vec<_> = scrape
        .samples()
        .iter()
        .filter(|sample| sample.name.starts_with("off_") && sample.value != 0.0)
        .collect();
    assert!(recorded.is_empty(), "{recorded:?}");
    assert_eq!(envoy.vm_reloads(), 0);
}

#[test]
fn environment_variables_switch_everything_off() {
    for variable in ["OBSERVABILITY_ENABLED", "METRICS_ENABLED"] {
        nothing_is_recorded(Plugin::new(json!({})).environment(variable, "false"));
    }
}

#[test]
fn the_configuration_switches_everything_off() {
    nothing_is_recorded(Plugin::new(json!({"enabled": false})));
}

#[test]
fn an_environment_variable_switches_on_what_the_configuration_has_off() {
    let plugin =
        Plugin::new(json!({"enabled": false})).environment("OBSERVABILITY_ENABLED", "true");
    let (_upstream, envoy) = start(plugin);
    get(&envoy, "/users/1");
    let expected = table(&[(["GET", "/users/{id}", "200"], 1)]);
    expect_table(&envoy, "http_requests_total", &REQUEST, &expected);
}

#[test]
fn the_sample_rate_comes_from_the_environment() {
    let plugin =
        Plugin::new(json!({"sampling": {"rate": 1.0}})).environment("METRICS_SAMPLE_RATE", "0");
    let (_upstream, envoy) = start(plugin);
    for n in 0..20 {
        get(&envoy, &format!("/users/{n}"));
    }
    expect_decisions(&envoy, 0, 20, 0);
    let scrape = envoy.scrape();
    assert_eq!(scrape.value("route_metrics_sample_rate_ppm", &[]), Some(0.0));
    assert_eq!(scrape.sum("http_requests_total"), 0.0);
}

#[test]
fn a_bad_environment_variable_is_refused_by_name() {
    for (variable, value) in [("METRICS_SAMPLE_RATE", "2"), ("METRICS_ENABLED", "perhaps")] {
        let upstream = Upstream::start();
        let plugin = Plugin::new(json!({})).environment(variable, value);
        let failure = Setup::new(upstream.address()).plugin(plugin).try_start().err();
        let failure = failure.expect("Envoy does not start").to_string();
        assert!(failure.contains(variable), "{failure}");
    }
}
