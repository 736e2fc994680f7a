//! What is known of one request: kept from its headers, and read from the host at its end.

pub mod grpc;
pub mod method;
pub mod response_flags;
pub mod status;

use std::ops::Range;

use crate::host::{HeaderMap, Host, Property};

/// Bytes of a path with its query that are looked at; far more than any endpoint has.
pub const MAX_PATH: usize = 4096;
/// Bytes of a method that are kept.
pub const MAX_METHOD: usize = 64;
/// Bytes of another header that are kept.
pub const MAX_HEADER: usize = 1024;
/// A buffer that has grown beyond this is not kept for the next request.
const MAX_POOLED: usize = 16 * 1024;
/// Buffers kept for later requests.
const MAX_POOL: usize = 256;

/// A request header that some label, value or rule needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// Its name, lower case.
    pub name: String,
    /// The methods for which it is needed; empty: all.
    pub methods: Vec<String>,
}

/// Headers that were picked out of a map, by their places in a list of names.
#[derive(Debug, Default)]
struct Picked {
    bytes: Vec<u8>,
    ranges: Vec<Option<Range<usize>>>,
}

impl Picked {
    /// Forgets what was picked; there will be headers of so many names.
    fn clear(&mut self, names: usize) {
        self.bytes.clear();
        self.ranges.clear();
        self.ranges.resize(names, None);
    }

    /// Keeps at most `max` bytes of a value.
    fn keep(&mut self, value: &[u8], max: usize) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(value.get(..max).unwrap_or(value));
        start..self.bytes.len()
    }

    /// Keeps a header where it has one of the names. Of one that is there twice, the first counts.
    fn offer<'a>(&mut self, names: impl Iterator<Item = &'a str>, name: &[u8], value: &[u8]) {
        for (place, wanted) in names.enumerate() {
            if wanted.as_bytes() == name && self.ranges.get(place) == Some(&None) {
                let range = self.keep(value, MAX_HEADER);
                if let Some(slot) = self.ranges.get_mut(place) {
                    *slot = Some(range);
                }
            }
        }
    }

    fn slice(&self, range: &Range<usize>) -> &[u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }

    fn get(&self, place: usize) -> Option<&[u8]> {
        self.ranges.get(place)?.as_ref().map(|range| self.slice(range))
    }
}

/// What is kept of a request from the time when its headers arrive, as the client sent them:
/// later, filters and routes may have changed them.
#[derive(Debug, Default)]
pub struct Kept {
    picked: Picked,
    method: Range<usize>,
    path: Range<usize>,
    grpc: bool,
    call: bool,
}

impl Kept {
    /// Reads method, path and the headers that this method needs from the host. All headers are
    /// asked for in one call, which costs about as much as asking for one.
    pub fn fill(&mut self, host: &impl Host, headers: &[RequestHeader]) {
        let Self { picked, method, path, grpc, call } = self;
        picked.clear(headers.len());
        (*method, *path, *grpc, *call) = (0..0, 0..0, false, false);
        host.headers(HeaderMap::Request, |name, value| {
            match name {
                b":path" => *path = picked.keep(readable(value), MAX_PATH),
                b":method" => *method = picked.keep(value, MAX_METHOD),
                b"content-type" => {
                    *call = grpc::is_call(value);
                    *grpc = *call && grpc::is_content_type(value);
                }
                _ => {}
            }
            picked.offer(headers.iter().map(|header| header.name.as_str()), name, value);
        });
        let Picked { bytes, ranges } = picked;
        // gRPC calls are always POST.
        let method = bytes.get(method.clone()).unwrap_or_default();
        let post = method == b"POST";
        (*grpc, *call) = (*grpc && post, *call && post);
        for (header, range) in headers.iter().zip(ranges) {
            let methods = &header.methods;
            if !methods.is_empty() && !methods.iter().any(|m| m.as_bytes() == method) {
                *range = None;
            }
        }
    }

    /// The method; empty where there was none.
    pub fn method(&self) -> &[u8] {
        self.picked.slice(&self.method)
    }

    /// The path with its query; empty where there was none, and where it was too long to be one of
    /// an endpoint.
    pub fn path(&self) -> &[u8] {
        self.picked.slice(&self.path)
    }

    /// A header of the list given to [`Kept::fill`]; `None` where it was absent.
    pub fn header(&self, index: usize) -> Option<&[u8]> {
        self.picked.get(index)
    }

    /// Whether the request is a gRPC call.
    pub fn is_grpc(&self) -> bool {
        self.grpc
    }

    /// Whether the request is a call of gRPC, gRPC-Web or Connect by its content type.
    pub fn is_call(&self) -> bool {
        self.call
    }
}

/// What is looked at of a request target: all of it up to [`MAX_PATH`] bytes. Of a longer one the
/// path, and the parameters of the query that are there in full; nothing where the path alone is
/// longer, since its beginning would pass for another endpoint.
pub fn readable(target: &[u8]) -> &[u8] {
    if target.len() <= MAX_PATH {
        return target;
    }
    let head = target.get(..MAX_PATH).unwrap_or_default();
    let Some(query) = head.iter().position(|byte| matches!(byte, b'?' | b'#')) else {
        return &[];
    };
    let end = match head.iter().rposition(|byte| *byte == b'&') {
        Some(last) if last > query => last,
        _ => query,
    };
    head.get(..end).unwrap_or_default()
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
        if self.0.len() < MAX_POOL && kept.picked.bytes.capacity() <= MAX_POOLED {
            self.0.push(kept);
        }
    }
}

/// How a request ended. Everything is read from the host when it is first asked for.
#[derive(Debug, Default)]
pub struct Outcome {
    duration_ns: Option<u64>,
    code: Option<u16>,
    flags: Option<u64>,
    response_size: Option<u64>,
    request_size: Option<u64>,
    answered: bool,
    content_length: Option<u64>,
    /// Whether a header says that Envoy's router has passed on an upstream's answer.
    from_upstream: bool,
    /// Whether the answer is one to a call, where its content type is known.
    call: Option<bool>,
    /// The gRPC status, once it was asked for.
    grpc_status: Option<Option<u64>>,
    headers: Picked,
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
        self.answered = false;
        self.from_upstream = false;
        self.content_length = None;
        self.call = None;
        self.grpc_status = None;
    }

    /// Reads the response's headers: the code, the announced size, and those of these names, in one
    /// call, which costs about as much as one of them alone.
    pub fn read_headers(&mut self, host: &impl Host, names: &[String]) {
        if std::mem::replace(&mut self.answered, true) {
            return;
        }
        let Self { headers, code, content_length, call, from_upstream, .. } = self;
        headers.clear(names.len());
        let mut lengths = 0;
        host.headers(HeaderMap::Response, |name, value| {
            match name {
                b":status" => *code = decimal(value).map(plausible).filter(|&code| code != 0),
                b"content-type" => *call = Some(grpc::is_call(value)),
                b"x-envoy-upstream-service-time" => *from_upstream = true,
                b"content-length" => {
                    lengths += 1;
                    *content_length = decimal(value);
                }
                _ => {}
            }
            headers.offer(names.iter().map(String::as_str), name, value);
        });
        if lengths > 1 {
            *content_length = None;
        }
        if headers.bytes.capacity() > MAX_POOLED {
            headers.bytes.shrink_to(MAX_POOLED);
        }
    }

    /// A header of the response, by its place among these names; `None` where it is absent.
    pub fn header(&mut self, host: &impl Host, names: &[String], place: usize) -> Option<&[u8]> {
        self.read_headers(host, names);
        self.headers.get(place)
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

    /// Bytes of the response body. Where the headers were read, announced a size for a body that
    /// there is (RFC 9110, 8.6) and nothing went wrong, it is that: Envoy resets a stream that does
    /// not keep to it, which gives a flag. It is what Envoy has sent else.
    pub fn response_size(&mut self, host: &impl Host, method: &[u8]) -> u64 {
        if let Some(size) = self.response_size {
            return size;
        }
        let announced = self.content_length.filter(|_| {
            let bodiless = matches!(self.code(host), 0..200 | 204 | 304) || method == b"HEAD";
            !bodiless && self.flags(host) == 0
        });
        let scratch = &mut self.scratch;
        let size =
            announced.unwrap_or_else(|| host.number(Property::ResponseSize, scratch).unwrap_or(0));
        self.response_size = Some(size);
        size
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
        let scratch = &mut self.scratch;
        *self.grpc_status.get_or_insert_with(|| host.number(Property::ResponseGrpcStatus, scratch))
    }

    /// Whether the request was answered as a call is. Reads the response's headers; where they are
    /// gone, as over HTTP/3, nothing speaks against it.
    pub fn is_call(&mut self, host: &impl Host, names: &[String]) -> bool {
        self.read_headers(host, names);
        self.call.unwrap_or(true)
    }

    /// Whether the answer says nothing about the path, beside what its code says: a gRPC call whose
    /// method is not implemented, and an error that Envoy itself answered. Asks the host for
    /// nothing where the request succeeded, but for the status of a gRPC call.
    pub fn proves_nothing(&mut self, host: &impl Host, call: bool) -> bool {
        /// The status of a method that there is not.
        const UNIMPLEMENTED: u64 = 12;
        let failed = match call.then(|| self.grpc_status(host)).flatten() {
            Some(UNIMPLEMENTED) => return true,
            Some(status) => status != 0,
            None => false,
        };
        (failed || (500..600).contains(&self.code(host))) && self.is_local(host)
    }

    /// Whether Envoy answered itself. It did not where the headers were read and have the time that
    /// the upstream took, which its router adds (`x-envoy-upstream-service-time`, unless
    /// `suppress_envoy_headers` is set). Else the details of the response say so: they are
    /// `via_upstream` where it did not (`source/common/stream_info/utility.h`,
    /// `ResponseCodeDetailValues`); without them, any flag that names a failure counts.
    fn is_local(&mut self, host: &impl Host) -> bool {
        if self.from_upstream {
            return false;
        }
        self.scratch.clear();
        if host.property(Property::ResponseCodeDetails, &mut self.scratch) {
            return self.scratch != b"via_upstream";
        }
        response_flags::reason(self.flags(host)).is_some()
    }
}

/// A number that a header gives; `None` for anything but up to 18 digits.
fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 18 {
        return None;
    }
    text.iter().try_fold(0u64, |number, byte| {
        byte.is_ascii_digit().then(|| number * 10 + u64::from(byte - b'0'))
    })
}

/// A response code; 0 for what cannot be one.
fn plausible(code: u64) -> u16 {
    u16::try_from(code).ok().filter(|code| (100..1000).contains(code)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test;

    #[test]
    fn a_path_is_kept_whole_or_not_at_all() {
        let long = "a".repeat(MAX_PATH);
        for (target, expected) in [
            ("/users/17?x=1".to_owned(), "/users/17?x=1".to_owned()),
            (format!("/{}", &long[1..]), format!("/{}", &long[1..])),
            (format!("/users/{long}"), String::new()),
            (format!("/users/{}/x", &long[..MAX_PATH - 7]), String::new()),
            // What follows the path may be long, and counts as far as it is there in full.
            (format!("/users?q={long}"), "/users".to_owned()),
            (format!("/users?a=1&b=2&q={long}&c=3"), "/users?a=1&b=2".to_owned()),
            (format!("/a&b?q={long}"), "/a&b".to_owned()),
            (format!("/users#{long}"), "/users".to_owned()),
        ] {
            let kept = String::from_utf8_lossy(readable(target.as_bytes())).into_owned();
            assert_eq!(kept, expected, "{} bytes", target.len());
        }
    }
}
