//! The base paths of a specification's servers.

use std::collections::BTreeSet;

use serde_json::Value;

use super::placeholder;

/// Base paths made of one server's variables; more of them become a placeholder.
const MAX_BASES: usize = 16;

/// The path below which a server has the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Base {
    /// As it stands in the specification.
    pub url: String,
    /// Empty or starting with a slash; placeholders where a variable has no value.
    pub path: String,
    /// What the user should know.
    pub notes: Vec<String>,
}

impl Base {
    /// No base path.
    pub fn root() -> Self {
        Self { url: String::new(), path: String::new(), notes: Vec::new() }
    }
}

/// The base path of Swagger 2.0, which is always a path.
pub(super) fn bases_of_path(path: &str) -> Vec<Base> {
    let path = path.trim();
    let url = if path.contains("://") || path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    };
    bases_of_url(&url, &Variables(None))
}

/// What follows the host in a text that should be a host alone.
pub(super) fn after_host(host: &str) -> &str {
    let host = host.split_once("://").map_or(host, |(_, host)| host);
    host.find('/').and_then(|slash| host.get(slash..)).unwrap_or_default()
}

/// The base paths of a list of Server Objects, each once; that of `/` where it is empty, as OpenAPI
/// 3.1.1, 4.8.1 (`servers`) says.
pub(super) fn bases(servers: &[Value]) -> Vec<Base> {
    let mut bases: Vec<Base> = Vec::new();
    for server in servers {
        let url = server.as_str().or_else(|| server.get("url").and_then(Value::as_str));
        let Some(url) = url else { continue };
        for base in bases_of_url(url, &Variables(server.get("variables"))) {
            if !bases.iter().any(|known| known.path == base.path) {
                bases.push(base);
            }
        }
    }
    if bases.is_empty() {
        bases.push(Base::root());
    }
    bases
}

/// The `variables` of a server.
struct Variables<'v>(Option<&'v Value>);

/// What a variable stands for in a path.
#[derive(Debug)]
enum Meaning {
    /// One of these, the default first.
    Values(Vec<String>),
    /// Anything; the default is there as an example.
    Anything(String),
    /// The server has no such variable.
    Unknown,
}

impl Variables<'_> {
    fn meaning(&self, name: &str) -> Meaning {
        let text = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let Some(variable) = self.0.and_then(|all| all.get(name)) else { return Meaning::Unknown };
        let default = variable.get("default").and_then(text);
        let closed = variable.get("enum").and_then(Value::as_array).filter(|list| !list.is_empty());
        let Some(closed) = closed else {
            return default.map_or(Meaning::Unknown, Meaning::Anything);
        };
        let mut values: Vec<String> = default.into_iter().collect();
        for value in closed {
            if let Some(value) = text(value).filter(|value| !values.contains(value)) {
                values.push(value);
            }
        }
        Meaning::Values(values)
    }

    /// Whether a value of a variable has a slash, so that it is more than a part of a host.
    fn is_path(&self, name: &str) -> bool {
        match self.meaning(name) {
            Meaning::Values(values) => values.iter().any(|value| value.contains('/')),
            Meaning::Anything(default) => default.contains('/'),
            Meaning::Unknown => false,
        }
    }
}

fn bases_of_url(url: &str, variables: &Variables<'_>) -> Vec<Base> {
    let mut notes = Vec::new();
    let written = placeholder::normalise(url.trim());
    let written = written.split(['?', '#']).next().unwrap_or_default();
    let path = path_of(written, variables, &mut notes);
    let mut paths = vec![String::new()];
    let mut rest = path;
    while let Some((text, name, tail)) = next_variable(rest) {
        let placeholder = format!("{{{name}}}");
        let values = match variables.meaning(name) {
            Meaning::Values(values) if values.len() * paths.len() <= MAX_BASES => values,
            Meaning::Values(_) => {
                notes.push(format!("{placeholder} has many values, so it is a placeholder"));
                vec![placeholder]
            }
            Meaning::Anything(default)
                if default.trim_matches('/').contains('/') || default.contains("://") =>
            {
                notes.push(format!(
                    "{placeholder} may be anything; as its default {default:?} has slashes, that is \
                     taken"
                ));
                vec![default]
            }
            Meaning::Anything(default) => {
                notes.push(format!(
                    "{placeholder} may be anything (it has no `enum`), so it is a placeholder"
                ));
                // A value that brings its own slashes.
                let slash = |at: bool| if at { "/" } else { "" };
                let around = format!(
                    "{}{placeholder}{}",
                    slash(default.starts_with('/')),
                    slash(default.len() > 1 && default.ends_with('/'))
                );
                if default.trim_matches('/').is_empty() {
                    vec![default, around]
                } else {
                    vec![around]
                }
            }
            Meaning::Unknown => {
                notes.push(format!("{placeholder} has no value, so it is a placeholder"));
                vec![placeholder]
            }
        };
        paths = paths
            .iter()
            .flat_map(|path| values.iter().map(move |value| format!("{path}{text}{value}")))
            .take(MAX_BASES)
            .collect();
        rest = tail;
    }
    let mut known = BTreeSet::new();
    let mut bases = Vec::new();
    for path in paths {
        // A value may itself hold a whole URL.
        let path = resolved(&format!("{path}{rest}"));
        if known.insert(path.clone()) {
            bases.push(Base { url: url.to_owned(), path, notes: std::mem::take(&mut notes) });
        }
    }
    bases
}

/// The part of a URL or relative reference (RFC 3986, 4.1) behind its scheme and host, whose
/// variables do not matter: but one of them may hold the start of the path, as in
/// `https://api.example.com{basePath}`, or all of it.
///
/// A relative path is taken to start at the root: where the specification was served is not known.
fn path_of<'u>(url: &'u str, variables: &Variables<'_>, notes: &mut Vec<String>) -> &'u str {
    let (rest, absolute) = match scheme_end(url) {
        Some(end) => (url.get(end..).unwrap_or_default(), true),
        None => (url, false),
    };
    if let Some(rest) = rest.strip_prefix("//") {
        return behind_host(rest, variables);
    }
    if absolute || rest.starts_with('/') || rest.is_empty() {
        return rest;
    }
    let end = first_slash(rest);
    let (first, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
    match next_variable(first) {
        None if is_host(first) => {
            notes.push(format!("has no scheme; {first:?} is taken for the host"));
            path
        }
        None => rest,
        // Two of them, or one beside a port or a domain.
        Some((before, _, after)) if !before.is_empty() || !after.is_empty() => {
            if first.contains([':', '.']) || next_variable(after).is_some() {
                notes.push(format!("has no scheme; {first:?} is taken for the host"));
                behind_host(rest, variables)
            } else {
                rest
            }
        }
        Some((_, name, _)) => match variables.meaning(name) {
            Meaning::Values(values) if !values.iter().all(|value| is_host(value)) => rest,
            Meaning::Anything(value) if !is_host(&value) && !names_a_host(name) => rest,
            Meaning::Anything(value) if value.contains('/') => rest,
            Meaning::Unknown if names_a_segment(name) => rest,
            Meaning::Unknown => {
                notes.push(format!(
                    "{first:?} has no value and is taken for the host; where it has a path, write \
                     the value"
                ));
                path
            }
            _ => path,
        },
    }
}

/// What stands behind the host: from the first slash, or variable whose value has one.
fn behind_host<'u>(rest: &'u str, variables: &Variables<'_>) -> &'u str {
    let end = first_slash(rest);
    let mut at = 0;
    while let Some((text, name, tail)) = next_variable(rest.get(at..end).unwrap_or_default()) {
        if variables.is_path(name) {
            return rest.get(at + text.len()..).unwrap_or_default();
        }
        at = end - tail.len();
    }
    rest.get(end..).unwrap_or_default()
}

/// The first slash that is in no braces, or the end.
fn first_slash(text: &str) -> usize {
    let mut depth = 0;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b'/' if depth <= 0 => return index,
            _ => {}
        }
    }
    text.len()
}

/// Text before a variable, its name, and what follows.
pub(super) fn next_variable(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('{')?;
    let (name, after) = rest.split_once('}')?;
    Some((before, name, after))
}

/// The path of a text that is a whole URL.
pub(super) fn path_of_whole_url(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once("://")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.{}_".contains(&byte);
    if scheme.is_empty() || !scheme.bytes().all(plain) {
        return None;
    }
    rest.get(first_slash(rest)..)
}

/// A path without a scheme, empty segments, dots and a trailing slash.
fn resolved(path: &str) -> String {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let path = path_of_whole_url(path.trim_start_matches('/')).unwrap_or(path);
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment.trim() {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    segments.iter().flat_map(|segment| ["/", segment]).collect()
}

/// Where the path or authority starts behind a scheme, which may be a variable.
fn scheme_end(url: &str) -> Option<usize> {
    let colon = url.find("://")?;
    let scheme = url.get(..colon)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.{}_".contains(&byte);
    scheme.bytes().all(plain).then_some(colon + 1)
}

/// Whether a variable without a value at the start of a URL is named as a part of a path.
fn names_a_segment(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["version", "stage", "tenant", "prefix", "locale", "lang"].iter().any(|n| name.contains(n))
}

/// Whether a variable at the start of a URL is named as a host.
fn names_a_host(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let words = ["host", "server", "domain", "url", "uri", "origin", "instance", "endpoint"];
    words.iter().any(|word| name.contains(word))
}

/// Whether the start of a reference without a scheme is meant as a host: `api.example.com`,
/// `localhost:8080`, and neither `v1` nor `v1.0`.
fn is_host(text: &str) -> bool {
    let text = text.split_once("://").map_or(text, |(_, host)| host);
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    if port.is_some_and(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())) {
        return true;
    }
    let last = host.rsplit_once('.').map(|(_, last)| last);
    host == "localhost"
        || last.is_some_and(|last| last.len() > 1 && last.bytes().all(|b| b.is_ascii_alphabetic()))
}
