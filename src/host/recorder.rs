//! A host in memory: it keeps what is recorded, and answers as it was told to.
//!
//! The tests of the core run on it, and the preview keeps its shared data in it. Several recorders
//! can share their data, like the workers of one Envoy ([`Recorder::worker`]); then they share
//! their metrics, too, as Envoy's stats are those of the whole process.

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
    headers: RefCell<HashMap<(u32, String), Vec<u8>>>,
    properties: RefCell<HashMap<Property, Vec<u8>>>,
    filter_state: RefCell<BTreeMap<String, Vec<u8>>>,
    body: RefCell<Vec<u8>>,
    responses: RefCell<Vec<Response>>,
    continued: RefCell<Vec<u32>>,
    log: RefCell<Vec<(LogLevel, String)>>,
    reads: Cell<u64>,
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
        self.headers.borrow().contains_key(&(map as u32, name.to_owned()))
    }

    /// Shows a header.
    pub fn set_header(&self, map: HeaderMap, name: &str, value: &[u8]) {
        self.headers.borrow_mut().insert((map as u32, name.to_owned()), value.to_vec());
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

    fn change(&self, id: u32, change: impl FnOnce(&mut Recorded)) {
        let ids = self.ids.borrow();
        let Some(key) = ids.get(id as usize) else { return };
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
        self.change(id, |recorded| {
            recorded.value = recorded.value.wrapping_add_signed(by);
            recorded.count += 1;
        });
    }

    fn record_metric(&self, id: u32, value: u64) {
        let histogram = |key: &(String, u32)| key.1 == MetricKind::Histogram as u32;
        let histogram = self.ids.borrow().get(id as usize).is_some_and(histogram);
        self.change(id, |recorded| {
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

    fn header(&self, map: HeaderMap, name: &str, out: &mut Vec<u8>) -> bool {
        self.reads.set(self.reads.get() + 1);
        let headers = self.headers.borrow();
        let Some(value) = headers.get(&(map as u32, name.to_owned())) else { return false };
        out.extend_from_slice(value);
        true
    }

    fn headers(&self, map: HeaderMap, mut each: impl FnMut(&[u8], &[u8])) {
        self.reads.set(self.reads.get() + 1);
        for ((of, name), value) in self.headers.borrow().iter() {
            if *of == map as u32 {
                each(name.as_bytes(), value);
            }
        }
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
        self.headers.borrow_mut().remove(&(HeaderMap::Response as u32, name.to_owned()));
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
