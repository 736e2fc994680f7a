//! From what a key says to templates.

use std::collections::{BTreeMap, BTreeSet};

use super::key::{Node, parameter_name, push_optional, with_pattern};
use super::parameters::Parameter;
use crate::endpoint::MAX_SEGMENTS;

/// The most bytes of a template.
const MAX_BYTES: usize = 1000;
/// The most templates of one key.
const MAX_FORMS: usize = 32;

/// A template, and what it cannot say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    /// The template's path.
    pub path: String,
    /// A regular expression for requests that belong to it, where it has parameters of several
    /// segments that a template has no form for.
    pub regex: Option<String>,
}

/// What the parameters of an operation say is put into a key.
pub(super) fn refine(
    nodes: &[Node],
    parameters: &BTreeMap<String, Parameter>,
    changes: &mut Vec<String>,
) -> Vec<Node> {
    let mut refined: Vec<Node> = Vec::new();
    for node in nodes {
        let (Node::Param(name) | Node::Part(name) | Node::Rest(name)) = node else {
            refined.push(match node {
                Node::Choice(ways) => {
                    let ways = ways.iter().map(|way| refine(way, parameters, changes));
                    Node::Choice(ways.collect())
                }
                node => node.clone(),
            });
            continue;
        };
        let Some(parameter) = parameters.get(name.as_str()) else {
            refined.push(node.clone());
            continue;
        };
        if parameter.matrix {
            changes.push(format!(
                "{name:?} has the style \"matrix\" and is left out: what follows a ';' is no part of \
                 an endpoint"
            ));
            continue;
        }
        let new = match (node, &parameter.several, &parameter.pattern) {
            (Node::Param(_), Some(why), _) => {
                changes.push(format!("{name:?} may have several segments, as {why} says"));
                Node::Rest(name.clone())
            }
            (Node::Param(_), None, Some(pattern)) => with_pattern(name, pattern, changes),
            _ => node.clone(),
        };
        if parameter.optional {
            push_optional(&mut refined, vec![new]);
        } else {
            refined.push(new);
        }
    }
    refined
}

/// All ways through the choices of a key. Where there are too many, the first and the last of all
/// choices, which are the key without and with everything optional.
pub(super) fn forms(nodes: &[Node], changes: &mut Vec<String>) -> Vec<Vec<Node>> {
    let mut too_many = false;
    let all = expand(nodes, &mut too_many);
    if !too_many {
        return all;
    }
    changes
        .push(format!("has more than {MAX_FORMS} forms; only the shortest and longest are taken"));
    let mut ends = vec![end(nodes, |ways| ways.first()), end(nodes, |ways| ways.last())];
    ends.dedup();
    ends
}

fn expand(nodes: &[Node], too_many: &mut bool) -> Vec<Vec<Node>> {
    let mut forms: Vec<Vec<Node>> = vec![Vec::new()];
    for node in nodes {
        let Node::Choice(ways) = node else {
            forms.iter_mut().for_each(|form| form.push(node.clone()));
            continue;
        };
        let mut longer = Vec::new();
        for way in ways {
            for way in expand(way, too_many) {
                if longer.len() > MAX_FORMS * MAX_FORMS {
                    *too_many = true;
                    return forms;
                }
                longer.extend(forms.iter().map(|form| [form.as_slice(), &way].concat()));
            }
        }
        // Of `/:a?/:b?`, the second alone is what the first one is.
        let mut seen = BTreeSet::new();
        longer.retain(|form| seen.insert(shape_of(form)));
        forms = longer;
    }
    *too_many |= forms.len() > MAX_FORMS;
    forms
}

/// What a form matches, whatever its parameters are called.
fn shape_of(form: &[Node]) -> String {
    let mut shape = String::new();
    for node in form {
        shape.push_str(match node {
            Node::Text(text) => text,
            Node::Rest(_) => "{*}",
            _ => "{}",
        });
    }
    while shape.contains("//") {
        shape = shape.replace("//", "/");
    }
    shape
}

fn end(nodes: &[Node], choose: fn(&[Vec<Node>]) -> Option<&Vec<Node>>) -> Vec<Node> {
    let mut all = Vec::new();
    for node in nodes {
        match node {
            Node::Choice(ways) => {
                all.extend(choose(ways).into_iter().flat_map(|way| end(way, choose)));
            }
            node => all.push(node.clone()),
        }
    }
    all
}

/// Reads a path that has parameters in braces and nothing else of a key: a base path, or a label.
pub(super) fn plain(path: &str) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut rest = path;
    while let Some((text, name, tail)) = super::server::next_variable(rest) {
        nodes.push(Node::Text(text.to_owned()));
        nodes.push(match name.strip_prefix('*') {
            Some(name) => Node::Rest(name.to_owned()),
            None => Node::Part(name.to_owned()),
        });
        rest = tail;
    }
    nodes.push(Node::Text(rest.to_owned()));
    nodes
}

/// Writes a form of a key as a template, `None` where it has none. `changes` is told what is no
/// longer as it was written, or why there is no template.
pub(super) fn write(form: &[Node], changes: &mut Vec<String>) -> Option<Template> {
    let mut segments: Vec<Segment> = Vec::new();
    for mut segment in split_segments(form) {
        cut_parameters(&mut segment, changes);
        let segment = write_segment(&segment, changes);
        match segment.text.as_str() {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            _ => segments.push(segment),
        }
    }
    // A template has one parameter for several segments: the last one.
    let last = segments.iter().rposition(|segment| segment.rest);
    let mut lost = segments.iter().any(|segment| segment.mixed);
    let mut path = String::new();
    let count = segments.len();
    for (index, segment) in segments.iter().enumerate() {
        let too_deep = index + 1 == MAX_SEGMENTS && index + 1 < count;
        if too_deep || path.len() + segment.text.len() >= MAX_BYTES {
            if path.is_empty() {
                changes.push(format!("has a segment of {} bytes", segment.text.len()));
                return None;
            }
            changes.push(format!("is too long; it ends after {index} segments"));
            // It may have had one already.
            path = path.replace("{*", "{") + "/{*rest}";
            return Some(Template { path, regex: None });
        }
        path.push('/');
        if segment.rest && Some(index) != last {
            lost = true;
            path.push_str(&segment.text.replacen("{*", "{", 1));
        } else {
            path.push_str(&segment.text);
        }
    }
    if path.is_empty() {
        path.push('/');
    }
    let regex = lost.then(|| {
        let all: String = segments.iter().flat_map(|s| ["/", s.regex.as_str()]).collect();
        format!("^{all}$")
    });
    if lost {
        changes.push(format!(
            "a rule has what {path:?} cannot say: a parameter of several segments beside text, or \
             beside another one"
        ));
    }
    Some(Template { path, regex })
}

/// What a template matches, whatever its parameters are called.
pub(super) fn shape(template: &str) -> String {
    let mut shape = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((text, name, tail)) = super::server::next_variable(rest) {
        shape.push_str(text);
        shape.push_str(if name.starts_with('*') { "{*}" } else { "{}" });
        rest = tail;
    }
    shape.push_str(rest);
    shape
}

/// Splits at the slashes of text.
fn split_segments(form: &[Node]) -> Vec<Vec<Node>> {
    let mut segments = vec![Vec::new()];
    for node in form {
        let Node::Text(text) = node else {
            if let Some(segment) = segments.last_mut() {
                segment.push(node.clone());
            }
            continue;
        };
        for (index, part) in text.split('/').enumerate() {
            if index > 0 {
                segments.push(Vec::new());
            }
            let Some(segment) = segments.last_mut() else { continue };
            match segment.last_mut() {
                // Nothing is left of what stood between them.
                Some(Node::Text(text)) => text.push_str(part),
                _ if part.is_empty() => {}
                _ => segment.push(Node::Text(part.to_owned())),
            }
        }
    }
    segments.retain(|segment| !segment.is_empty());
    segments
}

/// Leaves out the parameters of a segment (RFC 3986, 3.3), which are no part of an endpoint.
fn cut_parameters(segment: &mut Vec<Node>, changes: &mut Vec<String>) {
    for (index, node) in segment.iter_mut().enumerate() {
        let Node::Text(text) = node else { continue };
        let Some(at) = text.find(';') else { continue };
        let cut = text.split_off(at);
        changes.push(format!("{cut:?} and what follows in its segment is left out"));
        let kept = if text.is_empty() { index } else { index + 1 };
        segment.truncate(kept);
        return;
    }
}

/// A segment of a template.
struct Segment {
    /// Empty where nothing is left of it.
    text: String,
    /// A regular expression for it.
    regex: String,
    /// It is `{*name}`.
    rest: bool,
    /// A parameter of several segments stands beside text, and is taken for one segment.
    mixed: bool,
}

fn write_segment(segment: &[Node], changes: &mut Vec<String>) -> Segment {
    if let [Node::Rest(name)] = segment {
        let text = format!("{{*{}}}", parameter_name(name));
        return Segment { text, regex: ".+".to_owned(), rest: true, mixed: false };
    }
    let mut written = Segment {
        text: String::new(),
        regex: String::new(),
        rest: false,
        mixed: segment.iter().any(|node| matches!(node, Node::Rest(_))),
    };
    // The names of parameters side by side: nothing says where one ends, so they are one.
    let mut names: Vec<String> = Vec::new();
    for node in segment {
        match node {
            Node::Param(name) | Node::Part(name) => {
                names.push(parameter_name(name));
                written.regex.push_str("[^/]+");
            }
            Node::Rest(name) => {
                names.push(parameter_name(name));
                written.regex.push_str(".+");
            }
            Node::Text(text) => {
                write_parameter(&mut names, &mut written.text, changes);
                let start = written.text.len();
                write_text(text, &mut written.text);
                let text = written.text.get(start..).unwrap_or_default();
                written.regex.push_str(&regex_lite::escape(text));
            }
            Node::Choice(_) => {}
        }
    }
    write_parameter(&mut names, &mut written.text, changes);
    // As a template, these would be read as something else.
    if written.text.starts_with(':') || matches!(written.text.as_str(), "*" | "**") {
        let encoded = if written.text.starts_with(':') { "%3A" } else { "%2A" };
        written.text.replace_range(..1, encoded);
        if written.text == "%2A*" {
            written.text = "%2A%2A".to_owned();
        }
    }
    written
}

fn write_parameter(names: &mut Vec<String>, written: &mut String, changes: &mut Vec<String>) {
    if names.is_empty() {
        return;
    }
    let name: String = names.join("_");
    if names.len() > 1 {
        changes.push(format!("parameters side by side are one, {{{name}}}"));
    }
    written.extend(["{", &name, "}"]);
    names.clear();
}

/// Text in the percent-encoding of RFC 3986, 3.3.
fn write_text(text: &str, written: &mut String) {
    let bytes = text.as_bytes();
    for (index, &byte) in bytes.iter().enumerate() {
        let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
        let encoded = byte == b'%' && is_digit(index + 1) && is_digit(index + 2);
        if encoded || byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(&byte) {
            written.push(char::from(byte));
        } else {
            written.push_str(&format!("%{byte:02X}"));
        }
    }
}
