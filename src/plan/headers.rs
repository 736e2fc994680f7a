//! Which headers are read, and where they are found in the lists of those that are kept.

use super::compile::Compiler;
use crate::plan::RequestHeader;

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
