//! What is said of configurations that are refused: every mistake by its JSON path, with what was
//! found and what is allowed.

use route_metrics::filter::Filter;
use route_metrics::host::LogLevel;
use route_metrics::host::recorder::Recorder;
use route_metrics::plan;
use route_metrics::plan::Capacity;

/// Each configuration, and all that is said of it.
const REFUSED: &[(&str, &[&str])] = &[
    ("[]", &["configuration: a list, expected an object"]),
    ("{", &["configuration: not JSON: EOF while parsing an object at line 1 column 1"]),
    ("{} x", &["configuration: not JSON: trailing characters at line 1 column 4"]),
    (r#"{"enabled": "yes"}"#, &[r#"enabled: invalid type: string "yes", expected a boolean"#]),
    (
        r#"{"metrix": {}}"#,
        &[
            "metrix: unknown field `metrix`, expected one of `enabled`, `namespace`, `metrics`, `labels`, `endpoint`, `sampling`, `limits`, `detailed`, `custom_metrics`, `events`",
        ],
    ),
    (
        r#"{"enabled": true, "enabled": false}"#,
        &["enabled: stands twice in the same object; keep one"],
    ),
    (
        r#"{"namespace": "my-shop"}"#,
        &[
            r#"namespace: "my-shop" is not a name; use letters, digits and underscores, and no digit first"#,
        ],
    ),
    (
        r#"{"namespace": "9lives"}"#,
        &[
            r#"namespace: "9lives" is not a name; use letters, digits and underscores, and no digit first"#,
        ],
    ),
    (
        r#"{"metrics": {"requests_total": {"labels": ["method", "tenant"]}}}"#,
        &[
            r#"metrics.requests_total.labels[1]: unknown label "tenant", expected one of `method`, `endpoint`, `status`, `status_class`, `route_name`, `cluster_name`, `virtual_host`, `authority`, `protocol`, `grpc_service`, `grpc_method`, `grpc_status`, `response_flags`; define it in `labels`"#,
        ],
    ),
    (
        r#"{"metrics": {"requests_total": {"labels": ["type"]}}}"#,
        &[
            r#"metrics.requests_total.labels[0]: unknown label "type", expected one of `method`, `endpoint`, `status`, `status_class`, `route_name`, `cluster_name`, `virtual_host`, `authority`, `protocol`, `grpc_service`, `grpc_method`, `grpc_status`, `response_flags`; `type` is a label of `exceptions_total` only"#,
        ],
    ),
    (
        r#"{"metrics": {"requests_total": {"labels": ["method", "method"]}}}"#,
        &["metrics.requests_total.labels[1]: `method` stands twice; keep one"],
    ),
    (
        r#"{"metrics": {"request_duration": {"unit": "seconds"}}}"#,
        &[
            "metrics.request_duration.unit: unknown variant `seconds`, expected `microseconds` or `milliseconds`",
        ],
    ),
    (
        r#"{"metrics": {"exceptions_total": {"header": "x exception"}}}"#,
        &[r#"metrics.exceptions_total.header: "x exception" is not a header name"#],
    ),
    (
        r#"{"limits": {"max_labels_per_metric": 2}}"#,
        &[
            "metrics.requests_total.labels: 3 labels, but `limits.max_labels_per_metric` is 2; drop some (at most 10 are possible)",
        ],
    ),
    (
        r#"{"limits": {"max_labels_per_metric": 11}}"#,
        &["limits.max_labels_per_metric: 11 is out of range; use 1 to 10"],
    ),
    (
        r#"{"limits": {"max_values_per_label": 0, "max_series_per_metric": 2000000, "max_label_value_length": 5}}"#,
        &[
            "limits.max_values_per_label: 0 is out of range; use 1 to 1000000",
            "limits.max_series_per_metric: 2000000 is out of range; use 1 to 1000000",
            "limits.max_label_value_length: 5 is out of range; use 16 to 1024",
        ],
    ),
    (
        r#"{"limits": {"max_values_per_label": -1}}"#,
        &["limits.max_values_per_label: invalid value: integer `-1`, expected u32"],
    ),
    (r#"{"labels": {"tenant": {"name": "x-tenant"}}}"#, &["labels.tenant: missing field `from`"]),
    (
        r#"{"labels": {"tenant": {"from": "request_header"}}}"#,
        &["labels.tenant.name: is missing; `request_header` needs the name of what to read"],
    ),
    (
        r#"{"labels": {"tenant": {"from": "cookie", "name": "t"}}}"#,
        &[
            "labels.tenant.from: unknown variant `cookie`, expected one of `method`, `endpoint`, `status`, `status_class`, `route_name`, `cluster_name`, `virtual_host`, `authority`, `protocol`, `grpc_service`, `grpc_method`, `grpc_status`, `response_flags`, `request_header`, `response_header`, `query_param`, `path_param`, `constant`",
        ],
    ),
    (
        r#"{"labels": {"region": {"from": "constant"}}}"#,
        &["labels.region.value: is missing; `constant` needs the value"],
    ),
    (
        r#"{"labels": {"region": {"from": "method", "name": "x", "value": "y"}}}"#,
        &[
            "labels.region.name: does not go with `method`; drop it",
            "labels.region.value: does not go with `method`; drop it",
        ],
    ),
    (
        r#"{"labels": {"le": {"from": "method"}}}"#,
        &["labels.le: `le` is reserved by Prometheus; use another name"],
    ),
    (
        r#"{"labels": {"my-label": {"from": "method"}}}"#,
        &[
            r#"labels.my-label: "my-label" is not a label name; use letters, digits and underscores, and no digit first"#,
            "labels.my-label: `label` is the end of `my-label`, so Envoy would take it out of that one, too; rename one of them",
        ],
    ),
    (
        r#"{"labels": {"substatus": {"from": "status_class"}}, "metrics": {"requests_total": {"labels": ["status", "substatus"]}}}"#,
        &[
            "labels.substatus: `status` is the end of `substatus`, so Envoy would take it out of that one, too; rename one of them",
        ],
    ),
    (
        r#"{"labels": {"tier": {"from": "path_param", "name": "tier"}}}"#,
        &[
            "labels.tier.name: no template of `endpoint.templates` has a placeholder {tier}; add one or mend the name",
        ],
    ),
    (
        r#"{"labels": {"user_name": {"from": "request_header", "name": "x-user", "hash": true, "allow": ["a"]}}}"#,
        &[
            "labels.user_name.hash: hashes what was found, so it does not go with `map`, `allow` or a constant; drop one",
        ],
    ),
    (
        r#"{"labels": {"cache": {"from": "response_header", "name": "x-cache", "map": {"HIT": ""}, "default": ""}}}"#,
        &[
            "labels.cache.map.HIT: is empty; Prometheus takes an empty label for none",
            "labels.cache.default: is empty; Prometheus takes an empty label for none",
        ],
    ),
    (
        r#"{"endpoint": {"templates": ["users/{id}", "/a/{x}{y}", "/files/{*rest}/x", "/b/{", "FETCH /x"]}}"#,
        &[
            r#"endpoint.templates[0]: "users/{id}": does not start with a slash; write /users/{id}"#,
            r#"endpoint.templates[1]: "/a/{x}{y}": has two parameters side by side in "{x}{y}", and nothing says where one ends; put text between them, or make them one"#,
            r#"endpoint.templates[2]: "/files/{*rest}/x": has {*rest} in "{*rest}"; the rest of a path can only be the whole of the last segment"#,
            r#"endpoint.templates[3]: "/b/{": has an unclosed brace in "{"; write {name}"#,
        ],
    ),
    (
        r#"{"endpoint": {"templates": ["/users/{id}", "/users/{name}"]}}"#,
        &[
            r#"endpoint.templates[1]: "/users/{name}": matches the same requests as endpoint.templates[0] "/users/{id}"; keep one of them"#,
        ],
    ),
    (
        r#"{"endpoint": {"exclude": ["/healthz"], "templates": ["/healthz"]}}"#,
        &[
            r#"endpoint.templates[0]: "/healthz": is never used, because endpoint.exclude[0] "/healthz" excludes its requests; remove one of them"#,
        ],
    ),
    (
        r#"{"endpoint": {"rules": [{"regex": "(", "endpoint": "/x"}, {"regex": "a", "endpoint": ""}]}}"#,
        &[
            r#"endpoint.rules[0].regex: "(": is not a regular expression that can be used: found open group without closing ')'"#,
            r#"endpoint.rules[1].endpoint: "": is empty; write the label, such as /legacy/{script}"#,
        ],
    ),
    (
        r#"{"endpoint": {"rules": [{"regex": "^/x"}]}}"#,
        &["endpoint.rules[0]: missing field `endpoint`"],
    ),
    (
        r#"{"endpoint": {"inference": "magic"}}"#,
        &[
            "endpoint.inference: unknown variant `magic`, expected one of `adaptive`, `heuristic`, `off`",
        ],
    ),
    (
        r#"{"endpoint": {"ignore_statuses": [404, 42]}}"#,
        &["endpoint.ignore_statuses[1]: 42 is not a status code; use 100 to 999"],
    ),
    (
        r#"{"endpoint": {"templates": ["/a", "/b", "/c"]}, "limits": {"max_values_per_label": 4}}"#,
        &[
            "limits.max_values_per_label: 4 is too few: the 3 endpoints of `endpoint.templates` and `endpoint.rules`, _OTHER and _UNMATCHED need 5; raise it to that or more",
        ],
    ),
    (
        r#"{"endpoint": {"templates": ["/a-long-template/with/{many}/segments"]}, "limits": {"max_label_value_length": 16}}"#,
        &[
            "limits.max_label_value_length: 16 is too short: the longest endpoint of the configuration has 37 characters; raise it to that or more",
        ],
    ),
    (
        r#"{"sampling": {"rate": 1.5, "always": {"statuses": ["5xx", "teapot"], "endpoints": [""]}}}"#,
        &[
            "sampling.rate: 1.5 is out of range; use 0 to 1",
            "sampling.always.endpoints[0]: is empty; write an endpoint as it stands in the label",
            r#"sampling.always.statuses[1]: "teapot" is not a status; write a code ("503") or a class ("5xx")"#,
        ],
    ),
    (
        r#"{"sampling": {"always": {"slower_than_ms": -5}}}"#,
        &["sampling.always.slower_than_ms: invalid value: integer `-5`, expected u64"],
    ),
    (
        r#"{"detailed": {"enabled": true, "org": {"from": "request_header", "name": ""}}}"#,
        &["detailed.org.name: is missing; `request_header` needs the name of what to read"],
    ),
    (
        r#"{"custom_metrics": [{"name": "app_rq_404", "type": "counter"}]}"#,
        &[
            "custom_metrics[0].name: `app_rq_404`: Envoy takes an ending like `_rq_404` or `_rq_4xx` out of the name as a response code",
        ],
    ),
    (
        r#"{"custom_metrics": [{"name": "x", "type": "summary"}]}"#,
        &[
            "custom_metrics[0].type: unknown variant `summary`, expected one of `counter`, `gauge`, `histogram`",
        ],
    ),
    (
        r#"{"custom_metrics": [{"name": "http_requests_total", "type": "counter", "match": {}}]}"#,
        &[
            "custom_metrics[0].name: `http_requests_total` is taken by the request metric `http_requests_total`, so use another name than `http_requests_total`",
        ],
    ),
    (
        r#"{"custom_metrics": [{"name": "a", "type": "counter", "source": "event"}]}"#,
        &[
            r#"custom_metrics[0].source: is "event", but there is no way to report; set `events.response_header` or `events.path`"#,
            r#"custom_metrics[0].labels: is missing; declare what the application may report, such as {"status": {}}, or {} for no labels"#,
        ],
    ),
    (
        r#"{"custom_metrics": [{"name": "a b", "type": "counter", "match": {"statuses": ["9xx"]}}]}"#,
        &[
            r#"custom_metrics[0].name: "a b" is not a metric name; use letters, digits and underscores, and no digit first"#,
            r#"custom_metrics[0].match.statuses[0]: "9xx" is not a status; write a code ("503") or a class ("5xx")"#,
        ],
    ),
    (
        r#"{"events": {"path": "events"}}"#,
        &[
            r#"events.path: "events" is not a path; write one without placeholders and percent-encoding, such as /metric-events"#,
            r#"events.path: has no use, because no metric is reported; declare one in `custom_metrics` with "source": "event", or drop this"#,
        ],
    ),
];

/// Configurations that are accepted, and every warning about them.
const WARNED: &[(&str, &[&str])] = &[
    ("{}", &[]),
    (
        r#"{"custom_metrics": [
            {"name": "app_task_seconds", "type": "histogram", "value": {"from": "duration_ms", "scale": 0.001}},
            {"name": "app_work_seconds_total", "type": "counter"},
            {"name": "app_last_success_timestamp_seconds", "type": "gauge"},
            {"name": "app_hit_ratio", "type": "gauge"},
            {"name": "app_task_milliseconds", "type": "histogram", "value": {"from": "duration_ms"}}
        ]}"#,
        &[
            "custom_metrics[0].name: `app_task_seconds` holds whole numbers only, as all of Envoy's metrics of filters do, so 0.4 is recorded as 0; name it `app_task_milliseconds` and give the `scale` that turns what is measured into that",
            "custom_metrics[1].name: `app_work_seconds_total` holds whole numbers only, as all of Envoy's metrics of filters do, so 0.4 is recorded as 0; name it `app_work_milliseconds_total` and give the `scale` that turns what is measured into that",
            "custom_metrics[3].name: `app_hit_ratio` holds whole numbers only, as all of Envoy's metrics of filters do, so 0.4 is recorded as 0; name it `app_hit_percent` and give the `scale` that turns what is measured into that",
        ],
    ),
    (
        r#"{
            "labels": {"job": {"from": "query_param", "name": "job"}, "tenant": {"from": "authority"}},
            "custom_metrics": [{"name": "orders_total", "type": "counter", "labels": {
                "pod": {"from": "method"}, "endpoint": {"from": "endpoint"}
            }}]
        }"#,
        &[
            "labels.job: `job` is also a label that Prometheus or its Operator gives to targets: ours becomes `exported_job`, or hides the target's where `honor_labels` is set; use another name",
            "custom_metrics[0].labels.pod: `pod` is also a label that Prometheus or its Operator gives to targets: ours becomes `exported_pod`, or hides the target's where `honor_labels` is set; use another name",
        ],
    ),
];

/// Values of environment variables, and what is said of them.
const VARIABLES: &[(&str, &str, &str)] = &[
    ("METRICS_ENABLED", "maybe", "METRICS_ENABLED: \"maybe\" is not a switch; write true or false"),
    (
        "METRICS_SAMPLE_RATE",
        "50%",
        "METRICS_SAMPLE_RATE: \"50%\" is not a share; write a number from 0 to 1",
    ),
];

fn mistakes(configuration: &str, variable: impl Fn(&str) -> Option<String>) -> Vec<String> {
    match plan::load(configuration.as_bytes(), variable, Capacity::Checked) {
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn every_mistake_is_named_where_it_is() {
    let mut wrong = Vec::new();
    for (configuration, expected) in REFUSED {
        let found = mistakes(configuration, |_| None);
        if found != *expected {
            wrong.push(format!("{configuration}\n  says     {found:#?}\n  expected {expected:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_most_likely_not_meant_is_a_warning() {
    for (configuration, expected) in WARNED {
        let plan = plan::load(configuration.as_bytes(), |_| None, Capacity::Checked).unwrap();
        let found: Vec<String> = plan.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(found, *expected, "{configuration}");
        let mut filter = Filter::new(Recorder::default(), 1);
        assert!(filter.configure(1, configuration.as_bytes(), |_| None));
        let logged: Vec<_> = expected
            .iter()
            .map(|warning| (LogLevel::Warn, format!("configuration: {warning}")))
            .collect();
        assert_eq!(filter.host().log_lines(), logged, "{configuration}");
    }
}

#[test]
fn variables_of_the_environment_are_checked_the_same_way() {
    for (name, value, expected) in VARIABLES {
        let found = mistakes("{}", |asked| (asked == *name).then(|| (*value).to_owned()));
        assert_eq!(found, [*expected]);
    }
}

#[test]
fn a_refused_configuration_names_every_mistake_of_it_at_once() {
    let many: Vec<&str> = REFUSED
        .iter()
        .map(|(configuration, _)| *configuration)
        .filter(|configuration| configuration.starts_with("{\"sampling\""))
        .collect();
    assert!(many.iter().any(|configuration| mistakes(configuration, |_| None).len() > 1));
    assert!(REFUSED.len() >= 40, "{}", REFUSED.len());
}
