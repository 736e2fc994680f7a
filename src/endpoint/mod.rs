//! Which endpoint a request belongs to.
//!
//! [`CanonicalPath`] says what the path is, and [`Endpoints`] what the configuration says of it: the
//! templates to exclude, then the templates, then the rules. What it does not know is left to the
//! route name and to inference.

mod decide;
mod hash;
mod inference;
mod matcher;
mod path;
mod reasons;
mod regex;
mod template;

use std::fmt;

use hashbrown::HashTable;

pub use decide::{Asked, Decided, Knowledge, Learners, decide, infer};
#[cfg(route_metrics_train)]
pub use inference::tried;
pub use inference::{Inference, MAX_LOG_BYTES, MAX_NEWS_BYTES};
pub use path::{CanonicalPath, Decoded, Form, MAX_SEGMENTS};
pub use reasons::{Reason, reasons};
pub use regex::MAX_TEXT_BYTES;

use crate::config::{self, Mistakes};
use crate::labels;
use matcher::{Conflict, Matcher};
use regex::Rule;
use template::Template;

/// The longest endpoint of a rule, in bytes.
const MAX_ENDPOINT_BYTES: usize = 1024;

/// How much of a percent-encoded path is looked at in its normal form; longer segments are compared
/// as they are.
const MAX_NORMAL_BYTES: usize = 2048;

/// The configured part of the endpoint decision, compiled.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    exclude: Matcher,
    /// The path of each template of `exclude`, for [`Endpoints::explain`].
    excluded: Vec<Template>,
    templates: Matcher,
    /// The label of each template.
    template_labels: Vec<u32>,
    /// Each rule with its label.
    rules: Vec<(Rule, u32)>,
    labels: Vec<String>,
}

/// What the configuration says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is not recorded.
    Excluded,
    /// It belongs to an endpoint: a place in [`Endpoints::labels`].
    Configured(u32),
    /// Nothing.
    Unknown,
}

/// Which entry of the configuration decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An entry of `exclude`.
    Exclude(u32),
    /// An entry of `templates`.
    Template(u32),
    /// An entry of `rules`.
    Rule(u32),
}

impl fmt::Display for Origin {
    /// `templates[3]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exclude(index) => write!(f, "exclude[{index}]"),
            Self::Template(index) => write!(f, "templates[{index}]"),
            Self::Rule(index) => write!(f, "rules[{index}]"),
        }
    }
}

/// The entry that decided, and its path or endpoint; printed as `templates[3] "/users/{id}"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explanation<'a> {
    /// Which entry.
    pub origin: Origin,
    /// The template's path, or the rule's endpoint.
    pub label: &'a str,
}

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.origin, self.label)
    }
}

impl Endpoints {
    /// Compiles the configuration. What is wrong goes to `mistakes`, by JSON path; where something
    /// was added there, the result lacks those entries and is not to be used.
    #[must_use]
    pub fn compile(config: &config::Endpoint, mistakes: &mut Mistakes) -> Self {
        let excluded = parse("endpoint.exclude", &config.exclude, mistakes);
        let templates = parse("endpoint.templates", &config.templates, mistakes);
        let (exclude, repeated) = Matcher::compile(entries(&excluded));
        report("endpoint.exclude", &config.exclude, &repeated, mistakes);
        let (matcher, repeated) = Matcher::compile(entries(&templates));
        report("endpoint.templates", &config.templates, &repeated, mistakes);
        report_excluded(config, &excluded, &templates, mistakes);

        let mut labels = Labels::default();
        let template_labels = templates
            .into_iter()
            .map(|template| template.map_or(0, |template| labels.place(template.path)))
            .collect();
        let mut rules = Vec::with_capacity(config.rules.len());
        for (index, rule) in config.rules.iter().enumerate() {
            let compiled = Rule::compile(&rule.regex).map_err(|message| {
                let message = format!("{}: {message}", quote(&rule.regex));
                mistakes.add(format!("endpoint.rules[{index}].regex"), message);
            });
            if let Err(message) = check_endpoint(&rule.endpoint) {
                let message = format!("{}: {message}", quote(&rule.endpoint));
                mistakes.add(format!("endpoint.rules[{index}].endpoint"), message);
            } else if let Ok(compiled) = compiled {
                rules.push((compiled, labels.place(rule.endpoint.clone())));
            }
        }
        Self {
            exclude,
            excluded: excluded.into_iter().flatten().collect(),
            templates: matcher,
            template_labels,
            rules,
            labels: labels.all,
        }
    }

    /// The endpoints that the configuration names, each once: those of the templates in their
    /// order, then those of the rules.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// What the configuration says of a request. Allocates nothing, but for each rule the first
    /// time it is tried.
    #[must_use]
    pub fn find(&self, method: &[u8], path: &CanonicalPath<'_>) -> Found {
        match self.decide(method, path) {
            Some((Origin::Exclude(_), _)) => Found::Excluded,
            Some((_, label)) => Found::Configured(label),
            None => Found::Unknown,
        }
    }

    /// Which entry gave what [`Endpoints::find`] says; `None` for [`Found::Unknown`].
    #[must_use]
    pub fn explain(&self, method: &[u8], path: &CanonicalPath<'_>) -> Option<Explanation<'_>> {
        let (origin, label) = self.decide(method, path)?;
        let label = match origin {
            Origin::Exclude(index) => &self.excluded.get(index as usize)?.path,
            _ => self.labels.get(label as usize)?,
        };
        Some(Explanation { origin, label })
    }

    /// What a parameter of the matched template stands for, as the client spelt it: the first of
    /// that name, for `{*name}` all up to the end of the path. `None` where no template matched,
    /// where it has no such parameter, and where the client percent-encoded the text that stands
    /// beside the parameter in its segment.
    #[must_use]
    pub fn param<'a>(
        &self,
        method: &[u8],
        path: &CanonicalPath<'a>,
        name: &str,
    ) -> Option<&'a [u8]> {
        let (Origin::Template(_), label) = self.decide(method, path)? else { return None };
        template::param(self.labels.get(label as usize)?, path, name)
    }

    /// Bytes on the heap, without the rules.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.exclude.heap_bytes()
            + self.templates.heap_bytes()
            + self.template_labels.len() * size_of::<u32>()
            + self.labels.iter().map(|label| label.len() + size_of::<String>()).sum::<usize>()
    }

    /// The entry that decides, and its label (0 for what is excluded).
    fn decide(&self, method: &[u8], path: &CanonicalPath<'_>) -> Option<(Origin, u32)> {
        if path.form() == Form::Path {
            let found = if path.has_percent() {
                self.decide_encoded(method, path)
            } else {
                self.decide_segments(method, path.segments(), path.truncated())
            };
            if found.is_some() {
                return found;
            }
        }
        if self.rules.is_empty() {
            return None;
        }
        regex::with_text(path, |text| {
            let matched = |(rule, _): &(Rule, u32)| rule.matches(text);
            let index = self.rules.iter().position(matched)?;
            let (_, label) = self.rules.get(index)?;
            Some((Origin::Rule(u32::try_from(index).ok()?), *label))
        })?
    }

    /// The template that decides.
    fn decide_segments(
        &self,
        method: &[u8],
        segments: &[&[u8]],
        truncated: bool,
    ) -> Option<(Origin, u32)> {
        if !self.exclude.is_empty()
            && let Some(index) = self.exclude.find(method, segments, truncated)
        {
            return Some((Origin::Exclude(index), 0));
        }
        let index = self.templates.find(method, segments, truncated)?;
        Some((Origin::Template(index), *self.template_labels.get(index as usize)?))
    }

    /// As [`Self::decide_segments`], for paths with something percent-encoded: the segments are put
    /// into the normal form that the templates' text has.
    #[cold]
    #[inline(never)]
    fn decide_encoded(&self, method: &[u8], path: &CanonicalPath<'_>) -> Option<(Origin, u32)> {
        let mut buffer = [0; MAX_NORMAL_BYTES];
        let mut room = buffer.as_mut_slice();
        let mut segments: [&[u8]; MAX_SEGMENTS] = [&[]; MAX_SEGMENTS];
        for (place, &segment) in segments.iter_mut().zip(path.segments()) {
            *place = segment;
            if segment.contains(&b'%') && segment.len() <= room.len() {
                let mut length = 0;
                template::normalise(segment, |byte| {
                    if let Some(place) = room.get_mut(length) {
                        *place = byte;
                        length += 1;
                    }
                });
                let (normal, others) = std::mem::take(&mut room).split_at_mut(length);
                (*place, room) = (normal, others);
            }
        }
        let segments = segments.get(..path.segments().len())?;
        self.decide_segments(method, segments, path.truncated())
    }
}

/// The labels so far, each once.
#[derive(Default)]
struct Labels {
    all: Vec<String>,
    places: HashTable<u32>,
}

impl Labels {
    /// Where a label is.
    fn place(&mut self, label: String) -> u32 {
        let hash = hash::of_bytes(label.as_bytes());
        let same = |&place: &u32| self.all.get(place as usize) == Some(&label);
        if let Some(&place) = self.places.find(hash, same) {
            return place;
        }
        let place = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        let rehash = |&place: &u32| {
            hash::of_bytes(self.all.get(place as usize).map_or(&[], |label| label.as_bytes()))
        };
        self.places.insert_unique(hash, place, rehash);
        self.all.push(label);
        place
    }
}

/// The method and the label of a path that is written as a template is.
///
/// # Errors
/// What is wrong with it, in words.
pub fn label_of_template(written: &str) -> Result<(Option<String>, String), Vec<String>> {
    Template::parse(written).map(|Template { method, path }| (method, path))
}

/// Reads templates; those with a mistake are absent from the result.
fn parse(at: &str, written: &[String], mistakes: &mut Mistakes) -> Vec<Option<Template>> {
    let read = |(index, written): (usize, &String)| match Template::parse(written) {
        Ok(template) => Some(template),
        Err(messages) => {
            for message in messages {
                mistakes.add(format!("{at}[{index}]"), format!("{}: {message}", quote(written)));
            }
            None
        }
    };
    written.iter().enumerate().map(read).collect()
}

/// The templates that could be read, with their places.
fn entries(templates: &[Option<Template>]) -> impl Iterator<Item = (u32, &Template)> {
    (0..).zip(templates).filter_map(|(index, template)| Some((index, template.as_ref()?)))
}

/// Reports templates that match what an earlier one matches.
fn report(at: &str, written: &[String], repeated: &[Conflict], mistakes: &mut Mistakes) {
    let text = |index: u32| written.get(index as usize).map(|text| quote(text)).unwrap_or_default();
    for Conflict { later, earlier } in repeated {
        mistakes.add(
            format!("{at}[{later}]"),
            format!(
                "{}: matches the same requests as {at}[{earlier}] {}; keep one of them",
                text(*later),
                text(*earlier)
            ),
        );
    }
}

/// Reports templates that no request can reach, because `exclude` holds the same.
fn report_excluded(
    config: &config::Endpoint,
    excluded: &[Option<Template>],
    templates: &[Option<Template>],
    mistakes: &mut Mistakes,
) {
    let sorted = template::sorted(entries(excluded), Template::compare_paths);
    for (index, template) in entries(templates) {
        let start = sorted.partition_point(|(_, other)| other.compare_paths(template).is_lt());
        let same = sorted
            .iter()
            .skip(start)
            .take_while(|(_, other)| other.compare_paths(template).is_eq())
            .find(|(_, other)| other.method.is_none() || other.method == template.method);
        if let Some((other, _)) = same {
            let text = |list: &[String], index: u32| {
                list.get(index as usize).map(|text| quote(text)).unwrap_or_default()
            };
            mistakes.add(
                format!("endpoint.templates[{index}]"),
                format!(
                    "{}: is never used, because endpoint.exclude[{other}] {} excludes its \
                     requests; remove one of them",
                    text(&config.templates, index),
                    text(&config.exclude, *other)
                ),
            );
        }
    }
}

/// Checks the endpoint of a rule.
fn check_endpoint(endpoint: &str) -> Result<(), String> {
    if endpoint.is_empty() {
        return Err("is empty; write the label, such as /legacy/{script}".to_owned());
    }
    if endpoint.len() > MAX_ENDPOINT_BYTES {
        return Err(format!(
            "has {} bytes; at most {MAX_ENDPOINT_BYTES} are allowed",
            endpoint.len()
        ));
    }
    let mut shown = String::new();
    labels::encode_foreign(endpoint.as_bytes(), MAX_ENDPOINT_BYTES * 3, &mut shown);
    if shown == endpoint {
        return Ok(());
    }
    Err(format!(
        "cannot be shown as it is, only as {}; write that, or another text of printable ASCII",
        quote(&shown)
    ))
}

/// A text of the configuration in a message: in quotes, long ones cut.
fn quote(text: &str) -> String {
    const SHOWN: usize = 100;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests;
