//! Which headers are read, and where they are found in the lists of those that are kept.
//!
//! Users write headers as they know them; filters see what Envoy's codecs and connection manager make
//! of them (`ConnectionManagerUtility::mutateRequestHeaders` and `mutateResponseHeaders` in
//! `source/common/http/conn_manager_utility.cc`). A name that filters never see is refused with the
//! way to what was meant.

use super::compile::Compiler;
use crate::request::RequestHeader;

/// The header of HTTP/1 that Envoy shows as a pseudo header.
const HOST: &str = "host";

/// Headers of one connection, which Envoy takes away before filters see them (RFC 9110, 7.6.1).
const OF_CONNECTIONS: [&str; 4] =
    ["connection", "keep-alive", "proxy-connection", "transfer-encoding"];

/// The pseudo headers of requests that filters see.
const OF_REQUESTS: [&str; 4] = [":authority", ":method", ":path", ":scheme"];

impl Compiler<'_> {
    /// The place of a request header, which is kept for the methods that need it.
    pub(super) fn request_header(&mut self, header: &str) -> usize {
        let needed_for = &self.needed_for;
        let known = self.request_headers.iter().position(|known| known.name == header);
        if let Some(known) = known.and_then(|place| self.request_headers.get_mut(place)) {
            if needed_for.is_empty() {
                known.methods.clear();
            } else if !known.methods.is_empty() {
                for method in needed_for {
                    if !known.methods.contains(method) {
                        known.methods.push(method.clone());
                    }
                }
            }
        }
        known.unwrap_or_else(|| {
            let methods = needed_for.clone();
            self.request_headers.push(RequestHeader { name: header.to_owned(), methods });
            self.request_headers.len() - 1
        })
    }

    /// The place of a response header.
    pub(super) fn response_header(&mut self, header: String) -> usize {
        let known = self.response_headers.iter().position(|known| *known == header);
        known.unwrap_or_else(|| {
            self.response_headers.push(header);
            self.response_headers.len() - 1
        })
    }

    /// The name by which Envoy shows a request header to filters; `None` with a mistake where it
    /// shows none.
    pub(super) fn sent_header(&mut self, path: &str, name: &str) -> Option<String> {
        let name = self.header(path, name)?;
        if name == HOST {
            return Some(":authority".to_owned());
        }
        let trouble = if OF_CONNECTIONS.contains(&name.as_str()) {
            let way = match name.as_str() {
                "connection" => "; `upgrade` says what a connection is to become",
                "transfer-encoding" => "; without `content-length` the size was not announced",
                _ => "",
            };
            format!(
                "`{name}` is of one connection, and Envoy takes it away before filters see it{way}"
            )
        } else if name == "expect" {
            "`expect` is answered by Envoy, which takes it away before filters see it".to_owned()
        } else if name == ":protocol" {
            "`:protocol` is shown by Envoy as `upgrade`, as in HTTP/1; write that".to_owned()
        } else if name == ":status" {
            "`:status` is of responses; use the source `status`".to_owned()
        } else if name.starts_with(':') && !OF_REQUESTS.contains(&name.as_str()) {
            format!(
                "requests have no `{name}`; their pseudo headers are {}",
                OF_REQUESTS.join(", ")
            )
        } else {
            String::new()
        };
        if !trouble.is_empty() {
            self.mistakes.add(path, trouble);
            return None;
        }
        if ["x-envoy-original-path", "x-envoy-original-url"].contains(&name.as_str()) {
            self.warnings.add(
                path,
                format!(
                    "`{name}` is set by Envoy's router, behind this filter, so what arrives here is \
                     at most what the client sent; `:path` is the path before rewrites"
                ),
            );
        }
        Some(name)
    }

    /// The name by which Envoy shows a response header; `None` with a mistake where it shows none.
    pub(super) fn answered_header(&mut self, path: &str, name: &str) -> Option<String> {
        let name = self.header(path, name)?;
        let trouble = if name.eq_ignore_ascii_case(&self.config.events.response_header) {
            "carries events, and is taken away before anything else reads it; use another header"
                .to_owned()
        } else if OF_CONNECTIONS.contains(&name.as_str()) {
            format!("`{name}` is of one connection, and Envoy takes it away before filters see it")
        } else if name.starts_with(':') && name != ":status" {
            format!("responses have no `{name}`; their only pseudo header is :status")
        } else {
            String::new()
        };
        if !trouble.is_empty() {
            self.mistakes.add(path, trouble);
            return None;
        }
        if ["grpc-status", "grpc-message"].contains(&name.as_str()) {
            self.warnings.add(
                path,
                format!(
                    "`{name}` stands in the trailers of most responses, which are not read; the \
                     source `grpc_status` knows the status in any case"
                ),
            );
        }
        Some(name)
    }

    /// A header's name in lower case; `None` where it is empty or no name (RFC 9110, 5.1).
    pub(super) fn header(&mut self, path: &str, name: &str) -> Option<String> {
        if name.is_empty() {
            return None;
        }
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if !name.strip_prefix(':').unwrap_or(name).bytes().all(token) {
            self.mistakes.add(path, format!("{name:?} is not a header name"));
            return None;
        }
        Some(name.to_ascii_lowercase())
    }
}
