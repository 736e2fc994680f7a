//! Benchmark case: the host calls that the filter makes for a request with its default configuration
//! (`tests/exact/counts.md`), and nothing else. What is read is not looked at, and the same three
//! metrics are recorded whatever the request was. It says what a Wasm filter that needs these calls
//! has to pay in any case.

use std::cell::Cell;
use std::ptr;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, by: i64) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
}

const REQUEST_HEADERS: u32 = 0;
const RESPONSE_HEADERS: u32 = 2;

/// Where the host puts everything.
const PLACE_BYTES: usize = 16 * 1024;

#[repr(align(16))]
struct Place(Cell<[u8; PLACE_BYTES]>);

thread_local! {
    static PLACE: Place = const { Place(Cell::new([0; PLACE_BYTES])) };
    static METRICS: Cell<[u32; 3]> = const { Cell::new([0; 3]) };
}

/// The host hands over what `call` asks for.
fn ask(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) {
    let (mut data, mut size) = (ptr::null_mut(), 0);
    call(&raw mut data, &raw mut size);
}

fn headers(map: u32) {
    // SAFETY: the pointers are valid for the call.
    ask(|data, size| unsafe { proxy_get_header_map_pairs(map, data, size) });
}

fn property(path: &str) {
    // SAFETY: the pointers are valid for the call.
    ask(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) });
}

unsafe extern "C" {
    fn __wasm_call_ctors();
}

#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    // SAFETY: the linker makes it, and it is called once.
    unsafe { __wasm_call_ctors() };
}

#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

/// The headers of a benchmark fit.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    if size > PLACE_BYTES {
        return ptr::null_mut();
    }
    PLACE.with(|place| place.0.as_ptr().cast())
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(_context: u32, _parent: u32) {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(_root: u32, _size: usize) -> u32 {
    let metrics = [
        (0, "http_requests_total.method=.=GET;.;endpoint=.=/users;.;status=.=200;.;"),
        (2, "http_request_duration_microseconds.method=.=GET;.;endpoint=.=/users;.;"),
        (2, "http_response_size_bytes.method=.=GET;.;endpoint=.=/users;.;"),
    ];
    METRICS.set(metrics.map(|(kind, name)| {
        let mut id = 0;
        // SAFETY: the pointers are valid for the call.
        unsafe { proxy_define_metric(kind, name.as_ptr(), name.len(), &raw mut id) };
        id
    }));
    1
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(_stream: u32, _headers: u32, _end: u32) -> u32 {
    headers(REQUEST_HEADERS);
    0
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(_stream: u32, _headers: u32, _end: u32) -> u32 {
    0
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_log(_stream: u32) {
    headers(RESPONSE_HEADERS);
    property("response\0flags");
    property("request\0duration");
    let [requests, duration, size] = METRICS.get();
    // SAFETY: no pointers.
    unsafe {
        proxy_increment_metric(requests, 1);
        proxy_record_metric(duration, 100);
        proxy_record_metric(size, 3);
    }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(_stream: u32) {}
