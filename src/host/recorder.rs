//! A host in memory: it keeps what is recorded, and answers as it was told to.
//!
//! The tests of the core run on it, and the preview keeps its shared data in it. Several recorders
//! can share their data, like the workers of one Envoy ([`Recorder::worker`]); then they share
//! their metrics, too, as Envoy's stats are those of the whole process.
//!
//! It is as strict as Envoy, or stricter: what Envoy would answer with an error that the core could
//! only ignore, and what Envoy would never show, is a fault of the core or of a test, and fails an
//! assertion.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use crate::host::{CREATE_ONLY, HeaderMap, Host, LogLevel, MetricKind, Property, SharedWrite};

/// A metric as Envoy would keep it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// The value of a counter or gauge; of a histogram the sum of what was observed. Wraps, as
    /// Envoy's gauges do.
    pub value: u64,
    /// How often something was observed or changed.
    pub count: u64,
}

#[derive(Debug, Default)]
struct Process {
    stats: BTreeMap<(String, u32), Recorded>,
    data: HashMap<String, (Vec<u8>, u32)>,
    cas: u32,
}

/// A host in memory. The request that it shows is set by its owner.
#[derive(Debug, Default)]
pub struct Recorder {
    process: Rc<RefCell<Process>>,
    ids: RefCell<Vec<(String, u32)>>,
    now_ns: Cell<u64>,
    /// Map, name and value of each line, in their order.
    headers: RefCell<Vec<(u32, String, Vec<u8>)>>,
    properties: RefCell<HashMap<Property, Vec<u8>>>,
    filter_state: RefCell<BTreeMap<String, Vec<u8>>>,
    body: RefCell<Vec<u8>>,
    responses: RefCell<Vec<Response>>,
    continued: RefCell<Vec<u32>>,
    log: RefCell<Vec<(LogLevel, String)>>,
    reads: Cell<u64>,
    contended: Cell<u32>,
}

/// Whether Envoy shows a header of this name to filters: names are lower case, `host` is
/// `:authority`, and headers of one connection are gone
/// (`source/common/http/conn_manager_utility.cc`).
fn is_shown(map: HeaderMap, name: &str) -> bool {
    let of_connection =
        ["connection", "keep-alive", "proxy-connection", "transfer-encoding"].contains(&name);
    let pseudo = match map {
        HeaderMap::Request => [":authority", ":method", ":path", ":scheme"].contains(&name),
        HeaderMap::Response => name == ":status",
        HeaderMap::ResponseTrailers => false,
    };
    let token = |b: u8| {
        b.is_ascii_graphic() && !b.is_ascii_uppercase() && !b"\"(),/:;<=>?@[\\]{}".contains(&b)
    };
    let host = map == HeaderMap::Request && name == "host";
    pseudo || (!name.is_empty() && name.bytes().all(token) && !of_connection && !host)
}

/// An answer that the filter gave itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The response code.
    pub status: u16,
    /// The headers that came with it.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Recorder {
    /// Another worker of the same process.
    #[must_use]
    pub fn worker(&self) -> Self {
        Self { process: Rc::clone(&self.process), ..Self::default() }
    }

    /// Sets the clock.
    pub fn set_now_ns(&self, now: u64) {
        self.now_ns.set(now);
    }

    /// Forgets the request that was shown.
    pub fn clear_request(&self) {
        self.headers.borrow_mut().clear();
        self.properties.borrow_mut().clear();
        self.filter_state.borrow_mut().clear();
        self.body.borrow_mut().clear();
        self.responses.borrow_mut().clear();
    }

    /// Shows a request body.
    pub fn set_body(&self, body: &[u8]) {
        *self.body.borrow_mut() = body.to_vec();
    }

    /// The answers that were given since the request was shown.
    pub fn responses(&self) -> Vec<Response> {
        self.responses.borrow().clone()
    }

    /// The requests that were let go on, in order.
    pub fn continued(&self) -> Vec<u32> {
        self.continued.borrow().clone()
    }

    /// Whether a header is there.
    pub fn has_header(&self, map: HeaderMap, name: &str) -> bool {
        self.first_line(map, name, &mut Vec::new())
    }

    /// Shows a header, in place of all lines of it.
    ///
    /// # Panics
    /// Where Envoy shows filters no header of this name.
    pub fn set_header(&self, map: HeaderMap, name: &str, value: &[u8]) {
        self.headers
            .borrow_mut()
            .retain(|(of, known, _)| (*of, known.as_str()) != (map as u32, name));
        self.add_header(map, name, value);
    }

    /// Shows a further line of a header.
    ///
    /// # Panics
    /// Where Envoy shows filters no header of this name, or only one of it.
    pub fn add_header(&self, map: HeaderMap, name: &str, value: &[u8]) {
        assert!(is_shown(map, name), "Envoy shows no header {name:?} in {map:?} to filters");
        assert!(!name.starts_with(':') || !self.has_header(map, name), "{name} is there twice");
        self.headers.borrow_mut().push((map as u32, name.to_owned(), value.to_vec()));
    }

    /// Appends the value of the first line of a header; false where there is none.
    fn first_line(&self, map: HeaderMap, name: &str, out: &mut Vec<u8>) -> bool {
        let headers = self.headers.borrow();
        let mut lines = headers.iter();
        let line = lines.find(|(of, known, _)| (*of, known.as_str()) == (map as u32, name));
        out.extend(line.iter().flat_map(|(_, _, value)| value));
        line.is_some()
    }

    /// Bytes of all values in shared data.
    pub fn shared_bytes(&self) -> usize {
        self.process.borrow().data.values().map(|(value, _)| value.len()).sum()
    }

    /// The next so many writes to shared data that depend on its state find that another worker was
    /// faster.
    pub fn contend(&self, writes: u32) {
        self.contended.set(writes);
    }

    /// Shows a property that is text.
    pub fn set_property(&self, property: Property, value: &[u8]) {
        self.properties.borrow_mut().insert(property, value.to_vec());
    }

    /// Shows a property that is a number.
    pub fn set_number(&self, property: Property, value: u64) {
        self.set_property(property, &value.to_le_bytes());
    }

    /// A metric by its stat name.
    pub fn metric(&self, kind: MetricKind, name: &str) -> Option<Recorded> {
        self.process.borrow().stats.get(&(name.to_owned(), kind as u32)).copied()
    }

    /// Every metric of the process whose stat name is `family` or begins with it and a dot.
    pub fn family(&self, family: &str) -> Vec<(String, Recorded)> {
        let process = self.process.borrow();
        let belongs = |name: &str| {
            name.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let stats = process.stats.iter().filter(|((name, _), _)| belongs(name));
        stats.map(|((name, _), recorded)| (name.clone(), *recorded)).collect()
    }

    /// The kind and stat name of each metric that was defined here, in order.
    pub fn defined(&self) -> Vec<(MetricKind, String)> {
        let kinds = [MetricKind::Counter, MetricKind::Gauge, MetricKind::Histogram];
        let ids = self.ids.borrow();
        let kind = |of: u32| kinds.into_iter().find(|kind| *kind as u32 == of);
        ids.iter().filter_map(|(name, of)| Some((kind(*of)?, name.clone()))).collect()
    }

    /// The filter state that was set for the request.
    pub fn filter_state(&self, name: &str) -> Option<Vec<u8>> {
        self.filter_state.borrow().get(name).cloned()
    }

    /// What was logged.
    pub fn log_lines(&self) -> Vec<(LogLevel, String)> {
        self.log.borrow().clone()
    }

    /// How many headers and properties were asked for.
    pub fn reads(&self) -> u64 {
        self.reads.get()
    }

    /// Changes a metric that must be of one of these kinds.
    fn change(&self, id: u32, kinds: [MetricKind; 2], change: impl FnOnce(&mut Recorded)) {
        let ids = self.ids.borrow();
        let key = ids.get(id as usize);
        assert!(key.is_some(), "no metric has the id {id}");
        let Some(key) = key else { return };
        assert!(kinds.iter().any(|kind| *kind as u32 == key.1), "{} is none of {kinds:?}", key.0);
        if let Some(recorded) = self.process.borrow_mut().stats.get_mut(key) {
            change(recorded);
        }
    }
}

impl Host for Recorder {
    fn now_ns(&self) -> u64 {
        self.now_ns.get()
    }

    fn define_metric(&self, kind: MetricKind, name: &str) -> Option<u32> {
        let key = (name.to_owned(), kind as u32);
        self.process.borrow_mut().stats.entry(key.clone()).or_default();
        let mut ids = self.ids.borrow_mut();
        ids.push(key);
        u32::try_from(ids.len() - 1).ok()
    }

    fn increment_metric(&self, id: u32, by: i64) {
        let counter = |key: &(String, u32)| key.1 == MetricKind::Counter as u32;
        let counter = self.ids.borrow().get(id as usize).is_some_and(counter);
        assert!(by > 0 || !counter, "a counter was incremented by {by}");
        self.change(id, [MetricKind::Counter, MetricKind::Gauge], |recorded| {
            recorded.value = recorded.value.wrapping_add_signed(by);
            recorded.count += 1;
        });
    }

    fn record_metric(&self, id: u32, value: u64) {
        let histogram = |key: &(String, u32)| key.1 == MetricKind::Histogram as u32;
        let histogram = self.ids.borrow().get(id as usize).is_some_and(histogram);
        assert!(!histogram || i64::try_from(value).is_ok(), "Envoy takes {value} for negative");
        self.change(id, [MetricKind::Gauge, MetricKind::Histogram], |recorded| {
            recorded.value = if histogram { recorded.value.wrapping_add(value) } else { value };
            recorded.count += 1;
        });
    }

    fn shared_get(&self, key: &str, out: &mut Vec<u8>) -> Option<u32> {
        let process = self.process.borrow();
        let (value, cas) = process.data.get(key)?;
        out.extend_from_slice(value);
        Some(*cas)
    }

    fn shared_set(&self, key: &str, value: &[u8], cas: u32) -> SharedWrite {
        if cas != 0 && self.contended.get() > 0 {
            self.contended.set(self.contended.get() - 1);
            return SharedWrite::Mismatch;
        }
        let mut process = self.process.borrow_mut();
        process.cas += 1;
        let next = process.cas;
        match process.data.get_mut(key) {
            Some((_, current)) if cas != 0 && cas != *current => SharedWrite::Mismatch,
            Some(stored) => {
                *stored = (value.to_vec(), next);
                SharedWrite::Done
            }
            None => {
                debug_assert!(next != CREATE_ONLY);
                process.data.insert(key.to_owned(), (value.to_vec(), next));
                SharedWrite::Done
            }
        }
    }

    /// As Envoy, which gives the first line of a header.
    fn header(&self, map: HeaderMap, name: &str, out: &mut Vec<u8>) -> bool {
        self.reads.set(self.reads.get() + 1);
        self.first_line(map, name, out)
    }

    fn headers(&self, map: HeaderMap, mut each: impl FnMut(&[u8], &[u8])) {
        self.reads.set(self.reads.get() + 1);
        let headers = self.headers.borrow();
        for (_, name, value) in headers.iter().filter(|(of, _, _)| *of == map as u32) {
            each(name.as_bytes(), value);
        }
    }

    fn response_header_lines(&self, name: &str, out: &mut Vec<u8>) -> bool {
        self.reads.set(self.reads.get() + 1);
        let headers = self.headers.borrow();
        let is = |(of, known, _): &&(u32, String, Vec<u8>)| {
            (*of, known.as_str()) == (HeaderMap::Response as u32, name)
        };
        let lines: Vec<&[u8]> =
            headers.iter().filter(is).map(|(_, _, line)| line.as_slice()).collect();
        out.extend_from_slice(&lines.join(&b','));
        !lines.is_empty()
    }

    fn property(&self, property: Property, out: &mut Vec<u8>) -> bool {
        self.reads.set(self.reads.get() + 1);
        let properties = self.properties.borrow();
        let Some(value) = properties.get(&property) else { return false };
        out.extend_from_slice(value);
        true
    }

    fn continue_request(&self, _root: u32, stream: u32) {
        self.continued.borrow_mut().push(stream);
    }

    fn remove_response_header(&self, name: &str) {
        let response = HeaderMap::Response as u32;
        self.headers
            .borrow_mut()
            .retain(|(of, known, _)| (*of, known.as_str()) != (response, name));
    }

    fn request_body(&self, max: usize, out: &mut Vec<u8>) -> bool {
        let body = self.body.borrow();
        out.extend_from_slice(body.get(..max).unwrap_or(&body));
        true
    }

    fn send_response(&self, status: u16, headers: &[(&str, &str)], body: &[u8]) {
        self.responses.borrow_mut().push(Response {
            status,
            headers: headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            body: String::from_utf8_lossy(body).into_owned(),
        });
    }

    fn set_filter_state(&self, name: &str, value: &[u8]) {
        self.filter_state.borrow_mut().insert(name.to_owned(), value.to_vec());
    }

    fn log(&self, level: LogLevel, message: &str) {
        self.log.borrow_mut().push((level, message.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test;

    #[test]
    fn lines_of_a_header_are_shown_as_envoy_shows_them() {
        let host = Recorder::default();
        host.add_header(HeaderMap::Response, "x-a", b"1");
        host.add_header(HeaderMap::Response, "x-b", b"2");
        host.add_header(HeaderMap::Response, "x-a", b"3");
        let mut out = Vec::new();
        assert!(host.header(HeaderMap::Response, "x-a", &mut out) && out == b"1");
        out.clear();
        assert!(host.response_header_lines("x-a", &mut out) && out == b"1,3");
        let mut all = Vec::new();
        host.headers(HeaderMap::Response, |name, value| {
            all.extend([name, b"=", value, b" "].concat())
        });
        assert_eq!(all, b"x-a=1 x-b=2 x-a=3 ");
        host.remove_response_header("x-a");
        assert!(!host.has_header(HeaderMap::Response, "x-a"));
        assert!(!host.has_header(HeaderMap::Request, "x-b"));
    }

    // What panics cannot be caught as Wasm.
    #[cfg(not(target_arch = "wasm32"))]
    #[test]
    fn what_envoy_would_not_do_fails() {
        let refused = |what: &dyn Fn(&Recorder)| {
            let work = || what(&Recorder::default());
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err()
        };
        let header = |map, name: &'static str| {
            refused(&move |host: &Recorder| host.set_header(map, name, b"1"))
        };
        for name in
            ["host", "X-Plan", "connection", "transfer-encoding", ":status", ":x", "", "a b"]
        {
            assert!(header(HeaderMap::Request, name), "{name:?}");
        }
        for name in [":path", "Age", "keep-alive"] {
            assert!(header(HeaderMap::Response, name), "{name:?}");
        }
        assert!(!header(HeaderMap::Request, ":authority") && !header(HeaderMap::Response, "host"));
        assert!(refused(&|host| {
            host.set_header(HeaderMap::Request, ":path", b"/");
            host.add_header(HeaderMap::Request, ":path", b"/");
        }));
        let metric = |kind, change: fn(&Recorder, u32)| {
            refused(&move |host: &Recorder| change(host, host.define_metric(kind, "m").unwrap()))
        };
        use MetricKind::{Counter, Gauge, Histogram};
        assert!(metric(Counter, |host, id| host.increment_metric(id, 0)));
        assert!(metric(Counter, |host, id| host.record_metric(id, 1)));
        assert!(metric(Histogram, |host, id| host.increment_metric(id, 1)));
        assert!(metric(Histogram, |host, id| host.record_metric(id, 1 << 63)));
        assert!(metric(Gauge, |host, id| host.record_metric(id + 1, 1)));
        assert!(!metric(Gauge, |host, id| host.increment_metric(id, -1)));
        assert!(!metric(Counter, |host, id| host.increment_metric(id, 1)));
    }
}
