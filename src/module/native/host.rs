//! The host, as the filter sees it.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::ptr;
use std::time::Instant;

use super::abi::{self, Buffer, Header, NEWER, attribute, body};
use super::config::{Config, family_number};
use super::shared;
use super::stream::{Answer, Seen, now};
use crate::host::{HeaderMap, Host, LogLevel, MetricKind, Property, SharedWrite};
use crate::module::families::parse;

/// Lines of a header, and pieces of a body, that are read; more than any Envoy has by its limits.
const MAX_PIECES: usize = 10_000;

/// A series of this worker.
#[derive(Debug)]
struct Series {
    kind: MetricKind,
    family: usize,
    /// They hold what `values` points to.
    _texts: Vec<Box<str>>,
    values: Vec<Buffer>,
}

/// A change of a metric that waits for a configuration that has it.
#[derive(Clone, Copy, Debug)]
struct Pending {
    series: u32,
    change: Change,
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Add(i64),
    Record(u64),
}

/// The host of one worker. What it is asked for is of the stream or the configuration that was
/// [entered](Envoy::enter) last.
pub struct Envoy {
    stream: Cell<*mut c_void>,
    config: Cell<*const Config>,
    seen: Cell<Option<Seen>>,
    started: Instant,
    series: RefCell<Vec<Series>>,
    pending: RefCell<Vec<Pending>>,
    lines: RefCell<Vec<Header>>,
    answer: RefCell<Option<Answer>>,
}

impl Envoy {
    /// A host that is nowhere yet.
    pub fn new() -> Self {
        Self {
            stream: Cell::new(ptr::null_mut()),
            config: Cell::new(ptr::null()),
            seen: Cell::new(None),
            started: now(),
            series: RefCell::default(),
            pending: RefCell::default(),
            lines: RefCell::default(),
            answer: RefCell::default(),
        }
    }

    /// What follows is of this configuration, and of this stream where it is not null.
    pub fn enter(&self, config: &Config, stream: abi::Pointer, seen: Option<Seen>) {
        self.config.set(config);
        self.stream.set(stream);
        self.seen.set(seen);
        // One that a panic has left behind is no answer to this stream.
        self.answer.take();
        if !self.pending.borrow().is_empty() {
            self.tell_pending();
        }
    }

    /// Nothing is of anything any more.
    pub fn leave(&self) -> Option<Answer> {
        self.config.set(ptr::null());
        self.stream.set(ptr::null_mut());
        self.seen.set(None);
        self.answer.take()
    }

    /// Counts hooks that have panicked.
    pub fn count_panics(&self, panics: u64) {
        let name = "route_metrics_errors_total.reason=.=panic;.;";
        if let Some(id) = self.define_metric(MetricKind::Counter, name) {
            self.increment_metric(id, i64::try_from(panics).unwrap_or(i64::MAX));
        }
    }

    /// Has the configuration that was entered hold the series that others have made, but for the first `kept`.
    /// Envoy forgets a series with the last configuration that has touched it, so without this, counters would
    /// begin anew with an update. Those of histograms do: whatever touches one counts in it. Gives how many
    /// series there are.
    pub fn keep(&self, kept: usize) -> usize {
        let all = self.series.borrow();
        for series in all.iter().skip(kept) {
            if series.kind != MetricKind::Histogram {
                self.change_now(series, Change::Add(0));
            }
        }
        all.len()
    }

    fn tell_pending(&self) {
        let pending = self.pending.take();
        for Pending { series, change } in pending {
            self.change(series, change);
        }
    }

    /// Changes a metric, now or, where the configuration of now does not have it, later.
    #[inline]
    fn change(&self, id: u32, change: Change) {
        let all = self.series.borrow();
        let Some(series) = all.get(id as usize) else { return };
        if !self.change_now(series, change) {
            drop(all);
            self.put_off(id, change);
        }
    }

    #[inline]
    fn change_now(&self, series: &Series, change: Change) -> bool {
        let config = self.config.get();
        if config.is_null() {
            return false;
        }
        // SAFETY: a configuration that was entered is left before it goes.
        let config = unsafe { &*config };
        let Some(number) = config.number(series.family) else { return false };
        let stream = self.stream.get();
        let (function, owner, amount) = if stream.is_null() {
            let Some(outside) = &NEWER.outside else { return false };
            match (series.kind, change) {
                (MetricKind::Counter, Change::Add(by)) => {
                    (outside.increment_counter, config.raw, by.unsigned_abs())
                }
                (MetricKind::Gauge, Change::Add(by @ 0..)) => {
                    (outside.increment_gauge, config.raw, by.unsigned_abs())
                }
                (MetricKind::Gauge, Change::Add(by)) => {
                    (outside.decrement_gauge, config.raw, by.unsigned_abs())
                }
                (MetricKind::Gauge, Change::Record(value)) => {
                    (outside.set_gauge, config.raw, value)
                }
                // A request is over before the configuration is.
                _ => return true,
            }
        } else {
            match (series.kind, change) {
                (MetricKind::Counter, Change::Add(by)) => {
                    (abi::increment_counter as abi::Change, stream, by.unsigned_abs())
                }
                (MetricKind::Gauge, Change::Add(by @ 0..)) => {
                    (abi::increment_gauge as abi::Change, stream, by.unsigned_abs())
                }
                (MetricKind::Gauge, Change::Add(by)) => {
                    (abi::decrement_gauge as abi::Change, stream, by.unsigned_abs())
                }
                (MetricKind::Gauge, Change::Record(value)) => {
                    (abi::set_gauge as abi::Change, stream, value)
                }
                (MetricKind::Histogram, Change::Record(value)) => {
                    (abi::record_histogram as abi::Change, stream, value)
                }
                _ => return true,
            }
        };
        let values = &series.values;
        // SAFETY: the owner is alive, and the values are as many as the metric was defined with.
        unsafe { function(owner, number, values.as_ptr(), values.len(), amount) == abi::DONE }
    }

    /// Changes of one series are put together, so there are never more than series.
    #[cold]
    fn put_off(&self, id: u32, change: Change) {
        let is_histogram = |s: &Series| s.kind == MetricKind::Histogram;
        if self.series.borrow().get(id as usize).is_none_or(is_histogram) {
            return;
        }
        let mut pending = self.pending.borrow_mut();
        match (pending.iter_mut().find(|pending| pending.series == id), change) {
            (None, change) => pending.push(Pending { series: id, change }),
            (Some(Pending { change: Change::Add(sum), .. }), Change::Add(by)) => {
                *sum = sum.saturating_add(by);
            }
            (Some(Pending { change: Change::Record(value), .. }), Change::Add(by)) => {
                *value = value.saturating_add_signed(by);
            }
            (Some(pending), record) => pending.change = record,
        }
    }

    fn int(&self, id: u32, out: &mut Vec<u8>) -> bool {
        let mut value = 0;
        // SAFETY: `stream` was checked by the caller, and `value` outlives the call.
        let found = unsafe { abi::attribute_int(self.stream.get(), id, &mut value) };
        if found {
            out.extend_from_slice(&value.to_le_bytes());
        }
        found
    }

    fn text(
        &self,
        out: &mut Vec<u8>,
        call: impl FnOnce(abi::Pointer, *mut Buffer) -> bool,
    ) -> bool {
        let mut value = Buffer::EMPTY;
        let found = call(self.stream.get(), &mut value);
        if found {
            // SAFETY: Envoy's text is there until the hook returns.
            out.extend_from_slice(unsafe { value.bytes() });
        }
        found
    }

    fn string(&self, id: u32, out: &mut Vec<u8>) -> bool {
        // SAFETY: the caller has checked `stream`, and `value` is a place for a buffer.
        self.text(out, |stream, value| unsafe { abi::attribute_string(stream, id, value) })
    }

    /// The gRPC status as Envoy works it out (`source/common/grpc/common.cc`, `getGrpcStatus`): from the
    /// trailers, the headers, or the response code (`source/common/grpc/status.cc`).
    #[cold]
    fn grpc_status(&self, out: &mut Vec<u8>) -> bool {
        let mut text = Vec::new();
        for map in [HeaderMap::ResponseTrailers, HeaderMap::Response] {
            if self.header(map, "grpc-status", &mut text) {
                let number = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
                let number: u64 = number.unwrap_or(2);
                out.extend_from_slice(&number.to_le_bytes());
                return true;
            }
        }
        let mut code = Vec::new();
        if !self.int(attribute::RESPONSE_CODE, &mut code) {
            return false;
        }
        let code = code.try_into().map_or(0, u64::from_le_bytes);
        let status: u64 = match code {
            400 => 13,
            401 => 16,
            403 => 7,
            404 => 12,
            429 | 502..=504 => 14,
            _ => 2,
        };
        out.extend_from_slice(&status.to_le_bytes());
        true
    }
}

fn map(map: HeaderMap) -> u32 {
    match map {
        HeaderMap::Request => abi::map::REQUEST,
        HeaderMap::Response => abi::map::RESPONSE,
        HeaderMap::ResponseTrailers => abi::map::RESPONSE_TRAILERS,
    }
}

impl Host for Envoy {
    fn now_ns(&self) -> u64 {
        // A time of 0 would be that of a clock that has not been asked yet.
        let since = now().saturating_duration_since(self.started);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX).saturating_add(1)
    }

    fn define_metric(&self, kind: MetricKind, name: &str) -> Option<u32> {
        let (family, texts) = parse(kind, name);
        let family = family_number(&family)?;
        let texts: Vec<Box<str>> = texts.into_iter().map(String::into_boxed_str).collect();
        let values = texts.iter().map(|text| Buffer::new(text.as_bytes())).collect();
        let mut all = self.series.borrow_mut();
        let id = u32::try_from(all.len()).ok()?;
        all.push(Series { kind, family, _texts: texts, values });
        drop(all);
        // It is to be seen before anything has changed it, as with other hosts.
        if kind != MetricKind::Histogram {
            self.change(id, Change::Add(0));
        }
        Some(id)
    }

    fn increment_metric(&self, id: u32, by: i64) {
        self.change(id, Change::Add(by));
    }

    fn record_metric(&self, id: u32, value: u64) {
        self.change(id, Change::Record(value));
    }

    fn shared_get(&self, key: &str, out: &mut Vec<u8>) -> Option<u32> {
        shared::get(key, out)
    }

    fn shared_set(&self, key: &str, value: &[u8], cas: u32) -> SharedWrite {
        shared::set(key, value, cas)
    }

    fn header(&self, map: HeaderMap, name: &str, out: &mut Vec<u8>) -> bool {
        if self.stream.get().is_null() {
            return false;
        }
        let name = Buffer::new(name.as_bytes());
        // SAFETY: the stream is that of the hook, and the pointers are valid for the call.
        self.text(out, |stream, value| unsafe {
            abi::header(stream, self::map(map), name, value, 0, ptr::null_mut())
        })
    }

    fn headers(&self, map: HeaderMap, mut each: impl FnMut(&[u8], &[u8])) {
        let stream = self.stream.get();
        if stream.is_null() {
            return;
        }
        let map = self::map(map);
        let mut lines = self.lines.borrow_mut();
        lines.clear();
        // SAFETY: the stream is that of the hook, `lines` has room for as many as Envoy says there are, and
        // what it points to is there until the hook returns.
        unsafe {
            let size = abi::headers_size(stream, map);
            if size == 0 || size > MAX_PIECES {
                return;
            }
            lines.resize(size, Header { name: Buffer::EMPTY, value: Buffer::EMPTY });
            if abi::headers(stream, map, lines.as_mut_ptr()) {
                lines.iter().for_each(|line| each(line.name.bytes(), line.value.bytes()));
            }
        }
    }

    fn property(&self, property: Property, out: &mut Vec<u8>) -> bool {
        if self.stream.get().is_null() {
            return false;
        }
        let seen = self.seen.get();
        let number = |number: u64, out: &mut Vec<u8>| {
            out.extend_from_slice(&number.to_le_bytes());
            true
        };
        match property {
            Property::ResponseCode => self.int(attribute::RESPONSE_CODE, out),
            Property::ResponseCodeDetails if NEWER.response => {
                self.string(attribute::RESPONSE_CODE_DETAILS, out)
            }
            Property::ResponseCodeDetails => seen.is_some_and(|seen| {
                let local: &[u8] = if seen.answered_locally { b"local" } else { b"via_upstream" };
                out.extend_from_slice(local);
                true
            }),
            Property::ResponseFlags if NEWER.response => self.int(attribute::RESPONSE_FLAGS, out),
            Property::ResponseSize if NEWER.response => self.int(attribute::RESPONSE_SIZE, out),
            Property::ResponseSize => seen.is_some_and(|seen| number(seen.response_bytes, out)),
            Property::ResponseGrpcStatus if NEWER.request => {
                self.int(attribute::RESPONSE_GRPC_STATUS, out)
            }
            Property::ResponseGrpcStatus => self.grpc_status(out),
            Property::RequestSize if NEWER.request => self.int(attribute::REQUEST_SIZE, out),
            Property::RequestSize => seen.is_some_and(|seen| number(seen.request_bytes, out)),
            // No version gives the attribute of the duration.
            Property::RequestDuration => seen.is_some_and(|seen| {
                let since = now().saturating_duration_since(seen.begun);
                number(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX), out)
            }),
            Property::RequestProtocol => self.string(attribute::REQUEST_PROTOCOL, out),
            Property::RouteName => self.string(attribute::ROUTE_NAME, out),
            Property::ClusterName if NEWER.request => self.string(attribute::CLUSTER_NAME, out),
            // SAFETY: the stream was checked, and `value` is a place for a buffer.
            Property::ClusterName => {
                self.text(out, |stream, value| unsafe { abi::cluster_name(stream, value) })
            }
            Property::VirtualHost if NEWER.request => self.string(attribute::VIRTUAL_HOST, out),
            Property::ResponseFlags | Property::VirtualHost => false,
        }
    }

    fn response_header_lines(&self, name: &str, out: &mut Vec<u8>) -> bool {
        let stream = self.stream.get();
        if stream.is_null() {
            return false;
        }
        let name = Buffer::new(name.as_bytes());
        let (mut line, mut lines) = (0, 1);
        while line < lines {
            let mut value = Buffer::EMPTY;
            // SAFETY: the stream is that of the hook, and the pointers are valid for the call.
            let found = unsafe {
                abi::header(stream, abi::map::RESPONSE, name, &mut value, line, &mut lines)
            };
            if !found {
                break;
            }
            if line > 0 {
                out.push(b',');
            }
            // SAFETY: Envoy's text is there until the hook returns or the header is changed.
            out.extend_from_slice(unsafe { value.bytes() });
            line += 1;
            lines = lines.min(MAX_PIECES);
        }
        line > 0
    }

    /// Envoy shows the body of a request that was stopped at its headers, so none has to go on for it.
    fn continue_request(&self, _root: u32, _stream: u32) {}

    fn remove_response_header(&self, name: &str) {
        let stream = self.stream.get();
        if !stream.is_null() {
            let name = Buffer::new(name.as_bytes());
            // SAFETY: the stream is that of the hook. A value that is null takes the header away.
            unsafe { abi::set_header(stream, abi::map::RESPONSE, name, Buffer::EMPTY) };
        }
    }

    fn request_body(&self, max: usize, out: &mut Vec<u8>) -> bool {
        let stream = self.stream.get();
        if stream.is_null() {
            return false;
        }
        let end = out.len().saturating_add(max);
        // SAFETY: the stream is that of the hook, `pieces` has room for as many as Envoy says there are, and
        // what it points to is there until the hook returns.
        unsafe {
            let both = [body::BUFFERED_REQUEST, body::RECEIVED_REQUEST];
            let bodies = if abi::received_is_buffered(stream) { &both[..1] } else { &both[..] };
            for &body in bodies {
                let size = abi::body_chunks_size(stream, body);
                let mut pieces = vec![Buffer::EMPTY; size.min(MAX_PIECES)];
                if size > MAX_PIECES {
                    return false;
                }
                if size > 0 && abi::body_chunks(stream, body, pieces.as_mut_ptr()) {
                    pieces.iter().for_each(|piece| out.extend_from_slice(piece.bytes()));
                }
            }
        }
        out.truncate(end);
        true
    }

    /// Envoy calls hooks from within, so it is told when this one has returned ([`Envoy::leave`]).
    fn send_response(&self, status: u16, headers: &[(&str, &str)], body: &[u8]) {
        let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        let headers = headers.iter().map(owned).collect();
        *self.answer.borrow_mut() = Some(Answer { status, headers, body: body.to_vec() });
    }

    fn set_filter_state(&self, name: &str, value: &[u8]) {
        let stream = self.stream.get();
        if !stream.is_null() {
            // The name that it has with Wasm.
            let key = format!("wasm.{name}");
            // SAFETY: the stream is that of the hook, and the pointers are valid for the call.
            unsafe {
                abi::set_filter_state(stream, Buffer::new(key.as_bytes()), Buffer::new(value))
            };
        }
    }

    fn log(&self, level: LogLevel, message: &str) {
        log::log!(level, "{message}");
    }
}
