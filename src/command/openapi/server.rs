//! The base paths of a specification's servers.

use std::collections::BTreeSet;

use serde_json::Value;

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

    /// The `basePath` of Swagger 2.0.
    pub fn of_base_path(path: &str) -> Self {
        let mut notes = Vec::new();
        let base = path_of_url(path, &mut notes);
        Self { url: path.to_owned(), path: base, notes }
    }
}

/// The base paths of a list of Server Objects, each once; that of `/` where it is empty, as OpenAPI
/// 3.1.1, 4.8.1 (`servers`) says.
pub(super) fn bases(servers: &[Value]) -> Vec<Base> {
    let mut bases: Vec<Base> = Vec::new();
    for server in servers {
        for base in bases_of_server(server) {
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

fn bases_of_server(server: &Value) -> Vec<Base> {
    let Some(url) = server.get("url").and_then(Value::as_str) else { return Vec::new() };
    let variables = server.get("variables");
    let variable = |name: &str| variable_values(variables.and_then(|all| all.get(name)));
    let mut notes = Vec::new();
    let written = path_of_url(&with_authority(url, variable), &mut notes);
    let mut paths = vec![String::new()];
    let mut rest = written.as_str();
    while let Some((text, name, tail)) = next_variable(rest) {
        let values = match variable(name) {
            Some(values) if values.len() * paths.len() <= MAX_BASES => values,
            Some(_) => {
                notes.push(format!("{{{name}}} has many values, so it is a placeholder"));
                vec![format!("{{{name}}}")]
            }
            None => {
                notes.push(format!("{{{name}}} has no default, so it is a placeholder"));
                vec![format!("{{{name}}}")]
            }
        };
        paths = paths
            .iter()
            .flat_map(|path| values.iter().map(move |value| format!("{path}{text}{value}")))
            .collect();
        rest = tail;
    }
    let mut known = BTreeSet::new();
    let mut bases = Vec::new();
    for path in paths {
        // A value may itself hold a whole URL.
        let path = path_of_url(&format!("{path}{rest}"), &mut notes);
        if known.insert(path.clone()) {
            bases.push(Base { url: url.to_owned(), path, notes: std::mem::take(&mut notes) });
        }
    }
    bases
}

/// A URL whose authority has no variables: which of their values it is does not matter, but one of
/// them may hold the start of the path, as in `https://api.example.com{basePath}`.
fn with_authority(url: &str, variable: impl Fn(&str) -> Option<Vec<String>>) -> String {
    let Some(start) = url.find("//").map(|at| at + 2) else { return url.to_owned() };
    let (before, rest) = url.split_at_checked(start).unwrap_or((url, ""));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let mut known = before.to_owned();
    let mut rest = authority;
    while let Some((text, name, tail)) = next_variable(rest) {
        let value = variable(name).and_then(|values| values.into_iter().next());
        known.extend([text, &value.unwrap_or_default()]);
        rest = tail;
    }
    known + rest + path
}

/// Text before a variable, its name, and what follows.
fn next_variable(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('{')?;
    let (name, after) = rest.split_once('}')?;
    Some((before, name, after))
}

/// The values of a variable, the default first.
fn variable_values(variable: Option<&Value>) -> Option<Vec<String>> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let variable = variable?;
    let mut values: Vec<String> = variable.get("default").and_then(text).into_iter().collect();
    for value in variable.get("enum").and_then(Value::as_array).into_iter().flatten() {
        if let Some(value) = text(value).filter(|value| !values.contains(value)) {
            values.push(value);
        }
    }
    (!values.is_empty()).then_some(values)
}

/// The path of a URL or relative reference (RFC 3986, 4.1), without a trailing slash.
///
/// A relative path is taken to start at the root: where the specification was served is not known.
fn path_of_url(url: &str, notes: &mut Vec<String>) -> String {
    let url = url.trim();
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let (url, absolute) = match scheme_end(url) {
        Some(end) => (url.get(end..).unwrap_or_default(), true),
        None => (url, false),
    };
    let path = match url.strip_prefix("//") {
        Some(rest) => rest.find('/').and_then(|slash| rest.get(slash..)).unwrap_or_default(),
        None if absolute || url.starts_with('/') || url.is_empty() => url,
        None => {
            let (first, rest) = url.split_once('/').unwrap_or((url, ""));
            if is_host(first) {
                notes.push(format!("has no scheme; {first:?} is taken for the host"));
                rest
            } else {
                url
            }
        }
    };
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
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

/// Whether the start of a reference without a scheme is meant as a host: `api.example.com`,
/// `localhost:8080`, and neither `v1` nor `v1.0`.
fn is_host(text: &str) -> bool {
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
