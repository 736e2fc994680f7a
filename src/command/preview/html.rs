//! The report as one HTML page: no script, no network, light and dark.
//!
//! Paths and log lines are whatever clients sent. Every text is escaped, and the page's own policy
//! lets a browser run or load nothing.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::report::{EndpointReport, MetricReport, Report, Source};
use super::svg::{self, Line, Range};
use super::text::{bytes, count, milliseconds, percent};

/// Endpoints in the table, those in sight at once, and those in the plot of durations.
const MAX_ROWS: usize = 500;
const OPEN_ROWS: usize = 25;
const PLOTTED: usize = 15;

/// Writes the page.
///
/// # Errors
/// Those of the writer.
pub fn write(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let mut page = String::new();
    page.push_str(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>route-metrics preview</title>\n<style>\n",
    );
    page.push_str(include_str!("style.css"));
    page.push_str("</style>\n</head>\n<body>\n<main>\n<h1>Preview of the metrics</h1>\n");
    let names: Vec<String> = report.inputs.iter().map(|input| escape(&input.name)).collect();
    let _ = writeln!(
        page,
        "<p class=\"sub\">route-metrics {} on {}</p>",
        report.version,
        names.join(", ")
    );
    cards(report, &mut page);
    sources(report, &mut page);
    endpoints(report, &mut page);
    metrics(report, &mut page);
    overflow(report, &mut page);
    growth(report, &mut page);
    durations(report, &mut page);
    inputs(report, &mut page);
    page.push_str("</main>\n</body>\n</html>\n");
    out.write_all(page.as_bytes())
}

/// Text as it may stand in HTML, in and outside of attributes.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

fn class(source: Source) -> &'static str {
    match source {
        Source::RouteName => "route_name",
        source => source.name(),
    }
}

fn counted(report: &Report) -> impl Iterator<Item = &EndpointReport> {
    report.endpoints.iter().filter(|endpoint| endpoint.source != Source::Exclude)
}

fn cards(report: &Report, page: &mut String) {
    let [one, four] = report.cost.memory_bytes.map(bytes);
    let folded: u64 = report.folded.iter().map(|fold| fold.requests).max().unwrap_or(0);
    let timing = &report.timing;
    let cards = [
        (
            count(report.requests),
            "requests".to_owned(),
            format!("{} excluded", count(report.decisions.excluded)),
            false,
        ),
        (
            count(counted(report).count() as u64),
            "endpoints".to_owned(),
            match report.folded_endpoints_total {
                0 => "each with a label value".to_owned(),
                folded => format!("{} of them folded", count(folded as u64)),
            },
            report.folded_endpoints_total > 0,
        ),
        (
            count(report.series),
            "series".to_owned(),
            match folded {
                0 => "no overflow".to_owned(),
                folded => format!("{} of requests in _OTHER", percent(folded, report.requests)),
            },
            folded > 0,
        ),
        (one, "memory, 1 worker".to_owned(), format!("{four} with 4 workers"), false),
        (
            bytes(report.cost.scrape_bytes),
            "one scrape".to_owned(),
            "before compression".to_owned(),
            false,
        ),
        (
            format!("{:.0} ns", timing.filter_ns_per_request),
            "per request".to_owned(),
            "the filter alone, native".to_owned(),
            false,
        ),
    ];
    page.push_str("<div class=\"cards\">\n");
    for (value, name, more, bad) in cards {
        let style = if bad { " class=\"bad\"" } else { "" };
        let _ = writeln!(page, "<div><b>{value}</b>{name}<small{style}>{more}</small></div>");
    }
    page.push_str("</div>\n");
}

fn sources(report: &Report, page: &mut String) {
    let rows: Vec<(Source, u64, u64)> = Source::ALL
        .into_iter()
        .map(|source| {
            let of = report.endpoints.iter().filter(|endpoint| endpoint.source == source);
            (source, of.clone().count() as u64, of.map(|endpoint| endpoint.requests).sum())
        })
        .filter(|(_, endpoints, _)| *endpoints > 0)
        .collect();
    page.push_str("<section>\n<h2>What gave the endpoint</h2>\n<div class=\"stack\">");
    for (source, _, requests) in &rows {
        let width = 100.0 * *requests as f64 / report.requests.max(1) as f64;
        let _ = write!(page, "<i class=\"{}\" style=\"width:{width:.3}%\"></i>", class(*source));
    }
    page.push_str("</div>\n<p class=\"legend\">");
    for (source, endpoints, requests) in &rows {
        let _ = write!(
            page,
            "<span class=\"item\"><span class=\"key {}\"></span>{}: {} requests ({}), {} endpoint{}</span> ",
            class(*source),
            source.name(),
            count(*requests),
            percent(*requests, report.requests),
            count(*endpoints),
            if *endpoints == 1 { "" } else { "s" },
        );
    }
    page.push_str("</p>\n</section>\n");
}

fn endpoints(report: &Report, page: &mut String) {
    page.push_str("<section>\n<h2>Endpoints</h2>\n");
    endpoint_table(report, report.endpoints.iter().take(OPEN_ROWS), page);
    let hidden = report.endpoints.len().min(MAX_ROWS).saturating_sub(OPEN_ROWS);
    if hidden > 0 {
        let _ = writeln!(page, "<details><summary>{} more</summary>", count(hidden as u64));
        let rows = report.endpoints.iter().take(MAX_ROWS).skip(OPEN_ROWS);
        endpoint_table(report, rows, page);
        page.push_str("</details>\n");
    }
    let rest = report.endpoints.iter().skip(MAX_ROWS).map(|e| e.requests).sum::<u64>()
        + report.other_endpoints_requests;
    if rest > 0 {
        let _ = writeln!(
            page,
            "<p class=\"soft\">{} requests ({}) in further endpoints, which are not shown.</p>",
            count(rest),
            percent(rest, report.requests)
        );
    }
    page.push_str("</section>\n");
}

fn endpoint_table<'a>(
    report: &Report,
    rows: impl Iterator<Item = &'a EndpointReport>,
    page: &mut String,
) {
    let most = report.endpoints.first().map_or(1, |endpoint| endpoint.requests.max(1));
    let durations = report.endpoints.iter().any(|endpoint| endpoint.duration_ms.is_some());
    page.push_str(
        "<table>\n<tr><th>Endpoint</th><th>From</th><th>Methods</th><th>Statuses</th>\
         <th class=\"n\">Requests</th><th class=\"n\">Share</th><th></th>",
    );
    if durations {
        page.push_str("<th class=\"n\">p50 ms</th><th class=\"n\">p99 ms</th>");
    }
    page.push_str("</tr>\n");
    for endpoint in rows {
        let mut statuses = String::new();
        let mut names = Vec::new();
        for (name, requests) in &endpoint.statuses {
            let class = match *name {
                "2xx" => "c2",
                "3xx" => "c3",
                "4xx" => "c4",
                "5xx" => "c5",
                _ => "c0",
            };
            let width = 100.0 * *requests as f64 / endpoint.requests.max(1) as f64;
            let _ = write!(statuses, "<i class=\"{class}\" style=\"width:{width:.2}%\"></i>");
            names.push(format!("{name} {}", count(*requests)));
        }
        let methods: Vec<&str> = endpoint.methods.keys().copied().collect();
        let entry = endpoint.entry.as_deref().unwrap_or(endpoint.source.name());
        let width = 100.0 * endpoint.requests as f64 / most as f64;
        let _ = write!(
            page,
            "<tr><td title=\"such as {}\"><code>{}</code>{}{}</td>\
             <td><span class=\"tag {}\" title=\"{}\">{}</span></td><td class=\"soft\">{}</td>\
             <td title=\"{}\"><div class=\"mini\">{statuses}</div></td>\
             <td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td><div class=\"bar\"><i class=\"{}\" style=\"width:{width:.2}%\"></i></div></td>",
            escape(&endpoint.example),
            escape(&endpoint.endpoint),
            if endpoint.folded { " <span class=\"bad\">folded</span>" } else { "" },
            endpoint.became.as_deref().map_or_else(String::new, |became| format!(
                " <span class=\"soft\">later <code>{}</code></span>",
                escape(became)
            )),
            class(endpoint.source),
            escape(entry),
            endpoint.source.name(),
            escape(&methods.join(" ")),
            escape(&names.join(", ")),
            count(endpoint.requests),
            percent(endpoint.requests, report.requests),
            class(endpoint.source),
        );
        if durations {
            let [p50, p99] = match endpoint.duration_ms {
                Some(duration) => [duration.p50, duration.p99].map(milliseconds),
                None => ["–", "–"].map(str::to_owned),
            };
            let _ = write!(page, "<td class=\"n\">{p50}</td><td class=\"n\">{p99}</td>");
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table>\n");
}

fn metrics(report: &Report, page: &mut String) {
    page.push_str(
        "<section>\n<h2>Series against the limits</h2>\n<table>\n<tr><th>Metric</th>\
         <th>Label values</th><th class=\"n\">Series</th><th class=\"n\">Limit</th><th></th>\
         <th class=\"n\">Memory, 1 worker</th><th class=\"n\">4 workers</th>\
         <th class=\"n\">Scrape</th></tr>\n",
    );
    for metric in &report.metrics {
        let MetricReport { metric: name, kind, labels, series, series_limit, .. } = metric;
        let labels: Vec<String> = labels
            .iter()
            .map(|label| {
                let full = label.values >= label.limit;
                let (open, close) =
                    if full { ("<span class=\"bad\">", "</span>") } else { ("", "") };
                let name = escape(&label.label);
                format!("{name} {open}{}/{}{close}", label.values, label.limit)
            })
            .collect();
        let width = (100.0 * *series as f64 / (*series_limit).max(1) as f64).min(100.0);
        let fill = if width >= 99.0 { "full" } else { "fill" };
        let [one, four] = metric.memory_bytes.map(bytes);
        let _ = writeln!(
            page,
            "<tr><td><code>{}</code> <span class=\"soft\">{kind}</span></td>\
             <td class=\"soft\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td><div class=\"bar\"><i class=\"{fill}\" style=\"width:{width:.2}%\"></i></div></td>\
             <td class=\"n\">{one}</td><td class=\"n\">{four}</td><td class=\"n\">{}</td></tr>",
            escape(name),
            labels.join(", "),
            count(*series),
            count(*series_limit),
            bytes(metric.scrape_bytes)
        );
    }
    let [vm_one, vm_four] = report.cost.vm_bytes.map(bytes);
    let _ = writeln!(
        page,
        "</table>\n<p class=\"soft\">Memory is that of Envoy for the series, from measurements. Wasm \
         itself takes {vm_one} with one worker and {vm_four} with four, whatever the traffic.</p>\n\
         </section>"
    );
}

fn overflow(report: &Report, page: &mut String) {
    if report.folded.is_empty() && report.folded_endpoints_total == 0 {
        return;
    }
    page.push_str(
        "<section>\n<h2>Overflow</h2>\n<p class=\"soft\">Requests that a limit counts under \
         <code>_OTHER</code>. None is lost: the sum over a metric stays right.</p>\n<table>\n\
         <tr><th>Metric</th><th>Label</th><th class=\"n\">Requests</th><th class=\"n\">Share</th>\
         </tr>\n",
    );
    for fold in &report.folded {
        let _ = writeln!(
            page,
            "<tr><td><code>{}</code></td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            escape(&fold.metric),
            escape(&fold.label),
            count(fold.requests),
            percent(fold.requests, report.requests)
        );
    }
    page.push_str("</table>\n");
    if report.folded_endpoints_total > 0 {
        let _ = write!(
            page,
            "<p>{} endpoints have no value of their own, the most frequent:</p>\n<pre>",
            count(report.folded_endpoints_total as u64)
        );
        for endpoint in &report.folded_endpoints {
            let _ = writeln!(page, "{}", escape(endpoint));
        }
        page.push_str("</pre>\n");
    }
    page.push_str("</section>\n");
}

fn growth(report: &Report, page: &mut String) {
    let points = |pick: fn(&(u64, usize, usize)) -> usize| {
        report.growth.iter().map(|point| (point.0 as f64, pick(point) as f64)).collect()
    };
    let lines = [
        Line { name: "endpoints", class: "s1", points: points(|point| point.1) },
        Line { name: "series", class: "s2", points: points(|point| point.2) },
    ];
    let chart = svg::lines("Endpoints and series in the course of the log", "requests", &lines);
    if !chart.is_empty() {
        let _ = writeln!(
            page,
            "<section>\n<h2>In the course of the log</h2>\n<p class=\"soft\">Both should level off: \
             what still grows at the end will grow in production.</p>\n{chart}\n</section>"
        );
    }
}

fn durations(report: &Report, page: &mut String) {
    let rows: Vec<Range<'_>> = report
        .endpoints
        .iter()
        .filter_map(|endpoint| {
            let duration = endpoint.duration_ms?;
            Some(Range {
                name: &endpoint.endpoint,
                dots: [duration.p50, duration.p95, duration.p99],
            })
        })
        .take(PLOTTED)
        .collect();
    let chart = svg::ranges("Durations of the most frequent endpoints", &rows);
    if !chart.is_empty() {
        let _ = writeln!(
            page,
            "<section>\n<h2>Durations of the most frequent endpoints</h2>\n\
             <p class=\"legend\"><span class=\"key d1\"></span>p50 \
             <span class=\"key d2\"></span>p95 <span class=\"key d3\"></span>p99</p>\n{chart}\n\
             </section>"
        );
    }
}

fn inputs(report: &Report, page: &mut String) {
    page.push_str(
        "<section>\n<h2>What was read</h2>\n<table>\n<tr><th>Log</th><th>Formats</th>\
         <th class=\"n\">Lines</th><th class=\"n\">Bytes</th><th class=\"n\">Broken lines</th></tr>\n",
    );
    for input in &report.inputs {
        let formats: Vec<String> =
            input.formats.iter().map(|(name, lines)| format!("{name} {}", count(*lines))).collect();
        let _ = writeln!(
            page,
            "<tr><td><code>{}</code></td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n{}\">{}</td></tr>",
            escape(&input.name),
            formats.join(", "),
            count(input.lines),
            bytes(input.bytes),
            if input.broken_lines > 0 { " bad" } else { "" },
            count(input.broken_lines)
        );
    }
    page.push_str("</table>\n");
    let broken: Vec<_> = report
        .inputs
        .iter()
        .flat_map(|input| input.broken_examples.iter().map(move |example| (&input.name, example)))
        .collect();
    if !broken.is_empty() {
        page.push_str("<p>The first broken lines:</p>\n<pre>");
        for (name, (line, why, text)) in broken {
            let _ = writeln!(
                page,
                "{}:{line}: <span class=\"bad\">{}</span>: {}",
                escape(name),
                escape(why),
                escape(text)
            );
        }
        page.push_str("</pre>\n");
    }
    let timing = &report.timing;
    let _ = writeln!(
        page,
        "<p class=\"soft\">Read and replayed in {:.1} s, {} lines a second.</p>",
        timing.seconds,
        count(timing.lines_per_second as u64)
    );
    page.push_str("</section>\n");
    if !report.notes.is_empty() {
        page.push_str("<section>\n<h2>Notes</h2>\n<ul>\n");
        for note in &report.notes {
            let _ = writeln!(page, "<li>{}</li>", escape(note));
        }
        page.push_str("</ul>\n</section>\n");
    }
}
