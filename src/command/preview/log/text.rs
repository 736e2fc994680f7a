//! Text formats: all of them have the request in quotes, and the status after it.

use super::{Broken, Entry, Format, decimal_seconds, integer, set, status};
use crate::request::response_flags;

/// Words after the user agent that are searched for the time of the request.
const TIME_WORDS: usize = 6;

/// Reads a line of Envoy, Istio, Apache or nginx. What stands before the timestamp (a container
/// runtime's prefix, a virtual host) does not matter.
pub(super) fn parse(
    line: &[u8],
    entry: &mut Entry,
    unescaped: &mut Vec<u8>,
) -> Result<Format, Broken> {
    let start = match memchr::memmem::find(line, b"] \"") {
        Some(bracket) => bracket + 3,
        None => memchr::memchr(b'"', line).ok_or(Broken::NoFormat)? + 1,
    };
    let rest = line.get(start..).unwrap_or_default();
    let end = closing_quote(rest).ok_or(Broken::OpenQuote)?;
    let request = rest.get(..end).unwrap_or_default();
    let mut tail = Tail(rest.get(end + 1..).unwrap_or_default());
    if memchr::memchr(b'\\', request).is_some() {
        unescape(request, unescaped);
        entry.set_request_line(unescaped);
    } else {
        entry.set_request_line(request);
    }
    entry.status = tail.word().and_then(status).ok_or(Broken::NoStatus)?;
    let after_status = tail;
    let second = tail.word().unwrap_or_default();
    if second == b"-" || second.first().is_some_and(u8::is_ascii_alphabetic) {
        let third = tail.word().unwrap_or_default();
        let mut peeked = tail;
        let fourth = peeked.word().unwrap_or_default();
        if let (Some(received), Some(sent)) = (integer(third), integer(fourth)) {
            // FLAGS BYTES_RECEIVED BYTES_SENT DURATION
            entry.flags = response_flags::from_names(second);
            numbers(entry, received, sent, peeked);
            default_authority(entry, line);
            return Ok(Format::Envoy);
        }
        let is_words = !third.is_empty() && !third.starts_with(b"\"") && integer(third).is_none();
        if is_words && istio(entry, tail) {
            entry.flags = response_flags::from_names(second);
            return Ok(Format::Istio);
        }
    }
    let mut tail = after_status;
    entry.response_bytes = tail.word().and_then(integer);
    let quoted = tail.quoted().is_some() && tail.quoted().is_some();
    time(entry, tail);
    Ok(if quoted { Format::Combined } else { Format::Common })
}

/// METHOD, PATH and, where known, STATUS, separated by tabs.
pub(super) fn parse_tabs(line: &[u8], entry: &mut Entry) -> Option<Format> {
    let mut fields = line.split(|&byte| byte == b'\t');
    let (method, path) = (fields.next()?, fields.next()?);
    if method.is_empty() || !method.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    entry.status = match fields.next() {
        Some(text) if !text.is_empty() => status(text)?,
        _ => 200,
    };
    set(&mut entry.method, method);
    set(&mut entry.path, path);
    Some(Format::Tabs)
}

/// The quote that ends a field: the first one that is not escaped and has a space or nothing behind
/// it. Envoy escapes nothing, so a quote in a path is no end.
fn closing_quote(text: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'"', text).find(|&at| {
        let before = text.get(..at).unwrap_or_default();
        let escapes = before.iter().rev().take_while(|&&byte| byte == b'\\').count();
        escapes % 2 == 0 && matches!(text.get(at + 1), None | Some(b' '))
    })
}

/// Undoes the escapes of Apache (`\"`, `\\`, `\n`) and of both (`\x0a`).
fn unescape(text: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(rest.get(..at).unwrap_or_default());
        let escaped = rest.get(at + 1..).unwrap_or_default();
        let hex = |place: usize| escaped.get(place).and_then(|&b| char::from(b).to_digit(16));
        let (byte, used) = match (escaped.first(), hex(1), hex(2)) {
            (Some(b'x' | b'X'), Some(high), Some(low)) => {
                (u8::try_from(high * 16 + low).unwrap_or_default(), 3)
            }
            (Some(b'n'), ..) => (b'\n', 1),
            (Some(b'r'), ..) => (b'\r', 1),
            (Some(b't'), ..) => (b'\t', 1),
            (Some(&other @ (b'"' | b'\\')), ..) => (other, 1),
            _ => (b'\\', 0),
        };
        out.push(byte);
        rest = escaped.get(used..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// What follows the request, from left to right.
#[derive(Clone, Copy)]
struct Tail<'a>(&'a [u8]);

impl<'a> Tail<'a> {
    /// The next word.
    fn word(&mut self) -> Option<&'a [u8]> {
        let text = self.0.trim_ascii_start();
        if text.is_empty() {
            return None;
        }
        let end = memchr::memchr(b' ', text).unwrap_or(text.len());
        let (word, rest) = text.split_at_checked(end)?;
        self.0 = rest;
        Some(word)
    }

    /// The next field in quotes, without them; `None`, and nothing is taken, where another one
    /// comes next.
    fn quoted(&mut self) -> Option<&'a [u8]> {
        let text = self.0.trim_ascii_start().strip_prefix(b"\"")?;
        let end = closing_quote(text)?;
        self.0 = text.get(end + 1..).unwrap_or_default();
        text.get(..end)
    }
}

/// Bytes and duration, as Envoy writes them: milliseconds.
fn numbers(entry: &mut Entry, received: u64, sent: u64, mut tail: Tail<'_>) {
    entry.request_bytes = Some(received);
    entry.response_bytes = Some(sent);
    let duration = tail.word().and_then(integer);
    entry.duration_ns = duration.map(|ms| ms.saturating_mul(1_000_000));
}

/// Istio's format behind `CODE FLAGS CODE_DETAILS`: `CONNECTION_DETAILS "TRANSPORT_FAILURE"
/// BYTES_RECEIVED BYTES_SENT DURATION UPSTREAM_TIME "XFF" "USER_AGENT" "REQUEST_ID" "AUTHORITY"
/// "UPSTREAM" CLUSTER LOCAL REMOTE_LOCAL REMOTE SNI ROUTE` (istio/istio,
/// `pilot/pkg/model/telemetry_logging.go`).
fn istio(entry: &mut Entry, mut tail: Tail<'_>) -> bool {
    let Some(quote) = memchr::memchr(b'"', tail.0) else { return false };
    tail.0 = tail.0.get(quote..).unwrap_or_default();
    if tail.quoted().is_none() {
        return false;
    }
    let (Some(received), Some(sent)) =
        (tail.word().and_then(integer), tail.word().and_then(integer))
    else {
        return false;
    };
    numbers(entry, received, sent, tail);
    let _duration_and_upstream_time = (tail.word(), tail.word());
    let _client = (tail.quoted(), tail.quoted(), tail.quoted());
    set(&mut entry.authority, tail.quoted().unwrap_or_default());
    tail.quoted();
    set(&mut entry.cluster, tail.word().unwrap_or_default());
    let route = tail.0.trim_ascii_end().rsplit(|&byte| byte == b' ').next();
    set(&mut entry.route, route.unwrap_or_default());
    true
}

/// The authority of Envoy's default format: the last but one field in quotes. It is taken from the
/// end, because user agents may hold quotes.
fn default_authority(entry: &mut Entry, line: &[u8]) {
    let mut quotes = memchr::memrchr_iter(b'"', line).skip(2);
    if let (Some(end), Some(start)) = (quotes.next(), quotes.next()) {
        set(&mut entry.authority, line.get(start + 1..end).unwrap_or_default());
    }
}

/// The time that is often appended to the combined format: nginx's `$request_time` in seconds,
/// Traefik's milliseconds. A whole number has no unit, so it is not taken.
fn time(entry: &mut Entry, mut tail: Tail<'_>) {
    for _ in 0..TIME_WORDS {
        let Some(word) = tail.word() else { return };
        let (key, value) = match memchr::memchr(b'=', word) {
            Some(at) => {
                (word.get(..at).unwrap_or_default(), word.get(at + 1..).unwrap_or_default())
            }
            None => (&[][..], word),
        };
        if !(key.is_empty() || key == b"rt" || key == b"request_time") {
            continue;
        }
        let value = value.strip_prefix(b"\"").unwrap_or(value);
        let value = value.strip_suffix(b"\"").unwrap_or(value);
        let ms = value.strip_suffix(b"ms").and_then(integer);
        let ns = ms.map(|ms| ms.saturating_mul(1_000_000)).or_else(|| decimal_seconds(value));
        if ns.is_some() {
            entry.duration_ns = ns;
            return;
        }
    }
}
