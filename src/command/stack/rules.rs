//! Prometheus rules: histograms in seconds, recordings per endpoint, and alerts.
//!
//! Recordings keep the names of the practice that Prometheus describes, `level:metric:operation`.
//! Those of the level `instance_endpoint` serve the dashboard, those of the level `endpoint` sum
//! over all proxies of a job and serve the alerts.

use std::collections::BTreeMap;

use serde::Serialize;

use super::alerts;
use super::families::{Duration, Families, Family};
use crate::command::envoy_config::buckets;

/// What a rule file can be told.
#[derive(Clone, Debug)]
pub struct Options {
    /// The share of requests that must not fail, in percent.
    pub objective: f64,
    /// The 95th percentile above which latency alerts, in seconds.
    pub latency_seconds: f64,
    /// Where Grafana is; alerts link to the dashboard there.
    pub grafana_url: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            objective: 99.9,
            latency_seconds: 1.0,
            grafana_url: "http://localhost:3001".to_owned(),
        }
    }
}

/// A rule file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleFile {
    /// Its groups.
    pub groups: Vec<Group>,
}

impl RuleFile {
    /// The file as Prometheus reads it.
    ///
    /// # Errors
    /// The writer's, which does not happen for strings.
    pub fn yaml(&self) -> Result<String, serde_saphyr::ser::Error> {
        serde_saphyr::to_string(self)
    }

    /// The same as a `PrometheusRule` of the Prometheus Operator.
    ///
    /// # Errors
    /// The writer's, which does not happen for strings.
    pub fn kubernetes(&self) -> Result<String, serde_saphyr::ser::Error> {
        #[derive(Serialize)]
        struct Resource<'a> {
            #[serde(rename = "apiVersion")]
            api_version: &'a str,
            kind: &'a str,
            metadata: BTreeMap<&'a str, &'a str>,
            spec: &'a RuleFile,
        }
        serde_saphyr::to_string(&Resource {
            api_version: "monitoring.coreos.com/v1",
            kind: "PrometheusRule",
            metadata: BTreeMap::from([("name", "route-metrics")]),
            spec: self,
        })
    }
}

/// Rules that are evaluated one after the other, at one time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    /// The name, unique in the file.
    pub name: String,
    /// The rules.
    pub rules: Vec<Rule>,
}

/// A recording or alerting rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Rule {
    /// The name of the series, for a recording.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// The name of the alert.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert: Option<String>,
    /// The query.
    pub expr: String,
    /// How long the query must have had results before the alert fires.
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub wait: Option<String>,
    /// Labels that are added, or put in the place of others.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Words for people.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Rule {
    fn recording(name: impl Into<String>, expr: impl Into<String>) -> Self {
        Self { record: Some(name.into()), expr: expr.into(), ..Self::default() }
    }
}

/// The rules for a configuration's families. A rule about something that the configuration does
/// not record, or records without the label that the rule needs, is left out.
pub fn rule_file(families: &Families, options: &Options) -> RuleFile {
    let prefix = &families.prefix;
    let groups = [
        ("seconds", families.duration.as_ref().map(seconds).unwrap_or_default()),
        ("endpoints", endpoints(families)),
        ("filter", filter()),
        ("alerts", alerts::all(families, options)),
    ];
    let groups = groups.into_iter().filter(|(_, rules)| !rules.is_empty());
    RuleFile {
        groups: groups
            .map(|(name, rules)| Group { name: format!("route_metrics_{prefix}{name}"), rules })
            .collect(),
    }
}

/// One rule per bucket, because a rule can set a label but not compute one.
fn seconds(duration: &Duration) -> Vec<Rule> {
    let Duration { recorded: Family { name, .. }, seconds, per_second } = duration;
    let bucket = |source: String, le: String| {
        let mut rule =
            Rule::recording(format!("{seconds}_bucket"), format!("{name}_bucket{{le{source}}}"));
        rule.labels.insert("le".to_owned(), le);
        rule
    };
    let mut rules: Vec<Rule> = buckets(name)
        .into_iter()
        .flat_map(|buckets| buckets.bounds)
        .map(|&bound| bucket(same_bound(bound), decimal(bound, *per_second)))
        .collect();
    rules.push(bucket("=\"+Inf\"".to_owned(), "+Inf".to_owned()));
    rules.push(Rule::recording(format!("{seconds}_sum"), format!("{name}_sum / {per_second}")));
    rules.push(Rule::recording(format!("{seconds}_count"), format!("{name}_count")));
    rules
}

/// A matcher for the label `le` of a bucket: Prometheus 2 keeps it as Envoy writes it (`1000000`),
/// Prometheus 3 writes it as a float (`1e+06`, `5000.0`; Go's `FormatFloat` with format `g`).
pub(super) fn same_bound(bound: u64) -> String {
    if bound < 1_000_000 {
        return format!(r#"=~"{bound}(\\.0)?""#);
    }
    let digits = bound.to_string();
    let (first, rest) = digits.split_at(1);
    let rest = rest.trim_end_matches('0');
    let point = if rest.is_empty() { "" } else { r"\\." };
    format!(r#"=~"{bound}|{first}{point}{rest}e\\+{:02}""#, digits.len() - 1)
}

/// `bound / per_second` without rounding; `per_second` is a power of ten.
fn decimal(bound: u64, per_second: u64) -> String {
    let (whole, part) = (bound / per_second, bound % per_second);
    if part == 0 {
        return whole.to_string();
    }
    let width = per_second.ilog10() as usize;
    let part = format!("{part:0width$}");
    format!("{whole}.{}", part.trim_end_matches('0'))
}

/// The label of the endpoint in aggregations, with a comma in front, or nothing.
pub(super) fn with_endpoint(family: &Family) -> String {
    family.endpoint.as_ref().map(|label| format!(", {label}")).unwrap_or_default()
}

/// The matcher for server errors, where the family can tell them.
pub(super) fn server_errors(family: &Family) -> Option<String> {
    family.status.as_ref().map(|label| format!(r#"{label}=~"5..""#))
}

/// The windows of the recordings that are made from counters. Longer ones are averages over the
/// recordings of five minutes, which costs a fraction.
const SHORT: [&str; 3] = ["5m", "30m", "1h"];
const LONG: [&str; 2] = ["6h", "3d"];

/// The quantiles that are recorded.
pub(super) const QUANTILES: [(&str, &str); 3] = [("p50", "0.5"), ("p95", "0.95"), ("p99", "0.99")];

fn endpoints(families: &Families) -> Vec<Rule> {
    let mut rules = Vec::new();
    if let Some(family) = &families.requests {
        let by = with_endpoint(family);
        let base = format!("{}http_requests", families.prefix);
        let mut sums = vec![(base.clone(), String::new())];
        if let Some(matcher) = server_errors(family) {
            sums.push((format!("{base}_errors"), format!("{{{matcher}}}")));
        }
        for (metric, selector) in &sums {
            let name = &family.name;
            rules.push(Rule::recording(
                format!("instance_endpoint:{metric}:rate5m"),
                format!("sum by (job, instance{by}) (rate({name}{selector}[5m]))"),
            ));
            for window in SHORT {
                rules.push(Rule::recording(
                    format!("endpoint:{metric}:rate{window}"),
                    format!("sum by (job{by}) (rate({name}{selector}[{window}]))"),
                ));
            }
            for window in LONG {
                rules.push(Rule::recording(
                    format!("endpoint:{metric}:rate{window}"),
                    format!("avg_over_time(endpoint:{metric}:rate5m[{window}])"),
                ));
            }
        }
        if sums.len() == 2 {
            for window in SHORT.into_iter().chain(LONG) {
                // Where there was no error, there is no series of errors: that is a ratio of 0.
                rules.push(Rule::recording(
                    format!("endpoint:{base}_errors:ratio_rate{window}"),
                    format!(
                        "(endpoint:{base}_errors:rate{window} or endpoint:{base}:rate{window} * 0) \
                         / (endpoint:{base}:rate{window} > 0)"
                    ),
                ));
            }
        }
    }
    if let Some(duration) = &families.duration {
        let by = with_endpoint(&duration.recorded);
        let seconds = &duration.seconds;
        for (name, quantile) in QUANTILES {
            rules.push(Rule::recording(
                format!("endpoint:{seconds}:{name}_rate5m"),
                format!(
                    "histogram_quantile({quantile}, sum by (job{by}, le) (rate({seconds}_bucket[5m])))"
                ),
            ));
        }
        rules.push(Rule::recording(
            format!("endpoint:{seconds}_count:rate5m"),
            format!("sum by (job{by}) (rate({seconds}_count[5m]))"),
        ));
    }
    rules
}

/// Recordings about the filter itself. Envoy puts the plugin's name into the name of the counters
/// of reloads (`envoy_wasm_NAME_vm_reload`), and `increase` would not take series that differ in
/// the metric's name alone, so they are added up first. All of them begin again when the same
/// process does.
fn filter() -> Vec<Rule> {
    vec![
        Rule::recording(
            "instance:route_metrics_vm_reloads:sum",
            r#"sum by (job, instance) ({__name__=~"envoy_wasm_.+_vm_reload"})"#,
        ),
        Rule::recording(
            "instance:route_metrics_requests:rate5m",
            "sum by (job, instance) (rate(route_metrics_requests_total[5m]))",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_divided_without_rounding() {
        for (bound, per_second, expected) in [
            (500, 1_000_000, "0.0005"),
            (2_500_000, 1_000_000, "2.5"),
            (30_000_000, 1_000_000, "30"),
            (75, 1_000, "0.075"),
            (1_000, 1_000, "1"),
        ] {
            assert_eq!(decimal(bound, per_second), expected);
        }
    }

    #[test]
    fn both_ways_to_write_a_bound_are_matched() {
        for (bound, texts) in [
            (500, ["500", "500.0"]),
            (750_000, ["750000", "750000.0"]),
            (1_000_000, ["1000000", "1e+06"]),
            (2_500_000, ["2500000", "2.5e+06"]),
            (30_000_000, ["30000000", "3e+07"]),
            (67_108_864, ["67108864", "6.7108864e+07"]),
        ] {
            let matcher = same_bound(bound);
            let pattern =
                matcher.trim_start_matches("=~\"").trim_end_matches('"').replace(r"\\", r"\");
            let regex = regex_lite::Regex::new(&format!("^(?:{pattern})$")).unwrap();
            for text in texts {
                assert!(regex.is_match(text), "{text} by {matcher}");
            }
            assert!(!regex.is_match(&format!("{bound}0")), "{matcher}");
        }
    }
}
