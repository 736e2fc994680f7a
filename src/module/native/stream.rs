//! What is kept of a stream, and what the filter answers it with.

use std::time::Instant;

use super::abi::{self, Buffer, Header};

/// `%RESPONSE_CODE_DETAILS%` of the filter's own answers.
const RESPONSE_DETAILS: &[u8] = b"route_metrics";

/// The clock of the streams.
#[allow(clippy::disallowed_methods, reason = "this is the host, whose clock it is")]
pub fn now() -> Instant {
    let now = Instant::now();
    #[cfg(any(test, fuzzing))]
    let now = now + super::mock::later();
    now
}

/// What the filter answers a request with, once the hook has returned.
#[derive(Debug)]
pub struct Answer {
    /// The response code.
    pub status: u16,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Sends it. Envoy calls hooks of the stream from within.
    pub fn send(&self, stream: abi::Pointer) {
        let headers: Vec<Header> = self
            .headers
            .iter()
            .map(|(name, value)| Header {
                name: Buffer::new(name.as_bytes()),
                value: Buffer::new(value.as_bytes()),
            })
            .collect();
        // SAFETY: the stream is the one of the hook, and the pointers are valid for the call.
        unsafe {
            abi::send_response(
                stream,
                self.status.into(),
                headers.as_ptr(),
                headers.len(),
                Buffer::new(&self.body),
                Buffer::new(RESPONSE_DETAILS),
            );
        }
    }
}

/// What a stream has shown so far that cannot be asked for at its end.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// When it began.
    pub begun: Instant,
    /// Bytes of the request body, where Envoy has no attribute for them.
    pub request_bytes: u64,
    /// Bytes of the response body, where Envoy has no attribute for them.
    pub response_bytes: u64,
    /// Whether Envoy or one of its filters answered.
    pub answered_locally: bool,
}

impl Seen {
    /// A stream that begins now.
    pub fn new() -> Self {
        Self { begun: now(), request_bytes: 0, response_bytes: 0, answered_locally: false }
    }
}
