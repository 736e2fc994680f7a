//! In the steady state a request allocates nothing, whether it is recorded or not.

#![allow(unsafe_code, reason = "an allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use route_metrics::filter::Filter;
use route_metrics::host::{HeaderMap, Host, LogLevel, MetricKind, Property, SharedWrite};

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: hands everything on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller's promises are those that `System` needs.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const PATHS: [&str; 4] = ["/users/17?x=1", "/users/4711", "/orders/acme-4/items", "/health/live"];

/// A host that answers every request alike, and allocates nothing itself.
#[derive(Default)]
struct Fixed {
    ids: Cell<u32>,
    request: Cell<usize>,
}

impl Host for Fixed {
    fn now_ns(&self) -> u64 {
        1
    }

    fn define_metric(&self, _: MetricKind, _: &str) -> Option<u32> {
        self.ids.set(self.ids.get() + 1);
        Some(self.ids.get())
    }

    fn increment_metric(&self, _: u32, _: i64) {}

    fn record_metric(&self, _: u32, _: u64) {}

    fn shared_get(&self, _: &str, _: &mut Vec<u8>) -> Option<u32> {
        None
    }

    fn shared_set(&self, _: &str, _: &[u8], _: u32) -> SharedWrite {
        SharedWrite::Done
    }

    fn header(&self, _: HeaderMap, _: &str, _: &mut Vec<u8>) -> bool {
        false
    }

    fn headers(&self, map: HeaderMap, mut each: impl FnMut(&[u8], &[u8])) {
        if map == HeaderMap::Request {
            let path = PATHS[self.request.get() % PATHS.len()];
            each(b":authority", b"example.com");
            each(b":path", path.as_bytes());
            each(b":method", b"GET");
            each(b"x-tenant", b"acme");
        } else {
            let failed = self.request.get().is_multiple_of(7);
            each(b":status", if failed { b"503" } else { b"200" });
            each(b"content-length", b"512");
        }
    }

    fn property(&self, property: Property, out: &mut Vec<u8>) -> bool {
        if property == Property::ResponseCode {
            out.extend_from_slice(&200u64.to_le_bytes());
        }
        property == Property::ResponseCode
    }

    fn continue_request(&self, _: u32, _: u32) {}

    fn remove_response_header(&self, _: &str) {}

    fn request_body(&self, _: usize, _: &mut Vec<u8>) -> bool {
        false
    }

    fn send_response(&self, _: u16, _: &[(&str, &str)], _: &[u8]) {}

    fn set_filter_state(&self, _: &str, _: &[u8]) {}

    fn log(&self, _: LogLevel, _: &str) {}
}

/// Allocations of a thousand requests after some thousands.
fn allocations(configuration: &str) -> u64 {
    const ROOT: u32 = 1;
    let mut filter = Filter::new(Fixed::default(), 7);
    assert!(filter.configure(ROOT, configuration.as_bytes(), |_| None), "{configuration}");
    let mut requests = |from: u32, count: u32| {
        let before = COUNT.get();
        for index in from..from + count {
            let stream = ROOT + 1 + index;
            filter.host().request.set(index as usize);
            filter.create(stream, ROOT);
            filter.request_headers(stream, true);
            filter.response_headers(stream);
            filter.end(stream);
            filter.forget(stream);
        }
        COUNT.get() - before
    };
    let first = requests(0, 5_000);
    assert!(first > 0, "nothing was counted");
    requests(5_000, 1_000)
}

#[test]
fn a_request_allocates_nothing() {
    for configuration in [
        "{}",
        r#"{"endpoint": {"templates": ["/users/{id}", "/orders/{name}/items"]}}"#,
        r#"{"endpoint": {"inference": "off", "exclude": ["/health/{*path}"]}}"#,
        r#"{"labels": {"tenant": {"from": "request_header", "name": "x-tenant"}},
            "metrics": {"requests_total": {"labels": ["endpoint", "tenant"]}}}"#,
        r#"{"sampling": {"rate": 0.1, "always": {"statuses": ["5xx"]}}}"#,
        r#"{"sampling": {"rate": 0.001}}"#,
        r#"{"custom_metrics": [{"name": "a_total", "type": "counter", "match": {"methods": ["GET"]},
            "labels": {"class": {"from": "status_class"}}}]}"#,
    ] {
        assert_eq!(allocations(configuration), 0, "{configuration}");
    }
}
