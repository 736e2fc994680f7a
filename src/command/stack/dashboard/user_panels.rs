//! What users define themselves: organisations, users, and metrics of their own.

use super::panel::{Panel, Query};
use super::queries::{PROXIES, rate, rate_of_rare, selector};
use crate::command::stack::families::{CustomFamily, Families};
use crate::config::MetricType;

/// The most active organisations and users.
pub fn detailed(families: &Families) -> Vec<Panel> {
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
pub fn custom(metric: &CustomFamily) -> Panel {
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
            // A first registration is one, too.
            let query = format!("sum by ({by}) ({})", rate_of_rare(name, &select));
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
                        format!("histogram_quantile({share}, sum by (le) ({buckets})) >= 0"),
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
