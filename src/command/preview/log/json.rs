//! JSON lines: one pass over the bytes, nothing copied but what is wanted.
//!
//! The shape of objects is remembered: lines of one log have the same keys in the same order, so
//! a key is compared once with the one that came next the last time.

use super::Broken;
use super::collect::Collector;
use super::fields::{self, Field, Own, Role};

/// Objects within objects that are looked into.
const MAX_DEPTH: usize = 6;
/// Objects and keys of each that are remembered.
const MAX_NODES: usize = 256;
const MAX_KEYS: usize = 512;
/// Bytes of a key that is remembered.
const MAX_RAW: usize = 96;
/// Texts of one line that may be another program's line.
const MAX_WRAPPED: usize = 4;

/// An object at one place of the lines, and its keys.
#[derive(Debug, Default)]
struct Node {
    /// Its path, each segment as [`fields::normal`] gives it, and as it was written.
    path: Vec<Vec<u8>>,
    written: Vec<u8>,
    keys: Vec<Key>,
}

#[derive(Debug)]
struct Key {
    raw: Box<[u8]>,
    field: Field,
    child: Child,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Child {
    /// No object was seen there.
    Unknown,
    /// Nothing in it is of the request.
    Skipped,
    /// The place of its node.
    Node(usize),
}

/// What is kept from line to line.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    nodes: Vec<Node>,
    pub own: Own,
    /// Names of durations, by [`Field::name`].
    pub names: Vec<String>,
    /// Where texts stand that may be another program's line, and whether they have escapes.
    pub wrapped: Vec<(usize, usize, bool)>,
    unescaped: Vec<u8>,
    /// There is no room for more; the next line starts anew.
    is_full: bool,
}

/// Names of durations that are kept apart.
const MAX_NAMES: usize = 64;

impl Shapes {
    /// The place of a name in [`Self::names`].
    pub fn name(&mut self, name: &str) -> u16 {
        let known = self.names.iter().position(|known| known == name);
        let place = known.unwrap_or_else(|| {
            if self.names.len() < MAX_NAMES {
                self.names.push(name.to_owned());
            }
            self.names.len() - 1
        });
        u16::try_from(place).unwrap_or(u16::MAX)
    }

    /// What a key stands for that is in no object.
    pub fn look_up(&mut self, raw: &[u8]) -> Field {
        self.start();
        let mut next = 0;
        self.key(0, raw, &mut next).1
    }

    fn start(&mut self) {
        if self.nodes.is_empty() || std::mem::take(&mut self.is_full) {
            self.nodes.clear();
            self.nodes.push(Node::default());
        }
    }

    /// A key of an object: its place, where it is remembered, and what it stands for.
    fn key(&mut self, node: usize, raw: &[u8], next: &mut usize) -> (Option<usize>, Field) {
        let Some(object) = self.nodes.get(node) else { return (None, Field::default()) };
        if let Some(key) = object.keys.get(*next).filter(|key| *key.raw == *raw) {
            *next += 1;
            return (Some(*next - 1), key.field);
        }
        if let Some(at) = object.keys.iter().position(|key| *key.raw == *raw) {
            *next = at + 1;
            return (Some(at), object.keys.get(at).map(|key| key.field).unwrap_or_default());
        }
        let field = self.new_field(node, raw);
        let Some(object) = self.nodes.get_mut(node) else { return (None, field) };
        if object.keys.len() >= MAX_KEYS || raw.len() > MAX_RAW {
            self.is_full |= raw.len() <= MAX_RAW;
            return (None, field);
        }
        object.keys.push(Key { raw: raw.into(), field, child: Child::Unknown });
        *next = object.keys.len();
        (Some(*next - 1), field)
    }

    #[cold]
    fn new_field(&mut self, node: usize, raw: &[u8]) -> Field {
        let Some(object) = self.nodes.get(node) else { return Field::default() };
        let mut path = object.path.clone();
        path.extend(raw.split(|&byte| byte == b'.').map(fields::normal));
        let mut field = fields::look_up(&path, &self.own);
        if matches!(field.role, Some(Role::Duration)) {
            let mut written = object.written.clone();
            if !written.is_empty() {
                written.push(b'.');
            }
            written.extend_from_slice(raw);
            field.name = self.name(&super::shown(&written));
        }
        field
    }

    /// The node of an object under a key; `None` where nothing in it is wanted.
    fn child(&mut self, node: usize, at: Option<usize>, raw: &[u8]) -> Option<usize> {
        let key = self.nodes.get(node)?.keys.get(at?)?;
        match key.child {
            Child::Node(child) => return Some(child),
            Child::Skipped => return None,
            Child::Unknown => {}
        }
        let parent = self.nodes.get(node)?;
        let mut path = parent.path.clone();
        let mut written = parent.written.clone();
        if !written.is_empty() {
            written.push(b'.');
        }
        written.extend_from_slice(raw);
        let name = fields::normal(raw);
        // A response's headers hold its length.
        let is_response = path.last().is_some_and(|last| last.starts_with(b"res"));
        let skipped = name.ends_with(b"headers") && !(is_response && name == b"headers");
        path.extend(raw.split(|&byte| byte == b'.').map(fields::normal));
        let place = self.nodes.len();
        if place >= MAX_NODES {
            self.is_full = true;
            return None;
        }
        let child = if skipped { Child::Skipped } else { Child::Node(place) };
        if !skipped {
            self.nodes.push(Node { path, written, keys: Vec::new() });
        }
        self.nodes.get_mut(node)?.keys.get_mut(at?)?.child = child;
        (!skipped).then_some(place)
    }
}

/// Reads one object into the collector.
///
/// # Errors
/// [`Broken::NotJson`].
pub(super) fn parse(
    line: &[u8],
    collector: &mut Collector<'_>,
    shapes: &mut Shapes,
) -> Result<(), Broken> {
    shapes.wrapped.clear();
    shapes.start();
    let mut scan = Scan { text: line, at: 0 };
    let whole = scan.space() == Some(b'{')
        && object(&mut scan, 0, 0, collector, shapes).is_some()
        && scan.space().is_none();
    if whole { Ok(()) } else { Err(Broken::NotJson) }
}

/// Undoes the escapes of a JSON text.
pub(super) fn unescape(text: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(rest.get(..at).unwrap_or_default());
        let escaped = rest.get(at + 1..).unwrap_or_default();
        let mut used = 1;
        match escaped.first() {
            Some(b'n') => out.push(b'\n'),
            Some(b't') => out.push(b'\t'),
            Some(b'r') => out.push(b'\r'),
            Some(b'b') => out.push(8),
            Some(b'f') => out.push(12),
            Some(b'u') => {
                let unit = |at: usize| {
                    let digits = escaped.get(at..at + 4)?;
                    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
                };
                let first = unit(1).unwrap_or(0xfffd);
                used = 5;
                let mut code = first;
                if (0xd800..0xdc00).contains(&first)
                    && escaped.get(5..7) == Some(b"\\u")
                    && let Some(second @ 0xdc00..0xe000) = unit(7)
                {
                    code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                    used = 11;
                }
                let c = char::from_u32(code).unwrap_or('\u{fffd}');
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            Some(&other) => out.push(other),
            None => used = 0,
        }
        rest = escaped.get(used..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// A place in a line.
struct Scan<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    /// The next byte that is no space; it is not taken.
    fn space(&mut self) -> Option<u8> {
        loop {
            let byte = *self.text.get(self.at)?;
            if !byte.is_ascii_whitespace() {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// A string, without its quotes, and whether it has escapes; the scan stands on its quote.
    fn string(&mut self) -> Option<(&'a [u8], bool)> {
        let start = self.at + 1;
        let mut at = start;
        let mut escaped = false;
        loop {
            at += memchr::memchr2(b'"', b'\\', self.text.get(at..)?)?;
            if self.text.get(at) == Some(&b'"') {
                self.at = at + 1;
                return Some((self.text.get(start..at)?, escaped));
            }
            escaped = true;
            at += 2;
        }
    }

    /// A number, true, false or null.
    fn literal(&mut self) -> Option<&'a [u8]> {
        let rest = self.text.get(self.at..)?;
        let is_part =
            |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+');
        let length = rest.iter().take_while(|byte| is_part(byte)).count();
        self.at += length;
        rest.get(..length).filter(|literal| !literal.is_empty())
    }

    /// Goes behind the bracket that closes the one on which the scan stands.
    fn skip(&mut self, open: u8, close: u8) -> Option<()> {
        let mut depth = 0usize;
        loop {
            self.at += memchr::memchr3(b'"', open, close, self.text.get(self.at..)?)?;
            match *self.text.get(self.at)? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                byte if byte == open => depth += 1,
                _ => depth = depth.checked_sub(1)?,
            }
            self.at += 1;
            if depth == 0 {
                return Some(());
            }
        }
    }
}

/// One object; the scan stands on its brace. `None` where it is no JSON.
fn object(
    scan: &mut Scan<'_>,
    node: usize,
    depth: usize,
    collector: &mut Collector<'_>,
    shapes: &mut Shapes,
) -> Option<()> {
    scan.at += 1;
    let mut next = 0;
    if scan.space()? == b'}' {
        scan.at += 1;
        return Some(());
    }
    loop {
        if scan.space()? != b'"' {
            return None;
        }
        let (raw, _) = scan.string()?;
        let (at, field) = shapes.key(node, raw, &mut next);
        if scan.space()? != b':' {
            return None;
        }
        scan.at += 1;
        match scan.space()? {
            b'"' => {
                let (text, escaped) = scan.string()?;
                if field.role.is_some() {
                    if is_wrapped(field) && shapes.wrapped.len() < MAX_WRAPPED {
                        let end = scan.at - 1;
                        shapes.wrapped.push((end - text.len(), end, escaped));
                    }
                    if escaped {
                        let mut plain = std::mem::take(&mut shapes.unescaped);
                        unescape(text, &mut plain);
                        collector.value(field, &plain);
                        shapes.unescaped = plain;
                    } else {
                        collector.value(field, text);
                    }
                } else {
                    collector.mark(field);
                }
            }
            b'{' => {
                collector.mark(field);
                let inner = if depth < MAX_DEPTH { shapes.child(node, at, raw) } else { None };
                match inner {
                    Some(inner) => object(scan, inner, depth + 1, collector, shapes)?,
                    None => scan.skip(b'{', b'}')?,
                }
            }
            b'[' => {
                collector.mark(field);
                scan.skip(b'[', b']')?;
            }
            _ => {
                let literal = scan.literal()?;
                match literal.first() {
                    _ if field.role.is_none() => collector.mark(field),
                    Some(b'n') => collector.nothing(field),
                    Some(b't' | b'f') => collector.mark(field),
                    _ => collector.value(field, literal),
                }
            }
        }
        let byte = scan.space()?;
        scan.at += 1;
        match byte {
            b',' => {}
            b'}' => return Some(()),
            _ => return None,
        }
    }
}

fn is_wrapped(field: Field) -> bool {
    field.role == Some(Role::Wrapped) || field.other == Some(Role::Wrapped)
}
