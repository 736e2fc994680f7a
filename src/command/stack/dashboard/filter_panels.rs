//! The filter itself: its limits, decisions and errors.

use super::panel::{Panel, Query, Show};
use super::queries::{PROXIES, rate, rate_of_rare};
use crate::command::stack::alerts::CROWDED_VALUES;

/// How full the lists of the limits are, and what they fold. The filter's own metrics have no endpoint.
pub fn limits() -> Vec<Panel> {
    let overflow = rate_of_rare("route_metrics_overflow_total", &format!("{{{PROXIES}}}"));
    vec![
        Panel::new(
            "Label values against limit",
            "percentunit",
            "How many of a label's places are taken in the proxy that is nearest to its limit. The \
             fewer are left, the more often a new value must be asked for to get one; until then it \
             counts under `_OTHER`.",
            vec![Query::new(
                format!(
                    "max by (metric, label) (route_metrics_values{{{PROXIES}}} / \
                     (route_metrics_values_limit{{{PROXIES}}} > 0))"
                ),
                "{{metric}} {{label}}",
            )],
        )
        .width(12)
        .max(1.0)
        .thresholds(&[(CROWDED_VALUES, "yellow"), (1.0, "red")])
        .alerts(&["RouteMetricsOverflow"]),
        Panel::new(
            "Values that wait for a place",
            "short",
            "Values without a place that were asked for more than once lately, in the proxy that has \
             the most of them. Where many wait and few places are left, raise the limit or name them \
             in the configuration.",
            vec![Query::new(
                format!("max by (metric, label) (route_metrics_values_waiting{{{PROXIES}}})"),
                "{{metric}} {{label}}",
            )],
        )
        .width(12)
        .alerts(&["RouteMetricsOverflow"]),
        Panel::new(
            "Series against limit",
            "percentunit",
            "How full each metric is in the proxy that is nearest to its limit. The fewer places are \
             left, the more often a new series must be asked for; until then it is folded into \
             `_OTHER`.",
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
            "What was counted under `_OTHER`, because a value or series has not earned a place, or \
             none is left. Empty where all have theirs.",
            vec![Query::new(format!("sum by (metric, label) ({overflow})"), "{{metric}} {{label}}")],
        )
        .alerts(&["RouteMetricsOverflow"]),
    ]
}

/// What the filter decides and meets, and whether it is there.
pub fn health() -> Vec<Panel> {
    let decisions = rate("route_metrics_requests_total", &format!("{{{PROXIES}}}"));
    let errors = rate_of_rare("route_metrics_errors_total", &format!("{{{PROXIES}}}"));
    vec![
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
