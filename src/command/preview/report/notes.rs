//! What to know about the figures.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::{Directions, EndpointReport, Of, Report, Source};
use crate::command::preview::log::{Broken, MAX_LINE};
use crate::command::preview::replay::Replay;
use crate::command::preview::text::percent;
use crate::config::InferenceMode;
use crate::labels::source::SourcePlan;

/// Codes that are named of the requests without an endpoint.
const MAX_CODES: usize = 6;

pub(super) fn notes(replay: &Replay, report: &Report) -> Vec<String> {
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
    unmatched(replay, &mut notes);
    custom(report, &mut notes);
    reading(replay, report, &mut notes);
    if replay.with_duration < replay.requests {
        notes.push(format!(
            "{} of {} requests have no duration in the log; they count as 0. If it is there under \
             another name, --duration-field names it",
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
        let limit = places(report).filter(|_| report.folded_endpoints_total > 0);
        if let Some(limit) = limit {
            notes.push(format!(
                "`endpoint` has {limit} places, so {} endpoints went to _OTHER: where they are the \
                 application's own, raise `limits.max_endpoints` to {} or more",
                report.folded_endpoints_total,
                (settled + 100).next_multiple_of(100).max(limit + 100)
            ));
        }
    }
    let too_long = replay.inputs.iter().flat_map(|input| &input.examples);
    if too_long.into_iter().any(|(_, why, _)| *why == Broken::TooLong) {
        notes.push(format!("lines of more than {MAX_LINE} bytes were skipped"));
    }
    notes.extend(replay.host().complaints().into_iter().take(5));
    notes
}

/// Requests without an endpoint are few where nobody scans, unless all is answered with 404 or 401.
fn unmatched(replay: &Replay, notes: &mut Vec<String>) {
    let all: u64 = replay.unmatched.values().sum();
    if all * 10 < replay.requests || all == 0 {
        return;
    }
    let share = percent(all, replay.requests);
    let whole = replay.requests;
    if replay.plan.inference == InferenceMode::Off {
        notes.push(format!(
            "{all} of {whole} requests ({share}) are _UNMATCHED: `endpoint.inference` is \"off\", so \
             only templates and rules give endpoints"
        ));
        return;
    }
    let mut codes: Vec<(u64, u16)> = replay.unmatched.iter().map(|(code, n)| (*n, *code)).collect();
    codes.sort_by_key(|&(requests, code)| (Reverse(requests), code));
    let codes: Vec<String> = codes
        .iter()
        .take(MAX_CODES)
        .map(|(requests, code)| match code {
            0 => format!("no answer {requests}"),
            code => format!("{code} {requests}"),
        })
        .collect();
    notes.push(format!(
        "{all} of {whole} requests ({share}) are _UNMATCHED, by status: {}. A path is inferred only \
         from an answer that says that the application knows it, and the codes of \
         `endpoint.ignore_statuses` do not. Paths that are its own belong in `endpoint.templates`: \
         these count whatever the answer is",
        codes.join(", ")
    ));
}

/// The limit on endpoints, where a metric has them as a label.
fn places(report: &Report) -> Option<usize> {
    let mut labels = report.metrics.iter().flat_map(|row| &row.labels);
    labels.find(|label| label.label == "endpoint").map(|label| label.limit)
}

/// Metrics that stay without series because a log does not hold what they are made of.
fn custom(report: &Report, notes: &mut Vec<String>) {
    let without = |of: Of| -> Vec<String> {
        let rows = report.metrics.iter().filter(|row| row.of == of && row.changes == 0);
        rows.map(|row| format!("`{}`", row.metric)).collect()
    };
    let (custom, events) = (without(Of::Custom), without(Of::Events));
    if !custom.is_empty() {
        notes.push(format!(
            "no request of the log belongs to {}; conditions and values from headers are not in \
             access logs",
            custom.join(", ")
        ));
    }
    if !events.is_empty() {
        notes.push(format!(
            "the application reports {}, so no access log can show their series",
            events.join(", ")
        ));
    }
}

/// What was guessed or left out in reading.
fn reading(replay: &Replay, report: &Report, notes: &mut Vec<String>) {
    for duration in report.durations.iter().filter(|duration| duration.guessed) {
        notes.push(format!(
            "{}: `{}` is taken for {} ({}); --duration-unit settles it",
            duration.input, duration.field, duration.unit, duration.why
        ));
    }
    let Directions { inbound, outbound, left_out } = report.directions;
    if inbound > 0 && outbound > 0 && left_out == 0 {
        notes.push(format!(
            "the log of a sidecar: {inbound} requests are inbound and {outbound} outbound. The filter \
             sees those of the listeners that it is in; --direction inbound or outbound leaves out \
             the others"
        ));
    }
    let mut told = BTreeSet::new();
    for (_, why, _) in replay.inputs.iter().flat_map(|input| &input.examples) {
        if let Some(way_out) = why.way_out().filter(|_| told.insert(*why)) {
            notes.push(format!("lines with \u{201c}{why}\u{201d}: {way_out}"));
        }
    }
}
