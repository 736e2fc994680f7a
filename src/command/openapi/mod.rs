//! From OpenAPI specifications to `endpoint.templates` and, for values with slashes, `endpoint.rules`.
//!
//! [`Import`] takes OpenAPI 3.0, 3.1 and Swagger 2.0, as JSON or YAML, and gives a plugin
//! configuration with one template for each path, below each base path of its servers. What the
//! template syntax cannot say is brought into a form that it can, and told; the result always passes
//! `check`.

mod document;
mod server;
mod template;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context;
use serde_json::{Value, json};

use crate::config::{self, Config};
use crate::plan;
use crate::plan::Capacity;
pub use document::read;
use document::{Files, Operations};

/// Places for what the specification does not name: methods' values are few, endpoints that are
/// inferred beside the templates need some.
const SPARE_VALUES: usize = 98;
/// Statuses that an operation has in practice, for the number of series.
const STATUSES: usize = 4;

/// Templates of several specifications, merged.
#[derive(Debug, Default)]
pub struct Import {
    entries: Vec<Entry>,
    /// Places in `entries` by what is matched.
    by_shape: BTreeMap<String, Vec<usize>>,
    /// What had to be changed or left out, for the user.
    notes: Vec<String>,
}

#[derive(Debug)]
struct Entry {
    /// The path part, which is the label.
    path: String,
    /// `None`: whatever the method.
    only: Option<BTreeSet<String>>,
    /// The methods that the specifications name.
    methods: BTreeSet<String>,
}

impl Import {
    /// Adds the paths of a specification; `name` is its file, to which relative references refer.
    ///
    /// # Errors
    /// What it is, where it is no specification, has no paths, or refers to what cannot be read.
    pub fn add(&mut self, name: &Path, text: &[u8]) -> anyhow::Result<()> {
        let shown = name.display().to_string();
        self.add_document(name, text, &shown).with_context(|| shown.clone())
    }

    fn add_document(&mut self, name: &Path, text: &[u8], shown: &str) -> anyhow::Result<()> {
        let mut files = Files::default();
        let document = document::parse(text)?;
        let paths = document::paths(&document, name, &mut files)?;
        let mut bases_told = BTreeSet::new();
        for item in paths {
            let mut changes = Vec::new();
            let Some(path) = template::from_key(&item.key, &mut changes) else {
                self.notes.push(format!(
                    "{shown}: {:?} is left out: {}",
                    item.key,
                    changes.join("; ")
                ));
                continue;
            };
            for change in changes {
                self.notes.push(format!("{shown}: {:?}: {change}", item.key));
            }
            for Operations { servers, methods } in item.operations {
                for base in servers {
                    let mut changes = base.notes;
                    let full = match base.path.as_str() {
                        "" => Some(path.clone()),
                        base => template::from_key(&format!("{base}{path}"), &mut changes),
                    };
                    for change in changes {
                        let note = format!("{shown}: server {:?}: {change}", base.url);
                        if bases_told.insert(note.clone()) {
                            self.notes.push(note);
                        }
                    }
                    if let Some(full) = full {
                        self.insert(full, &methods, shown);
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds a path. Where others match the same, the first one keeps its requests: another name
    /// gets only the methods that it has alone.
    fn insert(&mut self, path: String, methods: &BTreeSet<String>, shown: &str) {
        let places = self.by_shape.entry(template::shape(&path)).or_default();
        let same = places.iter().filter_map(|&place| Some((place, self.entries.get(place)?)));
        if let Some(place) = same.clone().find(|(_, entry)| entry.path == path).map(|(p, _)| p) {
            // Methods that another name took before stay there.
            let taken: BTreeSet<String> = same
                .filter(|&(other, _)| other != place)
                .flat_map(|(_, entry)| entry.methods.iter().cloned())
                .collect();
            if let Some(entry) = self.entries.get_mut(place) {
                let news: Vec<String> = methods.difference(&taken).cloned().collect();
                if let Some(only) = &mut entry.only {
                    only.extend(news.iter().cloned());
                }
                entry.methods.extend(news);
            }
            return;
        }
        let mut only = None;
        let mut own = methods.clone();
        if let Some((_, first)) = same.clone().next() {
            for (_, entry) in same {
                own.retain(|method| !entry.methods.contains(method));
            }
            let first = first.path.clone();
            if own.is_empty() {
                self.notes.push(format!(
                    "{shown}: {path:?} matches the same requests as {first:?}, which came first \
                     and gives the label"
                ));
                return;
            }
            let list = own.iter().cloned().collect::<Vec<_>>().join(", ");
            self.notes.push(format!(
                "{shown}: {path:?} matches the same paths as {first:?}, which came first; it is \
                 the label for {list} only"
            ));
            only = Some(own.clone());
        }
        places.push(self.entries.len());
        self.entries.push(Entry { path, only, methods: own });
    }

    /// The templates in the order of the specifications, a method in front only where two names of
    /// the same path are told apart by it. A path ends in `{*path}` where its last parameter is
    /// named so, as specifications have no other way to say that a value may hold slashes.
    #[must_use]
    pub fn templates(&self) -> Vec<String> {
        let mut templates = Vec::new();
        for Entry { path, only, .. } in &self.entries {
            match only {
                None => templates.push(self.spanning(path).unwrap_or_else(|| path.clone())),
                Some(methods) => {
                    templates.extend(methods.iter().map(|method| format!("{method} {path}")));
                }
            }
        }
        templates
    }

    /// The template of a path whose last parameter is named as a path is, if no other one matches
    /// the same.
    fn spanning(&self, path: &str) -> Option<String> {
        let (front, last) = path.rsplit_once('/')?;
        let name = last.strip_prefix('{')?.strip_suffix('}')?;
        let spanning = format!("{front}/{{*{name}}}");
        let alone = self.by_shape.get(&template::shape(path)).is_some_and(|same| same.len() == 1)
            && !self.by_shape.contains_key(&template::shape(&spanning));
        (alone && template::names_a_path(name)).then_some(spanning)
    }

    /// Rules for the same endpoints where values in them hold slashes, which templates have no form
    /// for: they come after the templates, so they take only what nothing else has. Those with more
    /// text behind the value come first.
    fn rules(&self, templates: &[String]) -> Vec<Value> {
        let mut seen = BTreeSet::new();
        let mut rules: Vec<_> = self
            .entries
            .iter()
            .filter(|entry| templates.iter().any(|template| path_of(template) == entry.path))
            .filter_map(|entry| Some((template::slashed(&entry.path)?, &entry.path)))
            .filter(|((regex, _), _)| seen.insert(regex.clone()))
            .collect();
        rules.sort_by_key(|((_, specific), _)| std::cmp::Reverse(*specific));
        rules
            .into_iter()
            .map(|((regex, _), path)| json!({"regex": regex, "endpoint": path}))
            .collect()
    }

    /// The plugin configuration: the templates, and higher limits where the defaults are too low
    /// for them. With it, what had to be changed or left out, one line each.
    #[must_use]
    pub fn configuration(&self) -> (Value, Vec<String>) {
        let operations: usize = self.entries.iter().map(|entry| entry.methods.len().max(1)).sum();
        let mut templates = self.templates();
        let mut notes = self.notes.clone();
        let spanning = self.entries.iter().filter(|entry| entry.only.is_none());
        notes.extend(spanning.filter_map(|Entry { path, .. }| {
            let spanning = self.spanning(path)?;
            Some(format!("{path:?} may end in several segments, so it is {spanning:?}"))
        }));
        notes.extend(drop_refused(&mut templates));
        let mut plugin = configuration(&templates, operations);
        let rules = self.rules(&templates);
        if let (false, Some(endpoint)) = (rules.is_empty(), plugin["endpoint"].as_object_mut()) {
            notes.push(format!(
                "{} endpoints have a rule, too, for values with slashes",
                rules.len()
            ));
            endpoint.insert("rules".to_owned(), rules.into());
        }
        (plugin, notes)
    }
}

/// The plugin configuration with these templates, which must be valid, and higher limits where the
/// defaults are too low: `series` pairs of method and endpoint are expected.
#[must_use]
pub fn configuration(templates: &[String], series: usize) -> Value {
    let paths: BTreeSet<&str> = templates.iter().map(|template| path_of(template)).collect();
    let defaults = config::Limits::default();
    let mut limits = serde_json::Map::new();
    let needed = paths.len() + 2;
    if needed > defaults.endpoints() as usize {
        let values = (needed + SPARE_VALUES).next_multiple_of(100);
        limits.insert("max_endpoints".to_owned(), json!(values));
    }
    let series = series * STATUSES;
    if series > defaults.max_series_per_metric as usize {
        let series = series.next_multiple_of(1000).min(1_000_000);
        limits.insert("max_series_per_metric".to_owned(), json!(series));
    }
    let longest = paths.iter().map(|path| path.len()).max().unwrap_or(0);
    if longest > defaults.max_label_value_length as usize {
        let length = longest.next_multiple_of(10).min(1024);
        limits.insert("max_label_value_length".to_owned(), json!(length));
    }
    let mut plugin = json!({ "endpoint": { "templates": templates } });
    if let (false, Some(plugin)) = (limits.is_empty(), plugin.as_object_mut()) {
        plugin.insert("limits".to_owned(), Value::Object(limits));
    }
    plugin
}

/// A template without its method.
fn path_of(template: &str) -> &str {
    template.find('/').and_then(|slash| template.get(slash..)).unwrap_or(template)
}

/// Brings labels into the form of templates; what has none is left out. For endpoints that were
/// inferred.
#[must_use]
pub fn templates_of_labels<'a>(labels: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let read = |label: &str| template::from_key(label, &mut Vec::new());
    labels.into_iter().filter(|label| label.starts_with('/')).filter_map(read).collect()
}

/// Leaves out templates that `check` would refuse, and says which and why.
///
/// There are none where the rest of this module is right; the configuration must be good whatever
/// a specification holds.
pub fn drop_refused(templates: &mut Vec<String>) -> Vec<String> {
    let mut config = Config::default();
    config.endpoint.templates.clone_from(templates);
    let Err(mistakes) = plan::compile(&config, Capacity::Ignored) else { return Vec::new() };
    let mut refused = BTreeMap::new();
    for mistake in mistakes.iter() {
        let index = mistake.path.strip_prefix("endpoint.templates[");
        let index = index.and_then(|rest| rest.strip_suffix(']')?.parse::<usize>().ok());
        if let Some(index) = index {
            refused.insert(index, format!("left out: {}", mistake.message));
        }
    }
    let mut index = 0;
    templates.retain(|_| {
        index += 1;
        !refused.contains_key(&(index - 1))
    });
    refused.into_values().collect()
}

#[cfg(test)]
mod tests;
