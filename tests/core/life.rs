//! The life of requests, on a host in memory: what is recorded, how much, and under which labels.

use crate::worker::{ROOT, Request, Worker, get};
use route_metrics::filter::Filter;
use route_metrics::host::recorder::Recorder;
use route_metrics::host::{LogLevel, MetricKind, Property};

const TEMPLATES: &str = r#"{"endpoint": {"templates": ["/users/{id}", "/orders/{id}/items"],
    "exclude": ["/healthz"], "inference": "off"}}"#;

#[test]
fn a_request_is_counted_once_under_its_labels() {
    let mut worker = Worker::new(TEMPLATES);
    worker.send(&get("/users/123?q=1"));
    worker.send(&get("/users/456"));
    worker.send(&Request { method: "POST", code: Some(201), ..get("/orders/9/items") });
    assert_eq!(
        worker.names("http_requests_total"),
        [
            "http_requests_total.method=.=GET;.;endpoint=.=/users/{id};.;status=.=200;.;",
            "http_requests_total.method=.=POST;.;endpoint=.=/orders/{id}/items;.;status=.=201;.;",
        ]
    );
    assert_eq!(worker.sum("http_requests_total"), 3);
    let duration = "http_request_duration_microseconds.method=.=GET;.;endpoint=.=/users/{id};.;";
    let duration = worker.filter.host().metric(MetricKind::Histogram, duration).unwrap();
    assert_eq!((duration.count, duration.value), (2, 10_000));
    assert_eq!(worker.sum("http_response_size_bytes"), 300);
    assert_eq!(worker.names("http_exceptions_total"), [""; 0]);
    worker.tick();
    assert_eq!(worker.counter("route_metrics_requests_total.decision=.=recorded;.;"), 3);
    assert_eq!(worker.filter.open_streams(), 0);
}

#[test]
fn an_announced_size_counts_where_there_is_such_a_body() {
    let announced = |length: &'static str| Request {
        answer: vec![("content-length", length)],
        ..get("/users/1")
    };
    // The host of these tests says that it has sent 100 bytes.
    for (request, expected) in [
        (announced("7"), 7),
        (announced("0"), 0),
        (get("/users/1"), 100),
        (Request { method: "HEAD", ..announced("7") }, 100),
        (Request { code: Some(304), ..announced("7") }, 100),
        (Request { code: Some(204), ..announced("7") }, 100),
        (Request { code: Some(101), ..announced("7") }, 100),
        // The client went away, or the upstream did, before the end of the body.
        (Request { flags: 1 << 14, ..announced("7") }, 100),
        (announced("7, 7"), 100),
        (announced("-7"), 100),
        (announced(""), 100),
        (announced("7777777777777777777777"), 100),
    ] {
        let mut worker = Worker::new(TEMPLATES);
        worker.send(&request);
        let (flags, sizes) = (request.flags, &request.answer);
        assert_eq!(worker.sum("http_response_size_bytes"), expected, "{sizes:?} {flags}");
    }
}

#[test]
fn what_is_excluded_is_only_counted_as_such() {
    let mut worker = Worker::new(TEMPLATES);
    worker.send(&get("/healthz"));
    assert_eq!(worker.sum("http_requests_total"), 0);
    worker.tick();
    assert_eq!(worker.counter("route_metrics_requests_total.decision=.=excluded;.;"), 1);
}

#[test]
fn a_stream_without_request_headers_is_counted_and_does_not_touch_the_gauge() {
    let mut worker = Worker::new("{}");
    let host = worker.filter.host();
    host.clear_request();
    host.set_number(Property::ResponseCode, 400);
    host.set_number(Property::ResponseFlags, 1 << 18);
    worker.filter.create(99, ROOT);
    worker.filter.end(99);
    worker.tick();
    assert_eq!(
        worker.names("http_requests_total"),
        ["http_requests_total.method=.=_OTHER;.;endpoint=.=_UNMATCHED;.;status=.=400;.;"]
    );
    assert_eq!(
        worker.names("http_exceptions_total"),
        ["http_exceptions_total.endpoint=.=_UNMATCHED;.;type=.=DownstreamProtocolError;.;"]
    );
    assert_eq!(worker.gauge("http_requests_active"), 0);
}

/// As Envoy does over HTTP/3.
#[test]
fn a_stream_that_the_host_only_forgets_is_counted_once() {
    let mut worker = Worker::new(TEMPLATES);
    let stream = worker.begin(&get("/users/1"));
    worker.filter.host().set_number(Property::ResponseCode, 200);
    worker.filter.forget(stream);
    worker.send(&get("/users/2"));
    worker.filter.forget(worker.next);
    worker.tick();
    assert_eq!(worker.sum("http_requests_total"), 2);
    assert_eq!(worker.gauge("http_requests_active"), 0);
    assert_eq!(worker.filter.open_streams(), 0);
}

#[test]
fn exceptions_have_the_first_of_four_reasons() {
    let header = vec![("x-exception-type", "ValueError")];
    for (request, expected) in [
        (
            Request { answer: header.clone(), code: Some(500), flags: 32, ..get("/users/1") },
            Some("ValueError"),
        ),
        (Request { answer: header, code: Some(200), ..get("/users/1") }, Some("ValueError")),
        (
            Request { flags: 32, code: Some(503), ..get("/users/1") },
            Some("UpstreamConnectionFailure"),
        ),
        (
            Request { flags: 16384, code: None, ..get("/users/1") },
            Some("DownstreamConnectionTermination"),
        ),
        (Request { code: Some(502), ..get("/users/1") }, Some("502")),
        (Request { code: Some(404), ..get("/users/1") }, None),
        (
            Request {
                method: "POST",
                headers: vec![("content-type", "application/grpc")],
                grpc_status: Some(14),
                ..get("/users/1")
            },
            Some("Unavailable"),
        ),
        // Envoy gives a gRPC status even for what is no gRPC call.
        (Request { grpc_status: Some(2), ..get("/users/1") }, None),
    ] {
        let mut worker = Worker::new(TEMPLATES);
        worker.send(&request);
        let names = worker.names("http_exceptions_total");
        let expected: Vec<String> = expected
            .map(|kind| {
                format!("http_exceptions_total.endpoint=.=/users/{{id}};.;type=.={kind};.;")
            })
            .into_iter()
            .collect();
        assert_eq!(names, expected);
    }
}

#[test]
fn the_gauge_follows_open_requests_and_returns_to_zero() {
    let mut worker = Worker::new("{}");
    let request = get("/x");
    let streams: Vec<u32> = (0..3).map(|_| worker.begin(&request)).collect();
    worker.tick();
    assert_eq!(worker.gauge("http_requests_active"), 3);
    for stream in streams {
        worker.end(stream, &request);
    }
    worker.tick();
    assert_eq!(worker.gauge("http_requests_active"), 0);
}

/// Nothing of an open stream is kept or done by time, on its worker or on another one.
#[test]
fn a_stream_that_is_open_for_a_day_stays_in_the_gauge_and_is_counted_once() {
    let other = Recorder::default();
    let own = other.worker();
    let mut other = Worker::on(other, "{}", 1);
    let mut own = Worker::on(own, "{}", 2);
    let request = get("/x");
    let stream = own.begin(&request);
    for second in 1..=86_400 {
        own.tick();
        other.tick();
        // Now and then there is other traffic.
        if second % 1000 == 0 {
            other.send(&request);
        }
        assert_eq!(own.gauge("http_requests_active"), 1, "after {second} s");
    }
    assert_eq!(own.sum("http_requests_total"), 86);
    own.end(stream, &request);
    own.tick();
    assert_eq!(own.gauge("http_requests_active"), 0);
    assert_eq!(own.sum("http_requests_total"), 87);
}

#[test]
fn a_vm_that_died_leaves_the_gauge_to_the_others() {
    let first = Recorder::default();
    let second = first.worker();
    let mut first = Worker::on(first, "{}", 1);
    let mut second = Worker::on(second, "{}", 2);
    first.begin(&get("/x"));
    let open = second.begin(&get("/y"));
    first.tick();
    second.tick();
    assert_eq!(second.gauge("http_requests_active"), 2);
    drop(first);
    (0..30).for_each(|_| second.tick());
    assert_eq!(second.gauge("http_requests_active"), 1);
    second.end(open, &get("/y"));
    second.tick();
    assert_eq!(second.gauge("http_requests_active"), 0);
}

#[test]
fn a_vm_that_was_only_slow_takes_its_share_back() {
    let slow = Recorder::default();
    let quick = slow.worker();
    let mut slow = Worker::on(slow, "{}", 1);
    let mut quick = Worker::on(quick, "{}", 2);
    let stream = slow.begin(&get("/x"));
    slow.tick();
    (0..30).for_each(|_| quick.tick());
    assert_eq!(quick.gauge("http_requests_active"), 0);
    slow.tick();
    assert_eq!(quick.gauge("http_requests_active"), 1);
    slow.end(stream, &get("/x"));
    slow.tick();
    assert_eq!(quick.gauge("http_requests_active"), 0);
}

#[test]
fn limits_hold_for_all_workers_and_nothing_is_dropped() {
    let config = r#"{"endpoint": {"templates": ["/users/{id}"], "route_name": true},
        "limits": {"max_values_per_label": 8, "max_series_per_metric": 12}}"#;
    let first = Recorder::default();
    let mut workers = [
        Worker::on(first.worker(), config, 1),
        Worker::on(first.worker(), config, 2),
        Worker::on(first, config, 3),
    ];
    let mut sent = 0;
    for round in 0..50 {
        for (index, worker) in workers.iter_mut().enumerate() {
            // Route names are endpoints of any number.
            let request = get("/x");
            let stream = worker.begin(&request);
            let name = format!("route{}", (round * 7 + index) % 40);
            worker.filter.host().set_property(Property::RouteName, name.as_bytes());
            worker.end(stream, &request);
            sent += 1;
        }
    }
    let worker = &mut workers[0];
    worker.send(&get("/users/1"));
    assert_eq!(worker.sum("http_requests_total"), sent + 1);
    assert_eq!(worker.count("http_request_duration_microseconds"), sent + 1);
    let names = worker.names("http_requests_total");
    // Eight values at most: _OTHER, _UNMATCHED, the template and five routes.
    assert!(names.len() <= 8, "{names:#?}");
    let template = "http_requests_total.method=.=GET;.;endpoint=.=/users/{id};.;status=.=200;.;";
    assert_eq!(worker.counter(template), 1);
    let folded =
        worker.counter("http_requests_total.method=.=GET;.;endpoint=.=_OTHER;.;status=.=200;.;");
    let overflow =
        "route_metrics_overflow_total.metric=.=http_requests_total;.;label=.=endpoint;.;";
    assert!(folded > 0);
    assert_eq!(worker.counter(overflow), folded);
    let series = "route_metrics_series.metric=.=http_requests_total;.;";
    assert_eq!(worker.gauge(series), names.len() as u64);
}

#[test]
fn series_of_a_metric_are_bounded_and_configured_ones_keep_their_places() {
    let config = r#"{"endpoint": {"templates": ["/users/{id}"], "route_name": true},
        "limits": {"max_values_per_label": 100, "max_series_per_metric": 10}}"#;
    let mut worker = Worker::new(config);
    for index in 0..60 {
        let request = get("/x");
        let stream = worker.begin(&request);
        let name = format!("route{index}");
        worker.filter.host().set_property(Property::RouteName, name.as_bytes());
        worker.end(stream, &request);
    }
    for code in 200..204 {
        worker.send(&Request { code: Some(code), ..get("/users/1") });
    }
    let names = worker.names("http_requests_total");
    assert!(names.len() <= 10, "{names:#?}");
    assert_eq!(worker.sum("http_requests_total"), 64);
    let configured = names.iter().filter(|name| name.contains("/users/{id}")).count();
    assert_eq!(configured, 4, "{names:#?}");
}

#[test]
fn a_sample_is_read_only_where_it_counts() {
    let mut worker = Worker::new(r#"{"sampling": {"rate": 0}}"#);
    worker.send(&get("/x"));
    assert_eq!(worker.filter.host().reads(), 0);
    // The host forgets the configuration, and there will be no other flush.
    worker.filter.forget(ROOT);
    assert_eq!(worker.counter("route_metrics_requests_total.decision=.=sampled_out;.;"), 1);
    assert_eq!(worker.sum("http_requests_total"), 0);
}

#[test]
fn decisions_add_up_and_always_rules_are_exact() {
    let config = r#"{"endpoint": {"templates": ["/users/{id}", "/checkout"], "exclude": ["/healthz"]},
        "sampling": {"rate": 0.1, "always": {"statuses": ["5xx"], "endpoints": ["/checkout"], "slower_than_ms": 1000}}}"#;
    let mut worker = Worker::new(config);
    let requests = [
        get("/users/1"),
        Request { code: Some(503), ..get("/users/1") },
        get("/checkout"),
        Request { duration_ms: 1500, code: Some(202), ..get("/users/1") },
        get("/healthz"),
    ];
    let rounds = 20_000u64;
    for _ in 0..rounds {
        requests.iter().for_each(|request| worker.send(request));
    }
    worker.tick();
    let counter = |endpoint: &str, status: &str| {
        worker.counter(&format!(
            "http_requests_total.method=.=GET;.;endpoint=.={endpoint};.;status=.={status};.;"
        ))
    };
    assert_eq!(counter("/users/{id}", "503"), rounds);
    assert_eq!(counter("/checkout", "200"), rounds);
    assert_eq!(counter("/users/{id}", "202"), rounds);
    let estimate = counter("/users/{id}", "200") as f64;
    let error = (estimate - rounds as f64) / (rounds as f64 * 9.0).sqrt();
    assert!(error.abs() < 4.0, "{estimate} is {error} standard errors away");
    let decision =
        |name: &str| worker.counter(&format!("route_metrics_requests_total.decision=.={name};.;"));
    assert_eq!(decision("recorded") + decision("sampled_out") + decision("excluded"), 5 * rounds);
    assert_eq!(decision("excluded"), rounds);
    // Histograms hold the uniform sample alone.
    let observed = worker.count("http_request_duration_microseconds") as f64;
    let expected = 4.0 * rounds as f64 * 0.1;
    assert!((observed - expected).abs() < 5.0 * expected.sqrt(), "{observed}, expected {expected}");
}

#[test]
fn a_bad_configuration_is_refused_before_anything_is_defined() {
    let mut filter = Filter::new(Recorder::default(), 1);
    let bad = br#"{"limits": {"max_values_per_label": 0}, "sampling": {"rate": 2}}"#;
    assert!(!filter.configure(ROOT, bad, |_| None));
    let log = filter.host().log_lines();
    assert_eq!(
        log,
        [
            (
                LogLevel::Error,
                "configuration: limits.max_values_per_label: 0 is out of range; use 1 to 1000000"
                    .to_owned()
            ),
            (
                LogLevel::Error,
                "configuration: sampling.rate: 2 is out of range; use 0 to 1".to_owned()
            ),
        ]
    );
    assert!(filter.host().family("route_metrics_build_info").is_empty());
}

#[test]
fn a_configuration_update_keeps_counters_going() {
    let mut worker = Worker::new(TEMPLATES);
    worker.send(&get("/users/1"));
    assert!(worker.filter.configure(2, TEMPLATES.as_bytes(), |_| None));
    worker.show(&get("/users/1"));
    worker.filter.create(500, 2);
    worker.filter.request_headers(500, false);
    worker.end(500, &get("/users/1"));
    assert_eq!(worker.names("http_requests_total").len(), 1);
    assert_eq!(worker.sum("http_requests_total"), 2);
    let series = "route_metrics_series.metric=.=http_requests_total;.;";
    assert_eq!(worker.gauge(series), 1);
}

#[test]
fn labels_come_from_where_the_configuration_says() {
    let config = r#"{"endpoint": {"templates": ["/t/{tenant}/x"], "inference": "off"},
      "metrics": {"requests_total": {"labels": ["tenant", "cache", "class", "plan", "who", "from_path", "kind"]}},
      "labels": {"tenant": {"from": "request_header", "name": "X-Tenant"},
        "class": {"from": "status_class"}, "kind": {"from": "constant", "value": "web"},
        "cache": {"from": "response_header", "name": "x-cache", "map": {"HIT": "hit", "MISS": "miss"}, "default": "nothing"},
        "plan": {"from": "query_param", "name": "plan", "allow": ["pro", "free"]},
        "who": {"from": "request_header", "name": "x-who", "hash": true},
        "from_path": {"from": "path_param", "name": "tenant"}}}"#;
    let mut worker = Worker::new(config);
    worker.send(&Request {
        headers: vec![("x-tenant", "a.b;.;x=.=_OTHER"), ("x-who", "alice")],
        answer: vec![("x-cache", "HIT")],
        ..get("/t/acme/x?plan=gold")
    });
    worker.send(&Request { answer: vec![("x-cache", "BYPASS")], ..get("/t/acme/x?plan=pro") });
    let names = worker.names("http_requests_total");
    let expected = [
        "tenant=.=a.b;%2E;x=%2E=_OTHER;.;cache=.=hit;.;class=.=2xx;.;plan=.=_OTHER;.;who=.=",
        "tenant=.=none;.;cache=.=nothing;.;class=.=2xx;.;plan=.=pro;.;who=.=none;.;from_path=.=acme;.;kind=.=web;.;",
    ];
    assert!(
        names[0].contains(expected[0]) && names[0].ends_with("from_path=.=acme;.;kind=.=web;.;"),
        "{names:#?}"
    );
    assert!(!names[0].contains("alice"), "{names:#?}");
    assert!(names[1].contains(expected[1]), "{names:#?}");
}
