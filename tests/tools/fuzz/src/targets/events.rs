//! Events that applications report, in a response header and as a posted body.

use route_metrics::custom::{header, post};
use route_metrics::host::recorder::Recorder;
use route_metrics::host::{HeaderMap, Property};
use route_metrics::plan::Plan;
use serde_json::Value;

use crate::stats;
use crate::worker::{Worker, plan};

const CONFIGURATION: &str = r#"{
    "custom_metrics": [
        {"name": "app_operations_total", "type": "counter", "source": "event",
         "labels": {"operation": {}, "hit": {"allow": ["true", "false"]}}},
        {"name": "app_task_milliseconds", "type": "histogram", "source": "event",
         "labels": {"task": {}}, "scale": 1000},
        {"name": "app_queue", "type": "gauge", "source": "event", "labels": {}},
        {"name": "_odd", "type": "counter", "source": "event",
         "labels": {"org": {"hash": true}, "kind": {"map": {"a": "b"}, "default": "c"}}}
    ],
    "events": {"response_header": "x-metric-events", "path": "/_events"},
    "limits": {"max_values_per_label": 12, "max_series_per_metric": 20}
}"#;

const OUTCOMES: [&str; 4] = ["accepted", "unknown_metric", "malformed", "invalid"];

thread_local! {
    static PLAN: Plan = plan(CONFIGURATION);
}

/// How often reported metrics were changed.
fn reported(worker: &Worker, plan: &Plan) -> u64 {
    let families = stats::reported(plan);
    families.iter().map(|family| stats::changes(worker.host(), &family.name)).sum()
}

fn outcomes(worker: &Worker) -> [u64; 4] {
    OUTCOMES.map(|outcome| worker.events(outcome))
}

/// The value of a response header.
pub fn header(input: &[u8]) {
    PLAN.with(|plan| header_with(input, plan));
}

fn header_with(input: &[u8], plan: &Plan) {
    let mut worker = Worker::new(Recorder::default(), CONFIGURATION, 1);
    let stream = worker.create();
    worker.show(b"GET", b"/x", &[("x-metric-events", input)]);
    worker.filter.request_headers(stream, true);
    assert_eq!(outcomes(&worker), [0; 4], "a request reported something");
    worker.host().set_header(HeaderMap::Response, "x-metric-events", input);
    worker.filter.response_headers(stream);
    let there = worker.host().has_header(HeaderMap::Response, "x-metric-events");
    assert!(!there, "the client sees the header");
    let counted = outcomes(&worker);
    let changes = reported(&worker, plan);
    match header::parse(&plan.events, input) {
        Err(_) => {
            assert_eq!(counted.iter().sum::<u64>(), 1, "a header that is void counts once");
            assert_eq!((counted[0], changes), (0, 0), "a header that is void reported something");
        }
        Ok(events) => {
            let good = events.iter().filter(|event| event.is_ok()).count() as u64;
            assert_eq!(counted[0], good, "accepted");
            assert_eq!(counted.iter().sum::<u64>(), events.len() as u64, "each member counts once");
            assert!(changes <= good, "{changes} changes by {good} events");
        }
    }
    worker.host().set_number(Property::ResponseCode, 200);
    worker.filter.end(stream);
    assert_eq!(stats::sum(worker.host(), "http_requests_total"), 1);
    stats::check(worker.host(), plan);
}

/// The body of a post.
pub fn body(input: &[u8]) {
    PLAN.with(|plan| body_with(input, plan));
}

fn body_with(input: &[u8], plan: &Plan) {
    let mut worker = Worker::new(Recorder::default(), CONFIGURATION, 1);
    let stream = worker.create();
    worker.show(b"POST", b"/_events", &[("content-type", b"application/json")]);
    worker.filter.request_headers(stream, false);
    worker.filter.request_body(stream, input.len() / 2, false);
    worker.host().set_body(input);
    worker.filter.request_body(stream, input.len(), true);
    let responses = worker.host().responses();
    let [response] = responses.as_slice() else { panic!("{} answers", responses.len()) };
    let counted = outcomes(&worker);
    let changes = reported(&worker, plan);
    if response.status == 204 {
        let Ok(Value::Array(events)) = serde_json::from_slice(input) else {
            panic!("accepted what is no array")
        };
        assert_eq!(counted, [events.len() as u64, 0, 0, 0]);
        assert!(changes <= events.len() as u64, "{changes} changes");
        assert_eq!(response.body, "");
    } else {
        assert!(matches!(response.status, 400 | 413), "{response:?}");
        assert_eq!((counted[0], changes), (0, 0), "half applied");
        assert!(counted.iter().sum::<u64>() > 0, "not counted");
        let answer: Value = serde_json::from_str(&response.body).expect("the answer is JSON");
        let errors = answer["errors"].as_array().expect("the answer says why");
        assert!(!errors.is_empty() && errors.iter().all(|error| error["message"].is_string()));
        let most = 8 * 1024 + 2 * input.len().min(post::MAX_BYTES);
        assert!(response.body.len() <= most, "the answer has {} bytes", response.body.len());
    }
    worker.filter.end(stream);
    worker.tick();
    assert_eq!(worker.decisions("excluded"), 1);
    assert_eq!(stats::sum(worker.host(), "http_requests_total"), 0);
    stats::check(worker.host(), plan);
}
