//! The metrics of a configuration, which Envoy wants to know with it: name, kind and label names.
//!
//! The core names a series as the host of Wasm wants it, with its labels in the name
//! ([`crate::labels::stat_name`]); here the name is taken apart again.

use crate::custom::CustomPlan;
use crate::host::MetricKind;
use crate::plan::Plan;

/// A metric with its label names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Family {
    /// What it is.
    pub kind: MetricKind,
    /// Its name.
    pub name: String,
    /// The names of its labels, in the order of their values.
    pub labels: Vec<String>,
}

/// Every metric that a configuration may record.
pub fn declared(plan: &Plan) -> Vec<Family> {
    use MetricKind::{Counter, Gauge};
    let own: [(MetricKind, &str, &[&str]); 14] = [
        (Gauge, "route_metrics_build_info", &["version"]),
        (Gauge, "route_metrics_sample_rate_ppm", &[]),
        (Counter, "route_metrics_requests_total", &["decision"]),
        (Counter, "route_metrics_errors_total", &["reason"]),
        (Counter, "route_metrics_events_total", &["outcome"]),
        (Counter, "route_metrics_overflow_total", &["metric", "label"]),
        (Gauge, "route_metrics_series", &["metric"]),
        (Gauge, "route_metrics_series_limit", &["metric"]),
        (Gauge, "route_metrics_values", &["label"]),
        (Gauge, "route_metrics_values", &["metric", "label"]),
        (Gauge, "route_metrics_values_limit", &["label"]),
        (Gauge, "route_metrics_values_limit", &["metric", "label"]),
        (Gauge, "route_metrics_values_waiting", &["label"]),
        (Gauge, "route_metrics_values_waiting", &["metric", "label"]),
    ];
    let mut all: Vec<Family> = own
        .into_iter()
        .map(|(kind, name, labels)| Family {
            kind,
            name: name.to_owned(),
            labels: labels.iter().map(|&label| label.to_owned()).collect(),
        })
        .collect();
    let mut add = |kind, name: &str, labels: Vec<String>| {
        let family = Family { kind, name: name.to_owned(), labels };
        if !all.contains(&family) {
            all.push(family);
        }
    };
    if let Some(active) = &plan.active {
        add(Gauge, active, Vec::new());
    }
    for metric in &plan.metrics {
        let labels = metric.labels.iter().filter_map(|&place| plan.labels.get(place));
        add(metric.kind, &metric.name, labels.map(|label| label.name.clone()).collect());
    }
    let mut custom = |metric: &CustomPlan| {
        let labels = metric.labels.iter().map(|label| label.name.clone()).collect();
        add(metric.kind, &metric.name, labels);
    };
    plan.rules.all().iter().for_each(|rule| custom(&rule.metric));
    plan.events.metrics.iter().for_each(|event| custom(&event.metric));
    all
}

/// Takes the name of a series apart: its family, and the values of its labels.
pub fn parse(kind: MetricKind, name: &str) -> (Family, Vec<String>) {
    let (metric, mut rest) = name.split_once('.').unwrap_or((name, ""));
    let (mut labels, mut values) = (Vec::new(), Vec::new());
    while let Some((label, after)) = rest.split_once("=.=") {
        let (value, after) = after.split_once(";.;").unwrap_or((after, ""));
        labels.push(label.to_owned());
        values.push(value.to_owned());
        rest = after;
    }
    (Family { kind, name: metric.to_owned(), labels }, values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Filter;
    use crate::host::recorder::Recorder;
    use crate::host::{HeaderMap, Property};
    use crate::labels::{encode, stat_name};
    use crate::plan::{Capacity, load};
    use crate::test;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_name_is_taken_apart_as_it_was_put_together(
            raw in proptest::collection::vec("[ -~]{0,12}|[;.=]{0,6}", 0..4),
        ) {
            let labels: Vec<(String, String)> = raw
                .iter()
                .enumerate()
                .map(|(place, text)| {
                    let mut value = String::new();
                    encode(text.as_bytes(), 100, &mut value);
                    (format!("l{place}"), value)
                })
                .collect();
            let mut name = String::new();
            stat_name("m", labels.iter().map(|(l, v)| (l.as_str(), v.as_str())), &mut name);
            let (family, values) = parse(MetricKind::Counter, &name);
            prop_assert_eq!(&family.name, "m");
            let back: Vec<(String, String)> = family.labels.into_iter().zip(values).collect();
            prop_assert_eq!(back, labels);
        }
    }

    /// With everything on that makes metrics, all that the core defines was declared.
    #[test]
    fn every_metric_is_declared() {
        let configuration = serde_json::json!({
            "namespace": "shop",
            "metrics": {"request_size": {"enabled": true}},
            "endpoint": {"templates": ["/register", "/orgs/{org}"]},
            "limits": {"max_series_per_metric": 10},
            "custom_metrics": [
                {"name": "registrations_total", "type": "counter", "match": {"methods": ["POST"]},
                 "labels": {"plan": {"from": "request_header", "name": "x-plan"}}},
                {"name": "cache_total", "type": "counter", "source": "event", "labels": {"hit": {}}},
                {"name": "queue_length", "type": "gauge", "source": "event", "labels": {}},
            ],
            "events": {"response_header": "x-metric-events", "path": "/metric-events"},
        });
        for configuration in ["{}".to_owned(), configuration.to_string()] {
            let plan = load(configuration.as_bytes(), |_| None, Capacity::Checked).unwrap();
            let declared = declared(&plan);
            let mut filter = Filter::new(Recorder::default(), 1);
            assert!(filter.configure(1, configuration.as_bytes(), |_| None));
            for stream in 2..400u32 {
                let host = filter.host();
                host.clear_request();
                host.set_header(HeaderMap::Request, ":method", b"POST");
                host.set_header(HeaderMap::Request, ":path", format!("/a{stream}/b").as_bytes());
                host.set_header(HeaderMap::Request, "x-plan", format!("p{stream}").as_bytes());
                host.set_header(HeaderMap::Response, ":status", b"200");
                host.set_number(Property::ResponseCode, 200);
                filter.create(stream, 1);
                filter.request_headers(stream, true);
                filter.end(stream);
            }
            filter.tick(1);
            let defined = filter.host().defined();
            let overflows =
                defined.iter().any(|(_, name)| name.starts_with("route_metrics_overflow"));
            assert_eq!(overflows, configuration != "{}");
            for (kind, name) in defined {
                let (family, _) = parse(kind, &name);
                assert!(declared.contains(&family), "{family:?}");
            }
        }
    }
}
