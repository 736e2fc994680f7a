//! Medians, the table and the plot.

use std::fmt::Write as _;

use route_metrics::command::plot::{self, Bar};

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
        let none = self.index("none");
        let titles: Vec<String> =
            self.cases.iter().map(|case| case.title.replace('`', "")).collect();
        let bars: Vec<Bar<'_>> =
            self.cases
                .iter()
                .zip(&titles)
                .enumerate()
                .filter(|(_, (case, _))| case.id != "none")
                .filter_map(|(index, (case, title))| {
                    let each = self.rounds.iter().filter_map(|round| {
                        Some(round.get(index)?.cpu_us - round.get(none?)?.cpu_us)
                    });
                    let class = match case.id {
                        "empty" | "floor" | "native" | "straightforward" => "second",
                        _ => "first",
                    };
                    let value = self.added(index)?;
                    Some(Bar { name: title, class, value, dots: each.collect() })
                })
                .collect();
        let title = "CPU added to a request, in microseconds (bar: median; dots: rounds)";
        plot::bars(title, &bars)
    }
}
