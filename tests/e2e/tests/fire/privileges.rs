//! The module is allowed what it needs, and no more.

use std::collections::BTreeSet;

use route_metrics::envoy_config::CAPABILITIES;
use route_metrics_e2e::{Answer, Binary, Plugin, Request, Setup, Upstream, http1};
use serde_json::{Map, Value, json};
use wasmparser::{Parser, Payload, TypeRef};

use crate::support::{REQUEST, expect_table, table};

fn allow<'a>(capabilities: impl Iterator<Item = &'a str>) -> Value {
    let all: Map<String, Value> = capabilities.map(|name| (name.to_owned(), json!({}))).collect();
    json!({"capability_restriction_config": {"allowed_capabilities": all}})
}

/// What Envoy always allows: the memory, and what it asks for before anything else.
const ALWAYS: [&str; 4] =
    ["_initialize", "memory", "proxy_abi_version_0_2_1", "proxy_on_memory_allocate"];

#[test]
fn the_list_is_what_the_module_imports_and_exports() {
    let module = std::fs::read(Plugin::new(json!({})).module).unwrap();
    let mut found = BTreeSet::new();
    for payload in Parser::new(0).parse_all(&module) {
        match payload.unwrap() {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import.unwrap();
                    assert!(matches!(import.ty, TypeRef::Func(_)), "{import:?}");
                    found.insert(import.name.to_owned());
                }
            }
            Payload::ExportSection(exports) => {
                found.extend(exports.into_iter().map(|export| export.unwrap().name.to_owned()));
            }
            _ => {}
        }
    }
    for name in ALWAYS {
        assert!(found.remove(name), "{name}");
    }
    let listed: BTreeSet<String> = CAPABILITIES.map(str::to_owned).into();
    assert_eq!(found, listed);
}

#[test]
fn the_filter_works_with_exactly_these() {
    for binary in Binary::tested() {
        let upstream = Upstream::start();
        // Everything that a configuration can ask for.
        let plugin = Plugin::new(json!({
            "endpoint": {"export": true},
            "custom_metrics": [{
                "name": "app_jobs_total", "type": "counter", "source": "event", "labels": {},
            }],
            "events": {"response_header": "x-metric-events", "path": "/metric-events"},
        }));
        let plugin = plugin.settings(allow(CAPABILITIES.into_iter())).stop_at_headers();
        let envoy = Setup::new(upstream.address()).binary(&binary).plugin(plugin).start();
        let answer = Answer::new().header("x-metric-events", "app_jobs_total");
        let response =
            http1::send(envoy.address(), &Request::get("/users/1").answer(&answer)).unwrap();
        assert_eq!((response.status, response.header("x-metric-events")), (200, None));
        let post = Request::new("POST", "/metric-events")
            .header("content-type", "application/json")
            .body(r#"[{"metric": "app_jobs_total"}]"#);
        assert_eq!(http1::send(envoy.address(), &post).unwrap().status, 204);
        let expected = table(&[(["GET", "/users/{id}", "200"], 1)]);
        expect_table(&envoy, "http_requests_total", &REQUEST, &expected);
        envoy.eventually("events", |scrape| match scrape.sum("app_jobs_total") {
            2.0 => Ok(()),
            other => Err(format!("{other}")),
        });
        assert_eq!(envoy.vm_reloads(), 0);
        assert_eq!(envoy.scrape().sum("route_metrics_errors_total"), 0.0);
    }
}

/// What is left out is not there: without the callback that ends a request, none is counted.
#[test]
fn what_is_not_allowed_does_not_happen() {
    let upstream = Upstream::start();
    let ends = ["proxy_on_log", "proxy_on_delete"];
    let fewer = CAPABILITIES.into_iter().filter(|name| !ends.contains(name));
    let plugin = Plugin::new(json!({})).settings(allow(fewer));
    let envoy = Setup::new(upstream.address()).plugin(plugin).start();
    assert_eq!(http1::send(envoy.address(), &Request::get("/users/1")).unwrap().status, 200);
    envoy.eventually("the request in the gauge, for ever", |scrape| {
        match scrape.value("http_requests_active", &[]) {
            Some(1.0) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    assert_eq!(envoy.scrape().sum("http_requests_total"), 0.0);
}
