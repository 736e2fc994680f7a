//! Places are earned: what scans make up displaces nothing, on the four workers of one process.

use std::collections::BTreeMap;

use proptest::prelude::*;
use route_metrics::host::recorder::Recorder;

use crate::worker::{Request, Worker, get};

/// Endpoints that are asked for after a scan, each so often; and how many of these requests must be
/// counted under its own label at least.
const ASKED: [&str; 5] = ["/checkout", "/cart", "/login", "/pricing", "/api/v1/invoices"];
const TIMES: u64 = 200;
const AT_LEAST: u64 = 160;

/// The values of the endpoint label that the default configuration allows.
const MAX_ENDPOINTS: usize = 100;

struct Process {
    workers: Vec<Worker>,
    sent: u64,
}

impl Process {
    fn new(config: &str) -> Self {
        let host = Recorder::default();
        let worker = |seed| Worker::on(host.worker(), config, seed);
        Self { workers: (1..=4).map(worker).collect(), sent: 0 }
    }

    /// Sends to one worker after another, and lets a second pass after each so many.
    fn send(&mut self, requests: impl Iterator<Item = Request>, a_second: u64) {
        for request in requests {
            let count = self.workers.len();
            self.workers[self.sent as usize % count].send(&request);
            self.sent += 1;
            if self.sent.is_multiple_of(a_second) {
                self.tick();
            }
        }
    }

    fn tick(&mut self) {
        self.workers.iter_mut().for_each(Worker::tick);
    }

    fn counts(&self, family: &str, label: &str) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for (name, recorded) in self.workers[0].filter.host().family(family) {
            let (_, rest) = name.split_once(&format!("{label}=.=")).expect("it has the label");
            let (value, _) = rest.split_once(";.;").expect("the label ends");
            *counts.entry(value.to_owned()).or_default() += recorded.value;
        }
        counts
    }

    /// Asks for [`ASKED`], all in one second, and checks what came of it.
    fn expect_own_labels(&mut self, scan: &str) {
        let asked = (0..TIMES).flat_map(|_| ASKED).map(get);
        self.send(asked, u64::MAX);
        let counts = self.counts("http_requests_total", "endpoint");
        for endpoint in ASKED {
            let own = counts.get(endpoint).copied().unwrap_or(0);
            assert!(own >= AT_LEAST, "{scan}: {own} of {TIMES} under {endpoint}");
        }
        assert_eq!(counts.values().sum::<u64>(), self.sent, "{scan}");
        assert!(counts.len() <= MAX_ENDPOINTS, "{scan}: {} endpoints", counts.len());
    }
}

/// Words that paths are made of everywhere, so that nothing takes them for identifiers.
const WORDS: [&str; 28] = [
    "accounts", "builds", "comments", "events", "files", "groups", "images", "invoices", "items",
    "jobs", "labels", "login", "members", "messages", "orders", "payments", "products", "projects",
    "reports", "reviews", "roles", "search", "sessions", "settings", "status", "tags", "teams",
    "users",
];

/// A made-up path of real words; the same for the same number.
fn made_up(number: usize) -> String {
    let below = ["", "/api", "/v1", "/v2", "/v3", "/admin", "/internal", "/public"];
    let word = |place: u32| WORDS[number / WORDS.len().pow(place) % WORDS.len()];
    format!("{}/{}/{}", below[number / 784 % below.len()], word(0), word(1))
}

fn scans() -> Vec<(&'static str, Vec<Request>)> {
    let paths = |many: usize| (0..many).map(|number| get(&made_up(number)));
    let call = |number: usize| Request {
        method: "POST",
        headers: vec![("content-type", "application/grpc")],
        answer: vec![("content-type", "application/grpc")],
        grpc_status: Some(12),
        ..get(&format!("/made.v1.Up{number}/Method{number}"))
    };
    vec![
        ("answered 200", paths(5000).collect()),
        ("answered 429", paths(5000).map(|r| Request { code: Some(429), ..r }).collect()),
        ("methods that there are not", (0..3000).map(call).collect()),
        ("reset", paths(400).map(|r| Request { code: None, flags: 1 << 14, ..r }).collect()),
        (
            "answered 503 by Envoy",
            paths(5000).map(|r| Request { code: Some(503), flags: 1 << 5, ..r }).collect(),
        ),
        ("each path five times", (0..5000).map(|n| get(&made_up(n / 5))).collect()),
        (
            "made-up methods and codes",
            (0..5000u64)
                .map(|n| Request {
                    method: ["GET", "PUT", "POST", "PATCH", "DELETE"][n as usize % 5],
                    code: Some(405 + n % 90),
                    ..get(&made_up(n as usize / 10))
                })
                .collect(),
        ),
    ]
}

#[test]
fn no_scan_displaces_an_endpoint_that_is_asked_for_again_and_again() {
    for (scan, requests) in scans() {
        for inference in ["heuristic", "adaptive"] {
            let config = format!(r#"{{"endpoint": {{"inference": "{inference}"}}}}"#);
            let mut process = Process::new(&config);
            process.send(requests.iter().cloned(), 500);
            process.tick();
            process.expect_own_labels(&format!("{scan}, {inference}"));
        }
    }
}

#[test]
fn what_proves_nothing_creates_nothing() {
    for (scan, requests) in &scans()[1..5] {
        let mut process = Process::new("{}");
        process.send(requests.iter().cloned(), 500);
        let counts = process.counts("http_requests_total", "endpoint");
        assert_eq!(counts.keys().collect::<Vec<_>>(), ["_UNMATCHED"], "{scan}");
        process.expect_own_labels(scan);
    }
}

#[test]
fn what_proves_nothing_counts_where_its_endpoint_is_known() {
    let mut process = Process::new("{}");
    process.send(std::iter::repeat_n(get("/checkout"), 8), 4);
    for code in [None, Some(429), Some(503)] {
        let request = Request { code, flags: 1 << 5, ..get("/checkout") };
        process.send(std::iter::repeat_n(request, 8), 4);
    }
    // The upstream's own error says that there is such an endpoint.
    process.send(std::iter::once(Request { code: Some(500), ..get("/cart") }), 4);
    let counts = process.counts("http_requests_total", "endpoint");
    let expected = [("/cart".to_owned(), 1), ("/checkout".to_owned(), 32)];
    assert_eq!(counts, BTreeMap::from(expected));
}

#[test]
fn a_place_that_one_worker_gives_holds_for_all_within_a_second() {
    let mut process = Process::new("{}");
    // The free places go to a scan; then each worker sees a new endpoint once.
    process.send((0..2000).map(|n| get(&made_up(n))), 500);
    process.tick();
    for _ in 0..4 {
        process.send(std::iter::once(get("/cart")), u64::MAX);
        process.tick();
    }
    process.send(std::iter::repeat_n(get("/cart"), 4), u64::MAX);
    let own = process.counts("http_requests_total", "endpoint")["/cart"];
    assert!(own >= 5, "{own} of 8");
}

#[test]
fn values_of_every_label_that_clients_fill_are_earned() {
    let config = r#"{"metrics": {"requests_total": {"labels": ["tenant"]}},
        "labels": {"tenant": {"from": "query_param", "name": "tenant"}}}"#;
    let mut process = Process::new(config);
    process.send((0..3000).map(|n| get(&format!("/?tenant=made-up-{n}"))), 500);
    process.send(std::iter::repeat_n(get("/?tenant=acme"), 200), u64::MAX);
    let counts = process.counts("http_requests_total", "tenant");
    assert!(counts["acme"] >= 160, "{} of 200", counts["acme"]);
    assert!(counts.len() <= 53, "one half of the places for what was seen once: {}", counts.len());
    assert_eq!(counts.values().sum::<u64>(), process.sent);
    // And the filter says so.
    process.tick();
    let gauge = |name: &str| process.workers[0].gauge(&format!("{name}.label=.=tenant;.;"));
    assert_eq!(gauge("route_metrics_values"), counts.len() as u64);
    assert_eq!(gauge("route_metrics_values_limit"), 100);
}

#[test]
fn what_waits_can_be_seen() {
    let mut process = Process::new(r#"{"endpoint": {"inference": "heuristic"}}"#);
    process.send((0..5000).map(|n| get(&made_up(n))), 500);
    let waiting = |process: &Process| {
        process.workers[0].gauge("route_metrics_values_waiting.label=.=endpoint;.;")
    };
    process.tick();
    assert!(waiting(&process) <= 2, "what was seen once does not wait: {}", waiting(&process));
    process.send(["/cart", "/cart", "/login", "/login"].into_iter().map(get), u64::MAX);
    process.tick();
    assert!(waiting(&process) >= 2, "{}", waiting(&process));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    /// Whatever is sent in whatever order, every family adds up to the requests, and no limit is
    /// passed, through updates of limits and labels as well.
    #[test]
    fn sums_are_exact_and_limits_hold(
        requests in proptest::collection::vec((0usize..60, 0usize..4, 0u64..6, 0usize..8), 1..600),
        max_values in 4usize..40,
        max_series in 2usize..60,
        update_at in 0usize..600,
    ) {
        let config = |labels: &str, series: usize| format!(
            r#"{{"metrics": {{"requests_total": {{"labels": [{labels}]}}}},
                "labels": {{"tenant": {{"from": "request_header", "name": "x-tenant"}}}},
                "endpoint": {{"inference": "heuristic"}},
                "limits": {{"max_values_per_label": {max_values}, "max_series_per_metric": {series}}}}}"#
        );
        const TENANTS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let mut process = Process::new(&config(r#""method", "endpoint", "status""#, max_series));
        let sent = requests.len() as u64;
        for (index, (path, method, code, tenant)) in requests.into_iter().enumerate() {
            if index == update_at {
                let update = config(r#""endpoint", "tenant""#, max_series);
                for worker in &mut process.workers {
                    assert!(worker.filter.configure(crate::worker::ROOT, update.as_bytes(), |_| None));
                }
            }
            let request = Request {
                method: ["GET", "POST", "PUT", "DELETE"][method],
                code: Some([200, 201, 302, 409, 429, 500][code as usize]),
                headers: vec![("x-tenant", TENANTS[tenant])],
                ..get(&made_up(path))
            };
            process.send(std::iter::once(request), 50);
        }
        let family = process.workers[0].filter.host().family("http_requests_total");
        prop_assert_eq!(family.iter().map(|(_, recorded)| recorded.value).sum::<u64>(), sent);
        let used = family.iter().filter(|(_, recorded)| recorded.value > 0).count();
        prop_assert!(used <= max_series, "{} series of {}", used, max_series);
        let series = process.workers[0].gauge("route_metrics_series.metric=.=http_requests_total;.;");
        prop_assert_eq!(family.len() as u64, series);
        for family in ["http_request_duration_microseconds", "http_response_size_bytes"] {
            let all = process.workers[0].filter.host().family(family);
            prop_assert_eq!(all.iter().map(|(_, recorded)| recorded.count).sum::<u64>(), sent);
            prop_assert!(all.len() <= max_series);
        }
        for worker in &process.workers {
            prop_assert_eq!(worker.sum("route_metrics_errors_total"), 0);
        }
    }
}

/// The smaller limit of two configurations in one VM holds, and a larger one once it is alone.
#[test]
fn the_smaller_limit_of_two_configurations_holds() {
    let config = |max: usize| {
        format!(
            r#"{{"metrics": {{"requests_total": {{"labels": ["tenant"]}}}},
            "labels": {{"tenant": {{"from": "request_header", "name": "x-tenant"}}}},
            "limits": {{"max_series_per_metric": {max}, "max_values_per_label": {max}}}}}"#
        )
    };
    const TENANTS: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];
    for limits in [[3, 50], [50, 3]] {
        let mut worker = Worker::new(&config(limits[0]));
        let second = config(limits[1]);
        assert!(worker.filter.configure(2, second.as_bytes(), |_| None));
        let send_all = |worker: &mut Worker| {
            for _ in 0..20 {
                for tenant in TENANTS {
                    worker.send(&Request { headers: vec![("x-tenant", tenant)], ..get("/") });
                }
            }
        };
        send_all(&mut worker);
        let there = worker.names("http_requests_total").len();
        assert!((2..=3).contains(&there), "{limits:?}: {there}");
        let gauge = "route_metrics_series_limit.metric=.=http_requests_total;.;";
        assert_eq!(worker.gauge(gauge), 3);
        // Envoy tells when a configuration is gone.
        let smaller = if limits[0] == 3 { crate::worker::ROOT } else { 2 };
        worker.filter.forget(smaller);
        assert_eq!(worker.gauge(gauge), 50);
        assert_eq!(worker.gauge("route_metrics_values_limit.label=.=tenant;.;"), 50);
    }
}

#[test]
fn a_metric_keeps_one_budget_whatever_labels_an_update_gives_it() {
    let config = |labels: &str| {
        format!(
            r#"{{"metrics": {{"requests_total": {{"labels": [{labels}]}}}},
            "endpoint": {{"inference": "heuristic"}},
            "limits": {{"max_series_per_metric": 50}}}}"#
        )
    };
    let labels = [r#""endpoint", "status""#, r#""endpoint""#, r#""method", "endpoint""#];
    let mut worker = Worker::new(&config(labels[0]));
    let mut sent = 0;
    for labels in labels.into_iter().cycle().take(7) {
        assert!(worker.filter.configure(crate::worker::ROOT, config(labels).as_bytes(), |_| None));
        for _ in 0..40 {
            for number in 0..80 {
                worker.send(&get(&made_up(number)));
                sent += 1;
            }
        }
    }
    let there = worker.names("http_requests_total").len();
    assert!((20..=50).contains(&there), "{there} series");
    assert_eq!(worker.sum("http_requests_total"), sent);
    let series = "route_metrics_series.metric=.=http_requests_total;.;";
    assert_eq!(worker.gauge(series), there as u64);
}

#[test]
fn a_metric_whose_type_changes_is_counted_as_what_it_is_now() {
    use route_metrics::host::{LogLevel, MetricKind};
    let config = |kind: &str| {
        format!(
            r#"{{"custom_metrics": [{{"name": "app_size", "type": "{kind}",
            "value": {{"from": "response_size"}}, "match": {{"methods": ["GET"]}}}}]}}"#
        )
    };
    let mut worker = Worker::new(&config("counter"));
    worker.send(&get("/"));
    for (kind, expected) in [("histogram", (200, 2)), ("gauge", (100, 2)), ("counter", (300, 3))] {
        assert!(worker.filter.configure(crate::worker::ROOT, config(kind).as_bytes(), |_| None));
        worker.send(&get("/"));
        worker.send(&get("/"));
        let kind = match kind {
            "histogram" => MetricKind::Histogram,
            "gauge" => MetricKind::Gauge,
            _ => MetricKind::Counter,
        };
        let found = worker.filter.host().metric(kind, "app_size").unwrap();
        assert_eq!((found.value, found.count), expected, "{kind:?}");
    }
    let log = worker.filter.host().log_lines();
    let warnings = log.iter().filter(|(level, _)| *level == LogLevel::Warn);
    assert!(warnings.clone().all(|(_, line)| line.contains("app_size was a ")), "{log:?}");
    assert_eq!(warnings.count(), 2);
}
