//! Requests and responses as bytes, shared by the HTTP/1.1 and the HTTP/2 client.
//!
//! Nothing is checked or normalised on the way out: a test may send what no library would.

use std::fmt;

/// A request as it goes on the wire.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method, whatever its characters.
    pub method: String,
    /// The request target (`:path` in HTTP/2).
    pub target: Vec<u8>,
    /// The `Host` or `:authority`; `None` leaves it out.
    pub host: Option<String>,
    /// Further headers, in order.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// The body; sent with `content-length` where not empty.
    pub body: Vec<u8>,
}

impl Request {
    /// A request without a body for the host `test.local`.
    pub fn new(method: &str, target: impl AsRef<[u8]>) -> Self {
        Self {
            method: method.to_owned(),
            target: target.as_ref().to_vec(),
            host: Some("test.local".to_owned()),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// A `GET`.
    pub fn get(target: impl AsRef<[u8]>) -> Self {
        Self::new("GET", target)
    }

    /// The same with one more header.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// The same with this body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The same, with an order to the [`Upstream`](crate::Upstream) how to answer.
    #[must_use]
    pub fn answer(self, answer: &crate::Answer) -> Self {
        self.header(crate::upstream::ANSWER_HEADER, answer.to_bytes())
    }

    /// The bytes of the request in HTTP/1.1.
    pub fn to_http1(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256 + self.target.len() + self.body.len());
        out.extend_from_slice(self.method.as_bytes());
        out.push(b' ');
        out.extend_from_slice(&self.target);
        out.extend_from_slice(b" HTTP/1.1\r\n");
        if let Some(host) = &self.host {
            out.extend_from_slice(format!("host: {host}\r\n").as_bytes());
        }
        for (name, value) in &self.headers {
            out.extend_from_slice(name);
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        }
        if !self.body.is_empty() {
            out.extend_from_slice(format!("content-length: {}\r\n", self.body.len()).as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.body);
        out
    }
}

/// A response as it came.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// The code; 0 where the connection ended without an answer to read.
    pub status: u16,
    /// Headers in order, names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, transfer coding removed.
    pub body: Vec<u8>,
}

impl Response {
    /// The first value of a header (name in lower case).
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_slice())
    }

    /// The body as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Why no response could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoResponse(pub String);

impl fmt::Display for NoResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoResponse {}

impl From<std::io::Error> for NoResponse {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<h2::Error> for NoResponse {
    fn from(error: h2::Error) -> Self {
        Self(error.to_string())
    }
}
