//! The Grafana dashboard of a configuration.

use serde_json::{Value, json};

use super::alerts::dashboard_uid;
use super::families::{CustomFamily, Duration, Families, RequestFamily};
use super::panel::{Board, Panel, Query, Show, datasource};
use crate::config::MetricType;

/// The dashboard for a configuration's families. Panels about something that the configuration
/// does not record, or records without the label that they need, are left out.
pub fn dashboard(families: &Families) -> Value {
    let mut board = Board::default();
    board.row("Overview", overview(families));
    board.row("Traffic", traffic(families));
    board.row("Endpoints", endpoints(families));
    board.row("Sizes", sizes(families));
    board.row("Limits and cost", cost());
    board.row("Organisations and users", detailed(families));
    board.row("Business metrics", families.custom.iter().map(custom).collect());
    let namespace = families.prefix.trim_end_matches('_');
    let title = match namespace {
        "" => "Requests by endpoint".to_owned(),
        name => format!("Requests by endpoint: {name}"),
    };
    json!({
        "uid": dashboard_uid(families),
        "title": title,
        "description": "What route-metrics records in Envoy. Printed by `route-metrics dashboard`; \
                        change the plugin configuration, not this.",
        "tags": ["route-metrics", "envoy"],
        "schemaVersion": 39,
        "version": 1,
        "editable": true,
        "graphTooltip": 1,
        "timezone": "browser",
        "time": {"from": "now-1h", "to": "now"},
        "refresh": "30s",
        "annotations": {"list": [alert_annotation()]},
        "links": [alerts_link()],
        "templating": {"list": variables(families)},
        "panels": board.into_panels(),
    })
}

fn alert_annotation() -> Value {
    json!({
        "name": "Alerts",
        "datasource": datasource(),
        "enable": true,
        "hide": false,
        "iconColor": "red",
    "target": {
            "refId": "Alerts",
            "expr": r#"ALERTS{alertname=~"RouteMetrics.+", alertstate="firing"}"#,
        },
        "titleFormat": "{{alertname}}",
        "textFormat": "{{endpoint}} {{instance}}",
    })
}

fn alerts_link() -> Value {
    json!({
        "title": "Alerts",
        "type": "link",
        "icon": "bell",
        "tooltip": "The alerting rules of route-metrics",
        "tags": [],
        "url": "/alerting/list?search=RouteMetrics",
        "asDropdown": false,
        "targetBlank": true,
        "includeVars": false,
        "keepTime": false,
    })
}

/// The family and label from which the endpoints of the variable are listed.
fn endpoint_source(families: &Families) -> Option<(String, String)> {
    let counters = families.requests.iter().map(|family| (family, family.name.clone()));
    let duration = families.duration.iter().map(|duration| &duration.recorded);
    let histograms = duration.chain(&families.response_size);
    let counts = histograms.map(|family| (family, format!("{}_count", family.name)));
    let mut all = counters.chain(counts);
    all.find_map(|(family, series)| Some((series, family.endpoint.clone()?)))
}

fn variables(families: &Families) -> Vec<Value> {
    let source = json!({
        "name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus",
        "hide": 0, "includeAll": false, "multi": false, "refresh": 1, "regex": "", "options": [],
    });
    let query = |name: &str, label: &str, query: String| {
        json!({
            "name": name,
            "label": label,
            "type": "query",
            "datasource": datasource(),
            "query": {"query": query, "refId": name},
            "hide": 0,
            "includeAll": true,
            "allValue": ".*",
            "multi": true,
            "refresh": 2,
            "regex": "",
            "sort": 1,
            "options": [],
            "current": {"selected": true, "text": "All", "value": "$__all"},
        })
    };
    let mut list = vec![
        source,
        query("job", "Job", "label_values(route_metrics_build_info, job)".to_owned()),
        query(
            "instance",
            "Instance",
            r#"label_values(route_metrics_build_info{job=~"$job"}, instance)"#.to_owned(),
        ),
    ];
    if let Some((series, label)) = endpoint_source(families) {
        let values =
            format!(r#"label_values({series}{{job=~"$job", instance=~"$instance"}}, {label})"#);
        list.push(query("endpoint", "Endpoint", values));
    }
    list
}

/// What the variables select.
const PROXIES: &str = r#"job=~"$job", instance=~"$instance""#;

/// The matchers of the variables, as far as the family has the labels, and one more.
fn selector(family: &RequestFamily, more: &str) -> String {
    let mut text = PROXIES.to_owned();
    if let Some(label) = &family.endpoint {
        text.push_str(&format!(r#", {label}=~"$endpoint""#));
    }
    if !more.is_empty() {
        text.push_str(", ");
        text.push_str(more);
    }
    format!("{{{text}}}")
}

fn rate(name: &str, selector: &str) -> String {
    format!("rate({name}{selector}[$__rate_interval])")
}

/// The share of requests whose status matches.
fn share(family: &RequestFamily, status: &str, class: &str) -> String {
    let some = rate(&family.name, &selector(family, &format!(r#"{status}=~"{class}""#)));
    let all = rate(&family.name, &selector(family, ""));
    // No series of errors means no errors, as long as there is traffic.
    format!("(sum({some}) or vector(0)) / (sum({all}) > 0)")
}

fn quantile(quantile: &str, family: &RequestFamily) -> String {
    let buckets = rate(&format!("{}_bucket", family.name), &selector(family, ""));
    format!("histogram_quantile({quantile}, sum by (le) ({buckets}))")
}

/// Grafana's unit of the duration histogram.
fn duration_unit(duration: &Duration) -> &'static str {
    if duration.per_second == 1_000 { "ms" } else { "µs" }
}

const ERRORS: &[(f64, &str)] = &[(0.001, "yellow"), (0.01, "red")];

fn overview(families: &Families) -> Vec<Panel> {
    let mut panels = Vec::new();
    let recorded = |name: &str, family: &RequestFamily| {
        format!("instance_endpoint:{}{name}:rate5m{}", families.prefix, selector(family, ""))
    };
    if let Some(family) = &families.requests {
        let all = recorded("http_requests", family);
        panels.push(
            Panel::new(
                "Total request rate",
                "reqps",
                "Finished requests per second over five minutes, from the recording rules.",
                vec![Query::new(format!("sum({all})"), "requests")],
            )
            .show(Show::Number)
            .width(5),
        );
        if family.status.is_some() {
            let errors = recorded("http_requests_errors", family);
            panels.push(
                Panel::new(
                    "Server errors",
                    "percentunit",
                    "The share of requests answered with 5xx over five minutes, from the recording \
                     rules.",
                    vec![Query::new(
                        format!("(sum({errors}) or vector(0)) / (sum({all}) > 0)"),
                        "5xx",
                    )],
                )
                .show(Show::Number)
                .width(5)
                .thresholds(ERRORS)
                .alerts(&["RouteMetricsErrorBudgetBurn"]),
            );
        }
    }
    if let Some(duration) = &families.duration {
        panels.push(
            Panel::new(
                "Latency p95",
                duration_unit(duration),
                "Nineteen of twenty requests are faster, from headers to the end of the response.",
                vec![Query::new(quantile("0.95", &duration.recorded), "p95")],
            )
            .show(Show::Number)
            .width(5)
            .alerts(&["RouteMetricsLatencyHigh"]),
        );
    }
    if let Some(name) = &families.active {
        panels.push(
            Panel::new(
                "Active requests",
                "short",
                "Requests that are open now.",
                vec![Query::new(format!("sum({name}{{{PROXIES}}})"), "active")],
            )
            .show(Show::Number)
            .width(5),
        );
    }
    panels.push(
        Panel::new(
            "Firing alerts",
            "short",
            "Alerts of route-metrics that fire now.",
            vec![Query::new(
                r#"count(ALERTS{alertname=~"RouteMetrics.+", alertstate="firing"}) or vector(0)"#,
                "firing",
            )],
        )
        .show(Show::Number)
        .width(4)
        .thresholds(&[(1.0, "red")])
        .alerts(&["RouteMetrics"]),
    );
    panels
}

fn traffic(families: &Families) -> Vec<Panel> {
    let mut panels = Vec::new();
    if let Some(family) = &families.requests {
        let all = rate(&family.name, &selector(family, ""));
        if let Some(method) = &family.method {
            let query =
                Query::new(format!("sum by ({method}) ({all})"), format!("{{{{{method}}}}}"));
            let what = "Finished requests per second by method.";
            panels.push(
                Panel::new("Request rate by method", "reqps", what, vec![query])
                    .show(Show::Stacked),
            );
        }
        if let Some(status) = &family.status {
            let query =
                Query::new(format!("sum by ({status}) ({all})"), format!("{{{{{status}}}}}"));
            let what = "Finished requests per second by status; 0 is a client that went away before \
                        the answer.";
            panels.push(
                Panel::new("Request rate by status", "reqps", what, vec![query])
                    .show(Show::Stacked),
            );
            let queries = vec![
                Query::new(share(family, status, "4.."), "4xx"),
                Query::new(share(family, status, "5.."), "5xx"),
            ];
            panels.push(
                Panel::new(
                    "Error rate",
                    "percentunit",
                    "The share of requests answered with 4xx and with 5xx.",
                    queries,
                )
                .thresholds(ERRORS)
                .alerts(&["RouteMetricsErrorBudgetBurn"]),
            );
        }
    }
    if let Some(duration) = &families.duration {
        let queries = [("0.5", "p50"), ("0.95", "p95"), ("0.99", "p99")]
            .map(|(share, name)| Query::new(quantile(share, &duration.recorded), name));
        panels.push(
            Panel::new(
                "Latency",
                duration_unit(duration),
                "Quantiles of the time from a request's headers to the end of its response, \
                 interpolated within buckets.",
                queries.to_vec(),
            )
            .alerts(&["RouteMetricsLatencyHigh"]),
        );
    }
    if let Some(name) = &families.active {
        let query = Query::new(format!("sum by (instance) ({name}{{{PROXIES}}})"), "{{instance}}");
        let what = "Requests that are open, by proxy. It returns to 0 when traffic stops.";
        panels.push(Panel::new("Active requests", "short", what, vec![query]).show(Show::Stacked));
    }
    if let Some(family) = &families.exceptions {
        let all = rate(&family.name, &selector(family, ""));
        let (by, legend) = match &family.exception {
            Some(label) => (format!("sum by ({label}) ({all})"), format!("{{{{{label}}}}}")),
            None => (format!("sum({all})"), "exceptions".to_owned()),
        };
        panels.push(
            Panel::new(
                "Exceptions by type",
                "reqps",
                "Requests that failed per second: the application's own word, Envoy's reason, a gRPC \
                 status, or the code of a server error.",
                vec![Query::new(by, legend)],
            )
            .show(Show::Stacked)
            .alerts(&["RouteMetricsErrorBudgetBurn"]),
        );
    }
    panels
}

fn endpoints(families: &Families) -> Vec<Panel> {
    let mut panels = Vec::new();
    let prefix = &families.prefix;
    if let Some((family, label)) =
        families.requests.as_ref().and_then(|family| Some((family, family.endpoint.as_ref()?)))
    {
        let select = selector(family, "");
        let top = format!(
            "topk(10, sum by ({label}) (instance_endpoint:{prefix}http_requests:rate5m{select}))"
        );
        let mut queries = vec![Query::new(top, "Requests")];
        let mut units = vec!["reqps"];
        if family.status.is_some() {
            queries.push(Query::new(
                format!(
                    "sum by ({label}) (instance_endpoint:{prefix}http_requests_errors:rate5m{select}) \
                     / sum by ({label}) (instance_endpoint:{prefix}http_requests:rate5m{select})"
                ),
                "Server errors",
            ));
            units.push("percentunit");
        }
        let duration = families.duration.as_ref();
        if let Some(duration) = duration.filter(|d| d.recorded.endpoint.as_ref() == Some(label)) {
            let seconds = &duration.seconds;
            queries.push(Query::new(
                format!(
                    r#"max by ({label}) (endpoint:{seconds}:p95_rate5m{{job=~"$job", {label}=~"$endpoint"}})"#
                ),
                "p95 of the job",
            ));
            units.push("s");
        }
        panels.push(
            Panel::new(
                "Top 10 endpoints",
                "short",
                "The endpoints with most requests, over five minutes, from the recording rules. Rates \
                 are those of the chosen instances; the latency is that of the whole job, because \
                 quantiles cannot be added up.",
                queries,
            )
            .show(Show::Table)
            .columns(&units)
            .width(12)
            .alerts(&["RouteMetricsErrorBudgetBurn", "RouteMetricsLatencyHigh"]),
        );
        let all = rate(&family.name, &select);
        panels.push(
            Panel::new(
                "Request rate by endpoint",
                "reqps",
                "The ten endpoints with most requests at each time.",
                vec![Query::new(
                    format!("topk(10, sum by ({label}) ({all}))"),
                    format!("{{{{{label}}}}}"),
                )],
            )
            .width(12),
        );
    }
    let duration = families.duration.as_ref();
    if let Some((duration, label)) = duration.and_then(|d| Some((d, d.recorded.endpoint.as_ref()?)))
    {
        let buckets =
            rate(&format!("{}_bucket", duration.recorded.name), &selector(&duration.recorded, ""));
        panels.push(
            Panel::new(
                "Latency p95 by endpoint",
                duration_unit(duration),
                "The ten slowest endpoints at each time.",
                vec![Query::new(
                    format!("topk(10, histogram_quantile(0.95, sum by ({label}, le) ({buckets})))"),
                    format!("{{{{{label}}}}}"),
                )],
            )
            .width(24)
            .alerts(&["RouteMetricsLatencyHigh"]),
        );
    }
    panels
}

fn sizes(families: &Families) -> Vec<Panel> {
    let rows = [
        ("Response size", "Bytes of response bodies as sent to clients.", &families.response_size),
        ("Request size", "Bytes of request bodies.", &families.request_size),
    ];
    let mut panels = Vec::new();
    for (title, description, family) in rows {
        let Some(family) = family else { continue };
        let select = selector(family, "");
        let queries = vec![
            Query::new(quantile("0.5", family), "p50"),
            Query::new(quantile("0.95", family), "p95"),
            Query::new(
                format!(
                    "sum({}) / (sum({}) > 0)",
                    rate(&format!("{}_sum", family.name), &select),
                    rate(&format!("{}_count", family.name), &select)
                ),
                "mean",
            ),
        ];
        panels.push(Panel::new(title, "bytes", description, queries).width(12));
    }
    panels
}

/// What the filter costs and what its limits fold. Its own metrics have no endpoint.
fn cost() -> Vec<Panel> {
    let overflow = rate("route_metrics_overflow_total", &format!("{{{PROXIES}}}"));
    let decisions = rate("route_metrics_requests_total", &format!("{{{PROXIES}}}"));
    let errors = rate("route_metrics_errors_total", &format!("{{{PROXIES}}}"));
    vec![
        Panel::new(
            "Series against limit",
            "percentunit",
            "How full each metric is in the proxy that is nearest to its limit. At 100 % new series \
             are folded into `_OTHER`.",
            vec![Query::new(
                format!(
                    "max by (metric) (route_metrics_series{{{PROXIES}}} / \
                     (route_metrics_series_limit{{{PROXIES}}} > 0))"
                ),
                "{{metric}}",
            )],
        )
        .max(1.0)
        .thresholds(&[(0.8, "yellow"), (1.0, "red")])
        .alerts(&["RouteMetricsOverflow"]),
        Panel::new(
            "Series",
            "short",
            "Series of the filter over all chosen proxies: what Prometheus has to store. A histogram \
             counts once here and makes one series per bucket there.",
            vec![Query::new(
                format!("sum by (metric) (route_metrics_series{{{PROXIES}}})"),
                "{{metric}}",
            )],
        )
        .show(Show::Stacked),
        Panel::new(
            "Overflow",
            "cps",
            "What was counted under `_OTHER` because a limit is reached. Empty where no limit has \
             been reached.",
            vec![Query::new(format!("sum by (metric, label) ({overflow})"), "{{metric}} {{label}}")],
        )
        .alerts(&["RouteMetricsOverflow"]),
        Panel::new(
            "Requests by decision",
            "reqps",
            "Recorded, left out by sampling, or excluded; together they are all requests.",
            vec![Query::new(format!("sum by (decision) ({decisions})"), "{{decision}}")],
        )
        .show(Show::Stacked),
        Panel::new(
            "Sampling rate",
            "percentunit",
            "The share of requests in the sample, by proxy.",
            vec![Query::new(
                format!("min by (instance) (route_metrics_sample_rate_ppm{{{PROXIES}}}) / 1e6"),
                "{{instance}}",
            )],
        )
        .max(1.0),
        Panel::new(
            "VM reloads",
            "short",
            "Wasm VMs that died and were made anew, from Envoy's own counters. More than 0 is a fault.",
            vec![Query::new(
                format!("max by (instance) (instance:route_metrics_vm_reloads:sum{{{PROXIES}}})"),
                "{{instance}}",
            )],
        )
        .thresholds(&[(1.0, "red")])
        .alerts(&["RouteMetricsVmReload"]),
        Panel::new(
            "Errors of the filter",
            "cps",
            "What Envoy refused or the filter could not read, by reason. Empty where all is well.",
            vec![Query::new(format!("sum by (reason) ({errors})"), "{{reason}}")],
        )
        .alerts(&["RouteMetricsFilterErrors"]),
        Panel::new(
            "Versions",
            "short",
            "Proxies by version of the filter.",
            vec![Query::new(
                format!("count by (version) (route_metrics_build_info{{{PROXIES}}})"),
                "{{version}}",
            )],
        )
        .alerts(&["RouteMetricsAbsent"]),
        Panel::new(
            "Targets that are down",
            "short",
            "Proxies that Prometheus does not reach.",
            vec![Query::new(
                format!("sum(up{{{PROXIES}}} == bool 0)"),
                "down",
            )],
        )
        .thresholds(&[(1.0, "red")])
        .alerts(&["RouteMetricsTargetDown"]),
    ]
}

fn detailed(families: &Families) -> Vec<Panel> {
    let Some(family) = &families.detailed else { return Vec::new() };
    let all = rate(&family.name, &selector(family, ""));
    let panel = |title: &str, label: &str| {
        let queries = vec![Query::new(
            format!("topk(10, sum by ({label}) ({all}))"),
            format!("{{{{{label}}}}}"),
        )];
        Panel::new(title, "reqps", "The ten with most requests at each time.", queries).width(12)
    };
    vec![panel("Requests by organisation", "org"), panel("Requests by user", "user")]
}

/// A panel for a metric of the user's own.
fn custom(metric: &CustomFamily) -> Panel {
    let CustomFamily { name, kind, labels } = metric;
    let by = labels.join(", ");
    let legend = match labels.is_empty() {
        true => name.clone(),
        false => {
            labels.iter().map(|label| format!("{{{{{label}}}}}")).collect::<Vec<_>>().join(" ")
        }
    };
    let select = format!("{{{PROXIES}}}");
    match kind {
        MetricType::Counter => {
            let query = format!("sum by ({by}) ({})", rate(name, &select));
            Panel::new(name, "cps", "Counted per second.", vec![Query::new(query, legend)])
        }
        MetricType::Gauge => {
            let query = format!("sum by ({by}) ({name}{select})");
            Panel::new(name, unit(name), "The value last set.", vec![Query::new(query, legend)])
        }
        MetricType::Histogram => {
            let buckets = rate(&format!("{name}_bucket"), &select);
            let queries =
                [("0.5", "p50"), ("0.95", "p95"), ("0.99", "p99")].map(|(share, title)| {
                    Query::new(
                        format!("histogram_quantile({share}, sum by (le) ({buckets}))"),
                        title,
                    )
                });
            Panel::new(
                name,
                unit(name),
                "Quantiles, interpolated within buckets.",
                queries.to_vec(),
            )
        }
    }
}

/// Grafana's unit of a metric, by the end of its name.
fn unit(name: &str) -> &'static str {
    match name.rsplit('_').next() {
        Some("microseconds") => "µs",
        Some("milliseconds") => "ms",
        Some("seconds") => "s",
        Some("bytes") => "bytes",
        _ => "short",
    }
}
