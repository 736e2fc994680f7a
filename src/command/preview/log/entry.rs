//! One request of a log.

/// One request of a log. Buffers are used again for the next line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// As the client sent it; empty where the log has none.
    pub method: Vec<u8>,
    /// With the query; empty where the log has none.
    pub path: Vec<u8>,
    /// As `HTTP/1.1`.
    pub protocol: Vec<u8>,
    /// Of the request.
    pub authority: Vec<u8>,
    /// Envoy's route name.
    pub route: Vec<u8>,
    /// Envoy's upstream cluster.
    pub cluster: Vec<u8>,
    /// The response code, 0 where no response was sent.
    pub status: u16,
    /// From the request to the end of the response. Where the line has no unit, it is in the unit
    /// that is the likeliest so far.
    pub duration_ns: Option<u64>,
    /// The duration without its unit, where the line has none: the place in [`super::Parser::sources`],
    /// and the number.
    pub number: Option<(u16, f64)>,
    /// Bytes of the response body.
    pub response_bytes: Option<u64>,
    /// Bytes of the request body.
    pub request_bytes: Option<u64>,
    /// Envoy's response flags, as bits.
    pub flags: u64,
}

impl Entry {
    /// Forgets the last line.
    pub fn clear(&mut self) {
        let Self {
            method,
            path,
            protocol,
            authority,
            route,
            cluster,
            status,
            duration_ns,
            number,
            response_bytes,
            request_bytes,
            flags,
        } = self;
        for buffer in [method, path, protocol, authority, route, cluster] {
            buffer.clear();
        }
        *status = 0;
        *duration_ns = None;
        *number = None;
        *response_bytes = None;
        *request_bytes = None;
        *flags = 0;
    }

    /// Takes a request line apart: `GET /path HTTP/1.1`. What is none, as the bytes of a TLS
    /// handshake, gives a method and no path.
    pub(super) fn set_request_line(&mut self, line: &[u8]) {
        let (method, rest) = match memchr::memchr(b' ', line) {
            Some(space) => (line.get(..space), line.get(space + 1..).unwrap_or_default()),
            None => (Some(line), &[][..]),
        };
        let protocol = memchr::memrchr(b' ', rest)
            .filter(|&space| rest.get(space + 1..).is_some_and(|p| p.starts_with(b"HTTP/")));
        let (path, protocol) = match protocol {
            Some(space) => (rest.get(..space), rest.get(space + 1..).unwrap_or_default()),
            None if rest.starts_with(b"HTTP/") => (Some(&[][..]), rest),
            None => (Some(rest), &[][..]),
        };
        set(&mut self.method, method.unwrap_or_default());
        set(&mut self.path, path.unwrap_or_default());
        set(&mut self.protocol, protocol);
    }

    /// Leaves the path of a URL (RFC 9112, 3.2.2), as the filter sees it, and takes the authority
    /// where there is none.
    pub(super) fn strip_scheme(&mut self) {
        if self.path.first() == Some(&b'/') {
            return;
        }
        let head = self.path.get(..self.path.len().min(12)).unwrap_or_default();
        let Some(at) = memchr::memmem::find(head, b"://") else { return };
        if !head.iter().take(at).all(u8::is_ascii_alphanumeric) {
            return;
        }
        let rest = self.path.get(at + 3..).unwrap_or_default();
        let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
        let end = end.unwrap_or(rest.len());
        if self.authority.is_empty() {
            let authority = rest.get(..end).unwrap_or_default().to_vec();
            self.authority = authority;
        }
        let end = at + 3 + end;
        self.path.drain(..end);
        if self.path.first() != Some(&b'/') {
            self.path.insert(0, b'/');
        }
    }
}

/// Replaces a buffer's content; a lone dash is how logs write nothing.
pub(super) fn set(buffer: &mut Vec<u8>, value: &[u8]) {
    buffer.clear();
    if value != b"-" {
        buffer.extend_from_slice(value);
    }
}
