//! What stands in braces, and in angle brackets.

use super::{Node, Read, Reader, TYPES, closing, optional, text, with_pattern};

impl Reader<'_> {
    /// Something in braces; gives back what follows, `None` where it is text.
    pub(super) fn braces<'k>(&mut self, rest: &'k str, read: &mut Read) -> Option<&'k str> {
        let Some(end) = closing(rest, '{', '}') else {
            self.changes.push("'{' has no counterpart, so it is taken as text".to_owned());
            return None;
        };
        let mut inner = rest.get(1..end)?.trim();
        // Placeholders of tools: {{id}}.
        while let Some(doubled) = inner.strip_prefix('{').and_then(|i| i.strip_suffix('}')) {
            inner = doubled.trim();
        }
        self.expression(inner, read);
        rest.get(end + 1..)
    }

    /// What stood in braces.
    fn expression(&mut self, inner: &str, read: &mut Read) {
        let first = inner.chars().next().unwrap_or(' ');
        let behind = inner.get(first.len_utf8()..).unwrap_or_default();
        match first {
            // `{$}` is the end of a path (Go).
            '$' if behind.is_empty() => {}
            // Groups of path-to-regexp: `{/:id}`, `{.:ext}`, `{/*path}`.
            '/' | '.' | '-'
                if behind.contains([':', '{']) || (first == '/' && behind.starts_with('*')) =>
            {
                if let Some(nodes) = self.nested(inner, false) {
                    read.push_optional(nodes);
                }
            }
            '?' | '&' | '#' | ';' => {
                self.changes.push(format!("{{{inner}}} is no part of a segment and is left out"));
            }
            '/' | '.' => {
                // RFC 6570, 3.2.5 and 3.2.6: what has no value is not there.
                let mut group = Vec::new();
                for name in behind.rsplit(',') {
                    let mut part = vec![text(if first == '/' { "/" } else { "." })];
                    part.push(self.variable(name));
                    part.append(&mut group);
                    group = vec![optional(part)];
                }
                read.push(group);
            }
            '+' => {
                let nodes: Vec<Node> = vec![Node::Rest(behind.to_owned())];
                read.push(nodes);
            }
            _ => self.named(inner, read),
        }
    }

    /// `{name}` with what frameworks add to it.
    fn named(&mut self, inner: &str, read: &mut Read) {
        let colon = inner.find(':').unwrap_or(usize::MAX);
        let equals = inner.find('=').unwrap_or(usize::MAX);
        if equals < colon {
            let (name, pattern) = inner.split_once('=').unwrap_or((inner, ""));
            if pattern.contains('*') || pattern.contains('/') {
                // google.api.http: the pattern of a variable over several segments.
                for (index, segment) in pattern.split('/').enumerate() {
                    if index > 0 {
                        read.text("/");
                    }
                    match segment {
                        "*" => read.push([Node::Part(name.to_owned())]),
                        "**" => read.push([Node::Rest(name.to_owned())]),
                        text => read.text(text),
                    }
                }
            } else {
                // ASP.NET: a parameter with a default.
                read.push_optional(vec![Node::Param(name.to_owned())]);
            }
            return;
        }
        if colon < usize::MAX {
            let (name, pattern) = inner.split_once(':').unwrap_or((inner, ""));
            let (name, pattern) = (name.trim(), pattern.trim());
            // ASP.NET: `{id:int?}`, `{id:min(1)?}`, `{id:int=5}`.
            let kind = pattern.split('=').next().unwrap_or(pattern);
            let is_kind = |kind: &str| {
                kind.starts_with(|c: char| c.is_ascii_alphabetic())
                    && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b"_(),:-.".contains(&b))
            };
            let without = kind.strip_suffix('?').filter(|kind| is_kind(kind));
            let node = self.typed(name, without.unwrap_or(pattern), inner);
            if without.is_some() || (kind.len() < pattern.len() && is_kind(kind)) {
                read.push_optional(vec![node]);
            } else {
                read.push([node]);
            }
            return;
        }
        // Symfony: `{page<\d+>?1}`, `{page?1}`.
        if let Some((name, rest)) = inner.split_once('<')
            && let Some((pattern, default)) = rest.rsplit_once('>')
        {
            let node = self.typed(name, pattern, inner);
            match default.starts_with('?') {
                true => read.push_optional(vec![node]),
                false => read.push([node]),
            }
            return;
        }
        match inner.split_once('?') {
            Some((name, _default)) => {
                let node = self.variable(name);
                read.push_optional(vec![node]);
            }
            None => {
                let node = self.variable(inner);
                read.push([node]);
            }
        }
    }

    /// A parameter with a type or pattern.
    fn typed(&mut self, name: &str, kind: &str, written: &str) -> Node {
        let starred = name.trim_matches('*');
        if starred.len() < name.len() || matches!(kind, "path" | "*" | "**") {
            return Node::Rest(starred.to_owned());
        }
        let node = with_pattern(name, kind, self.changes);
        if matches!(node, Node::Param(_)) && !TYPES.contains(&kind) {
            self.changes.push(format!("the pattern of {{{written}}} is left out"));
        }
        node
    }

    /// A name alone, with the star or dots that say that it may have slashes.
    fn variable(&mut self, name: &str) -> Node {
        let name = name.trim();
        let plain = name.trim_matches(['*', '+']);
        let plain = plain.strip_suffix("...").or(plain.strip_prefix("...")).unwrap_or(plain);
        // RFC 6570, 2.4.1: the first characters of a value.
        let plain = match plain.split_once(':') {
            Some((front, digits)) if digits.bytes().all(|b| b.is_ascii_digit()) => front,
            _ => plain,
        };
        if plain.len() < name.len() && !name.contains(':') {
            Node::Rest(plain.to_owned())
        } else {
            Node::Param(plain.to_owned())
        }
    }

    /// `<name>`, `<int:name>`, `<name:int>`, `<name..>`.
    pub(super) fn angles<'k>(&mut self, rest: &'k str, read: &mut Read) -> Option<&'k str> {
        let Some(end) = closing(rest, '<', '>') else {
            self.changes.push("'<' has no counterpart, so it is taken as text".to_owned());
            return None;
        };
        let inner = rest.get(1..end)?.trim();
        let node = match inner.rsplit_once(':') {
            None => match inner.strip_suffix("..") {
                Some(name) => Node::Rest(name.to_owned()),
                None => self.variable(inner),
            },
            Some((before, after)) => {
                let kind = |text: &str| text.split('(').next().unwrap_or_default().to_owned();
                let (name, kind) = match (kind(before), kind(after)) {
                    (_, after) if TYPES.contains(&after.as_str()) && !TYPES.contains(&before) => {
                        (before, after)
                    }
                    (before, _) => (after, before),
                };
                if kind == "path" {
                    Node::Rest(name.to_owned())
                } else {
                    Node::Param(name.to_owned())
                }
            }
        };
        read.push([node]);
        rest.get(end + 1..)
    }
}
