//! From OpenAPI specifications to `endpoint.templates`.
//!
//! [`Import`] takes OpenAPI 3.0, 3.1, 3.2 and Swagger 2.0, as JSON or YAML, and gives a plugin
//! configuration with the templates of each path, below each base path of its servers. What the
//! template syntax cannot say is brought into a form that it can, or into `endpoint.rules`, and told;
//! the result always passes `check`.
//!
//! [`read`](mod@read) makes documents of bytes, [`document`] finds the paths in one, [`server`] the
//! base paths; [`key`] reads what a key says, [`parameters`] and [`pattern`] what parameters add to
//! it, and [`template`] writes it down.

mod checked;
mod document;
mod key;
mod kinds;
mod parameters;
mod pattern;
mod placeholder;
mod read;
mod references;
mod server;
mod template;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::config;
use crate::labels;
pub use checked::drop_refused;
use document::{Item, Operations};
pub use references::read;
use template::Template;

/// Places for what the specification does not name: methods' values are few, endpoints that are
/// inferred beside the templates need some.
const SPARE_VALUES: usize = 98;
/// The most bytes of a label.
const MAX_LABEL_BYTES: usize = 1024;
/// The most bytes of a key that is read.
const MAX_KEY_BYTES: usize = 4096;
/// Statuses that an operation has in practice, for the number of series.
const STATUSES: usize = 4;

/// Templates of several specifications, merged.
#[derive(Debug, Default)]
pub struct Import {
    /// Names of parameters whose values have several segments, although no specification says so.
    several: BTreeSet<String>,
    entries: Vec<Entry>,
    /// Places in `entries` by what is matched.
    by_shape: BTreeMap<String, Vec<usize>>,
    /// What had to be changed or left out, for the user.
    notes: Vec<String>,
    told: BTreeSet<String>,
}

#[derive(Debug)]
struct Entry {
    /// The path part, which is the label.
    path: String,
    /// `None`: whatever the method.
    only: Option<BTreeSet<String>>,
    /// The methods that the specifications name.
    methods: BTreeSet<String>,
    /// What the template cannot say.
    regex: Option<String>,
}

impl Import {
    /// An import that takes the values of these parameters to have several segments.
    #[must_use]
    pub fn with_several(names: impl IntoIterator<Item = String>) -> Self {
        Self { several: names.into_iter().collect(), ..Self::default() }
    }

    /// Adds the paths of the specifications in a file, of which `name` is the file, to which relative
    /// references refer.
    ///
    /// # Errors
    /// What it is, where it is no specification or has no paths. Nothing is added then.
    pub fn add(&mut self, name: &Path, text: &[u8]) -> anyhow::Result<()> {
        let shown = name.display().to_string();
        self.add_file(name, text, &shown).with_context(|| shown.clone())
    }

    fn add_file(&mut self, name: &Path, text: &[u8], shown: &str) -> anyhow::Result<()> {
        if let Some(what) = kinds::of_text(text) {
            bail!("{what}");
        }
        let documents = read::objects(text)?;
        let several = documents.len() > 1;
        let mut found = Vec::new();
        let mut first_mistake = None;
        for (index, document) in documents.iter().enumerate() {
            match document::paths(document, name) {
                Ok(items) => found.push(items),
                Err(mistake) if several => {
                    self.note(format!("{shown}: document {} {mistake:#}", index + 1));
                    // That of a specification says more.
                    if first_mistake.is_none() || document::is_specification(document) {
                        first_mistake = Some(mistake);
                    }
                }
                Err(mistake) => return Err(mistake),
            }
        }
        if let (true, Some(mistake)) = (found.is_empty(), first_mistake) {
            return Err(mistake);
        }
        for item in found.into_iter().flatten() {
            self.add_item(item, shown);
        }
        Ok(())
    }

    /// Tells something once.
    fn note(&mut self, note: String) {
        if self.told.insert(note.clone()) {
            self.notes.push(note);
        }
    }

    fn add_item(&mut self, item: Item, shown: &str) {
        let key = item.key.as_str();
        if key.len() > MAX_KEY_BYTES {
            let start: String = key.chars().take(60).collect();
            self.note(format!(
                "{shown}: \"{start}…\" is left out: it has {} bytes, more than any template",
                key.len()
            ));
            return;
        }
        for note in item.notes {
            self.note(format!("{shown}: {key:?}: {note}"));
        }
        let mut changes = Vec::new();
        let (method, path) = method_of(key);
        let whole = server::path_of_whole_url(path);
        if whole.is_some() {
            changes.push("is a whole URL; its path is taken, and no server's".to_owned());
        }
        if let Some(method) = method {
            changes.push(format!("begins with the method {method}, which is no part of the path"));
        }
        let nodes = key::read(whole.unwrap_or(path), &mut changes);
        for Operations { servers, mut parameters, mut methods } in item.operations {
            for name in &self.several {
                parameters.entry(name.clone()).or_default().several =
                    Some("`--multi-segment`".to_owned());
            }
            methods.extend(method.map(str::to_owned));
            let refined = template::refine(&nodes, &parameters, &mut changes);
            let forms = template::forms(&refined, &mut changes);
            let mut shapes = BTreeSet::new();
            let mut written = Vec::new();
            for form in &forms {
                let before = changes.len();
                match template::write(form, &mut changes) {
                    Some(template) => {
                        if shapes.insert(template::shape(&template.path)) {
                            written.push((form, template));
                        }
                    }
                    None => {
                        let why = changes.split_off(before).join("; ");
                        self.note(format!("{shown}: {key:?} is left out: {why}"));
                    }
                }
            }
            if let [_, _, ..] = written.as_slice() {
                let list: Vec<String> =
                    written.iter().map(|(_, template)| format!("{:?}", template.path)).collect();
                changes.push(format!("is {} templates: {}", list.len(), list.join(", ")));
            }
            let bases = if whole.is_some() { vec![server::Base::root()] } else { servers };
            for base in bases {
                for note in &base.notes {
                    self.note(format!("{shown}: server {:?}: {note}", base.url));
                }
                for (form, template) in &written {
                    self.insert_below(&base, form, template, &methods, shown);
                }
            }
        }
        for change in changes {
            self.note(format!("{shown}: {key:?}: {change}"));
        }
    }

    fn insert_below(
        &mut self,
        base: &server::Base,
        form: &[key::Node],
        template: &Template,
        methods: &BTreeSet<String>,
        shown: &str,
    ) {
        if base.path.is_empty() {
            self.insert(template.clone(), methods, shown);
            return;
        }
        let mut whole = template::plain(&base.path);
        whole.push(key::Node::Text("/".to_owned()));
        whole.extend_from_slice(form);
        let mut changes = Vec::new();
        let full = template::write(&whole, &mut changes);
        // What concerns the form alone was told with it.
        if changes.iter().any(|change| change.contains("too long")) || full.is_none() {
            let note = format!(
                "{shown}: {:?} below {:?} {}",
                template.path,
                base.path,
                changes.join("; ")
            );
            self.note(note);
        }
        if let Some(full) = full {
            self.insert(full, methods, shown);
        }
    }

    /// Adds a path. Where others match the same, the first one keeps its requests: another name
    /// gets only the methods that it has alone.
    fn insert(&mut self, template: Template, methods: &BTreeSet<String>, shown: &str) {
        let Template { path, regex } = template;
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
                entry.regex = entry.regex.take().or(regex);
            }
            return;
        }
        let mut only = None;
        let mut own = methods.clone();
        let mut note = None;
        if let Some((_, first)) = same.clone().next() {
            for (_, entry) in same {
                own.retain(|method| !entry.methods.contains(method));
            }
            let first = first.path.clone();
            if own.is_empty() {
                self.note(format!(
                    "{shown}: {path:?} matches the same requests as {first:?}, which came first \
                     and gives the label"
                ));
                return;
            }
            let list = own.iter().cloned().collect::<Vec<_>>().join(", ");
            note = Some(format!(
                "{shown}: {path:?} matches the same paths as {first:?}, which came first; it is \
                 the label for {list} only"
            ));
            only = Some(own.clone());
        }
        places.push(self.entries.len());
        self.entries.push(Entry { path, only, methods: own, regex });
        if let Some(note) = note {
            self.note(note);
        }
    }

    /// The templates in the order of the specifications, a method in front only where two names of
    /// the same path are told apart by it.
    #[must_use]
    pub fn templates(&self) -> Vec<String> {
        let mut templates = Vec::new();
        for Entry { path, only, .. } in &self.entries {
            match only {
                None => templates.push(path.clone()),
                Some(methods) => {
                    templates.extend(methods.iter().map(|method| format!("{method} {path}")));
                }
            }
        }
        templates
    }

    /// Rules for what templates cannot say. They come after the templates, so they take only what
    /// nothing else has; the longer expressions, which have more text, come first.
    fn rules(&self, templates: &[String]) -> Vec<Value> {
        let kept: BTreeSet<&str> = templates.iter().map(|template| path_of(template)).collect();
        let mut seen = BTreeSet::new();
        let mut rules: Vec<(&str, &str)> = self
            .entries
            .iter()
            .filter_map(|entry| Some((entry.regex.as_deref()?, entry.path.as_str())))
            .filter(|(regex, path)| kept.contains(path) && seen.insert(*regex))
            .collect();
        rules.sort_by_key(|(regex, _)| std::cmp::Reverse(regex.len()));
        rules
            .into_iter()
            .map(|(regex, path)| {
                // A label ends in no dot.
                let mut endpoint = String::new();
                labels::encode_foreign(path.as_bytes(), path.len() * 3, &mut endpoint);
                json!({"regex": regex, "endpoint": endpoint})
            })
            .collect()
    }

    /// What to do where names of parameters say that their values may have slashes, and nothing else
    /// does.
    fn named_paths(&self) -> Option<String> {
        let mut names = BTreeSet::new();
        let mut first = None;
        let mut count = 0;
        for Entry { path, .. } in &self.entries {
            let mut rest = path.as_str();
            let before = names.len();
            let mut named = false;
            while let Some((_, name, tail)) = server::next_variable(rest) {
                if parameters::names_several(name) {
                    names.insert(name);
                    named = true;
                }
                rest = tail;
            }
            count += usize::from(named);
            if first.is_none() && names.len() > before {
                first = Some(path);
            }
        }
        let list = names.into_iter().collect::<Vec<_>>().join(",");
        let others = match count - usize::from(count > 0) {
            0 => String::new(),
            others => format!(" (and {others} more)"),
        };
        first.map(|path| {
            format!(
                "{path:?}{others} is taken for one segment at each parameter, as the specification \
                 says nothing else; where values have slashes, give --multi-segment {list}"
            )
        })
    }

    /// The plugin configuration: the templates, and higher limits where the defaults are too low
    /// for them. With it, what had to be changed or left out, one line each.
    #[must_use]
    pub fn configuration(&self) -> (Value, Vec<String>) {
        let operations: usize = self.entries.iter().map(|entry| entry.methods.len().max(1)).sum();
        let mut templates = self.templates();
        let mut notes = self.notes.clone();
        notes.extend(drop_refused(&mut templates));
        notes.extend(self.named_paths());
        let mut rules = self.rules(&templates);
        notes.extend(checked::drop_refused_rules(&mut rules));
        let mut plugin = configuration(&templates, &rules, operations);
        if let (false, Some(endpoint)) = (rules.is_empty(), plugin["endpoint"].as_object_mut()) {
            endpoint.insert("rules".to_owned(), rules.into());
        }
        (plugin, notes)
    }
}

/// Takes a method off the front of a key, as some write it: `GET /users`.
fn method_of(key: &str) -> (Option<&str>, &str) {
    match key.trim().split_once(char::is_whitespace) {
        Some((method, path))
            if path.trim_start().starts_with('/')
                && method.len() < 10
                && !method.is_empty()
                && method.bytes().all(|byte| byte.is_ascii_uppercase()) =>
        {
            (Some(method), path.trim_start())
        }
        _ => (None, key),
    }
}

/// The plugin configuration with these templates, which must be valid, and higher limits where the
/// defaults are too low for them and for the endpoints of `rules`, which are not put in: `series`
/// pairs of method and endpoint are expected.
#[must_use]
pub fn configuration(templates: &[String], rules: &[Value], series: usize) -> Value {
    let paths: BTreeSet<&str> = templates.iter().map(|template| path_of(template)).collect();
    // The endpoint of a rule need not be spelt as that of its template is shown, so each may need a
    // place.
    let of_rules: BTreeSet<&str> =
        rules.iter().filter_map(|rule| rule["endpoint"].as_str()).collect();
    let defaults = config::Limits::default();
    let mut limits = serde_json::Map::new();
    let needed = paths.len() + of_rules.len() + 2;
    if needed > defaults.endpoints() as usize {
        let values = (needed + SPARE_VALUES).next_multiple_of(100);
        limits.insert("max_endpoints".to_owned(), json!(values));
    }
    let series = series * STATUSES;
    if series > defaults.max_series_per_metric as usize {
        let series = series.next_multiple_of(1000).min(1_000_000);
        limits.insert("max_series_per_metric".to_owned(), json!(series));
    }
    let longest = paths.iter().map(|path| shown_bytes(path)).max().unwrap_or(0);
    if longest > defaults.max_label_value_length as usize {
        let length = longest.next_multiple_of(10).min(MAX_LABEL_BYTES);
        limits.insert("max_label_value_length".to_owned(), json!(length));
    }
    let mut plugin = json!({ "endpoint": { "templates": templates } });
    if let (false, Some(plugin)) = (limits.is_empty(), plugin.as_object_mut()) {
        plugin.insert("limits".to_owned(), Value::Object(limits));
    }
    plugin
}

/// How long the label of a template's path is: some of its dots are encoded.
fn shown_bytes(path: &str) -> usize {
    let mut shown = String::new();
    labels::encode(path.as_bytes(), usize::MAX, &mut shown);
    shown.len()
}

/// A template without its method.
fn path_of(template: &str) -> &str {
    template.find('/').and_then(|slash| template.get(slash..)).unwrap_or(template)
}

/// Whether a text has a document that says that it is OpenAPI or Swagger.
///
/// # Errors
/// It is neither JSON nor YAML, or known to be something else.
pub fn is_specification(text: &[u8]) -> anyhow::Result<bool> {
    if let Some(what) = kinds::of_text(text) {
        bail!("{what}");
    }
    let documents = read::objects(text)?;
    if documents.iter().any(document::is_specification) {
        return Ok(true);
    }
    let foreign = |what: &&str| !["Envoy", "plugin"].iter().any(|own| what.contains(own));
    match documents.iter().find_map(kinds::of_document).filter(foreign) {
        Some(what) => bail!("{what}"),
        None => Ok(false),
    }
}

/// What a template matches, whatever its parameters are called; with its method.
#[must_use]
pub fn shape(template: &str) -> String {
    template::shape(template)
}

/// Brings labels into the form of templates; what has none is left out. For endpoints that were
/// inferred.
#[must_use]
pub fn templates_of_labels<'a>(labels: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let read = |label: &str| {
        let template = template::write(&template::plain(label), &mut Vec::new())?;
        template.regex.is_none().then_some(template.path)
    };
    labels.into_iter().filter(|label| label.starts_with('/')).filter_map(read).collect()
}

#[cfg(test)]
mod tests;
