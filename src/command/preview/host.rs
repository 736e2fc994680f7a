//! A host on which logs are replayed: it shows one log entry as a request, and keeps what the
//! filter records.
//!
//! [`Recorder`] is the general host in memory, and here its shared data and log; what is asked for
//! on every request is answered without a map.

use std::cell::{Cell, Ref, RefCell, RefMut};
use std::collections::HashMap;
use std::rc::Rc;

use super::cost;
use super::log::Entry;
use crate::host::recorder::Recorder;
use crate::host::{HeaderMap, Host, LogLevel, MetricKind, Property, SharedWrite};

/// A metric as Envoy would keep it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The whole stat name, with the labels.
    pub name: String,
    /// What it is.
    pub kind: MetricKind,
    /// The value of a counter or gauge; of a histogram the sum.
    pub value: u64,
    /// How often it was changed.
    pub count: u64,
    /// The upper bounds of a histogram's buckets; `None` for Envoy's own.
    pub bounds: Option<Rc<[u64]>>,
}

/// The host.
#[derive(Debug, Default)]
pub struct ReplayHost {
    shared: Recorder,
    stats: RefCell<Vec<Stat>>,
    places: RefCell<HashMap<(String, u32), u32>>,
    entry: RefCell<Entry>,
    now_ns: Cell<u64>,
    /// Bounds of histograms by full name.
    buckets: HashMap<String, Rc<[u64]>>,
}

impl ReplayHost {
    /// A host whose histograms have these buckets, by full name.
    pub fn new<'a>(buckets: impl Iterator<Item = (&'a str, &'a [u64])>) -> Self {
        let buckets = buckets.map(|(name, bounds)| (name.to_owned(), bounds.into())).collect();
        Self { buckets, ..Self::default() }
    }

    /// The request that is shown.
    pub fn entry(&self) -> Ref<'_, Entry> {
        self.entry.borrow()
    }

    /// The request to show next.
    pub fn entry_mut(&self) -> RefMut<'_, Entry> {
        self.entry.borrow_mut()
    }

    /// Moves the clock on.
    pub fn advance(&self, ns: u64) {
        self.now_ns.set(self.now_ns.get().saturating_add(ns));
    }

    /// Everything that was defined, in that order.
    pub fn stats(&self) -> Ref<'_, Vec<Stat>> {
        self.stats.borrow()
    }

    /// What the filter has logged, warnings and errors.
    pub fn complaints(&self) -> Vec<String> {
        let lines = self.shared.log_lines().into_iter();
        let bad = |level| matches!(level, LogLevel::Warn | LogLevel::Error);
        lines.filter(|(level, _)| bad(*level)).map(|(_, line)| line).collect()
    }
}

impl Host for ReplayHost {
    fn now_ns(&self) -> u64 {
        self.now_ns.get()
    }

    fn define_metric(&self, kind: MetricKind, name: &str) -> Option<u32> {
        let mut places = self.places.borrow_mut();
        let key = (name.to_owned(), kind as u32);
        if let Some(&id) = places.get(&key) {
            return Some(id);
        }
        let mut stats = self.stats.borrow_mut();
        let id = u32::try_from(stats.len()).ok()?;
        let bounds = self.buckets.get(cost::parse_name(name).0).cloned();
        stats.push(Stat { name: name.to_owned(), kind, value: 0, count: 0, bounds });
        places.insert(key, id);
        Some(id)
    }

    fn increment_metric(&self, id: u32, by: i64) {
        if let Some(stat) = self.stats.borrow_mut().get_mut(id as usize) {
            stat.value = stat.value.wrapping_add_signed(by);
            stat.count += 1;
        }
    }

    fn record_metric(&self, id: u32, value: u64) {
        if let Some(stat) = self.stats.borrow_mut().get_mut(id as usize) {
            let histogram = stat.kind == MetricKind::Histogram;
            stat.value = if histogram { stat.value.saturating_add(value) } else { value };
            stat.count += 1;
        }
    }

    fn shared_get(&self, key: &str, out: &mut Vec<u8>) -> Option<u32> {
        self.shared.shared_get(key, out)
    }

    fn shared_set(&self, key: &str, value: &[u8], cas: u32) -> SharedWrite {
        self.shared.shared_set(key, value, cas)
    }

    fn header(&self, map: HeaderMap, name: &str, out: &mut Vec<u8>) -> bool {
        let entry = self.entry.borrow();
        let value = match (map, name) {
            (HeaderMap::Request, ":path") => &entry.path,
            (HeaderMap::Request, ":method") => &entry.method,
            (HeaderMap::Request, ":authority") => &entry.authority,
            _ => return false,
        };
        out.extend_from_slice(value);
        !value.is_empty()
    }

    fn headers(&self, map: HeaderMap, mut each: impl FnMut(&[u8], &[u8])) {
        let entry = self.entry.borrow();
        if map == HeaderMap::Request {
            each(b":path", &entry.path);
            each(b":method", &entry.method);
            each(b":authority", &entry.authority);
        }
    }

    fn property(&self, property: Property, out: &mut Vec<u8>) -> bool {
        let entry = self.entry.borrow();
        let text = match property {
            Property::RequestProtocol => &entry.protocol,
            Property::RouteName => &entry.route,
            Property::ClusterName => &entry.cluster,
            _ => {
                let number = match property {
                    Property::ResponseCode => Some(u64::from(entry.status)),
                    Property::ResponseFlags => Some(entry.flags),
                    Property::ResponseSize => entry.response_bytes,
                    Property::RequestSize => entry.request_bytes,
                    Property::RequestDuration => entry.duration_ns,
                    _ => None,
                };
                let Some(number) = number else { return false };
                out.extend_from_slice(&number.to_le_bytes());
                return true;
            }
        };
        out.extend_from_slice(text);
        !text.is_empty()
    }

    // A log is of requests that are over: there is nothing to take away, to answer or to go on.
    fn continue_request(&self, _root: u32, _stream: u32) {}

    fn remove_response_header(&self, _name: &str) {}

    fn request_body(&self, _max: usize, _out: &mut Vec<u8>) -> bool {
        false
    }

    fn send_response(&self, _status: u16, _headers: &[(&str, &str)], _body: &[u8]) {}

    fn set_filter_state(&self, _name: &str, _value: &[u8]) {}

    fn log(&self, level: LogLevel, message: &str) {
        self.shared.log(level, message);
    }
}
