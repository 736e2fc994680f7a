//! The host, as the filter sees it.
//!
//! The functions of the host are declared here, and not taken from the SDK, because requests call them:
//! the SDK panics where a status is not one of those that it expects, and every function answers with
//! such a one where the VM is not allowed to call it (`capability_restriction_config`). Headers that are
//! not UTF-8 end the VM in the SDK, too, and its getters copy what is read into new allocations and maps.
//! Here a status that is not `Ok` means "absent", and what is handed over is read where it is.
//!
//! Source: proxy-wasm/spec, `abi-versions/v0.2.1`; what Envoy makes of it is in proxy-wasm-cpp-host,
//! `src/exports.cc` and `src/context.cc`.

use proxy_wasm::types::{BufferType, LogLevel as Level, MapType, MetricType, Status, StreamType};

use super::handover::ask;
use crate::host::{HeaderMap, Host, LogLevel, MetricKind, Property, SharedWrite};
use crate::module::header_pairs;

const OK: u32 = Status::Ok as u32;
const CAS_MISMATCH: u32 = Status::CasMismatch as u32;
/// No gRPC status: Envoy makes one from the response code where the request is a gRPC call.
const NO_GRPC_STATUS: i32 = -1;
/// `%RESPONSE_CODE_DETAILS%` of the filter's own answers.
const RESPONSE_DETAILS: &str = "route_metrics";
const CLOCK_MONOTONIC: u32 = 1;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, message: *const u8, size: usize) -> u32;
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

/// The kind as the ABI has it.
fn kind(kind: MetricKind) -> u32 {
    let kind = match kind {
        MetricKind::Counter => MetricType::Counter,
        MetricKind::Gauge => MetricType::Gauge,
        MetricKind::Histogram => MetricType::Histogram,
    };
    kind as u32
}

/// The headers as the ABI has them.
fn map(map: HeaderMap) -> u32 {
    let map = match map {
        HeaderMap::Request => MapType::HttpRequestHeaders,
        HeaderMap::Response => MapType::HttpResponseHeaders,
        HeaderMap::ResponseTrailers => MapType::HttpResponseTrailers,
    };
    map as u32
}

/// Asks the host for bytes, and appends them to `out`; false where it does not answer with `Ok`.
#[inline]
fn read(out: &mut Vec<u8>, call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> bool {
    ask(call, |bytes| out.extend_from_slice(bytes)) == OK
}

/// Writes to Envoy's log, if that is allowed.
pub fn log(level: Level, message: &str) {
    // SAFETY: the pointers are valid for the call.
    unsafe { proxy_log(level as u32, message.as_ptr(), message.len()) };
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
            unsafe { proxy_define_metric(self::kind(kind), name.as_ptr(), name.len(), &mut id) };
        (status == OK).then_some(id)
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
        let mut cas = 0;
        // SAFETY: the pointers are valid for the call.
        let found = read(out, |data, size| unsafe {
            proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &mut cas)
        });
        found.then_some(cas)
    }

    fn shared_set(&self, key: &str, value: &[u8], cas: u32) -> SharedWrite {
        // SAFETY: the pointers are valid for the call.
        let status = unsafe {
            proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas)
        };
        match status {
            OK => SharedWrite::Done,
            CAS_MISMATCH => SharedWrite::Mismatch,
            _ => SharedWrite::Failed,
        }
    }

    fn header(&self, map: HeaderMap, name: &str, out: &mut Vec<u8>) -> bool {
        // SAFETY: the pointers are valid for the call.
        read(out, |data, size| unsafe {
            proxy_get_header_map_value(self::map(map), name.as_ptr(), name.len(), data, size)
        })
    }

    fn headers(&self, map: HeaderMap, each: impl FnMut(&[u8], &[u8])) {
        // SAFETY: the pointers are valid for the call.
        let call = |data, size| unsafe { proxy_get_header_map_pairs(self::map(map), data, size) };
        ask(call, |bytes| header_pairs::each(bytes, each));
    }

    fn property(&self, property: Property, out: &mut Vec<u8>) -> bool {
        let path = property.path();
        // SAFETY: the pointers are valid for the call.
        read(out, |data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) })
    }

    /// The host gives only the first line of a header that is asked for by name, so where there is
    /// one, all headers are read.
    fn response_header_lines(&self, name: &str, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        if !self.header(HeaderMap::Response, name, out) {
            return false;
        }
        let map = self::map(HeaderMap::Response);
        // SAFETY: the pointers are valid for the call.
        let call = |data, size| unsafe { proxy_get_header_map_pairs(map, data, size) };
        ask(call, |all| {
            out.truncate(start);
            header_pairs::values(all, name.as_bytes(), |value| {
                if out.len() > start {
                    out.push(b',');
                }
                out.extend_from_slice(value);
            });
        });
        true
    }

    fn continue_request(&self, root: u32, stream: u32) {
        // SAFETY: no pointers.
        unsafe {
            if proxy_set_effective_context(stream) == OK {
                proxy_continue_stream(StreamType::HttpRequest as u32);
                proxy_set_effective_context(root);
            }
        }
    }

    fn remove_response_header(&self, name: &str) {
        // SAFETY: the pointers are valid for the call.
        unsafe {
            proxy_remove_header_map_value(map(HeaderMap::Response), name.as_ptr(), name.len())
        };
    }

    fn request_body(&self, max: usize, out: &mut Vec<u8>) -> bool {
        // SAFETY: the pointers are valid for the call.
        read(out, |data, size| unsafe {
            proxy_get_buffer_bytes(BufferType::HttpRequestBody as u32, 0, max, data, size)
        })
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
        log::log!(level, "{message}");
    }
}
