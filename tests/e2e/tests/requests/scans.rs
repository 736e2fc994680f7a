//! Scans displace nothing: after each, endpoints that are asked for again and again have labels of
//! their own, on four workers.

use route_metrics_e2e::{Answer, Envoy, Request, Setup, Upstream, http1};
use serde_json::json;

/// What is asked for after a scan, each so often; and how many of these requests must be counted
/// under their own label at least.
const ASKED: [&str; 5] = ["/checkout", "/cart", "/login", "/pricing", "/api/v1/invoices"];
const TIMES: usize = 200;
const AT_LEAST: f64 = 160.0;

/// Endpoints that the default limits allow.
const MAX_ENDPOINTS: usize = 100;

/// Words that paths are made of everywhere, so that nothing takes them for identifiers.
const WORDS: [&str; 28] = [
    "accounts", "builds", "comments", "events", "files", "groups", "images", "invoices", "items",
    "jobs", "labels", "login", "members", "messages", "orders", "payments", "products", "projects",
    "reports", "reviews", "roles", "search", "sessions", "settings", "status", "tags", "teams",
    "users",
];

/// A made-up path, a different one for each number below 5,488.
fn made_up(number: usize) -> String {
    let below = ["", "/api", "/v1", "/v2", "/v3", "/admin", "/internal"];
    let (first, second) = (WORDS[number % 28], WORDS[number / 28 % 28]);
    format!("{}/{first}/{second}", below[number / 784 % below.len()])
}

fn envoy(upstream: &Upstream) -> Envoy {
    Setup::new(upstream.address()).concurrency(4).filter(json!({})).start()
}

fn send_all(envoy: &Envoy, requests: &[Request]) {
    // More connections than workers, so that each worker gets some.
    for response in http1::send_all(envoy.address(), 32, requests) {
        response.expect("each request is answered");
    }
}

/// Asks for [`ASKED`] after so many requests, and checks what came of all.
#[track_caller]
fn expect_own_labels(envoy: &Envoy, before: usize) {
    let requests: Vec<Request> = (0..TIMES).flat_map(|_| ASKED).map(Request::get).collect();
    send_all(envoy, &requests);
    let total = (before + requests.len()) as f64;
    envoy.eventually("all requests", |scrape| {
        let sums = [
            scrape.sum("http_requests_total"),
            scrape.sum("http_request_duration_microseconds_count"),
            scrape.sum("http_response_size_bytes_count"),
            scrape.sum_where("route_metrics_requests_total", &[("decision", "recorded")]),
        ];
        if sums.iter().all(|&sum| sum == total) { Ok(()) } else { Err(format!("{sums:?}")) }
    });
    let scrape = envoy.scrape();
    for endpoint in ASKED {
        let own = scrape.sum_where("http_requests_total", &[("endpoint", endpoint)]);
        assert!(own >= AT_LEAST, "{own} of {TIMES} under {endpoint}");
    }
    let labels = scrape.label_values("http_requests_total", "endpoint");
    assert!(labels.len() <= MAX_ENDPOINTS, "{} endpoints", labels.len());
    let taken = scrape.value("route_metrics_values", &[("label", "endpoint")]);
    assert!(taken.is_some_and(|taken| taken >= labels.len() as f64), "{taken:?}");
    let limit = scrape.value("route_metrics_values_limit", &[("label", "endpoint")]);
    assert_eq!(limit, Some(MAX_ENDPOINTS as f64));
    assert_eq!(scrape.sum("route_metrics_errors_total"), 0.0);
    assert_eq!(envoy.vm_reloads(), 0);
}

/// The endpoints that were counted, but for the words of the filter.
fn endpoints(envoy: &Envoy) -> Vec<String> {
    let labels = envoy.scrape().label_values("http_requests_total", "endpoint");
    labels.into_iter().filter(|label| label.starts_with('/')).collect()
}

#[test]
fn made_up_paths_that_an_application_answers() {
    let upstream = Upstream::start();
    let envoy = envoy(&upstream);
    let scan: Vec<Request> = (0..5000).map(|n| Request::get(made_up(n))).collect();
    send_all(&envoy, &scan);
    let before = endpoints(&envoy).len();
    assert!(before <= 50, "{before} of the places for a scan that asks for each path once");
    expect_own_labels(&envoy, scan.len());
}

/// A path of known and unknown words, a different one for each number below 114,688.
fn deep(number: usize) -> String {
    format!("/{}/{}/{}", name(number), WORDS[number % 28], name(number / 28))
}

/// A name that is in no vocabulary.
fn name(number: usize) -> String {
    let syllables = ["ka", "ro", "mi", "ten", "vul", "sha", "bre", "lod"];
    (0..4).map(|at| syllables[number / 8_usize.pow(at) % 8]).collect()
}

#[test]
fn a_new_api_is_learned_after_twenty_thousand_made_up_paths() {
    const MADE_UP: usize = 20_000;
    let upstream = Upstream::start();
    let envoy = envoy(&upstream);
    for first in (0..MADE_UP).step_by(4000) {
        let scan: Vec<Request> = (first..first + 4000).map(|n| Request::get(deep(n))).collect();
        send_all(&envoy, &scan);
        // Workers exchange what they have learned about once a second.
        std::thread::sleep(std::time::Duration::from_millis(1500));
    }
    let api: [fn(usize) -> String; 4] = [
        |n| format!("/warehouses/{}/stock", name(n * 7)),
        |n| format!("/shipments/{}/parcels/{n}", name(n * 11)),
        |n| format!("/carriers/{}", name(n * 13)),
        |n| format!("/routes/{n}/stops"),
    ];
    let labels = [
        "/warehouses/{id}/stock",
        "/shipments/{id}/parcels/{id}",
        "/carriers/{id}",
        "/routes/{id}/stops",
    ];
    let ask = |from: usize, times: usize| -> Vec<Request> {
        (from..from + times).flat_map(|n| api.map(|path| Request::get(path(n)))).collect()
    };
    // What is new is learned within some dozens of requests and a second.
    let lessons = ask(0, 60);
    send_all(&envoy, &lessons);
    std::thread::sleep(std::time::Duration::from_millis(3000));
    let before = labels.map(|label| counted(&envoy, label));
    let asked = ask(1000, TIMES);
    send_all(&envoy, &asked);
    expect_own_labels(&envoy, MADE_UP + lessons.len() + asked.len());
    for (label, before) in labels.into_iter().zip(before) {
        let own = counted(&envoy, label) - before;
        assert!(own >= AT_LEAST, "{own} of {TIMES} under {label}");
    }
}

fn counted(envoy: &Envoy, endpoint: &str) -> f64 {
    envoy.scrape().sum_where("http_requests_total", &[("endpoint", endpoint)])
}

#[test]
fn made_up_paths_that_a_rate_limiter_answers() {
    let upstream = Upstream::start();
    let envoy = envoy(&upstream);
    let limited = Answer::new().status(429);
    let scan: Vec<Request> = (0..5000).map(|n| Request::get(made_up(n)).answer(&limited)).collect();
    send_all(&envoy, &scan);
    assert!(endpoints(&envoy).is_empty());
    expect_own_labels(&envoy, scan.len());
}

#[test]
fn made_up_grpc_methods() {
    let upstream = Upstream::start();
    let envoy = envoy(&upstream);
    let unimplemented =
        Answer::new().header("content-type", "application/grpc").header("grpc-status", "12");
    let call = |n: usize| {
        Request::new("POST", format!("/made.v1.Up{n}/Method{n}"))
            .header("content-type", "application/grpc")
            .answer(&unimplemented)
    };
    let scan: Vec<Request> = (0..3000).map(call).collect();
    send_all(&envoy, &scan);
    assert!(endpoints(&envoy).is_empty());
    expect_own_labels(&envoy, scan.len());
}

#[test]
fn made_up_paths_whose_client_resets() {
    let upstream = Upstream::start();
    let envoy = envoy(&upstream);
    let held = Answer::new().hold();
    let scan = 400;
    for first in (0..scan).step_by(20) {
        let clients: Vec<_> = (first..first + 20)
            .map(|n| {
                let mut client = http1::Connection::open(envoy.address()).unwrap();
                let request = Request::get(made_up(n)).answer(&held);
                client.send(&request.to_http1()).unwrap();
                client
            })
            .collect();
        // Nothing is answered before all have gone: an answer could overtake a reset.
        envoy.eventually("the requests are at the upstream", |_| match upstream.held() {
            held if held == first + 20 => Ok(()),
            held => Err(format!("{held} held")),
        });
        drop(clients);
    }
    envoy.eventually("all resets", |scrape| {
        let reset = scrape.sum_where("http_requests_total", &[("status", "0")]);
        if reset == scan as f64 { Ok(()) } else { Err(format!("{reset} of {scan}")) }
    });
    upstream.release();
    assert!(endpoints(&envoy).is_empty());
    expect_own_labels(&envoy, scan);
}

#[test]
fn made_up_paths_of_an_upstream_that_is_down() {
    let upstream = Upstream::start();
    let envoy = envoy(&upstream);
    let closed = Answer::new().close();
    let scan: Vec<Request> = (0..1000).map(|n| Request::get(made_up(n)).answer(&closed)).collect();
    send_all(&envoy, &scan);
    assert!(endpoints(&envoy).is_empty());
    // The upstream's own error is one of an endpoint.
    let failed = Answer::new().status(503);
    send_all(&envoy, &[Request::get("/checkout").answer(&failed)]);
    expect_own_labels(&envoy, scan.len() + 1);
    assert_eq!(
        envoy.scrape().sum_where("http_requests_total", &[("endpoint", "/checkout")]),
        TIMES as f64 + 1.0
    );
}

#[test]
fn tenants_that_a_client_makes_up() {
    let upstream = Upstream::start();
    let envoy = Setup::new(upstream.address())
        .concurrency(4)
        .filter(json!({
            "metrics": {"requests_total": {"labels": ["method", "tenant"]}},
            "labels": {"tenant": {"from": "request_header", "name": "x-tenant"}},
        }))
        .start();
    let of = |tenant: String| Request::get("/users").header("x-tenant", tenant);
    let scan: Vec<Request> = (0..3000).map(|n| of(format!("made-up-{n}"))).collect();
    send_all(&envoy, &scan);
    send_all(&envoy, &vec![of("acme".to_owned()); TIMES]);
    let total = (scan.len() + TIMES) as f64;
    envoy.eventually("all requests", |scrape| {
        let sum = scrape.sum("http_requests_total");
        if sum == total { Ok(()) } else { Err(format!("{sum} of {total}")) }
    });
    let scrape = envoy.scrape();
    let own = scrape.sum_where("http_requests_total", &[("tenant", "acme")]);
    assert!(own >= AT_LEAST, "{own} of {TIMES}");
    assert!(scrape.label_values("http_requests_total", "tenant").len() <= 60);
}
