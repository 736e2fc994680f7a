//! Rules and events, exact over all workers, within their limits.

use route_metrics_e2e::wait::eventually_equal;
use route_metrics_e2e::{Answer, Binary, Request, Setup, Upstream, http1, http2};
use serde_json::{Value, json};

use route_metrics_e2e::expect::{Numbers, count, expect_table, table};

/// Rules and declared events.
pub fn plugin() -> Value {
    json!({
        "endpoint": {"templates": ["/register", "/orgs/{org}"], "inference": "off"},
        "custom_metrics": [
            {"name": "registrations_total", "type": "counter",
             "match": {"methods": ["POST"], "endpoints": ["/register"], "statuses": ["2xx", "4xx"]},
             "labels": {"status": {"from": "status_class", "map": {"2xx": "success"}, "default": "failure"}}},
            {"name": "rows_total", "type": "counter", "match": {"response_headers": {"x-rows": "*"}},
             "value": {"from": "response_header", "name": "x-rows"},
             "labels": {"org": {"from": "path_param", "name": "org"}}},
            {"name": "cache_total", "type": "counter", "source": "event",
             "labels": {"operation": {}, "hit": {}}},
            {"name": "task_milliseconds", "type": "histogram", "source": "event", "scale": 1000,
             "labels": {"task": {}}},
            {"name": "queue_length", "type": "gauge", "source": "event", "labels": {}},
        ],
        "events": {"response_header": "x-metric-events", "path": "/metric-events"},
    })
}

#[test]
fn rules_and_events_are_exact_over_four_workers() {
    for binary in Binary::tested() {
        let upstream = Upstream::start();
        let envoy =
            Setup::new(upstream.address()).binary(&binary).concurrency(4).filter(plugin()).start();
        let mut numbers = Numbers(11);
        let mut requests = Vec::new();
        let (mut registrations, mut rows) = (table::<1>(&[]), table::<1>(&[]));
        let (mut cache, mut tasks) = (table::<2>(&[]), table::<1>(&[]));
        let mut accepted = 0;
        for _ in 0..2000 {
            let status = *numbers.pick(&[200, 201, 409, 500]);
            let mut answer = Answer::new().status(status);
            let request = match numbers.below(3) {
                0 => Request::new("POST", "/register").body("x"),
                1 => Request::get("/register"),
                _ => Request::get(format!("/orgs/o{}", numbers.below(5))),
            };
            let is = |method: &str| request.method == method;
            if is("POST") && status != 500 {
                count(&mut registrations, [if status < 300 { "success" } else { "failure" }]);
            }
            if let Some(org) = request.target.strip_prefix(b"/orgs/") {
                let found = 1 + numbers.below(9) as u64;
                answer = answer.header("x-rows", found.to_string());
                *rows.entry(vec![String::from_utf8_lossy(org).into_owned()]).or_default() += found;
            }
            let mut events = Vec::new();
            for _ in 0..numbers.below(4) {
                accepted += 1;
                if numbers.below(2) == 0 {
                    let (operation, hit) = (*numbers.pick(&["get", "set"]), numbers.below(2) == 0);
                    events
                        .push(format!("cache_total;operation={operation};hit=?{}", u8::from(hit)));
                    count(&mut cache, [operation, if hit { "true" } else { "false" }]);
                } else {
                    let task = *numbers.pick(&["mail", "report", "import"]);
                    events.push(format!("task_milliseconds;task={task};value=0.25"));
                    count(&mut tasks, [task]);
                }
            }
            // Several lines of one header are one list.
            for line in events.chunks(2) {
                answer = answer.header("x-metric-events", line.join(", "));
            }
            requests.push(request.answer(&answer));
        }
        let (first, second) = requests.split_at(1000);
        let mut responses = http1::send_all(envoy.address(), 8, first);
        responses.extend(http2::send_all(envoy.address(), 4, 10, second));
        for response in responses {
            let response = response.expect("each request is answered");
            assert_eq!(response.header("x-metric-events"), None, "the client sees the events");
        }
        expect_table(&envoy, "registrations_total", &["status"], &registrations);
        expect_table(&envoy, "rows_total", &["org"], &rows);
        expect_table(&envoy, "cache_total", &["operation", "hit"], &cache);
        expect_table(&envoy, "task_milliseconds_count", &["task"], &tasks);
        let outcomes = [
            (["accepted"], accepted),
            (["unknown_metric"], 0),
            (["malformed"], 0),
            (["invalid"], 0),
        ];
        expect_table(&envoy, "route_metrics_events_total", &["outcome"], &table(&outcomes));
        assert_eq!(envoy.scrape().sum("http_requests_total"), 2000.0);
        assert_eq!(envoy.vm_reloads(), 0);
    }
}

#[test]
fn a_gauge_shows_the_last_report_of_any_worker() {
    let upstream = Upstream::start();
    let envoy = Setup::new(upstream.address()).concurrency(4).filter(plugin()).start();
    for level in [3, 0, 17, 9_223_372_036_854_775_000_u64, 5] {
        let body = json!([{"metric": "queue_length", "value": level}]).to_string();
        let request = Request::new("POST", "/metric-events")
            .header("content-type", "application/json")
            .body(body);
        assert_eq!(http1::send(envoy.address(), &request).unwrap().status, 204);
        assert_eq!(envoy.scrape().value("queue_length", &[]), Some(level as f64));
    }
}

#[test]
fn custom_metrics_keep_to_limits_over_four_workers() {
    let mut config = plugin();
    config["limits"] = json!({"max_values_per_label": 6, "max_series_per_metric": 8});
    let upstream = Upstream::start();
    let envoy = Setup::new(upstream.address()).concurrency(4).filter(config).start();
    let requests: Vec<Request> = (0..1200)
        .map(|n| {
            let event = format!("cache_total;operation=o{};hit=?{}", n % 40, n % 2);
            let answer = Answer::new().header("x-metric-events", event).header("x-rows", "1");
            Request::get(format!("/orgs/o{}", n % 50)).answer(&answer)
        })
        .collect();
    for response in http1::send_all(envoy.address(), 16, &requests) {
        response.unwrap();
    }
    envoy.eventually("sums", |scrape| {
        for (family, label) in [("cache_total", "operation"), ("rows_total", "org")] {
            let sum = scrape.sum(family);
            if sum != 1200.0 {
                return Err(format!("{family}: {sum}"));
            }
            let values = scrape.label_values(family, label);
            assert!(values.len() <= 6 && values.contains("_OTHER"), "{family}: {values:?}");
            assert!(scrape.series(family).count() <= 8, "{family}");
            let overflow = [("metric", family), ("label", label)];
            assert!(scrape.sum_where("route_metrics_overflow_total", &overflow) > 0.0, "{family}");
        }
        Ok(())
    });
}

#[test]
fn rules_are_sampled_and_events_are_not() {
    let mut config = plugin();
    config["sampling"] = json!({"rate": 0.2, "always": {"statuses": ["5xx"]}});
    let upstream = Upstream::start();
    let envoy = Setup::new(upstream.address()).concurrency(4).filter(config).start();
    let requests: Vec<Request> = (0..4000)
        .map(|n| {
            let status = if n % 10 == 0 { 503 } else { 200 };
            let answer = Answer::new()
                .status(status)
                .header("x-rows", "2")
                .header("x-metric-events", "cache_total;operation=get;hit");
            Request::get("/orgs/a").answer(&answer)
        })
        .collect();
    for response in http1::send_all(envoy.address(), 16, &requests) {
        response.unwrap();
    }
    let cache = table(&[(["get", "true"], 4000)]);
    expect_table(&envoy, "cache_total", &["operation", "hit"], &cache);
    // 400 that are kept, each with weight 1, and the others of which a fifth stands for all: five
    // standard errors of a sum of 3,600 times 2.
    let error = 5.0 * 2.0 * (3600.0_f64 * 4.0).sqrt();
    eventually_equal("requests", 4000.0, || envoy.scrape().sum("route_metrics_requests_total"));
    let rows = envoy.scrape().sum("rows_total");
    assert!((rows - 8000.0).abs() < error, "{rows}");
}
