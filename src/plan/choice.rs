//! What becomes of the values that a source gives: `map`, `allow`, `default` and `hash`.

use std::collections::{BTreeMap, BTreeSet};

use super::compile::{Capacity, Compiler};
use crate::config::{Source, join};
use crate::labels::source::Choice;
use crate::labels::value::encoded;
use crate::labels::{NONE, OTHER};
use crate::request::{MAX_HEADER, grpc, method};

/// The lists of a label definition.
#[derive(Clone, Copy)]
pub(super) struct Lists<'a> {
    pub map: Option<&'a BTreeMap<String, String>>,
    pub allow: Option<&'a [String]>,
    pub default: Option<&'a str>,
    /// How many values the label may have, and the key that says so.
    pub max_values: usize,
    pub limit: &'a str,
}

impl Compiler<'_> {
    pub(super) fn hash_goes(&mut self, path: &str, hash: bool, choice: &Choice, constant: bool) {
        if hash && (choice.listed.is_some() || constant) {
            self.mistakes.add(
                format!("{path}.hash"),
                "hashes what was found, so it does not go with `map`, `allow` or a constant; drop one",
            );
        }
    }

    pub(super) fn choice(&mut self, path: &str, lists: Lists<'_>) -> Choice {
        let Lists { map, allow, default, max_values, limit } = lists;
        for (from, to) in map.into_iter().flatten() {
            self.fixed_value(&join(&format!("{path}.map"), from), to);
            self.key_fits(&join(&format!("{path}.map"), from), from);
        }
        for (index, value) in allow.unwrap_or_default().iter().enumerate() {
            self.fixed_value(&format!("{path}.allow[{index}]"), value);
        }
        if let Some(default) = default {
            self.fixed_value(&format!("{path}.default"), default);
        }
        let listed = (map.is_some() || allow.is_some()).then(|| {
            let mut all: BTreeMap<String, String> = map.cloned().unwrap_or_default();
            for value in allow.unwrap_or_default() {
                all.entry(value.clone()).or_insert_with(|| value.clone());
            }
            all
        });
        let choice = Choice {
            listed,
            absent: default.unwrap_or(NONE).to_owned(),
            unlisted: default.unwrap_or(OTHER).to_owned(),
        };
        if choice.listed.is_some() && self.capacity == Capacity::Checked {
            // As they stand in the label: `é` and `%C3%A9` are one value.
            let mut places = BTreeSet::from([OTHER.to_owned()]);
            for value in choice.fixed_values() {
                places.insert(encoded(value, usize::MAX));
            }
            let needed = places.len();
            if needed > max_values {
                self.mistakes.add(
                    path,
                    format!("its `map` and `allow` need {needed} places with {OTHER} and the default, but `{limit}` is {max_values}; raise it or list fewer"),
                );
            }
        }
        choice
    }

    /// Checks a value that the configuration gives: it must be there, and stand in the label whole.
    pub(super) fn fixed_value(&mut self, path: &str, value: &str) {
        if value.is_empty() {
            self.mistakes.add(path, "is empty; Prometheus takes an empty label for none");
            return;
        }
        let max = self.config.limits.max_label_value_length as usize;
        let length = encoded(value, usize::MAX).len();
        if length > max && self.capacity == Capacity::Checked {
            let percent = if length > value.len() { " with its percent-encoding" } else { "" };
            self.mistakes.add(
                path,
                format!(
                    "has {length} characters{percent}, but `limits.max_label_value_length` is \
                     {max}, so it would be cut; shorten it or raise the limit"
                ),
            );
        }
    }

    /// What is looked up is no longer than this.
    fn key_fits(&mut self, path: &str, key: &str) {
        if key.len() > MAX_HEADER {
            self.mistakes
                .add(path, format!("is never found; {MAX_HEADER} bytes of a value are looked at"));
        }
    }

    /// Warns of values in `map` and `allow` that the source never gives.
    pub(super) fn keys_that_never_come(
        &mut self,
        path: &str,
        from: Source,
        constant: Option<&str>,
        lists: Lists<'_>,
    ) {
        let map = lists
            .map
            .into_iter()
            .flatten()
            .map(|(key, _)| (join(&format!("{path}.map"), key), key));
        let allow = lists.allow.unwrap_or_default().iter().enumerate();
        let allow = allow.map(|(index, key)| (format!("{path}.allow[{index}]"), key));
        for (path, key) in map.chain(allow) {
            let code = |digits: &str| {
                digits.len() == 3
                    && digits.parse().is_ok_and(|code: u16| (100..=999).contains(&code))
            };
            let (comes, values) = match from {
                Source::Method => {
                    (method::ALL.contains(&key.as_str()) || key == OTHER, method::ALL.join(", "))
                }
                Source::Status => (key == "0" || code(key), "three digits, and 0".to_owned()),
                Source::StatusClass => (
                    ["0", "1xx", "2xx", "3xx", "4xx", "5xx", OTHER].contains(&key.as_str()),
                    "1xx to 5xx, and 0".to_owned(),
                ),
                Source::GrpcStatus => (
                    grpc::is_status_name(key),
                    "OK, Canceled, InvalidArgument, Unavailable and so on".to_owned(),
                ),
                Source::Protocol => (
                    ["HTTP/1.0", "HTTP/1.1", "HTTP/2", "HTTP/3"].contains(&key.as_str()),
                    "HTTP/1.0, HTTP/1.1, HTTP/2 and HTTP/3".to_owned(),
                ),
                Source::Constant => {
                    (constant == Some(key.as_str()), format!("{:?}", constant.unwrap_or_default()))
                }
                _ => continue,
            };
            if !comes {
                self.warnings.add(
                    path,
                    format!("{key:?} is no value of `{}`, so this is never used; its values are {values}", from.word()),
                );
            }
        }
    }
}
