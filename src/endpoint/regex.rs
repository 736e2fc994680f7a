//! Regular expressions on the canonical path.
//!
//! A rule sees the first [`MAX_TEXT_BYTES`] of the canonical text: `/a/b`, without query and
//! trailing slash, percent-encoding as the client sent it. Bytes that are not UTF-8 stand there as
//! `%FF`, and at most [`MAX_SEGMENTS`](super::MAX_SEGMENTS) segments are there. Rules are tried in
//! order, so each costs the paths that no template matched; a rule that starts with `^/text` costs
//! only the paths that start with that text.

use regex_lite::{Regex, RegexBuilder};

use super::path::{CanonicalPath, Form};

/// How much of a path's text a rule sees.
pub const MAX_TEXT_BYTES: usize = 2048;

/// The longest regular expression, in bytes.
const MAX_REGEX_BYTES: usize = 1024;

/// The largest compiled regular expression, in bytes. A search takes time in proportion to it.
const MAX_COMPILED_BYTES: usize = 64 * 1024;

/// One rule, compiled.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    regex: Regex,
    /// What every path that matches starts with.
    prefix: String,
}

impl Rule {
    /// Compiles a regular expression, or says what is wrong with it.
    pub fn compile(regex: &str) -> Result<Self, String> {
        if regex.is_empty() {
            return Err("is empty and would match every path; write \".\" if that is meant".into());
        }
        if regex.len() > MAX_REGEX_BYTES {
            return Err(format!(
                "has {} bytes; at most {MAX_REGEX_BYTES} are allowed",
                regex.len()
            ));
        }
        let compiled = RegexBuilder::new(regex)
            .size_limit(MAX_COMPILED_BYTES)
            .build()
            .map_err(|error| format!("is not a regular expression that can be used: {error}"))?;
        Ok(Self { regex: compiled, prefix: literal_prefix(regex) })
    }

    /// Whether the rule matches a text.
    pub fn matches(&self, text: &str) -> bool {
        text.starts_with(&self.prefix) && self.regex.is_match(text)
    }
}

/// The text that everything that an anchored regular expression matches starts with; empty where
/// that is not plain to see.
fn literal_prefix(regex: &str) -> String {
    let Some(anchored) = regex.strip_prefix('^').filter(|rest| !rest.contains('|')) else {
        return String::new();
    };
    let mut prefix = String::new();
    let mut last = 0;
    for c in anchored.chars() {
        match c {
            // The last character may be absent.
            '?' | '*' | '+' | '{' => {
                prefix.truncate(last);
                break;
            }
            _ if c.is_ascii_alphanumeric() || "/_-~%=:@,".contains(c) => {
                last = prefix.len();
                prefix.push(c);
            }
            _ => break,
        }
    }
    prefix
}

/// Calls a function with the text that rules see. `None` where the target is no path.
pub(super) fn with_text<R>(path: &CanonicalPath<'_>, see: impl FnOnce(&str) -> R) -> Option<R> {
    if path.form() == Form::None {
        return None;
    }
    Some(match path.verbatim() {
        Some(text) => with_utf8(text, see),
        None => with_joined(path, see),
    })
}

/// Calls a function with the text of a path that has to be put together.
#[cold]
#[inline(never)]
fn with_joined<R>(path: &CanonicalPath<'_>, see: impl FnOnce(&str) -> R) -> R {
    let mut joined = [0; MAX_TEXT_BYTES];
    with_utf8(path.text(&mut joined), see)
}

fn with_utf8<R>(text: &[u8], see: impl FnOnce(&str) -> R) -> R {
    let text = text.get(..MAX_TEXT_BYTES).unwrap_or(text);
    match std::str::from_utf8(text) {
        Ok(text) => see(text),
        Err(_) => with_encoded(text, see),
    }
}

/// Calls a function with a text in which what is not UTF-8 is percent-encoded.
#[cold]
#[inline(never)]
fn with_encoded<R>(text: &[u8], see: impl FnOnce(&str) -> R) -> R {
    let mut encoded = [0; MAX_TEXT_BYTES];
    let mut length = 0;
    let mut put = |piece: &[u8]| {
        let Some(place) = encoded.get_mut(length..length + piece.len()) else { return false };
        place.copy_from_slice(piece);
        length += piece.len();
        true
    };
    for chunk in text.utf8_chunks() {
        let valid = chunk.valid().char_indices().map(|(at, c)| (at, at + c.len_utf8()));
        let fits = valid
            .into_iter()
            .all(|(start, end)| put(chunk.valid().as_bytes().get(start..end).unwrap_or_default()))
            && chunk.invalid().iter().all(|byte| {
                let digit = |value: u8| {
                    char::from_digit(u32::from(value), 16).unwrap_or('0').to_ascii_uppercase() as u8
                };
                put(&[b'%', digit(byte >> 4), digit(byte & 15)])
            });
        if !fits {
            break;
        }
    }
    let text = encoded.get(..length).unwrap_or_default();
    see(std::str::from_utf8(text).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test;

    #[test]
    fn only_what_every_match_starts_with_is_a_prefix() {
        for (regex, expected) in [
            ("^/legacy/.*", "/legacy/"),
            ("^/legacy/?", "/legacy"),
            ("^/a*", "/"),
            ("^/ab{0}", "/a"),
            ("^/a|^/b", ""),
            ("^/a(b|c)", ""),
            ("/a", ""),
            ("(?i)^/a", ""),
            ("^(?i)/a", ""),
            ("^/a\\.b", "/a"),
            ("^/a[bc]", "/a"),
            ("^/a$", "/a"),
            ("^/a(?i)b", "/a"),
        ] {
            assert_eq!(literal_prefix(regex), expected, "{regex}");
        }
    }

    #[test]
    fn rules_see_the_canonical_text() {
        let long = format!("/{}", "x".repeat(5000));
        let split = [b"/", "x".repeat(MAX_TEXT_BYTES - 2).as_bytes(), "\u{e9}".as_bytes()].concat();
        for (raw, expected) in [
            (&b"/a//b;c/?d"[..], Some("/a/b".to_owned())),
            (b"/a/b", Some("/a/b".to_owned())),
            (b"*", Some("*".to_owned())),
            (b"host:443", None),
            (b"", None),
            (b"/a%2Fb", Some("/a%2Fb".to_owned())),
            ("/caf\u{e9}".as_bytes(), Some("/caf\u{e9}".to_owned())),
            (b"/caf\xe9/\xff", Some("/caf%E9/%FF".to_owned())),
            (long.as_bytes(), Some(long[..MAX_TEXT_BYTES].to_owned())),
            // A character that the bound cuts in two.
            (&split, Some(format!("/{}", "x".repeat(MAX_TEXT_BYTES - 2)))),
        ] {
            let seen = with_text(&CanonicalPath::new(raw), str::to_owned);
            assert_eq!(seen, expected, "{}", String::from_utf8_lossy(raw));
        }
        let invalid = [b"/".to_vec(), vec![0xff; 3000]].concat();
        let seen = with_text(&CanonicalPath::new(&invalid), str::len);
        assert_eq!(
            seen,
            Some(MAX_TEXT_BYTES - 1),
            "bytes that grow threefold stay within the bound"
        );
    }

    #[test]
    fn bad_regular_expressions_are_named() {
        for (regex, expected) in [
            (String::new(), "is empty"),
            ("(".to_owned(), "is not a regular expression"),
            ("a{1000}{1000}".to_owned(), "is not a regular expression"),
            ("a".repeat(MAX_REGEX_BYTES + 1), "at most 1024"),
        ] {
            let message = Rule::compile(&regex).map(|_| ()).expect_err(&regex);
            assert!(message.contains(expected), "{regex}: {message}");
        }
    }
}
