//! Access logs: lines in, requests out.
//!
//! The formats are those of Envoy (its default text format and Istio's), of Apache and nginx
//! (common and combined, with what is often appended), JSON lines with the usual keys, and
//! METHOD, PATH, STATUS separated by tabs. Which one it is, is told from each line, so logs in
//! which other output is mixed in are no problem. Lines are any bytes of any length; nothing is
//! allocated per line in the steady state.

mod json;
mod lines;
mod text;

use std::fmt;

pub use lines::{Lines, MAX_LINE};

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
    /// From the request to the end of the response.
    pub duration_ns: Option<u64>,
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
            response_bytes,
            request_bytes,
            flags,
        } = self;
        for buffer in [method, path, protocol, authority, route, cluster] {
            buffer.clear();
        }
        *status = 0;
        *duration_ns = None;
        *response_bytes = None;
        *request_bytes = None;
        *flags = 0;
    }

    /// Takes a request line apart: `GET /path HTTP/1.1`. What is none, as the bytes of a TLS
    /// handshake, gives a method and no path.
    fn set_request_line(&mut self, line: &[u8]) {
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
}

/// Replaces a buffer's content; a lone dash is how logs write nothing.
fn set(buffer: &mut Vec<u8>, value: &[u8]) {
    buffer.clear();
    if value != b"-" {
        buffer.extend_from_slice(value);
    }
}

/// The format of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// Envoy's default text format.
    Envoy,
    /// Istio's text format.
    Istio,
    /// Common log format.
    Common,
    /// Combined log format.
    Combined,
    /// One JSON object.
    Json,
    /// METHOD, PATH and STATUS, separated by tabs.
    Tabs,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 6] =
        [Self::Envoy, Self::Istio, Self::Common, Self::Combined, Self::Json, Self::Tabs];

    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Envoy => "Envoy",
            Self::Istio => "Istio",
            Self::Common => "common",
            Self::Combined => "combined",
            Self::Json => "JSON lines",
            Self::Tabs => "tabs",
        }
    }
}

/// Why a line is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Neither a request in quotes, nor a JSON object, nor tabs.
    NoFormat,
    /// The request has no closing quote.
    OpenQuote,
    /// No status after the request.
    NoStatus,
    /// Starts with a brace, and is not JSON.
    NotJson,
    /// JSON without method, path or request line.
    NoRequest,
    /// JSON with a request and without a status.
    NoJsonStatus,
    /// Longer than [`MAX_LINE`].
    TooLong,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoFormat => "no known format",
            Self::OpenQuote => "the request has no closing quote",
            Self::NoStatus => "no status after the request",
            Self::NotJson => "not JSON",
            Self::NoRequest => "JSON without a method or a path",
            Self::NoJsonStatus => "JSON without a status",
            Self::TooLong => "longer than 1 MiB",
        })
    }
}

/// Reads lines. Keeps buffers, and nothing of the lines.
#[derive(Debug, Default)]
pub struct Parser {
    json: json::Buffers,
    unescaped: Vec<u8>,
}

impl Parser {
    /// Reads one line, without its end, into `entry`.
    ///
    /// # Errors
    /// Why the line is no request; `entry` is then of no use.
    pub fn parse(&mut self, line: &[u8], entry: &mut Entry) -> Result<Format, Broken> {
        entry.clear();
        let line = line.trim_ascii();
        if line.first() == Some(&b'{') {
            return self.json(line, entry, true);
        }
        self.text(line, entry)
    }

    fn text(&mut self, line: &[u8], entry: &mut Entry) -> Result<Format, Broken> {
        match text::parse(line, entry, &mut self.unescaped) {
            Err(Broken::NoFormat) => text::parse_tabs(line, entry).ok_or(Broken::NoFormat),
            result => result,
        }
    }

    /// A JSON line; what a container runtime wrapped into one is looked into once.
    fn json(&mut self, line: &[u8], entry: &mut Entry, outer: bool) -> Result<Format, Broken> {
        match json::parse(line, entry, &mut self.json) {
            Err(Broken::NoRequest) if outer && !self.json.wrapped.is_empty() => {
                let wrapped = std::mem::take(&mut self.json.wrapped);
                let text = wrapped.as_bytes().trim_ascii();
                entry.clear();
                let result = match text.first() {
                    Some(b'{') => self.json(text, entry, false),
                    _ => self.text(text, entry).map_err(|_| Broken::NoRequest),
                };
                self.json.wrapped = wrapped;
                result
            }
            result => result,
        }
    }
}

/// A whole number in decimal digits.
fn integer(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 19 {
        return None;
    }
    text.iter().try_fold(0u64, |sum, &byte| {
        byte.is_ascii_digit().then(|| sum * 10 + u64::from(byte - b'0'))
    })
}

/// Digits with a decimal point, as nanoseconds where the number is in seconds.
fn decimal_seconds(text: &[u8]) -> Option<u64> {
    let point = memchr::memchr(b'.', text)?;
    let whole = integer(text.get(..point)?)?;
    let fraction = text.get(point + 1..)?;
    if fraction.is_empty() || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut nanos = 0;
    for place in 0..9 {
        let digit = fraction.get(place).map_or(0, |byte| u64::from(byte - b'0'));
        nanos = nanos * 10 + digit;
    }
    whole.checked_mul(1_000_000_000)?.checked_add(nanos)
}

/// A response code: three digits; a dash or 0 where no response was sent.
fn status(text: &[u8]) -> Option<u16> {
    match text {
        b"-" | b"0" | b"000" => Some(0),
        &[a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] => {
            Some(u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0'))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
