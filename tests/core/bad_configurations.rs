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
    // Mistakes of structure hide no others, and what only follows from them is not told.
    (
        r#"{"metrix": {}, "namespace": "my-shop", "limits": {"max_labels_per_metric": 11},
            "endpoint": {"templates": ["/a/{x}{y}", 7, "/b"]}, "sampling": {"rate": 2}}"#,
        &[
            "metrix: unknown field `metrix`, expected one of `enabled`, `namespace`, `metrics`, `labels`, `endpoint`, `sampling`, `limits`, `detailed`, `custom_metrics`, `events`",
            "endpoint.templates[1]: invalid type: integer `7`, expected a string",
            "limits.max_labels_per_metric: 11 is out of range; use 1 to 10",
            r#"namespace: "my-shop" is not a name; use letters, digits and underscores, and no digit first"#,
            r#"endpoint.templates[0]: "/a/{x}{y}": has two parameters side by side in "{x}{y}", and nothing says where one ends; put text between them, or make them one"#,
            "sampling.rate: 2 is out of range; use 0 to 1",
        ],
    ),
    (
        r#"{"labels": {"tenant": {"from": "header"}, "le": {"from": "method"}},
            "metrics": {"requests_total": {"labels": ["tenant", "method", "method"]}},
            "custom_metrics": [{"name": "a_total", "type": "counter", "mach": {}, "value": {"from": "query_param"}},
                {"name": "b-total", "type": "counter"}, {"name": "c_total"}, {"name": "c_total", "type": "gauge"}]}"#,
        &[
            "labels.tenant.from: unknown variant `header`, expected one of `method`, `endpoint`, `status`, `status_class`, `route_name`, `cluster_name`, `virtual_host`, `authority`, `protocol`, `grpc_service`, `grpc_method`, `grpc_status`, `response_flags`, `request_header`, `response_header`, `query_param`, `path_param`, `constant`",
            "custom_metrics[0].mach: unknown field `mach`, expected one of `name`, `type`, `source`, `match`, `value`, `labels`, `scale`, `buckets`",
            "custom_metrics[2]: missing field `type`",
            "labels.le: `le` is reserved by Prometheus; use another name",
            "metrics.requests_total.labels[2]: `method` stands twice; keep one",
            r#"custom_metrics[1].name: "b-total" is not a metric name; use letters, digits and underscores, and no digit first"#,
            "custom_metrics[0].value.name: is missing; `query_param` needs the name of what to read",
        ],
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
        ],
    ),
    (
        r#"{"labels": {"substatus": {"from": "status_class"}}, "metrics": {"requests_total": {"labels": ["status", "substatus"]}}}"#,
        &[
            "labels.substatus: `substatus` ends in `status`, a label of `metrics.requests_total`, so Envoy would find `status` in `substatus`, too; give it another name, such as `subcode`",
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
        r#"{"endpoint": {"templates": ["users/{id}", "/a/{x}{y}", "/files/x{*rest}", "/b/{", "FETCH /x"]}}"#,
        &[
            r#"endpoint.templates[0]: "users/{id}": does not start with a slash; write /users/{id}"#,
            r#"endpoint.templates[1]: "/a/{x}{y}": has two parameters side by side in "{x}{y}", and nothing says where one ends; put text between them, or make them one"#,
            r#"endpoint.templates[2]: "/files/x{*rest}": has {*rest} in "x{*rest}"; what stands for several segments must have slashes, or the path's end, on both sides"#,
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
            "custom_metrics[0].name: `app_rq_404`: Envoy takes an ending like `_rq_404` or `_rq_4xx` out of the name as a response code; name it `app_requests_404`",
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
        r#"{"labels": {"tenant": {"from": "request_header", "name": "x", "map": {"a": "", "b": "0123456789abcdefg", "c": "0123456789abc\u00e9"},
                                  "allow": ["0123456789abcdef", "0123456789abcdef "], "default": "the default of all"},
                       "zone": {"from": "constant", "value": "europe-west-1-zone-b"}}, "limits": {"max_label_value_length": 16},
            "metrics": {"exceptions_total": {"enabled": false}}}"#,
        &[
            "labels.tenant.map.a: is empty; Prometheus takes an empty label for none",
            "labels.tenant.map.b: has 17 characters, but `limits.max_label_value_length` is 16, so it would be cut; shorten it or raise the limit",
            "labels.tenant.map.c: has 19 characters with its percent-encoding, but `limits.max_label_value_length` is 16, so it would be cut; shorten it or raise the limit",
            "labels.tenant.allow[1]: has 17 characters, but `limits.max_label_value_length` is 16, so it would be cut; shorten it or raise the limit",
            "labels.tenant.default: has 18 characters, but `limits.max_label_value_length` is 16, so it would be cut; shorten it or raise the limit",
            "labels.zone.value: has 20 characters, but `limits.max_label_value_length` is 16, so it would be cut; shorten it or raise the limit",
        ],
    ),
    (
        r#"{"endpoint": {"templates": ["/x/cache.json"]}, "limits": {"max_label_value_length": 16}}"#,
        &[],
    ),
    (
        r#"{"endpoint": {"templates": ["/xyzw/cache.json"]}, "limits": {"max_label_value_length": 16}}"#,
        &[
            "limits.max_label_value_length: 16 is too short: the longest endpoint of the configuration has 18 characters; raise it to that or more",
        ],
    ),
    (
        r#"{"detailed": {"org": {"from": "request_header", "name": "x-org", "allow": ["a", "b"]}, "limits": {"max_values_per_label": 3}}}"#,
        &[
            "detailed.org: its `map` and `allow` need 4 places with _OTHER and the default, but `detailed.limits.max_values_per_label` is 3; raise it or list fewer",
        ],
    ),
    (
        r#"{"labels": {"a": {"from": "request_header", "name": "x", "map": {"1": "\u00e9", "2": "%C3%A9"}, "default": "_OTHER"}},
            "limits": {"max_values_per_label": 2}}"#,
        &[],
    ),
    (
        r#"{"labels": {"l1": {"from": "request_header", "name": "Connection"}, "l2": {"from": "request_header", "name": "Expect"},
                       "l3": {"from": "request_header", "name": ":status"}, "l4": {"from": "request_header", "name": ":protocol"},
                       "l5": {"from": "request_header", "name": ":host"}, "l6": {"from": "response_header", "name": ":path"},
                       "l7": {"from": "response_header", "name": "Transfer-Encoding"}, "l8": {"from": "response_header", "name": "X-Events"}},
            "events": {"response_header": "x-events"},
            "custom_metrics": [{"name": "a", "type": "counter", "source": "event", "labels": {}},
                               {"name": "b", "type": "counter", "match": {"request_headers": {"Host": "a", ":authority": "b", "te": "trailers"}}}]}"#,
        &[
            "labels.l1.name: `connection` is of one connection, and Envoy takes it away before filters see it; `upgrade` says what a connection is to become",
            "labels.l2.name: `expect` is answered by Envoy, which takes it away before filters see it",
            "labels.l3.name: `:status` is of responses; use the source `status`",
            "labels.l4.name: `:protocol` is shown by Envoy as `upgrade`, as in HTTP/1; write that",
            "labels.l5.name: requests have no `:host`; their pseudo headers are :authority, :method, :path, :scheme",
            "labels.l6.name: responses have no `:path`; their only pseudo header is :status",
            "labels.l7.name: `transfer-encoding` is of one connection, and Envoy takes it away before filters see it",
            "labels.l8.name: carries events, and is taken away before anything else reads it; use another header",
            "custom_metrics[1].match.request_headers.Host: is the same header as another one here, and cannot have two values; write one, and a metric for each value",
        ],
    ),
    (
        r#"{"endpoint": {"templates": ["/users/{user}", "/caf%C3%A9", "POST /orders/{id}"], "exclude": ["/healthz"], "rules": [{"regex": "^/old/", "endpoint": "old.site"}]},
            "sampling": {"rate": 0.5, "always": {"endpoints": ["POST /checkout", "checkout", "/a?b=1", "/users/me", "/users/{id}", "/healthz", "/a/{b}", "/caf\u00e9",
                "_OTHER", "/old/x", "/ok/", "old.site", "_UNMATCHED", "*", "/caf%c3%a9", "/users/{user}/", "/api/cache.json", "/api/cache%2Ejson", "/orders/{id}"]}}}"#,
        &[
            r#"sampling.always.endpoints[0]: "POST /checkout": endpoints have no method; write "/checkout", and the method into `match.methods` where it matters"#,
            r#"sampling.always.endpoints[1]: "checkout" is no endpoint of `endpoint.rules`, and all others begin with a slash; write a path, such as /users/{id}"#,
            r#"sampling.always.endpoints[2]: "/a?b=1": holds '?'; query and fragment never count, so leave them out"#,
            r#"sampling.always.endpoints[3]: "/users/me": endpoint.templates[0] "/users/{user}" takes its requests; write that endpoint, or add a template"#,
            r#"sampling.always.endpoints[4]: "/users/{id}": endpoint.templates[0] "/users/{user}" takes its requests; write that endpoint, or add a template"#,
            r#"sampling.always.endpoints[5]: "/healthz": endpoint.exclude[0] "/healthz" takes its requests; write that endpoint, or add a template"#,
            r#"sampling.always.endpoints[6]: "/a/{b}" is not in `endpoint.templates`, and inferred endpoints have no placeholder but {id}, so no request can have {b}; add a template"#,
            r#"sampling.always.endpoints[7]: "/café": has 'é' in "café", which no path holds as it is; write %C3%A9"#,
            r#"sampling.always.endpoints[8]: _OTHER is what a limit makes of endpoints, and conditions see them before; name the endpoints"#,
            r#"sampling.always.endpoints[9]: "/old/x": endpoint.rules[0] "old.site" takes its requests; write that endpoint, or add a template"#,
        ],
    ),
    (
        r#"{"endpoint": {"inference": "off", "route_name": true}, "sampling": {"rate": 0.5, "always": {"endpoints": ["api route", "/x/"]}}}"#,
        &[],
    ),
    (
        r#"{"events": {"path": "events"}}"#,
        &[
            r#"events.path: "events" is not a path; write one without placeholders and percent-encoding, such as /metric-events"#,
            r#"events.path: has no use, because no metric is reported; declare one in `custom_metrics` with "source": "event", or drop this"#,
        ],
    ),
    (
        r#"{"metrics": {
            "request_duration": {"buckets": [0.005, 10, 10, 9, 0, -1, 1e16, "0.5"]},
            "response_size": {"buckets": []},
            "request_size": {"buckets": [1.5]}
        }}"#,
        &[
            "metrics.request_duration.buckets[0]: 0.005 is not a bound; use whole numbers of microseconds, 1 to 10^15",
            "metrics.request_duration.buckets[2]: 10 is not above 10; bounds ascend",
            "metrics.request_duration.buckets[3]: 9 is not above 10; bounds ascend",
            "metrics.request_duration.buckets[4]: 0 is not a bound; use whole numbers of microseconds, 1 to 10^15",
            "metrics.request_duration.buckets[5]: -1 is not a bound; use whole numbers of microseconds, 1 to 10^15",
            "metrics.request_duration.buckets[6]: 1e+16 is not a bound; use whole numbers of microseconds, 1 to 10^15",
            "metrics.request_duration.buckets[7]: 0.5 is not a bound; use whole numbers of microseconds, 1 to 10^15",
            "metrics.response_size.buckets: is empty; list the upper bounds, or drop it",
            "metrics.request_size.buckets[0]: 1.5 is not a bound; use whole numbers of bytes, 1 to 10^15",
        ],
    ),
    (
        r#"{"metrics": {"request_duration": {"buckets": 5}, "requests_total": {"buckets": [1]}}}"#,
        &[
            "metrics.requests_total.buckets: unknown field `buckets`, expected `enabled` or `labels`",
            "metrics.request_duration.buckets: invalid type: integer `5`, expected a list",
        ],
    ),
    (
        r#"{"custom_metrics": [
            {"name": "a_total", "type": "counter", "buckets": [1]},
            {"name": "a_milliseconds", "type": "histogram", "buckets": ["x"]}
        ]}"#,
        &[
            r#"custom_metrics[1].buckets[0]: invalid type: string "x", expected a number"#,
            "custom_metrics[0].buckets: goes with a histogram only; drop it",
        ],
    ),
    (
        r#"{"custom_metrics": [
            {"name": "a_total", "type": "counter", "buckets": [1]},
            {"name": "a_milliseconds", "type": "histogram", "buckets": [0.1]},
            {"name": "a_rows", "type": "histogram", "buckets": [2, 1]}
        ]}"#,
        &[
            "custom_metrics[0].buckets: goes with a histogram only; drop it",
            "custom_metrics[1].buckets[0]: 0.1 is not a bound; use whole numbers of milliseconds, 1 to 10^15",
            "custom_metrics[2].buckets[1]: 1 is not above 2; bounds ascend",
        ],
    ),
];

/// Labels that are the end of another one: the message has the definition that works.
#[test]
fn a_label_that_collides_is_told_with_the_definition_that_works() {
    for (configuration, expected) in [
        (
            r#"{"metrics": {"requests_total": {"labels": ["method", "status", "grpc_status"]}}}"#,
            "metrics.requests_total.labels[2]: `grpc_status` ends in `status`, a label of `metrics.requests_total`, so Envoy would find `status` in `grpc_status`, too; define it in `labels` under another name, as \"grpc_code\": {\"from\": \"grpc_status\"}, and write \"grpc_code\" here",
        ),
        (
            r#"{"labels": {"api_version": {"from": "request_header", "name": "x-api-version"}}}"#,
            "labels.api_version: `api_version` ends in `version`, a label of the filter's own metrics, so Envoy would find `version` in `api_version`, too; give it another name, such as `api_release`",
        ),
        (
            r#"{"labels": {"error_type": {"from": "response_header", "name": "x-error"}}}"#,
            "labels.error_type: `error_type` ends in `type`, a label of `metrics.exceptions_total`, so Envoy would find `type` in `error_type`, too; give it another name, such as `error_kind`",
        ),
        (
            r#"{"labels": {"t": {"from": "constant", "value": "x"}}}"#,
            "labels.t: `t` is the end of `endpoint`, a label of `metrics.exceptions_total`, so Envoy would find `t` in `endpoint`, too; give it another name, such as `t_name`",
        ),
    ] {
        let found = mistakes(configuration, |_| None);
        assert_eq!(found, [expected], "{configuration}");
        let better = expected.rsplit(" such as `").next().unwrap().trim_end_matches('`');
        let mended = match better.contains(' ') {
            true => configuration.replace("\"grpc_status\"", "\"grpc_code\"").replacen(
                '{',
                r#"{"labels": {"grpc_code": {"from": "grpc_status"}}, "#,
                1,
            ),
            false => ["api_version", "error_type", "t"]
                .iter()
                .fold(configuration.to_owned(), |text, name| {
                    text.replace(&format!("\"{name}\":"), &format!("\"{better}\":"))
                }),
        };
        assert_eq!(mistakes(&mended, |_| None), [""; 0], "{mended}");
    }
}

/// Where `status` is used nowhere, `grpc_status` goes as it is.
#[test]
fn a_label_collides_only_with_those_in_use() {
    let configuration =
        r#"{"metrics": {"requests_total": {"labels": ["method", "endpoint", "grpc_status"]}}}"#;
    assert_eq!(mistakes(configuration, |_| None), [""; 0]);
}

/// Configurations that are accepted, and every warning about them.
const WARNED: &[(&str, &[&str])] = &[
    ("{}", &[]),
    (
        r#"{"labels": {
            "kind": {"from": "status_class", "map": {"2XX": "ok", "0": "gone"}},
            "verb": {"from": "method", "allow": ["GET", "get"]},
            "rpc": {"from": "grpc_status", "map": {"UNAVAILABLE": "down", "Unavailable": "down"}}}}"#,
        &[
            r#"labels.kind.map.2XX: "2XX" is no value of `status_class`, so this is never used; its values are 1xx to 5xx, and 0"#,
            r#"labels.rpc.map.UNAVAILABLE: "UNAVAILABLE" is no value of `grpc_status`, so this is never used; its values are OK, Canceled, InvalidArgument, Unavailable and so on"#,
            r#"labels.verb.allow[1]: "get" is no value of `method`, so this is never used; its values are CONNECT, DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, QUERY, TRACE"#,
        ],
    ),
    (
        r#"{"labels": {"rpc": {"from": "response_header", "name": "Grpc-Status"},
                       "asked": {"from": "request_header", "name": "x-envoy-original-path"}}}"#,
        &[
            "labels.asked.name: `x-envoy-original-path` is set by Envoy's router, behind this filter, so what arrives here is at most what the client sent; `:path` is the path before rewrites",
            "labels.rpc.name: `grpc-status` stands in the trailers of most responses, which are not read; the source `grpc_status` knows the status in any case",
        ],
    ),
    (
        r#"{"limits": {"max_values_per_label": 4, "max_series_per_metric": 1}, "endpoint": {"templates": ["/a", "/b"]}}"#,
        &[
            "limits.max_values_per_label: the 2 endpoints of `endpoint.templates` and `endpoint.rules` leave 0 of 4 places to all others, which are _OTHER once these are taken; raise it, or set `endpoint.inference` to \"off\" where there are no others",
            "limits.max_series_per_metric: 1 is fewer than the 2 endpoints of `endpoint.templates` and `endpoint.rules`, so not each can have a series; raise it",
        ],
    ),
    (
        r#"{"limits": {"max_values_per_label": 4}, "endpoint": {"templates": ["/a", "/b"], "inference": "off"}}"#,
        &[],
    ),
    (
        r#"{"limits": {"max_label_value_length": 20}}"#,
        &[
            "limits.max_label_value_length: 20 is shorter than words of `type`, which become one value where they are cut alike (UpstreamConnectionFailure, UpstreamConnectionTermination); use 32 or more",
        ],
    ),
    (
        r#"{"sampling": {"rate": 0.1, "always": {"endpoints": ["/users/17", "/checkout/", "/a/{id}"]}}}"#,
        &[
            r#"sampling.always.endpoints[0]: "/users/17" is not in `endpoint.templates`, and such a path becomes "/users/{id}" unless traffic teaches otherwise; add it as a template"#,
        ],
    ),
    (
        r#"{"metrics": {"request_duration": {"buckets": [5, 10, 250, 1000]}}}"#,
        &[
            "metrics.request_duration.buckets: end at 1000 microseconds, before most requests do; are they milliseconds? Then multiply them by 1000, or set `unit`",
        ],
    ),
    (
        r#"{"metrics": {"request_duration": {"unit": "milliseconds", "buckets": [1000, 2500, 5000]}}}"#,
        &[
            "metrics.request_duration.buckets: begin at 1000 milliseconds, after most requests have ended; are they microseconds? Then divide them by 1000, or set `unit`",
        ],
    ),
    (
        r#"{"metrics": {"request_duration": {"unit": "milliseconds", "buckets": [5, 10, 250]}}}"#,
        &[],
    ),
    (r#"{"metrics": {"request_duration": {"buckets": [1]}}}"#, &[]),
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

#[test]
fn there_may_be_a_hundred_buckets_and_no_more() {
    let with = |count: u32| {
        let bounds: Vec<u32> = (1..=count).collect();
        mistakes(
            &format!(r#"{{"metrics": {{"response_size": {{"buckets": {bounds:?}}}}}}}"#),
            |_| None,
        )
    };
    assert!(with(100).is_empty());
    assert_eq!(
        with(101),
        [
            "metrics.response_size.buckets: 101 bounds are too many, for each is a line per series in every scrape; use at most 100"
        ]
    );
}
