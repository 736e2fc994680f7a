//! The dynamic module beside the Wasm module: the same traffic gives the same scrape, and a panic is only
//! that.
//!
//! `make test-dynamic` builds what these tests need and runs them; with everything else they are left out.

use std::collections::BTreeSet;
use std::time::Duration;

use route_metrics::command::envoy_config::yaml;
use route_metrics_e2e::expect::{expect_decisions, get};
use route_metrics_e2e::wait::eventually_equal;
use route_metrics_e2e::{
    Answer, Envoy, Host, Plugin, Request, Setup, Stats, Upstream, command, http1, http2, repository,
};
use serde_json::{Value, json};

/// Rules, events, labels from what clients send, and sizes.
fn configuration() -> Value {
    json!({
        "metrics": {"request_size": {"enabled": true}},
        "endpoint": {"templates": ["/users/{id}", "POST /orders/{order_id}/items", "/x/{*rest}"],
                     "inference": "off"},
        "custom_metrics": [
            {"name": "rows_total", "type": "counter", "match": {"response_headers": {"x-rows": "*"}},
             "value": {"from": "response_header", "name": "x-rows"},
             "labels": {"plan": {"from": "request_header", "name": "x-plan"},
                        "protocol": {"from": "protocol"}, "cluster": {"from": "cluster_name"}}},
            {"name": "cache_total", "type": "counter", "source": "event", "labels": {"hit": {}}},
            {"name": "queue_length", "type": "gauge", "source": "event", "labels": {}},
        ],
        "events": {"response_header": "x-metric-events", "path": "/metric-events"},
    })
}

const HOSTILE: [&str; 16] = [
    "/a;.;reporter=.=source;.;b",
    "/a/x;.;status=.=999;.;",
    "/a.b.c.d",
    "/x/cache.foo.bar",
    "/rbac.allowed",
    "/x_rq_404",
    "/a|b|c",
    "/a\"b",
    "/a\\",
    "/a}{b",
    "/users/{id}",
    "/_OTHER",
    "/users/%0d%0aX-Injected:%201",
    "/users/%ff%fe",
    "/..%2f..%2fetc/passwd",
    "//",
];

/// Mixed, hostile and business traffic.
fn traffic() -> Vec<Request> {
    let mut all = Vec::new();
    for n in 0..300usize {
        let method = ["GET", "POST", "PUT", "DELETE", "HEAD", "BREW"][n % 6];
        let path = match n % 5 {
            0 => format!("/users/{n}"),
            1 => format!("/orders/{n}/items?page={n}"),
            2 => format!("/carts/{n}"),
            3 => HOSTILE[n % HOSTILE.len()].to_owned(),
            _ => "/health".to_owned(),
        };
        let status = [200, 201, 404, 500, 503][n % 7 % 5];
        let mut answer = Answer::new().status(status);
        if method != "HEAD" {
            answer = answer.size([0, 10, 3000][n % 3]);
        }
        if n % 4 == 0 {
            answer = answer.header("x-rows", (n % 10).to_string());
        }
        if n % 9 == 0 {
            let hit = if n % 2 == 0 { "true" } else { "false" };
            answer = answer.header("x-metric-events", format!("cache_total;hit={hit}"));
        }
        let plan = ["free", "gold", "a;.;b=.=c", "\"", "x.y"][n % 5];
        let mut request = Request::new(method, path).header("x-plan", plan).answer(&answer);
        if method == "POST" {
            request = request.body("x".repeat(n));
        }
        all.push(request);
    }
    all
}

/// What endpoints are inferred from: numbers, words, identifiers and slugs in several places, scans, and what
/// no endpoint comes of, mixed as it would come.
fn traffic_without_templates() -> Vec<Request> {
    const WORDS: [&str; 12] = [
        "red-shoes",
        "blue-hat",
        "green-coat",
        "old-lamp",
        "big-table",
        "small-chair",
        "tin-cup",
        "wool-scarf",
        "oak-desk",
        "silk-tie",
        "iron-pan",
        "clay-pot",
    ];
    let path = |n: usize| match n % 9 {
        0 => format!("/api/v1/users/{}", n * 7919 % 5000),
        1 => format!("/api/v1/users/{}/orders/{}?page={n}", n % 71, n * 31),
        2 => format!("/products/{}", WORDS[n * 5 % WORDS.len()]),
        3 => format!("/files/{:08x}-0000-4000-8000-{:012x}/meta", n * 2_654_435, n * 48_271),
        4 => "/health".to_owned(),
        5 => format!("/blog/2024/{:02}/{}-{n}", n % 12 + 1, WORDS[n % WORDS.len()]),
        6 => format!("/wp-content/{n}.php"),
        7 => HOSTILE[n % HOSTILE.len()].to_owned(),
        _ => ["/", "/login", "/api/v1/search", "/static/app.js"][n % 4].to_owned(),
    };
    let request = |n: usize| {
        let method = ["GET", "GET", "POST", "DELETE", "GET"][n % 5];
        let status = if n % 9 == 6 { 404 } else { [200, 200, 201, 500][n % 4] };
        Request::new(method, path(n)).answer(&Answer::new().status(status).size(n % 300))
    };
    (0..900).map(request).collect()
}

/// The upstream takes so long for `SLOW`. The buckets below and above it tell what is measured, however slow the
/// machine is.
const DELAY: Duration = Duration::from_millis(400);
const SLOW: &str = "/slow/{id}";

fn envoy(upstream: &Upstream, plugin: Plugin, workers: usize) -> Envoy {
    Setup::new(upstream.address()).concurrency(workers).plugin(plugin).start()
}

/// The lines of the scrape that are the filter's. Left out are those that say what a metric is called and is,
/// which stands in other lines, too. Labels are sorted: Prometheus gives them no order, and Envoy shows its own
/// tags as they were defined, those of expressions by name.
///
/// Of durations, the counts stay (`_count` and the bucket `+Inf`), and every bucket of `SLOW`. Of the other buckets
/// and of sums the values are taken away: they differ from run to run, with one host, too.
fn lines(envoy: &Envoy) -> BTreeSet<String> {
    let text = String::from_utf8(envoy.scrape_bytes()).expect("the scrape is a text");
    let own = ["http_", "route_metrics_", "rows_total", "cache_total", "queue_length"];
    text.lines()
        .filter(|line| own.iter().any(|name| line.starts_with(name)))
        .map(|line| {
            let line = sorted(line);
            let bucket = line.starts_with("http_request_duration_microseconds_bucket")
                && !line.contains("+Inf")
                && !line.contains(SLOW);
            match bucket || line.starts_with("http_request_duration_microseconds_sum") {
                true => line.rsplit_once(' ').map_or(line.as_str(), |(key, _)| key).to_owned(),
                false => line,
            }
        })
        .collect()
}

/// A line with its labels in order.
fn sorted(line: &str) -> String {
    let Some((name, rest)) = line.split_once('{') else { return line.to_owned() };
    let Some((labels, value)) = rest.rsplit_once('}') else { return line.to_owned() };
    let mut labels: Vec<&str> = labels.split("\",").collect();
    labels.iter_mut().for_each(|label| *label = label.trim_end_matches('"'));
    labels.sort_unstable();
    format!("{name}{labels:?}{value}")
}

/// The scrape after these requests, half of them over HTTP/1.1, half over HTTP/2, and one post of events where
/// the configuration takes them.
fn scraped(
    host: Host,
    configuration: &Value,
    requests: &[Request],
    workers: usize,
) -> BTreeSet<String> {
    let upstream = Upstream::start();
    let plugin = Plugin::on(host, configuration.clone()).stop_at_headers();
    let envoy = envoy(&upstream, plugin, workers);
    let (first, second) = requests.split_at(requests.len() / 2);
    let mut answers = http1::send_all(envoy.address(), 1, first);
    answers.extend(http2::send_all(envoy.address(), 1, 1, second));
    for answer in answers {
        answer.expect("each request is answered");
    }
    let mut excluded = 0;
    if configuration.pointer("/events/path").is_some() {
        let post = Request::new("POST", "/metric-events")
            .header("content-type", "application/json")
            .body(r#"[{"metric": "queue_length", "value": 7}]"#);
        let answer = http1::send(envoy.address(), &post).unwrap();
        assert!(answer.status < 300, "{host:?}: {} {}", answer.status, answer.text());
        excluded = 1;
    }
    expect_decisions(&envoy, requests.len() as u64, 0, excluded);
    // Histograms come with Envoy's flush, gauges with the filter's.
    eventually_equal("a scrape that stays", true, || {
        let before = lines(&envoy);
        std::thread::sleep(Duration::from_millis(1500));
        before == lines(&envoy)
    });
    lines(&envoy)
}

fn expect_same_scrape(configuration: &Value, requests: &[Request], workers: usize) {
    let of = |host| scraped(host, configuration, requests, workers);
    let (wasm, native) = (of(Host::Wasm), of(Host::Native));
    assert!(wasm.len() > 100, "{wasm:#?}");
    let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| -> Vec<String> {
        a.difference(b).cloned().collect()
    };
    let (only_wasm, only_native) = (only(&wasm, &native), only(&native, &wasm));
    assert!(
        only_wasm.is_empty() && only_native.is_empty(),
        "Wasm alone: {only_wasm:#?}\nnative alone: {only_native:#?}"
    );
}

#[test]
#[ignore = "needs `make native`; see `make test-dynamic`"]
fn both_hosts_give_the_same_scrape() {
    expect_same_scrape(&configuration(), &traffic(), 2);
}

/// One worker learns from the same requests in the same order, so both hosts come to the same endpoints. With
/// more workers, who gets which connection decides what is learned first, on either host.
#[test]
#[ignore = "needs `make native`; see `make test-dynamic`"]
fn both_hosts_infer_the_same_endpoints() {
    let requests = traffic_without_templates();
    expect_same_scrape(&json!({}), &requests, 1);
}

/// Durations of both hosts hold the upstream's delay, and fall into the same buckets.
#[test]
#[ignore = "needs `make native`; see `make test-dynamic`"]
fn both_hosts_give_the_same_durations() {
    let below = u64::try_from(DELAY.as_micros()).unwrap() - 100_000;
    let buckets = json!([1, below, 120_000_000]);
    let configuration = json!({
        "metrics": {"request_duration": {"buckets": buckets}},
        "endpoint": {"templates": [SLOW, "/users/{id}", "/x/{*rest}"], "inference": "off"},
    });
    let mut requests = traffic();
    let slow = |n| Request::get(format!("/slow/{n}")).answer(&Answer::new().delay(DELAY));
    requests.extend((0..6).map(slow));
    let slow = |n| Request::new("POST", format!("/slow/{n}")).answer(&Answer::new().delay(DELAY));
    requests.splice(0..0, (0..6).map(slow));
    expect_same_scrape(&configuration, &requests, 2);
    let native = scraped(Host::Native, &configuration, &requests, 2);
    let of_slow = |bound: u64, count: u64| {
        let line = native.iter().find(|line| {
            line.contains("_bucket")
                && line.contains(SLOW)
                && line.contains("POST")
                && line.contains(&format!("le=\\\"{bound}"))
        });
        assert!(line.is_some_and(|line| line.ends_with(&format!(" {count}"))), "{bound}: {line:?}");
    };
    of_slow(below, 0);
    of_slow(120_000_000, 6);
}

/// Envoy Gateway merges what `bootstrap --gateway --native` prints into its bootstrap: it is enough for names
/// without a prefix, labels and buckets.
#[test]
#[ignore = "needs `make native`; see `make test-dynamic`"]
fn the_form_of_envoy_gateway_works() {
    let configuration = json!({
        "endpoint": {"templates": ["/users/{id}"]},
        "metrics": {"request_duration": {"buckets": [1_500, 40_000]}},
    });
    let printed =
        command(&["bootstrap", "--gateway", "--native", "-"], configuration.to_string().into());
    let proxy = yaml(&printed).unwrap().remove(0);
    let text = proxy["spec"]["bootstrap"]["value"].as_str().expect("it is a text");
    let value = yaml(text.as_bytes()).unwrap().remove(0);
    let upstream = Upstream::start();
    let envoy = Setup::new(upstream.address())
        .plugin(Plugin::on(Host::Native, configuration))
        .stats(Stats::Given(json!({})))
        .settings(json!({"layered_runtime": null, "stats_config": null}))
        .settings(value)
        .start();
    get(&envoy, "/users/7");
    expect_decisions(&envoy, 1, 0, 0);
    let labels = [("method", "GET"), ("endpoint", "/users/{id}"), ("status", "200")];
    assert_eq!(envoy.scrape().value("http_requests_total", &labels), Some(1.0));
    let bounds = envoy.eventually("the histogram", |scrape| {
        let bounds = scrape.label_values("http_request_duration_microseconds_bucket", "le");
        if bounds.is_empty() { Err("no histogram yet".to_owned()) } else { Ok(bounds) }
    });
    let mut bounds: Vec<u64> = bounds.iter().filter_map(|bound| bound.parse().ok()).collect();
    bounds.sort_unstable();
    assert_eq!(bounds, [1_500, 40_000]);
}

#[test]
#[ignore = "needs `make native-trap`; see `make test-dynamic`"]
fn a_panic_costs_one_request_at_most_and_is_counted() {
    let upstream = Upstream::start();
    let mut plugin = Plugin::on(Host::Native, json!({}));
    plugin.module = repository().join("target/native-trap/libroute_metrics.so");
    assert!(plugin.module.exists(), "{}: run `make native-trap`", plugin.module.display());
    let envoy = envoy(&upstream, plugin, 2);
    let process = envoy.process();
    let panics = |hook: &str| {
        let request = Request::get("/users/1").header("x-route-metrics-trap", hook);
        let answer = http1::send(envoy.address(), &request).expect("it is answered");
        assert_eq!(answer.status, 200, "{hook}");
    };
    get(&envoy, "/users/1");
    panics("log");
    get(&envoy, "/users/2");
    // It had been kept by the end; the end sees it all the same.
    panics("request_headers");
    get(&envoy, "/users/3");
    eventually_equal("panics", Some(2.0), || {
        envoy.scrape().value("route_metrics_errors_total", &[("reason", "panic")])
    });
    expect_decisions(&envoy, 4, 0, 0);
    assert_eq!(envoy.process(), process);
    assert!(envoy.log().contains("on purpose, in log"));
}
