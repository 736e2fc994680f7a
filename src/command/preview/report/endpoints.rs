//! The endpoints of the report, and the templates that are made of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::command::openapi;
use crate::command::preview::cost;
use crate::command::preview::host::Stat;
use crate::command::preview::log::{Spread, Unit};
use crate::command::preview::replay::{Replay, Seen, shown};
use crate::endpoint::{CanonicalPath, Decided, Origin, Reason};
use crate::labels::source::SourcePlan;
use crate::labels::{self, UNMATCHED};
use crate::plan::Measure;

/// Where an endpoint came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// An entry of `exclude`.
    Exclude,
    /// An entry of `templates`.
    Template,
    /// An entry of `rules`.
    Rule,
    /// Envoy's route name.
    RouteName,
    /// Inferred from the path alone.
    Heuristic,
    /// Inferred from what other paths were like.
    Learned,
    /// No endpoint.
    Unmatched,
}

impl Source {
    /// All of them, in the order of decision.
    pub const ALL: [Self; 7] = [
        Self::Exclude,
        Self::Template,
        Self::Rule,
        Self::RouteName,
        Self::Heuristic,
        Self::Learned,
        Self::Unmatched,
    ];

    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Exclude => "exclude",
            Self::Template => "template",
            Self::Rule => "rule",
            Self::RouteName => "route name",
            Self::Heuristic => "heuristic",
            Self::Learned => "learned",
            Self::Unmatched => "unmatched",
        }
    }
}

/// One endpoint.
#[derive(Clone, Debug, Serialize)]
pub struct EndpointReport {
    /// The label value before limits; of an excluded one the entry of `exclude`.
    pub endpoint: String,
    /// What gave it.
    pub source: Source,
    /// The entry of the configuration, as `templates[3]`.
    pub entry: Option<String>,
    /// How many.
    pub requests: u64,
    /// Of all requests, 0 to 1.
    pub share: f64,
    /// By method.
    pub methods: BTreeMap<&'static str, u64>,
    /// By class of the status; `none` where no response was sent.
    pub statuses: BTreeMap<&'static str, u64>,
    /// By the type of the exception, as the label has it.
    pub exceptions: BTreeMap<String, u64>,
    /// Quantiles and mean of the duration in milliseconds, where the log has it; within 7 %.
    pub duration_ms: Option<Quantiles>,
    /// Bytes of all response bodies.
    pub response_bytes: u64,
    /// A path of it.
    pub example: String,
    /// Whether a limit leaves it without a label value of its own.
    pub folded: bool,
    /// The endpoint that its paths have at the end of the log, where learning has changed it.
    pub became: Option<String>,
    /// Where it is inferred, for each segment of [`Self::example`] what it is in [`Self::settled`],
    /// and why, as it was at the end of the log.
    pub segments: Vec<Reason>,
    /// [`Self::settled`] in full, where the limit on the length of values cuts it.
    #[serde(skip)]
    pub uncut: Option<String>,
}

impl EndpointReport {
    /// The endpoint that its paths have at the end of the log.
    #[must_use]
    pub fn settled(&self) -> &str {
        self.became.as_deref().unwrap_or(&self.endpoint)
    }
}

/// Quantiles.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Quantiles {
    /// Of all.
    pub mean: f64,
    /// The median.
    pub p50: f64,
    /// 95 % are below.
    pub p95: f64,
    /// 99 % are below.
    pub p99: f64,
}

/// The values of the label that shows endpoints as they are; `None` where no metric has one.
pub(super) fn admitted_endpoints(replay: &Replay, stats: &[Stat]) -> Option<BTreeSet<String>> {
    let plan = &replay.plan;
    let shows = |place: &&usize| {
        plan.labels.get(**place).is_some_and(|label| {
            label.source == SourcePlan::Endpoint && label.choice.listed.is_none() && !label.hash
        })
    };
    let mut found = None;
    for metric in &plan.metrics {
        let Some(place) = metric.labels.iter().find(shows) else { continue };
        let Some(label) = plan.labels.get(*place) else { continue };
        let found = found.get_or_insert_with(BTreeSet::new);
        for stat in stats {
            let (name, labels) = cost::parse_name(&stat.name);
            if name == metric.name {
                let value = labels.iter().find(|(name, _)| *name == label.name);
                found.extend(value.map(|(_, value)| (*value).to_owned()));
            }
        }
    }
    found
}

pub(super) fn endpoint(
    replay: &Replay,
    seen: &Seen,
    admitted: Option<&BTreeSet<String>>,
) -> EndpointReport {
    let (method, example) = &seen.example;
    let path = CanonicalPath::new(example);
    let mut text = String::new();
    let mut entry = None;
    let source = match seen.decided {
        Decided::Excluded | Decided::Configured(_) => {
            let found = replay.plan.endpoints.explain(method, &path);
            text = found.map(|found| found.label.to_owned()).unwrap_or_default();
            entry = found.map(|found| found.origin.to_string());
            match found.map(|found| found.origin) {
                Some(Origin::Exclude(_)) => Source::Exclude,
                Some(Origin::Rule(_)) => Source::Rule,
                Some(Origin::Template(_)) | None => Source::Template,
            }
        }
        Decided::Written if &*seen.text == UNMATCHED.as_bytes() => Source::Unmatched,
        Decided::Written if seen.route => Source::RouteName,
        Decided::Written if seen.learned => Source::Learned,
        Decided::Written => Source::Heuristic,
    };
    if let Decided::Written = seen.decided {
        labels::encode(&seen.text, replay.plan.max_value_length, &mut text);
    }
    let is_folded = seen.decided != Decided::Excluded
        && admitted.is_some_and(|admitted| {
            let mut value = String::new();
            labels::encode(text.as_bytes(), replay.plan.max_value_length, &mut value);
            !admitted.contains(&value)
        });
    let encoded = |text: &[u8], max| {
        let mut value = String::new();
        labels::encode(text, max, &mut value);
        value
    };
    let is_inferred = matches!(source, Source::Heuristic | Source::Learned);
    let now = is_inferred
        .then(|| replay.inferred_now(method, &path))
        .flatten()
        .filter(|now| *now != *seen.text);
    let became = now.as_deref().map(|now| encoded(now, replay.plan.max_value_length));
    let settled = became.as_ref().unwrap_or(&text);
    let uncut = Some(encoded(now.as_deref().unwrap_or(&seen.text), usize::MAX))
        .filter(|uncut| is_inferred && uncut != settled);
    let classes = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];
    let ms = |ns: f64| ns / 1e6;
    let durations = durations(replay, seen);
    let quantile = |q| durations.quantile(q).map(ms);
    EndpointReport {
        endpoint: text,
        source,
        entry,
        requests: seen.requests,
        share: seen.requests as f64 / replay.requests.max(1) as f64,
        methods: seen.methods.iter().copied().collect(),
        statuses: classes.into_iter().zip(seen.classes).filter(|(_, count)| *count > 0).collect(),
        duration_ms: quantile(0.5).zip(quantile(0.95)).zip(quantile(0.99)).map(
            |((p50, p95), p99)| Quantiles {
                mean: ms(durations.mean().unwrap_or(0.0)),
                p50,
                p95,
                p99,
            },
        ),
        exceptions: BTreeMap::new(),
        response_bytes: seen.bytes,
        example: shown(example),
        folded: is_folded,
        became,
        segments: if is_inferred { segments(replay, method, &path) } else { Vec::new() },
        uncut,
    }
}

/// Why the segments of a path are what they are at the end of the log, as it can be shown.
fn segments(replay: &Replay, method: &[u8], path: &CanonicalPath<'_>) -> Vec<Reason> {
    let mut reasons = replay.reasons_now(method, path);
    for Reason { segment, label, .. } in &mut reasons {
        *segment = shown(segment.as_bytes());
        *label = shown(label.as_bytes());
    }
    reasons
}

/// The durations of an endpoint in nanoseconds.
fn durations(replay: &Replay, seen: &Seen) -> Spread {
    let mut all = seen.durations.clone();
    for (source, spread) in &seen.numbers {
        let source = replay.parser.sources().get(usize::from(*source));
        let unit = source.map(|source| source.unit(replay.parser.forced_unit()));
        all.add_all(spread, unit.map_or(1.0, Unit::ns));
    }
    all
}

/// The exceptions by endpoint and type, as the metric has them.
pub(super) fn exceptions(replay: &Replay, stats: &[Stat]) -> Vec<(String, String, u64)> {
    let plan = &replay.plan;
    let mut found = Vec::new();
    for metric in plan.metrics.iter().filter(|metric| metric.measure == Measure::Exceptions) {
        let label = |source: SourcePlan| {
            let labels = metric.labels.iter().filter_map(|&place| plan.labels.get(place));
            labels.into_iter().find(|label| label.source == source).map(|label| &*label.name)
        };
        let (endpoint, kind) = (label(SourcePlan::Endpoint), label(SourcePlan::ExceptionType));
        for stat in stats {
            let (name, labels) = cost::parse_name(&stat.name);
            let value = |label: Option<&str>| {
                labels.iter().find(|(name, _)| Some(*name) == label).map(|(_, value)| *value)
            };
            if let (true, Some(kind)) = (name == metric.name, value(kind)) {
                let endpoint = value(endpoint).unwrap_or_default().to_owned();
                found.push((endpoint, kind.to_owned(), stat.value));
            }
        }
    }
    found
}

/// Adds them to the rows of their endpoints; those that are folded have none.
pub(super) fn add_exceptions(
    endpoints: &mut [EndpointReport],
    exceptions: &[(String, String, u64)],
) {
    for (endpoint, kind, requests) in exceptions {
        let row = endpoints
            .iter_mut()
            .find(|row| row.endpoint == *endpoint && row.source != Source::Exclude);
        if let Some(row) = row {
            *row.exceptions.entry(kind.clone()).or_default() += requests;
        }
    }
}

/// The templates of the configuration, and behind them the inferred endpoints.
pub(super) fn templates(replay: &Replay, endpoints: &[EndpointReport]) -> Vec<String> {
    let mut templates = replay.config.endpoint.templates.clone();
    let inferred = endpoints
        .iter()
        .filter(|endpoint| matches!(endpoint.source, Source::Heuristic | Source::Learned))
        // Half an endpoint is none; the printed configuration raises the limit that cuts it.
        .map(|endpoint| endpoint.uncut.as_deref().unwrap_or(endpoint.settled()));
    let mut known: BTreeSet<String> = templates.iter().cloned().collect();
    for template in openapi::templates_of_labels(inferred) {
        if known.insert(template.clone()) {
            templates.push(template);
        }
    }
    // A label of many segments, say, ends in what only stands for the rest of it.
    openapi::drop_refused(&mut templates);
    templates
}
