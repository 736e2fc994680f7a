//! What becomes of values from outside on their way into labels and conditions, whatever they are.

use proptest::prelude::*;
use regex_lite::Regex;
use route_metrics::filter::Filter;
use route_metrics::host::recorder::Recorder;
use route_metrics::host::{HeaderMap, Property};
use route_metrics::labels::tag_regex;

use crate::worker::{ROOT, Request, Worker, get};

/// The values of a label in a family, as Envoy's tag expression takes them out.
fn values(worker: &Worker, family: &str, label: &str) -> Vec<String> {
    let regex = Regex::new(&tag_regex(label)).unwrap();
    let names = worker.names(family);
    names.iter().map(|name| regex.captures(name).unwrap()[2].to_owned()).collect()
}

const TENANTS: &str = r#"{"labels": {"tenant": {"from": "request_header", "name": "x-tenant"}},
    "metrics": {"requests_total": {"labels": ["tenant"]}}}"#;

#[test]
fn a_header_does_not_pass_for_what_a_limit_folded() {
    let mut worker = Worker::new(TENANTS);
    const DOTS: &str = concat!(
        "_OTHER",
        "......................................",
        "......................................",
        "......................................"
    );
    assert_eq!(DOTS.len(), 120);
    for tenant in ["_OTHER", DOTS, "_UNMATCHED"] {
        worker.send(&Request { headers: vec![("x-tenant", tenant)], ..get("/a") });
    }
    assert_eq!(values(&worker, "http_requests_total", "tenant"), ["%5FOTHER", "%5FUNMATCHED"]);
    assert_eq!(worker.sum("http_requests_total"), 3);
}

#[test]
fn the_host_is_the_authority_in_labels_values_and_conditions() {
    let mut worker = Worker::new(
        r#"{"labels": {"site": {"from": "request_header", "name": "Host"}},
            "metrics": {"requests_total": {"labels": ["site"]}},
            "custom_metrics": [
                {"name": "shop_requests_total", "type": "counter",
                 "match": {"request_headers": {"HOST": "shop.example"}},
                 "labels": {"name": {"from": "request_header", "name": "host"}}},
                {"name": "any_host_total", "type": "counter", "match": {"request_headers": {"host": "*"}}}]}"#,
    );
    for site in ["shop.example", "blog.example"] {
        worker.send(&Request { headers: vec![(":authority", site)], ..get("/a") });
    }
    assert_eq!(values(&worker, "http_requests_total", "site"), ["blog.example", "shop.example"]);
    assert_eq!(values(&worker, "shop_requests_total", "name"), ["shop.example"]);
    assert_eq!(worker.sum("shop_requests_total"), 1);
    assert_eq!(worker.sum("any_host_total"), 2);
}

#[test]
fn head_counts_under_the_template_of_get_and_as_head() {
    let config = r#"{"endpoint": {"exclude": ["GET /healthz"], "inference": "off",
            "templates": ["GET /users/{id}", "POST /users/{new}", "GET /files/{file}", "HEAD /files/{name}"]},
        "metrics": {"requests_total": {"labels": ["method", "endpoint"]}}}"#;
    for (path, endpoint) in
        [("/users/7", "/users/{id}"), ("/files/7", "/files/{name}"), ("/other", "_UNMATCHED")]
    {
        let mut worker = Worker::new(config);
        worker.send(&Request { method: "HEAD", ..get(path) });
        assert_eq!(values(&worker, "http_requests_total", "endpoint"), [endpoint], "{path}");
        assert_eq!(values(&worker, "http_requests_total", "method"), ["HEAD"], "{path}");
    }
    let mut worker = Worker::new(config);
    worker.send(&Request { method: "HEAD", ..get("/healthz") });
    assert_eq!(worker.count("http_requests_total"), 0);
}

#[test]
fn of_a_header_with_several_lines_the_first_counts() {
    let mut worker = Worker::new(
        r#"{"labels": {"cache": {"from": "response_header", "name": "x-cache"}},
            "metrics": {"requests_total": {"labels": ["cache", "status"]}}}"#,
    );
    let stream = worker.begin(&get("/a"));
    worker.filter.host().add_header(HeaderMap::Response, "x-cache", b"MISS");
    worker.filter.host().add_header(HeaderMap::Response, "x-cache", b"HIT");
    worker.end(stream, &get("/a"));
    assert_eq!(values(&worker, "http_requests_total", "cache"), ["MISS"]);
}

#[test]
fn conditions_hold_endpoints_in_the_form_that_requests_have() {
    let mut worker = Worker::new(
        r#"{"endpoint": {"templates": ["/api/v1/auth/register/", "/files/cache.json"], "route_name": true},
            "sampling": {"rate": 1, "always": {}},
            "custom_metrics": [
                {"name": "registrations_total", "type": "counter", "match": {"endpoints": ["/api/v1/auth/register/"]}},
                {"name": "caches_total", "type": "counter", "match": {"endpoints": ["/files/cache%2Ejson"]}},
                {"name": "checkouts_total", "type": "counter", "match": {"methods": ["POST"], "endpoints": ["/checkout/"]}},
                {"name": "routes_total", "type": "counter", "match": {"endpoints": ["a%2E.route"]}}]}"#,
    );
    for path in ["/api/v1/auth/register", "/api/v1/auth/register/?x=1", "/files/cache.json"] {
        worker.send(&get(path));
    }
    worker.send(&Request { method: "POST", ..get("/checkout") });
    let stream = worker.begin(&get("/any"));
    worker.filter.host().set_property(Property::RouteName, b"a..route");
    worker.end(stream, &get("/any"));
    assert_eq!(worker.sum("registrations_total"), 2);
    assert_eq!(worker.sum("caches_total"), 1);
    assert_eq!(worker.sum("checkouts_total"), 1);
    assert_eq!(worker.sum("routes_total"), 1);
}

#[test]
fn a_path_that_is_too_long_is_no_endpoint_and_its_beginning_none_either() {
    let mut worker = Worker::new(
        r#"{"endpoint": {"templates": ["/users/{id}"]}, "metrics": {"requests_total": {"labels": ["endpoint"]}}}"#,
    );
    let long = "a".repeat(4096);
    worker.send(&get(&format!("/users/{long}")));
    worker.send(&get(&format!("/users/1/{long}/secrets")));
    worker.send(&get(&format!("/users/1?q={long}")));
    assert_eq!(values(&worker, "http_requests_total", "endpoint"), ["/users/{id}", "_UNMATCHED"]);
}

#[test]
fn a_configuration_is_gone_with_its_root_context() {
    let mut worker = Worker::new("{}");
    assert!(worker.filter.configure(2, b"{}", |_| None));
    assert_eq!(worker.filter.configurations(), 2);
    worker.filter.forget(2);
    assert_eq!(worker.filter.configurations(), 1);
    // One that still has a stream stays until that has ended and been counted.
    let stream = worker.begin(&get("/a"));
    worker.filter.forget(ROOT);
    worker.end(stream, &get("/a"));
    assert_eq!(worker.sum("http_requests_total"), 1);
}

#[test]
fn what_cannot_be_told_for_other_writers_is_told_later() {
    let host = Recorder::default();
    let mut worker = Worker::on(host, "{}", 1);
    for id in 0..40 {
        worker.send(&get(&format!("/zzq/{id}x/wvut{id}")));
    }
    // Somebody else is always faster; the filter gives up for this time, and keeps what it has.
    worker.filter.host().contend(u32::MAX);
    worker.tick();
    let before = worker.filter.host().shared_bytes();
    worker.filter.host().contend(0);
    worker.tick();
    assert!(worker.filter.host().shared_bytes() > before + 100, "{before}");
}

/// Texts near those that could go wrong.
fn hostile() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "_OTHER|_UNMATCHED|none|%5F|_|;\\.;|=\\.=",
        "\\.{1,130}",
        "[=;.%{}/ a-zA-Z_\u{e9}]{0,12}",
        "(cache|tag|component|wasm_filter|rbac|endpoint|tenant)",
    ];
    let parts = proptest::collection::vec(part, 0..5).prop_map(|parts| parts.concat());
    // One of the filter's own words, where what stands behind it is cut away.
    let forged = "(_OTHER|_UNMATCHED)(\\.{1,150}|\\.{1,9}[;=\u{e9}])[a-z]{0,9}";
    prop_oneof![3 => parts, 1 => forged]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every way by which a text from outside gets into a label, at every bound.
    #[test]
    fn no_text_from_outside_forges_a_word_or_a_label(text in hostile(), max in 16u32..140, hash: bool) {
        let config = format!(
            r#"{{"limits": {{"max_label_value_length": {max}}},
                "endpoint": {{"templates": ["/p/{{part}}"]}},
                "labels": {{
                    "head": {{"from": "request_header", "name": "x-in", "hash": {hash}}},
                    "answer": {{"from": "response_header", "name": "x-out"}},
                    "query": {{"from": "query_param", "name": "q"}},
                    "part": {{"from": "path_param", "name": "part"}},
                    "route": {{"from": "route_name"}},
                    "mapped": {{"from": "request_header", "name": "x-in", "map": {{"a": "_OTHER"}}, "default": "rest"}}}},
                "metrics": {{"requests_total": {{"labels": ["head", "answer", "query", "part", "route", "mapped"]}},
                             "exceptions_total": {{"labels": ["type"]}}}},
                "custom_metrics": [{{"name": "told_total", "type": "counter", "source": "event", "labels": {{"what": {{}}}}}}],
                "events": {{"path": "/told"}}}}"#
        );
        let mut worker = Worker::new(&config);
        let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let request = get(&format!("/p/{encoded}?q={encoded}"));
        let stream = {
            worker.show(&request);
            worker.filter.host().set_header(HeaderMap::Request, "x-in", text.as_bytes());
            worker.next += 1;
            worker.filter.create(worker.next, ROOT);
            worker.filter.request_headers(worker.next, false);
            worker.next
        };
        let host = worker.filter.host();
        host.set_header(HeaderMap::Response, "x-out", text.as_bytes());
        host.set_header(HeaderMap::Response, "x-exception-type", text.as_bytes());
        host.set_property(Property::RouteName, text.as_bytes());
        worker.end(stream, &request);
        // And as the label of an event.
        let body = serde_json::json!([{"metric": "told_total", "labels": {"what": text}}]).to_string();
        let host = worker.filter.host();
        host.clear_request();
        host.set_header(HeaderMap::Request, ":method", b"POST");
        host.set_header(HeaderMap::Request, ":path", b"/told");
        host.set_header(HeaderMap::Request, "content-type", b"application/json");
        host.set_body(body.as_bytes());
        worker.filter.create(9, ROOT);
        worker.filter.request_headers(9, false);
        worker.filter.request_body(9, body.len(), true);
        let mut seen = 0;
        for (family, labels) in [
            ("http_requests_total", &["head", "answer", "query", "part", "route"][..]),
            ("http_exceptions_total", &["type"]),
            ("told_total", &["what"]),
        ] {
            for label in labels {
                for value in values(&worker, family, label) {
                    seen += 1;
                    prop_assert!(value.len() <= max as usize && !value.is_empty(), "{}={}", label, value);
                    prop_assert!(!["_OTHER", "_UNMATCHED"].contains(&value.as_str()), "{}", label);
                    prop_assert!(value.bytes().all(|b| (b' '..=b'~').contains(&b)), "{}", value);
                }
            }
        }
        prop_assert!(seen >= 6);
        prop_assert_eq!(values(&worker, "http_requests_total", "mapped"), ["rest"]);
    }

    /// The same where Envoy's route name is the endpoint.
    #[test]
    fn no_route_name_passes_for_an_own_word(
        name in prop_oneof![1 => "_OTHER|_UNMATCHED", 4 => hostile()], max in 32u32..140,
    ) {
        let config = format!(
            r#"{{"endpoint": {{"route_name": true}}, "limits": {{"max_label_value_length": {max}}},
                "metrics": {{"requests_total": {{"labels": ["endpoint"]}}}}}}"#
        );
        let mut worker = Worker::new(&config);
        let stream = worker.begin(&get("/a"));
        worker.filter.host().set_property(Property::RouteName, name.as_bytes());
        worker.end(stream, &get("/a"));
        for value in values(&worker, "http_requests_total", "endpoint") {
            prop_assert!(!["_OTHER", "_UNMATCHED"].contains(&value.as_str()), "{}", value);
        }
    }

    /// A rule's endpoint is taken only where it stands in the label as it is.
    #[test]
    fn a_rule_s_endpoint_is_refused_or_stands_in_the_label_as_it_is(endpoint in hostile()) {
        let config = serde_json::json!({
            "endpoint": {"rules": [{"regex": "^/a$", "endpoint": endpoint}]},
            "metrics": {"requests_total": {"labels": ["endpoint"]}}});
        let mut filter = Filter::new(Recorder::default(), 1);
        if filter.configure(ROOT, config.to_string().as_bytes(), |_| None) {
            let mut worker = Worker { filter, next: 10 };
            worker.send(&get("/a"));
            prop_assert_eq!(values(&worker, "http_requests_total", "endpoint"), [endpoint]);
        }
    }
}
