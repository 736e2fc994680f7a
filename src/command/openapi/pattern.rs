//! What a regular expression for a parameter says about segments.
//!
//! grpc-gateway writes `shelves/[^/]+` for a parameter of two segments, and others write `.+` for one
//! of any number. Only that is read of an expression: where it has slashes, and text between them. Not
//! all of it is understood, and need not be.

/// The most ways to write out one expression.
const MAX_WAYS: usize = 16;
/// Groups within groups.
const MAX_DEPTH: usize = 16;

/// What stands between two slashes, or the slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Text without a slash.
    Text(String),
    /// `/`.
    Slash,
    /// Anything in one segment.
    One,
    /// One or more segments.
    Many,
}

/// What an expression allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Span {
    /// One segment.
    Segment,
    /// Each way to write it out, and whether they allow more than it does.
    Ways(Vec<Vec<Part>>, bool),
    /// It cannot be read, and has slashes.
    Unknown,
}

/// What an expression allows; anchors mean nothing, as a parameter is always the whole of a text.
pub(super) fn span(pattern: &str) -> Span {
    let mut parser = Parser { rest: pattern, widened: false };
    let read = parser.alternatives(0).filter(|_| parser.rest.is_empty());
    let Some(alternatives) = read else {
        return if pattern.contains('/') { Span::Unknown } else { Span::Segment };
    };
    if !alternatives.iter().any(|atoms| has_slash(atoms)) {
        return Span::Segment;
    }
    let Some(ways) = write_out(&alternatives) else {
        return Span::Ways(vec![vec![Part::Many]], true);
    };
    let mut widened = parser.widened;
    let mut parts: Vec<Vec<Part>> = Vec::new();
    for way in ways {
        let way = parts_of(&way, &mut widened);
        if !parts.contains(&way) {
            parts.push(way);
        }
    }
    match parts.as_slice() {
        [way] if matches!(way.as_slice(), [] | [Part::One | Part::Text(_)]) => Span::Segment,
        _ => Span::Ways(parts, widened),
    }
}

#[derive(Clone, Debug)]
enum Atom {
    Char(char),
    /// Any text without a slash.
    One,
    /// Any text: what `.*` means where nothing else stands in a segment.
    Many,
    /// Any text, in which slashes are named.
    Slashes,
    Group(Vec<Vec<Atom>>),
}

fn has_slash(atoms: &[Atom]) -> bool {
    atoms.iter().any(|atom| match atom {
        Atom::Char(c) => *c == '/',
        Atom::One => false,
        Atom::Many | Atom::Slashes => true,
        Atom::Group(alternatives) => alternatives.iter().any(|atoms| has_slash(atoms)),
    })
}

/// Whether it is text and nothing else.
fn is_text(atoms: &[Atom]) -> bool {
    atoms.iter().all(|atom| matches!(atom, Atom::Char(_)))
}

/// All ways through the groups; `None` where there are too many.
fn write_out(alternatives: &[Vec<Atom>]) -> Option<Vec<Vec<Atom>>> {
    let mut all = Vec::new();
    for atoms in alternatives {
        let mut ways: Vec<Vec<Atom>> = vec![Vec::new()];
        for atom in atoms {
            let group = match atom {
                Atom::Group(group) if group.iter().all(|a| !has_slash(a) && !is_text(a)) => {
                    vec![vec![Atom::One]]
                }
                Atom::Group(group) => write_out(group)?,
                atom => vec![vec![atom.clone()]],
            };
            ways = ways
                .iter()
                .flat_map(|way| group.iter().map(move |more| [way.as_slice(), more].concat()))
                .take(MAX_WAYS + 1)
                .collect();
        }
        all.extend(ways);
        if all.len() > MAX_WAYS {
            return None;
        }
    }
    Some(all)
}

fn parts_of(atoms: &[Atom], widened: &mut bool) -> Vec<Part> {
    let mut parts = Vec::new();
    for (index, segment) in atoms.split(|atom| matches!(atom, Atom::Char('/'))).enumerate() {
        if index > 0 {
            parts.push(Part::Slash);
        }
        let is_many = |atom: &Atom| matches!(atom, Atom::Many);
        if segment.is_empty() {
            continue;
        }
        parts.push(if is_text(segment) {
            let text = |atom: &Atom| if let Atom::Char(c) = atom { Some(*c) } else { None };
            Part::Text(segment.iter().filter_map(text).collect())
        } else if segment.iter().all(is_many)
            || segment.iter().any(|atom| matches!(atom, Atom::Slashes))
        {
            Part::Many
        } else {
            *widened |= segment.len() > 1;
            Part::One
        });
    }
    parts
}

struct Parser<'p> {
    rest: &'p str,
    widened: bool,
}

impl Parser<'_> {
    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }

    fn eat(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Reads up to the end of a group, or of all.
    fn alternatives(&mut self, depth: usize) -> Option<Vec<Vec<Atom>>> {
        if depth > MAX_DEPTH {
            return None;
        }
        let mut all = vec![Vec::new()];
        while let Some(next) = self.rest.chars().next() {
            if next == ')' {
                break;
            }
            self.next();
            let atom = match next {
                '|' => {
                    all.push(Vec::new());
                    continue;
                }
                '^' | '$' => continue,
                '(' => match self.group(depth)? {
                    Some(group) => Atom::Group(group),
                    None => continue,
                },
                '[' => self.class()?,
                '.' => self.dot(),
                '\\' => match self.escape()? {
                    Some(atom) => atom,
                    None => continue,
                },
                '*' | '+' | '?' => return None,
                c => Atom::Char(c),
            };
            let atom = self.quantified(atom);
            all.last_mut()?.push(atom);
        }
        Some(all)
    }

    /// A group behind its parenthesis; `Some(None)` where it stands for no text.
    fn group(&mut self, depth: usize) -> Option<Option<Vec<Vec<Atom>>>> {
        let looks = ["?=", "?!", "?<=", "?<!"].iter().any(|start| self.eat(start));
        if !looks && self.eat("?") {
            // Flags, or the name of a group.
            let end = self.rest.find([':', '>', ')'])?;
            let closes = self.rest.get(end..)?.starts_with(')');
            self.rest = self.rest.get(end + 1..)?;
            if closes {
                return Some(None);
            }
        }
        let group = self.alternatives(depth + 1)?;
        if !self.eat(")") {
            return None;
        }
        Some((!looks).then_some(group))
    }

    /// A class of characters behind its bracket.
    fn class(&mut self) -> Option<Atom> {
        let negated = self.eat("^");
        let (mut slash, mut depth, mut first) = (false, 1, true);
        loop {
            match self.next()? {
                '\\' => slash |= self.next()? == '/',
                '[' => depth += 1,
                ']' if !first => depth -= 1,
                '/' => slash = true,
                _ => {}
            }
            first = false;
            if depth == 0 {
                self.widened |= slash && !negated;
                return Some(if slash && !negated { Atom::Slashes } else { Atom::One });
            }
        }
    }

    /// A dot: with `*` or `+` anything at all, else what a length is given for.
    fn dot(&mut self) -> Atom {
        if self.rest.starts_with(['*', '+']) { Atom::Many } else { Atom::One }
    }

    /// What stands behind a backslash; `Some(None)` where it stands for no text.
    fn escape(&mut self) -> Option<Option<Atom>> {
        let atom = match self.next()? {
            'b' | 'B' | 'A' | 'z' | 'Z' | 'G' | 'Q' | 'E' => return Some(None),
            'p' | 'P' => {
                if self.eat("{") {
                    self.rest = self.rest.get(self.rest.find('}')? + 1..)?;
                } else {
                    self.next();
                }
                Atom::One
            }
            'x' | 'u' => {
                let digits = self.rest.chars().take_while(char::is_ascii_hexdigit).take(4).count();
                let code = u32::from_str_radix(self.rest.get(..digits)?, 16).ok()?;
                self.rest = self.rest.get(digits..)?;
                Atom::Char(char::from_u32(code)?)
            }
            c if c.is_ascii_alphanumeric() => Atom::One,
            c => Atom::Char(c),
        };
        Some(Some(atom))
    }

    /// An atom with the quantifier that follows it.
    fn quantified(&mut self, atom: Atom) -> Atom {
        let optional = self.eat("?");
        let many = !optional && (self.eat("*") || self.eat("+") || self.counted());
        if !optional && !many {
            return atom;
        }
        // Lazy and possessive.
        let _ = self.eat("?") || self.eat("+");
        match atom {
            Atom::Char('/') if many => Atom::Char('/'),
            Atom::Char('/') => Atom::Group(vec![Vec::new(), vec![Atom::Char('/')]]),
            Atom::Char(_) | Atom::One => Atom::One,
            Atom::Many | Atom::Slashes => atom,
            Atom::Group(group) => {
                let slash = group.iter().any(|atoms| has_slash(atoms));
                if slash && many {
                    self.widened = true;
                    Atom::Slashes
                } else if slash || (optional && group.iter().all(|atoms| is_text(atoms))) {
                    let mut ways = vec![Vec::new()];
                    ways.extend(group);
                    Atom::Group(ways)
                } else {
                    Atom::One
                }
            }
        }
    }

    /// `{2}`, `{2,}`, `{2,5}`.
    fn counted(&mut self) -> bool {
        let Some((count, rest)) = self.rest.strip_prefix('{').and_then(|r| r.split_once('}'))
        else {
            return false;
        };
        let counts = !count.is_empty() && count.bytes().all(|b| b.is_ascii_digit() || b == b',');
        if counts {
            self.rest = rest;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ways of an expression, as a template would have them.
    fn ways(pattern: &str) -> Vec<String> {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Slash => "/".to_owned(),
            Part::One => "{}".to_owned(),
            Part::Many => "{*}".to_owned(),
        };
        match span(pattern) {
            Span::Segment => vec!["one".to_owned()],
            Span::Unknown => vec!["?".to_owned()],
            Span::Ways(ways, widened) => {
                let mut ways: Vec<String> =
                    ways.iter().map(|way| way.iter().map(part).collect()).collect();
                if widened {
                    ways.push("widened".to_owned());
                }
                ways
            }
        }
    }

    #[test]
    fn only_slashes_matter() {
        for (pattern, expected) in [
            ("", &["one"][..]),
            ("[0-9]+", &["one"]),
            ("^[a-z0-9-]{1,63}$", &["one"]),
            ("^.{1,64}$", &["one"]),
            (".", &["one"]),
            ("^.+@.+$", &["one"]),
            (".*\\.json", &["one"]),
            ("^(?!x)[^/]+$", &["one"]),
            ("[^\\s]+", &["one"]),
            ("a|b", &["one"]),
            ("(?i)^[\\p{L}\\d_]+$", &["one"]),
            ("v[0-9]+", &["one"]),
            ("default", &["one"]),
            (".+", &["{*}"]),
            (".*", &["{*}"]),
            ("^.*$", &["{*}"]),
            ("(.*)", &["{*}"]),
            ("^.+?$", &["{*}"]),
            ("shelves/[^/]+", &["shelves/{}"]),
            ("^shelves\\/[^\\/]+$", &["shelves/{}"]),
            ("shelves\\x2f[^/]+", &["shelves/{}"]),
            ("projects/[^/]+/locations/[^/]+", &["projects/{}/locations/{}"]),
            ("folders/.*", &["folders/{*}"]),
            ("folders/.+/files/[^/]+", &["folders/{*}/files/{}"]),
            ("(a|b)/[^/]+", &["a/{}", "b/{}"]),
            ("^(?:shelves/[^/]+|books/\\d+)$", &["shelves/{}", "books/{}"]),
            ("shelves/[^/]+|.+", &["shelves/{}", "{*}"]),
            ("shelves/[^/]+(/books/[^/]+)?", &["shelves/{}", "shelves/{}/books/{}"]),
            ("shelves/?", &["shelves", "shelves/"]),
            ("shelves/x-[0-9]+", &["shelves/{}", "widened"]),
            ("[\\w/.-]+", &["{*}", "widened"]),
            ("[a-z]+(/[a-z]+)*", &["{*}", "widened"]),
            ("([a-z]+/)+", &["{*}", "widened"]),
            ("(a|b|c)/(a|b|c)/(a|b|c)", &["{*}", "widened"]),
            ("a/(", &["?"]),
            ("a/)", &["?"]),
            ("a/**", &["?"]),
            ("[a/", &["?"]),
            ("[a", &["one"]),
            ("\\", &["one"]),
        ] {
            assert_eq!(ways(pattern), expected, "{pattern}");
        }
    }
}
