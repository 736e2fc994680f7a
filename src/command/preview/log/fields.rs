//! Keys of JSON objects, `key=value` pairs and columns, and what they stand for.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::formats::PROGRAMS;
use super::units::Unit;

/// Characters of a key's path that are compared.
const MAX_KEY: usize = 96;

/// What a key stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The method.
    Method,
    /// The path, or a URL.
    Path,
    /// Method, path and protocol in one.
    RequestLine,
    /// The status.
    Status,
    /// The duration.
    Duration,
    /// The duration once more, with its unit.
    Human,
    /// Bytes of the response.
    ResponseBytes,
    /// Bytes of the request.
    RequestBytes,
    /// Envoy's response flags.
    Flags,
    /// The protocol.
    Protocol,
    /// The authority.
    Authority,
    /// Envoy's route name.
    Route,
    /// Envoy's cluster.
    Cluster,
    /// A line that another program wrapped.
    Wrapped,
}

impl Role {
    /// How many there are.
    pub(super) const COUNT: usize = 14;

    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "method" => Self::Method,
            "path" => Self::Path,
            "line" => Self::RequestLine,
            "status" => Self::Status,
            "duration" => Self::Duration,
            "human" => Self::Human,
            "bytes" => Self::ResponseBytes,
            "received" => Self::RequestBytes,
            "flags" => Self::Flags,
            "protocol" => Self::Protocol,
            "authority" => Self::Authority,
            "route" => Self::Route,
            "cluster" => Self::Cluster,
            "text" => Self::Wrapped,
            _ => return None,
        })
    }
}

/// A key, looked up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Field {
    /// None where the key only tells which program it is.
    pub role: Option<Role>,
    /// A second one: `request` is a request line here and a path there.
    pub other: Option<Role>,
    /// The higher wins; 0 is nothing.
    pub rank: u8,
    /// The unit in the key's name.
    pub unit: Option<Unit>,
    /// The unit that the key usually stands for.
    pub usual: Option<Unit>,
    /// Its name in [`super::Parser::names`].
    pub name: u16,
    /// Bits of the groups of keys that tell programs apart.
    pub marks: u64,
}

/// A key of the user's own.
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// For each role, the key that the user names.
    pub keys: Vec<(Role, String)>,
}

/// The rank of a key that the user names.
const OWN_RANK: u8 = 255;

/// Objects whose members are of something else than the request.
const DECEPTIVE: &[&[u8]] = &[
    b"headers",
    b"header",
    b"requestheaders",
    b"reqheaders",
    b"responseheaders",
    b"respheaders",
    b"params",
    b"query",
    b"querystring",
    b"cookies",
    b"user",
    b"error",
    b"err",
    b"exception",
    b"kubernetes",
    b"docker",
    b"host",
    b"agent",
    b"upstream",
    b"origin",
    b"session",
    b"tags",
    b"geo",
    b"tls",
    b"parent",
    b"route",
    b"service",
    b"consumer",
    b"api",
    b"config",
    b"args",
    b"stack",
    b"file",
    b"process",
    b"container",
    b"resource",
    b"input",
    b"ecs",
    b"useragent",
    b"source",
    b"destination",
    b"client",
    b"node",
    b"pod",
    b"env",
];

/// Objects that only wrap others.
const WRAPPERS: &[&[u8]] = &[
    b"jsonpayload",
    b"log",
    b"message",
    b"msg",
    b"fields",
    b"data",
    b"access",
    b"accesslog",
    b"attributes",
    b"labels",
    b"properties",
    b"meta",
    b"line",
    b"payload",
    b"record",
    b"context",
    b"span",
    b"body",
    b"parsed",
    b"logprocessed",
    b"extra",
    b"details",
    b"json",
];

/// Words that are a duration only where a unit is behind them, in the key or in the value.
const WEAK_DURATIONS: &[&[u8]] =
    &[b"time", b"total", b"processing", b"service", b"response", b"handler", b"rt", b"timer"];

struct Dictionary {
    fields: HashMap<Vec<u8>, Field>,
    /// For each program the groups of marks, and the bits of which one must be there.
    programs: Vec<Vec<u64>>,
}

static DICTIONARY: LazyLock<Dictionary> = LazyLock::new(dictionary);

fn dictionary() -> Dictionary {
    let mut fields: HashMap<Vec<u8>, Field> = HashMap::new();
    let mut programs = Vec::new();
    let mut bit = 0;
    for program in PROGRAMS {
        let mut groups = Vec::new();
        for group in program.marks.split_ascii_whitespace() {
            let mark = 1u64.checked_shl(bit).unwrap_or(0);
            bit += 1;
            for key in group.split('|') {
                fields.entry(normal(key.as_bytes())).or_default().marks |= mark;
            }
            groups.push(mark);
        }
        programs.push(groups);
        for entry in program.keys.split_ascii_whitespace() {
            let Some((role, keys)) = entry.split_once('=') else { continue };
            let (role, unit) = role.split_once(':').unwrap_or((role, ""));
            let Some(role) = Role::of(role) else { continue };
            for key in keys.split(',') {
                let name = normal(key.as_bytes());
                let rank = rank(role, &name);
                let field = fields.entry(name).or_default();
                match field.role {
                    None => (field.role, field.rank) = (Some(role), rank),
                    Some(known) if known != role => field.other = Some(role),
                    Some(_) => {}
                }
                if role == Role::Duration {
                    field.usual = field.usual.or(Unit::of_word(unit.as_bytes()));
                }
            }
        }
    }
    Dictionary { fields, programs }
}

/// A key in lower case, without separators.
pub(super) fn normal(key: &[u8]) -> Vec<u8> {
    let plain = key.iter().filter(|byte| !is_separator(**byte));
    plain.map(u8::to_ascii_lowercase).take(MAX_KEY).collect()
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'_' | b'-' | b'.' | b'@' | b' ' | b':' | b'(' | b')' | b'/' | b'$' | b'%')
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

/// How well a key says what it stands for, from 1 to 15: a path before rewrites is better than one
/// after them, and `status` better than an application's `code`.
fn rank(role: Role, key: &[u8]) -> u8 {
    match role {
        Role::Path if contains(key, b"orig") => 9,
        Role::Path if contains(key, b"req") || contains(key, b"raw") => 8,
        Role::Path if matches!(key, b"uri" | b"target") => 5,
        Role::Path if contains(key, b"full") => 4,
        Role::Path if matches!(key, b"resource" | b"resourcepath" | b"endpoint") => 2,
        Role::Path => 6,
        Role::Status if contains(key, b"status") || contains(key, b"responsecode") => 9,
        Role::Status if contains(key, b"response") => 4,
        Role::Status => 2,
        Role::Duration if contains(key, b"total") || contains(key, b"event") => 9,
        Role::Duration if contains(key, b"response") => 7,
        Role::Duration if key == b"service" => 3,
        Role::Duration => 8,
        Role::ResponseBytes if contains(key, b"length") => 4,
        Role::ResponseBytes if matches!(key, b"bytes" | b"size") => 5,
        Role::ResponseBytes if contains(key, b"body") => 8,
        Role::ResponseBytes => 7,
        Role::Authority if matches!(key, b"host" | b"hostname") => 3,
        _ => 5,
    }
}

/// The place of the key's program among [`PROGRAMS`] by the marks that were seen.
pub(super) fn program(seen: u64) -> Option<usize> {
    if seen == 0 {
        return None;
    }
    let all =
        |groups: &Vec<u64>| !groups.is_empty() && groups.iter().all(|group| seen & group != 0);
    DICTIONARY.programs.iter().position(all)
}

/// Whether nothing in an object of this name is of the request.
pub(super) fn is_deceptive(segment: &[u8]) -> bool {
    DECEPTIVE.contains(&segment)
}

/// Looks up a key by its path, the outermost object first, each segment as [`normal`] gives it.
pub(super) fn look_up(path: &[Vec<u8>], own: &Own) -> Field {
    let whole = path.concat();
    let mut field = Field::default();
    let mut dropped = 0u8;
    for start in 0..path.len() {
        let rest = path.get(start..).unwrap_or_default().concat();
        let found = by_name(&rest);
        field.marks |= DICTIONARY.fields.get(&rest).map_or(0, |known| known.marks);
        if let (Some(found), None) = (found, field.role) {
            let depth = 3u8.saturating_sub(dropped);
            field =
                Field { rank: depth * 16 + found.rank, marks: field.marks | found.marks, ..found };
        }
        let Some(segment) = path.get(start) else { break };
        if is_deceptive(segment) && start + 1 < path.len() {
            break;
        }
        if !WRAPPERS.contains(&segment.as_slice()) {
            dropped += 1;
        }
    }
    for (role, key) in &own.keys {
        if normal(key.as_bytes()) == whole {
            field.role = Some(*role);
            field.other = None;
            field.rank = OWN_RANK;
        }
    }
    field
}

/// A key by its whole name, or a duration with a unit at the end of it.
fn by_name(key: &[u8]) -> Option<Field> {
    let known = DICTIONARY.fields.get(key).copied();
    if let Some(field) = known.filter(|field| field.role.is_some()) {
        let unit = match field.role {
            Some(Role::Duration) => with_unit(key).next().map(|(_, unit)| unit),
            _ => None,
        };
        return Some(Field { unit, ..field });
    }
    let marks = known.map_or(0, |field| field.marks);
    for (stem, unit) in with_unit(key) {
        let stem = stem.strip_suffix(b"in").unwrap_or(stem);
        let known = DICTIONARY.fields.get(stem).filter(|field| field.role == Some(Role::Duration));
        // `times` and `responses` are plurals.
        let is_weak = WEAK_DURATIONS.contains(&stem)
            && !(unit == Unit::Seconds && key.len() == stem.len() + 1);
        if let Some(rank) = known.map(|field| field.rank).or(is_weak.then_some(5)) {
            let unit = Some(unit);
            return Some(Field {
                role: Some(Role::Duration),
                rank,
                unit,
                marks,
                ..Field::default()
            });
        }
    }
    // What has a unit only in its value, as `time=12ms`.
    if WEAK_DURATIONS.contains(&key) {
        return Some(Field { role: Some(Role::Human), rank: 1, marks, ..Field::default() });
    }
    None
}

/// A key without the unit at its end, and that unit; the longest first. `duration_s` ends with
/// seconds, but also with nanoseconds.
fn with_unit(key: &[u8]) -> impl Iterator<Item = (&[u8], Unit)> {
    const WORDS: [&[u8]; 16] = [
        b"milliseconds",
        b"microseconds",
        b"nanoseconds",
        b"seconds",
        b"millis",
        b"micros",
        b"nanos",
        b"msec",
        b"usec",
        b"nsec",
        b"secs",
        b"sec",
        b"ms",
        b"us",
        b"ns",
        b"s",
    ];
    WORDS.iter().filter_map(move |word| {
        let stem = key.strip_suffix(*word).filter(|stem| !stem.is_empty())?;
        Some((stem, Unit::of_word(word)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(path: &str) -> Field {
        let path: Vec<Vec<u8>> = path.split('/').map(|key| normal(key.as_bytes())).collect();
        look_up(&path, &Own::default())
    }

    #[test]
    fn marks_have_room() {
        let groups = PROGRAMS.iter().map(|program| program.marks.split_ascii_whitespace().count());
        assert!(groups.sum::<usize>() <= 64);
        for program in PROGRAMS {
            for entry in program.keys.split_ascii_whitespace() {
                let role = entry.split_once('=').unwrap().0;
                assert!(Role::of(role.split(':').next().unwrap()).is_some(), "{entry}");
            }
        }
    }

    #[test]
    fn units_stand_at_the_end_of_keys() {
        for (key, unit) in [
            ("duration_ms", Unit::Milliseconds),
            ("durationMillis", Unit::Milliseconds),
            ("latency_us", Unit::Microseconds),
            ("elapsedNanos", Unit::Nanoseconds),
            ("response_time_seconds", Unit::Seconds),
            ("duration_s", Unit::Seconds),
            ("duration_ns", Unit::Nanoseconds),
            ("duration_in_ms", Unit::Milliseconds),
            ("time_ms", Unit::Milliseconds),
            ("total_ns", Unit::Nanoseconds),
        ] {
            let field = find(key);
            assert_eq!((field.role, field.unit), (Some(Role::Duration), Some(unit)), "{key}");
        }
        for key in ["timestamp", "ts", "latencies", "times", "bytes", "params", "items"] {
            assert_ne!(find(key).role, Some(Role::Duration), "{key}");
        }
    }

    #[test]
    fn a_nested_key_is_known_by_its_end() {
        for (path, role) in [
            ("ctx/req/method", Some(Role::Method)),
            ("jsonPayload/response_code", Some(Role::Status)),
            ("http/response/status_code", Some(Role::Status)),
            ("request/headers/path", None),
            ("log/file/path", None),
            ("kubernetes/labels/path", None),
            ("error/code", None),
            ("upstream/status", None),
        ] {
            assert_eq!(find(path).role, role, "{path}");
        }
        assert!(find("url/path").rank > find("thing/path").rank);
        assert!(find("status").rank > find("code").rank);
        assert!(find("x-envoy-original-path").rank > find("path").rank);
    }
}
