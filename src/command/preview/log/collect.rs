//! Puts together a request out of fields that have names, whatever they were written in.

use super::fields::{self, Field, Role};
use super::formats::PROGRAMS;
use super::units::{Duration, Number, Unit};
use super::{Broken, Entry, integer, set, status};
use crate::request::response_flags;

/// The fields of one line so far. For each role the field with the highest rank wins.
pub(super) struct Collector<'e> {
    pub entry: &'e mut Entry,
    ranks: [u8; Role::COUNT],
    marks: u64,
    /// A path that is known to be absent, as Envoy writes null.
    no_path: bool,
    /// A status that is known to be absent.
    no_status: bool,
    duration: Option<(Field, Duration)>,
    /// A sibling of the duration, in nanoseconds.
    human: Option<f64>,
}

/// A duration without a unit, and what is told of it.
pub(super) struct Unsettled {
    pub field: Field,
    pub number: Number,
    /// In [`PROGRAMS`].
    pub program: Option<usize>,
    pub same_in_ns: Option<f64>,
}

impl<'e> Collector<'e> {
    pub fn new(entry: &'e mut Entry) -> Self {
        Self {
            entry,
            ranks: [0; Role::COUNT],
            marks: 0,
            no_path: false,
            no_status: false,
            duration: None,
            human: None,
        }
    }

    fn rank(&mut self, role: Role) -> &mut u8 {
        // The array has a place for each role.
        let place = role as usize % Role::COUNT;
        &mut self.ranks[place]
    }

    /// Whether a field of this rank is better than what is there, which it then replaces.
    fn wins(&mut self, role: Role, rank: u8) -> bool {
        let best = self.rank(role);
        let wins = rank > *best;
        *best = rank.max(*best);
        wins
    }

    fn has(&mut self, role: Role) -> bool {
        *self.rank(role) > 0
    }

    /// The key was there, whatever its value.
    pub fn mark(&mut self, field: Field) {
        self.marks |= field.marks;
    }

    /// A value: text without quotes, or a number.
    pub fn value(&mut self, field: Field, text: &[u8]) {
        self.marks |= field.marks;
        let Some(role) = field.role else { return };
        let text = text.trim_ascii();
        if matches!(text, b"" | b"-") {
            return self.nothing(field);
        }
        self.as_role(role, field, text);
        if let Some(other) = field.other {
            self.as_role(other, field, text);
        }
    }

    fn as_role(&mut self, role: Role, field: Field, text: &[u8]) {
        let rank = field.rank;
        match role {
            Role::Method => self.method(text, rank),
            Role::Path => self.path(text, rank),
            Role::RequestLine => self.line(text, rank),
            Role::Status => {
                if let Some(code) = status_of(text).filter(|_| self.wins(role, rank)) {
                    self.entry.status = code;
                }
            }
            Role::Duration => {
                let found = Duration::read(text).filter(|found| !is_date(*found, field));
                let Some(found) = found else { return };
                if self.wins(role, rank) {
                    self.duration = Some((field, found));
                } else if let Some(sum) = self.with_nanoseconds(field, found) {
                    self.duration = Some((field, Duration::Nanoseconds(sum)));
                }
            }
            Role::Human => self.human = Duration::with_unit(text).or(self.human),
            Role::ResponseBytes => {
                if let Some(bytes) = size(text).filter(|_| self.wins(role, rank)) {
                    self.entry.response_bytes = Some(bytes);
                }
            }
            Role::RequestBytes => {
                if let Some(bytes) = size(text).filter(|_| self.wins(role, rank)) {
                    self.entry.request_bytes = Some(bytes);
                }
            }
            Role::Flags => self.entry.flags = response_flags::from_names(text),
            Role::Protocol if self.wins(role, rank) => set(&mut self.entry.protocol, text),
            Role::Authority if self.wins(role, rank) => set(&mut self.entry.authority, text),
            Role::Route if self.wins(role, rank) => set(&mut self.entry.route, text),
            Role::Cluster if self.wins(role, rank) => set(&mut self.entry.cluster, text),
            Role::Protocol | Role::Authority | Role::Route | Role::Cluster | Role::Wrapped => {}
        }
    }

    /// Protobuf's JSON of a duration is whole seconds, and the nanoseconds beside them.
    fn with_nanoseconds(&self, field: Field, found: Duration) -> Option<f64> {
        let (first, Duration::Number(seconds)) = self.duration? else { return None };
        let Duration::Number(nanoseconds) = found else { return None };
        let are_parts = first.unit == Some(Unit::Seconds)
            && field.unit == Some(Unit::Nanoseconds)
            && !seconds.has_point
            && nanoseconds.value < 1e9;
        are_parts.then_some(seconds.value * 1e9 + nanoseconds.value)
    }

    /// Methods are upper case on the wire; programs write them as they like.
    fn method(&mut self, text: &[u8], rank: u8) {
        let is_token = text.len() <= 32 && !text.contains(&b' ');
        if is_token && self.wins(Role::Method, rank) {
            set(&mut self.entry.method, text);
            let upper = text.to_ascii_uppercase();
            if super::is_known_method(&upper) {
                self.entry.method = upper;
            }
        }
    }

    fn path(&mut self, text: &[u8], rank: u8) {
        let is_path = text.starts_with(b"/") || text == b"*";
        if !is_path && !has_scheme(text) {
            // `users/17`, as Laravel and Akamai write it, or a word that is no path at all: better
            // than nothing.
            let is_path = text.contains(&b'/') && !text.contains(&b':');
            let is_odd = text.contains(&b' ') || rank % 16 < if is_path { 5 } else { 6 };
            if is_odd || !self.wins(Role::Path, 1) {
                return;
            }
            if is_path {
                set(&mut self.entry.path, b"/");
                self.entry.path.extend_from_slice(text);
                return;
            }
        } else if !self.wins(Role::Path, rank) {
            return;
        }
        set(&mut self.entry.path, text);
        self.entry.strip_scheme();
    }

    /// `GET /path HTTP/1.1`, or a path alone.
    fn line(&mut self, text: &[u8], rank: u8) {
        let mut words = text.splitn(3, |&byte| byte == b' ');
        let (Some(method), Some(path)) = (words.next(), words.next()) else {
            return;
        };
        let is_method = !method.is_empty() && method.iter().all(u8::is_ascii_alphabetic);
        if is_method && !path.is_empty() && self.wins(Role::Path, rank.max(2)) {
            // Its method is as good as its path.
            *self.rank(Role::Method) = OF_LINE;
            self.entry.set_request_line(text);
            self.entry.strip_scheme();
        }
    }

    /// A null, or a text that stands for nothing.
    pub fn nothing(&mut self, field: Field) {
        self.marks |= field.marks;
        match field.role {
            Some(Role::Path | Role::RequestLine) => self.no_path = true,
            Some(Role::Status) if field.rank % 16 >= 9 => self.no_status = true,
            _ => {}
        }
    }

    /// The request, with what is left to be decided of its duration.
    ///
    /// # Errors
    /// What is missing.
    pub fn finish(mut self) -> Result<Option<Unsettled>, Broken> {
        let has_status = self.has(Role::Status) || self.no_status;
        let has_path = self.has(Role::Path);
        let has_method = self.has(Role::Method);
        if !has_path && !has_method && (!self.no_path || !has_status) {
            return Err(Broken::NoRequest);
        }
        if !has_path && !has_method && self.entry.status == 0 {
            return Err(Broken::NotHttp);
        }
        if !has_path && !self.no_path {
            return Err(if has_status { Broken::NoPath } else { Broken::NoRequest });
        }
        if !has_status {
            return Err(Broken::NoJsonStatus);
        }
        let Some((field, duration)) = self.duration else {
            self.entry.duration_ns = self.human.map(whole);
            return Ok(None);
        };
        match (duration, field.unit) {
            (Duration::Nanoseconds(ns), _) => self.entry.duration_ns = Some(whole(ns)),
            (duration, Some(unit)) => self.entry.duration_ns = Some(whole(duration.in_unit(unit))),
            (Duration::Number(number), None) => {
                let program = fields::program(self.marks);
                return Ok(Some(Unsettled { field, number, program, same_in_ns: self.human }));
            }
        }
        Ok(None)
    }
}

/// The rank of a method that stands in a request line.
const OF_LINE: u8 = 60;

/// A program's name and unit, as a source of durations knows them.
pub(super) fn software(program: usize) -> Option<(&'static str, Option<super::units::Unit>)> {
    PROGRAMS.get(program).map(|program| (program.name, program.unit))
}

/// Nanoseconds as a whole number; saturates.
pub(super) fn whole(ns: f64) -> u64 {
    ns as u64
}

/// Seconds since 1970 and the like, as Akamai's `reqTimeSec`: no duration, whatever its key says.
fn is_date(found: Duration, field: Field) -> bool {
    const TEN_YEARS_NS: f64 = 3e17;
    field.unit.is_some_and(|unit| found.in_unit(unit) > TEN_YEARS_NS)
}

fn has_scheme(text: &[u8]) -> bool {
    let head = text.get(..text.len().min(12)).unwrap_or_default();
    memchr::memmem::find(head, b"://").is_some()
}

/// `200`, `200.0`, `"200 OK"`; 0 where no response was sent. Other numbers are something else.
fn status_of(text: &[u8]) -> Option<u16> {
    let end = text.iter().position(|byte| matches!(byte, b' ' | b'.')).unwrap_or(text.len());
    let code = status(text.get(..end)?)?;
    (code == 0 || (100..1000).contains(&code)).then_some(code)
}

/// Bytes, also as `13B` and `13.0`.
fn size(text: &[u8]) -> Option<u64> {
    let text = text.strip_suffix(b"B").unwrap_or(text).trim_ascii_end();
    integer(text).or_else(|| Number::read(text).map(|number| number.value as u64))
}
