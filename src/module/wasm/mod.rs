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
    proxy_wasm::set_root_context(|context| Box::new(Root(Id(context))));
    proxy_wasm::set_http_context(|context, root| {
        filter(|filter| filter.create(context, root));
        Box::new(Stream(Id(context)))
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

/// The number of a context, for as long as the host knows it.
///
/// The SDK drops a context when the host deletes it. Over HTTP/3 that is all that tells the end of a
/// stream: the host waits with it until the client has everything, and then tells only access logs that
/// were there before the filters (`EnvoyQuicServerStream::setRequestDecoder`). Over other protocols it
/// comes after the log. Headers of the response are gone by then.
struct Id(u32);

impl Drop for Id {
    fn drop(&mut self) {
        filter(|filter| filter.forget(self.0));
    }
}

/// A configuration.
struct Root(Id);

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        let Self(Id(root)) = *self;
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
        filter(|filter| filter.tick(self.0.0));
    }
}

/// A request and its response.
struct Stream(Id);

impl Stream {
    fn act(&self, work: impl FnOnce(&mut Filter<Envoy>, u32) -> Action) -> types::Action {
        match filter(|filter| work(filter, self.0.0)) {
            Some(Action::Wait) => types::Action::Pause,
            Some(Action::Continue) | None => types::Action::Continue,
        }
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
        filter(|filter| filter.response_headers(self.0.0));
        types::Action::Continue
    }

    fn on_log(&mut self) {
        #[cfg(route_metrics_trap)]
        crate::module::trap::here(&Envoy, "log");
        filter(|filter| filter.end(self.0.0));
    }
}
