//! Text formats that are told by the order of their words: see [`super::formats::FORMATS`].

use std::sync::LazyLock;

use super::formats::{FORMATS, Form};
use super::text::closing_quote;
use super::units::{Duration, Number, Unit};
use super::{Entry, Format, integer, is_known_method, set, status};

/// Words of a line that are looked at.
const MAX_WORDS: usize = 96;

/// A word of a layout.
#[derive(Clone, Debug, PartialEq)]
enum Want {
    Method,
    Path,
    Request,
    Status,
    StatusOrDash,
    BracketStatus,
    Bytes,
    Received,
    Time,
    Ms,
    Seconds,
    Timers,
    Result,
    Number,
    Decimal,
    Date,
    Clock,
    Protocol,
    Any,
    Rest,
    Literal(&'static [u8]),
}

struct Layout {
    format: Format,
    wants: Vec<Want>,
}

static LAYOUTS: LazyLock<Vec<Layout>> = LazyLock::new(|| {
    let layout = |(place, known): (usize, &super::formats::Known)| match known.form {
        Form::Layout(text) => Some(Layout {
            format: Format(u8::try_from(place).unwrap_or(u8::MAX)),
            wants: text.split_ascii_whitespace().map(want).collect(),
        }),
        _ => None,
    };
    FORMATS.iter().enumerate().filter_map(layout).collect()
});

fn want(word: &'static str) -> Want {
    match word {
        "METHOD" => Want::Method,
        "PATH" => Want::Path,
        "REQUEST" => Want::Request,
        "STATUS" => Want::Status,
        "STATUS?" => Want::StatusOrDash,
        "[STATUS]:" => Want::BracketStatus,
        "BYTES" => Want::Bytes,
        "RECEIVED" => Want::Received,
        "TIME" => Want::Time,
        "MS" => Want::Ms,
        "SECONDS" => Want::Seconds,
        "TIMERS" => Want::Timers,
        "RESULT" => Want::Result,
        "NUMBER" => Want::Number,
        "NUMBER.NUMBER" => Want::Decimal,
        "DATE" => Want::Date,
        "CLOCK" => Want::Clock,
        "HTTP" => Want::Protocol,
        "*" => Want::Any,
        "…" => Want::Rest,
        literal => Want::Literal(literal.as_bytes()),
    }
}

/// What is kept from line to line.
#[derive(Debug, Default)]
pub(super) struct Layouts {
    /// The layout of the last line that had one.
    last: usize,
}

impl Layouts {
    /// Reads a line of any of the layouts.
    pub fn parse(&mut self, line: &[u8], entry: &mut Entry) -> Option<Format> {
        if !has_request(line) && memchr::memmem::find(line, b"<BADREQ>").is_none() {
            return None;
        }
        let words = words(line);
        let order = std::iter::once(self.last).chain(0..LAYOUTS.len());
        let mut found = None;
        for place in order {
            let Some(layout) = LAYOUTS.get(place) else { continue };
            if (0..words.len()).any(|start| {
                entry.clear();
                matches(&layout.wants, words.get(start..).unwrap_or_default(), entry)
            }) {
                self.last = place;
                entry.strip_scheme();
                found = Some(layout.format);
                break;
            }
        }
        found
    }
}

/// Whether the line holds the name of a method, so that the rest is worth the time.
pub(super) fn has_request(line: &[u8]) -> bool {
    let mut rest = line;
    while let Some(at) = rest.iter().position(u8::is_ascii_uppercase) {
        let tail = rest.get(at..).unwrap_or_default();
        let length = tail.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        if tail.get(..length).is_some_and(is_known_method) && memchr::memchr(b'/', line).is_some() {
            return true;
        }
        rest = tail.get(length.max(1)..).unwrap_or_default();
    }
    false
}

/// The line without what colours it in a terminal (ECMA-48, `CSI … m`).
pub(super) fn without_colours(line: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let mut rest = line;
    while let Some(at) = memchr::memchr(0x1b, rest) {
        out.extend_from_slice(rest.get(..at).unwrap_or_default());
        let tail = rest.get(at + 1..).unwrap_or_default();
        let is_part = |byte: &u8| matches!(byte, b'[' | b';' | b'0'..=b'9');
        let length = tail.iter().take_while(|byte| is_part(byte)).count();
        rest = tail.get(length + 1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// A word, or a field in quotes or brackets.
#[derive(Clone, Copy)]
struct Word<'a> {
    text: &'a [u8],
    is_quoted: bool,
}

fn words(line: &[u8]) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut rest = line.trim_ascii_start();
    while !rest.is_empty() && words.len() < MAX_WORDS {
        if let Some(inner) = rest.strip_prefix(b"\"")
            && let Some(end) = closing_quote(inner)
        {
            words.push(Word { text: inner.get(..end).unwrap_or_default(), is_quoted: true });
            rest = inner.get(end + 1..).unwrap_or_default().trim_ascii_start();
            continue;
        }
        let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
        let (word, after) = rest.split_at_checked(end).unwrap_or_default();
        words.push(Word { text: word, is_quoted: false });
        rest = after.trim_ascii_start();
    }
    words
}

fn matches(wants: &[Want], words: &[Word<'_>], entry: &mut Entry) -> bool {
    let Some((want, wants)) = wants.split_first() else {
        return !entry.path.is_empty() || entry.method.is_empty();
    };
    if *want == Want::Rest {
        return (0..words.len()).any(|skip| {
            let mut tried = entry.clone();
            let found = matches(wants, words.get(skip..).unwrap_or_default(), &mut tried);
            if found {
                *entry = tried;
            }
            found
        });
    }
    let Some((word, mut words)) = words.split_first() else { return false };
    let Word { text, is_quoted } = *word;
    let is_fine = match want {
        Want::Any => true,
        Want::Rest => false,
        Want::Literal(literal) => text == *literal,
        Want::Method => {
            let method = text.rsplit(|&byte| byte == b'(').next().unwrap_or(text);
            set(&mut entry.method, method);
            is_known_method(method) && !is_quoted
        }
        Want::Path => {
            let path = text.strip_suffix(b"))").unwrap_or(text);
            set(&mut entry.path, path);
            path.first() == Some(&b'/')
                || path.starts_with(b"http://")
                || path.starts_with(b"https://")
        }
        Want::Request => {
            entry.set_request_line(text);
            // HAProxy's word for what was no request.
            let is_bad = text == b"<BADREQ>";
            if is_bad {
                entry.method.clear();
            }
            is_bad || (is_quoted && is_known_method(&entry.method))
        }
        Want::Status => text != b"-" && put_status(entry, text),
        Want::StatusOrDash => put_status(entry, text),
        Want::BracketStatus => {
            let inner = text.strip_prefix(b"[").and_then(|text| text.strip_suffix(b"]:"));
            inner.is_some_and(|text| put_status(entry, text))
        }
        Want::Result => {
            let code = text.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
            text.contains(&b'/') && put_status(entry, code)
        }
        Want::Bytes => {
            let digits = text.strip_suffix(b"B").unwrap_or(text);
            entry.response_bytes = integer(digits);
            entry.response_bytes.is_some() || text == b"-"
        }
        Want::Received => {
            entry.request_bytes = integer(text);
            entry.request_bytes.is_some() || text == b"-"
        }
        Want::Time => match Duration::read(text.strip_suffix(b",").unwrap_or(text)) {
            Some(Duration::Nanoseconds(ns)) => {
                entry.duration_ns = Some(ns as u64);
                true
            }
            Some(Duration::Number(number)) => {
                let unit = words.first().and_then(|word| {
                    let letters =
                        word.text.iter().take_while(|b| b.is_ascii_alphabetic() || **b >= 0x80);
                    Unit::of_word(word.text.get(..letters.count())?)
                });
                words = words.get(1..).unwrap_or_default();
                entry.duration_ns = unit.map(|unit| (number.value * unit.ns()) as u64);
                unit.is_some()
            }
            // morgan has a dash where the client went.
            None => {
                text == b"-"
                    && words.first().is_some_and(|word| {
                        let is_unit = word.text == b"ms";
                        words = words.get(1..).unwrap_or_default();
                        is_unit
                    })
            }
        },
        Want::Ms => add(entry, text, Unit::Milliseconds),
        Want::Seconds => add(entry, text, Unit::Seconds),
        Want::Timers => timers(entry, text),
        Want::Number => integer(text).is_some(),
        Want::Decimal => Number::read(text).is_some_and(|number| number.has_point),
        Want::Date => {
            text.len() == 10 && text.iter().filter(|byte| byte.is_ascii_digit()).count() == 8
        }
        Want::Clock => text.first().is_some_and(u8::is_ascii_digit) && text.contains(&b':'),
        Want::Protocol => {
            let protocol = text.strip_prefix(b"(").unwrap_or(text);
            set(&mut entry.protocol, protocol);
            protocol.starts_with(b"HTTP")
        }
    };
    is_fine && matches(wants, words, entry)
}

fn put_status(entry: &mut Entry, text: &[u8]) -> bool {
    // uWSGI has the protocol and the status in brackets.
    let text = text.strip_suffix(b")").unwrap_or(text);
    let code = if text == b"-1" { Some(0) } else { status(text) };
    entry.status = code.unwrap_or(0);
    code.is_some()
}

/// Adds a number to the duration; -1 is how proxies write nothing.
fn add(entry: &mut Entry, text: &[u8], unit: Unit) -> bool {
    if matches!(text, b"-1" | b"-") {
        return true;
    }
    let Some(number) = Number::read(text) else { return false };
    let ns = (number.value * unit.ns()) as u64;
    entry.duration_ns = Some(entry.duration_ns.unwrap_or(0).saturating_add(ns));
    true
}

/// `TR/Tw/Tc/Tr/Ta` of HAProxy, of which the last is the whole time; older ones have `Tq` first.
fn timers(entry: &mut Entry, text: &[u8]) -> bool {
    let is_number = |part: &[u8]| {
        let digits = part.strip_prefix(b"-").or(part.strip_prefix(b"+")).unwrap_or(part);
        integer(digits).is_some()
    };
    if text.iter().filter(|&&byte| byte == b'/').count() != 4
        || !text.split(|&byte| byte == b'/').all(is_number)
    {
        return false;
    }
    let last = text.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let last = last.strip_prefix(b"+").unwrap_or(last);
    entry.duration_ns = integer(last).map(|ms| ms.saturating_mul(1_000_000));
    true
}
