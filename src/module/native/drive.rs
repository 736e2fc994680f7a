//! Envoy's side of the hooks, for the fuzzer and the tests: configurations and streams as Envoy has them, on an
//! [Envoy in memory](super::mock), and nothing that Envoy does not do with them.

use super::abi::{Buffer, Pointer, status};
use super::mock::{self, Lines};
use super::{config, shared, worker};

/// A process in which nothing has happened yet, in place of the test's own, which comes back with its end.
#[derive(Default)]
pub struct Process {
    workers: worker::Threads,
    families: config::Families,
    data: shared::Data,
    series: mock::AllSeries,
}

impl Process {
    /// A new one.
    pub fn new() -> Self {
        let mut own = Self::default();
        own.swap();
        own
    }

    fn swap(&mut self) {
        worker::swap(&mut self.workers);
        config::swap(&mut self.families);
        shared::swap(&mut self.data);
        mock::swap(&mut self.series);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.swap();
        // SAFETY: the streams and configurations of this process are gone, and so are its threads.
        unsafe { worker::free(&mut self.workers) };
    }
}

/// A configuration, and what the module has made for it.
pub struct Configured {
    envoy: Pointer,
    module: Pointer,
    /// Whether events are reported in the response header `x-metric-events`, so that no client may see it.
    pub hides_events: bool,
}

// SAFETY: Envoy's workers share configurations.
unsafe impl Sync for Configured {}

impl Configured {
    /// `None` where the module refuses it.
    pub fn new(text: impl AsRef<[u8]>) -> Option<Self> {
        let text = text.as_ref();
        let envoy: Pointer = Box::into_raw(Box::new(mock::Config::default())).cast();
        let (name, buffer) = (Buffer::new(b"route_metrics"), mock::shown(text));
        // SAFETY: the pointers are valid for the call.
        let module =
            unsafe { super::envoy_dynamic_module_on_http_filter_config_new(envoy, name, buffer) };
        let own = Self { envoy, module: module.cast_mut(), hides_events: false };
        (!module.is_null()).then_some(own)
    }

    /// About a second has passed.
    pub fn tick(&self) {
        mock::second();
        // SAFETY: both are of this configuration.
        unsafe {
            super::envoy_dynamic_module_on_http_filter_config_scheduled(self.envoy, self.module, 0);
        }
    }
}

impl Drop for Configured {
    fn drop(&mut self) {
        // SAFETY: nobody has it any more. One that was refused is null.
        unsafe {
            super::envoy_dynamic_module_on_http_filter_config_destroy(self.module);
            drop(Box::from_raw(self.envoy.cast::<mock::Config>()));
        }
    }
}

/// A stream, on this thread.
pub struct Stream {
    envoy: Pointer,
    module: Pointer,
    hides_events: bool,
    request: Progress,
    response: Progress,
}

/// How far a message has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Nothing,
    Headers,
    /// Or nothing more of it will come, because something has answered.
    All,
}

impl Stream {
    /// A stream with these request headers, which the module has not been told of yet.
    pub fn new(config: &Configured, headers: Lines) -> Self {
        let stream = mock::Stream {
            config: config.envoy as usize,
            headers: [headers, Vec::new(), Vec::new()],
            ..Default::default()
        };
        let envoy: Pointer = Box::into_raw(Box::new(stream)).cast();
        // SAFETY: both are alive.
        let module =
            unsafe { super::envoy_dynamic_module_on_http_filter_new(config.module, envoy) };
        assert!(!module.is_null());
        let (request, response) = (Progress::Nothing, Progress::Nothing);
        let own = Self { envoy, module, hides_events: config.hides_events, request, response };
        own.mock().module = module as usize;
        own
    }

    #[allow(clippy::mut_from_ref, reason = "the hooks have it, too, but not now")]
    pub fn mock(&self) -> &mut mock::Stream {
        // SAFETY: it was made by `new`, and is this thread's.
        unsafe { &mut *self.envoy.cast::<mock::Stream>() }
    }

    /// Something of the request has been shown, of which this is the end or not.
    fn requested(&mut self, end: bool) {
        self.request = if end { Progress::All } else { Progress::Headers };
        if self.mock().answer.is_some() {
            (self.request, self.response) = (Progress::All, Progress::All);
        }
    }

    /// The request's headers come, where they have not yet.
    pub fn request_headers(&mut self, end: bool) {
        if self.request != Progress::Nothing {
            return;
        }
        // SAFETY: as Envoy does it.
        let answer = unsafe {
            super::envoy_dynamic_module_on_http_filter_request_headers(self.envoy, self.module, end)
        };
        assert!([status::CONTINUE, status::STOP].contains(&answer));
        self.requested(end);
    }

    /// A piece of the request's body comes, or, where there is none, its trailers.
    pub fn request_body(&mut self, piece: Option<&[u8]>, end: bool) {
        if self.request != Progress::Headers {
            return;
        }
        let answer = match piece {
            Some(piece) => {
                self.mock().pieces[0] = piece.chunks(7).map(<[u8]>::to_vec).collect();
                // SAFETY: as Envoy does it.
                unsafe {
                    super::envoy_dynamic_module_on_http_filter_request_body(
                        self.envoy,
                        self.module,
                        end,
                    )
                }
            }
            // SAFETY: as Envoy does it.
            None => unsafe {
                super::envoy_dynamic_module_on_http_filter_request_trailers(self.envoy, self.module)
            },
        };
        let mock = self.mock();
        let received = std::mem::take(&mut mock.pieces[0]);
        match answer {
            status::CONTINUE => mock.pieces[1].clear(),
            status::STOP => mock.pieces[1].extend(received),
            other => panic!("the module answers {other}"),
        }
        self.requested(end || piece.is_none());
    }

    /// The response's headers come, where they have not yet: from the upstream, or from Envoy or another filter.
    pub fn response_headers(&mut self, lines: Lines, code: u64, local: bool) {
        if self.response != Progress::Nothing {
            return;
        }
        let mock = self.mock();
        mock.headers[1] = lines;
        mock.code = code;
        // SAFETY: as Envoy does it.
        unsafe {
            if local {
                let details = Buffer::new(b"no_healthy_upstream");
                super::envoy_dynamic_module_on_http_filter_local_reply(
                    self.envoy,
                    self.module,
                    code as u32,
                    details,
                    false,
                );
                self.request = Progress::All;
            }
            super::envoy_dynamic_module_on_http_filter_response_headers(
                self.envoy,
                self.module,
                false,
            );
        }
        self.response = Progress::Headers;
        let mock = self.mock();
        // A response that is not there has no header to hide.
        let there = mock.missing & 2 == 0;
        let shown = there && mock.headers[1].iter().any(|(name, _)| name == b"x-metric-events");
        assert!(!(shown && self.hides_events), "a client sees events");
    }

    /// A piece of the response's body comes, or, where there is none, its trailers.
    pub fn response_body(&mut self, piece: Option<&[u8]>, end: bool) {
        if self.response != Progress::Headers {
            return;
        }
        let (envoy, module) = (self.envoy, self.module);
        self.mock().response_piece = piece.map_or(0, <[u8]>::len);
        // SAFETY: as Envoy does it.
        unsafe {
            match piece {
                Some(_) => {
                    super::envoy_dynamic_module_on_http_filter_response_body(envoy, module, end)
                }
                None => super::envoy_dynamic_module_on_http_filter_response_trailers(envoy, module),
            };
        }
        if end || piece.is_none() {
            self.response = Progress::All;
        }
    }

    /// The stream ends, and goes.
    pub fn end(self) {
        // SAFETY: as Envoy does it.
        unsafe {
            super::envoy_dynamic_module_on_http_filter_stream_complete(self.envoy, self.module);
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // SAFETY: as Envoy does it; nobody has it any more.
        unsafe {
            super::envoy_dynamic_module_on_http_filter_destroy(self.module);
            drop(Box::from_raw(self.envoy.cast::<mock::Stream>()));
        }
    }
}
