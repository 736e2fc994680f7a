//! From a path of a specification to a template.

use crate::endpoint::MAX_SEGMENTS;

/// The most bytes of a template.
const MAX_BYTES: usize = 1000;

/// A piece of a path: text or what stood in braces.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// As it was written, with slashes.
    Text(String),
    /// A parameter of one segment.
    Param(String),
    /// A parameter that may hold slashes.
    Rest(String),
}

/// The template of a path as specifications write it, or `None` where there is none. `changes` is
/// told what is no longer as it was written, or why there is no template.
pub(super) fn from_key(key: &str, changes: &mut Vec<String>) -> Option<String> {
    let mut pieces = Vec::new();
    read_pieces(key.trim(), &mut pieces, changes);
    let segments = split_segments(pieces);
    let count = segments.len();
    let mut template = String::new();
    for (index, mut segment) in segments.into_iter().enumerate() {
        cut_parameters(&mut segment, changes);
        let written = write_segment(&segment, index + 1 == count, changes);
        match written.as_str() {
            "" | "." => continue,
            ".." => {
                template.truncate(template.rfind('/').unwrap_or(0));
                continue;
            }
            _ => {}
        }
        let depth = template.bytes().filter(|&byte| byte == b'/').count();
        let is_last = index + 1 == count;
        let too_deep = depth + 1 == MAX_SEGMENTS && !is_last;
        if too_deep || template.len() + written.len() >= MAX_BYTES {
            if template.is_empty() {
                changes.push(format!("has a segment of {} bytes", written.len()));
                return None;
            }
            changes.push(format!("is too long; it ends after {depth} segments"));
            template.push_str("/{*rest}");
            return Some(template);
        }
        template.push('/');
        template.push_str(&written);
    }
    if template.is_empty() {
        template.push('/');
    }
    Some(template)
}

/// What a template matches, whatever its parameters are called.
pub(super) fn shape(template: &str) -> String {
    let mut shape = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((text, tail)) = rest.split_once('{') {
        let Some((name, tail)) = tail.split_once('}') else { break };
        shape.push_str(text);
        shape.push_str(if name.starts_with('*') { "{*}" } else { "{}" });
        rest = tail;
    }
    shape.push_str(rest);
    shape
}

/// Whether a parameter's name says that its value is a path: `path`, `file_path`, `filePath`.
pub(super) fn names_a_path(name: &str) -> bool {
    let Some(front) = name.len().checked_sub(4).and_then(|at| name.get(..at)) else { return false };
    match (name.get(front.len()..), front.chars().last()) {
        (Some("path"), last) => {
            last.is_none_or(|last| !last.is_ascii_alphanumeric()) || front == "file"
        }
        (Some("Path"), last) => last.is_none_or(|last| last.is_ascii_lowercase()),
        _ => false,
    }
}

/// Names of values, beside paths, that may hold slashes although no specification can say so: folders, and what
/// git calls references (git, "git-check-ref-format").
const SLASHED: [&str; 7] = ["dir", "directory", "ref", "branch", "tag", "base", "head"];

/// Whether a parameter's name says that its value may hold slashes.
fn names_a_slashed(name: &str) -> bool {
    SLASHED.contains(&name.rsplit(['_', '-']).next().unwrap_or(name)) || names_a_path(name)
}

/// A regular expression for the paths of a template in which values hold slashes, where the names
/// of its parameters say that they may; and how specific it is: bytes of text behind the last such
/// value, and in all.
pub(super) fn slashed(template: &str) -> Option<(String, (usize, usize))> {
    let mut regex = String::from("^");
    let (mut behind, mut all) = (None, 0);
    let mut rest = template;
    while !rest.is_empty() {
        let (text, tail) = rest.split_at(rest.find('{').unwrap_or(rest.len()));
        regex.push_str(&regex_lite::escape(text));
        all += text.len();
        behind = behind.map(|behind| behind + text.len());
        let Some((name, tail)) = tail.strip_prefix('{').and_then(|tail| tail.split_once('}'))
        else {
            break;
        };
        if name.starts_with('*') {
            return None;
        }
        if names_a_slashed(name) {
            regex.push_str(".+");
            behind = Some(0);
        } else {
            regex.push_str("[^/]+");
        }
        rest = tail;
    }
    regex.push('$');
    behind.map(|behind| (regex, (behind, all)))
}

/// Reads text and braces up to the query or fragment.
fn read_pieces(key: &str, pieces: &mut Vec<Piece>, changes: &mut Vec<String>) {
    let mut rest = key;
    while !rest.is_empty() {
        let at = rest.find(['{', '?', '#', '<']).unwrap_or(rest.len());
        let (text, tail) = rest.split_at(at);
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
        let close = if tail.starts_with('<') { '>' } else { '}' };
        match tail.chars().next() {
            None => return,
            Some('?' | '#') => {
                changes.push(format!("{tail:?} is no part of the path and is left out"));
                return;
            }
            Some(open) => match closing(tail, open, close) {
                Some(end) => {
                    let inner = tail.get(1..end).unwrap_or_default();
                    read_expression(inner, pieces, changes);
                    rest = tail.get(end + 1..).unwrap_or_default();
                }
                None => {
                    changes.push(format!("{open:?} has no counterpart, so it is taken as text"));
                    pieces.push(Piece::Text(open.to_string()));
                    rest = tail.get(1..).unwrap_or_default();
                }
            },
        }
    }
}

/// The place of the brace that closes the first one; regular expressions in them may nest.
fn closing(text: &str, open: char, close: char) -> Option<usize> {
    let mut depth = 0;
    for (index, found) in text.char_indices() {
        if found == open {
            depth += 1;
        } else if found == close {
            depth -= 1;
            if depth == 0 {
                return Some(index);
            }
        }
    }
    None
}

/// Reads what stands in braces: a name, an expression of RFC 6570, or the forms of frameworks with
/// a pattern (`{id:[0-9]+}`, `{name=shelves/*}`).
fn read_expression(inner: &str, pieces: &mut Vec<Piece>, changes: &mut Vec<String>) {
    let inner = inner.trim();
    let (operator, list) = match inner.chars().next() {
        Some(first @ ('+' | '#' | '.' | '/' | ';' | '?' | '&')) => {
            (first, inner.get(1..).unwrap_or_default())
        }
        _ => (' ', inner),
    };
    if matches!(operator, '?' | '&' | '#' | ';') {
        changes.push(format!("{{{inner}}} is no part of a segment and is left out"));
        return;
    }
    if let (' ', Some((name, pattern))) = (operator, inner.split_once('=')) {
        // google.api.http: the pattern of a variable over several segments.
        changes.push(format!("{{{inner}}} is written out"));
        for (index, segment) in pattern.split('/').enumerate() {
            if index > 0 {
                pieces.push(Piece::Text("/".to_owned()));
            }
            pieces.push(match segment {
                "*" => Piece::Param(parameter_name(name)),
                "**" => Piece::Rest(parameter_name(name)),
                text => Piece::Text(text.to_owned()),
            });
        }
        return;
    }
    let (list, pattern) = match list.split_once(':') {
        Some((list, pattern)) if operator == ' ' => (list, Some(pattern)),
        _ => (list, None),
    };
    if pattern.is_some() {
        changes.push(format!("the pattern of {{{inner}}} is left out"));
    }
    let spans = pattern.is_some_and(|p| p.contains(".*") || p.contains(".+") || p == "path");
    for name in list.split(',') {
        if matches!(operator, '/' | '.') {
            pieces.push(Piece::Text(operator.to_string()));
        }
        let starred = name.starts_with('*') || name.ends_with(['*', '+']);
        let plain =
            parameter_name(name.trim_matches(['*', '+', '?']).split(':').next().unwrap_or(""));
        if plain != name && pattern.is_none() && !starred && operator == ' ' {
            changes.push(format!("the parameter {name:?} is written {{{plain}}}"));
        }
        pieces.push(if starred || spans || operator == '+' {
            Piece::Rest(plain)
        } else {
            Piece::Param(plain)
        });
    }
}

/// A name that a template may have.
fn parameter_name(name: &str) -> String {
    let valid = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    // A dot in front would be an operator of RFC 6570.
    let name = name.trim_matches(|c| !valid(c)).trim_start_matches(['.', '-']);
    let name: String = name.chars().map(|c| if valid(c) { c } else { '_' }).take(100).collect();
    if name.is_empty() { "param".to_owned() } else { name }
}

/// Splits at the slashes of text.
fn split_segments(pieces: Vec<Piece>) -> Vec<Vec<Piece>> {
    let mut segments = vec![Vec::new()];
    for piece in pieces {
        let Piece::Text(text) = piece else {
            if let Some(segment) = segments.last_mut() {
                segment.push(piece);
            }
            continue;
        };
        for (index, part) in text.split('/').enumerate() {
            if index > 0 {
                segments.push(Vec::new());
            }
            let Some(segment) = segments.last_mut() else { continue };
            match segment.last_mut() {
                // Nothing is left of what stood between them.
                Some(Piece::Text(text)) => text.push_str(part),
                _ if part.is_empty() => {}
                _ => segment.push(Piece::Text(part.to_owned())),
            }
        }
    }
    segments.retain(|segment| !segment.is_empty());
    segments
}

/// Leaves out the parameters of a segment (RFC 3986, 3.3), which are no part of an endpoint.
fn cut_parameters(segment: &mut Vec<Piece>, changes: &mut Vec<String>) {
    for (index, piece) in segment.iter_mut().enumerate() {
        let Piece::Text(text) = piece else { continue };
        let Some(at) = text.find(';') else { continue };
        let cut = text.split_off(at);
        changes.push(format!("{cut:?} and what follows in its segment is left out"));
        let kept = if text.is_empty() { index } else { index + 1 };
        segment.truncate(kept);
        return;
    }
}

/// One segment as a template has it; empty where nothing is left of it.
fn write_segment(segment: &[Piece], last: bool, changes: &mut Vec<String>) -> String {
    match segment {
        [Piece::Rest(name)] if last => return format!("{{*{name}}}"),
        [Piece::Text(text)] => match text.as_str() {
            "*" | "**" => {
                return if last { "{*rest}".to_owned() } else { "{param}".to_owned() };
            }
            text => {
                if let Some(name) = text.strip_prefix(':').filter(|name| !name.is_empty()) {
                    let name = parameter_name(name);
                    changes.push(format!("{text:?} is taken for the parameter {{{name}}}"));
                    return format!("{{{name}}}");
                }
            }
        },
        _ => {}
    }
    let mut written = String::new();
    // The names of parameters side by side: nothing says where one ends, so they are one.
    let mut names: Vec<&str> = Vec::new();
    for piece in segment {
        match piece {
            Piece::Param(name) => names.push(name),
            Piece::Rest(name) => {
                changes.push(format!("{{{name}}} is taken for one segment"));
                names.push(name);
            }
            Piece::Text(text) => {
                write_parameter(&mut names, &mut written, changes);
                write_text(text, &mut written);
            }
        }
    }
    write_parameter(&mut names, &mut written, changes);
    if written.starts_with(':') {
        written.replace_range(..1, "%3A");
    }
    written
}

fn write_parameter(names: &mut Vec<&str>, written: &mut String, changes: &mut Vec<String>) {
    if names.is_empty() {
        return;
    }
    let name: String = names.join("_");
    if names.len() > 1 {
        changes.push(format!("parameters side by side are one, {{{name}}}"));
    }
    written.extend(["{", &name, "}"]);
    names.clear();
}

/// Text in the percent-encoding of RFC 3986, 3.3.
fn write_text(text: &str, written: &mut String) {
    let bytes = text.as_bytes();
    for (index, &byte) in bytes.iter().enumerate() {
        let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
        let encoded = byte == b'%' && is_digit(index + 1) && is_digit(index + 2);
        if encoded || byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(&byte) {
            written.push(char::from(byte));
        } else {
            written.push_str(&format!("%{byte:02X}"));
        }
    }
}
