//! Path templates: their syntax, what they match, and which of two is the more specific.
//!
//! A template is a path whose segments are text, `{name}`, text around parameters
//! (`{base}...{head}`, `{id}.json`, `{name}:cancel`), or, once, `{*name}`. A method may stand before
//! the path.
//! - `{name}` stands for at least one byte of one segment. Where several stand in one segment, each
//!   takes as little as the text after it allows, the last one the rest.
//! - `{*name}` stands for at least one segment: `/static/{*path}` matches `/static/a/b`, and neither
//!   `/static` nor `/static/`. What follows it is matched from the path's end, so
//!   `/admin/{*object}/change` matches `/admin/a/b/change`. A template has one at most: of two,
//!   nothing would say where the first ends.
//! - Text is compared byte by byte, case included. A percent-encoded unreserved character equals the
//!   character itself (RFC 3986, 6.2.2.2: `%75sers` is `users`), `%2f` equals `%2F`, and nothing
//!   else is equal to its encoding.
//!
//! A template is kept as its path alone, from which the segments are read when they are needed:
//! thousands of templates must fit into a small Wasm memory.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::path::{CanonicalPath, Decoded, MAX_SEGMENTS};

/// The longest template, in bytes.
const MAX_BYTES: usize = 1024;

/// One template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    /// The method in front of the path.
    pub method: Option<String>,
    /// The path in canonical form, which is the label: parameters as they were written, no trailing
    /// slash, unreserved characters decoded.
    pub path: String,
}

impl Template {
    /// Reads a template as users write it, or says what is wrong with it: one message for the whole
    /// of it, or one for each wrong segment.
    pub fn parse(written: &str) -> Result<Self, Vec<String>> {
        let (method, written) = split_method(written).map_err(|message| vec![message])?;
        let mut path = String::with_capacity(written.len());
        let mut mistakes = Vec::new();
        let inner = written.strip_prefix('/').unwrap_or(written);
        let root = inner.is_empty();
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        let count = if root { 0 } else { inner.split('/').count() };
        if count > MAX_SEGMENTS {
            mistakes.push(format!(
                "has {count} segments; at most {MAX_SEGMENTS} are looked at: end it with {{*rest}}"
            ));
        }
        let mut several = None;
        for segment in inner.split('/').take(count) {
            path.push('/');
            if let Err(message) = read_segment(segment, &mut path) {
                mistakes.push(message);
            } else if is_rest(segment)
                && let Some(first) = several.replace(segment)
            {
                mistakes.push(format!(
                    "has {first} and {segment}, and nothing says where the first one ends; only \
                     one parameter of a template may stand for several segments"
                ));
            }
        }
        if root {
            path.push('/');
        }
        if mistakes.is_empty() { Ok(Self { method, path }) } else { Err(mistakes) }
    }

    /// The segments of the path.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'_>> {
        segments(&self.path)
    }

    /// Orders by what is matched, the parameters' names aside, the more specific first: at the
    /// first segment that differs, text stands before text with parameters, that before a
    /// parameter, and one for several segments last, the more of the template follows it the
    /// earlier. Equal means that both match the same paths.
    pub fn compare_paths(&self, other: &Self) -> Ordering {
        self.segments().cmp(other.segments())
    }

    /// Orders by path, then by method, any method last. Equal means the same requests.
    pub fn compare_requests(&self, other: &Self) -> Ordering {
        let method = |template: &Self| template.method.is_none();
        self.compare_paths(other)
            .then_with(|| method(self).cmp(&method(other)))
            .then_with(|| self.method.cmp(&other.method))
    }
}

/// Templates in an order; those that are equal in it stay as they are. They go through a heap, because a
/// sort takes 4 kB of the module.
pub fn sorted<'t>(
    templates: impl IntoIterator<Item = (u32, &'t Template)>,
    order: fn(&Template, &Template) -> Ordering,
) -> Vec<(u32, &'t Template)> {
    let ranked = |(place, (index, template))| Ranked { index, template, place, order };
    let heap: BinaryHeap<_> = (0..).zip(templates).map(ranked).collect();
    heap.into_sorted_vec().into_iter().map(|ranked| (ranked.index, ranked.template)).collect()
}

/// A template in an order.
struct Ranked<'t> {
    index: u32,
    template: &'t Template,
    /// Where it stood before.
    place: u32,
    order: fn(&Template, &Template) -> Ordering,
}

impl Ord for Ranked<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.order)(self.template, other.template).then(self.place.cmp(&other.place))
    }
}

impl PartialOrd for Ranked<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked<'_> {}

/// Takes the method off a template, and checks what concerns its whole text.
fn split_method(written: &str) -> Result<(Option<String>, &str), String> {
    if written.is_empty() {
        return Err("is empty; a template is a path such as /users/{id}".to_owned());
    }
    if written.len() > MAX_BYTES {
        return Err(format!("has {} bytes; at most {MAX_BYTES} are allowed", written.len()));
    }
    let (method, path) = match written.split_once(' ') {
        Some((method, path)) if !written.starts_with('/') => (Some(method), path),
        _ => (None, written),
    };
    if let Some(found) = path
        .chars()
        .chain(method.unwrap_or_default().chars())
        .find(|c| c.is_whitespace() || c.is_control())
    {
        return Err(format!(
            "holds the white space {found:?}; only one space, between method and path, is allowed"
        ));
    }
    if !path.starts_with('/') {
        return Err(format!("does not start with a slash; write /{path}"));
    }
    if let Some(found) = path.chars().find(|c| matches!(c, '?' | '#')) {
        return Err(format!("holds {found:?}; query and fragment never count, so leave them out"));
    }
    let Some(method) = method else {
        return Ok((None, path));
    };
    let is_token = |byte: u8| byte.is_ascii_uppercase() || byte == b'-' || byte == b'_';
    if method.is_empty() || method.len() > 32 || !method.bytes().all(is_token) {
        return Err(format!(
            "has {method:?} before the path; only a method in capitals, such as GET, may stand there"
        ));
    }
    Ok((Some(method.to_owned()), path))
}

/// Checks a segment and appends it in canonical form.
fn read_segment(segment: &str, path: &mut String) -> Result<(), String> {
    if segment.is_empty() {
        return Err("has an empty segment; write one slash between segments".to_owned());
    }
    let start = path.len();
    let mut rest = segment;
    let mut after_parameter = false;
    while !rest.is_empty() {
        let Some(opened) = rest.strip_prefix('{') else {
            let (text, tail) = rest.split_at(rest.find('{').unwrap_or(rest.len()));
            check_text(text, segment)?;
            normalise(text.as_bytes(), |byte| path.push(char::from(byte)));
            (rest, after_parameter) = (tail, false);
            continue;
        };
        let Some((name, tail)) = opened.split_once('}').filter(|(name, _)| !name.contains('{'))
        else {
            return Err(format!("has an unclosed brace in {segment:?}; write {{name}}"));
        };
        if after_parameter {
            return Err(format!(
                "has two parameters side by side in {segment:?}, and nothing says where one ends; \
                 put text between them, or make them one"
            ));
        }
        check_name(name, segment)?;
        if name.starts_with('*') && !is_rest(segment) {
            return Err(format!(
                "has {{{name}}} in {segment:?}; what stands for several segments must have slashes, \
                 or the path's end, on both sides"
            ));
        }
        path.extend(["{", name, "}"]);
        (rest, after_parameter) = (tail, true);
    }
    match path.get(start..) {
        Some("." | "..") => Err(format!(
            "has the segment {segment:?}, which no path has once it is resolved; leave it out"
        )),
        Some("*" | "**") => Err(format!(
            "has the segment {segment:?}; write {{name}} for one segment, {{*name}} for several"
        )),
        Some(text) if text.starts_with(':') => Err(format!(
            "has the segment {segment:?}; write {{{}}} for a parameter",
            text.trim_start_matches(':')
        )),
        _ => Ok(()),
    }
}

/// Checks the name of a parameter, with its `*`.
fn check_name(name: &str, segment: &str) -> Result<(), String> {
    // `{*}` is what a label of a path of too many segments ends in.
    if name == "*" {
        return Ok(());
    }
    let name = name.strip_prefix('*').unwrap_or(name);
    if name.is_empty() {
        return Err(format!("has a parameter without a name in {segment:?}; write {{id}}"));
    }
    let Some(found) = name.chars().find(|&c| !(c.is_ascii_alphanumeric() || "_-.".contains(c)))
    else {
        return Ok(());
    };
    Err(match found {
        ':' | '=' => format!(
            "has {found:?} in the parameter {name:?}; types and patterns are not supported, write \
             the name alone"
        ),
        _ => format!(
            "has {found:?} in the parameter {name:?}; a name has letters, digits, '_', '-' and '.'"
        ),
    })
}

/// Checks text of a segment: RFC 3986, 3.3 `pchar` without `;`.
fn check_text(text: &str, segment: &str) -> Result<(), String> {
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        match byte {
            b'%' => match tail {
                [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {}
                _ => {
                    return Err(format!(
                        "has a '%' without two hexadecimal digits in {segment:?}; write %25"
                    ));
                }
            },
            b';' => {
                return Err(format!(
                    "has ';' in {segment:?}; what follows it in a segment is cut off before paths \
                     are matched, so leave it out"
                ));
            }
            b'}' => return Err(format!("has an unopened brace in {segment:?}; write {{name}}")),
            b'<' | b'>' => {
                return Err(format!(
                    "has {:?} in {segment:?}; write {{name}} for a parameter",
                    char::from(byte)
                ));
            }
            _ if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(&byte) => {}
            _ => {
                let found = segment.chars().find(|c| !c.is_ascii()).filter(|_| byte > 127);
                let found = found.unwrap_or(char::from(byte));
                let encoded: String =
                    found.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect();
                return Err(format!(
                    "has {found:?} in {segment:?}, which no path holds as it is; write {encoded}"
                ));
            }
        }
        rest = tail;
    }
    Ok(())
}

/// Puts out a text in which percent-encoding is where it has to be, in capitals (RFC 3986, 6.2.2).
/// What is put out is never longer than the text.
pub(super) fn normalise(text: &[u8], mut put: impl FnMut(u8)) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |value: u8| HEX.get(usize::from(value & 15)).copied().unwrap_or_default();
    let mut bytes = Decoded::new(text);
    while let Some((byte, was_encoded)) = bytes.next_with_origin() {
        if was_encoded && !(byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)) {
            put(b'%');
            put(digit(byte >> 4));
            put(digit(byte));
        } else {
            put(byte);
        }
    }
}

/// One segment of a template. The order is that of [`Template::compare_paths`].
#[derive(Clone, Copy, Debug)]
pub(super) enum Segment<'a> {
    /// Text.
    Static(&'a str),
    /// Text around parameters, as it was written; see [`texts`].
    Pattern(&'a str),
    /// A parameter.
    Param,
    /// A parameter for all segments but those before it and this number of those behind it.
    Rest(usize),
}

impl Segment<'_> {
    fn rank(&self) -> u8 {
        match self {
            Self::Static(_) => 0,
            Self::Pattern(_) => 1,
            Self::Param => 2,
            Self::Rest(_) => 3,
        }
    }
}

impl Ord for Segment<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Static(one), Self::Static(two)) => one.cmp(two),
            // More text is more specific; then the order is fixed, no more.
            (Self::Pattern(one), Self::Pattern(two)) => {
                let (one_shape, two_shape) = (Shape::of(one), Shape::of(two));
                two_shape.cmp(&one_shape).then_with(|| texts(one).cmp(texts(two)))
            }
            (Self::Rest(one), Self::Rest(two)) => two.cmp(one),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Segment<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Segment<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Segment<'_> {}

/// How much text a pattern has, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shape {
    /// Bytes of all texts.
    pub text: u16,
    /// Bytes before the first parameter.
    pub prefix: u16,
    /// Bytes after the last parameter.
    pub suffix: u16,
}

impl Shape {
    /// The shape of a pattern.
    pub fn of(pattern: &str) -> Self {
        // A template has at most 1,024 bytes.
        let bytes = |text: &str| u16::try_from(text.len()).unwrap_or(u16::MAX);
        Self {
            text: texts(pattern).map(bytes).sum(),
            prefix: texts(pattern).next().map(bytes).unwrap_or_default(),
            suffix: texts(pattern).last().map(bytes).unwrap_or_default(),
        }
    }
}

/// The segments of a template's path.
pub(super) fn segments(path: &str) -> impl Iterator<Item = Segment<'_>> {
    written_segments(path).enumerate().map(move |(index, segment)| {
        let inner = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        match inner {
            Some(name) if name.starts_with('*') => {
                Segment::Rest(written_segments(path).count().saturating_sub(index + 1))
            }
            Some(name) if !name.contains('{') => Segment::Param,
            _ if segment.contains('{') => Segment::Pattern(segment),
            _ => Segment::Static(segment),
        }
    })
}

/// Whether a written segment is `{*name}`.
fn is_rest(segment: &str) -> bool {
    let name = segment.strip_prefix("{*").and_then(|rest| rest.strip_suffix('}'));
    name.is_some_and(|name| !name.contains('{'))
}

/// The segments of a template's path, as they were written.
fn written_segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

/// The texts of a pattern: before the first parameter, between each two, after the last one.
pub(super) fn texts(pattern: &str) -> impl Iterator<Item = &str> {
    pattern.split('{').enumerate().map(|(index, piece)| match piece.split_once('}') {
        Some((_name, text)) if index > 0 => text,
        _ => piece,
    })
}

/// Fits a pattern, given by its texts, to a segment; `found` is told what each parameter stands for.
/// Says whether it fits; where it does not, what `found` was told means nothing.
pub(super) fn fit<'t, 's>(
    mut texts: impl Iterator<Item = &'t [u8]>,
    segment: &'s [u8],
    mut found: impl FnMut(usize, &'s [u8]),
) -> bool {
    let Some(mut rest) = texts.next().and_then(|prefix| segment.strip_prefix(prefix)) else {
        return false;
    };
    let Some(mut text) = texts.next() else {
        return rest.is_empty();
    };
    for (index, next) in texts.by_ref().map(Some).chain([None]).enumerate() {
        let Some(next) = next else {
            let value = rest.strip_suffix(text).unwrap_or_default();
            found(index, value);
            return !value.is_empty();
        };
        // The leftmost place is always right: it leaves the most to what follows.
        let place = rest.get(1..).and_then(|tail| position(tail, text));
        let Some((value, tail)) = place.and_then(|place| rest.split_at_checked(place + 1)) else {
            return false;
        };
        found(index, value);
        rest = tail.get(text.len()..).unwrap_or_default();
        text = next;
    }
    false
}

/// Where a text, which is not empty, first stands.
fn position(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len().max(1)).position(|window| window == needle)
}

/// What the parameter `name` stands for in a path that the template `template` matches, as the
/// client spelt it; for `{*name}` at the end everything up to the path's end. `None` where the
/// template has no such parameter, or the client percent-encoded text that stands beside it in the
/// segment.
pub(super) fn param<'a>(template: &str, path: &CanonicalPath<'a>, name: &str) -> Option<&'a [u8]> {
    // What `{*name}` stands for beyond one segment shifts what follows.
    let shift = path.segments().len().saturating_sub(written_segments(template).count());
    let mut index = 0;
    for written in written_segments(template) {
        let first = index;
        index += 1 + if is_rest(written) { shift } else { 0 };
        let segment = *path.segments().get(first)?;
        let names = written.split('{').skip(1).filter_map(|piece| piece.split_once('}'));
        let Some(place) = names
            .map(|(found, _)| found)
            .position(|found| found.strip_prefix('*').unwrap_or(found) == name)
        else {
            continue;
        };
        if is_rest(written) {
            return if written_segments(template).last() == Some(written) {
                path.raw_from(first)
            } else {
                path.raw_between(first, index - 1)
            };
        }
        let mut value = None;
        let fits = fit(texts(written).map(str::as_bytes), segment, |index, found| {
            if index == place {
                value = Some(found);
            }
        });
        return value.filter(|_| fits);
    }
    None
}

#[cfg(test)]
mod tests;
