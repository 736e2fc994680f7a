//! Access logs: lines in, requests out.
//!
//! The formats are those of [`formats`]. Which one it is, is told from each line, so logs in which
//! other output is mixed in are no problem. Lines are any bytes of any length; nothing is allocated
//! per JSON line or line of Envoy's and the common formats in the steady state.

mod collect;
mod entry;
mod fields;
pub mod formats;
mod json;
mod layout;
mod lines;
mod pairs;
mod spread;
mod text;
mod units;

use std::fmt;

use collect::{Collector, Unsettled};
pub use entry::Entry;
use entry::set;
pub use fields::Role;
use formats::FORMATS;
pub use lines::{Lines, MAX_LINE};
pub use spread::Spread;
pub use units::{Source, Unit};

/// Whether it is one of the methods that have a label value of their own.
fn is_known_method(word: &[u8]) -> bool {
    crate::request::method::ALL.iter().any(|method| method.as_bytes() == word)
}

/// The format of a line: its place in [`FORMATS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Format(u8);

impl Format {
    /// Envoy's text formats.
    pub const ENVOY: Self = Self(0);
    /// Istio's text formats.
    pub const ISTIO: Self = Self(1);
    /// Common log format.
    pub const COMMON: Self = Self(2);
    /// Combined log format.
    pub const COMBINED: Self = Self(3);
    /// One JSON object.
    pub const JSON: Self = Self(4);
    /// METHOD, PATH and STATUS, separated by tabs.
    pub const TABS: Self = Self(5);
    /// `key=value` pairs.
    pub const LOGFMT: Self = Self(6);
    /// Columns that another line names.
    pub const COLUMNS: Self = Self(7);
    /// Labelled tab-separated values.
    pub const LTSV: Self = Self(8);

    /// Its place among [`FORMATS`].
    #[must_use]
    pub fn place(self) -> usize {
        usize::from(self.0)
    }

    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        FORMATS.get(self.place()).map_or("", |known| known.name)
    }
}

/// Why a line is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Broken {
    /// Neither a request in quotes, nor a JSON object, nor any other known format.
    NoFormat,
    /// The request has no closing quote.
    OpenQuote,
    /// No status after the request.
    NoStatus,
    /// Starts with a brace, and is not JSON.
    NotJson,
    /// Fields without method, path or request line.
    NoRequest,
    /// Fields with a status, and with a method and without a path.
    NoPath,
    /// Fields with a request and without a status.
    NoJsonStatus,
    /// A TCP connection.
    NotHttp,
    /// The start of a request whose end is another line.
    Begun,
    /// Names of columns and the like.
    Header,
    /// Longer than [`MAX_LINE`].
    TooLong,
}

impl Broken {
    /// Whether a request is likely to be lost with this line; else it is other output.
    #[must_use]
    pub fn is_missed(self, line: &[u8]) -> bool {
        match self {
            Self::NotHttp | Self::Begun | Self::Header => false,
            Self::NoPath | Self::NoJsonStatus | Self::TooLong => true,
            Self::NoFormat | Self::OpenQuote | Self::NoStatus | Self::NotJson | Self::NoRequest => {
                layout::has_request(line) && !is_message(line)
            }
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub fn way_out(self) -> Option<&'static str> {
        match self {
            Self::NoPath => Some("name the key of the path with --path-field"),
            Self::NoJsonStatus => Some("name the key of the status with --status-field"),
            Self::NoRequest => {
                Some("name the keys with --method-field, --path-field, --status-field")
            }
            Self::NotJson => Some("one object has to be on one line: jq -c . makes it so"),
            _ => None,
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoFormat => "no known format",
            Self::OpenQuote => "the request has no closing quote",
            Self::NoStatus => "no status after the request",
            Self::NotJson => "not JSON",
            Self::NoRequest => "JSON without a method or a path",
            Self::NoPath => "no known path",
            Self::NoJsonStatus => "JSON without a status",
            Self::NotHttp => "a TCP connection",
            Self::Begun => "the start of a request",
            Self::Header => "names of columns",
            Self::TooLong => "longer than 1 MiB",
        })
    }
}

/// Whether it is a message of a server about a request, as in nginx's error log, not the request.
fn is_message(line: &[u8]) -> bool {
    const LEVELS: [&[u8]; 8] = [
        b"[error]",
        b"[warn]",
        b"[crit]",
        b"[alert]",
        b"[emerg]",
        b"[notice]",
        b"[debug]",
        b":error]",
    ];
    LEVELS.iter().any(|level| memchr::memmem::find(line, level).is_some())
}

/// What the user says of the log.
#[derive(Clone, Debug, Default)]
pub struct Hints {
    /// Keys, with dots between those of objects within objects.
    pub keys: Vec<(Role, String)>,
    /// Of durations that have none.
    pub duration_unit: Option<Unit>,
}

/// Wrappers within wrappers that are opened.
const MAX_WRAPPERS: usize = 3;
/// Durations that are kept apart; what is beyond counts as the last one.
const MAX_SOURCES: usize = 256;

/// Reads lines. Keeps buffers, and nothing of the lines.
#[derive(Debug, Default)]
pub struct Parser {
    shapes: json::Shapes,
    layouts: layout::Layouts,
    columns: pairs::Columns,
    unescaped: Vec<u8>,
    sources: Vec<Source>,
    /// What each of them is of: the key and the program.
    keys: Vec<(u16, Option<usize>)>,
    /// The first one of this input, and the one of the last line.
    first: usize,
    last: usize,
    input: usize,
    forced: Option<Unit>,
}

impl Parser {
    /// A parser that follows the user's hints.
    #[must_use]
    pub fn new(hints: Hints) -> Self {
        let mut parser = Self { forced: hints.duration_unit, ..Self::default() };
        parser.shapes.own.keys = hints.keys;
        parser
    }

    /// What follows is of another log, counted from 0.
    pub fn start_input(&mut self, input: usize) {
        self.input = input;
        self.first = self.sources.len();
        self.columns.forget();
    }

    /// The fields with durations without a unit, and what is known of each.
    #[must_use]
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The unit that the user names.
    #[must_use]
    pub fn forced_unit(&self) -> Option<Unit> {
        self.forced
    }

    /// Reads one line, without its end, into `entry`.
    ///
    /// # Errors
    /// Why the line is no request; `entry` is then of no use.
    pub fn parse(&mut self, line: &[u8], entry: &mut Entry) -> Result<Format, Broken> {
        entry.clear();
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii();
        self.line(line, entry, 0)
    }

    fn line(&mut self, line: &[u8], entry: &mut Entry, depth: usize) -> Result<Format, Broken> {
        if line.first() == Some(&b'{') {
            // Elements of an array, one to a line.
            let object = line.strip_suffix(b",").unwrap_or(line);
            return self.json(object, entry, depth);
        }
        if let Some(object) = line.strip_prefix(b"[{") {
            let object = object.strip_suffix(b"]").or(object.strip_suffix(b",")).unwrap_or(object);
            let mut start = b"{".to_vec();
            start.extend_from_slice(object);
            return self.json(&start, entry, depth);
        }
        if line.first() == Some(&b'#') && self.columns.directive(line, &mut self.shapes) {
            return Err(Broken::Header);
        }
        if self.columns.are_known() {
            let result = self.columns.parse(line, Collector::new(entry));
            if !matches!(result, Err(Broken::NoFormat)) {
                return self.settled(result, Format::COLUMNS, entry);
            }
            entry.clear();
        }
        if let Some(object) = behind_prefix(line) {
            match self.json(object, entry, depth) {
                Err(Broken::NotJson | Broken::NoRequest) => entry.clear(),
                result => return result,
            }
        }
        self.text(line, entry)
    }

    fn text(&mut self, line: &[u8], entry: &mut Entry) -> Result<Format, Broken> {
        if memchr::memchr(0x1b, line).is_some() {
            let mut plain = Vec::with_capacity(line.len());
            layout::without_colours(line, &mut plain);
            return self.plain_text(&plain, entry);
        }
        self.plain_text(line, entry)
    }

    fn plain_text(&mut self, line: &[u8], entry: &mut Entry) -> Result<Format, Broken> {
        let broken = match text::parse(line, entry, &mut self.unescaped) {
            Ok((format, found)) => {
                if let Some((number, place)) = found {
                    let name = self.shapes.name(place.name());
                    let (usual, software) = match place {
                        text::Place::Decimal => (Some(Unit::Seconds), None),
                        text::Place::Last => (None, None),
                    };
                    let same_in_ns = None;
                    let field = fields::Field { name, usual, ..fields::Field::default() };
                    self.settle(Unsettled { field, number, program: software, same_in_ns }, entry);
                }
                return Ok(format);
            }
            Err(Broken::NotHttp) => return Err(Broken::NotHttp),
            Err(broken) => broken,
        };
        entry.clear();
        if let Some(format) = self.layouts.parse(line, entry) {
            return Ok(format);
        }
        entry.clear();
        if pairs::is_ltsv(line) {
            let result = pairs::ltsv(line, Collector::new(entry), &mut self.shapes);
            return self.settled(result, Format::LTSV, entry);
        }
        if memchr::memchr(b'=', line).is_some() {
            let result = pairs::parse(line, Collector::new(entry), &mut self.shapes);
            match result {
                Err(Broken::NoFormat | Broken::NoRequest) => entry.clear(),
                result => {
                    return self
                        .settled(result, Format::LOGFMT, entry)
                        .map_err(|why| begun(why, line));
                }
            }
        }
        if let Some(format) = tabs(line, entry) {
            return Ok(format);
        }
        Err(begun(broken, line))
    }

    /// A JSON line; what another program wrapped into one is looked into.
    fn json(&mut self, line: &[u8], entry: &mut Entry, depth: usize) -> Result<Format, Broken> {
        let mut collector = Collector::new(entry);
        json::parse(line, &mut collector, &mut self.shapes)?;
        let result = collector.finish();
        let Err(why) = result else { return self.settled(result, Format::JSON, entry) };
        if depth < MAX_WRAPPERS {
            for (start, end, escaped) in std::mem::take(&mut self.shapes.wrapped) {
                let raw = line.get(start..end).unwrap_or_default();
                let mut plain = Vec::new();
                let inner = if escaped {
                    json::unescape(raw, &mut plain);
                    &plain
                } else {
                    raw
                };
                entry.clear();
                match self.line(inner.trim_ascii(), entry, depth + 1) {
                    Ok(format) => return Ok(format),
                    Err(why @ (Broken::NotHttp | Broken::NoPath)) => return Err(why),
                    Err(_) => {}
                }
            }
        }
        entry.clear();
        Err(begun(why, line))
    }

    /// The format, where the rest of the request was found.
    fn settled(
        &mut self,
        result: Result<Option<Unsettled>, Broken>,
        format: Format,
        entry: &mut Entry,
    ) -> Result<Format, Broken> {
        if let Some(unsettled) = result? {
            self.settle(unsettled, entry);
        }
        Ok(format)
    }

    /// Keeps a duration without a unit for the end of the log.
    fn settle(&mut self, unsettled: Unsettled, entry: &mut Entry) {
        let Unsettled { field, number, program, same_in_ns } = unsettled;
        let key = (field.name, program);
        if self.last < self.first || self.keys.get(self.last) != Some(&key) {
            let known = self.keys.iter().skip(self.first).position(|known| *known == key);
            self.last = match known {
                Some(place) => self.first + place,
                None if self.sources.len() >= MAX_SOURCES => self.sources.len() - 1,
                None => {
                    let name = self.shapes.names.get(usize::from(field.name)).cloned();
                    let software = program.and_then(collect::software);
                    let name = name.unwrap_or_default();
                    self.sources.push(Source::new(self.input, name, software, field.usual));
                    self.keys.push(key);
                    self.sources.len() - 1
                }
            };
        }
        let Some(source) = self.sources.get_mut(self.last) else { return };
        let unit = self.forced.unwrap_or_else(|| source.add(number, same_in_ns));
        if self.forced.is_some() {
            source.add(number, same_in_ns);
        }
        entry.duration_ns = Some(collect::whole(number.value * unit.ns()));
        entry.number = Some((u16::try_from(self.last).unwrap_or(u16::MAX), number.value));
    }
}

/// A request without a status that says that it only begins is no fault of the log.
fn begun(why: Broken, line: &[u8]) -> Broken {
    const WORDS: [&[u8]; 8] = [
        b"start",
        b"Start",
        b"incoming",
        b"Incoming",
        b"received",
        b"begin",
        b"Begin",
        b"REQUEST\"",
    ];
    let begins = |word: &&[u8]| memchr::memmem::find(line, word).is_some();
    let is_request = match why {
        Broken::NoJsonStatus => true,
        Broken::NoFormat | Broken::NoStatus => layout::has_request(line),
        _ => false,
    };
    if is_request && WORDS.iter().any(begins) { Broken::Begun } else { why }
}

/// The JSON object behind a prefix: a container runtime's, Compose's, stern's, syslog's, Loki's.
fn behind_prefix(line: &[u8]) -> Option<&[u8]> {
    if line.last() != Some(&b'}') {
        return None;
    }
    let is_start = |at: &usize| {
        let before = at.checked_sub(1).and_then(|before| line.get(before));
        let mut inside = line.get(at + 1..).unwrap_or_default().iter();
        before.is_some_and(u8::is_ascii_whitespace)
            && inside.find(|byte| !byte.is_ascii_whitespace()) == Some(&b'"')
    };
    memchr::memchr_iter(b'{', line).find(is_start).and_then(|at| line.get(at..))
}

/// METHOD, PATH and, where known, STATUS, separated by tabs.
fn tabs(line: &[u8], entry: &mut Entry) -> Option<Format> {
    let mut fields = line.split(|&byte| byte == b'\t');
    let (method, path) = (fields.next()?, fields.next()?);
    let is_method = !method.is_empty() && method.iter().all(u8::is_ascii_graphic);
    if !is_method || !(path.starts_with(b"/") || is_known_method(method)) {
        return None;
    }
    entry.status = match fields.next() {
        Some(text) if !text.is_empty() => status(text)?,
        _ => 200,
    };
    set(&mut entry.method, method);
    set(&mut entry.path, path);
    Some(Format::TABS)
}

/// Bytes of a log as text to show: nothing in it that a terminal would act upon.
fn shown(bytes: &[u8]) -> String {
    super::replay::shown(bytes)
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
