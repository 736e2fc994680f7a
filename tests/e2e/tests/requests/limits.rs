//! Limits hold for the whole process, and what they fold is counted, not lost.

use std::collections::BTreeSet;

use route_metrics_e2e::{Binary, Envoy, Request, Scrape, Setup, Upstream, http1};
use serde_json::json;

use route_metrics_e2e::expect::{Numbers, expect_table, table};

/// Words that paths are made of everywhere, so that nothing takes them for identifiers.
const WORDS: [&str; 28] = [
    "accounts", "builds", "comments", "events", "files", "groups", "images", "invoices", "items",
    "jobs", "labels", "login", "members", "messages", "orders", "payments", "products", "projects",
    "reports", "reviews", "roles", "search", "sessions", "settings", "status", "tags", "teams",
    "users",
];

/// So many distinct paths of three words, in an order that looks random.
fn paths(many: usize, seed: u64) -> Vec<String> {
    let mut all = Vec::new();
    for first in WORDS {
        for second in WORDS {
            all.extend(WORDS.iter().map(|third| format!("/{first}/{second}/{third}")));
        }
    }
    assert!(many <= all.len());
    let mut numbers = Numbers(seed);
    for index in (1..all.len()).rev() {
        all.swap(index, numbers.below(index + 1));
    }
    all.truncate(many);
    all
}

fn send_all(envoy: &Envoy, requests: &[Request]) {
    // More connections than workers, so that each worker gets some.
    for response in http1::send_all(envoy.address(), 32, requests) {
        response.expect("each request is answered");
    }
}

fn wait_for_total(envoy: &Envoy, total: usize) -> Scrape {
    envoy.eventually("all requests", |scrape| {
        let sums = [
            scrape.sum("http_requests_total"),
            scrape.sum("http_request_duration_microseconds_count"),
            scrape.sum("http_response_size_bytes_count"),
            scrape.sum_where("route_metrics_requests_total", &[("decision", "recorded")]),
        ];
        let all = sums.iter().all(|&sum| sum == total as f64);
        if all { Ok(scrape.clone()) } else { Err(format!("{sums:?} of {total}")) }
    })
}

/// For each label: the requests counted under `_OTHER` are those that the overflow counts.
#[track_caller]
fn check_overflow(scrape: &Scrape, family: &str, name: &str) {
    let labels = scrape.label_names(name).pop_first().expect("the family has series");
    for label in labels.iter().filter(|label| *label != "le") {
        let folded = scrape.sum_where(name, &[(label, "_OTHER")]);
        let overflow = scrape
            .sum_where("route_metrics_overflow_total", &[("metric", family), ("label", label)]);
        assert_eq!(overflow, folded, "{family}: {label}");
    }
}

const FAMILIES: [(&str, &str); 3] = [
    ("http_requests_total", "http_requests_total"),
    ("http_request_duration_microseconds", "http_request_duration_microseconds_count"),
    ("http_response_size_bytes", "http_response_size_bytes_count"),
];

#[test]
fn twenty_thousand_paths_stay_within_the_limits_of_the_process() {
    let found = flood("heuristic", &paths(20_000, 1));
    // Hundreds of them are asked for again and again, and get all places but the dearest.
    assert!(found.len() >= 75, "only {} endpoints", found.len());
}

#[test]
fn twenty_thousand_names_stay_within_the_limits_while_the_filter_learns() {
    let mut numbers = Numbers(5);
    let mut name = || -> String {
        let letters = 4 + numbers.below(8);
        (0..letters).map(|_| char::from(b'a' + numbers.below(26) as u8)).collect()
    };
    let path = |n| match n % 3 {
        0 => format!("/users/{}", name()),
        1 => format!("/projects/{}/items/{}", name(), name()),
        _ => format!("/{}", name()),
    };
    let paths: Vec<_> = (0..20_000).map(path).collect();
    flood("adaptive", &paths);
}

/// Sends these paths through four workers, then configured ones; checks every limit and sum, and
/// returns the endpoints that were found.
fn flood(inference: &str, paths: &[String]) -> BTreeSet<String> {
    let upstream = Upstream::start();
    let configured = ["/configured/{id}", "POST /configured/{id}/parts", "/v1/{name}:cancel"];
    let envoy = Setup::new(upstream.address())
        .concurrency(4)
        .filter(json!({
            "endpoint": {"templates": configured, "inference": inference},
            "limits": {"max_values_per_label": 100},
        }))
        .start();
    let flood: Vec<_> = paths.iter().map(Request::get).collect();
    send_all(&envoy, &flood);
    // Only now, when every free place is taken, come the configured endpoints.
    let late: Vec<_> = (0..60)
        .flat_map(|n| {
            [
                Request::get(format!("/configured/{n}")),
                Request::new("POST", format!("/configured/{n}/parts")),
                Request::new("POST", format!("/v1/{n}:cancel")),
            ]
        })
        .collect();
    send_all(&envoy, &late);

    let scrape = wait_for_total(&envoy, paths.len() + late.len());
    for (family, name) in FAMILIES {
        let endpoints = scrape.label_values(name, "endpoint");
        assert!(endpoints.len() <= 100, "{family}: {} endpoints", endpoints.len());
        assert!(scrape.series(name).count() <= 2000, "{family}");
        for endpoint in ["/configured/{id}", "/configured/{id}/parts", "/v1/{name}:cancel"] {
            let found = scrape.sum_where(name, &[("endpoint", endpoint)]);
            assert_eq!(found, 60.0, "{family}: {endpoint}");
        }
        check_overflow(&scrape, family, name);
    }
    // Every value that exists was sent, was configured, or stands for the rest.
    let sent: BTreeSet<_> = paths.iter().collect();
    let found = scrape.label_values("http_requests_total", "endpoint");
    let invented: Vec<_> = found
        .iter()
        .filter(|value| !sent.contains(*value) && !value.contains('{') && *value != "_OTHER")
        .collect();
    assert!(invented.is_empty(), "{invented:?}");
    assert_eq!(envoy.vm_reloads(), 0);
    found
}

#[test]
fn the_series_of_a_metric_stay_within_their_limit() {
    for binary in Binary::tested() {
        const REQUESTS: usize = 6000;
        let upstream = Upstream::start();
        let envoy = Setup::new(upstream.address())
            .binary(&binary)
            .concurrency(4)
            .filter(json!({
                "metrics": {"requests_total": {"labels": ["method", "endpoint", "tenant"]}},
                "labels": {"tenant": {"from": "request_header", "name": "x-tenant"}},
                "endpoint": {"inference": "heuristic"},
                "limits": {"max_values_per_label": 40, "max_series_per_metric": 150},
            }))
            .start();
        let paths = paths(30, 2);
        let mut numbers = Numbers(3);
        let requests: Vec<_> = (0..REQUESTS)
            .map(|_| {
                let method = *numbers.pick(&["GET", "POST", "PUT", "DELETE"]);
                let tenant = format!("tenant-{}", numbers.below(1000));
                Request::new(method, numbers.pick(&paths)).header("x-tenant", tenant)
            })
            .collect();
        send_all(&envoy, &requests);
        let scrape = wait_for_total(&envoy, REQUESTS);
        for (family, name) in FAMILIES {
            let series = scrape.series(name).count();
            assert!(series <= 150, "{family}: {series} series");
            for label in ["endpoint", "tenant"] {
                let values = scrape.label_values(name, label).len();
                assert!(values <= 40, "{family}: {values} values of {label}");
            }
            check_overflow(&scrape, family, name);
        }
        let labels = [("metric", "http_requests_total")];
        let series = scrape.series("http_requests_total").count() as f64;
        assert_eq!(scrape.value("route_metrics_series", &labels), Some(series));
        assert_eq!(scrape.value("route_metrics_series_limit", &labels), Some(150.0));
        assert_eq!(envoy.vm_reloads(), 0);
    }
}

#[test]
fn mapped_values_keep_their_places() {
    let upstream = Upstream::start();
    let envoy = Setup::new(upstream.address())
        .filter(json!({
            "metrics": {"requests_total": {"labels": ["plan"]}},
            "labels": {"plan": {
                "from": "request_header", "name": "x-plan",
                "map": {"p": "pro", "f": "free"}, "default": "unknown",
            }},
            "limits": {"max_values_per_label": 5},
        }))
        .start();
    let requests: Vec<_> = (0..50)
        .map(|n| Request::get("/users/1").header("x-plan", format!("other-{n}")))
        .chain(["p", "f", "p"].map(|plan| Request::get("/users/1").header("x-plan", plan)))
        .collect();
    send_all(&envoy, &requests);
    let expected = table(&[(["unknown"], 50), (["pro"], 2), (["free"], 1)]);
    expect_table(&envoy, "http_requests_total", &["plan"], &expected);
}
