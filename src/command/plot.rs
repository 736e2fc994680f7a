//! The plots of the preview's page and of the measurements in docs/, as SVG.
//!
//! Texts are escaped by the template library. Colours and type come from a style sheet: the page's
//! own, or [`STYLE`] in a file that stands alone.

use maud::{Markup, PreEscaped, html};

/// The style of a plot in a file of its own.
pub const STYLE: &str = "text { font: 13px sans-serif; fill: #1b1f27 } \
    text.title { font-weight: bold } rect.page { fill: #fff } \
    rect.first { fill: #2f6f9f } rect.second { fill: #9aa5ad } \
    circle.dot { fill: #222; fill-opacity: 0.6 }";

/// The namespace of SVG, which a file of its own needs.
const XMLNS: &str = "http://www.w3.org/2000/svg";

/// A line of a chart.
#[derive(Clone, Debug)]
pub struct Line<'a> {
    /// In the legend.
    pub name: &'a str,
    /// Of the style: `s1`, `s2`.
    pub class: &'a str,
    /// From left to right.
    pub points: Vec<(f64, f64)>,
}

/// The frame of a chart, in pixels of its view box.
struct Frame {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

/// A coordinate with one decimal place.
fn at(value: f64) -> String {
    format!("{value:.1}")
}

fn text(x: f64, y: f64, anchor: &str, text: &str) -> Markup {
    html! { text x=(at(x)) y=(at(y)) text-anchor=(anchor) { (text) } }
}

fn rule(class: &str, from: (f64, f64), to: (f64, f64)) -> Markup {
    html! { line class=(class) x1=(at(from.0)) x2=(at(to.0)) y1=(at(from.1)) y2=(at(to.1)) {} }
}

/// Lines over a number that grows, from 0, with their legend. `None` where there are fewer than two
/// points.
#[must_use]
pub fn lines(title: &str, x_name: &str, lines: &[Line<'_>]) -> Option<Markup> {
    let max = |pick: fn(&(f64, f64)) -> f64| {
        lines.iter().flat_map(|line| &line.points).map(pick).fold(0.0, f64::max)
    };
    let (max_x, max_y) = (max(|p| p.0), max(|p| p.1));
    if lines.iter().all(|line| line.points.len() < 2) || max_x <= 0.0 || max_y <= 0.0 {
        return None;
    }
    let (width, height) = (560.0, 260.0);
    // Beside the frame is room for half of the last number below it.
    let frame = Frame { left: 56.0, right: width - 30.0, top: 16.0, bottom: height - 44.0 };
    let step_y = step(max_y, 5.0);
    let top_y = (max_y / step_y).ceil() * step_y;
    let x = |value: f64| frame.left + value / max_x * (frame.right - frame.left);
    let y = |value: f64| frame.bottom - value / top_y * (frame.bottom - frame.top);
    let points = |line: &Line<'_>| -> String {
        let points = line.points.iter().map(|&(px, py)| format!("{:.1},{:.1}", x(px), y(py)));
        points.collect::<Vec<_>>().join(" ")
    };
    Some(html! {
        p.legend {
            @for line in lines { span.item { span class={ "key " (line.class) } {} (line.name) } }
        }
        svg viewBox={ "0 0 " (width) " " (height) } role="img" aria-label=(title) {
            @for tick in ticks(step_y, top_y) {
                (rule("grid", (frame.left, y(tick)), (frame.right, y(tick))))
                (text(frame.left - 8.0, y(tick) + 4.0, "end", &count(tick as u64)))
            }
            @for tick in ticks(step(max_x, 5.0), max_x) {
                (text(x(tick), frame.bottom + 18.0, "middle", &count(tick as u64)))
            }
            (text(frame.right, height - 6.0, "end", x_name))
            @for line in lines {
                polyline class={ "line " (line.class) } points=(points(line)) {}
            }
        }
    })
}

/// A row of [`ranges`].
#[derive(Clone, Debug)]
pub struct Range<'a> {
    /// Before the row.
    pub name: &'a str,
    /// From low to high: the line is from the first to the last, with a dot at each.
    pub dots: [f64; 3],
}

/// Ranges on a logarithmic scale of milliseconds. `None` where there is nothing above 0.
#[must_use]
pub fn ranges(title: &str, rows: &[Range<'_>]) -> Option<Markup> {
    let values = || rows.iter().flat_map(|row| row.dots).filter(|value| *value > 0.0);
    values().next()?;
    let low = values().fold(f64::INFINITY, f64::min).log10().floor();
    let high = values().fold(0.0, f64::max).log10().ceil().max(low + 1.0);
    let (width, row_height) = (560.0, 22.0);
    let height = rows.len() as f64 * row_height + 40.0;
    let frame = Frame { left: 226.0, right: width - 24.0, top: 8.0, bottom: height - 30.0 };
    let x = |value: f64| {
        let place = (value.max(1e-6).log10() - low) / (high - low);
        frame.left + place.clamp(0.0, 1.0) * (frame.right - frame.left)
    };
    let decades = ticks(1.0, high - low).map(|decade| 10f64.powf(low + decade));
    Some(html! {
        svg viewBox={ "0 0 " (width) " " (height) } role="img" aria-label=(title) {
            @for value in decades {
                (rule("grid", (x(value), frame.top), (x(value), frame.bottom)))
                (text(x(value), height - 12.0, "middle", &duration(value)))
            }
            @for (index, row) in rows.iter().enumerate() {
                @let y = frame.top + (index as f64 + 0.5) * row_height;
                @let [first, middle, last] = row.dots;
                g {
                    title {
                        (row.name) ": " (duration(first)) " / " (duration(middle)) " / "
                        (duration(last))
                    }
                    text.name x=(at(frame.left - 12.0)) y=(at(y + 4.0)) text-anchor="end" {
                        (shorten(row.name, 28))
                    }
                    (rule("range", (x(first), y), (x(last), y)))
                    @for (value, class) in [(first, "d1"), (middle, "d2"), (last, "d3")] {
                        circle class=(class) cx=(at(x(value))) cy=(at(y)) r="5" {}
                    }
                }
            }
        }
    })
}

/// A row of [`bars`].
#[derive(Clone, Debug)]
pub struct Bar<'a> {
    /// Before the row.
    pub name: &'a str,
    /// Of the style: `first`, `second`.
    pub class: &'a str,
    /// The length.
    pub value: f64,
    /// What it is the middle of.
    pub dots: Vec<f64>,
}

/// Bars from 0 with their values, as a whole SVG file in [`STYLE`].
#[must_use]
pub fn bars(title: &str, rows: &[Bar<'_>]) -> String {
    // Room for fifty characters.
    const LEFT: f64 = 320.0;
    const WIDTH: f64 = 420.0;
    const ROW: f64 = 26.0;
    let most = rows.iter().map(|bar| bar.value).fold(1.0, f64::max);
    let length = |value: f64| (value * WIDTH / most).clamp(0.0, WIDTH + 20.0);
    let height = ROW * (rows.len() as f64 + 2.0);
    let markup = html! {
        svg xmlns=(XMLNS) viewBox={ "0 0 810 " (height) } role="img" aria-label=(title) {
            style { (PreEscaped(STYLE)) }
            rect.page width="810" height=(height) {}
            text.title x="10" y="18" { (title) }
            @for (index, bar) in rows.iter().enumerate() {
                @let top = ROW * (index as f64 + 1.2);
                (text(LEFT - 8.0, top + 14.0, "end", bar.name))
                rect class=(bar.class) x=(at(LEFT)) y=(at(top)) width=(at(length(bar.value)))
                    height="18" {}
                (text(LEFT + length(bar.value) + 12.0, top + 14.0, "start", &at(bar.value)))
                @for dot in &bar.dots {
                    circle.dot cx=(at(LEFT + length(*dot))) cy=(at(top + 9.0)) r="2" {}
                }
            }
        }
    };
    markup.into_string().replace("><", ">\n<") + "\n"
}

/// Multiples of a step up to a number, from 0.
fn ticks(step: f64, top: f64) -> impl Iterator<Item = f64> {
    (0u32..100).map(move |n| f64::from(n) * step).take_while(move |tick| *tick <= top * 1.001)
}

/// A duration in milliseconds in the unit that suits it.
fn duration(ms: f64) -> String {
    match ms {
        ms if ms < 1.0 => format!("{} µs", significant(ms * 1e3)),
        ms if ms < 1000.0 => format!("{} ms", significant(ms)),
        ms => format!("{} s", significant(ms / 1e3)),
    }
}

/// Three digits that count.
pub(super) fn significant(value: f64) -> String {
    match value {
        value if value >= 100.0 => count(value.round() as u64),
        value if value >= 10.0 => trimmed(format!("{value:.1}")),
        value => trimmed(format!("{value:.2}")),
    }
}

fn trimmed(text: String) -> String {
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
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

/// A step of 1, 2 or 5 times a power of ten, at least 1, of which about `parts` make `max`.
fn step(max: f64, parts: f64) -> f64 {
    let rough = (max / parts).max(1.0);
    let power = 10f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= rough);
    (factor.unwrap_or(10.0) * power).max(1.0)
}

/// A number with separators.
#[must_use]
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_is_markup() {
        let name = "/<script>&\"'";
        let rows = [Range { name, dots: [1.0, 2.0, 3.0] }];
        let line = Line { name, class: "s1", points: vec![(0.0, 0.0), (1.0, 1.0)] };
        let bar = Bar { name, class: "first", value: 3.0, dots: vec![2.0] };
        let all = [
            ranges(name, &rows).unwrap().into_string(),
            lines(name, name, &[line]).unwrap().into_string(),
            bars(name, &[bar]),
        ];
        for plot in all {
            assert!(plot.contains("&lt;script&gt;") && !plot.contains("<script"), "{plot}");
        }
    }

    #[test]
    fn what_has_nothing_to_show_is_no_plot() {
        assert!(lines("t", "x", &[]).is_none());
        assert!(ranges("t", &[Range { name: "a", dots: [0.0; 3] }]).is_none());
    }

    #[test]
    fn numbers_have_the_unit_that_suits_them() {
        for (ms, expected) in
            [(0.01, "10 µs"), (1.0, "1 ms"), (12.34, "12.3 ms"), (10_000.0, "10 s")]
        {
            assert_eq!(duration(ms), expected);
        }
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!((step(7.0, 5.0), step(1234.0, 5.0)), (2.0, 500.0));
    }
}
