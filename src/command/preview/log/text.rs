//! Text formats that have the request in quotes, and the status after it.

use super::units::{Duration, Number};
use super::{Broken, Entry, Format, integer, set, status};
use crate::request::response_flags;

/// Words behind the status that are searched for bytes and durations.
const MAX_WORDS: usize = 24;
/// Fields in quotes of which one may be the request.
const MAX_QUOTED: usize = 6;

/// A duration without a unit, and where it stands.
pub(super) type Found = Option<(Number, Place)>;

/// Where a number without a unit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The first number with a decimal point behind the status, as nginx's `$request_time`.
    Decimal,
    /// The last word of the line, as Apache's `%D`.
    Last,
}

impl Place {
    /// As reports name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Decimal => "the decimal number behind the status",
            Self::Last => "the number at the end of the line",
        }
    }
}

/// Reads a line of Envoy, Istio, Apache or nginx. What stands before the request (a container
/// runtime's prefix, a virtual host) does not matter.
pub(super) fn parse(
    line: &[u8],
    entry: &mut Entry,
    unescaped: &mut Vec<u8>,
) -> Result<(Format, Found), Broken> {
    let (request, mut tail) = request(line)?;
    if memchr::memchr(b'\\', request).is_some() {
        unescape(request, unescaped);
        entry.set_request_line(unescaped);
    } else {
        entry.set_request_line(request);
    }
    entry.status = tail.status().ok_or(Broken::NoStatus)?;
    entry.strip_scheme();
    let mut peeked = tail;
    let second = peeked.word().unwrap_or_default();
    if is_flags(second) && envoy(entry, peeked, line) {
        entry.flags = response_flags::from_names(second);
        let is_tcp = request == b"- - -" && entry.status == 0;
        let format = if entry.cluster.is_empty() { Format::ENVOY } else { Format::ISTIO };
        return if is_tcp { Err(Broken::NotHttp) } else { Ok((format, None)) };
    }
    entry.response_bytes = tail.word().and_then(integer);
    let before_quotes = tail;
    let mut quoted = tail.quoted().is_some() && tail.quoted().is_some();
    let mut found = time(entry, tail);
    if !quoted && found.is_none() && entry.duration_ns.is_none() {
        found = None;
    }
    // APISIX has the time before the referer.
    if !quoted {
        let mut later = before_quotes;
        later.word();
        quoted = later.quoted().is_some() && later.quoted().is_some();
    }
    Ok((if quoted { Format::COMBINED } else { Format::COMMON }, found))
}

/// The request line and what follows it: the field in quotes behind the time, or else the first one
/// with a status behind it.
fn request(line: &[u8]) -> Result<(&[u8], Tail<'_>), Broken> {
    let after = |start: usize| -> Result<(&[u8], Tail<'_>), Broken> {
        let rest = line.get(start..).unwrap_or_default();
        let end = closing_quote(rest).ok_or(Broken::OpenQuote)?;
        let tail = Tail(rest.get(end + 1..).unwrap_or_default());
        Ok((rest.get(..end).unwrap_or_default(), tail))
    };
    if let Some(bracket) = memchr::memmem::find(line, b"] \"") {
        return after(bracket + 3);
    }
    let mut start = memchr::memchr(b'"', line).ok_or(Broken::NoFormat)? + 1;
    let first = after(start);
    let mut found = after(start);
    for _ in 0..MAX_QUOTED {
        let Ok((text, mut tail)) = found else { break };
        let rest = tail.0;
        if tail.status().is_some() && is_request(text) {
            return found;
        }
        let Some(quote) = memchr::memchr(b'"', rest) else { break };
        start = line.len() - rest.len() + quote + 1;
        found = after(start);
    }
    first
}

/// Whether it can be a request line; a user agent can not.
fn is_request(text: &[u8]) -> bool {
    let mut words = text.split(|&byte| byte == b' ');
    let method = words.next().unwrap_or_default();
    let path = words.next().unwrap_or_default();
    let is_method = !method.is_empty() && method.iter().all(u8::is_ascii_alphabetic);
    is_method && (path.starts_with(b"/") || path == b"*" || path.contains(&b':'))
}

/// Envoy's flags in short names, or a dash.
fn is_flags(word: &[u8]) -> bool {
    word == b"-"
        || (!word.is_empty()
            && word.iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b',')
            && word.iter().any(u8::is_ascii_uppercase)
            && word != b"OK")
}

/// The quote that ends a field: the first one that is not escaped and has a space or nothing behind
/// it. Envoy escapes nothing, so a quote in a path is no end.
pub(super) fn closing_quote(text: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'"', text).find(|&at| {
        let before = text.get(..at).unwrap_or_default();
        let escapes = before.iter().rev().take_while(|&&byte| byte == b'\\').count();
        escapes % 2 == 0 && matches!(text.get(at + 1), None | Some(b' ' | b'\t' | b',' | b')'))
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
        let end = memchr::memchr2(b' ', b'\t', text).unwrap_or(text.len());
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

    /// The status, also in quotes, as those write it who put quotes around each field of nginx; a
    /// dash in quotes is a referer.
    fn status(&mut self) -> Option<u16> {
        match self.quoted() {
            Some(text) => status(text).filter(|code| *code > 0),
            None => self.word().and_then(status),
        }
    }

    /// The next field in quotes or the next word.
    fn any(&mut self) -> Option<&'a [u8]> {
        self.quoted().or_else(|| self.word())
    }
}

/// Envoy's formats behind `CODE FLAGS`: whatever words and quoted fields a version puts there
/// (code details, the reason of a failure), then `BYTES_RECEIVED BYTES_SENT DURATION UPSTREAM_TIME
/// "XFF" "USER_AGENT" "REQUEST_ID" "AUTHORITY" "UPSTREAM"`, in Istio `CLUSTER LOCAL REMOTE_LOCAL
/// REMOTE SNI ROUTE`, and what users append (istio/istio, `pilot/pkg/model/telemetry_logging.go`).
fn envoy(entry: &mut Entry, mut tail: Tail<'_>, line: &[u8]) -> bool {
    let mut is_default = true;
    for _ in 0..MAX_WORDS {
        let mut numbers = tail;
        let [received, sent, duration] =
            [numbers.word(), numbers.word(), numbers.word()].map(|word| word.unwrap_or_default());
        if let (Some(received), Some(sent), Some(ms)) =
            (integer(received), integer(sent), status_or_number(duration))
        {
            entry.request_bytes = Some(received);
            entry.response_bytes = Some(sent);
            entry.duration_ns = ms.map(|ms| ms.saturating_mul(1_000_000));
            numbers.word();
            behind_numbers(entry, numbers, line, is_default);
            return true;
        }
        is_default = false;
        if tail.any().is_none() {
            return false;
        }
    }
    false
}

/// A whole number, or none where there is a dash.
fn status_or_number(word: &[u8]) -> Option<Option<u64>> {
    if word == b"-" { Some(None) } else { integer(word).map(Some) }
}

fn behind_numbers(entry: &mut Entry, mut tail: Tail<'_>, line: &[u8], is_default: bool) {
    if is_default && line.last() == Some(&b'"') {
        // The last but one field in quotes. It is taken from the end, because user agents may hold
        // quotes.
        let mut quotes = memchr::memrchr_iter(b'"', line).skip(2);
        if let (Some(end), Some(start)) = (quotes.next(), quotes.next()) {
            set(&mut entry.authority, line.get(start + 1..end).unwrap_or_default());
        }
        return;
    }
    let _client = (tail.quoted(), tail.quoted(), tail.quoted());
    set(&mut entry.authority, tail.quoted().unwrap_or_default());
    tail.quoted();
    if is_default {
        return;
    }
    let cluster = tail.word().unwrap_or_default();
    entry.cluster.clear();
    entry.cluster.extend_from_slice(cluster);
    let _addresses = (tail.word(), tail.word(), tail.word(), tail.word());
    set(&mut entry.route, tail.word().unwrap_or_default());
}

/// The time that is often appended to the common and combined formats: `rt=0.125`, `31ms`,
/// `"0.005"`, Apache's `%T/%D`, or a number alone.
fn time(entry: &mut Entry, mut tail: Tail<'_>) -> Found {
    let mut last = None;
    let mut wholes = 0;
    for _ in 0..MAX_WORDS {
        let text = tail.0;
        let Some(word) = tail.any() else { break };
        let is_last = tail.0.trim_ascii().is_empty();
        if let Some(at) = memchr::memchr(b'=', word) {
            let (key, value) = word.split_at_checked(at).unwrap_or_default();
            if is_time_key(key) {
                let value = value.get(1..).unwrap_or_default();
                let mut inner = Tail(value);
                let value = inner.quoted().unwrap_or(value);
                match Duration::read(value.strip_suffix(b"\"").unwrap_or(value)) {
                    Some(Duration::Nanoseconds(ns)) => {
                        entry.duration_ns = Some(ns as u64);
                        return None;
                    }
                    Some(Duration::Number(number)) => return Some((number, Place::Decimal)),
                    None => {}
                }
            }
            continue;
        }
        // Apache's seconds and microseconds.
        let plain = word.strip_prefix(b"**").and_then(|word| word.strip_suffix(b"**"));
        let mut both = plain.unwrap_or(word).split(|&byte| byte == b'/').map(integer);
        if let (Some(Some(seconds)), Some(Some(us)), None) = (both.next(), both.next(), both.next())
            && seconds == us / 1_000_000
        {
            entry.duration_ns = Some(us.saturating_mul(1000));
            return None;
        }
        match Duration::read(word) {
            Some(Duration::Nanoseconds(ns)) if memchr::memchr(b':', word).is_none() => {
                entry.duration_ns = Some(ns as u64);
                return None;
            }
            Some(Duration::Number(number)) => {
                let mut unit = tail;
                let unit = unit.word().unwrap_or_default();
                if let Some(unit) = super::units::Unit::of_word(unit) {
                    entry.duration_ns = Some((number.value * unit.ns()) as u64);
                    return None;
                }
                if number.has_point {
                    return Some((number, Place::Decimal));
                }
                let is_quoted = text.trim_ascii_start().starts_with(b"\"");
                wholes += 1;
                last = (is_last && !is_quoted).then_some((number, Place::Last));
            }
            _ => last = None,
        }
    }
    last.filter(|_| wholes == 1)
}

/// Keys of the time of the whole request.
fn is_time_key(key: &[u8]) -> bool {
    let key = super::fields::normal(key);
    matches!(
        key.as_slice(),
        b"rt"
            | b"requesttime"
            | b"time"
            | b"duration"
            | b"latency"
            | b"took"
            | b"elapsed"
            | b"responsetime"
            | b"reqtime"
            | b"resptime"
            | b"totaltime"
            | b"d"
    )
}
