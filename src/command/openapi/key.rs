//! What stands in the key of a path.
//!
//! OpenAPI knows `{name}` alone. Specifications that frameworks and people wrote hold much more: types
//! and patterns (`{id:[0-9]+}`, `<int:id>`), RFC 6570 (`{+path}`, `{/a,b}`), google.api.http
//! (`{name=shelves/*}`), parameters with a colon (`:id`), and optional parts (`{id?}`, `[/{id}]`,
//! `(/:page)`, `:id?`).

mod braces;

use super::pattern::{self, Part, Span};

/// Optional parts within optional parts.
const MAX_DEPTH: usize = 8;
/// The most characters of a name.
const MAX_NAME: usize = 100;

/// A piece of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// As it was written, with slashes.
    Text(String),
    /// A parameter of one segment, or of a part of one.
    Param(String),
    /// The same, where a pattern in the key says so, which nothing else may refine.
    Part(String),
    /// A parameter of several segments.
    Rest(String),
    /// One of these; that of an optional part begins with nothing.
    Choice(Vec<Vec<Node>>),
}

/// Types of frameworks that stand before a name (Flask, Django) or behind it (Sanic, ASP.NET).
const TYPES: [&str; 31] = [
    "alnum",
    "alpha",
    "any",
    "bool",
    "date",
    "datetime",
    "decimal",
    "double",
    "filename",
    "float",
    "guid",
    "hex",
    "int",
    "int32",
    "int64",
    "integer",
    "long",
    "num",
    "number",
    "path",
    "pk",
    "re",
    "regex",
    "register_converter",
    "slug",
    "str",
    "string",
    "uint",
    "unicode",
    "uuid",
    "ymd",
];

/// Reads a key up to its query or fragment. `changes` is told what is left out or widened.
pub(super) fn read(key: &str, changes: &mut Vec<String>) -> Vec<Node> {
    let key = key.trim();
    let decoded = (find_ignore_case(key, "%7b") && find_ignore_case(key, "%7d")).then(|| {
        key.replace("%7B", "{").replace("%7b", "{").replace("%7D", "}").replace("%7d", "}")
    });
    let key = decoded.as_deref().unwrap_or(key);
    // A regular expression as Django's `re_path` has it.
    let anchored = key.strip_prefix('^').map(|key| key.strip_suffix('$').unwrap_or(key));
    Reader { changes, depth: 0 }.read(anchored.unwrap_or(key), true)
}

fn find_ignore_case(text: &str, part: &str) -> bool {
    text.as_bytes().windows(part.len()).any(|window| window.eq_ignore_ascii_case(part.as_bytes()))
}

/// A name that a template may have.
pub(super) fn parameter_name(name: &str) -> String {
    let valid = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    // A dot in front would be an operator of RFC 6570.
    let name = name.trim_matches(|c| !valid(c)).trim_start_matches(['.', '-']);
    let name: String =
        name.chars().map(|c| if valid(c) { c } else { '_' }).take(MAX_NAME).collect();
    if name.is_empty() { "param".to_owned() } else { name }
}

/// The parameter of a pattern, written out where the pattern has slashes.
pub(super) fn with_pattern(name: &str, pattern: &str, changes: &mut Vec<String>) -> Node {
    let (ways, widened) = match pattern::span(pattern) {
        Span::Segment => return Node::Param(name.to_owned()),
        Span::Ways(ways, widened) => (ways, widened),
        Span::Unknown => (vec![vec![Part::Many]], true),
    };
    let node = |part: Part| match part {
        Part::Text(text) => Node::Text(text),
        Part::Slash => Node::Text("/".to_owned()),
        Part::One => Node::Part(name.to_owned()),
        Part::Many => Node::Rest(name.to_owned()),
    };
    if widened {
        changes.push(format!(
            "the parameter {name:?} is wider than its pattern {pattern:?}, which no template can say"
        ));
    }
    Node::Choice(ways.into_iter().map(|way| way.into_iter().map(node).collect()).collect())
}

fn optional(inner: Vec<Node>) -> Node {
    Node::Choice(vec![Vec::new(), inner])
}

/// Adds a part that may be absent; a dot before a parameter goes with it.
pub(super) fn push_optional(nodes: &mut Vec<Node>, mut inner: Vec<Node>) {
    let behind_another = nodes.len() > 1;
    if !matches!(inner.first(), Some(Node::Text(_)))
        && let Some(Node::Text(before)) = nodes.last_mut()
        && let Some(front) = before.strip_suffix('.')
        && if front.is_empty() { behind_another } else { !front.ends_with('/') }
    {
        before.pop();
        inner.insert(0, text("."));
    }
    nodes.push(optional(inner));
}

fn text(text: &str) -> Node {
    Node::Text(text.to_owned())
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

/// The first characters that may be a name of a program: letters, digits and `_`.
fn word(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

struct Reader<'c> {
    changes: &'c mut Vec<String>,
    depth: usize,
}

/// What has been read, and where in its segment it ends.
#[derive(Default)]
struct Read {
    nodes: Vec<Node>,
    /// Nothing of the segment has been read.
    start: bool,
    /// The segment began with a parameter with a colon.
    colon: bool,
}

impl Read {
    fn text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.start = text.ends_with('/');
        self.colon &= !text.contains('/');
        match self.nodes.last_mut() {
            Some(Node::Text(before)) => before.push_str(text),
            _ => self.nodes.push(Node::Text(text.to_owned())),
        }
    }

    fn push(&mut self, nodes: impl IntoIterator<Item = Node>) {
        for node in nodes {
            match node {
                Node::Text(text) => self.text(&text),
                node => {
                    self.nodes.push(node);
                    self.start = false;
                }
            }
        }
    }

    fn push_optional(&mut self, inner: Vec<Node>) {
        if !inner.is_empty() {
            push_optional(&mut self.nodes, inner);
            self.start = false;
        }
    }

    /// Whether the last character that was read is one of these.
    fn ends_with(&self, characters: &[char]) -> bool {
        matches!(self.nodes.last(), Some(Node::Text(text)) if text.ends_with(characters))
    }
}

impl Reader<'_> {
    /// Reads what stands in a part, which is all of a key or an optional part; `start` where a
    /// segment begins with it.
    fn read(&mut self, part: &str, start: bool) -> Vec<Node> {
        let mut read = Read { start, ..Read::default() };
        let mut rest = part;
        while let Some(first) = rest.chars().next() {
            let tail = rest.get(first.len_utf8()..).unwrap_or_default();
            let taken = match first {
                '?' if self.depth > 0 || !self.is_query(&read, tail) => {
                    self.make_optional(&mut read);
                    Some(tail)
                }
                '?' | '#' => {
                    self.changes.push(format!("{rest:?} is no part of the path and is left out"));
                    break;
                }
                '{' => self.braces(rest, &mut read),
                '<' => self.angles(rest, &mut read),
                '(' => self.parentheses(rest, &mut read),
                '[' => self.brackets(rest, &mut read),
                '$' if tail.starts_with('{') => Some(tail),
                '$' => self.dollar(tail, &mut read),
                ':' => self.colon(tail, &mut read),
                '*' if read.start => Some(self.star(rest, &mut read)),
                '\\' => Some(Self::escape(tail, &mut read)),
                _ => None,
            };
            rest = taken.unwrap_or_else(|| {
                // Up to the next character that may mean something.
                let special = ['{', '<', '(', '[', '$', ':', '*', '?', '#', '\\'];
                let next = tail.find(special).unwrap_or(tail.len());
                let (text, tail) =
                    rest.split_at_checked(first.len_utf8() + next).unwrap_or((rest, ""));
                read.text(text);
                tail
            });
        }
        read.nodes
    }

    /// `$name<pattern>` of Play; a dollar alone is text.
    fn dollar<'k>(&mut self, tail: &'k str, read: &mut Read) -> Option<&'k str> {
        let name = word(tail);
        let rest = tail.get(name.len()..)?;
        let end = closing(rest, '<', '>').filter(|_| rest.starts_with('<') && !name.is_empty())?;
        let node = with_pattern(name, rest.get(1..end)?, self.changes);
        read.push([node]);
        rest.get(end + 1..)
    }

    /// What stands behind a backslash, as in regular expressions: a character that is meant as it is,
    /// or a class of characters.
    fn escape<'k>(tail: &'k str, read: &mut Read) -> &'k str {
        let Some(first) = tail.chars().next() else { return tail };
        let after = tail.get(first.len_utf8()..).unwrap_or_default();
        match first {
            'd' | 'w' | 'S' | 'D' | 'W' => {
                read.push([Node::Part(String::new())]);
                after.trim_start_matches(['+', '*'])
            }
            'A' | 'Z' | 'z' | 'b' => after,
            first => {
                read.text(first.encode_utf8(&mut [0; 4]));
                after
            }
        }
    }

    /// Whether a question mark begins a query: where a parameter stands before it, and a slash or
    /// nothing behind it, it makes the parameter optional.
    fn is_query(&self, read: &Read, tail: &str) -> bool {
        let behind_part = !matches!(read.nodes.last(), None | Some(Node::Text(_)));
        !(behind_part && (tail.is_empty() || tail.starts_with('/')))
    }

    fn make_optional(&mut self, read: &mut Read) {
        match read.nodes.pop() {
            Some(Node::Choice(ways)) if ways.first().is_some_and(Vec::is_empty) => {
                read.nodes.push(Node::Choice(ways));
            }
            Some(Node::Text(before)) => {
                read.nodes.push(Node::Text(before));
                read.text("?");
            }
            Some(node) => read.push_optional(vec![node]),
            None => read.text("?"),
        }
    }

    /// Reads the inner of something optional.
    fn nested(&mut self, inner: &str, start: bool) -> Option<Vec<Node>> {
        if self.depth == MAX_DEPTH {
            return None;
        }
        self.depth += 1;
        let nodes = self.read(inner, start);
        self.depth -= 1;
        Some(nodes)
    }

    /// An optional part, or a group of a regular expression; OData's parentheses are text.
    fn parentheses<'k>(&mut self, rest: &'k str, read: &mut Read) -> Option<&'k str> {
        let end = closing(rest, '(', ')')?;
        let inner = rest.get(1..end)?;
        let after = rest.get(end + 1..)?;
        let mark = after.strip_prefix('?').filter(|tail| tail.is_empty() || tail.starts_with('/'));
        let named = ["?P<", "?<", "?:"].iter().find_map(|start| inner.strip_prefix(start));
        let starts = |characters: &[char]| inner.starts_with(characters);
        let is_part = starts(&['/', ':'])
            || (starts(&['.']) && inner.contains([':', '{', '<']))
            || (starts(&['.'])
                && word(inner.get(1..).unwrap_or_default()).len() + 1 == inner.len())
            || (starts(&['*'])
                && word(inner.get(1..).unwrap_or_default()).len() + 1 == inner.len());
        if let Some(named) = named {
            let (name, pattern) = named.split_once('>').unwrap_or(("", named));
            let node = with_pattern(name, pattern, self.changes);
            match mark {
                Some(_) => read.push_optional(vec![node]),
                None => read.push([node]),
            }
        } else if is_part || mark.is_some() {
            let start = read.start;
            let nodes = self.nested(inner, start)?;
            read.push_optional(nodes);
        } else if read.start && inner.contains(['|', '\\', '[', '*', '+']) {
            let node = with_pattern("", inner, self.changes);
            if matches!(node, Node::Param(_)) {
                self.changes.push(format!("the pattern \"({inner})\" is taken for a parameter"));
            }
            read.push([node]);
        } else {
            return None;
        }
        Some(mark.unwrap_or(after))
    }

    /// An optional part (`[/{id}]`), or a parameter of Next.js (`[id]`, `[...path]`).
    fn brackets<'k>(&mut self, rest: &'k str, read: &mut Read) -> Option<&'k str> {
        let end = closing(rest, '[', ']')?;
        let inner = rest.get(1..end)?;
        let after = rest.get(end + 1..)?;
        let name = |text: &str| {
            let plain = text.strip_prefix("...").unwrap_or(text);
            (!plain.is_empty() && word(&plain.replace('-', "_")).len() == plain.len())
                .then(|| bracketed(text))
        };
        let whole = read.start && (after.is_empty() || after.starts_with('/'));
        let doubled = inner.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
        if let Some(node) = doubled.filter(|_| whole).and_then(name) {
            read.push_optional(vec![node]);
        } else if let Some(node) = name(inner).filter(|_| whole) {
            read.push([node]);
        } else if inner.starts_with(['/', '.']) || inner.contains(['{', '<', ':', '/']) {
            let start = read.start;
            let nodes = self.nested(inner, start)?;
            read.push_optional(nodes);
        } else {
            return None;
        }
        Some(after)
    }

    /// What follows a colon: a parameter at the start of a segment, and behind another one and `-`
    /// or `.`; else it is a custom verb.
    fn colon<'k>(&mut self, tail: &'k str, read: &mut Read) -> Option<&'k str> {
        let behind = (read.colon || self.depth > 0) && read.ends_with(&['-', '.', '~']);
        let here = read.start || behind;
        let mut name = word(tail);
        if !here || name.is_empty() {
            return None;
        }
        // `:user-id` is one name, `:from-:to` are two.
        loop {
            let more = tail.get(name.len()..)?.strip_prefix('-').map(word);
            match more.filter(|more| !more.is_empty()) {
                Some(more) => name = tail.get(..name.len() + 1 + more.len())?,
                None => break,
            }
        }
        let mut after = tail.get(name.len()..)?;
        let mut node = Node::Param(name.to_owned());
        if let Some(end) = closing(after, '(', ')').filter(|_| after.starts_with('(')) {
            let pattern = after.get(1..end)?;
            // `:id(.json)` is no pattern, but an optional part of Rails.
            if !pattern.starts_with(['/', ':']) && !pattern.starts_with(".:") {
                node = with_pattern(name, pattern, self.changes);
                if matches!(node, Node::Param(_)) {
                    self.changes.push(format!("the pattern of :{name}({pattern}) is left out"));
                }
                after = after.get(end + 1..)?;
            }
        }
        let ends = |tail: &str| tail.is_empty() || tail.starts_with(['/', '.', '-', '(', ')', ']']);
        let modifier = after.chars().next().filter(|c| "?*+".contains(*c));
        let modifier = modifier.filter(|_| after.get(1..).is_some_and(ends));
        if modifier.is_some() {
            after = after.get(1..)?;
        }
        match modifier {
            Some('?') => read.push_optional(vec![node]),
            Some('+') => read.push([Node::Rest(name.to_owned())]),
            Some(_) => read.push_optional(vec![Node::Rest(name.to_owned())]),
            None => read.push([node]),
        }
        read.colon = true;
        Some(after)
    }

    /// Stars at the start of a segment: one segment where text or more segments follow, else the
    /// rest; with a name, or doubled, any number.
    fn star<'k>(&mut self, rest: &'k str, read: &mut Read) -> &'k str {
        let stars = rest.len() - rest.trim_start_matches('*').len();
        let after = rest.get(stars..).unwrap_or_default();
        let name = word(after);
        let after = after.get(name.len()..).unwrap_or_default();
        let last = after.trim_start_matches('/').is_empty() || after.starts_with([';', '?', '#']);
        let many = stars > 1 || !name.is_empty() || last;
        let name = if name.is_empty() && many { "rest" } else { name };
        read.push([if many { Node::Rest(name.to_owned()) } else { Node::Param(name.to_owned()) }]);
        after
    }
}

/// A name in brackets, with the dots that say that it may have slashes.
fn bracketed(name: &str) -> Node {
    match name.strip_prefix("...") {
        Some(name) => Node::Rest(name.to_owned()),
        None => Node::Param(name.to_owned()),
    }
}
