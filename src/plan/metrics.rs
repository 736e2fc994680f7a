//! The request metrics and the detailed one.

use std::collections::BTreeSet;

use super::compile::Compiler;
use crate::config::DurationUnit;
use crate::host::MetricKind;
use crate::plan::{Measure, MetricPlan};

/// The metric of `detailed`, before the namespace.
const DETAILED: &str = "http_requests_detailed_total";

impl Compiler<'_> {
    pub(super) fn request_metrics(&mut self) {
        let metrics = &self.config.metrics;
        let max_series = self.config.limits.max_series_per_metric as usize;
        let duration = match metrics.request_duration.unit {
            DurationUnit::Microseconds => "http_request_duration_microseconds",
            DurationUnit::Milliseconds => "http_request_duration_milliseconds",
        };
        let unit = Measure::Duration(metrics.request_duration.unit);
        let rows: [RequestMetric<'_>; 5] = [
            (
                "requests_total",
                metrics.requests_total.enabled,
                &metrics.requests_total.labels,
                "http_requests_total",
                MetricKind::Counter,
                Measure::Requests,
            ),
            (
                "request_duration",
                metrics.request_duration.enabled,
                &metrics.request_duration.labels,
                duration,
                MetricKind::Histogram,
                unit,
            ),
            (
                "response_size",
                metrics.response_size.enabled,
                &metrics.response_size.labels,
                "http_response_size_bytes",
                MetricKind::Histogram,
                Measure::ResponseSize,
            ),
            (
                "request_size",
                metrics.request_size.enabled,
                &metrics.request_size.labels,
                "http_request_size_bytes",
                MetricKind::Histogram,
                Measure::RequestSize,
            ),
            (
                "exceptions_total",
                metrics.exceptions_total.enabled,
                &metrics.exceptions_total.labels,
                "http_exceptions_total",
                MetricKind::Counter,
                Measure::Exceptions,
            ),
        ];
        for (key, enabled, names, name, kind, measure) in rows {
            let path = format!("metrics.{key}.labels");
            let exceptions = measure == Measure::Exceptions;
            if enabled {
                let labels = self.metric_labels(&path, names, exceptions);
                let name = self.full_name(name);
                self.metrics.push(MetricPlan { name, kind, labels, measure, max_series });
            } else {
                self.without_effect(|this| this.metric_labels(&path, names, exceptions));
            }
        }
    }

    /// The labels of a request metric, as places in the plan.
    pub(super) fn metric_labels(
        &mut self,
        path: &str,
        names: &[String],
        exceptions: bool,
    ) -> Vec<usize> {
        self.label_count(path, names.len());
        let mut seen = BTreeSet::new();
        let mut places = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let path = format!("{path}[{index}]");
            if !seen.insert(name) {
                self.mistakes.add(path, format!("`{name}` stands twice; keep one"));
                continue;
            }
            if let Some(label) = self.named_label(&path, name, exceptions) {
                places.push(self.place(label));
            }
        }
        places
    }

    pub(super) fn detailed(&mut self) {
        if !self.config.detailed.enabled {
            self.without_effect(Self::detailed_labels);
            return;
        }
        self.label_count("detailed", 3);
        let limits = &self.config.limits;
        let own = self.config.detailed.limits.max_series_per_metric;
        let metric = MetricPlan {
            name: self.full_name(DETAILED),
            kind: MetricKind::Counter,
            labels: self.detailed_labels(),
            measure: Measure::Requests,
            max_series: own.unwrap_or(limits.max_series_per_metric) as usize,
        };
        self.metrics.push(metric);
    }

    pub(super) fn detailed_labels(&mut self) -> Vec<usize> {
        let detailed = &self.config.detailed;
        let max = detailed.limits.max_values_per_label;
        let limit = match max {
            Some(_) => "detailed.limits.max_values_per_label",
            None => "limits.max_values_per_label",
        };
        let max = max.unwrap_or(self.config.limits.max_values_per_label) as usize;
        let endpoint = self.named_label("detailed", "endpoint", false);
        let mut places: Vec<usize> = endpoint.map(|label| self.place(label)).into_iter().collect();
        for (key, label) in [("org", &detailed.org), ("user", &detailed.user)] {
            let path = format!("detailed.{key}");
            if let Some(mut plan) = self.limited_label(&path, key, label, (max, limit)) {
                plan.values = format!("{}/{key}", self.full_name(DETAILED));
                places.push(self.place(plan));
            }
        }
        places
    }
}

/// Key, whether it is enabled, labels, name before the namespace, kind and measure.
type RequestMetric<'a> = (&'a str, bool, &'a [String], &'a str, MetricKind, Measure);
