//! What several test modules need.

use std::collections::BTreeMap;

use crate::http1::Connection;
pub use crate::scrape::Table;
use crate::wait::eventually_equal;
use crate::{Envoy, Request, Upstream, http1};
use serde_json::{Value, json};

/// The labels of `http_requests_total` unless configured otherwise.
pub const REQUEST: [&str; 3] = ["method", "endpoint", "status"];
/// The labels of the histograms unless configured otherwise.
pub const HISTOGRAM: [&str; 2] = ["method", "endpoint"];
/// The labels of `http_exceptions_total` unless configured otherwise.
pub const EXCEPTION: [&str; 2] = ["endpoint", "type"];

/// A table of counts, as [`crate::Scrape::table`] gives it, written down.
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

/// What one request must be counted as: method, endpoint, status, and the exception where it is
/// one.
pub type Counted = (&'static str, &'static str, &'static str, Option<&'static str>);

/// The tables that requests counted so must give.
pub fn tables(all: &[Counted]) -> (Table, Table) {
    let (mut requests, mut exceptions) = (Table::new(), Table::new());
    for &(method, endpoint, status, exception) in all {
        count(&mut requests, [method, endpoint, status]);
        if let Some(exception) = exception {
            count(&mut exceptions, [endpoint, exception]);
        }
    }
    (requests, exceptions)
}

/// Checks that exactly these requests were counted, and that the filter came through unharmed.
/// Needs an access log of one line per request.
#[track_caller]
pub fn expect_counted(envoy: &Envoy, all: &[Counted]) {
    let (requests, exceptions) = tables(all);
    expect_table(envoy, "http_requests_total", &REQUEST, &requests);
    expect_table(envoy, "http_exceptions_total", &EXCEPTION, &exceptions);
    expect_decisions(envoy, all.len() as u64, 0, 0);
    eventually_equal("open requests", Some(0.0), || {
        envoy.scrape().value("http_requests_active", &[])
    });
    // The access log is Envoy's own word on how many streams there were.
    assert_eq!(envoy.wait_for_access_log(all.len()).len(), all.len());
    assert_eq!(envoy.vm_reloads(), 0);
    assert_eq!(envoy.scrape().sum("route_metrics_errors_total"), 0.0);
}

/// The plugin configuration that has these templates and nothing else.
pub fn templates(templates: &[&str]) -> Value {
    json!({"endpoint": {"templates": templates, "inference": "off"}})
}

/// Asks for a path on a connection of its own, and gets 200.
#[track_caller]
pub fn get(envoy: &Envoy, path: &str) {
    assert_eq!(http1::send(envoy.address(), &Request::get(path)).unwrap().status, 200);
}

/// Asks for an answer that is [cut](crate::Answer::cut) off, once its head has come through; none of
/// what must follow does.
#[track_caller]
pub fn cut_off(envoy: &Envoy, upstream: &Upstream, request: &Request) -> u16 {
    let mut client = Connection::open(envoy.address()).unwrap();
    client.send(&request.to_http1()).unwrap();
    let head = client.response(true).unwrap();
    eventually_equal("held answers", 1, || upstream.held());
    upstream.release();
    let length =
        head.header("content-length").map(|text| String::from_utf8_lossy(text).into_owned());
    let length = length.and_then(|text| text.parse().ok()).expect("the length is announced");
    client.read_exactly(length).expect_err("the answer is cut off");
    head.status
}

/// The configurations of [`expect_update`].
pub fn before_and_after() -> [Value; 2] {
    [templates(&["/users/{id}"]), templates(&["/users/{id}", "/orders/{id}"])]
}

/// Checks that an Envoy with the first of [`before_and_after`] counts as the second says once
/// `update` has brought it that, and that nothing is lost on the way.
#[track_caller]
pub fn expect_update(envoy: &mut Envoy, update: impl FnOnce(&mut Envoy)) {
    get(envoy, "/users/1");
    get(envoy, "/orders/1");
    update(envoy);
    get(envoy, "/users/2");
    get(envoy, "/orders/2");
    let expected = table(&[
        (["GET", "/users/{id}", "200"], 2),
        (["GET", "_UNMATCHED", "200"], 1),
        (["GET", "/orders/{id}", "200"], 1),
    ]);
    expect_table(envoy, "http_requests_total", &REQUEST, &expected);
    expect_decisions(envoy, 4, 0, 0);
    assert_eq!(envoy.vm_reloads(), 0);
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
