//! JSON lines: objects with the keys that proxies and servers usually log.
//!
//! Keys are compared without case and separators, and members of nested objects by their whole
//! path, so that `response_code`, `ResponseCode`, `http.response.status_code` and
//! `{"http": {"response": {"status_code": …}}}` need no configuration.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::Format;
use super::{Broken, Entry, decimal_seconds, integer, set, status};
use crate::request::response_flags;

/// Objects within objects that are looked into.
const MAX_DEPTH: usize = 5;
/// Characters of a key's path that are compared.
const MAX_KEY: usize = 48;

/// Kept from line to line.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    /// The text of a line that another program wrapped (`log`, `message`).
    pub wrapped: String,
    keys: Keys,
}

/// Keys seen lately, and what they stand for: lines of one log have the same keys in the same
/// order.
#[derive(Debug, Default)]
struct Keys {
    known: Vec<(String, Key, Option<Field>)>,
    /// Which one is likely to come next.
    next: usize,
}

impl Keys {
    const MOST: usize = 64;

    /// A key that is in no object but those that only wrap others.
    fn look(&mut self, raw: &str) -> (Key, Option<Field>) {
        let is_same = |known: &&(String, Key, Option<Field>)| known.0 == raw;
        if let Some((_, key, field)) = self.known.get(self.next).filter(is_same) {
            self.next += 1;
            return (*key, *field);
        }
        if let Some(at) = self.known.iter().position(|(known, ..)| known == raw) {
            self.next = at + 1;
            return self
                .known
                .get(at)
                .map_or_else(Default::default, |(_, key, field)| (*key, *field));
        }
        let key = Key::default().join(raw);
        let field = field(raw, key.text());
        if self.known.len() < Self::MOST && raw.len() <= MAX_KEY {
            self.known.push((raw.to_owned(), key, field));
            self.next = self.known.len();
        }
        (key, field)
    }
}

/// Reads one object.
pub(super) fn parse(
    line: &[u8],
    entry: &mut Entry,
    buffers: &mut Buffers,
) -> Result<Format, Broken> {
    buffers.wrapped.clear();
    buffers.keys.next = 0;
    let mut found = Found {
        entry,
        wrapped: &mut buffers.wrapped,
        keys: &mut buffers.keys,
        path_rank: 0,
        time_rank: 0,
        has_method: false,
        has_status: false,
    };
    // Text is only checked where it has to be, so one look at the whole line is cheaper.
    let result = match std::str::from_utf8(line) {
        Ok(text) => object(text, &mut found),
        Err(_) => object(&String::from_utf8_lossy(line), &mut found),
    };
    result.map_err(|_| Broken::NotJson)?;
    if found.path_rank == 0 && !found.has_method {
        return Err(Broken::NoRequest);
    }
    if !found.has_status {
        return Err(Broken::NoJsonStatus);
    }
    Ok(Format::Json)
}

fn object(text: &str, found: &mut Found<'_>) -> serde_json::Result<()> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    Member { found, key: Key::default(), field: None, depth: 0 }.deserialize(&mut deserializer)?;
    deserializer.end()
}

struct Found<'a> {
    entry: &'a mut Entry,
    wrapped: &'a mut String,
    keys: &'a mut Keys,
    path_rank: u8,
    time_rank: u8,
    has_method: bool,
    has_status: bool,
}

/// What a key stands for.
#[derive(Clone, Copy, Debug)]
enum Field {
    Method,
    /// The higher wins: a path before rewrites is better than one after them.
    Path(u8),
    RequestLine,
    Status,
    Duration(Unit, u8),
    ResponseBytes,
    RequestBytes,
    Flags,
    Protocol,
    Authority,
    Route,
    Cluster,
    Wrapped,
}

#[derive(Clone, Copy, Debug)]
enum Unit {
    Nanoseconds,
    Microseconds,
    Milliseconds,
    Seconds,
    /// Told from the value: whole numbers are milliseconds, others seconds.
    Guess,
}

impl Unit {
    fn whole(self, value: u64) -> u64 {
        value.saturating_mul(match self {
            Self::Nanoseconds => 1,
            Self::Microseconds => 1_000,
            Self::Milliseconds | Self::Guess => 1_000_000,
            Self::Seconds => 1_000_000_000,
        })
    }

    fn fraction(self, value: f64) -> u64 {
        let factor = match self {
            Self::Nanoseconds => 1.0,
            Self::Microseconds => 1e3,
            Self::Milliseconds => 1e6,
            Self::Seconds | Self::Guess => 1e9,
        };
        // Saturates, and NaN is 0.
        (value * factor) as u64
    }

    fn text(self, text: &str) -> Option<u64> {
        for (suffix, unit) in [
            ("ms", Self::Milliseconds),
            ("us", Self::Microseconds),
            ("µs", Self::Microseconds),
            ("ns", Self::Nanoseconds),
            ("s", Self::Seconds),
        ] {
            if let Some(number) = text.strip_suffix(suffix) {
                return number.trim().parse().ok().map(|number| unit.fraction(number));
            }
        }
        match (self, integer(text.as_bytes())) {
            (_, Some(whole)) => Some(self.whole(whole)),
            (Self::Seconds | Self::Guess, None) => decimal_seconds(text.as_bytes()),
            _ => text.parse().ok().map(|number| self.fraction(number)),
        }
    }
}

/// The path of a key in lower case, without separators.
#[derive(Clone, Copy, Debug)]
struct Key {
    bytes: [u8; MAX_KEY],
    len: usize,
}

impl Default for Key {
    fn default() -> Self {
        Self { bytes: [0; MAX_KEY], len: 0 }
    }
}

impl Key {
    fn join(mut self, key: &str) -> Self {
        for byte in key.bytes() {
            if matches!(byte, b'_' | b'-' | b'.' | b'@' | b' ' | b':') {
                continue;
            }
            if let Some(place) = self.bytes.get_mut(self.len) {
                *place = byte.to_ascii_lowercase();
                self.len += 1;
            }
        }
        self
    }

    fn text(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Objects that only wrap others say nothing about their members.
    fn without_wrapper(self) -> Self {
        match self.text() {
            b"jsonpayload" | b"log" | b"message" | b"msg" | b"fields" | b"data" | b"access"
            | b"accesslog" | b"attributes" | b"labels" => Self::default(),
            _ => self,
        }
    }
}

fn field(raw: &str, key: &[u8]) -> Option<Field> {
    // Traefik writes nanoseconds under this key, others milliseconds or seconds under `duration`.
    if raw == "Duration" {
        return Some(Field::Duration(Unit::Nanoseconds, 2));
    }
    Some(match key {
        b"method"
        | b"requestmethod"
        | b"httpmethod"
        | b"reqmethod"
        | b"verb"
        | b"httprequestmethod"
        | b"httprequestrequestmethod" => Field::Method,
        b"xenvoyoriginalpath" | b"originalpath" | b"reqxenvoyoriginalpath" | b"originaluri" => {
            Field::Path(5)
        }
        b"requesturi"
        | b"requestpath"
        | b"requesturl"
        | b"urloriginal"
        | b"requesturipath"
        | b"httprequestrequesturl" => Field::Path(4),
        b"path" | b"url" | b"httptarget" | b"urlpath" | b"httpurl" | b"reqpath" | b"requrl" => {
            Field::Path(3)
        }
        b"uri" | b"httppath" | b"urlfull" | b"target" => Field::Path(2),
        b"request" | b"requestline" | b"req" => Field::RequestLine,
        b"status"
        | b"responsecode"
        | b"statuscode"
        | b"responsestatus"
        | b"httpstatus"
        | b"httpstatuscode"
        | b"responsestatuscode"
        | b"httpresponsestatuscode"
        | b"downstreamstatus"
        | b"resstatuscode"
        | b"respcode"
        | b"code"
        | b"httprequeststatus" => Field::Status,
        b"durationms"
        | b"durationmillis"
        | b"durationmilliseconds"
        | b"latencyms"
        | b"elapsedms"
        | b"responsetimems"
        | b"requesttimems"
        | b"totaltimems"
        | b"requestduration"
        | b"responsetime" => Field::Duration(Unit::Milliseconds, 2),
        b"durationus" | b"durationmicros" | b"durationmicroseconds" | b"latencyus" => {
            Field::Duration(Unit::Microseconds, 2)
        }
        b"durationns" | b"durationnanos" | b"eventduration" | b"latencyns" => {
            Field::Duration(Unit::Nanoseconds, 2)
        }
        b"requesttime" | b"durationseconds" | b"durations" | b"latencyseconds" => {
            Field::Duration(Unit::Seconds, 2)
        }
        b"duration" | b"latency" | b"elapsed" | b"took" | b"httprequestlatency" => {
            Field::Duration(Unit::Guess, 1)
        }
        b"bytessent"
        | b"bodybytessent"
        | b"responsesize"
        | b"responsebytes"
        | b"bytes"
        | b"size"
        | b"downstreamcontentsize"
        | b"httpresponsebytes"
        | b"httpresponsebodybytes"
        | b"httprequestresponsesize"
        | b"contentlength"
        | b"rescontentlength" => Field::ResponseBytes,
        b"bytesreceived"
        | b"requestsize"
        | b"requestbytes"
        | b"bytesread"
        | b"requestcontentsize"
        | b"httprequestbytes"
        | b"httprequestbodybytes"
        | b"httprequestrequestsize"
        | b"requestlength" => Field::RequestBytes,
        b"responseflags" => Field::Flags,
        b"protocol" | b"serverprotocol" | b"requestprotocol" | b"requestproto" | b"proto" => {
            Field::Protocol
        }
        b"authority" | b"host" | b"requesthost" | b"httphost" | b"requestauthority"
        | b"reqauthority" => Field::Authority,
        b"routename" => Field::Route,
        b"upstreamcluster" | b"clustername" => Field::Cluster,
        b"log" | b"message" | b"msg" => Field::Wrapped,
        _ => return None,
    })
}

impl Found<'_> {
    fn text(&mut self, field: Field, text: &str) {
        let bytes = text.as_bytes();
        let entry = &mut *self.entry;
        let present = !matches!(text, "" | "-");
        match field {
            Field::Method => {
                set(&mut entry.method, bytes);
                self.has_method = true;
            }
            Field::Path(rank) => {
                // An absent path still says that this is a request.
                let rank = if present { rank } else { 1 };
                if rank > self.path_rank {
                    self.path_rank = rank;
                    set(&mut entry.path, bytes);
                }
            }
            Field::RequestLine => {
                if memchr::memchr(b' ', bytes).is_some() && self.path_rank < 4 {
                    entry.set_request_line(bytes);
                    self.path_rank = 4;
                    self.has_method = true;
                }
            }
            Field::Status => {
                if let Some(code) = status(bytes) {
                    entry.status = code;
                    self.has_status = true;
                }
            }
            Field::Duration(unit, rank) => {
                if let Some(ns) = unit.text(text).filter(|_| rank > self.time_rank) {
                    entry.duration_ns = Some(ns);
                    self.time_rank = rank;
                }
            }
            Field::ResponseBytes => entry.response_bytes = integer(bytes).or(entry.response_bytes),
            Field::RequestBytes => entry.request_bytes = integer(bytes).or(entry.request_bytes),
            Field::Flags => entry.flags = response_flags::from_names(bytes),
            Field::Protocol => set(&mut entry.protocol, bytes),
            Field::Authority => set(&mut entry.authority, bytes),
            Field::Route => set(&mut entry.route, bytes),
            Field::Cluster => set(&mut entry.cluster, bytes),
            Field::Wrapped => {
                self.wrapped.clear();
                self.wrapped.push_str(text);
            }
        }
    }

    fn whole(&mut self, field: Field, value: u64) {
        let entry = &mut *self.entry;
        match field {
            Field::Status => {
                entry.status = u16::try_from(value)
                    .ok()
                    .filter(|code| (100..1000).contains(code))
                    .unwrap_or(0);
                self.has_status = true;
            }
            Field::Duration(unit, rank) if rank > self.time_rank => {
                entry.duration_ns = Some(unit.whole(value));
                self.time_rank = rank;
            }
            Field::ResponseBytes => entry.response_bytes = Some(value),
            Field::RequestBytes => entry.request_bytes = Some(value),
            _ => {}
        }
    }

    fn fraction(&mut self, field: Field, value: f64) {
        match field {
            Field::Duration(unit, rank) if rank > self.time_rank && value >= 0.0 => {
                self.entry.duration_ns = Some(unit.fraction(value));
                self.time_rank = rank;
            }
            Field::Duration(..) => {}
            // As 200.0 where a pipeline made floats of all numbers.
            _ if value >= 0.0 => self.whole(field, value as u64),
            _ => {}
        }
    }
}

/// The value of a member.
struct Member<'f, 'a> {
    found: &'f mut Found<'a>,
    key: Key,
    field: Option<Field>,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Member<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Member<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.depth == 0 { "an object" } else { "a value" })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        let Self { found, key: parent, depth, .. } = self;
        let parent = parent.without_wrapper();
        loop {
            let mut seen = None;
            if access.next_key_seed(Name { parent, seen: &mut seen, keys: found.keys })?.is_none() {
                return Ok(());
            }
            match seen {
                Some((key, field)) if depth < MAX_DEPTH => {
                    access.next_value_seed(Member {
                        found: &mut *found,
                        key,
                        field,
                        depth: depth + 1,
                    })?;
                }
                _ => {
                    access.next_value::<IgnoredAny>()?;
                }
            }
        }
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if let Some(field) = self.field {
            self.found.text(field, text);
        }
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        if let Some(field) = self.field {
            self.found.whole(field, value);
        }
        Ok(())
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        match u64::try_from(value) {
            Ok(value) => self.visit_u64(value),
            Err(_) => Ok(()),
        }
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        if let Some(field) = self.field {
            self.found.fraction(field, value);
        }
        Ok(())
    }

    fn visit_bool<E>(self, _value: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        // Envoy writes null where there is nothing: no response has the status 0.
        match self.field {
            Some(Field::Status) => self.found.has_status = true,
            Some(field @ (Field::Path(_) | Field::Method)) => self.found.text(field, "-"),
            _ => {}
        }
        Ok(())
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        while access.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

/// A key, taken without a copy.
struct Name<'s> {
    parent: Key,
    seen: &'s mut Option<(Key, Option<Field>)>,
    keys: &'s mut Keys,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, raw: &str) -> Result<(), E> {
        *self.seen = Some(match self.parent.len {
            0 => self.keys.look(raw),
            _ => {
                let key = self.parent.join(raw);
                (key, field(raw, key.text()))
            }
        });
        Ok(())
    }
}
