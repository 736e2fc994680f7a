//! The metrics of the report: their series and what limits folded.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::command::preview::cost;
use crate::command::preview::host::Stat;
use crate::command::preview::replay::Replay;
use crate::host::MetricKind;
use crate::labels::source::LabelPlan;
use crate::plan::CustomPlan;

/// One metric.
#[derive(Clone, Debug, Serialize)]
pub struct MetricReport {
    /// Its name.
    pub metric: String,
    /// What it is of.
    pub of: Of,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// Its labels, and how many values each has against how many it may have.
    pub labels: Vec<LabelReport>,
    /// How many series it has.
    pub series: u64,
    /// How often one of them was changed; 0 where no request of the log belongs to it.
    pub changes: u64,
    /// How many it may have.
    pub series_limit: u64,
    /// Envoy's memory for it in bytes, with one worker and with four.
    pub memory_bytes: [u64; 2],
    /// Bytes of it in a scrape.
    pub scrape_bytes: u64,
}

/// What a metric is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    /// Every request.
    Requests,
    /// Requests that an entry of `custom_metrics` chooses.
    Custom,
    /// What the application reports; no access log holds it.
    Events,
}

impl Of {
    /// Why a metric has no series that changed.
    #[must_use]
    pub fn without_changes(self) -> &'static str {
        match self {
            Self::Requests => "no request in the log",
            Self::Custom => "no request of the log belongs to it",
            Self::Events => "reported by the application, not in logs",
        }
    }
}

/// One label of a metric.
#[derive(Clone, Debug, Serialize)]
pub struct LabelReport {
    /// Its name.
    pub label: String,
    /// Values in the series of this metric.
    pub values: usize,
    /// How many there may be.
    pub limit: usize,
}

/// Values that wait for a place in a list.
#[derive(Clone, Debug, Serialize)]
pub struct Waiting {
    /// The labels of the list, joined by slashes.
    pub list: String,
    /// How many values.
    pub values: u64,
}

/// What a limit has folded into `_OTHER`.
#[derive(Clone, Debug, Serialize)]
pub struct Fold {
    /// The metric.
    pub metric: String,
    /// The label.
    pub label: String,
    /// Requests.
    pub requests: u64,
}

fn kind_name(kind: MetricKind) -> &'static str {
    match kind {
        MetricKind::Counter => "counter",
        MetricKind::Gauge => "gauge",
        MetricKind::Histogram => "histogram",
    }
}

/// All metrics with series of their own: those of requests, then custom ones, then those that the
/// application reports.
pub(super) fn metrics(replay: &Replay, stats: &[Stat]) -> Vec<MetricReport> {
    let plan = &replay.plan;
    let of_requests = plan.metrics.iter().map(|metric| {
        let labels = metric.labels.iter().filter_map(|&place| plan.labels.get(place));
        row(stats, Of::Requests, &metric.name, metric.kind, labels, metric.max_series)
    });
    let custom = |of: Of, metric: &CustomPlan| {
        row(stats, of, &metric.name, metric.kind, metric.labels.iter(), metric.max_series)
    };
    let rules = plan.rules.all().iter().map(|rule| custom(Of::Custom, &rule.metric));
    let events = plan.events.metrics.iter().map(|event| custom(Of::Events, &event.metric));
    of_requests.chain(rules).chain(events).collect()
}

fn row<'a>(
    stats: &[Stat],
    of: Of,
    name: &str,
    kind: MetricKind,
    labels: impl Iterator<Item = &'a LabelPlan>,
    max_series: usize,
) -> MetricReport {
    let labels: Vec<&LabelPlan> = labels.collect();
    let mut values: Vec<BTreeSet<&str>> = vec![BTreeSet::new(); labels.len()];
    let (mut series, mut changes, mut scrape_bytes) = (0, 0, 0);
    for stat in stats {
        let (found, pairs) = cost::parse_name(&stat.name);
        if found != name {
            continue;
        }
        series += 1;
        changes += stat.count;
        scrape_bytes += cost::scrape(stat);
        for (seen, (_, value)) in values.iter_mut().zip(pairs) {
            seen.insert(value);
        }
    }
    let labels = labels.into_iter().zip(values).map(|(label, values)| LabelReport {
        label: label.name.clone(),
        values: values.len(),
        limit: label.max_values,
    });
    MetricReport {
        metric: name.to_owned(),
        of,
        kind: kind_name(kind),
        labels: labels.collect(),
        series,
        changes,
        series_limit: max_series as u64,
        memory_bytes: cost::memory(kind, series),
        scrape_bytes,
    }
}

/// What waits for a place, where the filter tells it.
pub(super) fn waiting(stats: &[Stat]) -> Vec<Waiting> {
    let of_list = |stat: &Stat| {
        let (name, labels) = cost::parse_name(&stat.name);
        let list: Vec<&str> = labels.iter().map(|(_, value)| *value).collect();
        let is_waiting = name == "route_metrics_values_waiting" && stat.value > 0;
        is_waiting.then(|| Waiting { list: list.join("/"), values: stat.value })
    };
    stats.iter().filter_map(of_list).collect()
}

pub(super) fn folded(stats: &[Stat]) -> Vec<Fold> {
    let mut folds = Vec::new();
    for stat in stats {
        let (name, labels) = cost::parse_name(&stat.name);
        if let ("route_metrics_overflow_total", [(_, metric), (_, label)]) = (name, &*labels) {
            folds.push(Fold {
                metric: (*metric).to_owned(),
                label: (*label).to_owned(),
                requests: stat.value,
            });
        }
    }
    folds.sort_by_key(|fold| std::cmp::Reverse(fold.requests));
    folds
}
