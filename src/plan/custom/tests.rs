use crate::test;
use serde_json::{Value, json};

use crate::plan::Plan;
use crate::plan::{Capacity, load};

/// The plan of a configuration, or its mistakes.
fn loaded(config: &Value) -> Result<Plan, Vec<String>> {
    load(config.to_string().as_bytes(), |_| None, Capacity::Checked)
        .map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect())
}

/// A configuration with one custom metric, and what else `with` says.
fn one(metric: &Value, with: &Value) -> Value {
    let mut config = json!({"custom_metrics": [metric]});
    for (key, value) in with.as_object().unwrap() {
        config[key] = value.clone();
    }
    config
}

/// A counter of requests with these keys.
fn rule(keys: &Value) -> Value {
    let mut metric = json!({"name": "app_total", "type": "counter"});
    for (key, value) in keys.as_object().unwrap() {
        metric[key] = value.clone();
    }
    one(&metric, &json!({}))
}

/// A reported counter with these keys, by header.
fn event(keys: &Value) -> Value {
    let mut config = rule(keys);
    let metric = &mut config["custom_metrics"][0];
    metric["source"] = "event".into();
    if metric["labels"].is_null() && keys.get("labels").is_none() {
        metric["labels"] = json!({});
    }
    config["events"] = json!({"response_header": "x-metric-events"});
    config
}

fn named(name: &str) -> Value {
    rule(&json!({"name": name}))
}

#[test]
fn what_is_right_is_taken() {
    for config in [
        rule(&json!({})),
        rule(
            &json!({"match": {"methods": ["POST", "PURGE", "_OTHER"], "endpoints": ["/a", "_UNMATCHED", "*"],
             "statuses": ["200", "5xx", "0"], "request_headers": {"X-A": "*"}, "response_headers": {"x-b": "c"}}}),
        ),
        rule(&json!({"type": "histogram", "value": {"from": "duration_ms", "scale": 0.001}})),
        rule(&json!({"type": "gauge", "value": {"from": "constant", "value": 0}})),
        event(
            &json!({"scale": 1000, "labels": {"task": {}, "state": {"allow": ["a"], "default": "b"}}}),
        ),
        event(&json!({"labels": {}})),
        json!({"events": {"response_header": "", "path": ""}}),
    ] {
        assert!(loaded(&config).is_ok(), "{config}: {:?}", loaded(&config).err());
    }
}

#[test]
fn every_mistake_is_named_by_its_path_with_a_remedy() {
    let eleven: serde_json::Map<String, Value> =
        (0..11).map(|n| (format!("l{n:02}"), json!({"from": "method"}))).collect();
    let long = "x".repeat(1025);
    for (config, expected) in [
        // Names.
        (named("1x"), "custom_metrics[0].name: \"1x\" is not a metric name"),
        (named(""), "custom_metrics[0].name: \"\" is not a metric name"),
        (named("a-b"), "custom_metrics[0].name: \"a-b\" is not a metric name"),
        (
            named("http_requests_total"),
            "custom_metrics[0].name: `http_requests_total` is taken by the request metric",
        ),
        (
            named("http_request_duration_microseconds_count"),
            "custom_metrics[0].name: `http_request_duration_microseconds_count` is taken",
        ),
        (
            named("http_request_duration_seconds_bucket"),
            "custom_metrics[0].name: `http_request_duration_seconds_bucket` is taken",
        ),
        (named("http_requests_active"), "custom_metrics[0].name: `http_requests_active` is taken"),
        (
            named("http_requests_detailed_total"),
            "custom_metrics[0].name: `http_requests_detailed_total` is taken",
        ),
        (
            named("route_metrics_mine"),
            "custom_metrics[0].name: `route_metrics_mine` begins with `route_metrics_`",
        ),
        (named("envoy_x"), "custom_metrics[0].name: `envoy_x` begins with `envoy_`"),
        (named("app_rq_404"), "custom_metrics[0].name: `app_rq_404`: Envoy takes an ending"),
        (named("app_rq_5xx"), "as a response code; name it `app_requests_5xx`"),
        (named("app_cache"), "custom_metrics[0].name: `app_cache`: a name that ends in `cache`"),
        (
            json!({"namespace": "django", "custom_metrics": [{"name": "django_http_requests_total", "type": "counter"}]}),
            "custom_metrics[0].name: `django_http_requests_total` is taken by the request metric",
        ),
        (
            json!({"custom_metrics": [{"name": "a", "type": "counter"}, {"name": "a", "type": "gauge"}]}),
            "custom_metrics[1].name: `a` is taken by custom_metrics[0] `a`",
        ),
        (
            json!({"custom_metrics": [{"name": "a_sum", "type": "counter"}, {"name": "a", "type": "histogram"}]}),
            "custom_metrics[1].name: `a_sum` is taken by custom_metrics[0] `a_sum`, so use another name than `a`",
        ),
        // Sources and types.
        (
            rule(&json!({"source": "log"})),
            "custom_metrics[0].source: unknown variant `log`, expected `match` or `event`",
        ),
        (
            rule(&json!({"type": "summary"})),
            "custom_metrics[0].type: unknown variant `summary`, expected one of `counter`",
        ),
        (
            rule(&json!({"value": {"from": "cookie"}})),
            "custom_metrics[0].value.from: unknown variant `cookie`, expected one of `duration_ms`",
        ),
        (
            rule(&json!({"labels": {"x": {"from": "cookie"}}})),
            "custom_metrics[0].labels.x.from: unknown variant `cookie`",
        ),
        // Labels.
        (
            rule(&json!({"labels": eleven})),
            "custom_metrics[0].labels: 11 labels, but `limits.max_labels_per_metric` is 10",
        ),
        (
            rule(&json!({"labels": {"x": {}}})),
            "custom_metrics[0].labels.x.from: is missing; say where",
        ),
        (
            rule(&json!({"labels": {"1x": {"from": "method"}}})),
            "custom_metrics[0].labels.1x: \"1x\" is not a label name",
        ),
        (
            rule(&json!({"labels": {"le": {"from": "method"}}})),
            "custom_metrics[0].labels.le: `le` is reserved by Prometheus",
        ),
        (
            rule(&json!({"labels": {"my_status": {"from": "status"}}})),
            "custom_metrics[0].labels.my_status: `my_status` ends in `status`",
        ),
        (
            rule(&json!({"labels": {"tus": {"from": "status"}}})),
            "custom_metrics[0].labels.tus: `tus` is the end of `status`",
        ),
        (
            rule(&json!({"labels": {"a_hit": {"from": "status"}, "hit": {"from": "method"}}})),
            "custom_metrics[0].labels.a_hit: `a_hit` ends in `hit`",
        ),
        (
            rule(&json!({"labels": {"x": {"from": "request_header"}}})),
            "custom_metrics[0].labels.x.name: is missing",
        ),
        (
            rule(&json!({"labels": {"x": {"from": "path_param", "name": "id"}}})),
            "custom_metrics[0].labels.x.name: no template",
        ),
        (
            rule(&json!({"labels": {"x": {"from": "method", "hash": true, "allow": ["GET"]}}})),
            "custom_metrics[0].labels.x.hash: hashes what was found",
        ),
        (
            rule(&json!({"labels": {"x": {"from": "method", "default": ""}}})),
            "custom_metrics[0].labels.x.default: is empty",
        ),
        // Conditions.
        (
            rule(&json!({"match": {"methods": ["post"]}})),
            "custom_metrics[0].match.methods[0]: \"post\": methods are case-sensitive; write \"POST\"",
        ),
        (
            rule(&json!({"match": {"methods": ["A B"]}})),
            "custom_metrics[0].match.methods[0]: \"A B\" is not a method",
        ),
        (
            rule(&json!({"match": {"statuses": ["200", "6xx"]}})),
            "custom_metrics[0].match.statuses[1]: \"6xx\" is not a status",
        ),
        (
            rule(&json!({"match": {"statuses": ["20"]}})),
            "custom_metrics[0].match.statuses[0]: \"20\" is not a status",
        ),
        (
            rule(&json!({"match": {"endpoints": [""]}})),
            "custom_metrics[0].match.endpoints[0]: is empty",
        ),
        (
            rule(&json!({"match": {"endpoints": ["_OTHER"]}})),
            "custom_metrics[0].match.endpoints[0]: _OTHER is what a limit makes",
        ),
        (
            rule(&json!({"match": {"endpoints": ["POST /a"]}})),
            "custom_metrics[0].match.endpoints[0]: \"POST /a\": endpoints have no method; write \"/a\"",
        ),
        (
            json!({"endpoint": {"inference": "off"}, "custom_metrics": [{"name": "a", "type": "counter", "match": {"endpoints": ["/a"]}}]}),
            "custom_metrics[0].match.endpoints[0]: \"/a\" is not in `endpoint.templates`",
        ),
        (
            rule(&json!({"match": {"request_headers": {"*": "*"}}})),
            "custom_metrics[0].match.request_headers[\"*\"]: \"*\" is not a header",
        ),
        (
            rule(&json!({"match": {"request_headers": {"a b": "*"}}})),
            "custom_metrics[0].match.request_headers[\"a b\"]: \"a b\" is not a header name",
        ),
        (
            rule(&json!({"match": {"response_headers": {"x": ""}}})),
            "custom_metrics[0].match.response_headers.x: is empty; write the value",
        ),
        (
            rule(&json!({"match": {"response_headers": {"x": long}}})),
            "custom_metrics[0].match.response_headers.x: is too long",
        ),
        (
            rule(&json!({"match": {"paths": ["/a"]}})),
            "custom_metrics[0].match.paths: unknown field `paths`",
        ),
        // Values.
        (
            rule(&json!({"value": {"from": "duration_ms", "scale": 0}})),
            "custom_metrics[0].value.scale: 0 is out of range; use a number above 0",
        ),
        (
            rule(&json!({"value": {"from": "duration_ms", "scale": -1}})),
            "custom_metrics[0].value.scale: -1 is out of range",
        ),
        (rule(&json!({"scale": 0})), "custom_metrics[0].scale: 0 is out of range"),
        (
            rule(&json!({"scale": 2, "value": {"from": "duration_ms", "scale": 2}})),
            "custom_metrics[0].scale: stands in `value`, too",
        ),
        (
            rule(&json!({"value": {"from": "duration_ms", "name": "x"}})),
            "custom_metrics[0].value.name: does not go with this source",
        ),
        (
            rule(&json!({"value": {"from": "duration_ms", "value": 1}})),
            "custom_metrics[0].value.value: goes with `constant` only",
        ),
        (
            rule(&json!({"value": {"from": "constant"}})),
            "custom_metrics[0].value.value: is missing",
        ),
        (
            rule(&json!({"value": {"from": "constant", "value": -1}})),
            "custom_metrics[0].value.value: -1 is below zero",
        ),
        (
            rule(&json!({"value": {"from": "constant", "value": 0.1}})),
            "custom_metrics[0].value.value: 0.1 adds nothing",
        ),
        (
            rule(&json!({"value": {"from": "constant", "value": 1e300}})),
            "is too large; a counter adds",
        ),
        (
            rule(&json!({"value": {"from": "response_header"}})),
            "custom_metrics[0].value.name: is missing",
        ),
        (
            rule(&json!({"value": {"from": "path_param", "name": "id"}})),
            "custom_metrics[0].value.name: no template",
        ),
        // Events.
        (
            event(&json!({"labels": null})),
            "custom_metrics[0].labels: is missing; declare what the application may report",
        ),
        (
            event(&json!({"match": {}})),
            "custom_metrics[0].match: does not go with \"source\": \"event\"",
        ),
        (
            event(&json!({"value": {"from": "duration_ms"}})),
            "custom_metrics[0].value: does not go with \"source\": \"event\"",
        ),
        (event(&json!({"scale": -2})), "custom_metrics[0].scale: -2 is out of range"),
        (
            event(&json!({"labels": {"x": {"from": "method"}}})),
            "custom_metrics[0].labels.x.from: does not go with \"source\": \"event\"",
        ),
        (
            event(&json!({"labels": {"x": {"name": "method"}}})),
            "custom_metrics[0].labels.x.name: does not go with",
        ),
        (
            event(&json!({"labels": {"x": {"hash": true, "allow": ["a"]}}})),
            "custom_metrics[0].labels.x.hash: hashes what",
        ),
        (
            event(&json!({"labels": {"value": {}}})),
            "custom_metrics[0].labels.value: `value` is the value of an event",
        ),
        (
            event(&json!({"labels": {"Task": {}}})),
            "custom_metrics[0].labels.Task: \"Task\" cannot stand in a response header",
        ),
        (
            event(&json!({"labels": {"_task": {}}})),
            "custom_metrics[0].labels._task: \"_task\" cannot stand in a response header",
        ),
        (
            rule(&json!({"source": "event", "labels": {}})),
            "custom_metrics[0].source: is \"event\", but there is no way to report",
        ),
        (
            json!({"events": {"response_header": "x-metric-events"}}),
            "events.response_header: has no use, because no metric is reported",
        ),
        (
            json!({"events": {"path": "/x"}}),
            "events.path: has no use, because no metric is reported",
        ),
    ] {
        let mistakes = loaded(&config).err().unwrap_or_default();
        assert!(mistakes.len() == 1 && mistakes[0].contains(expected), "{expected}: {mistakes:#?}");
    }
}

#[test]
fn ways_to_report_are_checked() {
    let metric = json!({"name": "a", "type": "counter", "source": "event", "labels": {}});
    for (events, expected) in [
        (json!({"response_header": "a b"}), "events.response_header: \"a b\" is not a header name"),
        (
            json!({"response_header": ":status"}),
            "events.response_header: `:status` is needed by HTTP",
        ),
        (
            json!({"response_header": "Content-Type"}),
            "events.response_header: `content-type` is needed by HTTP",
        ),
        (
            json!({"response_header": "X-Exception-Type"}),
            "events.response_header: `x-exception-type` is also",
        ),
        (json!({"path": "events"}), "events.path: \"events\" is not a path"),
        (json!({"path": "/a?b"}), "events.path: \"/a?b\" is not in canonical form; write \"/a\""),
        (json!({"path": "/a/"}), "events.path: \"/a/\" is not in canonical form; write \"/a\""),
        (
            json!({"path": "/a/../b"}),
            "events.path: \"/a/../b\" is not in canonical form; write \"/b\"",
        ),
        (json!({"path": "/{id}"}), "events.path: \"/{id}\" is not a path"),
        (json!({"path": "/a%20b"}), "events.path: \"/a%20b\" is not a path"),
        (json!({"path": "/"}), "events.path: `/` is where a site begins"),
        (json!({"paths": "/a", "path": "/b"}), "events.paths: unknown field `paths`"),
    ] {
        let mistakes = loaded(&one(&metric, &json!({"events": events}))).err().unwrap_or_default();
        assert!(mistakes.len() == 1 && mistakes[0].contains(expected), "{expected}: {mistakes:#?}");
    }
    let mut config = one(&metric, &json!({"events": {"response_header": "x-events"}}));
    let matching =
        json!({"name": "b", "type": "counter", "match": {"response_headers": {"X-Events": "*"}}});
    config["custom_metrics"].as_array_mut().unwrap().push(matching);
    let mistakes = loaded(&config).err().unwrap();
    assert!(mistakes[0].contains("carries events, and is taken away before"), "{mistakes:?}");
}

#[test]
fn all_mistakes_are_told_at_once() {
    let config = json!({"custom_metrics": [
        {"name": "1", "type": "counter", "scale": 0, "labels": {"x": {}}},
        {"name": "b", "type": "counter", "source": "event"},
    ]});
    let mistakes = loaded(&config).err().unwrap();
    let paths: Vec<&str> =
        mistakes.iter().filter_map(|mistake| mistake.split(": ").next()).collect();
    let expected = [
        "custom_metrics[0].name",
        "custom_metrics[0].scale",
        "custom_metrics[0].labels.x.from",
        "custom_metrics[1].source",
        "custom_metrics[1].labels",
    ];
    assert_eq!(paths, expected);
}

#[test]
fn a_header_is_kept_for_the_methods_whose_rules_need_it() {
    let config = json!({
        "labels": {"tenant": {"from": "request_header", "name": "x-tenant"}},
        "metrics": {"requests_total": {"labels": ["tenant"]}},
        "custom_metrics": [
            {"name": "a", "type": "counter", "match": {"methods": ["POST"]},
             "labels": {"plan": {"from": "request_header", "name": "x-plan"}}},
            {"name": "b", "type": "counter", "match": {"methods": ["PUT"], "request_headers": {"x-plan": "*", "x-tenant": "*"}}},
            {"name": "c", "type": "counter", "match": {"methods": ["_OTHER", "PUT"], "request_headers": {"x-a": "*"}}},
        ],
    });
    let plan = loaded(&config).unwrap();
    let kept: Vec<(&str, Vec<&str>)> = plan
        .request_headers
        .iter()
        .map(|h| (h.name.as_str(), h.methods.iter().map(String::as_str).collect()))
        .collect();
    assert_eq!(kept, [("x-tenant", vec![]), ("x-plan", vec!["POST", "PUT"]), ("x-a", vec![])]);
}
