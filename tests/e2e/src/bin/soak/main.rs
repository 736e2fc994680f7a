//! Mixed hostile, normal and event traffic at full speed on four workers, for as long as one likes.
//!
//! `make soak SOAK_SECONDS=…` runs it. It prints a Markdown table of memory over time, and ends with
//! an error where a request was lost or counted twice, where a VM died, where the filter complained,
//! or where memory still grew after the first half.

mod memory;
mod paths;
mod traffic;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use memory::{Curve, Point};
use route_metrics_e2e::wait::{deadline, poll};
use route_metrics_e2e::{Binary, Envoy, Host, Plugin, Setup, Upstream, config};
use serde_json::{Value, json};
use traffic::{Sent, Totals};

const WORKERS: usize = 4;
/// Seconds where `SOAK_SECONDS` says nothing.
const SECONDS: u64 = 180;
/// Points of the curve that are printed.
const ROWS: usize = 24;

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(default)
}

fn plugin() -> Plugin {
    let configuration = json!({
        "labels": {"tenant": {"from": "request_header", "name": "x-tenant"}},
        "metrics": {
            "requests_total": {"labels": ["method", "endpoint", "status", "tenant"]},
            "request_size": {"enabled": true},
        },
        "endpoint": {
            "templates": ["/api/v1/users/{id}", "/api/v1/users/{id}/orders", "POST /api/v1/orders"],
            "exclude": ["/healthz"],
            "export": true,
        },
        "custom_metrics": [
            {"name": "app_orders_total", "type": "counter",
             "match": {"methods": ["POST"], "endpoints": ["/api/v1/orders"], "statuses": ["2xx"]}},
            {"name": "app_operations_total", "type": "counter", "source": "event",
             "labels": {"operation": {}}},
            {"name": "app_task_milliseconds", "type": "histogram", "source": "event",
             "scale": 1000, "labels": {"task": {}}},
        ],
        "events": {"response_header": "x-metric-events", "path": traffic::EVENTS},
    });
    Plugin::new(configuration).stop_at_headers()
}

fn setup(upstream: &Upstream) -> Setup {
    let quick = |path: &str, status: u16| config::direct_response(path, status, "ok");
    Setup::new(upstream.address())
        .concurrency(WORKERS)
        .plugin(plugin())
        .route(quick("/api/", 200))
        .route(quick("/healthz", 200))
        .route(quick("/cms/", 404))
        .route(quick("/shop/", 200))
}

fn main() -> ExitCode {
    let seconds = number("SOAK_SECONDS", SECONDS);
    let seed = number("SOAK_SEED", 1);
    let upstream = Upstream::start();
    let envoy = setup(&upstream).start();
    let (binary, host) = (Binary::default(), Host::default());
    println!("Envoy {binary}, {host:?}, {WORKERS} workers, {seconds} s, seed {seed}\n");
    let vms = active_vms(&envoy);
    let totals = Totals::default();
    let stop = AtomicBool::new(false);
    let mut curve = Curve::default();
    let every = Duration::from_secs((seconds / 200).clamp(2, 60));
    thread::scope(|scope| {
        for client in traffic::clients(envoy.address(), seed) {
            let (totals, stop) = (&totals, &stop);
            scope.spawn(move || client.run(totals, stop));
        }
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(seconds) {
            let left = Duration::from_secs(seconds).saturating_sub(start.elapsed());
            thread::sleep(every.min(left));
            curve.add(Point::take(&envoy, start.elapsed(), totals.all().requests));
        }
        stop.store(true, Ordering::Relaxed);
    });
    println!("{}", curve.table(ROWS));
    let sent = totals.all();
    println!("{sent}\n");
    let mut complaints = curve.complaints();
    complaints.extend(check(&envoy, sent, vms));
    if complaints.is_empty() {
        println!("{}", curve.verdict());
        return ExitCode::SUCCESS;
    }
    for complaint in complaints {
        eprintln!("soak: {complaint}");
    }
    ExitCode::FAILURE
}

/// How many VMs there are.
fn active_vms(envoy: &Envoy) -> Option<u64> {
    envoy.stat("wasm.envoy.wasm.runtime.v8.active")
}

/// What is not as it must be when all traffic has ended.
fn check(envoy: &Envoy, sent: Sent, vms: Option<u64>) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut equal = |what: &str, found: f64, expected: u64| {
        // The sum of nothing is -0.
        println!("- {what}: {}", found + 0.0);
        if found != expected as f64 {
            complaints.push(format!("{what}: {found}, expected {expected}"));
        }
    };
    // The gauge and the decisions are told about once a second, by each worker for itself.
    let scrape = poll(deadline(), || {
        let scrape = envoy.scrape();
        let open = scrape.value("http_requests_active", &[]);
        let decided = scrape.sum("route_metrics_requests_total");
        let told = open == Some(0.0) && decided >= sent.requests as f64;
        if told { Ok(scrape) } else { Err(scrape) }
    });
    let scrape = scrape.unwrap_or_else(|last| last);
    equal("open requests", scrape.value("http_requests_active", &[]).unwrap_or(-1.0), 0);
    let decision = |name| scrape.sum_where("route_metrics_requests_total", &[("decision", name)]);
    let recorded = sent.requests - sent.excluded;
    equal("requests recorded", decision("recorded"), recorded);
    equal("requests excluded", decision("excluded"), sent.excluded);
    equal("http_requests_total", scrape.sum("http_requests_total"), recorded);
    // Histograms are merged when Envoy flushes its stats.
    let duration = "http_request_duration_microseconds_count";
    let observed = poll(deadline(), || {
        let observed = envoy.scrape().sum(duration);
        if observed == recorded as f64 { Ok(observed) } else { Err(observed) }
    });
    equal(duration, observed.unwrap_or_else(|last| last), recorded);
    let outcome = |name| scrape.sum_where("route_metrics_events_total", &[("outcome", name)]);
    equal("events accepted", outcome("accepted"), sent.events);
    equal("events refused", outcome("unknown_metric") + outcome("malformed"), sent.bad_events);
    equal("app_operations_total", scrape.sum("app_operations_total"), sent.events);
    equal("errors of the filter", scrape.sum("route_metrics_errors_total"), 0);
    equal("VMs that died", envoy.vm_reloads() as f64, 0);
    equal("VMs", active_vms(envoy).unwrap_or(0) as f64, vms.unwrap_or(0));
    equal("answers that did not come", sent.unanswered as f64, 0);
    let all = envoy.admin_json("/stats?format=json&filter=http.ingress.downstream_rq_total");
    equal("http.ingress.downstream_rq_total of Envoy", first_value(&all), sent.requests);
    let log = envoy.log();
    let wrong = |line: &&str| {
        line.contains("[critical]")
            || ["panicked", "wasm log"].iter().any(|own| line.contains(own))
            || line.contains("[dynamic_modules]") && !line.contains("[info]")
    };
    complaints.extend(log.lines().filter(wrong).take(5).map(|line| format!("log: {line}")));
    complaints
}

fn first_value(stats: &Value) -> f64 {
    stats["stats"].as_array().and_then(|list| list.first()?["value"].as_f64()).unwrap_or(-1.0)
}
