//! Request paths, from the bytes that a client sends to the label in a scrape.

use route_metrics::endpoint::{CanonicalPath, Decided, MAX_SEGMENTS};
use route_metrics::host::recorder::Recorder;
use route_metrics::labels;
use route_metrics::plan::Plan;

use crate::stats;
use crate::worker::{Worker, plan};

/// Labels of all that a client chooses.
const CONFIGURATION: &str = r#"{
    "labels": {
        "tenant": {"from": "request_header", "name": "x-tenant"},
        "page": {"from": "query_param", "name": "page"},
        "rest": {"from": "path_param", "name": "rest"}
    },
    "metrics": {
        "requests_total": {"labels": ["method", "endpoint", "status", "tenant", "page", "rest"]},
        "exceptions_total": {"labels": ["endpoint", "type", "tenant"]}
    },
    "endpoint": {
        "templates": ["/users/{id}", "/v1/{name}:cancel", "/files/{*rest}", "POST /a-{rest}.json"],
        "rules": [{"regex": "^/legacy/.*\\.php$", "endpoint": "/legacy/{script}"}],
        "exclude": ["/healthz"]
    },
    "limits": {"max_label_value_length": 40}
}"#;

thread_local! {
    static PLAN: Plan = plan(CONFIGURATION);
}

/// A path, in every place where a client can put these bytes.
pub fn path(input: &[u8]) {
    canonical(input);
    encoded(input);
    PLAN.with(|plan| filtered(input, plan));
}

/// Everything that a client chooses comes out of the scrape as the filter meant it.
fn filtered(input: &[u8], plan: &Plan) {
    let mut worker = Worker::new(Recorder::default(), CONFIGURATION, 1);
    worker.request(b"GET", input, &[("x-tenant", input)], 200);
    the_label_is_what_was_decided(&worker, plan);
    // Its lines as paths of their own, so that one of them may teach something about another.
    let mut sent = 1;
    for (line, code) in
        input.split(|&byte| byte == b'\n').take(24).zip([200, 404, 503].iter().cycle())
    {
        let query = [b"/files/x?page=", line].concat();
        worker.request(b"POST", line, &[("x-tenant", line)], *code);
        worker.request(line, &query, &[], *code);
        sent += 2;
    }
    worker.tick();
    let counted = stats::sum(worker.host(), "http_requests_total");
    assert_eq!(counted + worker.decisions("excluded"), sent, "requests");
    stats::check(worker.host(), plan);
}

/// The canonical form of a canonical form is the same.
fn canonical(input: &[u8]) {
    let path = CanonicalPath::new(input);
    assert!(path.segments().len() <= MAX_SEGMENTS);
    let mut buffer = vec![0; input.len() + 1];
    let once = path.text(&mut buffer).to_vec();
    assert_eq!(once.len(), path.text_len(), "the length of the text");
    if path.truncated() {
        return;
    }
    let again = CanonicalPath::new(&once);
    let mut buffer = vec![0; once.len() + 1];
    assert_eq!(again.text(&mut buffer), once, "the canonical form of itself");
}

/// Any value is encoded within its bound, and what is encoded is not encoded again.
fn encoded(input: &[u8]) {
    for max in [0, 1, 3, 20, 120] {
        let mut once = String::new();
        labels::encode_foreign(input, max, &mut once);
        assert!(once.len() <= max, "{once:?} is longer than {max}");
        let mut twice = String::new();
        labels::encode_foreign(once.as_bytes(), max, &mut twice);
        assert_eq!(once, twice);
        let mut stat = String::new();
        let pairs = [("method", "GET"), ("endpoint", once.as_str()), ("status", once.as_str())];
        labels::stat_name("m", pairs.into_iter(), &mut stat);
        let (rest, read) =
            stats::taken_apart(&stat, ["status", "method", "endpoint", "tag"].into_iter());
        let expected = pairs.map(|(label, value)| (label, value.to_owned())).to_vec();
        assert_eq!((rest.as_str(), read), ("m", expected), "{stat:?}");
    }
}

/// The endpoint in the scrape is the one that the filter decided on.
fn the_label_is_what_was_decided(worker: &Worker, plan: &Plan) {
    let Some((decided, written)) = worker.filter.last_endpoint() else { return };
    let Some(text) = decided.text(plan, written) else { return };
    let mut expected = String::new();
    labels::encode(text, plan.max_value_length, &mut expected);
    let stats = worker.host().family("http_requests_total");
    let [(stat, recorded)] = stats.as_slice() else { panic!("{stats:?}") };
    assert_eq!(recorded.value, 1);
    let (_, read) = stats::taken_apart(stat, ["endpoint"].into_iter());
    assert_eq!(read, [("endpoint", expected)], "{stat:?}");
    if matches!(decided, Decided::Configured(_)) {
        let endpoint = String::from_utf8_lossy(text).into_owned();
        assert!(plan.endpoints.labels().contains(&endpoint));
    }
}
