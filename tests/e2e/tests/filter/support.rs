//! What several test modules need.

use std::collections::BTreeMap;

use route_metrics_e2e::Envoy;
use route_metrics_e2e::scrape::Table;

/// The labels of `http_requests_total` unless configured otherwise.
pub const REQUEST: [&str; 3] = ["method", "endpoint", "status"];
/// The labels of the histograms unless configured otherwise.
pub const HISTOGRAM: [&str; 2] = ["method", "endpoint"];
/// The labels of `http_exceptions_total` unless configured otherwise.
pub const EXCEPTION: [&str; 2] = ["endpoint", "type"];

/// A table of counts, as [`route_metrics_e2e::Scrape::table`] gives it, written down.
pub fn table<const N: usize>(rows: &[([&str; N], u64)]) -> Table {
    let owned = |values: &[&str; N]| values.iter().map(|value| (*value).to_owned()).collect();
    rows.iter().map(|(values, count)| (owned(values), *count)).collect()
}

/// Adds one to the count of these label values.
pub fn count<const N: usize>(table: &mut Table, values: [&str; N]) {
    *table.entry(values.iter().map(|value| (*value).to_owned()).collect()).or_default() += 1;
}

/// Waits until the series of a family are exactly these.
#[track_caller]
pub fn expect_table(envoy: &Envoy, family: &str, labels: &[&str], expected: &Table) {
    envoy.eventually(family, |scrape| {
        let found = scrape.table(family, labels);
        if found == *expected { Ok(()) } else { Err(differences(&found, expected)) }
    });
}

/// Waits until the filter says that it recorded, sampled out and excluded so many requests.
#[track_caller]
pub fn expect_decisions(envoy: &Envoy, recorded: u64, sampled_out: u64, excluded: u64) {
    let expected = table(&[
        (["recorded"], recorded),
        (["sampled_out"], sampled_out),
        (["excluded"], excluded),
    ]);
    expect_table(envoy, "route_metrics_requests_total", &["decision"], &expected);
}

/// Where two tables differ, one line for each row.
pub fn differences(found: &Table, expected: &Table) -> String {
    let mut rows: BTreeMap<&Vec<String>, (u64, u64)> = BTreeMap::new();
    for (values, count) in found {
        rows.entry(values).or_default().0 = *count;
    }
    for (values, count) in expected {
        rows.entry(values).or_default().1 = *count;
    }
    rows.retain(|_, (found, expected)| found != expected);
    let lines: Vec<_> = rows
        .iter()
        .take(40)
        .map(|(values, (found, expected))| {
            format!("\n  {values:?}: found {found}, expected {expected}")
        })
        .collect();
    format!("{} rows differ:{}", rows.len(), lines.concat())
}

/// Numbers that look random and are the same in each run (xorshift64*).
pub struct Numbers(pub u64);

impl Numbers {
    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}
