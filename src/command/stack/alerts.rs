//! Alerts, each with a text that says what to do, a minimum of traffic, and a link.

use std::collections::BTreeMap;

use super::families::{Families, RequestFamily};
use super::recordings::rate_from_zero;
use super::rule_file::{PromRule, RuleOptions};
use crate::labels::UNMATCHED;

/// Below this many requests per second, averaged over the alert's long window, a few failures are
/// no trend, and nobody should be woken by them.
const MIN_RATE: &str = "0.1";

/// The share of requests that may be folded before somebody should look.
const MAX_FOLDED: &str = "0.01";

/// The share of a label's places from which on a new value has to be asked for a dozen times. Below
/// it, what is folded was asked for once or twice, as what a scanner makes up.
pub(super) const CROWDED_VALUES: f64 = 0.75;

/// The same for the series of a metric. Up to half of their places may be kept for configured
/// values, and cannot be told from free ones: the others are nearly gone from here on.
const CROWDED_SERIES: f64 = 0.4;

/// The highest share of places that is taken in any list of a proxy.
fn fullest(places: &str) -> String {
    format!("max by (job, instance) ({places} / ({places}_limit > 0))")
}

/// A pair of windows over which the error budget of 30 days burns: the long one says that it
/// matters, the short one that it still goes on (Google, "The Site Reliability Workbook",
/// chapter 5: 2 % in an hour, 5 % in six hours, 10 % in three days).
struct Burn {
    long: &'static str,
    short: &'static str,
    /// How many times faster than the objective allows.
    factor: f64,
    budget: &'static str,
    wait: &'static str,
    severity: &'static str,
}

const BURNS: [Burn; 3] = [
    Burn { long: "1h", short: "5m", factor: 14.4, budget: "2 %", wait: "2m", severity: "page" },
    Burn { long: "6h", short: "30m", factor: 6.0, budget: "5 %", wait: "15m", severity: "page" },
    Burn { long: "3d", short: "6h", factor: 1.0, budget: "10 %", wait: "1h", severity: "ticket" },
];

/// The identifier of the dashboard in Grafana.
pub(super) fn dashboard_uid(families: &Families) -> String {
    format!("{}route-metrics", families.prefix.replace('_', "-"))
}

/// Every alert that the configuration's families allow.
pub(super) fn all(families: &Families, options: &RuleOptions) -> Vec<PromRule> {
    let alerts = Alerts {
        families,
        options,
        dashboard: format!("{}/d/{}", options.grafana_url, dashboard_uid(families)),
    };
    let mut rules = alerts.burns();
    rules.extend(alerts.latency());
    rules.extend([
        alerts.overflow(),
        alerts.errors(),
        alerts.reloads(),
        alerts.down(),
        alerts.absent(),
    ]);
    rules
}

struct Alerts<'a> {
    families: &'a Families,
    options: &'a RuleOptions,
    dashboard: String,
}

/// The words of an alert.
struct Words<'a> {
    summary: String,
    description: String,
    runbook: &'a str,
}

/// A selector that leaves out what belongs to no endpoint: paths that a scanner made up say
/// nothing about a service.
fn matched(family: &RequestFamily) -> String {
    let label = family.endpoint.as_ref();
    label.map(|label| format!("{{{label}!=\"{UNMATCHED}\"}}")).unwrap_or_default()
}

impl Alerts<'_> {
    fn alert(
        &self,
        name: &str,
        severity: &str,
        wait: &str,
        expr: String,
        words: Words<'_>,
        variables: &str,
    ) -> PromRule {
        let Words { summary, description, runbook } = words;
        let mut labels = BTreeMap::from([("severity".to_owned(), severity.to_owned())]);
        if !self.families.prefix.is_empty() {
            let namespace = self.families.prefix.trim_end_matches('_').to_owned();
            labels.insert("metrics_namespace".to_owned(), namespace);
        }
        let dashboard = format!("{}{variables}", self.dashboard);
        PromRule {
            alert: Some(name.to_owned()),
            expr,
            wait: Some(wait.to_owned()),
            labels,
            annotations: [
                ("summary", summary),
                ("description", description),
                ("runbook", runbook.to_owned()),
                ("dashboard", dashboard),
            ]
            .into_iter()
            .map(|(key, text)| (key.to_owned(), text))
            .collect(),
            ..PromRule::default()
        }
    }

    /// What an alert on a family is about, and the dashboard's variables for it.
    fn subject(family: &RequestFamily) -> (String, String) {
        match &family.endpoint {
            Some(label) => (
                format!("{{{{ $labels.{label} }}}} ({{{{ $labels.job }}}})"),
                format!("?var-endpoint={{{{ $labels.{label} | urlquery }}}}"),
            ),
            None => ("{{ $labels.job }}".to_owned(), String::new()),
        }
    }

    fn burns(&self) -> Vec<PromRule> {
        let Some(family) = &self.families.requests else { return Vec::new() };
        if family.status.is_none() {
            return Vec::new();
        }
        let base = format!("{}http_requests", self.families.prefix);
        let only = matched(family);
        let (subject, variables) = Self::subject(family);
        let allowed = (100.0 - self.options.objective) / 100.0;
        let burn = |burn: &Burn| {
            let Burn { long, short, factor, budget, wait, severity } = burn;
            // Rounded, because the products of decimal fractions are not what people wrote.
            let bound = (factor * allowed * 1e9).round() / 1e9;
            let expr = format!(
                "endpoint:{base}_errors:ratio_rate{long}{only} > {bound}\n\
                 and endpoint:{base}_errors:ratio_rate{short} > {bound}\n\
                 and endpoint:{base}:rate{long} > {MIN_RATE}"
            );
            let words = Words {
                summary: format!(
                    "{subject} fails: {{{{ $value | humanizePercentage }}}} of requests"
                ),
                description: format!(
                    "{{{{ $value | humanizePercentage }}}} of the requests of the last {long} were \
                     answered with 5xx, and it goes on. At this pace {budget} of the error budget of 30 \
                     days (objective {}%) goes in {long}.",
                    self.options.objective
                ),
                runbook: "1. Open the dashboard: is it one status, one instance, one endpoint? \
                     2. Look at `exceptions by type`: UpstreamConnectionFailure and \
                     NoHealthyUpstream point to the network or to a service that is down, \
                     UpstreamRequestTimeout to one that is slow, other words come from the \
                     application. 3. Compare the beginning with the last rollout, and roll back \
                     where they fit. 4. Where only one instance fails, take it out of rotation.",
            };
            let mut rule =
                self.alert("RouteMetricsErrorBudgetBurn", severity, wait, expr, words, &variables);
            rule.labels.insert("long_window".to_owned(), (*long).to_owned());
            rule.labels.insert("short_window".to_owned(), (*short).to_owned());
            rule
        };
        BURNS.iter().map(burn).collect()
    }

    fn latency(&self) -> Option<PromRule> {
        let duration = self.families.duration.as_ref()?;
        let only = matched(&duration.recorded);
        let (subject, variables) = Self::subject(&duration.recorded);
        let seconds = &duration.seconds;
        // A quantile is never above the highest bound, so that stands for a latency beyond it.
        let highest =
            duration.bounds.last().map(|&bound| bound as f64 / duration.per_second as f64);
        let bound = highest.map_or(self.options.latency_seconds, |highest| {
            self.options.latency_seconds.min(highest)
        });
        let expr = format!(
            "endpoint:{seconds}:p95_rate5m{only} >= {bound}\n\
             and endpoint:{seconds}_count:rate5m > {MIN_RATE}"
        );
        let words = Words {
            summary: format!("{subject} is slow: p95 is {{{{ $value | humanizeDuration }}}}"),
            description: format!(
                "For ten minutes, one request in twenty has taken {{{{ $value | humanizeDuration }}}} or \
                 longer; the bound is {bound} s{}.",
                if highest == Some(bound) { ", the highest bucket" } else { "" }
            ),
            runbook: "1. Open the dashboard: do p50 and p95 rise together (everything is slow: \
                 load, database, garbage collection) or p95 alone (some requests: locks, a cold \
                 cache, one bad instance)? 2. Compare with the request rate and the active \
                 requests: a queue grows where both rise. 3. Where tracing is on, open a slow span \
                 of this endpoint. 4. Endpoints that are slow by design need a bound of their own: \
                 `route-metrics rules --latency SECONDS`.",
        };
        Some(self.alert("RouteMetricsLatencyHigh", "page", "10m", expr, words, &variables))
    }

    fn overflow(&self) -> PromRule {
        let expr = format!(
            "sum by (job, instance, metric, label) ({overflow})\n\
             / on (job, instance) group_left ()\n\
             (sum by (job, instance) (rate(route_metrics_requests_total[30m])) > {MIN_RATE})\n\
             > {MAX_FOLDED}\n\
             unless on (job, instance)\n\
             ({values} < {CROWDED_VALUES} and {series} < {CROWDED_SERIES})",
            overflow = rate_from_zero("route_metrics_overflow_total", "30m", "1800"),
            values = fullest("route_metrics_values"),
            series = fullest("route_metrics_series"),
        );
        let words = Words {
            summary: "{{ $labels.metric }}: {{ $value | humanizePercentage }} of requests are folded \
                      and places are short ({{ $labels.instance }})"
                .to_owned(),
            description:
                "{{ $value | humanizePercentage }} of the requests stand under `_OTHER` in the label \
                 `{{ $labels.label }}`: their values or series have no place, and in this proxy few are \
                 left. Sums are right, but a new value is told apart only after many requests, or not \
                 at all. A scan whose paths the application answers can do this, too. While places \
                 are plenty, what is folded alerts nobody."
                    .to_owned(),
            runbook: "1. Look at the row `Limits and cost` of the dashboard: which label or metric is \
                 near its limit, and do values wait? Values that wait were asked for more than once; \
                 where many are folded and few wait, it is a scan, or no place is left. 2. Look at the \
                 values of the label in `topk(20, count by (LABEL) (METRIC))`: are they endpoints, or \
                 identifiers that a template should replace? 3. Name what must be told apart, because \
                 what the configuration names always has its place: add templates (`route-metrics \
                 preview --templates` proposes some from an access log), or `map` or `allow` the \
                 label's values. Answer made-up paths with 404, or add what they get to \
                 `endpoint.ignore_statuses`. 4. Where the values are right, raise \
                 `limits.max_endpoints`, `limits.max_values_per_label` or \
                 `limits.max_series_per_metric`, and see what it costs with `route-metrics preview`. \
                 Limits change with the configuration; what has a place keeps it until the proxy \
                 restarts.",
        };
        self.alert("RouteMetricsOverflow", "ticket", "15m", expr, words, "")
    }

    fn errors(&self) -> PromRule {
        let expr = format!(
            "sum by (job, instance, reason) ({errors})\n\
             / on (job, instance) group_left ()\n\
             (sum by (job, instance) (rate(route_metrics_requests_total[15m])) > {MIN_RATE})\n\
             > {MAX_FOLDED}",
            errors = rate_from_zero("route_metrics_errors_total", "15m", "900"),
        );
        let words = Words {
            summary: "The filter of {{ $labels.instance }} loses records: {{ $labels.reason }}"
                .to_owned(),
            description: "{{ $value | humanizePercentage }} of the requests met an error of the \
                          filter's own (`{{ $labels.reason }}`). Traffic is not affected."
                .to_owned(),
            runbook: "1. Look for `route-metrics` in Envoy's log. 2. Compare the versions of Envoy \
                 and of the module with the support matrix. 3. Report it with both.",
        };
        self.alert("RouteMetricsFilterErrors", "ticket", "15m", expr, words, "")
    }

    fn reloads(&self) -> PromRule {
        let expr = "increase(instance:route_metrics_vm_reloads:sum[15m]) > 0\n\
                    and instance:route_metrics_requests:rate5m > 0"
            .to_owned();
        let words = Words {
            summary: "A Wasm VM of {{ $labels.instance }} died and was reloaded".to_owned(),
            description:
                "{{ $value }} reloads in 15 minutes. Each one is a filter that crashed under \
                          traffic: requests in flight on that worker were answered with 503, and \
                          its counts since the last flush are lost."
                    .to_owned(),
            runbook: "1. Look for `wasm` at level critical or error in Envoy's log: it holds the \
                 reason and which plugin it was (all Wasm plugins of the proxy are counted). \
                 2. Go back to the version before, or switch the filter off \
                 (OBSERVABILITY_ENABLED=false). 3. Report it with the log.",
        };
        self.alert("RouteMetricsVmReload", "page", "0m", expr, words, "")
    }

    fn down(&self) -> PromRule {
        let expr = "up == 0\n\
             and on (job, instance) \
             (max_over_time(instance:route_metrics_requests:rate5m[1d]) > 0)"
            .to_owned();
        let words = Words {
            summary: "{{ $labels.instance }} cannot be scraped".to_owned(),
            description: "Prometheus has not reached a proxy that had traffic within a day. Its \
                          requests are not seen, and no other alert can fire for them."
                .to_owned(),
            runbook: "1. Open Prometheus' page of targets: the error stands beside the target. \
                 2. `connection refused`: the proxy is down, or the metrics listener (9902) is \
                 not reachable. 3. `403`: the listener's credentials or allow-list refuse \
                 Prometheus. 4. `context deadline exceeded`: the scrape is too large for the \
                 timeout; see `route_metrics_series`.",
        };
        self.alert("RouteMetricsTargetDown", "page", "5m", expr, words, "")
    }

    fn absent(&self) -> PromRule {
        let expr = "absent(route_metrics_build_info)\n\
                    and on () (count(up) > 0)"
            .to_owned();
        let words = Words {
            summary: "No proxy reports route-metrics".to_owned(),
            description:
                "Prometheus scrapes, but nothing has `route_metrics_build_info`: the filter \
                          runs nowhere, or its proxies are not scraped."
                    .to_owned(),
            runbook: "1. Does Prometheus have the proxies as targets? 2. Does \
                 `/stats/prometheus` of a proxy show `route_metrics_build_info`? 3. If not, look \
                 for the plugin in Envoy's configuration and log: a configuration that is \
                 refused is named there with every mistake.",
        };
        self.alert("RouteMetricsAbsent", "ticket", "15m", expr, words, "")
    }
}
