//! Medians, the table and the plot.

use std::fmt::Write as _;

use crate::cases::Case;

/// What was measured of one case in one round.
#[derive(Clone, Copy, Default)]
pub struct Round {
    /// CPU time of the worker per request.
    pub cpu_us: f64,
    /// Requests over which it was measured.
    pub requests: u64,
    /// Median latency at the fixed rate.
    pub p50_us: f64,
    /// 99th percentile of it.
    pub p99_us: f64,
    /// Resident memory of the process.
    pub rss_kb: u64,
}

/// Everything that was measured: rounds of cases.
pub struct Results {
    /// Envoy's version.
    pub version: String,
    /// Requests per second of the latency measurement.
    pub rate: u32,
    /// Length of one measurement.
    pub seconds: f64,
    /// How often each case was started.
    pub starts: usize,
    /// The cases, in the order of the table.
    pub cases: Vec<Case>,
    /// For each round, what was measured of each case.
    pub rounds: Vec<Vec<Round>>,
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.retain(|value| value.is_finite());
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(*values.get(middle.checked_sub(1)?)?, upper))
}

fn cell(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}

impl Results {
    fn index(&self, id: &str) -> Option<usize> {
        self.cases.iter().position(|case| case.id == id)
    }

    fn median(&self, value: impl Fn(&[Round]) -> Option<f64>) -> Option<f64> {
        median(self.rounds.iter().filter_map(|round| value(round)).collect())
    }

    /// CPU time per request beyond that of Envoy without a filter in the same round.
    fn added(&self, case: usize) -> Option<f64> {
        let none = self.index("none")?;
        self.median(|round| Some(round.get(case)?.cpu_us - round.get(none)?.cpu_us))
    }

    /// Added CPU time as a share of that of another case. Both are medians: within one round the
    /// lower number may be near zero by chance.
    fn ratio(&self, case: usize, against: &str) -> Option<f64> {
        Some(self.added(case)? / self.added(self.index(against)?)?)
    }

    /// The table, with the conditions under which it was made.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        let requests: u64 = self.rounds.iter().flatten().map(|round| round.requests).sum();
        let _ = writeln!(
            text,
            "Envoy {}, one worker on a core of its own, direct responses, 16 connections; {} starts, \
             {} rounds of {} s in turn, {} requests; latency at {} requests/s.\n",
            self.version,
            self.starts,
            self.rounds.len(),
            self.seconds,
            requests,
            self.rate,
        );
        text.push_str(
            "| case | CPU µs/request | added µs | ratio to empty | ratio to | p50 µs | p99 µs | RSS MB |\n\
             |---|--:|--:|--:|--:|--:|--:|--:|\n",
        );
        for (index, case) in self.cases.iter().enumerate() {
            let of = |value: fn(&Round) -> f64| self.median(|round| round.get(index).map(value));
            let against = case.against.and_then(|against| {
                let name = &self.cases.get(self.index(against)?)?.title;
                Some(format!("{} ({name})", cell(self.ratio(index, against), 2)))
            });
            let has_filter = case.id != "none";
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} | {} |",
                case.title,
                cell(of(|round| round.cpu_us), 2),
                cell(self.added(index).filter(|_| has_filter), 2),
                cell(self.ratio(index, "empty").filter(|_| has_filter), 2),
                against.unwrap_or_default(),
                cell(of(|round| round.p50_us), 0),
                cell(of(|round| round.p99_us), 0),
                cell(of(|round| round.rss_kb as f64 / 1024.0), 1),
            );
        }
        text
    }

    /// The added CPU time of every case as bars, with the rounds' spread.
    pub fn svg(&self) -> String {
        const LEFT: f64 = 290.0;
        const WIDTH: f64 = 420.0;
        const ROW: f64 = 26.0;
        let none = self.index("none");
        let bars: Vec<(&Case, f64, Vec<f64>)> =
            self.cases
                .iter()
                .enumerate()
                .filter(|(_, case)| case.id != "none")
                .filter_map(|(index, case)| {
                    let each = self.rounds.iter().filter_map(|round| {
                        Some(round.get(index)?.cpu_us - round.get(none?)?.cpu_us)
                    });
                    Some((case, self.added(index)?, each.collect()))
                })
                .collect();
        let most = bars.iter().map(|bar| bar.1).fold(1.0, f64::max);
        let scale = WIDTH / most;
        let height = ROW * (bars.len() as f64 + 2.0);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 780 {height}\" \
             font-family=\"sans-serif\" font-size=\"13\">\n\
             <rect width=\"780\" height=\"{height}\" fill=\"#fff\"/>\n\
             <text x=\"10\" y=\"18\" font-weight=\"bold\">CPU added to a request, in microseconds \
             (bar: median; dots: rounds)</text>\n"
        );
        for (row, (case, added, each)) in bars.iter().enumerate() {
            let top = ROW * (row as f64 + 1.2);
            let colour = match case.id {
                "empty" | "native" | "straightforward" => "#9aa5ad",
                _ => "#2f6f9f",
            };
            let title = case.title.replace('`', "");
            let bar = (added * scale).max(0.0);
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{title}</text>\
                 <rect x=\"{LEFT}\" y=\"{top}\" width=\"{bar:.1}\" height=\"18\" fill=\"{colour}\"/>\
                 <text x=\"{:.1}\" y=\"{}\">{added:.1}</text>",
                LEFT - 8.0,
                top + 14.0,
                LEFT + bar + 12.0,
                top + 14.0,
            );
            for value in each {
                let x = LEFT + (value * scale).clamp(0.0, WIDTH + 20.0);
                let _ = writeln!(
                    svg,
                    "<circle cx=\"{x:.1}\" cy=\"{}\" r=\"2\" fill=\"#222\" fill-opacity=\"0.6\"/>",
                    top + 9.0
                );
            }
        }
        svg.push_str("</svg>\n");
        svg
    }
}
