//! Custom metrics of requests: which requests they count, and what these add.

use super::metric_kind;
use crate::config::number::json as shown;
use crate::config::{
    CustomLabel, CustomMetric, Label, Match, MetricType, MetricValue, Source, ValueSource, join,
};
use crate::custom::number::Number;
use crate::custom::rules::{Conditions, HeaderCondition, HeaderPlace, Rule, ValuePlan};
use crate::endpoint::Endpoints;
use crate::labels::OTHER;
use crate::labels::source::LabelPlan;
use crate::plan::compile::Compiler;
use crate::request::MAX_HEADER;
use crate::request::method;

impl Compiler<'_> {
    pub(in crate::plan) fn rule(
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
        let names = self.endpoint_names(&format!("{at}.endpoints"), names, methods, endpoints);
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
        let conditions = Conditions { methods: methods.clone(), endpoints: names, statuses };
        Some((Rule { metric, value: value?, headers }, conditions))
    }

    pub(in crate::plan) fn rule_methods(&mut self, at: &str, methods: &[String]) {
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

    pub(in crate::plan) fn header_conditions(
        &mut self,
        at: &str,
        conditions: &Match,
    ) -> Vec<HeaderCondition> {
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
            } else if value.len() >= MAX_HEADER {
                // What has just as many bytes may be the beginning of something longer.
                format!("is too long; {MAX_HEADER} bytes of a header are compared")
            } else {
                String::new()
            };
            if !message.is_empty() {
                self.mistakes.add(at, message);
                continue;
            }
            let header = if of_request {
                let Some(header) = self.sent_header(&at, name) else { continue };
                HeaderPlace::Request(self.request_header(&header))
            } else {
                let Some(header) = self.answered_header(&at, name) else { continue };
                HeaderPlace::Response(self.response_header(header))
            };
            let value = Some(value.clone()).filter(|value| value != "*");
            let other = found.iter().find(|known: &&HeaderCondition| {
                known.header == header
                    && known.value.is_some()
                    && value.is_some()
                    && known.value != value
            });
            if other.is_some() {
                self.mistakes.add(
                    at,
                    "is the same header as another one here, and cannot have two values; write one, and a metric for each value",
                );
                continue;
            }
            found.push(HeaderCondition { header, value });
        }
        found
    }

    pub(in crate::plan) fn rule_value(
        &mut self,
        path: &str,
        metric: &CustomMetric,
    ) -> Option<ValuePlan> {
        let outer = self.scale(&format!("{path}.scale"), metric.scale);
        let one =
            MetricValue { from: ValueSource::Constant, name: None, value: Some(1.0), scale: None };
        let MetricValue { from, name, value, scale } = metric.value.as_ref().unwrap_or(&one);
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
}
