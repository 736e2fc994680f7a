//! The plots of the HTML page, as inline SVG. Colours come from the page's style.

use std::fmt::Write as _;

use super::html::escape;
use super::text::{count, milliseconds};

/// A line of a chart.
pub(super) struct Line<'a> {
    pub name: &'a str,
    /// Of the style: `s1`, `s2`.
    pub class: &'a str,
    pub points: Vec<(f64, f64)>,
}

/// The frame of a chart, in pixels of its view box.
struct Frame {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

/// Lines over requests. Nothing where there are fewer than two points.
pub(super) fn lines(title: &str, x_name: &str, lines: &[Line<'_>]) -> String {
    let max = |pick: fn(&(f64, f64)) -> f64| {
        lines.iter().flat_map(|line| &line.points).map(pick).fold(0.0, f64::max)
    };
    let (max_x, max_y) = (max(|p| p.0), max(|p| p.1));
    if lines.iter().all(|line| line.points.len() < 2) || max_x <= 0.0 || max_y <= 0.0 {
        return String::new();
    }
    let (width, height) = (760.0, 280.0);
    // Beside the frame is room for half of the last number below it.
    let frame = Frame { left: 64.0, right: width - 40.0, top: 16.0, bottom: height - 44.0 };
    let step_y = step(max_y, 5.0);
    let top_y = (max_y / step_y).ceil() * step_y;
    let x = |value: f64| frame.left + value / max_x * (frame.right - frame.left);
    let y = |value: f64| frame.bottom - value / top_y * (frame.bottom - frame.top);
    let mut svg = open(title, width, height);
    let mut tick = 0.0;
    while tick <= top_y * 1.001 {
        grid_row(&mut svg, &frame, y(tick), &count(tick as u64));
        tick += step_y;
    }
    let step_x = step(max_x, 5.0);
    let mut tick = 0.0;
    while tick <= max_x {
        let label = count(tick as u64);
        let _ = write!(
            svg,
            r#"<text x="{:.1}" y="{:.1}" text-anchor="middle">{label}</text>"#,
            x(tick),
            frame.bottom + 18.0
        );
        tick += step_x;
    }
    let _ = write!(
        svg,
        r#"<text x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
        frame.right,
        height - 6.0,
        escape(x_name)
    );
    for line in lines {
        let points: String =
            line.points.iter().map(|&(px, py)| format!("{:.1},{:.1} ", x(px), y(py))).collect();
        let _ = write!(
            svg,
            r#"<polyline class="line {}" points="{}"/>"#,
            line.class,
            points.trim_end()
        );
    }
    svg.push_str("</svg>");
    let mut legend = String::from(r#"<p class="legend">"#);
    for line in lines {
        let _ = write!(legend, r#"<span class="key {}"></span>{} "#, line.class, escape(line.name));
    }
    legend.push_str("</p>");
    legend + &svg
}

/// A row of [`ranges`].
pub(super) struct Range<'a> {
    pub name: &'a str,
    /// From low to high: the line is from the first to the last, with a dot at each.
    pub dots: [f64; 3],
}

/// Ranges on a logarithmic scale of milliseconds.
pub(super) fn ranges(title: &str, rows: &[Range<'_>]) -> String {
    let values = || rows.iter().flat_map(|row| row.dots).filter(|value| *value > 0.0);
    if values().next().is_none() {
        return String::new();
    }
    let low = values().fold(f64::INFINITY, f64::min).log10().floor();
    let high = values().fold(0.0, f64::max).log10().ceil().max(low + 1.0);
    let (width, row_height) = (760.0, 22.0);
    let height = rows.len() as f64 * row_height + 40.0;
    let frame = Frame { left: 300.0, right: width - 24.0, top: 8.0, bottom: height - 30.0 };
    let x = |value: f64| {
        let place = (value.max(1e-6).log10() - low) / (high - low);
        frame.left + place.clamp(0.0, 1.0) * (frame.right - frame.left)
    };
    let mut svg = open(title, width, height);
    let mut decade = low;
    while decade <= high {
        let value = 10f64.powf(decade);
        let label = if value < 1.0 { format!("{value}") } else { milliseconds_tick(value) };
        let _ = write!(
            svg,
            r#"<line class="grid" x1="{0:.1}" x2="{0:.1}" y1="{1:.1}" y2="{2:.1}"/><text x="{0:.1}" y="{3:.1}" text-anchor="middle">{label}</text>"#,
            x(value),
            frame.top,
            frame.bottom,
            height - 12.0
        );
        decade += 1.0;
    }
    for (index, row) in rows.iter().enumerate() {
        let y = frame.top + (index as f64 + 0.5) * row_height;
        let [first, middle, last] = row.dots;
        let _ = write!(
            svg,
            r#"<g><title>{}: {} / {} / {} ms</title><text class="name" x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
            escape(row.name),
            milliseconds(first),
            milliseconds(middle),
            milliseconds(last),
            frame.left - 12.0,
            y + 4.0,
            escape(&shorten(row.name, 40))
        );
        let _ = write!(
            svg,
            r#"<line class="range" x1="{:.1}" x2="{:.1}" y1="{y:.1}" y2="{y:.1}"/>"#,
            x(first),
            x(last)
        );
        for (value, class) in [(first, "d1"), (middle, "d2"), (last, "d3")] {
            let _ =
                write!(svg, r#"<circle class="{class}" cx="{:.1}" cy="{y:.1}" r="5"/>"#, x(value));
        }
        svg.push_str("</g>");
    }
    svg.push_str("</svg>");
    svg
}

fn milliseconds_tick(value: f64) -> String {
    if value >= 1000.0 {
        format!("{} s", count((value / 1000.0) as u64))
    } else {
        format!("{value} ms")
    }
}

/// Cut in the middle: the end of an endpoint says as much as its start.
fn shorten(text: &str, most: usize) -> String {
    let length = text.chars().count();
    if length <= most {
        return text.to_owned();
    }
    let half = most / 2;
    let head: String = text.chars().take(half).collect();
    let tail: String = text.chars().skip(length - half + 1).collect();
    format!("{head}…{tail}")
}

fn open(title: &str, width: f64, height: f64) -> String {
    let title = escape(title);
    format!(r#"<svg viewBox="0 0 {width} {height}" role="img" aria-label="{title}">"#)
}

fn grid_row(svg: &mut String, frame: &Frame, y: f64, label: &str) {
    let _ = write!(
        svg,
        r#"<line class="grid" x1="{:.1}" x2="{:.1}" y1="{y:.1}" y2="{y:.1}"/><text x="{:.1}" y="{:.1}" text-anchor="end">{label}</text>"#,
        frame.left,
        frame.right,
        frame.left - 8.0,
        y + 4.0
    );
}

/// A step of 1, 2 or 5 times a power of ten, at least 1, of which about `parts` make `max`.
fn step(max: f64, parts: f64) -> f64 {
    let rough = (max / parts).max(1.0);
    let power = 10f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= rough);
    (factor.unwrap_or(10.0) * power).max(1.0)
}
