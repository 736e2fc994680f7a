//! The adapter to proxy-wasm; no decisions.
//!
//! Contexts and callbacks are the SDK's, and so is what is only called when a configuration comes. The
//! other calls of the host are in [`host`], which says why. The SDK panics on what it does not expect;
//! docs/architecture.md has the list, and why nothing that a client or an upstream sends gets there.
//!
//! The SDK exports every callback that there is, and Envoy calls what is exported. `exports.json` names
//! those that the module is shipped with (`make module`).
#![allow(unsafe_code)] // The ABI passes raw pointers into this VM's memory.

mod handover;
mod host;
mod logger;

use std::cell::RefCell;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::ptr::{self, NonNull};
use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types;

use crate::filter::{Action, Filter};
use host::Envoy;

/// How often the host is asked to call back for flushing.
const TICK: Duration = Duration::from_secs(1);
/// As above, where events may be posted: how long a post may wait if Envoy does not show its body
/// (see `Filter::tick`).
const POST_TICK: Duration = Duration::from_millis(100);

thread_local! {
    static FILTER: RefCell<Option<Filter<Envoy>>> = const { RefCell::new(None) };
}

proxy_wasm::main! {{
    logger::install();
    proxy_wasm::set_root_context(|context| Box::new(Root(context)));
    proxy_wasm::set_http_context(|context, root| {
        filter(|filter| filter.create(context, root));
        Stream::new(context)
    });
}}

/// Runs `work` on this VM's filter. The host calls one callback at a time; should it ever call
/// another from within one, that one is left out rather than the VM lost.
fn filter<T>(work: impl FnOnce(&mut Filter<Envoy>) -> T) -> Option<T> {
    FILTER.with(|filter| {
        let mut filter = filter.try_borrow_mut().ok()?;
        let seed = || RandomState::new().hash_one(0u8);
        Some(work(filter.get_or_insert_with(|| Filter::new(Envoy, seed()))))
    })
}

/// A configuration, by the number of its context.
struct Root(u32);

impl Drop for Root {
    /// What waits for the next flush may have to go without one.
    fn drop(&mut self) {
        filter(|filter| filter.forget(self.0));
    }
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        let Self(root) = *self;
        let bytes = self.get_plugin_configuration().unwrap_or_default();
        let variable = |name: &str| std::env::var(name).ok();
        if filter(|filter| filter.configure(root, &bytes, variable)) != Some(true) {
            return false;
        }
        let waits = filter(|filter| filter.waits_for_posts(root)) == Some(true);
        self.set_tick_period(if waits { POST_TICK } else { TICK });
        true
    }

    fn on_tick(&mut self) {
        filter(|filter| filter.tick(self.0));
    }
}

/// A request and its response.
///
/// The SDK keeps each stream in a box of its own. This one is empty, so that none is allocated: the
/// number of the context is the address to which the box points, which may be any for what has no size.
struct Stream;

const _: () = assert!(size_of::<Stream>() == 0 && align_of::<Stream>() == 1);

impl Stream {
    fn new(context: u32) -> Box<Self> {
        // The host's number 0 is that of the VM itself, and no stream's.
        let place = NonNull::new(ptr::without_provenance_mut(context as usize));
        // SAFETY: a box of something without a size may point anywhere but to null.
        unsafe { Box::from_raw(place.unwrap_or(NonNull::dangling()).as_ptr()) }
    }

    fn context(&self) -> u32 {
        ptr::from_ref(self).addr() as u32
    }

    fn act(&self, work: impl FnOnce(&mut Filter<Envoy>, u32) -> Action) -> types::Action {
        match filter(|filter| work(filter, self.context())) {
            Some(Action::Wait) => types::Action::Pause,
            Some(Action::Continue) | None => types::Action::Continue,
        }
    }
}

impl Drop for Stream {
    /// The SDK drops a stream when the host deletes it. Over HTTP/3 that is all that tells its end: the
    /// host waits with it until the client has everything, and then tells only access logs that were
    /// there before the filters (`EnvoyQuicServerStream::setRequestDecoder`). Over other protocols it
    /// comes after the log. Headers of the response are gone by then.
    fn drop(&mut self) {
        filter(|filter| filter.forget(self.context()));
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _headers: usize, end_of_stream: bool) -> types::Action {
        #[cfg(route_metrics_trap)]
        crate::module::trap::here(&Envoy, "request_headers");
        self.act(|filter, stream| filter.request_headers(stream, end_of_stream))
    }

    /// The size is that of all that was buffered so far.
    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> types::Action {
        self.act(|filter, stream| filter.request_body(stream, size, end_of_stream))
    }

    fn on_http_request_trailers(&mut self, _trailers: usize) -> types::Action {
        self.act(|filter, stream| filter.request_body(stream, 0, true))
    }

    fn on_http_response_headers(&mut self, _headers: usize, _end: bool) -> types::Action {
        filter(|filter| filter.response_headers(self.context()));
        types::Action::Continue
    }

    fn on_log(&mut self) {
        #[cfg(route_metrics_trap)]
        crate::module::trap::here(&Envoy, "log");
        filter(|filter| filter.end(self.context()));
    }
}
