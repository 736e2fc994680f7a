//! What came of a replay, as data.

mod endpoints;
mod inputs;
mod metrics;
mod notes;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

pub use endpoints::{EndpointReport, Quantiles, Source};
pub use inputs::{DurationReport, Input};
pub use metrics::{Fold, LabelReport, MetricReport, Of, Waiting};

use super::cost;
use super::host::Stat;
use super::replay::Replay;
use crate::command::openapi;

/// Endpoints that are named as folded.
const MAX_FOLDED: usize = 20;

/// The whole report. Its JSON form is stable: members are added, not renamed.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Of the command.
    pub version: &'static str,
    /// What was read, one for each file.
    pub inputs: Vec<Input>,
    /// Requests that were replayed.
    pub requests: u64,
    /// Lines that were no requests.
    pub broken_lines: u64,
    /// Of them, lines that are likely to be requests.
    pub not_understood: u64,
    /// What was taken for the unit of durations that have none in the log.
    pub durations: Vec<DurationReport>,
    /// Requests of a sidecar by their direction, as Istio's cluster names tell it.
    pub directions: Directions,
    /// What the filter did with them.
    pub decisions: Decisions,
    /// The endpoints, the most frequent first. Those that are excluded have no series.
    pub endpoints: Vec<EndpointReport>,
    /// Requests of further endpoints, which are not counted one by one.
    pub other_endpoints_requests: u64,
    /// Requests by the type of their exception.
    pub exceptions: BTreeMap<String, u64>,
    /// The metrics.
    pub metrics: Vec<MetricReport>,
    /// Values that wait for a place at the end of the log, by list.
    pub waiting: Vec<Waiting>,
    /// What limits have folded, by metric and label.
    pub folded: Vec<Fold>,
    /// Endpoints that have no label value of their own, the most frequent first, as many as are
    /// named.
    pub folded_endpoints: Vec<String>,
    /// How many there are.
    pub folded_endpoints_total: usize,
    /// Series of all metrics, the filter's own included.
    pub series: u64,
    /// What they cost.
    pub cost: Cost,
    /// How long it took.
    pub timing: Timing,
    /// Requests, endpoints and stats defined so far, in the course of the log.
    pub growth: Vec<(u64, usize, usize)>,
    /// Inferred endpoints as they are at the end of the log, as templates, behind those of the
    /// configuration.
    pub templates: Vec<String>,
    /// What to know about the figures.
    pub notes: Vec<String>,
}

/// Requests by the direction in which they pass a sidecar.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Directions {
    /// To the workload of the sidecar.
    pub inbound: u64,
    /// From it.
    pub outbound: u64,
    /// Of them, those that `--direction` leaves out.
    pub left_out: u64,
}

/// The values of `route_metrics_requests_total`.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Decisions {
    /// Recorded.
    pub recorded: u64,
    /// Not in the sample; 0, because sampling is left out.
    pub sampled_out: u64,
    /// Excluded.
    pub excluded: u64,
}

/// What all series cost. Arrays are for one worker and for four.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Cost {
    /// Envoy's memory for the series, in bytes.
    pub memory_bytes: [u64; 2],
    /// What Wasm and the VMs of the filter take besides, in bytes.
    pub vm_bytes: [u64; 2],
    /// One scrape, in bytes, unpacked.
    pub scrape_bytes: u64,
}

/// How long it took.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Timing {
    /// Reading and replaying, in seconds.
    pub seconds: f64,
    /// Lines a second.
    pub lines_per_second: f64,
    /// One request in the filter, the median, natively on this machine, without Envoy and Wasm, in
    /// nanoseconds; within 7 %. 0 where there were too few requests.
    pub filter_ns_per_request: f64,
}

impl Report {
    /// The report of a replay that took `elapsed`.
    #[must_use]
    pub fn new(replay: &mut Replay, elapsed: Duration) -> Self {
        replay.finish();
        let stats = replay.host().stats();
        let own = |name: &str, label: &str, value: &str| -> u64 {
            let found = stats.iter().find(|stat| {
                let (metric, labels) = cost::parse_name(&stat.name);
                metric == name && labels.contains(&(label, value))
            });
            found.map_or(0, |stat| stat.value)
        };
        let decision = |value| own("route_metrics_requests_total", "decision", value);
        let decisions = Decisions {
            recorded: decision("recorded"),
            sampled_out: decision("sampled_out"),
            excluded: decision("excluded"),
        };
        let metrics = metrics::metrics(replay, &stats);
        let admitted = endpoints::admitted_endpoints(replay, &stats);
        let exceptions = endpoints::exceptions(replay, &stats);
        let mut endpoints: Vec<EndpointReport> = replay
            .endpoints
            .iter()
            .map(|seen| endpoints::endpoint(replay, seen, admitted.as_ref()))
            .collect();
        endpoints::add_exceptions(&mut endpoints, &exceptions);
        endpoints.sort_by(|one, two| {
            two.requests.cmp(&one.requests).then_with(|| one.endpoint.cmp(&two.endpoint))
        });
        let folded_all = endpoints.iter().filter(|endpoint| endpoint.folded);
        let folded_endpoints_total = folded_all.clone().count();
        let folded_endpoints =
            folded_all.take(MAX_FOLDED).map(|endpoint| endpoint.endpoint.clone()).collect();
        let inputs: Vec<Input> = replay.inputs.iter().map(inputs::input).collect();
        let forced = replay.parser.forced_unit();
        let sources = replay.parser.sources().iter();
        let durations = sources.map(|source| inputs::duration(source, forced, &inputs)).collect();
        let mut by_type: BTreeMap<String, u64> = BTreeMap::new();
        for (_, kind, requests) in exceptions {
            *by_type.entry(kind).or_default() += requests;
        }
        let lines: u64 = inputs.iter().map(|input| input.lines).sum();
        let seconds = elapsed.as_secs_f64();
        let memory = |place: usize| -> u64 {
            let each = |stat: &Stat| cost::memory(stat.kind, 1).get(place).copied().unwrap_or(0);
            stats.iter().map(each).sum()
        };
        let mut report = Self {
            version: env!("CARGO_PKG_VERSION"),
            requests: replay.requests,
            broken_lines: inputs.iter().map(|input| input.broken_lines).sum(),
            not_understood: inputs.iter().map(|input| input.not_understood).sum(),
            inputs,
            durations,
            directions: replay.directions,
            decisions,
            templates: endpoints::templates(replay, &endpoints),
            exceptions: by_type,
            endpoints,
            other_endpoints_requests: replay.untracked,
            metrics,
            waiting: metrics::waiting(&stats),
            folded: metrics::folded(&stats),
            folded_endpoints,
            folded_endpoints_total,
            series: stats.len() as u64,
            cost: Cost {
                memory_bytes: [memory(0), memory(1)],
                vm_bytes: cost::vms(),
                scrape_bytes: stats.iter().map(cost::scrape).sum(),
            },
            timing: Timing {
                seconds,
                lines_per_second: if seconds > 0.0 { lines as f64 / seconds } else { 0.0 },
                filter_ns_per_request: replay.ns_per_request(),
            },
            growth: replay.curve.with_end((replay.requests, replay.endpoints.len(), stats.len())),
            notes: Vec::new(),
        };
        report.notes = notes::notes(replay, &report);
        report
    }

    /// The plugin configuration with [`Report::templates`], and higher limits where they need them.
    #[must_use]
    pub fn configuration(&self) -> serde_json::Value {
        let methods: usize = self
            .endpoints
            .iter()
            .filter(|endpoint| !matches!(endpoint.source, Source::Exclude | Source::Unmatched))
            .map(|endpoint| endpoint.methods.len())
            .sum();
        openapi::configuration(&self.templates, &[], methods)
    }
}
