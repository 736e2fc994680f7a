//! Custom metrics: their names, and what those of requests and those of events have in common.

mod events;
mod matched;

use std::collections::BTreeMap;

use super::compile::Compiler;
use crate::config::number::json as shown;
use crate::config::{CustomMetric, MetricSource, MetricType};
use crate::custom::CustomPlan;
use crate::custom::events::EventsPlan;
use crate::custom::rules::Rules;
use crate::endpoint::Endpoints;
use crate::host::MetricKind;
use crate::labels;
use crate::labels::source::LabelPlan;

/// Families that the filter or the shipped Prometheus rules make, before the namespace.
const BUILT_IN: [(&str, MetricType); 9] = [
    ("http_requests_total", MetricType::Counter),
    ("http_request_duration_microseconds", MetricType::Histogram),
    ("http_request_duration_milliseconds", MetricType::Histogram),
    ("http_request_duration_seconds", MetricType::Histogram),
    ("http_requests_active", MetricType::Gauge),
    ("http_response_size_bytes", MetricType::Histogram),
    ("http_request_size_bytes", MetricType::Histogram),
    ("http_exceptions_total", MetricType::Counter),
    ("http_requests_detailed_total", MetricType::Counter),
];

/// Prefixes of names that are not the configuration's to give.
const RESERVED: [(&str, &str); 2] =
    [("route_metrics_", "the filter's own metrics"), ("envoy_", "Envoy's own metrics")];

/// The sample names of a family in the exposition format.
fn sample_names(name: &str, kind: MetricType) -> Vec<String> {
    let mut names = vec![name.to_owned()];
    if kind == MetricType::Histogram {
        names.extend(["bucket", "sum", "count"].map(|end| format!("{name}_{end}")));
    }
    names
}

impl Compiler<'_> {
    /// The rules and declarations of `custom_metrics`, and the ways of `events`.
    pub(in crate::plan) fn custom(&mut self, endpoints: &Endpoints) -> (Rules, EventsPlan) {
        self.custom_names();
        let recorded = self.config.enabled && !self.config.custom_metrics_off;
        let mut rules = Vec::new();
        let mut metrics = Vec::new();
        let (headers, methods) = (self.request_headers.clone(), self.needed_for.clone());
        let of_responses = self.response_headers.len();
        for (index, metric) in self.config.custom_metrics.iter().enumerate() {
            let path = format!("custom_metrics[{index}]");
            match metric.source {
                MetricSource::Match => {
                    rules.extend(self.rule(&path, metric, endpoints));
                }
                MetricSource::Event => metrics.extend(self.event_metric(&path, metric)),
            }
        }
        self.needed_for = methods;
        if !recorded {
            rules.clear();
            self.request_headers = headers;
            self.response_headers.truncate(of_responses);
        }
        let response_header = self.events_header();
        let path = self.events_path();
        let declared = |m: &CustomMetric| m.source == MetricSource::Event;
        let any = self.config.custom_metrics.iter().any(declared);
        let on = [("response_header", response_header.is_some()), ("path", path.is_some())];
        for (key, _) in on.into_iter().filter(|(_, on)| *on && !any) {
            self.mistakes.add(
                format!("events.{key}"),
                "has no use, because no metric is reported; declare one in `custom_metrics` with \
                 \"source\": \"event\", or drop this",
            );
        }
        let rules = Rules::new(rules, endpoints.labels());
        let recorded = recorded && self.config.sampling.rate > 0.0;
        (rules, EventsPlan { response_header, path, metrics, recorded })
    }

    /// Checks the names of custom metrics against all others.
    pub(in crate::plan) fn custom_names(&mut self) {
        let mut taken: BTreeMap<String, String> = BTreeMap::new();
        for (name, kind) in BUILT_IN {
            let name = self.full_name(name);
            for sample in sample_names(&name, kind) {
                taken.insert(sample, format!("the request metric `{name}`"));
            }
        }
        for (index, metric) in self.config.custom_metrics.iter().enumerate() {
            let CustomMetric { name, r#type, .. } = metric;
            let path = format!("custom_metrics[{index}].name");
            if !labels::is_name(name) {
                self.mistakes.add(
                    path,
                    format!("{name:?} is not a metric name; use letters, digits and underscores, and no digit first"),
                );
                continue;
            }
            let reserved = RESERVED.into_iter().find(|(prefix, _)| name.starts_with(prefix));
            if let Some((prefix, whose)) = reserved {
                let message =
                    format!("`{name}` begins with `{prefix}` like {whose}; use another name");
                self.mistakes.add(path, message);
                continue;
            }
            if let Some(trouble) = labels::name_trouble(name) {
                self.mistakes.add(path, format!("`{name}`: {trouble}"));
                continue;
            }
            let samples = sample_names(name, *r#type);
            if let Some((sample, owner)) = samples.iter().find_map(|s| Some((s, taken.get(s)?))) {
                let message =
                    format!("`{sample}` is taken by {owner}, so use another name than `{name}`");
                self.mistakes.add(path, message);
                continue;
            }
            for sample in samples {
                taken.insert(sample, format!("custom_metrics[{index}] `{name}`"));
            }
        }
    }

    /// The metric, if its labels are right. Each label has values of its own.
    pub(in crate::plan) fn custom_plan(
        &mut self,
        path: &str,
        metric: &CustomMetric,
        labels: Vec<Option<LabelPlan>>,
    ) -> Option<CustomPlan> {
        let name = metric.name.clone();
        self.label_count(&format!("{path}.labels"), labels.len());
        let own = |label: Option<LabelPlan>| {
            let label = label?;
            Some(LabelPlan { values: format!("{name}/{}", label.name), ..label })
        };
        Some(CustomPlan {
            labels: labels.into_iter().map(own).collect::<Option<_>>()?,
            name: name.clone(),
            kind: metric_kind(metric.r#type),
            max_series: self.config.limits.max_series_per_metric as usize,
        })
    }

    pub(in crate::plan) fn scale(&mut self, path: &str, scale: Option<f64>) -> f64 {
        let scale = scale.unwrap_or(1.0);
        if scale.is_finite() && scale > 0.0 {
            return scale;
        }
        let scale = shown(scale);
        self.mistakes.add(path, format!("{scale} is out of range; use a number above 0"));
        1.0
    }
}

fn metric_kind(kind: MetricType) -> MetricKind {
    match kind {
        MetricType::Counter => MetricKind::Counter,
        MetricType::Gauge => MetricKind::Gauge,
        MetricType::Histogram => MetricKind::Histogram,
    }
}

#[cfg(test)]
mod tests;
