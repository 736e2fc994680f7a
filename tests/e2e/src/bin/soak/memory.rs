//! Memory over time.

use std::fs;
use std::time::Duration;

use route_metrics_e2e::Envoy;

/// Growth after the first half that is taken for noise: of the whole, and in MiB beside it.
const NOISE: (f64, f64) = (0.05, 8.0);

/// A figure of a look.
type Measure = fn(&Point) -> f64;

/// One look at Envoy.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// Since the start.
    pub after: Duration,
    /// Sent so far.
    pub requests: u64,
    /// Resident memory of the process, modules included, in MiB.
    pub rss_mib: f64,
    /// What Envoy's allocator has handed out, in MiB.
    pub allocated_mib: f64,
    /// Series of the filter.
    pub series: usize,
    /// Bytes of a scrape.
    pub scrape_bytes: usize,
}

impl Point {
    /// Looks now.
    pub fn take(envoy: &Envoy, after: Duration, requests: u64) -> Self {
        let scrape = envoy.scrape_bytes();
        let lines = scrape.split(|&byte| byte == b'\n');
        let own = [&b"http_requests_total{"[..], b"http_exceptions_total{", b"app_"];
        let counts =
            |line: &&[u8]| own.iter().any(|name| line.starts_with(name)) || ends_a_series(line);
        let memory = envoy.admin_json("/memory");
        let bytes = memory["allocated"].as_str().and_then(|text| text.parse::<f64>().ok());
        Self {
            after,
            requests,
            rss_mib: rss_kib(envoy.process()).unwrap_or(0.0) / 1024.0,
            allocated_mib: bytes.unwrap_or(0.0) / 1_048_576.0,
            series: lines.filter(counts).count(),
            scrape_bytes: scrape.len(),
        }
    }
}

/// A line that there is once for each histogram of the filter.
fn ends_a_series(line: &[u8]) -> bool {
    let name = line.split(|&byte| byte == b'{').next().unwrap_or_default();
    name.starts_with(b"http_") && name.ends_with(b"_count")
}

fn rss_kib(process: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

/// All looks, in order.
#[derive(Default)]
pub struct Curve(Vec<Point>);

impl Curve {
    /// Adds a look.
    pub fn add(&mut self, point: Point) {
        self.0.push(point);
    }

    /// A Markdown table of about so many looks.
    pub fn table(&self, rows: usize) -> String {
        let mut table = String::from(
            "| after | requests | Envoy's RSS | allocated | series | scrape |\n\
             |---|---|---|---|---|---|\n",
        );
        let last = self.0.len().saturating_sub(1);
        let step = self.0.len().div_ceil(rows.max(1)).max(1);
        for (index, point) in self.0.iter().enumerate() {
            if index % step != 0 && index != last {
                continue;
            }
            let Point { after, requests, rss_mib, allocated_mib, series, scrape_bytes } = point;
            table.push_str(&format!(
                "| {} s | {requests} | {rss_mib:.1} MiB | {allocated_mib:.1} MiB | {series} | {} kB |\n",
                after.as_secs(),
                scrape_bytes / 1000
            ));
        }
        table
    }

    /// The most of a value in the third and in the last quarter: by then every series is there.
    fn late(&self, value: Measure) -> (f64, f64) {
        let quarter = self.0.len() / 4;
        let most = |points: &[Point]| points.iter().map(value).fold(0.0, f64::max);
        let third = self.0.get(2 * quarter..3 * quarter).unwrap_or_default();
        (most(third), most(self.0.get(3 * quarter..).unwrap_or_default()))
    }

    /// What still grew after the first half.
    pub fn complaints(&self) -> Vec<String> {
        let measures: [(&str, Measure); 2] =
            [("Envoy's RSS", |p| p.rss_mib), ("allocated memory", |p| p.allocated_mib)];
        let grown = measures.into_iter().filter_map(|(name, value)| {
            let (third, last) = self.late(value);
            let bound = third * (1.0 + NOISE.0) + NOISE.1;
            (last > bound).then(|| {
                format!("{name} grew from {third:.1} to {last:.1} MiB in the last quarter")
            })
        });
        let mut complaints: Vec<String> = grown.collect();
        if self.0.len() < 8 {
            complaints.push("too short to say anything about memory".to_owned());
        }
        complaints
    }

    /// How flat it was.
    pub fn verdict(&self) -> String {
        let (third, last) = self.late(|point| point.rss_mib);
        let (third_allocated, last_allocated) = self.late(|point| point.allocated_mib);
        format!(
            "The most in the third and in the last quarter: RSS {third:.1} and {last:.1} MiB, \
             allocated {third_allocated:.1} and {last_allocated:.1} MiB."
        )
    }
}
