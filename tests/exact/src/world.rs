//! What a host of the module knows.

use std::collections::BTreeMap;

/// A metric that the module has defined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metric {
    /// Its name, labels included.
    pub name: Vec<u8>,
    /// Sum of all increments, or the value last set.
    pub value: i64,
    /// How many values were recorded.
    pub records: u64,
}

/// The host: the stream that the module is asked about, and everything that it left behind.
#[derive(Debug, Default)]
pub struct World {
    /// Headers of the request.
    pub request_headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// Headers of the response.
    pub response_headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// Properties, by their path with NUL between the parts.
    pub properties: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The plugin configuration.
    pub configuration: Vec<u8>,
    /// The monotonic clock.
    pub clock_ns: u64,
    /// Metrics by id.
    pub metrics: Vec<Metric>,
    /// Shared data with its compare-and-swap numbers.
    pub shared: BTreeMap<Vec<u8>, (Vec<u8>, u32)>,
    /// What was logged.
    pub log: Vec<String>,
    /// Statuses that host functions answer with, instead of doing anything.
    pub statuses: BTreeMap<&'static str, u32>,
    /// Calls by function.
    pub calls: BTreeMap<&'static str, u64>,
    /// Calls of the module for a place for bytes.
    pub handed_over: u64,
    /// The state of the host's random numbers.
    pub random: u64,
    /// What the host says of bytes that it has handed over, where that is not so.
    pub claims: Option<Claims>,
}

/// From where bytes were put, and their number, to what is said of both.
pub type Claims = fn(u32, u32) -> (u32, u32);

impl World {
    /// A GET of this path that is answered with 200 and 3 bytes.
    pub fn get(path: &str) -> Self {
        let mut world = Self::default();
        world.set_path(path);
        let mut number = |name: &[u8], value: u64| {
            world.properties.insert(name.to_vec(), value.to_le_bytes().to_vec());
        };
        number(b"response\0code", 200);
        number(b"response\0flags", 0);
        number(b"response\0size", 3);
        number(b"response\0total_size", 120);
        number(b"request\0size", 0);
        number(b"request\0duration", 1_500_000);
        // As Envoy's router passes an answer on.
        world.response_headers = headers(&[
            (":status", "200"),
            ("content-length", "3"),
            ("x-envoy-upstream-service-time", "1"),
        ]);
        world
    }

    /// Changes the path of the request.
    pub fn set_path(&mut self, path: &str) {
        self.request_headers = headers(&[
            (":authority", "example.com"),
            (":path", path),
            (":method", "GET"),
            (":scheme", "http"),
            ("user-agent", "exact"),
            ("x-request-id", "6f1c2a7e-93a4-4d53-8a53-0d8f1b8d0a11"),
        ]);
    }

    /// The sum of all metrics of this family.
    pub fn sum(&self, family: &str) -> i64 {
        let of = |metric: &&Metric| {
            metric
                .name
                .strip_prefix(family.as_bytes())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"."))
        };
        self.metrics.iter().filter(of).map(|metric| metric.value).sum()
    }
}

fn headers(pairs: &[(&str, &str)]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let pair = |&(name, value): &(&str, &str)| (name.into(), value.into());
    pairs.iter().map(pair).collect()
}
