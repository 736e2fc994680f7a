//! What is known of one request: kept from its headers, and read from the host at its end.

use std::ops::Range;

use crate::grpc;
use crate::host::{HeaderMap, Host, Property};
use crate::plan::RequestHeader;

/// Bytes of a path that are kept; far more than any endpoint has.
pub const MAX_PATH: usize = 4096;
/// Bytes of a method that are kept.
pub const MAX_METHOD: usize = 64;
/// Bytes of another header that are kept.
pub const MAX_HEADER: usize = 1024;
/// A buffer that has grown beyond this is not kept for the next request.
const MAX_POOLED: usize = 16 * 1024;
/// Buffers kept for later requests.
const MAX_POOL: usize = 256;

/// What is kept of a request from the time when its headers arrive, as the client sent them:
/// later, filters and routes may have changed them.
#[derive(Debug, Default)]
pub struct Kept {
    bytes: Vec<u8>,
    method: Range<usize>,
    path: Range<usize>,
    headers: Vec<Option<Range<usize>>>,
    grpc: bool,
}

impl Kept {
    /// Reads method, path and the headers that this method needs from the host. All headers are
    /// asked for in one call, which costs about as much as asking for one.
    pub fn fill(&mut self, host: &impl Host, headers: &[RequestHeader]) {
        let Self { bytes, method, path, headers: ranges, grpc } = self;
        bytes.clear();
        ranges.clear();
        ranges.resize(headers.len(), None);
        (*method, *path, *grpc) = (0..0, 0..0, false);
        let mut keep = |value: &[u8], max: usize| {
            let start = bytes.len();
            bytes.extend_from_slice(value.get(..max).unwrap_or(value));
            start..bytes.len()
        };
        host.headers(HeaderMap::Request, |name, value| {
            match name {
                b":path" => *path = keep(value, MAX_PATH),
                b":method" => *method = keep(value, MAX_METHOD),
                b"content-type" => *grpc = grpc::is_content_type(value),
                _ => {}
            }
            for (header, range) in headers.iter().zip(ranges.iter_mut()) {
                // Of a header that is there twice, the first counts.
                if range.is_none() && header.name.as_bytes() == name {
                    *range = Some(keep(value, MAX_HEADER));
                }
            }
        });
        // gRPC calls are always POST.
        let method = bytes.get(method.clone()).unwrap_or_default();
        *grpc = *grpc && method == b"POST";
        for (header, range) in headers.iter().zip(ranges) {
            let methods = &header.methods;
            if !methods.is_empty() && !methods.iter().any(|m| m.as_bytes() == method) {
                *range = None;
            }
        }
    }

    fn slice(&self, range: &Range<usize>) -> &[u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }

    /// The method; empty where there was none.
    pub fn method(&self) -> &[u8] {
        self.slice(&self.method)
    }

    /// The path; empty where there was none.
    pub fn path(&self) -> &[u8] {
        self.slice(&self.path)
    }

    /// A header of the list given to [`Kept::fill`]; `None` where it was absent.
    pub fn header(&self, index: usize) -> Option<&[u8]> {
        self.headers.get(index)?.as_ref().map(|range| self.slice(range))
    }

    /// Whether the request is a gRPC call.
    pub fn is_grpc(&self) -> bool {
        self.grpc
    }
}

/// Buffers that go from request to request, so that none is allocated in the steady state.
#[derive(Debug, Default)]
pub struct Pool(Vec<Kept>);

impl Pool {
    /// A buffer.
    pub fn take(&mut self) -> Kept {
        self.0.pop().unwrap_or_default()
    }

    /// Takes a buffer back.
    pub fn give(&mut self, kept: Kept) {
        if self.0.len() < MAX_POOL && kept.bytes.capacity() <= MAX_POOLED {
            self.0.push(kept);
        }
    }
}

/// How a request ended. What costs a call to the host is read when it is first asked for, unless
/// [`Outcome::read`] has brought it all at once.
#[derive(Debug, Default)]
pub struct Outcome {
    duration_ns: Option<u64>,
    code: Option<u16>,
    flags: Option<u64>,
    response_size: Option<u64>,
    request_size: Option<u64>,
    scratch: Vec<u8>,
}

impl Outcome {
    /// Forgets the last request.
    pub fn reset(&mut self) {
        self.code = None;
        self.flags = None;
        self.response_size = None;
        self.request_size = None;
        self.duration_ns = None;
    }

    /// Brings what most metrics need in one call, where the host can do that.
    pub fn read(&mut self, host: &impl Host, prepared: u32) {
        if let Some(ended) = host.ended(prepared) {
            self.code = Some(plausible(ended.code));
            self.flags = Some(ended.flags);
            self.response_size = Some(ended.response_size);
            self.duration_ns = Some(ended.duration_ns);
        }
    }

    /// Time to the end of the stream in nanoseconds, by Envoy's own measure.
    pub fn duration_ns(&mut self, host: &impl Host) -> u64 {
        let scratch = &mut self.scratch;
        *self
            .duration_ns
            .get_or_insert_with(|| host.number(Property::RequestDuration, scratch).unwrap_or(0))
    }

    /// The response code, 0 where no response was sent.
    pub fn code(&mut self, host: &impl Host) -> u16 {
        *self.code.get_or_insert_with(|| {
            plausible(host.number(Property::ResponseCode, &mut self.scratch).unwrap_or(0))
        })
    }

    /// Envoy's response flags.
    pub fn flags(&mut self, host: &impl Host) -> u64 {
        let scratch = &mut self.scratch;
        *self
            .flags
            .get_or_insert_with(|| host.number(Property::ResponseFlags, scratch).unwrap_or(0))
    }

    /// Bytes of the response body.
    pub fn response_size(&mut self, host: &impl Host) -> u64 {
        let scratch = &mut self.scratch;
        *self
            .response_size
            .get_or_insert_with(|| host.number(Property::ResponseSize, scratch).unwrap_or(0))
    }

    /// Bytes of the request body.
    pub fn request_size(&mut self, host: &impl Host) -> u64 {
        let scratch = &mut self.scratch;
        *self
            .request_size
            .get_or_insert_with(|| host.number(Property::RequestSize, scratch).unwrap_or(0))
    }

    /// The gRPC status, for a call that is one: from the trailers or headers of the response.
    pub fn grpc_status(&mut self, host: &impl Host) -> Option<u64> {
        host.number(Property::ResponseGrpcStatus, &mut self.scratch)
    }
}

/// A response code; 0 for what cannot be one.
fn plausible(code: u64) -> u16 {
    u16::try_from(code).ok().filter(|code| (100..1000).contains(code)).unwrap_or(0)
}
