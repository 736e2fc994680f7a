//! The adapter to the proxy-wasm ABI 0.2.1, and the only file that knows it; no decisions.
//!
//! The usual SDK is not underneath, for two reasons. It panics on any status that it does not
//! expect, so that an odd header ends the VM; here an unexpected status means "absent". And it
//! exports every callback and boxes every stream, where each call from the host and each
//! allocation is paid for by every request; here exactly the callbacks that the filter needs are
//! exported, and what the host writes into this VM's memory lands in one buffer that is used again.
//!
//! Source: proxy-wasm/spec, `abi-versions/v0.2.1`; what Envoy makes of it is in proxy-wasm-cpp-host,
//! `src/exports.cc` and `src/context.cc`.
#![allow(unsafe_code)] // The ABI passes raw pointers into this VM's memory.

use std::cell::{Cell, RefCell};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use crate::filter::{Action, Filter};
use crate::host::{HeaderMap, Host, LogLevel, MetricKind, Property, SharedWrite};
use crate::module::header_pairs;

/// How often the host is asked to call back for flushing, in milliseconds.
const TICK_MS: u32 = 1000;
/// As above, where events may be posted: how long a post may wait if Envoy does not show its body
/// (see `Filter::tick`).
const POST_TICK_MS: u32 = 100;

const STATUS_OK: u32 = 0;
const STATUS_CAS_MISMATCH: u32 = 8;
const STREAM_REQUEST: u32 = 0;
const BUFFER_REQUEST_BODY: u32 = 0;
const BUFFER_PLUGIN_CONFIGURATION: u32 = 7;
/// No gRPC status: Envoy makes one from the response code where the request is a gRPC call.
const NO_GRPC_STATUS: i32 = -1;
/// `%RESPONSE_CODE_DETAILS%` of the filter's own answers.
const RESPONSE_DETAILS: &str = "route_metrics";
const CLOCK_MONOTONIC: u32 = 1;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, message: *const u8, size: usize) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        max: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_get_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_continue_stream(stream: u32) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_set_property(
        path: *const u8,
        path_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, by: i64) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
        cas: u32,
    ) -> u32;
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn clock_time_get(clock: u32, precision: u64, time: *mut u64) -> u32;
}

/// Where the host puts what it hands over: one value at a time, copied out at once. Larger values
/// get an allocation of their own, which is freed after the copy.
const ARENA_BYTES: usize = 16 * 1024;

#[repr(align(16))]
struct Arena(Cell<[u8; ARENA_BYTES]>);

thread_local! {
    static ARENA: Arena = const { Arena(Cell::new([0; ARENA_BYTES])) };
    static FILTER: RefCell<Option<Filter<Envoy>>> = const { RefCell::new(None) };
}

fn arena() -> *mut u8 {
    ARENA.with(|arena| arena.0.as_ptr().cast())
}

/// Copies what the host has handed over behind `out`, and frees it where it has its own place.
fn take(data: *mut u8, size: usize, out: &mut Vec<u8>) {
    if data.is_null() || size == 0 {
        return;
    }
    // SAFETY: the host got `data` from `proxy_on_memory_allocate` with this size, and has written
    // all of it; nobody else holds it.
    unsafe {
        if data == arena() {
            out.extend_from_slice(std::slice::from_raw_parts(data, size));
        } else {
            out.append(&mut Vec::from_raw_parts(data, size, size));
        }
    }
}

/// Looks at what the host has handed over, without a copy, and frees it where it has its own
/// place. `look` must not call the host, which would write over it.
fn look(data: *mut u8, size: usize, look: impl FnOnce(&[u8])) {
    if data.is_null() || size == 0 {
        return;
    }
    // SAFETY: as in `take`.
    unsafe {
        if data == arena() {
            look(std::slice::from_raw_parts(data, size));
        } else {
            look(&Vec::from_raw_parts(data, size, size));
        }
    }
}

/// The host, as the filter sees it.
#[derive(Clone, Copy, Debug)]
pub struct Envoy;

impl Host for Envoy {
    fn now_ns(&self) -> u64 {
        let mut time = 0;
        // SAFETY: `time` outlives the call.
        unsafe { clock_time_get(CLOCK_MONOTONIC, 1, &mut time) };
        time
    }

    fn define_metric(&self, kind: MetricKind, name: &str) -> Option<u32> {
        let mut id = 0;
        // SAFETY: the pointers are valid for the call.
        let status =
            unsafe { proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &mut id) };
        (status == STATUS_OK).then_some(id)
    }

    fn increment_metric(&self, id: u32, by: i64) {
        // SAFETY: no pointers.
        unsafe { proxy_increment_metric(id, by) };
    }

    fn record_metric(&self, id: u32, value: u64) {
        // SAFETY: no pointers.
        unsafe { proxy_record_metric(id, value) };
    }

    fn shared_get(&self, key: &str, out: &mut Vec<u8>) -> Option<u32> {
        let (mut data, mut size, mut cas) = (std::ptr::null_mut(), 0, 0);
        // SAFETY: the pointers are valid for the call.
        let status = unsafe {
            proxy_get_shared_data(key.as_ptr(), key.len(), &mut data, &mut size, &mut cas)
        };
        take(data, size, out);
        (status == STATUS_OK).then_some(cas)
    }

    fn shared_set(&self, key: &str, value: &[u8], cas: u32) -> SharedWrite {
        // SAFETY: the pointers are valid for the call.
        let status = unsafe {
            proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas)
        };
        match status {
            STATUS_OK => SharedWrite::Done,
            STATUS_CAS_MISMATCH => SharedWrite::Mismatch,
            _ => SharedWrite::Failed,
        }
    }

    fn header(&self, map: HeaderMap, name: &str, out: &mut Vec<u8>) -> bool {
        let (mut data, mut size) = (std::ptr::null_mut(), 0);
        // SAFETY: the pointers are valid for the call.
        let status = unsafe {
            proxy_get_header_map_value(map as u32, name.as_ptr(), name.len(), &mut data, &mut size)
        };
        take(data, size, out);
        status == STATUS_OK
    }

    fn headers(&self, map: HeaderMap, each: impl FnMut(&[u8], &[u8])) {
        let (mut data, mut size) = (std::ptr::null_mut(), 0);
        // SAFETY: the pointers are valid for the call.
        unsafe { proxy_get_header_map_pairs(map as u32, &mut data, &mut size) };
        look(data, size, |bytes| header_pairs::each(bytes, each));
    }

    fn property(&self, property: Property, out: &mut Vec<u8>) -> bool {
        let path = property.path();
        let (mut data, mut size) = (std::ptr::null_mut(), 0);
        // SAFETY: the pointers are valid for the call.
        let status = unsafe { proxy_get_property(path.as_ptr(), path.len(), &mut data, &mut size) };
        take(data, size, out);
        status == STATUS_OK
    }

    /// The host gives only the first line of a header that is asked for by name, so where there is
    /// one, all headers are read.
    fn response_header_lines(&self, name: &str, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        if !self.header(HeaderMap::Response, name, out) {
            return false;
        }
        let (mut data, mut size) = (std::ptr::null_mut(), 0);
        let mut all = Vec::new();
        // SAFETY: the pointers are valid for the call.
        let status =
            unsafe { proxy_get_header_map_pairs(HeaderMap::Response as u32, &mut data, &mut size) };
        take(data, size, &mut all);
        if status == STATUS_OK {
            out.truncate(start);
            header_pairs::values(&all, name.as_bytes(), |value| {
                if out.len() > start {
                    out.push(b',');
                }
                out.extend_from_slice(value);
            });
        }
        true
    }

    fn continue_request(&self, root: u32, stream: u32) {
        // SAFETY: no pointers.
        unsafe {
            if proxy_set_effective_context(stream) == STATUS_OK {
                proxy_continue_stream(STREAM_REQUEST);
                proxy_set_effective_context(root);
            }
        }
    }

    fn remove_response_header(&self, name: &str) {
        // SAFETY: the pointers are valid for the call.
        unsafe {
            proxy_remove_header_map_value(HeaderMap::Response as u32, name.as_ptr(), name.len())
        };
    }

    fn request_body(&self, max: usize, out: &mut Vec<u8>) -> bool {
        let (mut data, mut size) = (std::ptr::null_mut(), 0);
        // SAFETY: the pointers are valid for the call.
        let status =
            unsafe { proxy_get_buffer_bytes(BUFFER_REQUEST_BODY, 0, max, &mut data, &mut size) };
        take(data, size, out);
        status == STATUS_OK
    }

    fn send_response(&self, status: u16, headers: &[(&str, &str)], body: &[u8]) {
        let headers = header_pairs::encode(headers);
        // SAFETY: the pointers are valid for the call.
        unsafe {
            proxy_send_local_response(
                status.into(),
                RESPONSE_DETAILS.as_ptr(),
                RESPONSE_DETAILS.len(),
                body.as_ptr(),
                body.len(),
                headers.as_ptr(),
                headers.len(),
                NO_GRPC_STATUS,
            )
        };
    }

    fn set_filter_state(&self, name: &str, value: &[u8]) {
        // SAFETY: the pointers are valid for the call.
        unsafe { proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) };
    }

    fn log(&self, level: LogLevel, message: &str) {
        // SAFETY: the pointers are valid for the call.
        unsafe { proxy_log(level as u32, message.as_ptr(), message.len()) };
    }
}

/// Runs `work` on this VM's filter. The host calls one callback at a time; should it ever call
/// another from within one, that one is left out rather than the VM lost.
fn filter<T>(work: impl FnOnce(&mut Filter<Envoy>) -> T) -> Option<T> {
    FILTER.with(|filter| {
        let mut filter = filter.try_borrow_mut().ok()?;
        let seed = || RandomState::new().hash_one(0u8);
        Some(work(filter.get_or_insert_with(|| Filter::new(Envoy, seed()))))
    })
}

unsafe extern "C" {
    fn __wasm_call_ctors();
}

/// The host calls this before anything else. That it calls the constructors itself keeps the
/// linker from wrapping every export into a program of its own, with a start and an end.
#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    // SAFETY: the linker makes it, and it is called once.
    unsafe { __wasm_call_ctors() };
}

/// Tells the host which version of the ABI this is.
#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    if size <= ARENA_BYTES {
        return arena();
    }
    let mut place = std::mem::ManuallyDrop::new(Vec::with_capacity(size));
    place.as_mut_ptr()
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(context: u32, parent: u32) {
    if parent != 0 {
        filter(|filter| filter.create(context, parent));
    }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(root: u32, size: usize) -> u32 {
    let (mut data, mut length) = (std::ptr::null_mut(), 0);
    let mut bytes = Vec::new();
    if size > 0 {
        // SAFETY: the pointers are valid for the call.
        unsafe {
            proxy_get_buffer_bytes(BUFFER_PLUGIN_CONFIGURATION, 0, size, &mut data, &mut length)
        };
        take(data, length, &mut bytes);
    }
    let accepted = filter(|filter| filter.configure(root, &bytes, |name| std::env::var(name).ok()));
    if accepted == Some(true) {
        let waits = filter(|filter| filter.waits_for_posts(root)) == Some(true);
        // SAFETY: no pointers.
        unsafe { proxy_set_tick_period_milliseconds(if waits { POST_TICK_MS } else { TICK_MS }) };
    }
    u32::from(accepted == Some(true))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(root: u32) {
    filter(|filter| filter.tick(root));
}

/// What the host is told of a stream: go on, or wait (`Action` of the ABI).
fn action(action: Option<Action>) -> u32 {
    match action {
        Some(Action::Wait) => 1,
        Some(Action::Continue) | None => 0,
    }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(context: u32, _headers: u32, end_of_stream: u32) -> u32 {
    #[cfg(route_metrics_trap)]
    crate::module::trap::here("request_headers");
    action(filter(|filter| filter.request_headers(context, end_of_stream != 0)))
}

/// The size is that of all that was buffered so far.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_body(context: u32, size: usize, end_of_stream: u32) -> u32 {
    action(filter(|filter| filter.request_body(context, size, end_of_stream != 0)))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_trailers(context: u32, _trailers: u32) -> u32 {
    action(filter(|filter| filter.request_body(context, 0, true)))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(context: u32, _headers: u32, _end_of_stream: u32) -> u32 {
    filter(|filter| filter.response_headers(context));
    0
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_log(context: u32) {
    #[cfg(route_metrics_trap)]
    crate::module::trap::here("log");
    filter(|filter| filter.end(context));
}

/// Over HTTP/3 the host never calls `proxy_on_log`: it waits with the end of such a stream until the
/// client has everything, and then tells only access logs that were there before the filters
/// (`EnvoyQuicServerStream::setRequestDecoder`). This comes for every stream, after `proxy_on_log`
/// where there is one, so what has not ended by now ends here; headers of the response are gone.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(context: u32) {
    filter(|filter| filter.forget(context));
}
