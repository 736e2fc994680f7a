//! Reading YAML, and saying in our own words what is wrong with it.

use serde::de::DeserializeOwned;
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Error, Location};

/// What happens to a key that stands twice in a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplicates {
    /// It is a mistake.
    Refused,
    /// What is read decides.
    Passed,
}

/// The documents of a YAML text.
///
/// # Errors
/// The place, and what is wrong there.
pub fn documents<T: DeserializeOwned>(
    text: &str,
    duplicates: Duplicates,
) -> Result<Vec<T>, String> {
    // Specifications are larger than the configurations for which the defaults are made.
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 50_000_000,
            max_nodes: 20_000_000,
            max_depth: 128,
            max_total_scalar_bytes: 256 << 20,
        },
        duplicate_keys: match duplicates {
            Duplicates::Refused => DuplicateKeyPolicy::Error,
            Duplicates::Passed => DuplicateKeyPolicy::PassThrough,
        },
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    };
    serde_saphyr::from_multiple_with_options(text, options).map_err(|error| mistake(text, &error))
}

/// What is wrong, and where.
fn mistake(text: &str, error: &Error) -> String {
    let error = error.without_snippet();
    let location = error.location().filter(|location| *location != Location::UNKNOWN);
    let line = location.map_or(0, |location| usize::try_from(location.line()).unwrap_or_default());
    let what = match error {
        Error::Budget { .. }
        | Error::AliasError { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => {
            "it is too large, nested too deeply, or repeats itself too often through aliases"
                .to_owned()
        }
        Error::UnknownAnchor { .. } => "an alias has no anchor".to_owned(),
        Error::DuplicateMappingKey { .. } => "a key stands twice".to_owned(),
        Error::MergeValueNotMapOrSeqOfMaps { .. } => "`<<` merges what is no mapping".to_owned(),
        Error::NonFiniteFloat { .. } => "a number is not finite".to_owned(),
        _ => of_line(text, line).to_owned(),
    };
    let Some(location) = location else { return what };
    let shown: String = text
        .lines()
        .nth(line.saturating_sub(1))
        .unwrap_or_default()
        .trim()
        .chars()
        .take(60)
        .collect();
    format!("line {line}, column {}: {what}: {shown:?}", location.column())
}

/// What is most likely wrong at a line, which the parser calls by the rule that it breaks.
fn of_line(text: &str, line: usize) -> &'static str {
    let near = || text.lines().take(line.max(1)).skip(line.saturating_sub(2));
    let tabbed = |line: &str| line.trim_start_matches(' ').starts_with('\t');
    if near().any(tabbed) {
        return "a tab stands where only spaces may indent";
    }
    if near().any(|line| line.matches('"').count() % 2 == 1) {
        return "a quote is not closed";
    }
    let last = near().last().unwrap_or_default().trim();
    let value = last.split_once(": ").map_or(last, |(_, value)| value).trim_start();
    if value.starts_with(['@', '`', '%', '|', '>']) {
        return "a value that begins so must stand in quotes";
    }
    if value.contains(": ") && !value.starts_with(['"', '\'', '{', '[']) {
        return "a value with a colon and a space must stand in quotes";
    }
    if last.starts_with(['<', '*', '&', '!']) || value.starts_with(['*', '&', '!']) {
        return "an alias, anchor or tag is not right here";
    }
    if text.matches(['[', '{']).count() > text.matches([']', '}']).count() {
        return "a bracket or brace is not closed";
    }
    "the indentation, or a quote, bracket or colon, is not right here"
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn mistakes_are_told_in_our_words() {
        for (text, expected) in [
            ("a: [", "line "),
            ("a:\n\tb: 1", "a tab stands where only spaces may indent"),
            ("a: b: c", "must stand in quotes"),
            ("a: @x", "must stand in quotes"),
            ("a: *b", "line 1, column 4: an alias has no anchor: \"a: *b\""),
            ("a: 1\n b: 2", "line 2"),
            ("a: 1\na: 2", "a key stands twice"),
            ("a: \"x\nb: 1", "a quote is not closed"),
        ] {
            let mistake = documents::<Value>(text, Duplicates::Refused).unwrap_err();
            assert!(mistake.contains(expected), "{text:?}: {mistake}");
        }
        assert_eq!(
            documents::<Value>("a: 1\n---\na: 2\na: 3", Duplicates::Passed).unwrap().len(),
            2
        );
    }
}
