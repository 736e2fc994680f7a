//! What is compared: the filter in Envoy, its configuration, and the paths that are asked for.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use route_metrics::command::envoy_config::needed;
use route_metrics::config;
use serde_json::{Map, Value, json};

use crate::Options;

/// One Envoy of the comparison.
#[derive(Clone)]
pub struct Case {
    /// Its name in `BENCH_ONLY`.
    pub id: &'static str,
    /// Its name in the table.
    pub title: String,
    /// The HTTP filters before the router.
    pub filters: Vec<Value>,
    /// Envoy's access loggers.
    pub access_log: Vec<Value>,
    /// Headers of the responses, as an upstream would send them.
    pub response_headers: Vec<(&'static str, &'static str)>,
    /// The paths of the requests, one after the other, again and again.
    pub paths: Vec<String>,
    /// The case whose cost this one is to be compared with, if not the empty filter.
    pub against: Option<&'static str>,
    /// Whether an Envoy that cannot run it is no failure.
    pub optional: bool,
}

fn wasm(module: &Path, configuration: &Value) -> Value {
    let module = module.canonicalize().unwrap_or_else(|_| PathBuf::from(module));
    json!({
        "name": "envoy.filters.http.wasm",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {
                "name": "route_metrics",
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.StringValue",
                    "value": configuration.to_string(),
                },
                "vm_config": {
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"filename": module}},
                },
            },
        },
    })
}

/// The filter as a dynamic module.
fn dynamic(module: &Path, configuration: &Value) -> Value {
    let module = module.canonicalize().unwrap_or_else(|_| PathBuf::from(module));
    json!({
        "name": "route_metrics",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter",
            "dynamic_module_config": {
                "module": {"local": {"filename": module}},
                "do_not_close": true,
            },
            "filter_name": "route_metrics",
            "filter_config": {
                "@type": "type.googleapis.com/google.protobuf.StringValue",
                "value": configuration.to_string(),
            },
        },
    })
}

/// Envoy's own access logger for stats, with the metrics that the filter has by default.
fn native_logger() -> Value {
    let tag = |name: &str, format: &str| json!({"name": name, "value_format": format});
    let method = tag("method", "%REQ(:METHOD)%");
    let endpoint = tag("endpoint", "%REQ(:PATH)%");
    let status = tag("status", "%RESPONSE_CODE%");
    let two = json!([method, endpoint]);
    json!({
        "name": "envoy.access_loggers.stats",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.stats.v3.Config",
            "stat_prefix": "native",
            "counters": [{
                "stat": {"name": "http_requests_total", "tags": [method, endpoint, status]},
                "value_fixed": 1,
            }],
            "histograms": [
                {
                    "stat": {"name": "http_request_duration_microseconds", "tags": two},
                    "unit": "Microseconds",
                    "value_format": "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%",
                },
                {
                    "stat": {"name": "http_response_size_bytes", "tags": two},
                    "unit": "Bytes",
                    "value_format": "%BYTES_SENT%",
                },
            ],
        },
    })
}

/// Templates of a plausible API, and paths that each match one of them.
fn templates(count: usize) -> (Vec<String>, Vec<String>) {
    (0..count)
        .map(|index| {
            let (group, name) = (index % 10, index / 10);
            let base = format!("/api/v1/group{group}/resource{name}");
            (format!("{base}/{{id}}/items"), format!("{base}/{index}/items"))
        })
        .unzip()
}

/// Distinct paths of one endpoint, in an order in which neighbours have little in common.
fn distinct(count: usize) -> Vec<String> {
    (0..count)
        .map(|index| {
            let user = 100_000 + (index * 7919) % count;
            format!("/api/v1/users/{user}/orders/{}", 1_000 + (index * 104_729) % 9_000)
        })
        .collect()
}

/// All cases, in the order of the table.
pub fn all(options: &Options) -> Vec<Case> {
    let one = distinct(1);
    let case = |id, title: &str, filters: Vec<Value>| Case {
        id,
        title: title.to_owned(),
        filters,
        access_log: Vec::new(),
        response_headers: Vec::new(),
        paths: vec!["/users".to_owned()],
        against: None,
        optional: false,
    };
    let ours = |id, title: &str, configuration: Value| {
        case(id, title, vec![wasm(&options.module, &configuration)])
    };
    let fixed = |more: Value| {
        let mut configuration = json!({"endpoint": {"templates": ["/users"]}});
        if let (Some(all), Value::Object(more)) = (configuration.as_object_mut(), more) {
            all.extend(more);
        }
        configuration
    };
    let mut cases = vec![
        case("none", "no filter", Vec::new()),
        case("empty", "empty SDK filter", vec![wasm(&options.empty, &json!({}))]),
        Case {
            access_log: vec![native_logger()],
            optional: true,
            ..case("native", "Envoy's `envoy.access_loggers.stats`", Vec::new())
        },
        case(
            "straightforward",
            "straightforward SDK filter",
            vec![wasm(&options.straightforward, &json!({}))],
        ),
        case(
            "floor",
            "the host calls of the defaults alone",
            vec![wasm(&options.floor, &json!({}))],
        ),
        Case {
            against: Some("floor"),
            ..ours("full", "route-metrics, defaults", fixed(json!({})))
        },
        ours("p10", "route-metrics, rate 0.1", fixed(json!({"sampling": {"rate": 0.1}}))),
        ours("p1", "route-metrics, rate 0.01", fixed(json!({"sampling": {"rate": 0.01}}))),
    ];
    // A module that is switched off shows what Envoy's calls alone cost.
    for (id, title, configuration) in [
        ("dynamic", "route-metrics, dynamic module, defaults", json!({})),
        (
            "dynamic1",
            "route-metrics, dynamic module, rate 0.01",
            json!({"sampling": {"rate": 0.01}}),
        ),
        ("dynamic0", "route-metrics, dynamic module, `enabled: false`", json!({"enabled": false})),
    ] {
        let configuration = fixed(configuration);
        cases.push(Case {
            against: Some("native"),
            // Before Envoy 1.38 there are no such modules, and a build without zig has none.
            optional: true,
            ..case(id, title, vec![dynamic(&options.dynamic, &configuration)])
        });
    }
    // What `route-metrics envoy --needed-only` prints for these.
    for (id, title, rate) in [
        ("needed", "route-metrics, defaults, `--needed-only`", 1.0),
        ("needed10", "route-metrics, rate 0.1, `--needed-only`", 0.1),
        ("needed1", "route-metrics, rate 0.01, `--needed-only`", 0.01),
    ] {
        let configuration = fixed(json!({"sampling": {"rate": rate}}));
        let mut filter = wasm(&options.module, &configuration);
        let parsed = config::parse(configuration.to_string().as_bytes()).unwrap_or_default();
        let allowed: Map<String, Value> =
            needed(&parsed).into_iter().map(|name| (name.to_owned(), json!({}))).collect();
        let restriction = json!({"allowed_capabilities": allowed});
        // The place of it is another one since Envoy 1.40.
        let place = match options.version.restricts_vms() {
            true => "/typed_config/config/vm_config",
            false => "/typed_config/config",
        };
        if let Some(Value::Object(place)) = filter.pointer_mut(place) {
            place.insert("capability_restriction_config".to_owned(), restriction);
        }
        cases.push(case(id, title, vec![filter]));
    }
    for (id, title, count, against) in [
        ("infer1", "inference, 1 path", 1, None),
        ("infer50k", "inference, 50,000 paths", 50_000, Some("infer1")),
    ] {
        let paths = if count == 1 { one.clone() } else { distinct(count) };
        cases.push(Case { paths, against, ..ours(id, title, json!({})) });
    }
    // The same ten endpoints are asked for, so that only the number of templates differs.
    for (id, title, count, against) in [
        ("templates10", "10 templates", 10, None),
        ("templates1k", "1,000 templates", 1_000, Some("templates10")),
    ] {
        let (templates, paths) = templates(count);
        let paths = paths.into_iter().step_by(count / 10).collect();
        let configuration = json!({
            "endpoint": {"templates": templates},
            "limits": {"max_values_per_label": 2_000, "max_series_per_metric": 10_000},
        });
        cases.push(Case { paths, against, ..ours(id, title, configuration) });
    }
    // The requests counter alone has the label, for 10,000 histograms would be 60 MB of Envoy's.
    for (id, title, count, against) in [
        ("series10", "10 series", 10, None),
        ("series10k", "10,000 series", 10_000, Some("series10")),
    ] {
        let paths = (0..count).fold(Vec::new(), |mut paths, index| {
            let mut path = String::new();
            let _ = write!(path, "/users?shard={:05}", (index * 7919) % count);
            paths.push(path);
            paths
        });
        let configuration = fixed(json!({
            "labels": {"shard": {"from": "query_param", "name": "shard"}},
            "metrics": {"requests_total": {"labels": ["method", "endpoint", "status", "shard"]}},
            "limits": {"max_values_per_label": 20_000, "max_series_per_metric": 20_000},
        }));
        cases.push(Case { paths, against, ..ours(id, title, configuration) });
    }
    cases.extend(business(&fixed, &ours));
    if let Some(module) = &options.candidate {
        cases.push(case("candidate", "candidate, defaults", vec![wasm(module, &fixed(json!({})))]));
        let sampled = fixed(json!({"sampling": {"rate": 0.01}}));
        cases.push(case("candidate1", "candidate, rate 0.01", vec![wasm(module, &sampled)]));
    }
    cases
}

/// Custom metrics: rules that no request matches and that each one does, and reported events.
fn business(
    fixed: &impl Fn(Value) -> Value,
    ours: &impl Fn(&'static str, &str, Value) -> Case,
) -> Vec<Case> {
    let rules = |count: usize, endpoint: &str| -> Vec<Value> {
        let rule = |index| {
            json!({
                "name": format!("app_rule{index}_total"),
                "type": "counter",
                "match": {"methods": ["GET"], "endpoints": [endpoint], "statuses": ["2xx"],
                          "response_headers": {"x-cache": "*"}},
                "labels": {"status": {"from": "status_class"}},
            })
        };
        (0..count).map(rule).collect()
    };
    let with = |id, title: &str, rules: Vec<Value>, against| Case {
        against: Some(against),
        response_headers: vec![("x-cache", "HIT")],
        ..ours(id, title, fixed(json!({"custom_metrics": rules})))
    };
    let events = fixed(json!({
        "custom_metrics": [{
            "name": "app_cache_operations_total", "type": "counter", "source": "event",
            "labels": {"operation": {}, "hit": {}},
        }],
        "events": {"response_header": "x-metric-events"},
    }));
    vec![
        with("rules1", "1 rule, not matched", rules(1, "/orders"), "full"),
        with("rules50", "50 rules, not matched", rules(50, "/orders"), "full"),
        with("rules1m", "1 rule, matched", rules(1, "/users"), "full"),
        with("rules50m", "50 rules, all matched", rules(50, "/users"), "rules1m"),
        Case {
            against: Some("full"),
            ..ours("events", "events, none in the response", events.clone())
        },
        Case {
            against: Some("events"),
            response_headers: vec![(
                "x-metric-events",
                "app_cache_operations_total;operation=get;hit=?1",
            )],
            ..ours("event", "events, one in the response", events)
        },
    ]
}
