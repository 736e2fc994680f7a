//! The report for a terminal.

use std::io::{self, Write};

use super::report::{EndpointReport, Report, Source};
use crate::command::plot::count;

/// Endpoints that are shown; the rest is summed up.
const MAX_ROWS: usize = 50;

/// Writes the report as text, at most about a hundred columns wide but for long endpoints; with
/// `why` each inferred endpoint is followed by the reasons for its segments.
///
/// # Errors
/// Those of the writer.
pub fn write_text(report: &Report, why: bool, out: &mut impl Write) -> io::Result<()> {
    for input in &report.inputs {
        let formats: Vec<String> =
            input.formats.iter().map(|(name, n)| format!("{name} {}", count(*n))).collect();
        let formats =
            if formats.is_empty() { "no requests".to_owned() } else { formats.join(", ") };
        writeln!(out, "{}: {} lines, {formats}", input.name, count(input.lines))?;
        if input.broken_lines > 0 {
            let reasons: Vec<String> =
                input.reasons.iter().map(|(why, n)| format!("{} {why}", count(*n))).collect();
            writeln!(
                out,
                "  {} lines are no requests ({}), {} of them were likely meant to be, the first:",
                count(input.broken_lines),
                reasons.join(", "),
                count(input.not_understood)
            )?;
            for (line, why, text) in &input.broken_examples {
                writeln!(out, "    line {line}: {why}: {text}")?;
            }
        }
    }
    for duration in &report.durations {
        writeln!(
            out,
            "{}: {} durations \"{}\" in {}: {}",
            duration.input,
            count(duration.requests),
            duration.field,
            duration.unit,
            duration.why
        )?;
    }
    let directions = &report.directions;
    if directions.inbound + directions.outbound > 0 {
        writeln!(
            out,
            "{} requests are inbound, {} outbound; {} left out",
            count(directions.inbound),
            count(directions.outbound),
            count(directions.left_out)
        )?;
    }
    let decisions = &report.decisions;
    writeln!(
        out,
        "\n{} requests: {} recorded, {} excluded",
        count(report.requests),
        count(decisions.recorded),
        count(decisions.excluded)
    )?;
    endpoints(report, why, out)?;
    metrics(report, out)?;
    overflow(report, out)?;
    let cost = &report.cost;
    let [one, four] = cost.memory_bytes.map(bytes);
    let [vm_one, vm_four] = cost.vm_bytes.map(bytes);
    writeln!(out, "\nEstimated cost in Envoy, {} series in all", count(report.series))?;
    writeln!(out, "  memory of the series     {one} with 1 worker, {four} with 4")?;
    writeln!(out, "  memory of Wasm           {vm_one} with 1 worker, {vm_four} with 4")?;
    writeln!(out, "  one scrape               {}", bytes(cost.scrape_bytes))?;
    let timing = &report.timing;
    writeln!(
        out,
        "\n{:.1} s, {} lines/s; {:.0} ns per request in the filter (native, without Envoy)",
        timing.seconds,
        count(timing.lines_per_second as u64),
        timing.filter_ns_per_request
    )?;
    if !report.notes.is_empty() {
        writeln!(out)?;
    }
    for note in &report.notes {
        writeln!(out, "note: {note}")?;
    }
    Ok(())
}

fn endpoints(report: &Report, why: bool, out: &mut impl Write) -> io::Result<()> {
    let by_source = |source: Source| {
        let of = report.endpoints.iter().filter(move |endpoint| endpoint.source == source);
        (of.clone().count(), of.map(|endpoint| endpoint.requests).sum::<u64>())
    };
    writeln!(out, "\n{:<12} {:>9} {:>12} {:>7}", "rule", "endpoints", "requests", "share")?;
    for source in Source::ALL {
        let (endpoints, requests) = by_source(source);
        if endpoints > 0 {
            let share = percent(requests, report.requests);
            let (endpoints, requests) = (count(endpoints as u64), count(requests));
            writeln!(out, "{:<12} {endpoints:>9} {requests:>12} {share:>7}", source.name())?;
        }
    }
    let durations = report.endpoints.iter().any(|endpoint| endpoint.duration_ms.is_some());
    write!(out, "\n{:>12} {:>7}  {:<10}", "requests", "share", "rule")?;
    if durations {
        write!(out, " {:>9} {:>9}", "p50 ms", "p99 ms")?;
    }
    writeln!(out, "  endpoint")?;
    for endpoint in report.endpoints.iter().take(MAX_ROWS) {
        let EndpointReport {
            endpoint: name,
            source,
            requests,
            duration_ms,
            folded,
            became,
            segments,
            example,
            ..
        } = endpoint;
        let share = percent(*requests, report.requests);
        write!(out, "{:>12} {share:>7}  {:<10}", count(*requests), source.name())?;
        if durations {
            let [p50, p99] = match duration_ms {
                Some(duration) => [duration.p50, duration.p99].map(milliseconds),
                None => ["-", "-"].map(str::to_owned),
            };
            write!(out, " {p50:>9} {p99:>9}")?;
        }
        write!(out, "  {name}{}", if *folded { "  (folded into _OTHER)" } else { "" })?;
        match became {
            Some(became) => writeln!(out, "  (later {became})")?,
            None => writeln!(out)?,
        }
        if !why {
            continue;
        }
        if !segments.is_empty() {
            writeln!(out, "{:>20}  such as {example}", "")?;
        }
        for reason in segments {
            writeln!(out, "{:>22}  {}", "", reason.line())?;
        }
    }
    let rest = report.endpoints.iter().skip(MAX_ROWS);
    let (more, requests) = (rest.clone().count(), rest.map(|e| e.requests).sum::<u64>());
    let requests = requests + report.other_endpoints_requests;
    if requests > 0 {
        let beyond = if report.other_endpoints_requests > 0 { "more than " } else { "" };
        writeln!(
            out,
            "{:>12} {:>7}  in {beyond}{} further endpoints (--json has them)",
            count(requests),
            percent(requests, report.requests),
            count(more as u64)
        )?;
    }
    Ok(())
}

fn metrics(report: &Report, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "\n{:<42} {:>8} {:>8} {:>10} {:>10}  label values",
        "metric", "series", "limit", "memory", "scrape"
    )?;
    for metric in &report.metrics {
        let labels: Vec<String> = metric
            .labels
            .iter()
            .map(|label| format!("{} {}/{}", label.label, label.values, label.limit))
            .collect();
        let [_, memory] = metric.memory_bytes;
        writeln!(
            out,
            "{:<42} {:>8} {:>8} {:>10} {:>10}  {}",
            metric.metric,
            count(metric.series),
            count(metric.series_limit),
            bytes(memory),
            bytes(metric.scrape_bytes),
            if metric.changes == 0 {
                metric.of.without_changes().to_owned()
            } else {
                labels.join(", ")
            }
        )?;
    }
    Ok(())
}

fn overflow(report: &Report, out: &mut impl Write) -> io::Result<()> {
    if !report.waiting.is_empty() {
        writeln!(out, "\nValues that wait for a place, counted under _OTHER so far")?;
    }
    for waiting in &report.waiting {
        writeln!(out, "{:>12}  {}", count(waiting.values), waiting.list)?;
    }
    if report.folded.is_empty() {
        return writeln!(out, "\nNo overflow: every value has its series.");
    }
    writeln!(out, "\nOverflow: requests counted under _OTHER, by metric and label")?;
    for fold in &report.folded {
        let share = percent(fold.requests, report.requests);
        writeln!(out, "{:>12} {share:>7}  {} {}", count(fold.requests), fold.metric, fold.label)?;
    }
    if report.folded_endpoints_total > 0 {
        let total = count(report.folded_endpoints_total as u64);
        writeln!(out, "{total} endpoints have no value of their own, the most frequent:")?;
        for endpoint in &report.folded_endpoints {
            writeln!(out, "  {endpoint}")?;
        }
    }
    Ok(())
}

pub(super) fn percent(part: u64, whole: u64) -> String {
    let share = 100.0 * part as f64 / whole.max(1) as f64;
    match share {
        share if part > 0 && share < 0.01 => "<0.01%".to_owned(),
        share if share < 1.0 => format!("{share:.2}%"),
        share => format!("{share:.1}%"),
    }
}

/// Decimal units.
pub(super) fn bytes(value: u64) -> String {
    let value = value as f64;
    match value {
        value if value < 1e3 => format!("{value:.0} B"),
        value if value < 1e6 => format!("{:.1} kB", value / 1e3),
        value if value < 1e9 => format!("{:.1} MB", value / 1e6),
        value => format!("{:.1} GB", value / 1e9),
    }
}

pub(super) fn milliseconds(value: f64) -> String {
    match value {
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => count(value as u64),
    }
}
