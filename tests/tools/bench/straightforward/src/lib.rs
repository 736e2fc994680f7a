//! Benchmark case: the default metrics written against the proxy-wasm SDK in the plain way: two
//! headers and three properties are read, a counter, two histograms and a gauge are kept, and
//! every metric is defined once per VM. No limits, no inference, no sampling.

#![cfg(target_os = "wasi")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, MetricType};

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::<Root>::default());
}}

#[derive(Clone, Default)]
struct Root {
    metrics: Rc<RefCell<Metrics>>,
}

#[derive(Default)]
struct Metrics {
    ids: HashMap<String, u32>,
}

impl Metrics {
    fn id(&mut self, kind: MetricType, name: String) -> Option<u32> {
        if let Some(&id) = self.ids.get(&name) {
            return Some(id);
        }
        let id = hostcalls::define_metric(kind, &name).ok()?;
        self.ids.insert(name, id);
        Some(id)
    }

    fn increment(&mut self, kind: MetricType, name: String, by: i64) {
        if let Some(id) = self.id(kind, name) {
            let _ = hostcalls::increment_metric(id, by);
        }
    }

    fn observe(&mut self, name: String, value: u64) {
        if let Some(id) = self.id(MetricType::Histogram, name) {
            let _ = hostcalls::record_metric(id, value);
        }
    }
}

impl Context for Root {}

impl RootContext for Root {
    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        let metrics = Rc::clone(&self.metrics);
        Some(Box::new(Stream {
            metrics,
            started: None,
            method: String::new(),
            path: String::new(),
        }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Stream {
    metrics: Rc<RefCell<Metrics>>,
    started: Option<SystemTime>,
    method: String,
    path: String,
}

impl Stream {
    fn number(&self, path: Vec<&str>) -> u64 {
        let bytes = self.get_property(path).unwrap_or_default();
        bytes.try_into().map_or(0, u64::from_le_bytes)
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _headers: usize, _end_of_stream: bool) -> Action {
        self.started = Some(self.get_current_time());
        self.method = self.get_http_request_header(":method").unwrap_or_default();
        self.path = self.get_http_request_header(":path").unwrap_or_default();
        let gauge = "http_requests_active".to_owned();
        self.metrics.borrow_mut().increment(MetricType::Gauge, gauge, 1);
        Action::Continue
    }

    fn on_log(&mut self) {
        let status = self.number(vec!["response", "code"]);
        let flags = self.number(vec!["response", "flags"]);
        let size = self.number(vec!["response", "size"]);
        let now = self.get_current_time();
        let duration = self.started.and_then(|started| now.duration_since(started).ok());
        let micros = duration.unwrap_or(Duration::ZERO).as_micros();
        let (method, endpoint) = (&self.method, self.path.split('?').next().unwrap_or_default());
        let labels = format!("method=.={method};.;endpoint=.={endpoint};.;");
        let mut metrics = self.metrics.borrow_mut();
        let counter = format!("http_requests_total.{labels}status=.={status};.;");
        metrics.increment(MetricType::Counter, counter, 1);
        let duration = format!("http_request_duration_microseconds.{labels}");
        metrics.observe(duration, u64::try_from(micros).unwrap_or(u64::MAX));
        metrics.observe(format!("http_response_size_bytes.{labels}"), size);
        if flags != 0 || status >= 500 {
            let exceptions =
                format!("http_exceptions_total.endpoint=.={endpoint};.;type=.={status};.;");
            metrics.increment(MetricType::Counter, exceptions, 1);
        }
        if self.started.is_some() {
            let gauge = "http_requests_active".to_owned();
            metrics.increment(MetricType::Gauge, gauge, -1);
        }
    }
}
