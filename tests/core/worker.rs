//! A worker on a host in memory, and requests to send to it.

use route_metrics::filter::Filter;
use route_metrics::host::recorder::Recorder;
use route_metrics::host::{HeaderMap, Host, MetricKind, Property};

/// One worker with one configuration.
pub struct Worker {
    pub filter: Filter<Recorder>,
    pub next: u32,
}

pub const ROOT: u32 = 1;

/// A request, as the client sent it and as it ended.
#[derive(Clone)]
pub struct Request {
    pub method: &'static str,
    pub path: String,
    pub code: Option<u64>,
    pub flags: u64,
    pub headers: Vec<(&'static str, &'static str)>,
    pub answer: Vec<(&'static str, &'static str)>,
    pub duration_ms: u64,
    pub grpc_status: Option<u64>,
}

pub fn get(path: &str) -> Request {
    Request {
        method: "GET",
        path: path.to_owned(),
        code: Some(200),
        flags: 0,
        headers: Vec::new(),
        answer: Vec::new(),
        duration_ms: 5,
        grpc_status: None,
    }
}

impl Worker {
    pub fn new(config: &str) -> Self {
        Self::on(Recorder::default(), config, 1)
    }

    pub fn on(host: Recorder, config: &str, seed: u64) -> Self {
        let mut filter = Filter::new(host, seed);
        assert!(
            filter.configure(ROOT, config.as_bytes(), |_| None),
            "{config}: {:?}",
            filter.host().log_lines()
        );
        Self { filter, next: 10 }
    }

    pub fn show(&self, request: &Request) {
        let host = self.filter.host();
        host.clear_request();
        host.set_header(HeaderMap::Request, ":method", request.method.as_bytes());
        host.set_header(HeaderMap::Request, ":path", request.path.as_bytes());
        for (name, value) in &request.headers {
            host.set_header(HeaderMap::Request, name, value.as_bytes());
        }
    }

    pub fn begin(&mut self, request: &Request) -> u32 {
        self.show(request);
        self.next += 1;
        self.filter.create(self.next, ROOT);
        self.filter.request_headers(self.next, false);
        self.next
    }

    pub fn end(&mut self, stream: u32, request: &Request) {
        let host = self.filter.host();
        for (name, value) in &request.answer {
            host.set_header(HeaderMap::Response, name, value.as_bytes());
        }
        self.filter.response_headers(stream);
        let host = self.filter.host();
        if let Some(code) = request.code {
            host.set_number(Property::ResponseCode, code);
            host.set_header(HeaderMap::Response, ":status", code.to_string().as_bytes());
        }
        host.set_number(Property::ResponseFlags, request.flags);
        host.set_number(Property::ResponseSize, 100);
        if let Some(status) = request.grpc_status {
            host.set_number(Property::ResponseGrpcStatus, status);
        }
        host.set_number(Property::RequestDuration, request.duration_ms * 1_000_000);
        self.filter.end(stream);
    }

    pub fn send(&mut self, request: &Request) {
        let stream = self.begin(request);
        self.end(stream, request);
    }

    pub fn counter(&self, name: &str) -> u64 {
        self.filter.host().metric(MetricKind::Counter, name).map_or(0, |recorded| recorded.value)
    }

    pub fn gauge(&self, name: &str) -> u64 {
        self.filter.host().metric(MetricKind::Gauge, name).map_or(0, |recorded| recorded.value)
    }

    pub fn sum(&self, family: &str) -> u64 {
        self.filter.host().family(family).iter().map(|(_, recorded)| recorded.value).sum()
    }

    pub fn count(&self, family: &str) -> u64 {
        self.filter.host().family(family).iter().map(|(_, recorded)| recorded.count).sum()
    }

    pub fn names(&self, family: &str) -> Vec<String> {
        self.filter.host().family(family).into_iter().map(|(name, _)| name).collect()
    }

    pub fn tick(&mut self) {
        let host = self.filter.host();
        host.set_now_ns(host.now_ns() + 1_000_000_000);
        self.filter.tick(ROOT);
    }
}
