//! The report as one HTML page: no script, no network, light and dark, wide and narrow.
//!
//! Paths and log lines are whatever clients sent. The template library escapes every text, and the
//! page's own policy lets a browser run or load nothing.

mod tables;

use std::io::{self, Write};

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::report::{EndpointReport, Report, Source};
use super::text::{bytes, percent};
use crate::command::plot::{self, Line, Range, count};

/// Endpoints in the plot of durations.
const PLOTTED: usize = 15;

/// Writes the page.
///
/// # Errors
/// Those of the writer.
pub fn write(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let names: Vec<&str> = report.inputs.iter().map(|input| input.name.as_str()).collect();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "route-metrics preview" }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                main {
                    h1 { "Preview of the metrics" }
                    p.sub { "route-metrics " (report.version) " on " (names.join(", ")) }
                    (cards(report))
                    (sources(report))
                    (tables::endpoints(report))
                    (tables::metrics(report))
                    (tables::overflow(report))
                    (growth(report))
                    (durations(report))
                    (tables::inputs(report))
                    (notes(report))
                }
            }
        }
    };
    out.write_all(page.into_string().as_bytes())?;
    out.write_all(b"\n")
}

/// The class of a source in the style sheet.
fn class(source: Source) -> &'static str {
    match source {
        Source::RouteName => "route_name",
        source => source.name(),
    }
}

/// A width in percent.
fn width(part: u64, whole: u64) -> String {
    format!("width:{:.3}%", (100.0 * part as f64 / whole.max(1) as f64).min(100.0))
}

fn counted(report: &Report) -> impl Iterator<Item = &EndpointReport> {
    report.endpoints.iter().filter(|endpoint| endpoint.source != Source::Exclude)
}

/// One figure above the tables.
struct Card {
    value: String,
    name: &'static str,
    more: String,
    is_bad: bool,
}

fn cards(report: &Report) -> Markup {
    let [one, four] = report.cost.memory_bytes.map(bytes);
    let folded: u64 = report.folded.iter().map(|fold| fold.requests).max().unwrap_or(0);
    let card = |value: String, name, more: String, is_bad| Card { value, name, more, is_bad };
    let cards = [
        card(
            count(report.requests),
            "requests",
            match report.not_understood {
                0 => format!("{} excluded", count(report.decisions.excluded)),
                missed => format!("{} more not understood", count(missed)),
            },
            report.not_understood > 0,
        ),
        card(
            count(counted(report).count() as u64),
            "endpoints",
            match report.folded_endpoints_total {
                0 => "each with a label value".to_owned(),
                folded => format!("{} of them folded", count(folded as u64)),
            },
            report.folded_endpoints_total > 0,
        ),
        card(
            count(report.series),
            "series",
            match folded {
                0 => "no overflow".to_owned(),
                folded => format!("{} of requests in _OTHER", percent(folded, report.requests)),
            },
            folded > 0,
        ),
        card(one, "memory", format!("1 worker; {four} with 4"), false),
        card(bytes(report.cost.scrape_bytes), "one scrape", "before compression".to_owned(), false),
        card(
            format!("{:.0} ns", report.timing.filter_ns_per_request),
            "per request",
            "the filter alone, native".to_owned(),
            false,
        ),
    ];
    html! {
        div.cards {
            @for card in cards {
                div {
                    b { (card.value) }
                    (card.name)
                    small.bad[card.is_bad] { (card.more) }
                }
            }
        }
    }
}

fn sources(report: &Report) -> Markup {
    let rows: Vec<(Source, u64, u64)> = Source::ALL
        .into_iter()
        .map(|source| {
            let of = report.endpoints.iter().filter(|endpoint| endpoint.source == source);
            (source, of.clone().count() as u64, of.map(|endpoint| endpoint.requests).sum())
        })
        .filter(|(_, endpoints, _)| *endpoints > 0)
        .collect();
    html! {
        section {
            h2 { "What gave the endpoint" }
            div.stack {
                @for (source, _, requests) in &rows {
                    i class=(class(*source)) style=(width(*requests, report.requests)) {}
                }
            }
            p.legend {
                @for (source, endpoints, requests) in &rows {
                    span.item {
                        span class={ "key " (class(*source)) } {}
                        (source.name()) ": " (count(*requests)) " requests ("
                        (percent(*requests, report.requests)) "), " (count(*endpoints))
                        @if *endpoints == 1 { " endpoint" } @else { " endpoints" }
                    }
                }
            }
        }
    }
}

fn growth(report: &Report) -> Markup {
    let points = |pick: fn(&(u64, usize, usize)) -> usize| {
        report.growth.iter().map(|point| (point.0 as f64, pick(point) as f64)).collect()
    };
    let lines = [
        Line { name: "endpoints", class: "s1", points: points(|point| point.1) },
        Line { name: "series", class: "s2", points: points(|point| point.2) },
    ];
    let title = "Endpoints and series in the course of the log";
    html! {
        @if let Some(chart) = plot::lines(title, "requests", &lines) {
            section {
                h2 { "In the course of the log" }
                p.soft {
                    "Both should level off: what still grows at the end will grow in production."
                }
                div.plot { (chart) }
            }
        }
    }
}

fn durations(report: &Report) -> Markup {
    let rows = report.endpoints.iter().filter_map(|row| {
        let duration = row.duration_ms?;
        Some(Range { name: &row.endpoint, dots: [duration.p50, duration.p95, duration.p99] })
    });
    let rows: Vec<Range<'_>> = rows.take(PLOTTED).collect();
    let title = "Durations of the most frequent endpoints";
    html! {
        @if let Some(chart) = plot::ranges(title, &rows) {
            section {
                h2 { (title) }
                p.legend {
                    @for (class, name) in [("d1", "p50"), ("d2", "p95"), ("d3", "p99")] {
                        span.item { span class={ "key " (class) } {} (name) }
                    }
                }
                div.plot { (chart) }
            }
        }
    }
}

fn notes(report: &Report) -> Markup {
    html! {
        @if !report.notes.is_empty() {
            section {
                h2 { "Notes" }
                ul { @for note in &report.notes { li { (note) } } }
            }
        }
    }
}
