//! Sampling through a real Envoy: what is recorded of a part of the traffic tells of all of it.

use route_metrics_e2e::config::{self, Stats};
use route_metrics_e2e::{Answer, Plugin, Request, Scrape, Setup, Upstream, http1};
use serde_json::json;

use route_metrics_e2e::expect::{Numbers, REQUEST, count, expect_table};

const REQUESTS: usize = 50_000;
const RATES: [(&str, f64); 4] = [("half", 0.5), ("third", 0.3), ("tenth", 0.1), ("percent", 0.01)];
const ENDPOINTS: [&str; 3] = ["/users/{id}", "/orders/{id}", "/checkout"];

/// The filter at a rate, with metrics of its own name.
fn plugin(name: &str, rate: f64) -> Plugin {
    let always = json!({"statuses": ["5xx"]});
    Plugin::new(json!({
        "namespace": name,
        "endpoint": {"templates": ENDPOINTS, "inference": "off"},
        "sampling": {"rate": rate, "always": always},
    }))
}

/// The square of the standard error of a sum of `n` requests at rate `p`: n (p E[w²] − 1), where
/// the rounding of 1/p to whole weights adds f (1 − f) to the mean square.
fn variance(n: f64, p: f64) -> f64 {
    let fraction = (1.0 / p).fract();
    n * (p * (1.0 / (p * p) + fraction * (1.0 - fraction)) - 1.0)
}

/// The counts of a family's histogram, summed over its series: the upper bound of each bucket, and
/// how many values lie below it.
fn buckets(scrape: &Scrape, family: &str) -> Vec<(f64, f64)> {
    let name = format!("{family}_bucket");
    let mut sums: Vec<(f64, f64)> = Vec::new();
    for sample in scrape.series(&name) {
        let bound = match sample.labels["le"].as_str() {
            "+Inf" => f64::INFINITY,
            bound => bound.parse().unwrap(),
        };
        match sums.iter_mut().find(|(found, _)| *found == bound) {
            Some((_, sum)) => *sum += sample.value,
            None => sums.push((bound, sample.value)),
        }
    }
    sums.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    sums
}

/// The bucket in which a quantile lies, by its place.
fn bucket_of(buckets: &[(f64, f64)], quantile: f64) -> usize {
    let all = buckets.last().unwrap().1;
    buckets.iter().position(|(_, below)| *below >= quantile * all).unwrap()
}

/// How many standard errors an estimate may be off. The seed is another one in each run, and there are
/// some fifty estimates: one of them is further off by chance once in some ten thousand runs.
const ERRORS: f64 = 5.0;

/// All rates see the same requests, and so does a filter that records everything: five filters in one
/// Envoy, each with metrics of its own.
#[test]
fn samples_tell_of_all_the_traffic() {
    let upstream = Upstream::start();
    // The same buckets for all of them: Envoy's own.
    let labels = ["method", "endpoint", "status", "type", "decision", "metric", "label", "version"];
    let mut setup = Setup::new(upstream.address())
        .concurrency(2)
        .stats(Stats::Given(config::stats_for(&labels)))
        .plugin(plugin("all", 1.0));
    for (name, rate) in RATES {
        setup = setup.filter_before(plugin(name, rate).http_filter());
    }
    let envoy = setup.start();

    let mut numbers = Numbers(42);
    let mut expected = Default::default();
    let mut requests = Vec::with_capacity(REQUESTS);
    for n in 0..REQUESTS {
        let endpoint = *numbers.pick(&[0, 0, 0, 0, 0, 1, 1, 1, 2, 2].map(|place| ENDPOINTS[place]));
        let status = *numbers.pick(&[200, 200, 200, 200, 200, 200, 404, 404, 500, 503]);
        let size = *numbers.pick(&[3, 40, 200, 200, 700, 3000, 3000, 8000]);
        let answer = Answer::new().status(status).size(size);
        let path = endpoint.replace("{id}", &n.to_string());
        requests.push(Request::get(path).answer(&answer));
        count(&mut expected, ["GET", endpoint, &status.to_string()]);
    }
    for response in http1::send_all(envoy.address(), 4, &requests) {
        response.unwrap();
    }

    expect_table(&envoy, "all_http_requests_total", &REQUEST, &expected);
    // Histograms reach the scrape with Envoy's next flush; by then everything else is there.
    let scrape = envoy.eventually("all histograms", |scrape| {
        match scrape.sum("all_http_response_size_bytes_count") {
            sum if sum == REQUESTS as f64 => Ok(scrape.clone()),
            sum => Err(format!("{sum} sizes of {REQUESTS}")),
        }
    });
    for (name, rate) in RATES {
        let family = format!("{name}_http_requests_total");
        let found = scrape.table(&family, &REQUEST);
        for (labels, &truth) in &expected {
            let estimate = found.get(labels).copied().unwrap_or(0);
            if labels[2].starts_with('5') {
                assert_eq!(estimate, truth, "{family}{labels:?} is kept always");
                continue;
            }
            let off = estimate as f64 - truth as f64;
            let error = variance(truth as f64, rate).sqrt();
            assert!(
                off.abs() <= ERRORS * error,
                "{family}{labels:?}: {estimate} for {truth}, {:.1} standard errors off",
                off / error
            );
        }

        let full = buckets(&scrape, "all_http_response_size_bytes");
        let sampled = buckets(&scrape, &format!("{name}_http_response_size_bytes"));
        let all = sampled.last().unwrap().1;
        let spread = (REQUESTS as f64 * rate * (1.0 - rate)).sqrt();
        let surplus = (all - REQUESTS as f64 * rate) / spread;
        assert!(surplus.abs() <= ERRORS, "{name}: {all} sizes, {surplus:.1} standard errors off");
        for quantile in [0.5_f64, 0.9, 0.95] {
            let error = ERRORS * (quantile * (1.0 - quantile) / all).sqrt();
            let found = bucket_of(&sampled, quantile);
            let (low, high) =
                (bucket_of(&full, quantile - error), bucket_of(&full, (quantile + error).min(1.0)));
            assert!(
                (low..=high).contains(&found),
                "{name}: the quantile {quantile} is in bucket {:?}, not in {:?} to {:?}",
                sampled[found],
                full[low],
                full[high]
            );
        }
    }
    // Each of the five has decided on each request, and says so with its flush.
    envoy.eventually("all decisions", |scrape| match scrape.sum("route_metrics_requests_total") {
        sum if sum == 5.0 * REQUESTS as f64 => Ok(()),
        sum => Err(format!("{sum} decisions")),
    });
    assert_eq!(envoy.vm_reloads(), 0);
}
