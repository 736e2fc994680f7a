//! The tables of the page.

use maud::{Markup, html};

use super::{class, width};
use crate::command::plot::count;
use crate::command::preview::report::{EndpointReport, MetricReport, Report};
use crate::command::preview::text::{bytes, milliseconds, percent};

/// Endpoints in the table, and those in sight at once.
const MAX_ROWS: usize = 500;
const OPEN_ROWS: usize = 25;

pub(super) fn endpoints(report: &Report) -> Markup {
    let rows = |from: usize, to: usize| report.endpoints.iter().take(to).skip(from);
    let hidden = report.endpoints.len().min(MAX_ROWS).saturating_sub(OPEN_ROWS);
    let rest = report.endpoints.iter().skip(MAX_ROWS).map(|row| row.requests).sum::<u64>()
        + report.other_endpoints_requests;
    html! {
        section {
            h2 { "Endpoints" }
            (endpoint_table(report, rows(0, OPEN_ROWS)))
            @if hidden > 0 {
                details {
                    summary { (count(hidden as u64)) " more" }
                    (endpoint_table(report, rows(OPEN_ROWS, MAX_ROWS)))
                }
            }
            @if rest > 0 {
                p.soft {
                    (count(rest)) " requests (" (percent(rest, report.requests))
                    ") in further endpoints, which are not shown."
                }
            }
        }
    }
}

fn endpoint_table<'a>(report: &Report, rows: impl Iterator<Item = &'a EndpointReport>) -> Markup {
    let most = report.endpoints.first().map_or(1, |endpoint| endpoint.requests.max(1));
    let durations = report.endpoints.iter().any(|endpoint| endpoint.duration_ms.is_some());
    html! {
        table {
            tr {
                th { "Endpoint" }
                th { "From" }
                th.wide { "Methods" }
                th.wide { "Statuses" }
                th.n { "Requests" }
                th.n.wide { "Share" }
                th.wide {}
                @if durations { th.n.wide { "p50 ms" } th.n { "p99 ms" } }
            }
            @for row in rows { (endpoint_row(report, row, most, durations)) }
        }
    }
}

/// A path that breaks behind its slashes.
fn breakable(path: &str) -> Markup {
    html! { @for part in path.split_inclusive('/') { (part) wbr; } }
}

/// The endpoint; behind a click, why it is that.
fn endpoint_name(row: &EndpointReport) -> Markup {
    let name = html! { code { (breakable(&row.endpoint)) } };
    html! {
        @if row.segments.is_empty() {
            (name)
        } @else {
            details.why {
                summary { (name) }
                ul.soft {
                    @for reason in &row.segments { li { (reason.line()) } }
                }
            }
        }
    }
}

fn endpoint_row(report: &Report, row: &EndpointReport, most: u64, durations: bool) -> Markup {
    let status_class = |name: &str| match name {
        "2xx" => "c2",
        "3xx" => "c3",
        "4xx" => "c4",
        "5xx" => "c5",
        _ => "c0",
    };
    let statuses: Vec<String> = row
        .statuses
        .iter()
        .map(|(name, requests)| format!("{name} {}", count(*requests)))
        .collect();
    let methods: Vec<&str> = row.methods.keys().copied().collect();
    let exceptions: Vec<String> = row
        .exceptions
        .iter()
        // Plain codes are among the statuses.
        .filter(|(name, _)| name.parse::<u16>().is_err())
        .map(|(name, requests)| format!("{name} {}", count(*requests)))
        .collect();
    html! {
        tr {
            td title={ "such as " (row.example) } {
                (endpoint_name(row))
                @if row.folded { " " span.bad { "folded" } }
                @if let Some(became) = &row.became {
                    " " span.soft { "later " code { (breakable(became)) } }
                }
                @if !exceptions.is_empty() {
                    small.bad { (exceptions.join(", ")) }
                }
            }
            td {
                span class={ "tag " (class(row.source)) }
                    title=(row.entry.as_deref().unwrap_or(row.source.name())) {
                    (row.source.name())
                }
            }
            td.wide.soft.methods { (methods.join(" ")) }
            td.wide title=(statuses.join(", ")) {
                div.mini {
                    @for (name, requests) in &row.statuses {
                        i class=(status_class(name)) style=(width(*requests, row.requests)) {}
                    }
                }
            }
            td.n { (count(row.requests)) }
            td.n.wide { (percent(row.requests, report.requests)) }
            td.wide {
                div.bar { i class=(class(row.source)) style=(width(row.requests, most)) {} }
            }
            @if durations {
                @let [p50, p99] = match row.duration_ms {
                    Some(duration) => [duration.p50, duration.p99].map(milliseconds),
                    None => ["–", "–"].map(str::to_owned),
                };
                td.n.wide { (p50) }
                td.n { (p99) }
            }
        }
    }
}

pub(super) fn metrics(report: &Report) -> Markup {
    let [vm_one, vm_four] = report.cost.vm_bytes.map(bytes);
    html! {
        section {
            h2 { "Series against the limits" }
            table {
                tr {
                    th { "Metric" }
                    th { "Label values" }
                    th.n { "Series" }
                    th.n.wide { "Limit" }
                    th.wide {}
                    th.n.wide { "Memory, 1 worker" }
                    th.n.wide { "4 workers" }
                    th.n.wide { "Scrape" }
                }
                @for metric in &report.metrics { (metric_row(metric)) }
            }
            p.soft {
                "Memory is that of Envoy for the series, from measurements. Wasm itself takes "
                (vm_one) " with one worker and " (vm_four) " with four, whatever the traffic."
            }
        }
    }
}

fn metric_row(metric: &MetricReport) -> Markup {
    let MetricReport { metric: name, of, kind, labels, series, changes, series_limit, .. } = metric;
    let is_full = *series > 1 && series >= series_limit;
    let [one, four] = metric.memory_bytes.map(bytes);
    html! {
        tr {
            td {
                code { (name) } " " span.soft { (kind) }
                @if *changes == 0 { " " span.soft { (of.without_changes()) } }
            }
            td.soft {
                @for (index, label) in labels.iter().enumerate() {
                    @if index > 0 { ", " }
                    span.pair {
                        (label.label) " "
                        span.bad[label.values >= label.limit] {
                            (label.values) "/" (label.limit)
                        }
                    }
                }
            }
            td.n { (count(*series)) }
            td.n.wide { (count(*series_limit)) }
            td.wide {
                div.bar {
                    i class=(if is_full { "full" } else { "fill" })
                        style=(width(*series, *series_limit)) {}
                }
            }
            td.n.wide { (one) }
            td.n.wide { (four) }
            td.n.wide { (bytes(metric.scrape_bytes)) }
        }
    }
}

pub(super) fn overflow(report: &Report) -> Markup {
    let is_empty = report.folded.is_empty() && report.folded_endpoints_total == 0;
    html! {
        @if !is_empty {
            section {
                h2 { "Overflow" }
                p.soft {
                    "Requests that a limit counts under " code { "_OTHER" }
                    ". None is lost: the sum over a metric stays right."
                }
                table {
                    tr {
                        th { "Metric" }
                        th { "Label" }
                        th.n { "Requests" }
                        th.n { "Share" }
                    }
                    @for fold in &report.folded {
                        tr {
                            td { code { (fold.metric) } }
                            td { (fold.label) }
                            td.n { (count(fold.requests)) }
                            td.n { (percent(fold.requests, report.requests)) }
                        }
                    }
                }
                @if !report.waiting.is_empty() {
                    p { "Values that wait for a place, and are counted under " code { "_OTHER" } " so far:" }
                    ul {
                        @for waiting in &report.waiting {
                            li { code { (waiting.list) } ": " (count(waiting.values)) }
                        }
                    }
                }
                @if report.folded_endpoints_total > 0 {
                    p {
                        (count(report.folded_endpoints_total as u64))
                        " endpoints have no value of their own, the most frequent:"
                    }
                    pre { (report.folded_endpoints.join("\n")) }
                }
            }
        }
    }
}

pub(super) fn inputs(report: &Report) -> Markup {
    let broken: Vec<_> = report
        .inputs
        .iter()
        .flat_map(|input| input.broken_examples.iter().map(move |example| (&input.name, example)))
        .collect();
    let joined = |counts: &mut dyn Iterator<Item = (&str, u64)>| -> String {
        counts
            .map(|(name, lines)| format!("{name} {}", count(lines)))
            .collect::<Vec<_>>()
            .join(", ")
    };
    html! {
        section {
            h2 { "What was read" }
            table {
                tr {
                    th { "Log" }
                    th { "Requests" }
                    th.wide { "Other lines" }
                    th.n { "Lines" }
                    th.n.wide { "Bytes" }
                    th.n { "Not understood" }
                }
                @for input in &report.inputs {
                    tr {
                        td { code { (input.name) } }
                        td { (joined(&mut input.formats.iter().map(|(name, n)| (*name, *n)))) }
                        td.wide.soft {
                            (joined(&mut input.reasons.iter().map(|(why, n)| (why.as_str(), *n))))
                        }
                        td.n { (count(input.lines)) }
                        td.n.wide { (bytes(input.bytes)) }
                        td.n.bad[input.not_understood > 0] { (count(input.not_understood)) }
                    }
                }
            }
            @if !report.durations.is_empty() {
                p { "Units of durations that have none in the log:" }
                ul {
                    @for duration in &report.durations {
                        li {
                            (duration.input) ": " code { (duration.field) } " in " (duration.unit)
                            span.soft { " – " (duration.why) }
                        }
                    }
                }
            }
            @if !broken.is_empty() {
                p { "The first lines that are no requests:" }
                pre {
                    @for (name, (line, why, text)) in broken {
                        (name) ":" (line) ": " span.bad { (why) } ": " (text) "\n"
                    }
                }
            }
            p.soft {
                (format!("Read and replayed in {:.1} s, ", report.timing.seconds))
                (count(report.timing.lines_per_second as u64)) " lines a second."
            }
        }
    }
}
