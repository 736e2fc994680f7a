//! What the parameters of an operation say about segments.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::references::References;

/// What a Parameter Object says of a parameter in the path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parameter {
    /// `required: false`, which OpenAPI forbids and frameworks write.
    pub optional: bool,
    /// The regular expression of its values.
    pub pattern: Option<String>,
    /// What says that its values may have several segments.
    pub several: Option<String>,
    /// It is written `;name=value`.
    pub matrix: bool,
}

/// The parameters in the path of a list of Parameter Objects by name, added to those of the path,
/// which they replace (OpenAPI 3.1.1, 4.8.10). `file` is where the list stands, where that is not the
/// document; `notes` is told what cannot be followed.
pub(super) fn add(
    list: Option<&Value>,
    file: Option<&Path>,
    references: &mut References<'_>,
    parameters: &mut BTreeMap<String, Parameter>,
    notes: &mut Vec<String>,
) {
    for written in list.and_then(Value::as_array).into_iter().flatten() {
        let (parameter, file) = match references.resolve(written, file) {
            Ok(found) => found,
            Err(why) => {
                notes.push(format!("a parameter {why:#}, so nothing is known of it"));
                continue;
            }
        };
        let text = |key: &str| parameter.get(key).and_then(Value::as_str);
        let (Some(name), Some("path")) = (text("name"), text("in")) else { continue };
        // OpenAPI 3 has a schema; Swagger 2 has its members in the parameter.
        let schema = match parameter.get("schema") {
            Some(schema) => references.resolve(schema, file.as_deref()).ok(),
            None => None,
        };
        let schema = schema.map_or_else(|| parameter.clone(), |(schema, _)| schema);
        let member = |key: &str| schema.get(key).or_else(|| parameter.get(key));
        let is_true = |key: &str| member(key).is_some_and(|value| value == &Value::Bool(true));
        let several = match ["x-multi-segment", "allowReserved"].into_iter().find(|k| is_true(k)) {
            Some(key) => Some(format!("`{key}`")),
            // As pydantic writes a `pathlib.Path`.
            None if member("format").and_then(Value::as_str) == Some("path") => {
                Some("`format: path`".to_owned())
            }
            None => None,
        };
        parameters.insert(
            name.to_owned(),
            Parameter {
                optional: parameter.get("required") == Some(&Value::Bool(false)),
                pattern: member("pattern").and_then(Value::as_str).map(str::to_owned),
                several,
                matrix: text("style") == Some("matrix"),
            },
        );
    }
}

/// Whether a parameter's name says that its values may have slashes: paths and folders, and what git
/// calls references (git, "git-check-ref-format").
pub(super) fn names_several(name: &str) -> bool {
    const NAMES: [&str; 9] =
        ["path", "filepath", "dir", "directory", "ref", "branch", "tag", "base", "head"];
    let last = name.rsplit(['_', '-', '.']).next().unwrap_or(name);
    NAMES.contains(&last.to_ascii_lowercase().as_str())
        || name.strip_suffix("Path").is_some_and(|front| front.ends_with(char::is_lowercase))
}
