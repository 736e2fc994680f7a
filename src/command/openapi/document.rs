//! Reading specifications: the parts that say where paths are.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::server::{self, Base};
use crate::config::json_values::visit_scalars;

/// The most bytes of a specification.
const MAX_BYTES: u64 = 256 << 20;
/// References that follow each other.
const MAX_REFERENCES: usize = 16;
/// Members that say nothing about paths and are the most of a specification.
const HEAVY: [&str; 12] = [
    "callbacks",
    "content",
    "definitions",
    "description",
    "example",
    "examples",
    "parameters",
    "requestBody",
    "responses",
    "schema",
    "schemas",
    "x-codeSamples",
];
/// The operations of a Path Item Object (OpenAPI 3.1.1, 4.8.9; 3.2 has `query`).
const METHODS: [&str; 9] =
    ["get", "put", "post", "delete", "options", "head", "patch", "trace", "query"];

/// A path of a specification.
#[derive(Debug)]
pub(super) struct Item {
    /// As it was written.
    pub key: String,
    /// Its operations by where they are served.
    pub operations: Vec<Operations>,
}

/// Operations of a path with the same servers.
#[derive(Debug)]
pub(super) struct Operations {
    /// The base paths.
    pub servers: Vec<Base>,
    /// In capitals.
    pub methods: BTreeSet<String>,
}

/// Files that references have named, each read once.
#[derive(Debug, Default)]
pub(super) struct Files(BTreeMap<PathBuf, Value>);

impl Files {
    fn load(&mut self, path: &Path) -> anyhow::Result<&Value> {
        if !self.0.contains_key(path) {
            let document = parse(&read(path)?).with_context(|| path.display().to_string())?;
            self.0.insert(path.to_owned(), document);
        }
        self.0.get(path).context("not read")
    }
}

/// The bytes of a specification's file.
///
/// # Errors
/// Not readable, or larger than 256 MiB.
pub fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    read_at_most(path, MAX_BYTES).with_context(|| path.display().to_string())
}

/// Reads a file, also one that does not say how large it is: a pipe, or a device without an end.
fn read_at_most(path: &Path, max: u64) -> anyhow::Result<Vec<u8>> {
    let file = File::open(path)?;
    check_size(file.metadata()?.len(), max)?;
    let mut bytes = Vec::new();
    file.take(max + 1).read_to_end(&mut bytes)?;
    check_size(bytes.len() as u64, max)?;
    Ok(bytes)
}

fn check_size(bytes: u64, max: u64) -> anyhow::Result<()> {
    if bytes > max {
        bail!("is larger than {} MiB, which is the most that is read", max >> 20);
    }
    Ok(())
}

/// A document without what says nothing about paths.
///
/// # Errors
/// Neither JSON nor YAML, with the place; not an object; larger than 256 MiB.
pub(super) fn parse(text: &[u8]) -> anyhow::Result<Value> {
    check_size(text.len() as u64, MAX_BYTES)?;
    let text = std::str::from_utf8(text)
        .map_err(|error| anyhow!("is not UTF-8 text: {error}"))?
        .trim_start_matches('\u{feff}');
    if text.trim().is_empty() {
        bail!("is empty");
    }
    let Pruned(document) = if text.trim_start().starts_with('{') {
        // Flow YAML starts with a brace, too, but JSON is what was most likely meant.
        serde_json::from_str(text).or_else(|json| match parse_yaml(text) {
            Ok(yaml) if version(&yaml.0).is_some() => Ok(yaml),
            _ => Err(anyhow!("is not JSON: {json}")),
        })?
    } else {
        parse_yaml(text).map_err(|error| anyhow!("is neither JSON nor YAML: {error}"))?
    };
    if !document.is_object() {
        bail!("holds {}, not an OpenAPI or Swagger object", kind(&document));
    }
    Ok(document)
}

fn parse_yaml(text: &str) -> anyhow::Result<Pruned> {
    // Specifications are larger than the configurations for which the defaults are made.
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 50_000_000,
            max_nodes: 20_000_000,
            max_depth: 128,
            max_total_scalar_bytes: 256 << 20,
        },
        with_snippet: false,
    };
    Ok(serde_saphyr::from_str_with_options(text, options)?)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The paths of a document, with what they refer to.
///
/// # Errors
/// It is no specification, has no paths, or refers to what cannot be read.
pub(super) fn paths(document: &Value, name: &Path, files: &mut Files) -> anyhow::Result<Vec<Item>> {
    let root = root_bases(document)?;
    let paths = match document.get("paths") {
        Some(Value::Object(paths)) => paths,
        None | Some(Value::Null) => bail!("has no `paths`, so there is nothing to import"),
        Some(other) => bail!("has {} in `paths`, where an object belongs", kind(other)),
    };
    if paths.contains_key("$ref") {
        bail!("has a `$ref` in `paths`, which OpenAPI does not allow; bundle the specification");
    }
    let mut items = Vec::new();
    for (key, item) in paths {
        // Extensions, and what a generator left empty.
        if key.starts_with("x-") || key.is_empty() {
            continue;
        }
        let item = resolve(item, document, name, files)
            .with_context(|| format!("the path {key:?}"))?
            .clone();
        items.push(Item { key: key.clone(), operations: operations(&item, &root) });
    }
    if items.is_empty() {
        bail!("has no path in `paths`, so there is nothing to import");
    }
    Ok(items)
}

/// The version of a specification: of OpenAPI, or of Swagger.
fn version(document: &Value) -> Option<Result<String, String>> {
    let text = |key: &str| match document.get(key) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    text("openapi").map(Ok).or_else(|| text("swagger").map(Err))
}

/// The base paths of the whole document, which tells its version.
fn root_bases(document: &Value) -> anyhow::Result<Vec<Base>> {
    match version(document) {
        Some(Ok(version)) if version.starts_with("3.") || version == "3" => {
            let servers = document.get("servers").and_then(Value::as_array);
            Ok(server::bases(servers.map_or(&[], Vec::as_slice)))
        }
        Some(Ok(version)) => {
            bail!("is OpenAPI {version:?}; 3.0, 3.1 and 3.2 are known, and Swagger 2.0")
        }
        Some(Err(version)) if version.starts_with('2') => {
            let base = document.get("basePath").and_then(Value::as_str).unwrap_or_default();
            Ok(vec![Base::of_base_path(base)])
        }
        Some(Err(version)) => bail!("is Swagger {version:?}; only 2.0 is known, and OpenAPI 3"),
        None => bail!(
            "is no OpenAPI specification: it has neither `openapi` (\"3.0.3\", \"3.1.0\") nor \
             `swagger` (\"2.0\")"
        ),
    }
}

/// A Path Item Object, where its references lead.
fn resolve<'a>(
    item: &'a Value,
    document: &'a Value,
    name: &Path,
    files: &'a mut Files,
) -> anyhow::Result<&'a Value> {
    let mut target = (None::<PathBuf>, None::<String>);
    let mut current = item.clone();
    for _ in 0..MAX_REFERENCES {
        let Some(reference) = current.get("$ref").and_then(Value::as_str).map(str::to_owned) else {
            // The walk is done on copies; the last step borrows.
            return match target {
                (None, None) => Ok(item),
                (None, Some(pointer)) => follow(document, &pointer),
                (Some(file), pointer) => {
                    let root = files.load(&file)?;
                    follow(root, pointer.as_deref().unwrap_or_default())
                }
            };
        };
        let (file, pointer) = reference.split_once('#').unwrap_or((&reference, ""));
        let pointer = percent_decoded(pointer);
        if file.is_empty() {
            current = match &target.0 {
                None => follow(document, &pointer)?.clone(),
                Some(file) => follow(files.load(file)?, &pointer)?.clone(),
            };
            target.1 = Some(pointer);
        } else {
            if file.contains("://") {
                bail!(
                    "refers to {reference:?}, which is not fetched; bundle the specification into \
                     one file first"
                );
            }
            let from = target.0.as_deref().unwrap_or(name);
            let path = from.parent().unwrap_or(Path::new("")).join(percent_decoded(file));
            let root = files.load(&path).with_context(|| format!("refers to {reference:?}"))?;
            current = follow(root, &pointer)?.clone();
            target = (Some(path), Some(pointer));
        }
    }
    bail!("refers to itself, or through more than {MAX_REFERENCES} references")
}

fn follow<'a>(root: &'a Value, pointer: &str) -> anyhow::Result<&'a Value> {
    root.pointer(pointer).with_context(|| format!("refers to \"#{pointer}\", which is not there"))
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let digit = |at: usize| tail.get(at).and_then(|&b| char::from(b).to_digit(16));
        match (byte, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The operations of a Path Item by their servers: those of an operation replace those of the path,
/// and those of the path those of the document.
fn operations(item: &Value, root: &[Base]) -> Vec<Operations> {
    let servers = |value: &Value| {
        let list = value.get("servers").and_then(Value::as_array)?;
        (!list.is_empty()).then(|| server::bases(list))
    };
    let of_item = servers(item).unwrap_or_else(|| root.to_vec());
    let mut all: Vec<Operations> = Vec::new();
    let mut add = |servers: Vec<Base>, method: String| match all
        .iter_mut()
        .find(|operations| operations.servers == servers)
    {
        Some(operations) => {
            operations.methods.insert(method);
        }
        None => all.push(Operations { servers, methods: BTreeSet::from([method]) }),
    };
    for method in METHODS {
        if let Some(operation) = item.get(method).filter(|operation| operation.is_object()) {
            let servers = servers(operation).unwrap_or_else(|| of_item.clone());
            add(servers, method.to_ascii_uppercase());
        }
    }
    if all.is_empty() {
        all.push(Operations { servers: of_item, methods: BTreeSet::new() });
    }
    all
}

/// A JSON value without the members of [`HEAVY`], which are null.
#[derive(Debug)]
struct Pruned(Value);

impl<'de> Deserialize<'de> for Pruned {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PrunedVisitor).map(Self)
    }
}

struct PrunedVisitor;

impl<'de> Visitor<'de> for PrunedVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    visit_scalars!();

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Value, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Pruned(value)) = access.next_element()? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            let value = if HEAVY.contains(&key.as_str()) {
                access.next_value::<IgnoredAny>()?;
                Value::Null
            } else {
                access.next_value::<Pruned>()?.0
            };
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_file_without_an_end_is_refused() {
        assert!(read_at_most(Path::new("/dev/zero"), 1000).is_err());
        assert_eq!(read_at_most(Path::new("/dev/null"), 1000).ok(), Some(Vec::new()));
    }
}
