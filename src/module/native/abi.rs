//! The part of Envoy's ABI for dynamic modules that the adapter uses.
//!
//! Source: envoyproxy/envoy, `source/extensions/dynamic_modules/abi/abi.h`; what stands here is the same in
//! 1.38, 1.39 and 1.40. Envoy 1.40 resolves every function when it loads the module, so what older ones lack
//! is looked up by name ([`Newer`]).

use std::ffi::{CStr, c_void};
use std::sync::LazyLock;

/// Something of Envoy's, or of the module's in Envoy's hands.
pub type Pointer = *mut c_void;

/// Bytes of either side, valid for one call.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Buffer {
    data: *const u8,
    length: usize,
}

impl Buffer {
    /// No bytes.
    pub const EMPTY: Self = Self { data: std::ptr::null(), length: 0 };

    /// Bytes of the module's.
    pub const fn new(bytes: &[u8]) -> Self {
        Self { data: bytes.as_ptr(), length: bytes.len() }
    }

    /// The bytes.
    ///
    /// # Safety
    /// They must be there for as long as the caller says.
    pub unsafe fn bytes<'a>(self) -> &'a [u8] {
        if self.data.is_null() || self.length == 0 {
            return &[];
        }
        // SAFETY: the caller's.
        unsafe { std::slice::from_raw_parts(self.data, self.length) }
    }
}

/// A line of a header map.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Header {
    /// Its name.
    pub name: Buffer,
    /// Its value.
    pub value: Buffer,
}

/// The header maps.
pub mod map {
    pub const REQUEST: u32 = 0;
    pub const RESPONSE: u32 = 2;
    pub const RESPONSE_TRAILERS: u32 = 3;
}

/// The bodies.
pub mod body {
    pub const RECEIVED_REQUEST: u32 = 0;
    pub const BUFFERED_REQUEST: u32 = 1;
    pub const RECEIVED_RESPONSE: u32 = 2;
}

/// The attributes.
pub mod attribute {
    pub const REQUEST_PROTOCOL: u32 = 10;
    pub const REQUEST_SIZE: u32 = 13;
    pub const RESPONSE_CODE: u32 = 15;
    pub const RESPONSE_CODE_DETAILS: u32 = 16;
    pub const RESPONSE_FLAGS: u32 = 17;
    pub const RESPONSE_GRPC_STATUS: u32 = 18;
    pub const RESPONSE_SIZE: u32 = 21;
    pub const CLUSTER_NAME: u32 = 57;
    pub const ROUTE_NAME: u32 = 61;
    pub const VIRTUAL_HOST: u32 = 63;
}

/// What hooks answer.
pub mod status {
    /// Go on.
    pub const CONTINUE: u32 = 0;
    /// Stop here, and show the body (headers); stop and keep what came (body, trailers).
    pub const STOP: u32 = 1;
}

/// Success of what is done to metrics.
pub const DONE: u32 = 0;

/// Defines a metric: configuration, name, label names and their number, and where its number goes.
type Define = unsafe extern "C" fn(Pointer, Buffer, *const Buffer, usize, *mut usize) -> u32;
/// Changes a metric: stream or configuration, number, label values and their number, by how much.
pub type Change = unsafe extern "C" fn(Pointer, usize, *const Buffer, usize, u64) -> u32;

macro_rules! callbacks {
    ($($(#[$meta:meta])* $name:ident = $symbol:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;)*) => {
        unsafe extern "C" {
            $(
                $(#[$meta])*
                #[link_name = concat!("envoy_dynamic_module_callback_", stringify!($symbol))]
                pub fn $name($($argument: $type),*) $(-> $result)?;
            )*
        }
    };
}

callbacks! {
    log = log(level: u32, message: Buffer);
    define_counter = http_filter_config_define_counter(
        config: Pointer, name: Buffer, labels: *const Buffer, count: usize, id: *mut usize) -> u32;
    define_gauge = http_filter_config_define_gauge(
        config: Pointer, name: Buffer, labels: *const Buffer, count: usize, id: *mut usize) -> u32;
    define_histogram = http_filter_config_define_histogram(
        config: Pointer, name: Buffer, labels: *const Buffer, count: usize, id: *mut usize) -> u32;
    scheduler_new = http_filter_config_scheduler_new(config: Pointer) -> Pointer;
    scheduler_commit = http_filter_config_scheduler_commit(scheduler: Pointer, event: u64);
    scheduler_delete = http_filter_config_scheduler_delete(scheduler: Pointer);
    increment_counter = http_filter_increment_counter(
        stream: Pointer, id: usize, values: *const Buffer, count: usize, by: u64) -> u32;
    increment_gauge = http_filter_increment_gauge(
        stream: Pointer, id: usize, values: *const Buffer, count: usize, by: u64) -> u32;
    decrement_gauge = http_filter_decrement_gauge(
        stream: Pointer, id: usize, values: *const Buffer, count: usize, by: u64) -> u32;
    set_gauge = http_filter_set_gauge(
        stream: Pointer, id: usize, values: *const Buffer, count: usize, to: u64) -> u32;
    record_histogram = http_filter_record_histogram_value(
        stream: Pointer, id: usize, values: *const Buffer, count: usize, value: u64) -> u32;
    attribute_int = http_filter_get_attribute_int(stream: Pointer, id: u32, out: *mut u64) -> bool;
    attribute_string =
        http_filter_get_attribute_string(stream: Pointer, id: u32, out: *mut Buffer) -> bool;
    cluster_name = http_get_cluster_name(stream: Pointer, out: *mut Buffer) -> bool;
    headers_size = http_get_headers_size(stream: Pointer, map: u32) -> usize;
    headers = http_get_headers(stream: Pointer, map: u32, out: *mut Header) -> bool;
    header = http_get_header(
        stream: Pointer, map: u32, name: Buffer, out: *mut Buffer, index: usize, lines: *mut usize)
        -> bool;
    set_header = http_set_header(stream: Pointer, map: u32, name: Buffer, value: Buffer) -> bool;
    body_size = http_get_body_size(stream: Pointer, body: u32) -> usize;
    body_chunks_size = http_get_body_chunks_size(stream: Pointer, body: u32) -> usize;
    body_chunks = http_get_body_chunks(stream: Pointer, body: u32, out: *mut Buffer) -> bool;
    received_is_buffered = http_received_buffered_request_body(stream: Pointer) -> bool;
    send_response = http_send_response(
        stream: Pointer, status: u32, headers: *const Header, count: usize, body: Buffer, details: Buffer);
    set_filter_state = http_set_filter_state_bytes(stream: Pointer, key: Buffer, value: Buffer) -> bool;
}

#[cfg(not(any(test, fuzzing)))]
unsafe extern "C" {
    fn dlsym(handle: Pointer, symbol: *const std::ffi::c_char) -> Pointer;
}

#[cfg(any(test, fuzzing))]
use super::mock::find;

/// A function of Envoy by its whole name; null where this Envoy has none.
#[cfg(not(any(test, fuzzing)))]
fn find(symbol: &CStr) -> Pointer {
    // SAFETY: null stands for everything that the program has loaded.
    unsafe { dlsym(std::ptr::null_mut(), symbol.as_ptr()) }
}

/// What not every Envoy has.
#[derive(Debug)]
pub struct Newer {
    /// Changes of metrics outside streams, since 1.39.
    pub outside: Option<Outside>,
    /// Response flags and size, since 1.39.
    pub response: bool,
    /// Request size, gRPC status, cluster and virtual host, since 1.40.
    pub request: bool,
}

/// Changes of metrics by a configuration.
#[derive(Debug)]
pub struct Outside {
    /// Adds to a counter.
    pub increment_counter: Change,
    /// Adds to a gauge.
    pub increment_gauge: Change,
    /// Takes from a gauge.
    pub decrement_gauge: Change,
    /// Sets a gauge.
    pub set_gauge: Change,
}

/// What this Envoy has of it.
pub static NEWER: LazyLock<Newer> = LazyLock::new(|| {
    let change = |symbol: &CStr| {
        let found = find(symbol);
        // SAFETY: the function of this name has this type.
        (!found.is_null()).then(|| unsafe { std::mem::transmute::<Pointer, Change>(found) })
    };
    let outside = || {
        Some(Outside {
            increment_counter: change(
                c"envoy_dynamic_module_callback_http_filter_config_increment_counter",
            )?,
            increment_gauge: change(
                c"envoy_dynamic_module_callback_http_filter_config_increment_gauge",
            )?,
            decrement_gauge: change(
                c"envoy_dynamic_module_callback_http_filter_config_decrement_gauge",
            )?,
            set_gauge: change(c"envoy_dynamic_module_callback_http_filter_config_set_gauge")?,
        })
    };
    // Envoy logs an error for each attribute that it does not know, so it is told from functions that came
    // with the same version whether it does.
    Newer {
        outside: outside(),
        response: !find(c"envoy_dynamic_module_callback_http_get_header_values").is_null(),
        request: !find(c"envoy_dynamic_module_callback_http_get_timing_info").is_null(),
    }
});

/// The function that defines metrics of a kind.
pub fn define(kind: crate::host::MetricKind) -> Define {
    use crate::host::MetricKind::{Counter, Gauge, Histogram};
    match kind {
        Counter => define_counter,
        Gauge => define_gauge,
        Histogram => define_histogram,
    }
}
