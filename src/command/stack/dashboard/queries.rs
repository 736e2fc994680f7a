//! PromQL with the dashboard's variables.

use crate::command::stack::families::{Duration, RequestFamily};
use crate::command::stack::recordings::rate_from_zero;

/// What the variables select.
pub const PROXIES: &str = r#"job=~"$job", instance=~"$instance""#;

/// The matchers of the variables, as far as the family has the labels, and one more.
pub fn selector(family: &RequestFamily, more: &str) -> String {
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

/// The rate of a counter or of a bucket, over the interval that fits the view.
pub fn rate(name: &str, selector: &str) -> String {
    format!("rate({name}{selector}[$__rate_interval])")
}

/// The rate of a counter of what is rare, with what its series begin with: a first exception is one.
/// To be summed up; see [`rate_from_zero`].
pub fn rate_of_rare(name: &str, selector: &str) -> String {
    let seconds = "($__rate_interval_ms / 1000)";
    rate_from_zero(&format!("{name}{selector}"), "$__rate_interval", seconds)
}

/// The share of requests whose status matches.
pub fn share(family: &RequestFamily, status: &str, class: &str) -> String {
    let some = rate(&family.name, &selector(family, &format!(r#"{status}=~"{class}""#)));
    let all = rate(&family.name, &selector(family, ""));
    // No series of errors means no errors, as long as there is traffic.
    format!("(sum({some}) or vector(0)) / (sum({all}) > 0)")
}

/// A quantile over all series; nothing where there is no traffic.
pub fn quantile(quantile: &str, family: &RequestFamily) -> String {
    let buckets = rate(&format!("{}_bucket", family.name), &selector(family, ""));
    format!("histogram_quantile({quantile}, sum by (le) ({buckets})) >= 0")
}

/// Grafana's unit of the duration histogram.
pub fn duration_unit(duration: &Duration) -> &'static str {
    if duration.per_second == 1_000 { "ms" } else { "µs" }
}
