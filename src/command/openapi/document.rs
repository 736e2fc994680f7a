//! The paths of a specification: where it has them, below which servers, with which parameters.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, bail};
use serde_json::Value;

use super::kinds;
use super::parameters::{self, Parameter};
use super::read::kind;
use super::references::References;
use super::server::{self, Base};

/// The operations of a Path Item Object (OpenAPI 3.1.1, 4.8.9; 3.2 has `query`).
const METHODS: [&str; 9] =
    ["get", "put", "post", "delete", "options", "head", "patch", "trace", "query"];

/// Where paths stand. Azure has those with a query in `x-ms-paths`.
const PATHS: [&str; 2] = ["paths", "x-ms-paths"];

/// A path of a specification.
#[derive(Debug)]
pub(super) struct Item {
    /// As it was written.
    pub key: String,
    /// Its operations by where they are served and what their parameters say.
    pub operations: Vec<Operations>,
    /// What could not be followed.
    pub notes: Vec<String>,
}

/// Operations of a path with the same servers and parameters.
#[derive(Debug)]
pub(super) struct Operations {
    /// The base paths.
    pub servers: Vec<Base>,
    /// The parameters in the path, by name.
    pub parameters: BTreeMap<String, Parameter>,
    /// In capitals.
    pub methods: BTreeSet<String>,
}

/// The paths of a document, with what they refer to.
///
/// # Errors
/// It is no specification, or has no paths.
pub(super) fn paths(document: &Value, name: &Path) -> anyhow::Result<Vec<Item>> {
    let root = root_bases(document)?;
    let mut references = References::new(document, name);
    let mut items = Vec::new();
    for member in PATHS {
        let written = match document.get(member) {
            None | Some(Value::Null) => continue,
            Some(paths @ Value::Object(_)) => paths,
            Some(other) => bail!("has {} in `{member}`, where an object belongs", kind(other)),
        };
        let (paths, file) =
            references.resolve(written, None).with_context(|| format!("its `{member}`"))?;
        for (key, item) in paths.as_object().into_iter().flatten() {
            // Extensions, and what a generator left empty.
            if key.starts_with("x-") || key.is_empty() {
                continue;
            }
            items.push(read_item(key, item, file.as_deref(), &root, &mut references));
        }
    }
    if items.is_empty() {
        let webhooks = document.get("webhooks").and_then(Value::as_object);
        if webhooks.is_some_and(|webhooks| !webhooks.is_empty()) {
            bail!(
                "has `webhooks` and no `paths`: it describes requests that the API sends, and none \
                 that it gets"
            );
        }
        bail!("has no path in `paths`, so there is nothing to import");
    }
    Ok(items)
}

/// Whether a document says that it is OpenAPI or Swagger, whatever its version.
pub(super) fn is_specification(document: &Value) -> bool {
    version(document).is_some()
}

/// The version of a specification: of OpenAPI, or of Swagger.
fn version(document: &Value) -> Option<Result<String, String>> {
    let text = |key: &str| match document.get(key) {
        Some(Value::String(text)) => Some(text.trim().to_owned()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    text("openapi").map(Ok).or_else(|| text("swagger").map(Err))
}

/// The base paths of the whole document, which tells its version.
fn root_bases(document: &Value) -> anyhow::Result<Vec<Base>> {
    match version(document) {
        Some(Ok(version)) if version.starts_with("3.") || version == "3" => {
            Ok(servers(document).unwrap_or_else(|| vec![Base::root()]))
        }
        Some(Ok(version)) => {
            bail!("is OpenAPI {version:?}; 3.0, 3.1 and 3.2 are known, and Swagger 2.0")
        }
        Some(Err(version)) if version.starts_with('2') => Ok(swagger_bases(document)),
        Some(Err(version)) => {
            bail!("is Swagger {version:?}; only 2.0 is known, and OpenAPI 3, so convert it first")
        }
        None => match kinds::of_document(document) {
            Some(what) => bail!("{what}"),
            None => bail!(
                "is no OpenAPI specification: it has neither `openapi` (\"3.0.3\", \"3.1.0\") nor \
                 `swagger` (\"2.0\")"
            ),
        },
    }
}

/// The base paths of Swagger 2.0: that of `basePath`, behind what `host` or Azure's
/// `x-ms-parameterized-host` has of a path, and those of `x-servers`.
fn swagger_bases(document: &Value) -> Vec<Base> {
    let text = |at: &str| document.pointer(at).and_then(Value::as_str).unwrap_or_default();
    let base = text("/basePath");
    let host = match text("/x-ms-parameterized-host/hostTemplate") {
        "" => text("/host"),
        template => template,
    };
    let front = server::after_host(host);
    let own = match front.is_empty() {
        true => base.to_owned(),
        false => format!("/{}/{base}", front.trim_matches('/')),
    };
    let mut bases = server::bases_of_path(&own);
    if let Some(servers) = servers(document) {
        if base.trim_matches('/').is_empty() {
            bases.clear();
        }
        for server in servers {
            if !bases.iter().any(|known| known.path == server.path) {
                bases.push(server);
            }
        }
    }
    bases
}

/// The base paths of the servers of a document, a path or an operation; `None` where it has none.
fn servers(value: &Value) -> Option<Vec<Base>> {
    let of = |key: &str| match value.get(key) {
        Some(Value::Array(list)) if !list.is_empty() => Some(server::bases(list)),
        Some(one @ (Value::Object(_) | Value::String(_))) => {
            Some(server::bases(std::slice::from_ref(one)))
        }
        _ => None,
    };
    of("servers").or_else(|| of("x-servers"))
}

fn read_item(
    key: &str,
    written: &Value,
    file: Option<&Path>,
    root: &[Base],
    references: &mut References<'_>,
) -> Item {
    let mut notes = Vec::new();
    let (item, file) = match references.resolve(written, file) {
        Ok((item, file)) => (item, file),
        Err(why) => {
            notes.push(format!("{why:#}; nothing but the path is known of it"));
            (Value::Null, None)
        }
    };
    let operations = operations(&item, file.as_deref(), root, references, &mut notes);
    Item { key: key.to_owned(), operations, notes }
}

/// The operations of a Path Item by their servers and parameters: those of an operation replace those
/// of the path, and those of the path those of the document.
fn operations(
    item: &Value,
    file: Option<&Path>,
    root: &[Base],
    references: &mut References<'_>,
    notes: &mut Vec<String>,
) -> Vec<Operations> {
    let of_item = servers(item).unwrap_or_else(|| root.to_vec());
    let mut common = BTreeMap::new();
    parameters::add(item.get("parameters"), file, references, &mut common, notes);
    let mut all: Vec<Operations> = Vec::new();
    for method in METHODS {
        let operation = item.get(method).or_else(|| item.get(method.to_ascii_uppercase()));
        let Some(operation) = operation else { continue };
        let servers = servers(operation).unwrap_or_else(|| of_item.clone());
        let mut own = common.clone();
        parameters::add(operation.get("parameters"), file, references, &mut own, notes);
        let method = method.to_ascii_uppercase();
        let same = |known: &&mut Operations| known.servers == servers && known.parameters == own;
        match all.iter_mut().find(same) {
            Some(operations) => {
                operations.methods.insert(method);
            }
            None => {
                all.push(Operations { servers, parameters: own, methods: BTreeSet::from([method]) })
            }
        }
    }
    if all.is_empty() {
        all.push(Operations { servers: of_item, parameters: common, methods: BTreeSet::new() });
    }
    all
}
