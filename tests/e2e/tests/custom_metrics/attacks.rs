//! Events from where none may come, and events that are none: nothing is counted that should not
//! be, no client sees any, and no VM dies.

use route_metrics_e2e::{Answer, Binary, Envoy, Request, Setup, Upstream, http1, http2};

use crate::reporting::plugin;
use route_metrics_e2e::expect::{Numbers, expect_table, table};

/// The begin of a field, for messages.
fn shown(field: &[u8]) -> String {
    String::from_utf8_lossy(&field[..field.len().min(100)]).into_owned()
}

fn nothing_was_counted(envoy: &Envoy) {
    let scrape = envoy.scrape();
    for family in ["cache_total", "task_milliseconds_count", "queue_length"] {
        assert_eq!(scrape.sum(family), 0.0, "{family}");
    }
    assert_eq!(envoy.vm_reloads(), 0);
}

#[test]
fn the_header_of_a_request_is_not_an_event() {
    for binary in Binary::tested() {
        let upstream = Upstream::start();
        let envoy = Setup::new(upstream.address()).binary(&binary).filter(plugin()).start();
        for name in ["x-metric-events", "X-Metric-Events"] {
            let request = Request::get("/register").header(name, "cache_total;operation=get;hit");
            assert_eq!(http1::send(envoy.address(), &request).unwrap().status, 200);
        }
        let request = Request::get("/register").header("x-metric-events", "queue_length;value=7");
        assert_eq!(http2::send(envoy.address(), &request).unwrap().status, 200);
        nothing_was_counted(&envoy);
        assert_eq!(envoy.scrape().sum("route_metrics_events_total"), 0.0);
    }
}

#[test]
fn what_is_no_list_of_events_is_counted_as_such_and_never_shown() {
    let upstream = Upstream::start();
    let envoy = Setup::new(upstream.address()).concurrency(1).filter(plugin()).start();
    let members = |count: usize| vec!["q"; count].join(",");
    let padding = "a".repeat(17_000);
    let void: Vec<Vec<u8>> = [
        members(10_000).into_bytes(),
        members(1001).into_bytes(),
        format!("queue_length;x={padding}").into_bytes(),
        b"queue_length;value=1e400".to_vec(),
        b"queue_length;value=NaN;;".to_vec(),
        b"queue_length,".to_vec(),
        b"queue_length;value=99999999999999999999".to_vec(),
        b"cache_total;operation=\"unfinished".to_vec(),
        b"cache_total;operation=caf\xe9".to_vec(),
        b"\xff\xfe".to_vec(),
        b"((((((((((".to_vec(),
        b"{\"metric\": \"queue_length\"}".to_vec(),
    ]
    .into();
    let refused = [
        "queue_length;value=-1",
        "queue_length;value=\"7\"",
        "queue_length;x=1",
        "queue_length;value=NaN",
        "cache_total;value=-0.001",
    ];
    let unknown = ["http_requests_total", "route_metrics_events_total", "x", "QUEUE_LENGTH"];
    let send = |field: &[u8]| {
        let answer = Answer::new().header("x-metric-events", field);
        let response = http1::send(envoy.address(), &Request::get("/register").answer(&answer));
        let response = response.unwrap();
        assert_eq!(response.status, 200, "{}", shown(field));
        assert_eq!(response.header("x-metric-events"), None, "{}", shown(field));
    };
    void.iter().for_each(|field| send(field));
    refused.iter().chain(&unknown).for_each(|field| send(field.as_bytes()));
    nothing_was_counted(&envoy);
    let outcomes = [
        (["accepted"], 0),
        (["unknown_metric"], unknown.len() as u64),
        (["malformed"], void.len() as u64),
        (["invalid"], refused.len() as u64),
    ];
    expect_table(&envoy, "route_metrics_events_total", &["outcome"], &table(&outcomes));
    assert_eq!(envoy.scrape().sum("http_requests_total"), (void.len() + 9) as f64);
}

#[test]
fn label_values_with_separators_stay_label_values() {
    let upstream = Upstream::start();
    let envoy = Setup::new(upstream.address()).filter(plugin()).start();
    let hostile =
        ["a;.;hit=.=true;.;", "x\"y\\z", "{a=\"b\"} 1", "_OTHER", "a.b.", "=.=", "\u{e9}"];
    for (index, text) in hostile.iter().enumerate() {
        let body = serde_json::json!([{
            "metric": "cache_total", "labels": {"operation": text, "hit": index.to_string()},
        }]);
        let request = Request::new("POST", "/metric-events")
            .header("content-type", "application/json")
            .body(body.to_string());
        assert_eq!(http1::send(envoy.address(), &request).unwrap().status, 204);
    }
    let expected = [
        (["a;%2E;hit=%2E=true;%2E;", "0"], 1),
        (["x\"y\\z", "1"], 1),
        (["{a=\"b\"} 1", "2"], 1),
        (["%5FOTHER", "3"], 1),
        (["a.b%2E", "4"], 1),
        (["=%2E=", "5"], 1),
        (["%C3%A9", "6"], 1),
    ];
    expect_table(&envoy, "cache_total", &["operation", "hit"], &table(&expected));
}

/// The resident memory of a process, in bytes.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[test]
fn a_storm_of_events_keeps_memory_bounded_and_loses_none() {
    let upstream = Upstream::start();
    let envoy = Setup::new(upstream.address()).filter(plugin()).start();
    let mut numbers = Numbers(5);
    let mut storm = |requests: usize| {
        let requests: Vec<Request> = (0..requests)
            .map(|_| {
                let events: Vec<String> = (0..100)
                    .map(|_| {
                        format!(
                            "cache_total;operation=o{};hit=h{}",
                            numbers.below(1_000_000),
                            numbers.below(1_000_000)
                        )
                    })
                    .collect();
                Request::get("/register")
                    .answer(&Answer::new().header("x-metric-events", events.join(",")))
            })
            .collect();
        for response in http1::send_all(envoy.address(), 8, &requests) {
            assert_eq!(response.unwrap().status, 200);
        }
        requests.len() as f64 * 100.0
    };
    let mut sent = storm(300);
    let before = resident(envoy.process());
    sent += storm(1500);
    let grown = resident(envoy.process()).saturating_sub(before);
    assert!(grown < 20_000_000, "{grown} bytes more");
    let scrape = envoy.scrape();
    assert_eq!(scrape.sum("cache_total"), sent);
    assert!(scrape.series("cache_total").count() <= 2000);
    assert_eq!(envoy.vm_reloads(), 0);
}
