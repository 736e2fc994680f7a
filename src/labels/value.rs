//! The values of labels: from a request to the text in the scrape.

use std::fmt::Write as _;
use std::hash::Hasher;

use siphasher::sip::SipHasher24;

use crate::endpoint::{CanonicalPath, Endpoints};
use crate::host::{Host, Property};
use crate::labels::source::{Choice, LabelPlan, SourcePlan};
use crate::labels::{self, OTHER, UNMATCHED};
use crate::request::{Kept, Outcome};
use crate::request::{grpc, method, response_flags as flags};

/// Bytes of a query parameter that are decoded.
const MAX_PARAM: usize = 1024;

/// Everything that a label's value can be made of, at the end of a request.
pub struct Facts<'a> {
    /// The configured endpoints, which know their parameters.
    pub endpoints: &'a Endpoints,
    /// The names of the response headers that may be asked for.
    pub response_headers: &'a [String],
    /// The one that names an exception, by its place there.
    pub exception_header: Option<usize>,
    /// Characters of a value.
    pub max_value_length: usize,
    /// The key of hashed values.
    pub hash_key: &'a [u8; 16],
    /// What the client sent.
    pub kept: &'a Kept,
    /// The path of it.
    pub path: &'a CanonicalPath<'a>,
    /// The endpoint.
    pub endpoint: &'a [u8],
    /// How it ended.
    pub outcome: &'a mut Outcome,
}

/// Buffers that are used again for every value.
#[derive(Default)]
pub struct Buffers {
    raw: Vec<u8>,
    text: String,
}

/// What a source gave.
enum Given {
    /// Nothing.
    Absent,
    /// A word of the filter's own or of the configuration.
    Word(&'static str),
    /// What stands in the raw buffer, and whether it came from outside.
    Raw { foreign: bool },
}

impl Buffers {
    /// A value of the configuration's or the filter's own as it may stand in a label.
    pub fn encode(&mut self, value: &[u8], max: usize) -> &str {
        self.text.clear();
        labels::encode(value, max, &mut self.text);
        &self.text
    }
}

/// A value of the configuration as it may stand in a label.
pub fn encoded(value: &str, max: usize) -> String {
    let mut text = String::new();
    labels::encode(value.as_bytes(), max, &mut text);
    text
}

impl Buffers {
    /// The value of a label for what the application has reported, as it may stand in the scrape;
    /// never empty.
    pub fn reported(
        &mut self,
        label: &LabelPlan,
        value: Option<&[u8]>,
        max: usize,
        hash_key: &[u8; 16],
    ) -> &str {
        let Self { raw, text } = self;
        raw.clear();
        let found = match value {
            Some(value) => {
                raw.extend_from_slice(value);
                Given::Raw { foreign: true }
            }
            None => Given::Absent,
        };
        write(label, found, raw, max, hash_key, text);
        text
    }
}

/// Writes the value of a label for what was found.
fn write(
    label: &LabelPlan,
    found: Given,
    raw: &[u8],
    max: usize,
    hash_key: &[u8; 16],
    text: &mut String,
) {
    text.clear();
    let Choice { listed, absent, unlisted } = &label.choice;
    let empty = matches!(found, Given::Raw { .. }) && raw.is_empty();
    match (found, listed) {
        (Given::Absent, _) => labels::encode(absent.as_bytes(), max, text),
        _ if empty => labels::encode(absent.as_bytes(), max, text),
        // Words are ASCII, and few are longer than the least bound.
        (Given::Word(word), None) if !label.hash => text.push_str(word.get(..max).unwrap_or(word)),
        (Given::Word(word), None) => hash(hash_key, word.as_bytes(), text),
        (Given::Raw { .. }, None) if label.hash => hash(hash_key, raw, text),
        (Given::Raw { foreign: true }, None) => labels::encode_foreign(raw, max, text),
        (Given::Raw { foreign: false }, None) => labels::encode(raw, max, text),
        (found, Some(listed)) => {
            let key = match found {
                Given::Word(word) => Some(word),
                _ => std::str::from_utf8(raw).ok(),
            };
            let value = key.and_then(|key| listed.get(key)).unwrap_or(unlisted);
            labels::encode(value.as_bytes(), max, text);
        }
    }
}

/// SipHash-2-4 under the configuration's key, as sixteen hexadecimal digits.
fn hash(key: &[u8; 16], value: &[u8], text: &mut String) {
    let mut hasher = SipHasher24::new_with_key(key);
    hasher.write(value);
    // Writing to a string cannot fail.
    let _ = write!(text, "{:016x}", hasher.finish());
}

impl Facts<'_> {
    /// The value of a label, as it may stand in the scrape; never empty.
    pub fn value<'b>(
        &mut self,
        host: &impl Host,
        label: &LabelPlan,
        buffers: &'b mut Buffers,
    ) -> &'b str {
        let found = self.find(host, &label.source, buffers);
        let Buffers { raw, text } = buffers;
        write(label, found, raw, self.max_value_length, self.hash_key, text);
        text
    }

    /// What a source gives, as it was found; `None` where it is absent.
    pub fn source_text<'b>(
        &mut self,
        host: &impl Host,
        source: &SourcePlan,
        buffers: &'b mut Buffers,
    ) -> Option<&'b [u8]> {
        match self.find(host, source, buffers) {
            Given::Absent => None,
            Given::Word(word) => Some(word.as_bytes()),
            Given::Raw { .. } => Some(&buffers.raw),
        }
    }

    fn find(&mut self, host: &impl Host, source: &SourcePlan, buffers: &mut Buffers) -> Given {
        let Buffers { raw, text } = buffers;
        raw.clear();
        let own = Given::Raw { foreign: false };
        let foreign = Given::Raw { foreign: true };
        let read = |present: bool, found: Given| if present { found } else { Given::Absent };
        let copy = |bytes: Option<&[u8]>, raw: &mut Vec<u8>| {
            if let Some(bytes) = bytes {
                raw.extend_from_slice(bytes);
            }
            read(bytes.is_some(), Given::Raw { foreign: true })
        };
        match source {
            SourcePlan::Method => Given::Word(method::label(self.kept.method())),
            SourcePlan::Endpoint => {
                raw.extend_from_slice(self.endpoint);
                // A route may have any name.
                Given::Raw { foreign: self.endpoint != UNMATCHED.as_bytes() }
            }
            SourcePlan::Status => {
                let code = self.outcome.code(host);
                let digits = [code / 100, code / 10 % 10, code % 10].map(|d| b'0' + d as u8);
                raw.extend_from_slice(if code == 0 { b"0" } else { &digits });
                own
            }
            SourcePlan::StatusClass => Given::Word(match self.outcome.code(host) / 100 {
                0 => "0",
                1 => "1xx",
                2 => "2xx",
                3 => "3xx",
                4 => "4xx",
                5 => "5xx",
                _ => OTHER,
            }),
            SourcePlan::ExceptionType => self.exception(host, raw),
            SourcePlan::RouteName => read(host.property(Property::RouteName, raw), foreign),
            SourcePlan::ClusterName => read(host.property(Property::ClusterName, raw), foreign),
            SourcePlan::VirtualHost => read(host.property(Property::VirtualHost, raw), foreign),
            SourcePlan::Protocol => read(host.property(Property::RequestProtocol, raw), own),
            SourcePlan::GrpcService | SourcePlan::GrpcMethod => {
                let names = self.kept.is_grpc().then(|| grpc::service_and_method(self.kept.path()));
                let first = *source == SourcePlan::GrpcService;
                copy(names.flatten().map(|(s, m)| if first { s } else { m }), raw)
            }
            SourcePlan::GrpcStatus => match self.grpc_status(host) {
                Some(status) => Given::Word(grpc::status_name(status)),
                None => Given::Absent,
            },
            SourcePlan::ResponseFlags => {
                text.clear();
                flags::write_names(self.outcome.flags(host), text);
                raw.extend_from_slice(text.as_bytes());
                own
            }
            SourcePlan::RequestHeader(index) => copy(self.kept.header(*index), raw),
            SourcePlan::ResponseHeader(index) => {
                copy(self.outcome.header(host, self.response_headers, *index), raw)
            }
            SourcePlan::QueryParam(name) => {
                let mut buffer = [0; MAX_PARAM];
                copy(self.path.query_param(name.as_bytes(), &mut buffer), raw)
            }
            SourcePlan::PathParam(name) => {
                copy(self.endpoints.param(self.kept.method(), self.path, name), raw)
            }
            SourcePlan::Reported => Given::Absent,
            SourcePlan::Constant(value) => {
                raw.extend_from_slice(value.as_bytes());
                own
            }
        }
    }

    /// Bytes of the response body.
    pub fn response_size(&mut self, host: &impl Host) -> u64 {
        self.outcome.response_size(host, self.kept.method())
    }

    fn grpc_status(&mut self, host: &impl Host) -> Option<u64> {
        self.kept.is_grpc().then(|| self.outcome.grpc_status(host)).flatten()
    }

    /// Whether the request failed, so that it counts as an exception.
    pub fn is_exception(&mut self, host: &impl Host, buffers: &mut Buffers) -> bool {
        buffers.raw.clear();
        !matches!(self.exception(host, &mut buffers.raw), Given::Absent)
    }

    /// What went wrong: the upstream's own word, else Envoy's reason, else the gRPC status, else
    /// the code of a 5xx answer.
    fn exception(&mut self, host: &impl Host, raw: &mut Vec<u8>) -> Given {
        if let Some(index) = self.exception_header
            && let Some(word) = self.outcome.header(host, self.response_headers, index)
            && !word.is_empty()
        {
            raw.clear();
            raw.extend_from_slice(word);
            return Given::Raw { foreign: true };
        }
        if let Some(reason) = flags::reason(self.outcome.flags(host)) {
            return Given::Word(reason);
        }
        if let Some(status @ 1..) = self.grpc_status(host) {
            return Given::Word(grpc::status_name(status));
        }
        let code = self.outcome.code(host);
        if (500..600).contains(&code) {
            raw.clear();
            raw.extend([code / 100, code / 10 % 10, code % 10].map(|d| b'0' + d as u8));
            return Given::Raw { foreign: false };
        }
        Given::Absent
    }
}
