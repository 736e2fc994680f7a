//! Custom metrics, by rule and by report, on a host in memory.

use crate::worker::{ROOT, Request, Worker, get};
use route_metrics::filter::Action;
use route_metrics::host::recorder::Recorder;
use route_metrics::host::{HeaderMap, MetricKind, Property};
use serde_json::{Value, json};

const REGISTER: &str = "/api/v1/auth/register";

/// A configuration with these custom metrics.
fn custom(metrics: Value) -> Value {
    json!({
        "endpoint": {"templates": [REGISTER, "/orgs/{org}", "/login"], "inference": "off"},
        "custom_metrics": metrics,
    })
}

fn worker(config: &Value) -> Worker {
    Worker::new(&config.to_string())
}

fn post_to(path: &str, code: u64) -> Request {
    Request { method: "POST", code: Some(code), ..get(path) }
}

/// Every series of a family with its value.
fn series(worker: &Worker, family: &str) -> Vec<(String, u64)> {
    let all = worker.filter.host().family(family).into_iter();
    let short = |name: String| name[family.len()..].trim_start_matches('.').to_owned();
    all.map(|(name, recorded)| (short(name), recorded.value)).collect()
}

fn expect(worker: &Worker, family: &str, expected: &[(&str, u64)]) {
    let expected: Vec<(String, u64)> =
        expected.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    assert_eq!(series(worker, family), expected, "{family}");
}

fn registrations() -> Value {
    custom(json!([{
        "name": "app_user_registrations_total", "type": "counter",
        "match": {"methods": ["POST"], "endpoints": [REGISTER], "statuses": ["2xx", "4xx"]},
        "labels": {"status": {"from": "status_class", "map": {"2xx": "success"}, "default": "failure"}},
    }]))
}

#[test]
fn a_rule_counts_what_matches_all_of_its_conditions() {
    let mut worker = worker(&registrations());
    for request in [
        post_to(REGISTER, 201),
        post_to("/api/v1/auth/register/?next=/", 200),
        post_to(REGISTER, 409),
        post_to(REGISTER, 503),
        Request { code: Some(200), ..get(REGISTER) },
        post_to("/login", 200),
        post_to("/other", 200),
    ] {
        worker.send(&request);
    }
    let expected = [("status=.=failure;.;", 1), ("status=.=success;.;", 2)];
    expect(&worker, "app_user_registrations_total", &expected);
    assert_eq!(worker.sum("http_requests_total"), 7);
}

#[test]
fn the_namespace_is_for_request_metrics() {
    let mut config = registrations();
    config["namespace"] = "django".into();
    let mut worker = worker(&config);
    worker.send(&post_to(REGISTER, 201));
    expect(&worker, "app_user_registrations_total", &[("status=.=success;.;", 1)]);
    assert_eq!(worker.sum("django_http_requests_total"), 1);
}

#[test]
fn conditions_on_headers_hold_for_what_was_sent() {
    let mut worker = worker(&custom(json!([
        {"name": "pro_total", "type": "counter",
         "match": {"request_headers": {"X-Plan": "pro"}, "response_headers": {"x-cache": "*"}}},
        {"name": "hits_total", "type": "counter", "match": {"response_headers": {"x-cache": "HIT"}}},
    ])));
    for (plan, cache) in [
        (Some("pro"), Some("HIT")),
        (Some("pro"), None),
        (Some("free"), Some("HIT")),
        (None, Some("MISS")),
    ] {
        let headers = plan.map(|plan| ("x-plan", plan)).into_iter().collect();
        let answer = cache.map(|cache| ("x-cache", cache)).into_iter().collect();
        worker.send(&Request { headers, answer, ..get("/login") });
    }
    expect(&worker, "pro_total", &[("", 1)]);
    expect(&worker, "hits_total", &[("", 2)]);
}

#[test]
fn values_come_from_every_source() {
    let rows = json!({"from": "response_header", "name": "x-rows"});
    let mut worker = worker(&custom(json!([
        {"name": "fixed_total", "type": "counter", "value": {"from": "constant", "value": 2.5, "scale": 10}},
        {"name": "took_us", "type": "histogram", "value": {"from": "duration_ms", "scale": 1000}},
        {"name": "sent_bytes_total", "type": "counter", "value": {"from": "response_size"}},
        {"name": "rows_total", "type": "counter", "value": rows},
        {"name": "rows_last", "type": "gauge", "value": rows, "scale": 2},
        {"name": "page", "type": "gauge", "value": {"from": "query_param", "name": "page"}},
        {"name": "org", "type": "gauge", "value": {"from": "path_param", "name": "org"}},
        {"name": "wanted", "type": "gauge", "value": {"from": "request_header", "name": "X-Want"}},
    ])));
    let with = |rows: &'static str| Request {
        answer: vec![("x-rows", rows)],
        headers: vec![("x-want", "3")],
        ..get("/orgs/17?page=4")
    };
    worker.send(&with("10"));
    worker.send(&with("2.5"));
    // An absent number is nothing to record; one that is none is an error.
    worker.send(&get("/login"));
    for bad in ["many", "-1", "NaN", "inf", "1e400", "1,2", "9007199254740993"] {
        worker.send(&with(bad));
    }
    expect(&worker, "rows_total", &[("", 13)]);
    // A gauge takes more than a counter.
    expect(&worker, "rows_last", &[("", 1 << 54)]);
    expect(&worker, "fixed_total", &[("", 250)]);
    expect(&worker, "took_us", &[("", 50_000)]);
    expect(&worker, "sent_bytes_total", &[("", 1000)]);
    expect(&worker, "page", &[("", 4)]);
    expect(&worker, "org", &[("", 17)]);
    expect(&worker, "wanted", &[("", 3)]);
    assert_eq!(worker.counter("route_metrics_errors_total.reason=.=value;.;"), 6 + 7);
}

#[test]
fn what_matches_no_rule_reads_nothing_more_of_the_host() {
    let rule = |index: usize| {
        json!({"name": format!("rule{index}_total"), "type": "counter",
               "match": {"methods": ["POST"], "endpoints": ["/login"], "statuses": ["2xx"],
                         "request_headers": {"x-plan": "*"}, "response_headers": {"x-cache": "*"}},
               "labels": {"tenant": {"from": "request_header", "name": "x-tenant"}}})
    };
    let reads = |metrics: Vec<Value>, request: &Request| {
        let mut worker = worker(&custom(metrics.into()));
        worker.send(request);
        worker.filter.host().reads()
    };
    let without = reads(Vec::new(), &get("/login"));
    let fifty: Vec<Value> = (0..50).map(rule).collect();
    assert_eq!(reads(fifty.clone(), &get("/login")), without, "another method");
    let post = post_to("/orgs/1", 200);
    // Request headers come in one call, however many are needed.
    assert_eq!(reads(fifty.clone(), &post), reads(Vec::new(), &post), "another endpoint");
    let matching = Request {
        headers: vec![("x-plan", "a"), ("x-tenant", "b")],
        answer: vec![("x-cache", "c")],
        ..post_to("/login", 204)
    };
    assert_eq!(reads(fifty, &matching), reads(vec![rule(0)], &matching), "fifty are as one");
}

#[test]
fn limits_hold_for_custom_metrics_and_nothing_is_dropped() {
    let mut config = custom(json!([
        {"name": "by_tenant_total", "type": "counter",
         "labels": {"tenant": {"from": "request_header", "name": "x-tenant"},
                    "place": {"from": "constant", "value": "here"}}},
        {"name": "reported_total", "type": "counter", "source": "event",
         "labels": {"task": {}, "state": {"allow": ["good", "bad"]}}},
        {"name": "level", "type": "gauge", "source": "event", "labels": {"task": {}}},
    ]));
    config["events"] = json!({"response_header": "x-metric-events"});
    config["limits"] = json!({"max_values_per_label": 8, "max_series_per_metric": 12});
    let host = Recorder::default();
    let text = config.to_string();
    let mut workers = [
        Worker::on(host.worker(), &text, 1),
        Worker::on(host.worker(), &text, 2),
        Worker::on(host, &text, 3),
    ];
    let mut sent = 0;
    for index in 0..40 {
        for worker in &mut workers {
            let name: &'static str = format!("name{index}").leak();
            let state = if index % 2 == 0 { "good" } else { "worse" };
            let events =
                format!("reported_total;task={name};state={state}, level;task={name};value=4");
            worker.send(&Request {
                headers: vec![("x-tenant", name)],
                answer: vec![("x-metric-events", events.leak())],
                ..get("/login")
            });
            sent += 1;
        }
    }
    let worker = &workers[0];
    for (family, label, most) in
        [("by_tenant_total", "tenant", 8), ("reported_total", "task", 12), ("level", "task", 8)]
    {
        let all = series(worker, family);
        assert!(all.len() <= most, "{all:#?}");
        assert!(
            all.iter().any(|(name, _)| name.contains(&format!("{label}=.=_OTHER;.;"))),
            "{all:?}"
        );
        let overflow =
            format!("route_metrics_overflow_total.metric=.={family};.;label=.={label};.;");
        assert!(worker.counter(&overflow) > 0, "{overflow}");
        let count = format!("route_metrics_series.metric=.={family};.;");
        assert_eq!(worker.gauge(&count), all.len() as u64);
    }
    assert_eq!(worker.sum("by_tenant_total"), sent);
    assert_eq!(worker.sum("reported_total"), sent);
    assert!(
        series(worker, "by_tenant_total").iter().all(|(name, _)| name.contains("place=.=here;.;"))
    );
    assert!(!series(worker, "reported_total").iter().any(|(name, _)| name.contains("worse")));
}

#[test]
fn rules_are_sampled_like_request_metrics_and_reports_are_not() {
    let mut config = custom(json!([
        {"name": "logins_total", "type": "counter", "match": {"endpoints": ["/login"]},
         "labels": {"status": {"from": "status_class"}}},
        {"name": "login_ms", "type": "histogram", "value": {"from": "duration_ms"}},
        {"name": "reported_total", "type": "counter", "source": "event", "labels": {}},
    ]));
    config["events"] = json!({"response_header": "x-metric-events"});
    config["sampling"] = json!({"rate": 0.1, "always": {"statuses": ["5xx"]}});
    let mut worker = worker(&config);
    let answer = vec![("x-metric-events", "reported_total;value=2")];
    let requests = 20_000;
    for index in 0..requests {
        let code = if index % 20 == 0 { 500 } else { 200 };
        worker.send(&Request { code: Some(code), answer: answer.clone(), ..get("/login") });
    }
    let by_status = series(&worker, "logins_total");
    let requests = requests as u64;
    assert_eq!(by_status[1], ("status=.=5xx;.;".to_owned(), requests / 20), "each is kept");
    let good = by_status[0].1 as f64;
    let expected = (requests - requests / 20) as f64;
    // Four standard errors of a sample of a tenth.
    let error = 4.0 * (expected * 9.0).sqrt();
    assert!((good - expected).abs() < error, "{good} of {expected}");
    let of_sample = worker.count("http_request_duration_microseconds");
    assert_eq!(worker.count("login_ms"), of_sample);
    assert_eq!(worker.sum("reported_total"), 2 * requests);
}

#[test]
fn at_rate_zero_and_where_metrics_are_off_nothing_custom_is_recorded() {
    let metrics = json!([
        {"name": "logins_total", "type": "counter"},
        {"name": "reported_total", "type": "counter", "source": "event", "labels": {}},
    ]);
    let events = json!({"response_header": "x-metric-events", "path": "/metric-events"});
    for (config, variable) in [
        (json!({"sampling": {"rate": 0}, "custom_metrics": metrics, "events": events}), None),
        (json!({"enabled": false, "custom_metrics": metrics, "events": events}), None),
        (json!({"custom_metrics": metrics, "events": events}), Some("METRICS_ENABLED")),
    ] {
        let mut filter = route_metrics::filter::Filter::new(Recorder::default(), 1);
        let off = |name: &str| (Some(name) == variable).then(|| "false".to_owned());
        assert!(filter.configure(ROOT, config.to_string().as_bytes(), off));
        let mut worker = Worker { filter, next: 10 };
        let answer = vec![("x-metric-events", "reported_total")];
        worker.send(&Request { answer, ..get("/login") });
        // The client sees nothing of it all the same, and a known event is no mistake.
        assert!(!worker.filter.host().has_header(HeaderMap::Response, "x-metric-events"));
        let answered = report(&mut worker, r#"[{"metric": "reported_total"}]"#);
        assert_eq!(answered, (204, String::new()));
        assert_eq!(worker.sum("reported_total") + worker.sum("logins_total"), 0, "{config}");
    }
}

fn reporting() -> Value {
    let mut config = custom(json!([
        {"name": "cache_total", "type": "counter", "source": "event",
         "labels": {"operation": {}, "hit": {"map": {"true": "yes"}, "default": "no"}}},
        {"name": "task_ms", "type": "histogram", "source": "event", "scale": 1000,
         "labels": {"task": {}}},
        {"name": "queue_length", "type": "gauge", "source": "event",
         "labels": {"user": {"hash": true}}},
    ]));
    config["events"] = json!({"response_header": "X-Metric-Events", "path": "/metric-events"});
    config
}

fn outcomes(worker: &Worker) -> [u64; 4] {
    ["accepted", "unknown_metric", "malformed", "invalid"].map(|outcome| {
        worker.counter(&format!("route_metrics_events_total.outcome=.={outcome};.;"))
    })
}

#[test]
fn events_of_a_response_are_recorded_and_taken_out() {
    let mut worker = worker(&reporting());
    assert_eq!(outcomes(&worker), [0; 4]);
    let events = "cache_total;operation=get;hit=?1, task_ms;task=mail;value=1.25, nothing, \
                  cache_total;operation=get;x=1, cache_total;operation=set;hit=?0;value=3";
    worker.send(&Request { answer: vec![("x-metric-events", events)], ..get("/healthz") });
    assert!(!worker.filter.host().has_header(HeaderMap::Response, "x-metric-events"));
    let expected = [("hit=.=no;.;operation=.=set;.;", 3), ("hit=.=yes;.;operation=.=get;.;", 1)];
    expect(&worker, "cache_total", &expected);
    expect(&worker, "task_ms", &[("task=.=mail;.;", 1250)]);
    assert_eq!(outcomes(&worker), [3, 1, 0, 1]);
    worker.send(&Request { answer: vec![("x-metric-events", "cache_total,,")], ..get("/") });
    assert!(!worker.filter.host().has_header(HeaderMap::Response, "x-metric-events"));
    assert_eq!(outcomes(&worker), [3, 1, 1, 1]);
}

#[test]
fn events_of_a_request_are_nothing() {
    let mut worker = worker(&reporting());
    worker.send(&Request { headers: vec![("x-metric-events", "cache_total")], ..get("/") });
    assert_eq!(outcomes(&worker), [0; 4]);
    assert!(worker.filter.host().has_header(HeaderMap::Request, "x-metric-events"));
}

/// Posts a body, and gives what it is answered with.
fn report(worker: &mut Worker, body: &str) -> (u16, String) {
    let request = Request {
        method: "POST",
        headers: vec![("content-type", "application/json")],
        ..get("/metric-events")
    };
    worker.show(&request);
    worker.next += 1;
    let (stream, size) = (worker.next, body.len());
    worker.filter.create(stream, ROOT);
    assert_eq!(worker.filter.request_headers(stream, false), Action::Wait);
    worker.filter.host().set_body(body.as_bytes());
    assert_eq!(worker.filter.request_body(stream, size / 2, false), Action::Wait);
    assert_eq!(worker.filter.request_body(stream, size, true), Action::Wait);
    let responses = worker.filter.host().responses();
    worker.filter.response_headers(stream);
    worker.filter.end(stream);
    assert_eq!(responses.len(), 1, "{body}");
    (responses[0].status, responses[0].body.clone())
}

#[test]
fn posted_events_are_recorded_as_a_whole_or_not_at_all() {
    let mut worker = worker(&reporting());
    let good = r#"{"metric": "task_ms", "labels": {"task": "mail"}, "value": 0.5}"#;
    assert_eq!(report(&mut worker, &format!("[{good}, {good}]")), (204, String::new()));
    expect(&worker, "task_ms", &[("task=.=mail;.;", 1000)]);
    let bad = r#"{"metric": "cache_total", "value": -1}"#;
    let (status, body) = report(&mut worker, &format!("[{good}, {bad}, {{\"metric\": \"x\"}}]"));
    assert_eq!(status, 400);
    assert!(
        body.starts_with(r#"{"errors":[{"item":1,"message":"value: is below zero"}"#),
        "{body}"
    );
    expect(&worker, "task_ms", &[("task=.=mail;.;", 1000)]);
    assert_eq!(outcomes(&worker), [2, 1, 0, 1]);
    assert_eq!(report(&mut worker, "nonsense").0, 400);
    assert_eq!(report(&mut worker, &" ".repeat(70_000)).0, 413);
    assert_eq!(outcomes(&worker), [2, 1, 2, 1]);
    // Posts are not the application's traffic.
    assert_eq!(worker.sum("http_requests_total"), 0);
    worker.tick();
    assert_eq!(worker.counter("route_metrics_requests_total.decision=.=excluded;.;"), 4);
    assert_eq!(worker.gauge("http_requests_active"), 0);
    assert_eq!(worker.filter.open_streams(), 0);
}

#[test]
fn hashed_labels_hide_what_was_reported() {
    let mut worker = worker(&reporting());
    let event =
        r#"[{"metric": "queue_length", "labels": {"user": "ada@example.org"}, "value": 7}]"#;
    assert_eq!(report(&mut worker, event).0, 204);
    let all = series(&worker, "queue_length");
    let digits = all[0].0.strip_prefix("user=.=").unwrap().strip_suffix(";.;").unwrap();
    assert!(digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_hexdigit()), "{all:?}");
    assert_eq!(all[0].1, 7);
}

#[test]
fn other_methods_and_other_paths_are_not_posts() {
    let mut worker = worker(&reporting());
    for (request, expected) in [
        (Request { method: "GET", ..get("/metric-events") }, Some(405)),
        (Request { method: "POST", ..get("/metric-events/?x") }, Some(415)),
        (Request { method: "POST", ..get("/metric-events/x") }, None),
        (Request { method: "POST", ..get("/login") }, None),
    ] {
        let stream = worker.begin(&request);
        let responses = worker.filter.host().responses();
        assert_eq!(responses.first().map(|r| r.status), expected, "{}", request.path);
        worker.end(stream, &request);
    }
    assert_eq!(worker.sum("http_requests_total"), 2);
    assert_eq!(outcomes(&worker), [0, 0, 1, 0]);
}

#[test]
fn a_post_that_another_filter_has_answered_is_no_traffic_either() {
    let mut worker = worker(&reporting());
    worker.show(&post_to("/metric-events", 403));
    worker.filter.create(99, ROOT);
    worker.filter.host().set_number(Property::ResponseCode, 403);
    worker.filter.end(99);
    assert_eq!(worker.sum("http_requests_total"), 0);
}

#[test]
fn requests_per_customer_have_limits_of_their_own_and_hashes_on_demand() {
    let config = json!({
        "endpoint": {"templates": ["/login"]},
        "detailed": {
            "enabled": true,
            "user": {"from": "request_header", "name": "x-user-id", "hash": true},
            "limits": {"max_values_per_label": 3, "max_series_per_metric": 100},
        },
    });
    let mut filter = route_metrics::filter::Filter::new(Recorder::default(), 1);
    let key = |name: &str| (name == "METRICS_HASH_KEY").then(|| "secret".to_owned());
    assert!(filter.configure(ROOT, config.to_string().as_bytes(), key));
    let mut worker = Worker { filter, next: 10 };
    for user in ["ada", "ada", "bob", "bob", "bob", "eve", "mallory"] {
        let headers = vec![("x-org-id", "acme"), ("x-user-id", user)];
        worker.send(&Request { headers, ..get("/login") });
    }
    let all = series(&worker, "http_requests_detailed_total");
    assert_eq!(all.iter().map(|(_, value)| value).sum::<u64>(), 7);
    // The second place has to be asked for three times.
    assert_eq!(all.len(), 3, "two users and the rest: {all:?}");
    assert!(all.iter().all(|(name, _)| name.contains("org=.=acme;.;")), "{all:?}");
    let names = "ada|bob|eve|mallory";
    assert!(!names.split('|').any(|user| all.iter().any(|(name, _)| name.contains(user))));
    let kind = worker.filter.host().metric(MetricKind::Counter, "http_requests_detailed_total");
    assert!(kind.is_none(), "there is no series without labels");
}
