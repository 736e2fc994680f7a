//! What the filter records of requests: overview, traffic, endpoints and sizes.

use super::panel::{Panel, Query, Show};
use super::queries::{PROXIES, duration_unit, quantile, rate, rate_of_rare, selector, share};
use crate::command::stack::families::{Duration, Families, RequestFamily};

const ERRORS: &[(f64, &str)] = &[(0.001, "yellow"), (0.01, "red")];

/// Numbers of the last minutes.
pub fn overview(families: &Families) -> Vec<Panel> {
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

/// Over time: methods, statuses, errors, latency, open requests, exceptions.
pub fn traffic(families: &Families) -> Vec<Panel> {
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
                &format!(
                    "Quantiles of the time from a request's headers to the end of its response, \
                     interpolated within buckets{}.",
                    highest(duration)
                ),
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
        let all = rate_of_rare(&family.name, &selector(family, ""));
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

/// By endpoint.
pub fn endpoints(families: &Families) -> Vec<Panel> {
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
                     / (sum by ({label}) (instance_endpoint:{prefix}http_requests:rate5m{select}) > 0)"
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
                    format!(
                        "topk(10, histogram_quantile(0.95, sum by ({label}, le) ({buckets})) >= 0)"
                    ),
                    format!("{{{{{label}}}}}"),
                )],
            )
            .width(24)
            .alerts(&["RouteMetricsLatencyHigh"]),
        );
    }
    panels
}

/// Bodies.
pub fn sizes(families: &Families) -> Vec<Panel> {
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
            Query::new(quantile("0.99", family), "p99"),
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

/// Where quantiles end.
fn highest(duration: &Duration) -> String {
    let bound = duration.bounds.last().map(|&bound| bound as f64 / duration.per_second as f64);
    bound.map_or_else(String::new, |bound| {
        format!("; what is slower than the highest, {bound} s, is shown as that")
    })
}
