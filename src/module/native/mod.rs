//! The adapter to Envoy's dynamic modules; no decisions.
//!
//! The same core as in [`super::wasm`] runs in Envoy's own process: `make native` builds it as a shared
//! library. Every function that Envoy calls stands here. None lets a panic out: it would end Envoy. What
//! panicked is counted (`route_metrics_errors_total{reason="panic"}`), and the request goes on.
#![allow(unsafe_code)] // The ABI passes raw pointers of both sides.

mod abi;
mod config;
#[cfg(any(test, fuzzing))]
#[allow(clippy::panic, reason = "it asserts")]
mod drive;
#[cfg(any(test, fuzzing))]
#[allow(clippy::expect_used, reason = "it asserts")]
pub(super) mod fuzz;
mod host;
mod logger;
#[cfg(any(test, fuzzing))]
#[allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "it asserts")]
mod mock;
mod shared;
mod stream;
#[cfg(test)]
mod tests;
mod ticker;
mod worker;

use std::ffi::{c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::Ordering;

use crate::filter::Action;
use abi::{Buffer, NEWER, Pointer, body, status};
use config::Config;
use stream::Seen;
use worker::Work;

/// A stream, as Envoy keeps it for the module.
struct Stream {
    /// Its number in the filter, once that was told of it.
    number: Option<u32>,
    config: *const Config,
    seen: Seen,
    /// Whether it has ended, and the filter has forgotten it.
    gone: bool,
}

impl Stream {
    /// Its number in the filter, which is told of it when it is first asked something: each call of the filter
    /// takes a lock, so hooks that it needs nothing of go without.
    fn number(&mut self, own: &mut Work, config: &Config) -> u32 {
        *self.number.get_or_insert_with(|| own.create(config))
    }
}

/// An environment variable of the process.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Runs the work of a hook; gives `otherwise` where it panics.
fn guarded<T>(otherwise: T, work: impl FnOnce() -> T) -> T {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result,
        Err(payload) => {
            worker::PANICS.fetch_add(1, Ordering::Relaxed);
            // To drop it could panic again.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(payload)));
            otherwise
        }
    }
}

/// Runs the work of a stream's hook.
///
/// # Safety
/// `module` must be what [`envoy_dynamic_module_on_http_filter_new`] has given for this stream.
unsafe fn of_stream<T>(
    envoy: Pointer,
    module: Pointer,
    otherwise: T,
    work: impl FnOnce(&mut Work, &mut Stream, u32) -> T,
) -> T {
    if module.is_null() {
        return otherwise;
    }
    // SAFETY: the caller's. A stream belongs to one thread, and a configuration outlives its streams.
    let stream = unsafe { &mut *module.cast::<Stream>() };
    // SAFETY: as above.
    let config = unsafe { &*stream.config };
    let seen = Some(stream.seen);
    guarded(otherwise, || {
        worker::with(config, envoy, seen, |own| {
            let number = stream.number(own, config);
            work(own, stream, number)
        })
    })
}

fn word(action: Action) -> u32 {
    match action {
        Action::Continue => status::CONTINUE,
        Action::Wait => status::STOP,
    }
}

/// The panic on purpose of the tests (`make native-trap`).
#[cfg(route_metrics_trap)]
fn trap(own: &Work, hook: &str) {
    super::trap::here(own.filter.host(), hook);
}

#[cfg(not(route_metrics_trap))]
#[inline(always)]
fn trap(_: &Work, _: &str) {}

macro_rules! hooks {
    ($($(#[$meta:meta])* $name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)? $body:block)*) => {
        $(
            $(#[$meta])*
            /// # Safety
            /// Envoy alone calls this, with what the ABI says.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $name($($argument: $type),*) $(-> $result)? $body
        )*
    };
}

hooks! {
    /// The module was loaded. Gives the version of the ABI that it was made for, of which Envoy warns where it
    /// is not its own.
    envoy_dynamic_module_on_program_init() -> *const c_char {
        guarded((), logger::install);
        match NEWER.request {
            true => c"v0.2.0".as_ptr(),
            false => c"v0.1.0".as_ptr(),
        }
    }

    /// A configuration; null where it is refused.
    envoy_dynamic_module_on_http_filter_config_new(
        envoy: Pointer, _name: Buffer, configuration: Buffer
    ) -> *const c_void {
        guarded(ptr::null(), || {
            // SAFETY: Envoy's bytes are there until the hook returns.
            let config = Box::new(Config::new(envoy, unsafe { configuration.bytes() }));
            if !worker::add(&config) {
                return ptr::null();
            }
            ticker::add(&config);
            Box::into_raw(config).cast_const().cast()
        })
    }

    /// A configuration goes. It has no streams any more.
    envoy_dynamic_module_on_http_filter_config_destroy(config: Pointer) {
        if config.is_null() {
            return;
        }
        guarded((), || {
            // SAFETY: it is what the hook above has given, and comes back once.
            let config = unsafe { Box::from_raw(config.cast::<Config>()) };
            ticker::remove(&config);
            worker::forget(&config);
        });
    }

    /// About a second has passed (see [`ticker`]).
    envoy_dynamic_module_on_http_filter_config_scheduled(_envoy: Pointer, config: Pointer, _event: u64) {
        if !config.is_null() {
            // SAFETY: it is what was given for this configuration, which is alive.
            guarded((), || worker::tick(unsafe { &*config.cast::<Config>() }));
        }
    }

    /// A configuration of one route, which there is none of: null refuses it.
    envoy_dynamic_module_on_http_filter_per_route_config_new(
        _name: Buffer, _configuration: Buffer
    ) -> *const c_void {
        log::error!("route-metrics takes no configuration per route");
        ptr::null()
    }

    /// A stream was created.
    envoy_dynamic_module_on_http_filter_new(config: Pointer, _envoy: Pointer) -> *mut c_void {
        if config.is_null() {
            return ptr::null_mut();
        }
        // SAFETY: it is what was given for this configuration, which is alive.
        let config = unsafe { &*config.cast::<Config>() };
        Box::into_raw(Box::new(Stream { number: None, config, seen: Seen::new(), gone: false })).cast()
    }

    /// The request's headers.
    envoy_dynamic_module_on_http_filter_request_headers(
        envoy: Pointer, module: Pointer, end: bool
    ) -> u32 {
        // SAFETY: Envoy's.
        unsafe { of_stream(envoy, module, status::CONTINUE, |own, _, number| {
            trap(own, "request_headers");
            word(own.filter.request_headers(number, end))
        }) }
    }

    /// A piece of the request's body.
    envoy_dynamic_module_on_http_filter_request_body(
        envoy: Pointer, module: Pointer, end: bool
    ) -> u32 {
        if module.is_null() {
            return status::CONTINUE;
        }
        // SAFETY: Envoy's; a stream belongs to one thread.
        unsafe {
            let stream = &mut *module.cast::<Stream>();
            let posts = (*stream.config).takes_posts;
            if NEWER.request && !posts {
                return status::CONTINUE;
            }
            let received = abi::body_size(envoy, body::RECEIVED_REQUEST);
            stream.seen.request_bytes += received as u64;
            if !posts {
                return status::CONTINUE;
            }
            // Where a filter before this one has kept it all, what has come is what was kept.
            let before = match abi::received_is_buffered(envoy) {
                true => 0,
                false => abi::body_size(envoy, body::BUFFERED_REQUEST),
            };
            of_stream(envoy, module, status::CONTINUE, |own, _, number| {
                word(own.filter.request_body(number, before + received, end))
            })
        }
    }

    /// The request's trailers.
    envoy_dynamic_module_on_http_filter_request_trailers(envoy: Pointer, module: Pointer) -> u32 {
        // SAFETY: Envoy's; a stream belongs to one thread.
        unsafe {
            if module.is_null() || !(*(*module.cast::<Stream>()).config).takes_posts {
                return status::CONTINUE;
            }
            of_stream(envoy, module, status::CONTINUE, |own, _, number| {
                word(own.filter.request_body(number, 0, true))
            })
        }
    }

    /// The response's headers.
    envoy_dynamic_module_on_http_filter_response_headers(
        envoy: Pointer, module: Pointer, _end: bool
    ) -> u32 {
        // SAFETY: Envoy's; a stream belongs to one thread.
        unsafe {
            if !module.is_null() && (*(*module.cast::<Stream>()).config).reports_in_headers {
                of_stream(envoy, module, (), |own, _, number| own.filter.response_headers(number));
            }
        }
        status::CONTINUE
    }

    /// A piece of the response's body.
    envoy_dynamic_module_on_http_filter_response_body(
        envoy: Pointer, module: Pointer, _end: bool
    ) -> u32 {
        if !NEWER.response && !module.is_null() {
            // SAFETY: Envoy's; a stream belongs to one thread.
            unsafe {
                let stream = &mut *module.cast::<Stream>();
                stream.seen.response_bytes += abi::body_size(envoy, body::RECEIVED_RESPONSE) as u64;
            }
        }
        status::CONTINUE
    }

    /// The response's trailers.
    envoy_dynamic_module_on_http_filter_response_trailers(_envoy: Pointer, _module: Pointer) -> u32 {
        status::CONTINUE
    }

    /// The stream has ended.
    envoy_dynamic_module_on_http_filter_stream_complete(envoy: Pointer, module: Pointer) {
        // SAFETY: Envoy's.
        let ended = unsafe { of_stream(envoy, module, false, |own, stream, number| {
            trap(own, "log");
            own.filter.end(number);
            own.tick_with_stream();
            own.forget(number);
            stream.gone = true;
            true
        }) };
        if !ended {
            // SAFETY: Envoy's.
            unsafe { of_stream(envoy, module, (), |own, _, number| own.filter.abandon(number)) };
        }
    }

    /// The stream goes.
    envoy_dynamic_module_on_http_filter_destroy(module: Pointer) {
        if module.is_null() {
            return;
        }
        // SAFETY: it is what was given for this stream, and comes back once.
        let mut stream = unsafe { Box::from_raw(module.cast::<Stream>()) };
        if stream.gone {
            return;
        }
        // SAFETY: a configuration outlives its streams.
        let config = unsafe { &*stream.config };
        guarded((), || {
            worker::with(config, ptr::null_mut(), None, |own| {
                let number = stream.number(own, config);
                own.forget(number);
            });
        });
    }

    /// Another filter or Envoy answers: it may.
    envoy_dynamic_module_on_http_filter_local_reply(
        _envoy: Pointer, module: Pointer, _code: u32, _details: Buffer, _reset: bool
    ) -> u32 {
        if !module.is_null() {
            // SAFETY: Envoy's; a stream belongs to one thread. The hook is called from within others, whose
            // filter is at work.
            unsafe { (*module.cast::<Stream>()).seen.answered_locally = true };
        }
        status::CONTINUE
    }
}

/// Hooks that the ABI wants to be there, of what the module never asks for.
macro_rules! unused {
    ($($name:ident($($type:ty),*);)*) => {
        $(
            /// The module asks for nothing that is answered here.
            ///
            /// # Safety
            /// It does nothing.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $name($(_: $type),*) {}
        )*
    };
}

unused! {
    envoy_dynamic_module_on_http_filter_per_route_config_destroy(Pointer);
    envoy_dynamic_module_on_http_filter_http_callout_done(
        Pointer, Pointer, u64, u32, Pointer, usize, Pointer, usize);
    envoy_dynamic_module_on_http_filter_http_stream_headers(
        Pointer, Pointer, u64, Pointer, usize, bool);
    envoy_dynamic_module_on_http_filter_http_stream_data(
        Pointer, Pointer, u64, Pointer, usize, bool);
    envoy_dynamic_module_on_http_filter_http_stream_trailers(
        Pointer, Pointer, u64, Pointer, usize);
    envoy_dynamic_module_on_http_filter_http_stream_complete(Pointer, Pointer, u64);
    envoy_dynamic_module_on_http_filter_http_stream_reset(Pointer, Pointer, u64, u32);
    envoy_dynamic_module_on_http_filter_scheduled(Pointer, Pointer, u64);
    envoy_dynamic_module_on_http_filter_config_http_callout_done(
        Pointer, Pointer, u64, u32, Pointer, usize, Pointer, usize);
    envoy_dynamic_module_on_http_filter_config_http_stream_headers(
        Pointer, Pointer, u64, Pointer, usize, bool);
    envoy_dynamic_module_on_http_filter_config_http_stream_data(
        Pointer, Pointer, u64, Pointer, usize, bool);
    envoy_dynamic_module_on_http_filter_config_http_stream_trailers(
        Pointer, Pointer, u64, Pointer, usize);
    envoy_dynamic_module_on_http_filter_config_http_stream_complete(Pointer, Pointer, u64);
    envoy_dynamic_module_on_http_filter_config_http_stream_reset(Pointer, Pointer, u64, u32);
    envoy_dynamic_module_on_http_filter_downstream_above_write_buffer_high_watermark(
        Pointer, Pointer);
    envoy_dynamic_module_on_http_filter_downstream_below_write_buffer_low_watermark(
        Pointer, Pointer);
}
