//! The dynamic module beside the Wasm module: the same traffic gives the same scrape, and a panic is only
//! that.
//!
//! `make test-dynamic` builds what these tests need and runs them; with everything else they are left out.

use std::collections::BTreeSet;

use route_metrics_e2e::expect::{expect_decisions, get};
use route_metrics_e2e::wait::eventually_equal;
use route_metrics_e2e::{
    Answer, Envoy, Host, Plugin, Request, Setup, Upstream, http1, http2, repository,
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

fn envoy(upstream: &Upstream, plugin: Plugin) -> Envoy {
    Setup::new(upstream.address()).concurrency(2).plugin(plugin).start()
}

/// The lines of the scrape that are the filter's. Left out are durations, which differ from run to run, and
/// what a metric is called and is, which stands in other lines, too. Labels are sorted: Prometheus gives them no
/// order, and Envoy shows its own tags as they were defined, those of expressions by name.
fn lines(envoy: &Envoy) -> BTreeSet<String> {
    let text = String::from_utf8(envoy.scrape_bytes()).expect("the scrape is a text");
    let timed =
        ["http_request_duration_microseconds_bucket", "http_request_duration_microseconds_sum"];
    let own = ["http_", "route_metrics_", "rows_total", "cache_total", "queue_length"];
    text.lines()
        .filter(|line| own.iter().any(|name| line.starts_with(name)))
        .filter(|line| !timed.iter().any(|name| line.starts_with(name)))
        .map(sorted)
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

fn scraped(host: Host) -> BTreeSet<String> {
    let upstream = Upstream::start();
    let envoy = envoy(&upstream, Plugin::on(host, configuration()).stop_at_headers());
    let requests = traffic();
    let (first, second) = requests.split_at(150);
    let mut answers = http1::send_all(envoy.address(), 1, first);
    answers.extend(http2::send_all(envoy.address(), 1, 1, second));
    for answer in answers {
        answer.expect("each request is answered");
    }
    let post = Request::new("POST", "/metric-events")
        .header("content-type", "application/json")
        .body(r#"[{"metric": "queue_length", "value": 7}]"#);
    let answer = http1::send(envoy.address(), &post).unwrap();
    assert!(answer.status < 300, "{host:?}: {} {}", answer.status, answer.text());
    expect_decisions(&envoy, requests.len() as u64, 0, 1);
    // Histograms come with Envoy's flush, gauges with the filter's.
    eventually_equal("a scrape that stays", true, || {
        let before = lines(&envoy);
        std::thread::sleep(std::time::Duration::from_millis(1500));
        before == lines(&envoy)
    });
    lines(&envoy)
}

#[test]
#[ignore = "needs `make native`; see `make test-dynamic`"]
fn both_hosts_give_the_same_scrape() {
    let (wasm, native) = (scraped(Host::Wasm), scraped(Host::Native));
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
#[ignore = "needs `make native-trap`; see `make test-dynamic`"]
fn a_panic_costs_one_request_at_most_and_is_counted() {
    let upstream = Upstream::start();
    let mut plugin = Plugin::on(Host::Native, json!({}));
    plugin.module = repository().join("target/native-trap/libroute_metrics.so");
    assert!(plugin.module.exists(), "{}: run `make native-trap`", plugin.module.display());
    let envoy = envoy(&upstream, plugin);
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
