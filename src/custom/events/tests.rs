use crate::test;
use proptest::prelude::*;

use super::*;
use crate::custom::{header, post};
use crate::labels::source::{Choice, LabelPlan, SourcePlan};

fn declared(name: &str, kind: MetricKind, labels: &[&str], scale: f64) -> EventMetric {
    let label = |name: &&str| LabelPlan {
        name: (*name).to_owned(),
        values: String::new(),
        source: SourcePlan::Reported,
        choice: Choice::default(),
        hash: false,
        max_values: 100,
    };
    let labels = labels.iter().map(label).collect();
    let metric = CustomPlan { name: name.to_owned(), kind, labels, max_series: 100 };
    EventMetric { metric, scale }
}

fn plan() -> EventsPlan {
    EventsPlan {
        response_header: Some("x-metric-events".to_owned()),
        path: Some("/metric-events".to_owned()),
        metrics: vec![
            declared("cache_total", MetricKind::Counter, &["hit", "operation"], 1.0),
            declared("task_ms", MetricKind::Histogram, &["task"], 1000.0),
            declared("_level", MetricKind::Gauge, &[], 1.0),
        ],
        recorded: true,
    }
}

/// `metric{labels}=amount` of an event, or how it was refused.
fn summary(event: Result<Event<'_>, Refusal>) -> String {
    match event {
        Ok(Event { metric, labels, amount }) => {
            let text = |label: &Option<Cow<'_, [u8]>>| match label {
                Some(text) => String::from_utf8_lossy(text).into_owned(),
                None => "-".to_owned(),
            };
            let labels: Vec<String> = labels.iter().map(text).collect();
            format!("{metric}{{{}}}={amount}", labels.join(","))
        }
        Err(refusal) => format!("{:?} {refusal}", refusal.outcome),
    }
}

fn header_events(field: &[u8]) -> Vec<String> {
    match header::parse(&plan(), field) {
        Ok(events) => events.into_iter().map(summary).collect(),
        Err(refusal) => vec![format!("void: {:?} {refusal}", refusal.outcome)],
    }
}

#[test]
fn each_member_of_a_header_stands_for_itself() {
    for (field, expected) in [
        ("cache_total;operation=get;hit=?1", &["0{true,get}=1"][..]),
        ("cache_total;operation=get;hit", &["0{true,get}=1"]),
        (
            "cache_total;hit=?0;value=3 , task_ms;task=a/b;value=1.25",
            &["0{false,-}=3", "1{a/b}=1250"],
        ),
        ("task_ms;task=\"x\\\"y;.;\"", &["1{x\"y;.;}=1000"]),
        ("task_ms;task=%\"caf%c3%a9\"", &["1{café}=1000"]),
        ("task_ms;task=:aGk=:;value=0", &["1{hi}=0"]),
        (
            "task_ms;task=7, task_ms;task=1.5, task_ms;task=@9",
            &["1{7}=1000", "1{1.5}=1000", "1{9}=1000"],
        ),
        ("\"_level\";value=5", &["2{}=5"]),
        ("task_ms;task=a;task=b;value=1;value=2", &["1{b}=2000"]),
        ("", &[]),
        (
            "nothing, cache_total",
            &[
                "UnknownMetric metric: \"nothing\" is not declared; declare it in `custom_metrics` with \"source\": \"event\"",
                "0{-,-}=1",
            ],
        ),
        (
            "cache_total;x=1",
            &["Invalid labels: \"x\" is not declared; `cache_total` has `hit`, `operation`"],
        ),
        ("\"_level\";x=1", &["Invalid labels: \"x\" is not declared; `_level` has none"]),
        ("cache_total;value=-1", &["Invalid value: is below zero"]),
        ("cache_total;value=\"1\"", &["Invalid value: is not a number"]),
        ("cache_total;value", &["Invalid value: is not a number"]),
        (
            "1;value=1, (cache_total)",
            &[
                "Malformed is no token; write the metric's name",
                "Malformed is a list; write the metric's name",
            ],
        ),
    ] {
        assert_eq!(header_events(field.as_bytes()), expected, "{field}");
    }
}

#[test]
fn a_header_with_a_syntax_error_is_void() {
    let many = vec!["a"; MAX_EVENTS + 1].join(",");
    let long = "a".repeat(header::MAX_BYTES + 1);
    for field in [
        "cache_total;value=1e400",
        "cache_total;value=NaN;",
        "cache_total,",
        "cache_total;operation=caf\u{e9}",
        "cache_total;Operation=get",
        "cache_total;;",
        "cache_total;hit=?2",
        "cache_total;operation=\"x",
        &many,
        &long,
    ] {
        let found = header_events(field.as_bytes());
        assert!(found.len() == 1 && found[0].starts_with("void: Malformed"), "{field}: {found:?}");
    }
    assert_eq!(
        header_events(vec!["cache_total"; MAX_EVENTS].join(",").as_bytes()).len(),
        MAX_EVENTS
    );
}

fn posted(body: &[u8]) -> Result<Vec<String>, (u16, String, Vec<Outcome>)> {
    match post::parse(&plan(), body) {
        Ok(events) => Ok(events.into_iter().map(|event| summary(Ok(event))).collect()),
        Err(answer) => Err((answer.status, answer.body, answer.outcomes)),
    }
}

#[test]
fn a_post_is_taken_as_a_whole() {
    for (body, expected) in [
        (r#"[]"#, &[][..]),
        (r#"[{"metric": "cache_total"}]"#, &["0{-,-}=1"]),
        (
            r#"[{"metric": "cache_total", "labels": {"hit": true, "operation": 1.5}, "value": 2},
               {"metric": "task_ms", "labels": {"task": "é;.;x=.=y"}, "value": 0.0005}]"#,
            &["0{true,1.5}=2", "1{é;.;x=.=y}=1"],
        ),
        (
            r#"[{"metric": "_level", "labels": {}, "value": 9223372036854775807}]"#,
            &["2{}=9223372036854775807"],
        ),
    ] {
        assert_eq!(posted(body.as_bytes()).unwrap(), expected, "{body}");
    }
}

#[test]
fn a_post_with_any_mistake_is_refused_and_says_which_event_and_why() {
    use Outcome::{Invalid, Malformed, UnknownMetric};
    let good = r#"{"metric": "cache_total"}"#;
    for (item, outcome, message) in [
        (r#"{"metric": "x"}"#, UnknownMetric, "metric: \\\"x\\\" is not declared"),
        (
            r#"{"metric": "cache_total", "labels": {"x": "1"}}"#,
            Invalid,
            "labels: \\\"x\\\" is not declared",
        ),
        (
            r#"{"metric": "cache_total", "labels": {"hit": null}}"#,
            Invalid,
            "labels.hit: is not a string",
        ),
        (
            r#"{"metric": "cache_total", "labels": {"hit": ["a"]}}"#,
            Invalid,
            "labels.hit: is not a string",
        ),
        (r#"{"metric": "cache_total", "labels": []}"#, Malformed, "labels: is not an object"),
        (r#"{"metric": "cache_total", "value": -1}"#, Invalid, "value: is below zero"),
        (r#"{"metric": "cache_total", "value": 9007199254740993}"#, Invalid, "value: is too large"),
        (r#"{"metric": "_level", "value": -0.5}"#, Invalid, "value: is below zero"),
        (r#"{"metric": "_level", "value": 9223372036854775808}"#, Invalid, "value: is too large"),
        (r#"{"metric": "task_ms", "value": 1e308}"#, Invalid, "value: is too large"),
        (r#"{"metric": "cache_total", "value": "1"}"#, Invalid, "value: is not a number"),
        (r#"{"metric": "cache_total", "value": null}"#, Invalid, "value: is not a number"),
        (r#"{"metric": "cache_total", "at": 1}"#, Malformed, "\\\"at\\\" is not a key"),
        (r#"{"metric": 1}"#, Malformed, "metric: is not a string"),
        (r#"{}"#, Malformed, "metric: is missing"),
        (r#"7"#, Malformed, "is not an object"),
    ] {
        let (status, body, outcomes) =
            posted(format!("[{good}, {item}, {good}]").as_bytes()).unwrap_err();
        assert_eq!((status, outcomes), (400, vec![outcome]), "{item}");
        let part = format!("{{\"errors\":[{{\"item\":1,\"message\":\"{message}");
        assert!(body.starts_with(&part), "{item}: {body}");
    }
}

#[test]
fn what_is_not_a_post_of_events_is_refused() {
    let many = format!("[{}]", vec!["{}"; MAX_EVENTS + 1].join(","));
    let deep = "[".repeat(60_000);
    for (body, status, part) in [
        ("", 400, "not JSON"),
        ("{\"metric\": \"cache_total\"}", 400, "not an array"),
        ("[{\"metric\": \"cache_total\", \"value\": 1e400}]", 400, "not JSON: number out of range"),
        ("[{\"metric\": \"cache_total\", \"value\": NaN}]", 400, "not JSON"),
        ("[] x", 400, "not JSON: trailing"),
        ("[\"\\ud800\"]", 400, "not JSON"),
        (&many, 400, "1001 events"),
        (&deep, 400, "not JSON: recursion limit"),
        (&" ".repeat(post::MAX_BYTES + 1), 413, "too large"),
    ] {
        let (found, body, outcomes) = posted(body.as_bytes()).unwrap_err();
        assert_eq!((found, outcomes), (status, vec![Outcome::Malformed]), "{body}");
        assert!(body.contains(part), "{body}");
    }
    assert_eq!(posted(b"[\"\xff\"]").unwrap_err().0, 400);
    let all_wrong = format!("[{}]", vec!["1"; 100].join(","));
    let (_, body, outcomes) = posted(all_wrong.as_bytes()).unwrap_err();
    assert!(outcomes.len() == 100 && body.contains("and 80 more events were refused"), "{body}");
}

#[test]
fn heads_are_refused_before_the_body_is_seen() {
    let json = Some(&b"application/json"[..]);
    for (method, content_type, content_encoding, content_length, expected) in [
        ("POST", json, None, Some(&b"10"[..]), None),
        ("POST", json, None, None, None),
        (
            "POST",
            Some(&b"Application/JSON ; charset=utf-8"[..]),
            Some(&b"identity"[..]),
            None,
            None,
        ),
        ("GET", None, None, None, Some(405)),
        ("PUT", json, None, None, Some(405)),
        ("POST", None, None, None, Some(415)),
        ("POST", Some(b"text/plain"), None, None, Some(415)),
        ("POST", Some(b"application/jsonp"), None, None, Some(415)),
        ("POST", Some(b"application/x-www-form-urlencoded"), None, None, Some(415)),
        ("POST", json, Some(b"gzip"), None, Some(415)),
        ("POST", json, None, Some(b"65536"), None),
        ("POST", json, None, Some(b"65537"), Some(413)),
        ("POST", json, None, Some(b"99999999999999999999999"), Some(413)),
        ("POST", json, None, Some(b"many"), None),
    ] {
        let head = post::Head {
            method: method.as_bytes(),
            content_type,
            content_encoding,
            content_length,
        };
        let answer = head.refuse();
        assert_eq!(answer.as_ref().map(|answer| answer.status), expected, "{head:?}");
        if expected == Some(405) {
            let answer = answer.unwrap();
            assert_eq!(answer.headers, [("allow", "POST")]);
            assert!(answer.outcomes.is_empty());
        }
    }
}

proptest! {
    #[test]
    fn any_header_is_parsed_or_refused(field: Vec<u8>) {
        let _ = header::parse(&plan(), &field);
    }

    #[test]
    fn anything_like_a_header_is_parsed_or_refused(
        field in "(cache_total|task_ms|x|;|=|,| |\\?1|\\(|\\)|\"|:|@|%|-|[0-9]|\\.|value|hit|task|\\*){0,60}",
    ) {
        if let Ok(events) = header::parse(&plan(), field.as_bytes()) {
            for event in events.into_iter().flatten() {
                prop_assert!(event.amount <= crate::custom::number::MAX_LEVEL);
            }
        }
    }

    /// What can be written in both forms means the same in both.
    #[test]
    fn header_and_post_agree(
        task in "[a-z][a-z0-9/_.:*-]{0,20}", value in 0u32..1_000_000, hit: bool,
    ) {
        let field = format!("task_ms;task={task};value={value}, cache_total;hit=?{}", u8::from(hit));
        let body = serde_json::json!([
            {"metric": "task_ms", "labels": {"task": task}, "value": value},
            {"metric": "cache_total", "labels": {"hit": hit}},
        ]);
        prop_assert_eq!(header_events(field.as_bytes()), posted(body.to_string().as_bytes()).unwrap());
    }
}
