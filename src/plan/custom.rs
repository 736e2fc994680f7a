//! Custom metrics and events: from what is configured to rules and declarations.

use std::collections::BTreeMap;

use super::compile::Compiler;
use crate::config::number::json as shown;
use crate::config::{
    CustomLabel, CustomMetric, InferenceMode, Label, Match, MetricSource, MetricType, Source,
    Value, ValueSource, join,
};
use crate::custom::events::{EventMetric, EventsPlan};
use crate::custom::header;
use crate::custom::number::Number;
use crate::custom::post::MAX_PATH_BYTES;
use crate::custom::rules::{Conditions, HeaderCondition, HeaderPlace, Rule, Rules, ValuePlan};
use crate::endpoint::{CanonicalPath, Endpoints};
use crate::host::MetricKind;
use crate::labels::source::{LabelPlan, SourcePlan};
use crate::labels::{self, OTHER, UNMATCHED};
use crate::plan::CustomPlan;
use crate::request::MAX_HEADER;
use crate::request::method;

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

/// Response headers that HTTP itself needs, so that they cannot be taken away.
const NEEDED: [&str; 9] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "grpc-status",
    "location",
    "set-cookie",
    "transfer-encoding",
    "upgrade",
];

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
    pub(super) fn custom(&mut self, endpoints: &Endpoints) -> (Rules, EventsPlan) {
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
    fn custom_names(&mut self) {
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

    fn rule(
        &mut self,
        path: &str,
        metric: &CustomMetric,
        endpoints: &Endpoints,
    ) -> Option<(Rule, Conditions)> {
        let none = Match::default();
        let conditions = metric.r#match.as_ref().unwrap_or(&none);
        let Match { methods, endpoints: names, statuses, .. } = conditions;
        let at = format!("{path}.match");
        self.rule_methods(&at, methods);
        self.rule_endpoints(&at, names, endpoints);
        let statuses = self.statuses(&format!("{at}.statuses"), statuses);
        // Headers are read only for the methods that some rule needs them for.
        self.needed_for = match methods.iter().any(|name| name == OTHER) {
            true => Vec::new(),
            false => methods.clone(),
        };
        let headers = self.header_conditions(&at, conditions);
        let value = self.rule_value(path, metric);
        let labels = metric.labels.iter().flatten();
        let labels: Vec<Option<LabelPlan>> = labels
            .map(|(name, label)| {
                let at = join(&format!("{path}.labels"), name);
                self.label_name(&at, name);
                let Some(from) = label.from else {
                    let message = "is missing; say where the value comes from, such as {\"from\": \"status_class\"}";
                    self.mistakes.add(format!("{at}.from"), message);
                    return None;
                };
                let CustomLabel { from: _, name: key, value, map, allow, default, hash } =
                    label.clone();
                let label = Label { from, name: key, value, map, allow, default, hash };
                self.label(&at, name, &label)
            })
            .collect();
        let metric = self.custom_plan(path, metric, labels)?;
        let conditions =
            Conditions { methods: methods.clone(), endpoints: names.clone(), statuses };
        Some((Rule { metric, value: value?, headers }, conditions))
    }

    fn rule_methods(&mut self, at: &str, methods: &[String]) {
        for (index, name) in methods.iter().enumerate() {
            let at = format!("{at}.methods[{index}]");
            let upper = name.to_ascii_uppercase();
            let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            if name.is_empty() || !name.bytes().all(token) {
                self.mistakes.add(at, format!("{name:?} is not a method; write one such as POST"));
            } else if *name != upper && method::ALL.contains(&upper.as_str()) {
                let message = format!("{name:?}: methods are case-sensitive; write {upper:?}");
                self.mistakes.add(at, message);
            }
        }
    }

    fn rule_endpoints(&mut self, at: &str, names: &[String], endpoints: &Endpoints) {
        let endpoint = &self.config.endpoint;
        let open = endpoint.inference != InferenceMode::Off || endpoint.route_name;
        for (index, name) in names.iter().enumerate() {
            let known = name == UNMATCHED || endpoints.labels().contains(name);
            let message = if name.is_empty() {
                "is empty; write an endpoint as it stands in the label".to_owned()
            } else if name == OTHER {
                format!(
                    "{OTHER} is what a limit makes of endpoints, and rules see them before; name the endpoints"
                )
            } else if name.contains(' ') && !known {
                format!("{name:?}: write the endpoint alone, and its method into `methods`")
            } else if !known && !open {
                format!(
                    "{name:?} is not in `endpoint.templates` or `endpoint.rules`, and nothing is inferred, so no request can have it; add a template"
                )
            } else {
                continue;
            };
            self.mistakes.add(format!("{at}.endpoints[{index}]"), message);
        }
    }

    fn header_conditions(&mut self, at: &str, conditions: &Match) -> Vec<HeaderCondition> {
        let mut found = Vec::new();
        let request = conditions.request_headers.iter().map(|pair| (true, pair));
        let response = conditions.response_headers.iter().map(|pair| (false, pair));
        for (of_request, (name, value)) in request.chain(response) {
            let key = if of_request { "request_headers" } else { "response_headers" };
            let at = join(&format!("{at}.{key}"), name);
            let message = if name.is_empty() || name == "*" {
                format!("{name:?} is not a header; name the one that must be there")
            } else if value.is_empty() {
                "is empty; write the value, or \"*\" for any".to_owned()
            } else if value.len() > MAX_HEADER {
                format!("is too long; {MAX_HEADER} bytes of a header are compared")
            } else if !of_request && name.eq_ignore_ascii_case(&self.config.events.response_header)
            {
                "carries events, and is gone before rules look at it; use another header".to_owned()
            } else {
                String::new()
            };
            if !message.is_empty() {
                self.mistakes.add(at, message);
                continue;
            }
            let Some(header) = self.header(&at, name) else { continue };
            let header = if of_request {
                HeaderPlace::Request(self.request_header(&header))
            } else {
                HeaderPlace::Response(self.response_header(header))
            };
            let value = Some(value.clone()).filter(|value| value != "*");
            found.push(HeaderCondition { header, value });
        }
        found
    }

    fn scale(&mut self, path: &str, scale: Option<f64>) -> f64 {
        let scale = scale.unwrap_or(1.0);
        if scale.is_finite() && scale > 0.0 {
            return scale;
        }
        let scale = shown(scale);
        self.mistakes.add(path, format!("{scale} is out of range; use a number above 0"));
        1.0
    }

    fn rule_value(&mut self, path: &str, metric: &CustomMetric) -> Option<ValuePlan> {
        let outer = self.scale(&format!("{path}.scale"), metric.scale);
        let one = Value { from: ValueSource::Constant, name: None, value: Some(1.0), scale: None };
        let Value { from, name, value, scale } = metric.value.as_ref().unwrap_or(&one);
        let at = format!("{path}.value");
        let scale = match (scale, metric.scale) {
            (Some(_), Some(_)) => {
                self.mistakes.add(format!("{path}.scale"), "stands in `value`, too; keep one");
                1.0
            }
            (inner, _) => self.scale(&format!("{at}.scale"), *inner) * outer,
        };
        let source = match from {
            ValueSource::RequestHeader => Some(Source::RequestHeader),
            ValueSource::ResponseHeader => Some(Source::ResponseHeader),
            ValueSource::QueryParam => Some(Source::QueryParam),
            ValueSource::PathParam => Some(Source::PathParam),
            _ => None,
        };
        if source.is_none() && name.is_some() {
            let message = "does not go with this source; drop it";
            self.mistakes.add(format!("{at}.name"), message);
        }
        if *from != ValueSource::Constant && value.is_some() {
            self.mistakes.add(format!("{at}.value"), "goes with `constant` only; drop it");
        }
        match (from, source) {
            (_, Some(source)) => {
                let source = self.source(&at, source, name.as_deref(), None)?;
                Some(ValuePlan::Text(source, scale))
            }
            (ValueSource::DurationMs, _) => Some(ValuePlan::DurationMs(scale)),
            (ValueSource::RequestSize, _) => Some(ValuePlan::RequestSize(scale)),
            (ValueSource::ResponseSize, _) => Some(ValuePlan::ResponseSize(scale)),
            _ => {
                let Some(value) = *value else {
                    let message = "is missing; `constant` needs the number";
                    self.mistakes.add(format!("{at}.value"), message);
                    return None;
                };
                match Number::Real(value).amount(metric_kind(metric.r#type), scale) {
                    Ok(0) if metric.r#type == MetricType::Counter => {
                        let message = format!(
                            "{} adds nothing once it is scaled and rounded; use 1 or more",
                            shown(value)
                        );
                        self.mistakes.add(format!("{at}.value"), message);
                        None
                    }
                    Ok(amount) => Some(ValuePlan::Fixed(amount)),
                    Err(message) => {
                        self.mistakes
                            .add(format!("{at}.value"), format!("{} {message}", shown(value)));
                        None
                    }
                }
            }
        }
    }

    fn event_metric(&mut self, path: &str, metric: &CustomMetric) -> Option<EventMetric> {
        let (by_header, by_post) = {
            let events = &self.config.events;
            (!events.response_header.is_empty(), !events.path.is_empty())
        };
        if !by_header && !by_post {
            let message = "is \"event\", but there is no way to report; set `events.response_header` or `events.path`";
            self.mistakes.add(format!("{path}.source"), message);
        }
        for (key, given) in [("match", metric.r#match.is_some()), ("value", metric.value.is_some())]
        {
            if given {
                let message = "does not go with \"source\": \"event\", where the application says what counts; drop one of them";
                self.mistakes.add(format!("{path}.{key}"), message);
            }
        }
        let scale = self.scale(&format!("{path}.scale"), metric.scale);
        if metric.labels.is_none() {
            let message = "is missing; declare what the application may report, such as {\"status\": {}}, or {} for no labels";
            self.mistakes.add(format!("{path}.labels"), message);
        }
        let declared = metric.labels.iter().flatten();
        let labels: Vec<Option<LabelPlan>> = declared
            .map(|(name, label)| {
                let at = join(&format!("{path}.labels"), name);
                self.label_name(&at, name);
                if by_header && name == header::VALUE {
                    let message = format!("`{name}` is the value of an event in a response header; use another name");
                    self.mistakes.add(at.as_str(), message);
                }
                let key = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
                let key = name.bytes().all(key) && !name.starts_with('_');
                if by_header && !by_post && !key {
                    let message = format!("{name:?} cannot stand in a response header (RFC 9651); use lower case, and a letter first");
                    self.mistakes.add(at.as_str(), message);
                }
                self.event_label(&at, name, label)
            })
            .collect();
        let metric = self.custom_plan(path, metric, labels)?;
        Some(EventMetric { metric, scale })
    }

    fn event_label(&mut self, at: &str, name: &str, label: &CustomLabel) -> Option<LabelPlan> {
        let CustomLabel { from, name: key, value, map, allow, default, hash } = label;
        let given = [("from", from.is_some()), ("name", key.is_some()), ("value", value.is_some())];
        for (key, _) in given.into_iter().filter(|(_, given)| *given) {
            let message = "does not go with \"source\": \"event\", where the application reports the value; drop it";
            self.mistakes.add(format!("{at}.{key}"), message);
        }
        let choice = self.choice(at, map.as_ref(), allow.as_deref(), default.as_deref());
        self.hash_goes(at, *hash, &choice, false);
        Some(LabelPlan {
            name: name.to_owned(),
            values: String::new(),
            source: SourcePlan::Reported,
            choice,
            hash: *hash,
            max_values: self.config.limits.max_values_per_label as usize,
        })
    }

    /// The metric, if its labels are right. Each label has values of its own.
    fn custom_plan(
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

    fn events_header(&mut self) -> Option<String> {
        const PATH: &str = "events.response_header";
        let name = self.header(PATH, &self.config.events.response_header)?;
        if name.starts_with(':') || name == "*" || NEEDED.contains(&name.as_str()) {
            let message = format!(
                "`{name}` is needed by HTTP, and would be taken away; use one of your own, such as \
                 x-metric-events"
            );
            self.mistakes.add(PATH, message);
        }
        if name.eq_ignore_ascii_case(&self.config.metrics.exceptions_total.header) {
            let message =
                format!("`{name}` is also `metrics.exceptions_total.header`; use two headers");
            self.mistakes.add(PATH, message);
        }
        Some(name)
    }

    fn events_path(&mut self) -> Option<String> {
        const PATH: &str = "events.path";
        let path = self.config.events.path.as_str();
        if path.is_empty() {
            return None;
        }
        let mut buffer = [0; MAX_PATH_BYTES];
        let parsed = CanonicalPath::new(path.as_bytes());
        let canonical = String::from_utf8_lossy(parsed.text(&mut buffer)).into_owned();
        let plain = |b: u8| b.is_ascii_graphic() && !b"{}*%\"\\".contains(&b);
        if !path.starts_with('/') || !path.bytes().all(plain) || path.len() > MAX_PATH_BYTES {
            let message = format!(
                "{path:?} is not a path; write one without placeholders and percent-encoding, such as /metric-events"
            );
            self.mistakes.add(PATH, message);
        } else if path == "/" {
            let message =
                "`/` is where a site begins; use a path of its own, such as /metric-events";
            self.mistakes.add(PATH, message);
        } else if canonical != path {
            self.mistakes
                .add(PATH, format!("{path:?} is not in canonical form; write {canonical:?}"));
        }
        Some(canonical)
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
