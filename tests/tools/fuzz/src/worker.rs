//! One worker with the filter, on a host in memory.

use route_metrics::filter::Filter;
use route_metrics::host::recorder::Recorder;
use route_metrics::host::{HeaderMap, MetricKind, Property};
use route_metrics::plan;
use route_metrics::plan::Capacity;
use route_metrics::plan::Plan;

use crate::stats;

/// The root context of the worker's configuration.
pub const ROOT: u32 = 1;

/// The plan of a configuration that is right.
pub fn plan(configuration: &str) -> Plan {
    match plan::load(configuration.as_bytes(), |_| None, Capacity::Checked) {
        Ok(plan) => plan,
        Err(mistakes) => panic!("{configuration}: {mistakes:?}"),
    }
}

/// A filter with one configuration.
pub struct Worker {
    /// The filter.
    pub filter: Filter<Recorder>,
    next: u32,
    now_ns: u64,
}

impl Worker {
    /// A worker of a process, with a configuration that is right.
    pub fn new(host: Recorder, configuration: &str, seed: u64) -> Self {
        let mut filter = Filter::new(host, seed);
        assert!(filter.configure(ROOT, configuration.as_bytes(), |_| None), "{configuration}");
        Self { filter, next: 100, now_ns: 1 }
    }

    /// The host.
    pub fn host(&self) -> &Recorder {
        self.filter.host()
    }

    /// Creates a stream.
    pub fn create(&mut self) -> u32 {
        self.next += 1;
        self.filter.create(self.next, ROOT);
        self.next
    }

    /// Shows request headers.
    pub fn show(&self, method: &[u8], path: &[u8], headers: &[(&str, &[u8])]) {
        let host = self.host();
        host.clear_request();
        host.set_header(HeaderMap::Request, ":method", method);
        host.set_header(HeaderMap::Request, ":path", path);
        for (name, value) in headers {
            host.set_header(HeaderMap::Request, name, value);
        }
    }

    /// A request from its beginning to its end.
    pub fn request(&mut self, method: &[u8], path: &[u8], headers: &[(&str, &[u8])], code: u64) {
        let stream = self.create();
        self.show(method, path, headers);
        self.filter.request_headers(stream, true);
        self.host().set_number(Property::ResponseCode, code);
        self.filter.end(stream);
    }

    /// A second passes.
    pub fn tick(&mut self) {
        self.now_ns += 1_000_000_000;
        self.host().set_now_ns(self.now_ns);
        self.filter.tick(ROOT);
    }

    /// How many reported events had this outcome.
    pub fn events(&self, outcome: &str) -> u64 {
        let label = Some(("outcome", outcome));
        stats::own(self.host(), MetricKind::Counter, "route_metrics_events_total", label)
    }

    /// How many requests had this decision, by the last flush.
    pub fn decisions(&self, decision: &str) -> u64 {
        let label = Some(("decision", decision));
        stats::own(self.host(), MetricKind::Counter, "route_metrics_requests_total", label)
    }
}
