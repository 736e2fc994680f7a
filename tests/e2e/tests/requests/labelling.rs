//! Where labels come from: paths before rewrites, route names, headers, response codes, exports.

use route_metrics_e2e::config::route;
use route_metrics_e2e::{Answer, Binary, Envoy, Request, Setup, Upstream, http1, http2};
use serde_json::{Value, json};

use route_metrics_e2e::expect::{EXCEPTION, REQUEST, expect_decisions, expect_table, table};

fn send(envoy: &Envoy, request: &Request) -> u16 {
    http1::send(envoy.address(), request).unwrap().status
}

#[test]
fn the_path_is_the_one_that_the_client_sent() {
    for binary in Binary::tested() {
        let upstream = Upstream::start();
        let envoy = Setup::new(upstream.address())
            .binary(&binary)
            .filter(json!({"endpoint": {"templates": ["/public/{id}"], "inference": "off"}}))
            .route(json!({
                "match": {"prefix": "/public/"},
                "route": {"cluster": "upstream", "prefix_rewrite": "/internal/v2/"},
            }))
            .start();
        assert_eq!(send(&envoy, &Request::get("/public/7?q=1")), 200);
        assert_eq!(upstream.seen()[0].target, "/internal/v2/7?q=1");
        let expected = table(&[(["GET", "/public/{id}", "200"], 1)]);
        expect_table(&envoy, "http_requests_total", &REQUEST, &expected);
    }
}

#[test]
fn a_filter_after_ours_does_not_change_the_path_that_is_counted() {
    let upstream = Upstream::start();
    let envoy = Setup::new(upstream.address())
        .filter(json!({"endpoint": {"templates": ["/public/{id}", "/changed"]}}))
        .filter_after(json!({
            "name": "envoy.filters.http.lua",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
                "default_source_code": {"inline_string":
                    "function envoy_on_request(request)
                       request:headers():replace(':path', '/changed')
                     end"},
            },
        }))
        .start();
    assert_eq!(send(&envoy, &Request::get("/public/7")), 200);
    assert_eq!(upstream.seen()[0].target, "/changed");
    let expected = table(&[(["GET", "/public/{id}", "200"], 1)]);
    expect_table(&envoy, "http_requests_total", &REQUEST, &expected);
}

#[test]
fn the_endpoint_is_decided_in_the_documented_order() {
    let upstream = Upstream::start();
    let named = |prefix: &str| {
        let mut route = route(prefix, "upstream");
        route["name"] = "named-route".into();
        route
    };
    let envoy = Setup::new(upstream.address())
        .filter(json!({"endpoint": {
            "exclude": ["/healthz", "/static/{*path}"],
            "templates": ["/users/{id}", "/users/me", "GET /orders/{id}",
                          "/v1/{name}:cancel", "/files/{*path}", "/report-{year}.pdf"],
            "rules": [{"regex": "^/legacy/.*\\.php$", "endpoint": "/legacy/{script}"},
                      {"regex": "^/users/", "endpoint": "/never"}],
            "route_name": true,
            "inference": "heuristic",
        }}))
        .route(named("/named/"))
        .start();
    for (method, path) in [
        ("GET", "/healthz"),
        ("GET", "/static/a/b.css"),
        ("GET", "/users/7"),
        ("GET", "/users/me"),
        ("GET", "/orders/7"),
        ("POST", "/orders/8"),
        ("POST", "/v1/job:cancel"),
        ("GET", "/files/a/b/c"),
        ("GET", "/report-2024.pdf"),
        ("GET", "/legacy/x/y.php?z"),
        ("GET", "/named/7"),
        ("GET", "/users/7/orders/9"),
    ] {
        assert_eq!(send(&envoy, &Request::new(method, path)), 200);
    }
    let not_found = Request::get("/unheard/of/9").answer(&Answer::new().status(404));
    assert_eq!(send(&envoy, &not_found), 404);
    let expected = table(&[
        (["GET", "/users/{id}", "200"], 1),
        (["GET", "/users/me", "200"], 1),
        (["GET", "/orders/{id}", "200"], 1),
        (["POST", "/orders/{id}", "200"], 1),
        (["POST", "/v1/{name}:cancel", "200"], 1),
        (["GET", "/files/{*path}", "200"], 1),
        (["GET", "/report-{year}.pdf", "200"], 1),
        (["GET", "/legacy/{script}", "200"], 1),
        (["GET", "named-route", "200"], 1),
        (["GET", "/never", "200"], 1),
        (["GET", "_UNMATCHED", "404"], 1),
    ]);
    expect_table(&envoy, "http_requests_total", &REQUEST, &expected);
    expect_decisions(&envoy, 11, 0, 2);
}

/// Sends one request for each label to an Envoy that has them all, and checks the value that each
/// label got for its own request.
fn check_values(cases: &[(Value, Request, &str)]) {
    // A metric has at most ten labels; one of them tells the requests apart.
    for some in cases.chunks(9) {
        let upstream = Upstream::start();
        let mut labels = json!({"case": {"from": "request_header", "name": "x-case"}});
        let names: Vec<_> = (0..some.len()).map(|index| format!("probe_{index}_")).collect();
        let mut used = vec!["case".to_owned()];
        for (name, (label, ..)) in names.iter().zip(some) {
            labels[name] = label.clone();
            used.push(name.clone());
        }
        let envoy = Setup::new(upstream.address())
            .filter(json!({
                "metrics": {"requests_total": {"labels": used}},
                "labels": labels,
                "endpoint": {"templates": ["/users/{id}"]},
            }))
            .connection_manager(json!({"route_config": {"virtual_hosts": [{
                "name": "the_hosts",
                "domains": ["*"],
                "routes": [{
                    "name": "the-route", "match": {"prefix": "/"}, "route": {"cluster": "upstream"},
                }],
            }]}}))
            .start();
        for (name, (_, request, _)) in names.iter().zip(some) {
            http1::send(envoy.address(), &request.clone().header("x-case", name)).unwrap();
        }
        for (name, (label, _, expected)) in names.iter().zip(some) {
            envoy.eventually(&format!("{expected:?} for {label}"), |scrape| {
                let found: Vec<_> = scrape
                    .series("http_requests_total")
                    .filter(|sample| sample.labels["case"] == *name)
                    .map(|sample| sample.labels[name].as_str())
                    .collect();
                if found == [*expected] { Ok(()) } else { Err(format!("{found:?}")) }
            });
        }
    }
}

#[test]
fn labels_come_from_every_source() {
    let get = || Request::get("/users/7?plan=pro&empty=&plan=free");
    let ok = |header, value| get().answer(&Answer::new().header(header, value));
    check_values(&[
        (json!({"from": "method"}), get(), "GET"),
        (json!({"from": "endpoint"}), get(), "/users/{id}"),
        (json!({"from": "status"}), get(), "200"),
        (json!({"from": "status_class"}), get().answer(&Answer::new().status(418)), "4xx"),
        (json!({"from": "route_name"}), get(), "the-route"),
        (json!({"from": "cluster_name"}), get(), "upstream"),
        (json!({"from": "virtual_host"}), get(), "the_hosts"),
        (json!({"from": "authority"}), get(), "test.local"),
        (json!({"from": "protocol"}), get(), "HTTP/1.1"),
        (
            json!({"from": "response_flags"}),
            get().answer(&Answer::new().close()),
            "UpstreamConnectionTermination",
        ),
        (
            json!({"from": "request_header", "name": "x-tenant"}),
            get().header("X-Tenant", "acme"),
            "acme",
        ),
        (json!({"from": "request_header", "name": "x-tenant"}), get(), "none"),
        (
            json!({"from": "request_header", "name": "x-tenant", "default": "nobody"}),
            get(),
            "nobody",
        ),
        (json!({"from": "response_header", "name": "x-cache"}), ok("x-cache", "HIT"), "HIT"),
        (
            json!({"from": "response_header", "name": "x-cache", "map": {"HIT": "hit"}, "default": "miss"}),
            ok("x-cache", "HIT"),
            "hit",
        ),
        (
            json!({"from": "response_header", "name": "x-cache", "map": {"HIT": "hit"}, "default": "miss"}),
            ok("x-cache", "STALE"),
            "miss",
        ),
        (
            json!({"from": "response_header", "name": "x-cache", "allow": ["HIT"]}),
            ok("x-cache", "STALE"),
            "_OTHER",
        ),
        (json!({"from": "query_param", "name": "plan"}), get(), "pro"),
        (json!({"from": "query_param", "name": "absent"}), get(), "none"),
        (json!({"from": "path_param", "name": "id"}), get(), "7"),
        (json!({"from": "constant", "value": "blue"}), get(), "blue"),
        (json!({"from": "grpc_status"}), get(), "none"),
    ]);
}

#[test]
fn grpc_calls_have_their_own_labels_and_exceptions() {
    for binary in Binary::tested() {
        let upstream = Upstream::start();
        let envoy = Setup::new(upstream.address())
            .binary(&binary)
            .filter(json!({
                "metrics": {"requests_total": {"labels": ["service", "call", "result", "status"]}},
                "labels": {
                    "service": {"from": "grpc_service"},
                    "call": {"from": "grpc_method"},
                    "result": {"from": "grpc_status"},
                },
            }))
            .start();
        let call = |answer: Answer| {
            Request::new("POST", "/shop.v1.Cart/AddItem")
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .body(&b"\0\0\0\0\0"[..])
                .answer(&answer.header("content-type", "application/grpc"))
        };
        let requests = [
            call(Answer::new().header("grpc-status", "0")),
            call(Answer::new().header("grpc-status", "14")),
            call(Answer::new().header("grpc-status", "5")),
            call(Answer::new().header("grpc-status", "99")),
        ];
        for response in http2::send_all(envoy.address(), 1, 1, &requests) {
            assert_eq!(response.unwrap().status, 200);
        }
        let labels = ["service", "call", "result", "status"];
        envoy.eventually("calls", |scrape| {
            let found = scrape.table("http_requests_total", &labels);
            let results: Vec<_> = found.keys().map(|values| values.join(" ")).collect();
            let expected = ["NotFound", "OK", "Unavailable"];
            let all = expected
                .iter()
                .all(|name| results.contains(&format!("shop.v1.Cart AddItem {name} 200")));
            if all && results.len() == 4 { Ok(()) } else { Err(format!("{found:?}")) }
        });
        envoy.eventually("exceptions", |scrape| {
            let types = scrape.label_values("http_exceptions_total", "type");
            let all = ["NotFound", "Unavailable"].iter().all(|name| types.contains(*name));
            if all && types.len() == 3 { Ok(()) } else { Err(format!("{types:?}")) }
        });
    }
}

#[test]
fn the_endpoint_reaches_the_access_log_as_filter_state() {
    for binary in Binary::tested() {
        let upstream = Upstream::start();
        let envoy = Setup::new(upstream.address())
            .binary(&binary)
            .filter(json!({"endpoint": {"templates": ["/users/{id}"], "export": true}}))
            .access_log("%FILTER_STATE(wasm.endpoint:PLAIN)%")
            .start();
        assert_eq!(send(&envoy, &Request::get("/users/7")), 200);
        assert_eq!(send(&envoy, &Request::get("/orders/8")), 200);
        // Two workers write, each when it comes to it.
        let mut log = envoy.wait_for_access_log(2);
        log.sort();
        assert_eq!(log, ["/orders/{id}", "/users/{id}"]);
    }
}

#[test]
fn the_endpoint_is_not_exported_unless_asked_for() {
    let upstream = Upstream::start();
    let envoy = Setup::new(upstream.address())
        .filter(json!({}))
        .access_log("%FILTER_STATE(wasm.endpoint:PLAIN)%")
        .start();
    assert_eq!(send(&envoy, &Request::get("/users/7")), 200);
    assert_eq!(envoy.wait_for_access_log(1), ["-"]);
}

#[test]
fn the_header_of_exceptions_is_read_from_the_upstream_only() {
    let upstream = Upstream::start();
    let envoy = Setup::new(upstream.address())
        .filter(json!({"metrics": {"exceptions_total": {"header": "x-error-class"}}}))
        .start();
    let forged = Request::get("/users/7").header("x-error-class", "Forged");
    assert_eq!(send(&envoy, &forged), 200);
    let named = Request::get("/users/7").answer(&Answer::new().header("x-error-class", "KeyError"));
    assert_eq!(send(&envoy, &named), 200);
    let expected = table(&[(["/users/{id}", "KeyError"], 1)]);
    expect_table(&envoy, "http_exceptions_total", &EXCEPTION, &expected);
}
