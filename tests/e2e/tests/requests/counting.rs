//! Every request is counted exactly once, whatever the protocol and the number of workers.

use std::collections::BTreeMap;
use std::thread;

use route_metrics_e2e::scrape::Table;
use route_metrics_e2e::wait::eventually_equal;
use route_metrics_e2e::{Answer, Binary, Envoy, Request, Scrape, Setup, Upstream, http1, http2};
use serde_json::{Value, json};

use route_metrics_e2e::expect::{
    EXCEPTION, HISTOGRAM, Numbers, REQUEST, count, expect_decisions, expect_table, table,
};

const TEMPLATES: [&str; 4] =
    ["/users/{id}", "POST /orders/{order_id}/items", "/v1/{name}:cancel", "/files/{*path}"];

fn plugin() -> Value {
    json!({
        "metrics": {"request_size": {"enabled": true}},
        "endpoint": {"templates": TEMPLATES, "inference": "off"},
    })
}

/// What the scrape must show for the requests that were made.
#[derive(Default)]
struct Expected {
    requests: Table,
    exceptions: Table,
    by_route: Table,
    request_bytes: BTreeMap<Vec<String>, u64>,
    response_bytes: BTreeMap<Vec<String>, u64>,
}

/// A mix of methods, templates, response codes and bodies, and what it must be counted as.
fn traffic(requests: usize, seed: u64) -> (Vec<Request>, Expected) {
    let mut numbers = Numbers(seed);
    let mut expected = Expected::default();
    let mut made = Vec::new();
    for n in 0..requests {
        let method = *numbers.pick(&["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]);
        let (path, endpoint) = match numbers.below(7) {
            0 => (format!("/users/{n}"), "/users/{id}"),
            1 => (format!("/users/{n}?page=2&sort=name"), "/users/{id}"),
            2 if method == "POST" => (format!("/orders/{n}/items"), "/orders/{order_id}/items"),
            2 => (format!("/orders/{n}/items"), "_UNMATCHED"),
            3 => (format!("/v1/job-{n}:cancel"), "/v1/{name}:cancel"),
            4 => (format!("/files/{n}/a/b.txt"), "/files/{*path}"),
            5 => (format!("/users/{n}/orders"), "_UNMATCHED"),
            _ => (format!("/other/{n}"), "_UNMATCHED"),
        };
        let status = *numbers.pick(&[200, 200, 200, 201, 204, 302, 304, 404, 418, 500, 503]);
        let mut answer = Answer::new().status(status);
        let has_body = method != "HEAD" && status != 204 && status != 304;
        let size = if has_body { *numbers.pick(&[0, 1, 17, 1234, 40_000]) } else { 0 };
        if size > 0 {
            answer = answer.size(size);
        }
        if numbers.below(2) == 0 && has_body {
            answer = answer.chunked();
        }
        let exception = match (numbers.below(10), status) {
            (0, _) => Some("ValueError"),
            (_, 500) => Some("500"),
            (_, 503) => Some("503"),
            _ => None,
        };
        if exception == Some("ValueError") {
            answer = answer.header("x-exception-type", "ValueError");
        }
        let sent = if matches!(method, "POST" | "PUT" | "PATCH") {
            *numbers.pick(&[0, 3, 900, 20_000])
        } else {
            0
        };
        made.push(Request::new(method, path).body(vec![b'b'; sent]).answer(&answer));

        count(&mut expected.requests, [method, endpoint, &status.to_string()]);
        count(&mut expected.by_route, [method, endpoint]);
        if let Some(exception) = exception {
            count(&mut expected.exceptions, [endpoint, exception]);
        }
        let route = vec![method.to_owned(), endpoint.to_owned()];
        *expected.request_bytes.entry(route.clone()).or_default() += sent as u64;
        *expected.response_bytes.entry(route).or_default() += size as u64;
    }
    (made, expected)
}

/// Envoy's histograms keep two significant digits and take the middle of a step as its value, so a
/// sum is at most a twentieth off.
fn check_sums(
    scrape: &Scrape,
    family: &str,
    expected: &BTreeMap<Vec<String>, u64>,
) -> Result<(), String> {
    for (route, &bytes) in expected {
        let labels: Vec<_> = HISTOGRAM.into_iter().zip(route.iter().map(String::as_str)).collect();
        let found = scrape.value(&format!("{family}_sum"), &labels).unwrap_or(-1.0);
        if (found - bytes as f64).abs() > bytes as f64 / 20.0 {
            return Err(format!("{family}{route:?}: a sum of {found}, not {bytes}"));
        }
    }
    Ok(())
}

fn check_everything(envoy: &Envoy, sent: u64, expected: &Expected) {
    let Expected { requests, exceptions, by_route, request_bytes, response_bytes } = expected;
    expect_table(envoy, "http_requests_total", &REQUEST, requests);
    expect_table(envoy, "http_exceptions_total", &EXCEPTION, exceptions);
    for family in [
        "http_request_duration_microseconds",
        "http_response_size_bytes",
        "http_request_size_bytes",
    ] {
        expect_table(envoy, &format!("{family}_count"), &HISTOGRAM, by_route);
    }
    envoy.eventually("sums of sizes", |scrape| {
        check_sums(scrape, "http_request_size_bytes", request_bytes)?;
        check_sums(scrape, "http_response_size_bytes", response_bytes)
    });
    expect_decisions(envoy, sent, 0, 0);
    let scrape = envoy.scrape();
    for family in [
        "http_requests_total",
        "http_request_duration_microseconds_count",
        "http_response_size_bytes_count",
        "http_request_size_bytes_count",
    ] {
        assert_eq!(scrape.sum(family), sent as f64, "{family}");
    }
    eventually_equal("open requests", Some(0.0), || {
        envoy.scrape().value("http_requests_active", &[])
    });
    assert_eq!(envoy.vm_reloads(), 0);
}

fn mixed_traffic_is_counted_exactly(workers: usize) {
    for binary in Binary::tested() {
        let upstream = Upstream::start();
        let envoy = Setup::new(upstream.address())
            .binary(&binary)
            .concurrency(workers)
            .filter(plugin())
            .start();
        let (requests, expected) = traffic(4000, 7 + workers as u64);
        let (over_http1, over_http2) = requests.split_at(2000);
        let responses = thread::scope(|scope| {
            let first = scope.spawn(|| http1::send_all(envoy.address(), 8, over_http1));
            let mut all = http2::send_all(envoy.address(), 4, 10, over_http2);
            all.extend(first.join().expect("the client does not panic"));
            all
        });
        for response in responses {
            response.expect("each request is answered");
        }
        assert_eq!(upstream.requests(), 4000, "Envoy {binary}");
        check_everything(&envoy, 4000, &expected);
    }
}

#[test]
fn mixed_traffic_is_counted_exactly_with_two_workers() {
    mixed_traffic_is_counted_exactly(2);
}

#[test]
fn mixed_traffic_is_counted_exactly_with_four_workers() {
    mixed_traffic_is_counted_exactly(4);
}

#[test]
fn the_gauge_shows_the_open_requests() {
    for binary in Binary::tested() {
        let upstream = Upstream::start();
        let envoy = Setup::new(upstream.address()).binary(&binary).filter(json!({})).start();
        let active = || envoy.scrape().value("http_requests_active", &[]);
        let held: Vec<_> = (0..5)
            .map(|n| Request::get(format!("/users/{n}")).answer(&Answer::new().hold()))
            .collect();
        thread::scope(|scope| {
            let first = scope.spawn(|| http1::send_all(envoy.address(), 5, &held));
            let second = scope.spawn(|| http2::send_all(envoy.address(), 1, 5, &held[..3]));
            eventually_equal("held requests", 8, || upstream.held());
            eventually_equal("open requests", Some(8.0), active);
            assert_eq!(envoy.scrape().sum("http_requests_total"), 0.0, "none has ended");
            upstream.release();
            for responses in [first.join(), second.join()] {
                assert!(responses.unwrap().iter().all(Result::is_ok));
            }
        });
        eventually_equal("open requests", Some(0.0), active);
        expect_table(
            &envoy,
            "http_requests_total",
            &REQUEST,
            &table(&[(["GET", "/users/{id}", "200"], 8)]),
        );
    }
}

#[test]
fn the_filter_says_what_it_is_and_how_full() {
    let upstream = Upstream::start();
    let envoy = Setup::new(upstream.address()).filter(plugin()).start();
    for path in ["/users/1", "/users/2", "/elsewhere"] {
        http1::send(envoy.address(), &Request::get(path)).unwrap();
    }
    expect_table(
        &envoy,
        "http_requests_total",
        &REQUEST,
        &table(&[(["GET", "/users/{id}", "200"], 2), (["GET", "_UNMATCHED", "200"], 1)]),
    );
    let metric = |name| [("metric", name)];
    eventually_equal("series", Some(2.0), || {
        envoy.scrape().value("route_metrics_series", &metric("http_requests_total"))
    });
    let scrape = envoy.scrape();
    let limit = scrape.value("route_metrics_series_limit", &metric("http_requests_total"));
    assert_eq!(limit, Some(2000.0));
    let info: Vec<_> = scrape.series("route_metrics_build_info").collect();
    assert_eq!(info.len(), 1);
    assert_eq!(info[0].value, 1.0);
    assert_eq!(info[0].labels["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(scrape.value("route_metrics_sample_rate_ppm", &[]), Some(1_000_000.0));
    assert_eq!(scrape.sum("route_metrics_errors_total"), 0.0);
    assert_eq!(scrape.sum("route_metrics_overflow_total"), 0.0);
}

#[test]
fn a_namespace_stands_before_the_request_metrics_only() {
    let upstream = Upstream::start();
    let envoy = Setup::new(upstream.address()).filter(json!({"namespace": "django"})).start();
    http1::send(envoy.address(), &Request::get("/users/1")).unwrap();
    let families: Vec<String> = envoy.eventually("a count", |scrape| {
        if scrape.sum("django_http_requests_total") == 0.0 {
            return Err("0".to_owned());
        }
        Ok(scrape.types().keys().filter(|name| !name.starts_with("envoy_")).cloned().collect())
    });
    let prefixed: Vec<_> = families.iter().filter(|name| name.contains("http_")).collect();
    assert!(prefixed.iter().all(|name| name.starts_with("django_http_")), "{families:?}");
    assert!(families.contains(&"route_metrics_build_info".to_owned()), "{families:?}");
}
