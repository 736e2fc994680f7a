//! Custom metrics that the application reports: what a report must look like, and its way into the
//! metrics.
//!
//! Reports come as members of a response header ([`header`]) or as a posted JSON array ([`post`]).
//! Both end in the same check against the declared metrics, and nothing of a report is recorded
//! before all of it was checked. What is reported is the application's own word: it is not sampled,
//! and a counter adds what was reported.

use std::borrow::Cow;
use std::fmt;

use crate::custom::CustomPlan;
use crate::custom::number::Number;
use crate::custom::rules::{self, Family};
use crate::host::{Host, MetricKind};
use crate::labels::value::Buffers;
use crate::series::MAX_LABELS;
use crate::series::registry::{Amount, Handle, Registry, ValueId};

/// The most events that one report may hold.
pub const MAX_EVENTS: usize = 1000;

/// What the application reports, and how.
#[derive(Debug, Default)]
pub struct EventsPlan {
    /// The response header, lower case.
    pub response_header: Option<String>,
    /// The path to post to, in its canonical form.
    pub path: Option<String>,
    /// The declared metrics.
    pub metrics: Vec<EventMetric>,
    /// Whether what is reported is recorded; if not, it is checked all the same.
    pub recorded: bool,
}

impl EventsPlan {
    /// Whether there is a way to report.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.response_header.is_some() || self.path.is_some()
    }
}

/// A declared metric.
#[derive(Clone, Debug, PartialEq)]
pub struct EventMetric {
    /// The metric.
    pub metric: CustomPlan,
    /// What a reported value is multiplied by.
    pub scale: f64,
}

/// What became of an event, in `route_metrics_events_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was recorded.
    Accepted,
    /// Its metric is not declared.
    UnknownMetric,
    /// The report as a whole, or this event in it, does not have the form of one.
    Malformed,
    /// It has a label that is not declared, or a value that its metric cannot take.
    Invalid,
}

/// Why an event was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// How it counts.
    pub outcome: Outcome,
    /// Which part of the event it is about; empty for the whole.
    pub part: String,
    /// What was found and what is allowed.
    pub message: String,
}

impl Refusal {
    pub(super) fn new(
        outcome: Outcome,
        part: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self { outcome, part: part.into(), message: message.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part.as_str() {
            "" => f.write_str(&self.message),
            part => write!(f, "{part}: {}", self.message),
        }
    }
}

/// An event as it was reported, not yet checked.
#[derive(Debug, Default)]
pub(super) struct Reported<'a> {
    pub(super) metric: Cow<'a, str>,
    pub(super) labels: Vec<(Cow<'a, str>, Cow<'a, [u8]>)>,
    /// 1 where it is absent.
    pub(super) value: Option<Number>,
}

/// An event that has passed the check.
#[derive(Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The place of its metric in [`EventsPlan::metrics`].
    metric: usize,
    /// By place among the metric's labels; `None` where it was not reported.
    labels: Vec<Option<Cow<'a, [u8]>>>,
    amount: u64,
}

/// A text of the application's in a message: printable, and not longer than it helps.
pub(super) fn shown(text: &str) -> String {
    const SHOWN: usize = 64;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

impl EventsPlan {
    pub(super) fn check<'a>(&self, reported: Reported<'a>) -> Result<Event<'a>, Refusal> {
        let Reported { metric: name, labels: pairs, value } = reported;
        let found = self.metrics.iter().enumerate().find(|(_, m)| m.metric.name == name);
        let Some((place, EventMetric { metric, scale })) = found else {
            let message = format!(
                "{} is not declared; declare it in `custom_metrics` with \"source\": \"event\"",
                shown(&name)
            );
            return Err(Refusal::new(Outcome::UnknownMetric, "metric", message));
        };
        let mut labels = vec![None; metric.labels.len()];
        for (label, text) in pairs {
            let declared = metric.labels.iter().position(|l| l.name == label);
            let Some(slot) = declared.and_then(|place| labels.get_mut(place)) else {
                let declared: Vec<&str> = metric.labels.iter().map(|l| l.name.as_str()).collect();
                let declared = match declared.as_slice() {
                    [] => "none".to_owned(),
                    declared => format!("`{}`", declared.join("`, `")),
                };
                let message = format!("{} is not declared; `{name}` has {declared}", shown(&label));
                return Err(Refusal::new(Outcome::Invalid, "labels", message));
            };
            *slot = Some(text);
        }
        let amount = value
            .unwrap_or(Number::Whole(1))
            .amount(metric.kind, *scale)
            .map_err(|message| Refusal::new(Outcome::Invalid, "value", message))?;
        Ok(Event { metric: place, labels, amount })
    }
}

/// What was defined for the events of one configuration.
#[derive(Debug, Default)]
pub struct Families {
    families: Vec<Family>,
    outcomes: [Handle; 4],
}

impl Families {
    /// Defines what the events of a plan need; nothing where there are none.
    pub fn define(
        host: &impl Host,
        registry: &mut Registry,
        plan: &EventsPlan,
        max: usize,
    ) -> Self {
        if !plan.is_on() {
            return Self::default();
        }
        let metrics = plan.metrics.iter().filter(|_| plan.recorded);
        let families =
            metrics.map(|m| rules::define(host, registry, &m.metric, &[], max)).collect();
        let outcomes = ["accepted", "unknown_metric", "malformed", "invalid"].map(|outcome| {
            let labels = [("outcome", outcome)];
            registry.own(host, MetricKind::Counter, "route_metrics_events_total", &labels)
        });
        Self { families, outcomes }
    }

    /// Counts events by what became of them.
    pub fn count(&self, host: &impl Host, outcome: Outcome, events: usize) {
        if let Some(handle) = self.outcomes.get(outcome as usize) {
            handle.add(host, events as u64);
        }
    }

    /// Records events that have passed the check, and counts them.
    pub fn record(
        &self,
        host: &impl Host,
        registry: &mut Registry,
        plan: &EventsPlan,
        events: &[Event<'_>],
        words: Words<'_>,
    ) {
        for event in events {
            let (Some(declared), Some(family)) =
                (plan.metrics.get(event.metric), self.families.get(event.metric))
            else {
                continue;
            };
            let metric = &declared.metric;
            let mut ids = [ValueId { id: 0, folded: false }; MAX_LABELS];
            let labels = metric.labels.iter().zip(&event.labels).zip(&family.values);
            for (to, ((label, text), &list)) in ids.iter_mut().zip(labels) {
                let text =
                    words.buffers.reported(label, text.as_deref(), words.max, words.hash_key);
                *to = registry.value(host, list, text);
            }
            let amount = match metric.kind {
                MetricKind::Counter => Amount::Add(event.amount),
                _ => Amount::Record(event.amount),
            };
            let ids = ids.get(..metric.labels.len()).unwrap_or_default();
            registry.record(host, family.family, ids, amount);
        }
        self.count(host, Outcome::Accepted, events.len());
    }
}

/// What it takes to write label values.
pub struct Words<'a> {
    /// Characters of a value.
    pub max: usize,
    /// The key of hashed values.
    pub hash_key: &'a [u8; 16],
    /// Room for them.
    pub buffers: &'a mut Buffers,
}

#[cfg(test)]
mod tests;
