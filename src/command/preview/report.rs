//! What came of a replay, as data.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use super::cost;
use super::host::Stat;
use super::log::{Format, MAX_LINE};
use super::replay::{Replay, Seen, shown};
use crate::command::openapi;
use crate::config::InferenceMode;
use crate::endpoint::{CanonicalPath, Decided, Origin};
use crate::host::MetricKind;
use crate::labels::source::SourcePlan;
use crate::labels::{self, UNMATCHED};

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
    /// What the filter did with them.
    pub decisions: Decisions,
    /// The endpoints, the most frequent first. Those that are excluded have no series.
    pub endpoints: Vec<EndpointReport>,
    /// Requests of further endpoints, which are not counted one by one.
    pub other_endpoints_requests: u64,
    /// The metrics of requests.
    pub metrics: Vec<MetricReport>,
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

/// What was read of one file.
#[derive(Clone, Debug, Serialize)]
pub struct Input {
    /// The file.
    pub name: String,
    /// Lines, empty ones included.
    pub lines: u64,
    /// Bytes of the lines, unpacked.
    pub bytes: u64,
    /// Requests by format.
    pub formats: BTreeMap<&'static str, u64>,
    /// Lines that were no requests.
    pub broken_lines: u64,
    /// The first of them: line number, why, text.
    pub broken_examples: Vec<(u64, String, String)>,
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

/// One metric.
#[derive(Clone, Debug, Serialize)]
pub struct MetricReport {
    /// Its name.
    pub metric: String,
    /// `counter` or `histogram`.
    pub kind: &'static str,
    /// Its labels, and how many values each has against how many it may have.
    pub labels: Vec<LabelReport>,
    /// How many series it has.
    pub series: u64,
    /// How many it may have.
    pub series_limit: u64,
    /// Envoy's memory for it in bytes, with one worker and with four.
    pub memory_bytes: [u64; 2],
    /// Bytes of it in a scrape.
    pub scrape_bytes: u64,
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
        let metrics = metrics(replay, &stats, &own);
        let admitted = admitted_endpoints(replay, &stats);
        let mut endpoints: Vec<EndpointReport> =
            replay.endpoints.iter().map(|seen| endpoint(replay, seen, admitted.as_ref())).collect();
        endpoints.sort_by(|one, two| {
            two.requests.cmp(&one.requests).then_with(|| one.endpoint.cmp(&two.endpoint))
        });
        let folded_all = endpoints.iter().filter(|endpoint| endpoint.folded);
        let folded_endpoints_total = folded_all.clone().count();
        let folded_endpoints =
            folded_all.take(MAX_FOLDED).map(|endpoint| endpoint.endpoint.clone()).collect();
        let inputs: Vec<Input> = replay.inputs.iter().map(input).collect();
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
            inputs,
            decisions,
            templates: templates(replay, &endpoints),
            endpoints,
            other_endpoints_requests: replay.untracked,
            metrics,
            folded: folded(&stats),
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
        report.notes = notes(replay, &report);
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
        openapi::configuration(&self.templates, methods)
    }
}

fn input(counts: &super::replay::InputCounts) -> Input {
    let formats = Format::ALL.iter().zip(counts.formats).filter(|(_, count)| *count > 0);
    let example = |(line, why, text): &(u64, super::log::Broken, String)| {
        (*line, why.to_string(), text.clone())
    };
    Input {
        name: counts.name.clone(),
        lines: counts.lines,
        bytes: counts.bytes,
        formats: formats.map(|(format, count)| (format.name(), count)).collect(),
        broken_lines: counts.broken,
        broken_examples: counts.examples.iter().map(example).collect(),
    }
}

fn kind_name(kind: MetricKind) -> &'static str {
    match kind {
        MetricKind::Counter => "counter",
        MetricKind::Gauge => "gauge",
        MetricKind::Histogram => "histogram",
    }
}

fn metrics(
    replay: &Replay,
    stats: &[Stat],
    own: &impl Fn(&str, &str, &str) -> u64,
) -> Vec<MetricReport> {
    let plan = &replay.plan;
    let mut reports = Vec::new();
    for metric in &plan.metrics {
        let mut values: Vec<BTreeSet<&str>> = vec![BTreeSet::new(); metric.labels.len()];
        let mut scrape_bytes = 0;
        for stat in stats {
            let (name, labels) = cost::parse_name(&stat.name);
            if name != metric.name {
                continue;
            }
            scrape_bytes += cost::scrape(stat);
            for (seen, (_, value)) in values.iter_mut().zip(labels) {
                seen.insert(value);
            }
        }
        let labels = metric.labels.iter().zip(values).filter_map(|(&place, values)| {
            let label = plan.labels.get(place)?;
            Some(LabelReport {
                label: label.name.clone(),
                values: values.len(),
                limit: label.max_values,
            })
        });
        let series = own("route_metrics_series", "metric", &metric.name);
        reports.push(MetricReport {
            metric: metric.name.clone(),
            kind: kind_name(metric.kind),
            labels: labels.collect(),
            series,
            series_limit: own("route_metrics_series_limit", "metric", &metric.name),
            memory_bytes: cost::memory(metric.kind, series),
            scrape_bytes,
        });
    }
    reports
}

fn folded(stats: &[Stat]) -> Vec<Fold> {
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

/// The values of the label that shows endpoints as they are; `None` where no metric has one.
fn admitted_endpoints(replay: &Replay, stats: &[Stat]) -> Option<BTreeSet<String>> {
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

fn endpoint(replay: &Replay, seen: &Seen, admitted: Option<&BTreeSet<String>>) -> EndpointReport {
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
    let became = matches!(source, Source::Heuristic | Source::Learned)
        .then(|| replay.inferred_now(&path))
        .flatten()
        .filter(|now| *now != *seen.text)
        .map(|now| {
            let mut text = String::new();
            labels::encode(&now, replay.plan.max_value_length, &mut text);
            text
        });
    let classes = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];
    let ms = |ns: f64| ns / 1e6;
    let durations = &seen.durations;
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
                mean: ms(durations.sum as f64 / durations.count.max(1) as f64),
                p50,
                p95,
                p99,
            },
        ),
        response_bytes: seen.bytes,
        example: shown(example),
        folded: is_folded,
        became,
    }
}

/// The templates of the configuration, and behind them the inferred endpoints.
fn templates(replay: &Replay, endpoints: &[EndpointReport]) -> Vec<String> {
    let mut templates = replay.config.endpoint.templates.clone();
    let inferred = endpoints
        .iter()
        .filter(|endpoint| matches!(endpoint.source, Source::Heuristic | Source::Learned))
        .map(EndpointReport::settled);
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

fn notes(replay: &Replay, report: &Report) -> Vec<String> {
    let mut notes = Vec::new();
    let (config, plan) = (&replay.config, &replay.plan);
    if !plan.enabled {
        notes.push("`enabled` is false, so nothing is recorded".to_owned());
    }
    if config.sampling.rate < 1.0 {
        let rate = config.sampling.rate;
        notes.push(format!(
            "sampling is left out here: with `sampling.rate` {rate} rare series come later"
        ));
    }
    if plan.export {
        notes.push("`endpoint.export` has no effect here".to_owned());
    }
    let mut headers: Vec<&str> = Vec::new();
    for label in &plan.labels {
        let from_header = match &label.source {
            SourcePlan::RequestHeader(place) => {
                plan.request_headers.get(*place).is_some_and(|header| header.name != ":authority")
            }
            SourcePlan::ResponseHeader(_) | SourcePlan::VirtualHost => true,
            SourcePlan::GrpcStatus | SourcePlan::GrpcService | SourcePlan::GrpcMethod => true,
            _ => false,
        };
        if from_header && !headers.contains(&label.name.as_str()) {
            headers.push(&label.name);
        }
    }
    if !headers.is_empty() {
        notes.push(format!(
            "access logs do not hold what the label{} {} {} made of, so there is one value here; \
             multiply the series by the number of values to expect",
            if headers.len() == 1 { "" } else { "s" },
            headers.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
            if headers.len() == 1 { "is" } else { "are" },
        ));
    }
    if plan.exception_header.is_some() {
        notes.push(
            "exceptions are told from response flags and codes alone; the header with their type \
             is not in access logs"
                .to_owned(),
        );
    }
    if !config.custom_metrics.is_empty() {
        notes.push("custom metrics that need headers or events stay without requests".to_owned());
    }
    if replay.with_duration < replay.requests {
        notes.push(format!(
            "{} of {} requests have no duration in the log; they count as 0",
            replay.requests - replay.with_duration,
            replay.requests
        ));
    }
    if replay.with_size < replay.requests {
        notes.push(format!(
            "{} of {} requests have no response size in the log; they count as 0",
            replay.requests - replay.with_size,
            replay.requests
        ));
    }
    if plan.inference == InferenceMode::Adaptive {
        notes.push(
            "one worker learns from the whole log here; several share what they learn within \
             seconds"
                .to_owned(),
        );
    }
    if report.folded_endpoints_total > 0 || !report.folded.is_empty() {
        let counted = report.endpoints.iter().filter(|e| e.source != Source::Exclude);
        let all = counted.clone().count();
        let settled = counted.map(EndpointReport::settled).collect::<BTreeSet<_>>().len();
        notes.push(format!(
            "limits fold requests into _OTHER: with the labels that learning gave up later there \
             were {all} endpoints, at the end of the log {settled}. With the output of --templates \
             as configuration each has a place from the start"
        ));
    }
    let too_long = replay.inputs.iter().flat_map(|input| &input.examples);
    if too_long.into_iter().any(|(_, why, _)| *why == super::log::Broken::TooLong) {
        notes.push(format!("lines of more than {MAX_LINE} bytes were skipped"));
    }
    notes.extend(replay.host().complaints().into_iter().take(5));
    notes
}
