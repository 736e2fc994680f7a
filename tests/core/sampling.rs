//! Sampled counters are unbiased estimates of the traffic, and `always` is exact.

use crate::worker::{Request, Worker, get};
use route_metrics::host::MetricKind;
use route_metrics::host::recorder::Recorder;

const REQUESTS: u64 = 60_000;

/// Endpoint, status and share of the traffic in percent.
const TRAFFIC: [(&str, u64, u64); 6] = [
    ("/users/{id}", 200, 50),
    ("/users/{id}", 404, 10),
    ("/orders/{id}", 200, 25),
    ("/orders/{id}", 503, 2),
    ("/checkout", 200, 10),
    ("/checkout", 500, 3),
];

fn config(rate: f64) -> String {
    format!(
        r#"{{"endpoint": {{"templates": ["/users/{{id}}", "/orders/{{id}}", "/checkout"], "inference": "off"}},
            "sampling": {{"rate": {rate}, "always": {{"statuses": ["5xx"]}}}}}}"#
    )
}

fn run(rate: f64, seed: u64) -> Worker {
    let mut worker = Worker::on(Recorder::default(), &config(rate), seed);
    for (endpoint, code, percent) in TRAFFIC {
        let request = Request { code: Some(code), ..get(&endpoint.replace("{id}", "7")) };
        (0..REQUESTS * percent / 100).for_each(|_| worker.send(&request));
    }
    worker.tick();
    worker
}

fn counted(worker: &Worker, endpoint: &str, status: u64) -> u64 {
    worker.counter(&format!(
        "http_requests_total.method=.=GET;.;endpoint=.={endpoint};.;status=.={status};.;"
    ))
}

/// The standard error of a sum of `n` requests at rate `p`: Var = n (p E[w²] − 1), where the
/// rounding of 1/p to whole weights adds f (1 − f) to the mean square.
fn standard_error(n: u64, p: f64) -> f64 {
    let fraction = (1.0 / p).fract();
    (n as f64 * (p * (1.0 / (p * p) + fraction * (1.0 - fraction)) - 1.0)).sqrt()
}

#[test]
fn every_counter_is_within_four_standard_errors_and_always_is_exact() {
    for rate in [0.5, 0.3, 0.1, 0.01] {
        let worker = run(rate, 11);
        for (endpoint, code, percent) in TRAFFIC {
            let truth = REQUESTS * percent / 100;
            let estimate = counted(&worker, endpoint, code);
            if code >= 500 {
                assert_eq!(estimate, truth, "{endpoint} {code} at {rate}");
                continue;
            }
            let error = (estimate as f64 - truth as f64) / standard_error(truth, rate);
            assert!(
                error.abs() < 4.0,
                "{endpoint} {code} at {rate}: {estimate} is {error} standard errors from {truth}"
            );
        }
        let decisions = ["recorded", "sampled_out", "excluded"].map(|decision| {
            worker.counter(&format!("route_metrics_requests_total.decision=.={decision};.;"))
        });
        assert_eq!(decisions.iter().sum::<u64>(), REQUESTS);
        let name = "route_metrics_sample_rate_ppm";
        let ppm = worker.filter.host().metric(MetricKind::Gauge, name).unwrap().value;
        assert_eq!(ppm as f64, (rate * 1e6).round());
    }
}

#[test]
fn the_mean_over_many_seeds_shows_no_bias() {
    let rate = 0.1;
    let seeds = 30;
    let truth = REQUESTS * 50 / 100;
    let sum: f64 = (0..seeds)
        .map(|seed| {
            let mut worker = Worker::on(Recorder::default(), &config(rate), seed);
            let request = get("/users/7");
            (0..truth).for_each(|_| worker.send(&request));
            counted(&worker, "/users/{id}", 200) as f64
        })
        .sum();
    let mean = sum / seeds as f64;
    let error = (mean - truth as f64) / (standard_error(truth, rate) / (seeds as f64).sqrt());
    assert!(error.abs() < 4.0, "mean {mean}, truth {truth}: {error} standard errors");
}

#[test]
fn sampled_histograms_hold_the_rate_of_the_traffic_and_its_mean() {
    let rate = 0.1;
    let mut worker = Worker::on(Recorder::default(), &config(rate), 5);
    for index in 0..REQUESTS {
        // A tenth of the requests is slow, and a failing one does not get in by `always`.
        let duration_ms = if index % 10 == 0 { 100 } else { 10 };
        let code = Some(if index % 10 == 1 { 503 } else { 200 });
        worker.send(&Request { duration_ms, code, ..get("/users/7") });
    }
    let name = "http_request_duration_microseconds.method=.=GET;.;endpoint=.=/users/{id};.;";
    let histogram = worker.filter.host().metric(MetricKind::Histogram, name).unwrap();
    let expected = REQUESTS as f64 * rate;
    let error = (histogram.count as f64 - expected) / (expected * (1.0 - rate)).sqrt();
    assert!(error.abs() < 4.0, "{} observed, {expected} expected", histogram.count);
    let mean_ms = histogram.value as f64 / histogram.count as f64 / 1000.0;
    let error = (mean_ms - 19.0) / (27.0 / expected.sqrt());
    assert!(error.abs() < 4.0, "mean of {mean_ms} ms, 19 expected");
}
