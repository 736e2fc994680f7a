//! Labels of which one is the end of another.
//!
//! Envoy takes a label out of a stat name by the expression `(NAME=\.=(.*?);\.;)`, which also finds
//! `status` inside of `grpc_status=.=OK;.;`. The expressions are those of the whole process: they hold
//! for the filter's own metrics, for those of other configurations, and for those that an update
//! brings. So it does not help that two such labels stand in one metric in the right order, and both
//! names are refused wherever they stand.

use std::collections::BTreeMap;

use super::OWN_LABELS;
use super::compile::Compiler;
use crate::config::{Mistakes, Source, join};
use crate::labels::is_name;

/// Another word for the end of a name.
const INSTEAD: [(&str, &str); 10] = [
    ("status", "code"),
    ("type", "kind"),
    ("version", "release"),
    ("endpoint", "route"),
    ("method", "verb"),
    ("reason", "cause"),
    ("outcome", "result"),
    ("decision", "choice"),
    ("metric", "measure"),
    ("label", "mark"),
];

/// Where a label's name comes from.
#[derive(Clone)]
struct Given {
    /// Where the configuration says it, if it does.
    path: Option<String>,
    /// The metric that has it, in words.
    whose: String,
    /// The source, where the name is that of one.
    source: Option<Source>,
}

impl Compiler<'_> {
    /// Refuses a label that is the end of another one, and says what to write instead.
    pub(super) fn collisions(&mut self) {
        let names = self.given_names();
        let mut found = Mistakes::default();
        for (long, of_long) in &names {
            for (short, of_short) in &names {
                // What is no name is refused as that.
                if long == short || !long.ends_with(short) || !is_name(long) {
                    continue;
                }
                // The one to rename is the one that the configuration gives; the longer, if both.
                let (name, other, given, of_other) = match (&of_long.path, &of_short.path) {
                    (None, Some(_)) => (short, long, of_short, of_long),
                    _ => (long, short, of_long, of_short),
                };
                let relation = if name == long { "ends in" } else { "is the end of" };
                let better = instead(name, short, names.keys().copied());
                let how = match given.source {
                    Some(source) => format!(
                        "define it in `labels` under another name, as \"{better}\": {{\"from\": \"{}\"}}, and write {better:?} here",
                        source.word()
                    ),
                    None => format!("give it another name, such as `{better}`"),
                };
                found.add(
                    given.path.clone().unwrap_or_else(|| join("labels", name)),
                    format!(
                        "`{name}` {relation} `{other}`, {}, so Envoy would find `{short}` in `{long}`, too; {how}",
                        of_other.whose
                    ),
                );
            }
        }
        self.mistakes.extend(found);
    }

    /// Every label of every metric, with the place where the configuration gives it.
    fn given_names(&self) -> BTreeMap<&str, Given> {
        let mut names = BTreeMap::new();
        for name in OWN_LABELS {
            let whose = "a label of the filter's own metrics".to_owned();
            names.insert(name, Given { path: None, whose, source: None });
        }
        for label in &self.labels {
            let whose = "a label of the request metrics".to_owned();
            names.insert(label.name.as_str(), Given { path: None, whose, source: None });
        }
        let metrics = &self.config.metrics;
        let defaults = crate::config::Metrics::default();
        for (key, enabled, labels, by_default) in [
            (
                "requests_total",
                metrics.requests_total.enabled,
                &metrics.requests_total.labels,
                &defaults.requests_total.labels,
            ),
            (
                "request_duration",
                metrics.request_duration.enabled,
                &metrics.request_duration.labels,
                &defaults.request_duration.labels,
            ),
            (
                "response_size",
                metrics.response_size.enabled,
                &metrics.response_size.labels,
                &defaults.response_size.labels,
            ),
            (
                "request_size",
                metrics.request_size.enabled,
                &metrics.request_size.labels,
                &defaults.request_size.labels,
            ),
            (
                "exceptions_total",
                metrics.exceptions_total.enabled,
                &metrics.exceptions_total.labels,
                &defaults.exceptions_total.labels,
            ),
        ] {
            for (index, name) in labels.iter().enumerate().filter(|_| enabled) {
                let whose = format!("a label of `metrics.{key}`");
                let path =
                    (!by_default.contains(name)).then(|| format!("metrics.{key}.labels[{index}]"));
                let source = super::labels::built_in(name);
                if names.get(name.as_str()).is_none_or(|known: &Given| known.path.is_none()) {
                    names.insert(name, Given { path, whose, source });
                }
            }
        }
        for (index, metric) in self.config.custom_metrics.iter().enumerate() {
            let path = format!("custom_metrics[{index}].labels");
            for (name, _) in metric.labels.iter().flatten() {
                let whose = format!("a label of `{}`", metric.name);
                names.insert(name, Given { path: Some(join(&path, name)), whose, source: None });
            }
        }
        for name in self.config.labels.keys() {
            let whose = "which is defined in `labels`".to_owned();
            names.insert(name, Given { path: Some(join("labels", name)), whose, source: None });
        }
        names
    }
}

/// A name for the same label, which goes with all of these others: none of them is the end of another.
/// `short` is the one that `name` collides with.
#[must_use]
pub fn instead<'a>(
    name: &str,
    short: &str,
    names: impl Iterator<Item = &'a str> + Clone,
) -> String {
    let word = INSTEAD.into_iter().find(|(end, _)| *end == short);
    let swapped = word.and_then(|(end, word)| Some(format!("{}{word}", name.strip_suffix(end)?)));
    let goes = |candidate: &String| {
        names
            .clone()
            .all(|known| !candidate.ends_with(known) && !known.ends_with(candidate.as_str()))
    };
    swapped
        .filter(|swapped| swapped != name)
        .into_iter()
        .chain(["name", "value", "of_request"].map(|end| format!("{name}_{end}")))
        .find(goes)
        .unwrap_or_else(|| format!("{name}_x"))
}
