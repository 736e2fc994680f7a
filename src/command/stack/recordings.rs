//! Recording rules: histograms in seconds, and rates, error ratios and latencies per endpoint.
//!
//! Recordings keep the names of the practice that Prometheus describes, `level:metric:operation`.
//! Those of the level `instance_endpoint` serve the dashboard, those of the level `endpoint` sum
//! over all proxies of a job and serve the alerts.
//!
//! Envoy makes a series when something is counted in it for the first time. So the series of errors
//! begins long after that of requests, it begins at what was counted before the first scrape, and
//! it may be there on one proxy alone. The recordings take that into account: where there are
//! requests and no errors, they record 0 errors; what a series begins with is an increase like any
//! other; and over a long window a series that was not there counts as 0.

use super::families::{Duration, Families, RequestFamily};
use super::rule_file::PromRule;

/// One rule per bucket, because a rule can set a label but not compute one.
pub(super) fn seconds(duration: &Duration) -> Vec<PromRule> {
    let Duration { recorded: RequestFamily { name, .. }, seconds, per_second, bounds } = duration;
    let bucket = |source: String, le: String| {
        let mut rule = PromRule::recording(
            format!("{seconds}_bucket"),
            format!("{name}_bucket{{le{source}}}"),
        );
        rule.labels.insert("le".to_owned(), le);
        rule
    };
    let mut rules: Vec<PromRule> = bounds
        .iter()
        .map(|&bound| bucket(same_bound(bound), decimal(bound, *per_second)))
        .collect();
    rules.push(bucket("=\"+Inf\"".to_owned(), "+Inf".to_owned()));
    rules.push(PromRule::recording(format!("{seconds}_sum"), format!("{name}_sum / {per_second}")));
    rules.push(PromRule::recording(format!("{seconds}_count"), format!("{name}_count")));
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
pub(super) fn with_endpoint(family: &RequestFamily) -> String {
    family.endpoint.as_ref().map(|label| format!(", {label}")).unwrap_or_default()
}

/// The matcher for server errors, where the family can tell them.
pub(super) fn server_errors(family: &RequestFamily) -> Option<String> {
    family.status.as_ref().map(|label| format!(r#"{label}=~"5..""#))
}

/// A window of a recording, as PromQL writes it, and its seconds.
type Window = (&'static str, u32);

/// The windows of the recordings that are made from counters. Longer ones are averages over the
/// recordings of five minutes, which costs a fraction.
const SHORT: [Window; 3] = [("5m", 300), ("30m", 1_800), ("1h", 3_600)];
const LONG: [Window; 2] = [("6h", 21_600), ("3d", 259_200)];

/// The quantiles that are recorded.
pub(super) const QUANTILES: [(&str, &str); 3] = [("p50", "0.5"), ("p95", "0.95"), ("p99", "0.99")];

/// The rate of a counter in each of its series, with what a series began with.
///
/// `rate` knows only increases between scrapes. A series that was not there one window ago, although
/// its proxy was scraped then, has counted all that it shows within the window. The label `__first`
/// (no label of users can begin so) keeps that part apart; both are to be summed up. `seconds` are those of the window.
pub(super) fn rate_from_zero(selector: &str, window: &str, seconds: &str) -> String {
    format!(
        "rate({selector}[{window}]) or label_replace((min_over_time({selector}[{window}]) \
         unless {selector} offset {window}) and on (job, instance) \
         (route_metrics_build_info offset {window}), \"__first\", \"1\", \"\", \"\") / {seconds}"
    )
}

fn sum_of_rates(by: &str, selector: &str, (window, seconds): Window) -> String {
    format!("sum by ({by}) ({})", rate_from_zero(selector, window, &seconds.to_string()))
}

pub(super) fn endpoints(families: &Families) -> Vec<PromRule> {
    let mut rules = Vec::new();
    if let Some(family) = &families.requests {
        let metric = format!("{}http_requests", families.prefix);
        rates(&mut rules, family, &metric);
        if let Some(matcher) = server_errors(family) {
            error_rates(&mut rules, family, &metric, &format!("{}{{{matcher}}}", family.name));
        }
    }
    if let Some(duration) = &families.duration {
        let by = with_endpoint(&duration.recorded);
        let seconds = &duration.seconds;
        for (name, quantile) in QUANTILES {
            // Without traffic there is no quantile: NaN is left out.
            rules.push(PromRule::recording(
                format!("endpoint:{seconds}:{name}_rate5m"),
                format!(
                    "histogram_quantile({quantile}, \
                     sum by (job{by}, le) (rate({seconds}_bucket[5m]))) >= 0"
                ),
            ));
        }
        rules.push(PromRule::recording(
            format!("endpoint:{seconds}_count:rate5m"),
            format!("sum by (job{by}) (rate({seconds}_count[5m]))"),
        ));
    }
    rules
}

/// The rates of requests.
fn rates(rules: &mut Vec<PromRule>, family: &RequestFamily, metric: &str) {
    let by = with_endpoint(family);
    rules.push(PromRule::recording(
        format!("instance_endpoint:{metric}:rate5m"),
        sum_of_rates(&format!("job, instance{by}"), &family.name, SHORT[0]),
    ));
    for window in SHORT {
        rules.push(PromRule::recording(
            format!("endpoint:{metric}:rate{}", window.0),
            sum_of_rates(&format!("job{by}"), &family.name, window),
        ));
    }
    // When the rules were evaluated, so that long windows know how much time one evaluation is for.
    rules.push(PromRule::recording(format!("{metric}:evaluation_time:seconds"), "vector(time())"));
    for (window, seconds) in LONG {
        rules.push(PromRule::recording(
            format!("endpoint:{metric}:rate{window}"),
            long_rate(metric, &format!("endpoint:{metric}:rate5m"), window, seconds),
        ));
    }
}

/// The average of a recording over a window, in which it counts as 0 where it was not there;
/// `avg_over_time` would leave that out, and take the first minutes of a series for hours.
fn long_rate(metric: &str, recording: &str, window: &str, seconds: u32) -> String {
    let time = format!("{metric}:evaluation_time:seconds[{window}]");
    format!(
        "sum_over_time({recording}[{window}]) / {seconds} * scalar(\
         (max_over_time({time}) - min_over_time({time})) / (count_over_time({time}) - 1))"
    )
}

/// The rates of server errors, and their share of the requests: 0 where there are only requests.
fn error_rates(rules: &mut Vec<PromRule>, family: &RequestFamily, metric: &str, errors: &str) {
    let by = with_endpoint(family);
    let or_none = |rate: String, requests: String| format!("{rate} or {requests} * 0");
    rules.push(PromRule::recording(
        format!("instance_endpoint:{metric}_errors:rate5m"),
        or_none(
            sum_of_rates(&format!("job, instance{by}"), errors, SHORT[0]),
            format!("instance_endpoint:{metric}:rate5m"),
        ),
    ));
    for window in SHORT {
        rules.push(PromRule::recording(
            format!("endpoint:{metric}_errors:rate{}", window.0),
            or_none(
                sum_of_rates(&format!("job{by}"), errors, window),
                format!("endpoint:{metric}:rate{}", window.0),
            ),
        ));
    }
    for (window, seconds) in LONG {
        let rate5m = format!("endpoint:{metric}_errors:rate5m");
        rules.push(PromRule::recording(
            format!("endpoint:{metric}_errors:rate{window}"),
            or_none(
                long_rate(metric, &rate5m, window, seconds),
                format!("endpoint:{metric}:rate{window}"),
            ),
        ));
    }
    for (window, _) in SHORT.into_iter().chain(LONG) {
        rules.push(PromRule::recording(
            format!("endpoint:{metric}_errors:ratio_rate{window}"),
            format!("endpoint:{metric}_errors:rate{window} / (endpoint:{metric}:rate{window} > 0)"),
        ));
    }
}

/// Recordings about the filter itself. Envoy puts the plugin's name into the name of the counters
/// of reloads (`envoy_wasm_NAME_vm_reload`), and `increase` would not take series that differ in
/// the metric's name alone, so they are added up first. All of them begin again when the same
/// process does. Where none is shown, as with `usedonly`, there was none.
pub(super) fn filter() -> Vec<PromRule> {
    vec![
        PromRule::recording(
            "instance:route_metrics_vm_reloads:sum",
            "sum by (job, instance) ({__name__=~\"envoy_wasm_.+_vm_reload\"}) \
             or sum by (job, instance) (route_metrics_build_info) * 0",
        ),
        PromRule::recording(
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
