//! What is wrong with a configuration, named by JSON path. A list of [`Mistakes`] is either of what
//! makes a configuration refused, or of warnings: what is allowed but most likely not meant.

use std::fmt;

/// One mistake: where it is, what was found, what is allowed and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The JSON path (`endpoint.templates[1]`), or the name of an environment variable.
    pub path: String,
    /// What was found and what is allowed.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// The mistakes found so far, in the order in which they were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mistakes(Vec<Mistake>);

fn printable(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

impl Mistakes {
    /// Adds a mistake at a JSON path. What the configuration says may hold line ends and worse; it
    /// is escaped, because a mistake is one line of Envoy's log and of a terminal.
    pub fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(Mistake { path: printable(path.into()), message: printable(message.into()) });
    }

    /// Adds those of another list behind its own.
    pub fn extend(&mut self, more: Mistakes) {
        self.0.extend(more.0);
    }

    /// Those that do not only follow from mistakes of structure: they neither stand in an entry that
    /// could be read in part alone, nor speak of a section that has such a mistake.
    pub fn without_consequences_of(mut self, structural: &Mistakes) -> Self {
        self.0.retain(|mistake| {
            structural.iter().all(|Mistake { path, message }| {
                // An unknown key is nothing that could be missing in what was meant.
                let entry = if message.starts_with("unknown field") { path } else { entry(path) };
                let section = path.split(['.', '[']).next().unwrap_or(path);
                let named = |end: &str| mistake.message.contains(&format!("`{section}{end}"));
                // `endpoint` is also the name of a label.
                let spoken_of = named(".") || section == "labels" && named("`");
                !is_within(&mistake.path, entry) && !spoken_of
            })
        });
        self
    }

    /// Whether none was found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The mistakes, in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Display for Mistakes {
    /// One line per mistake.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{mistake}")?;
        }
        Ok(())
    }
}

/// The entry that a path lies in, where parts of it only make sense together: a label, a custom
/// metric; otherwise the path itself.
fn entry(path: &str) -> &str {
    let end = match path.strip_prefix("labels.") {
        Some(rest) => rest.find('.').map(|end| "labels.".len() + end),
        None if path.starts_with("custom_metrics[") => path.find(']').map(|end| end + 1),
        None => None,
    };
    end.and_then(|end| path.get(..end)).unwrap_or(path)
}

/// Whether a path is `outer` or below it.
fn is_within(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test;

    #[test]
    fn a_mistake_is_one_line() {
        let mut mistakes = Mistakes::default();
        mistakes.add("a", "unknown field `x\ny\u{1b}[2J`, é is fine");
        let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        assert_eq!(lines, ["a: unknown field `x\\ny\\u{1b}[2J`, é is fine"]);
    }
}
