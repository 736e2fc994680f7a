//! From bytes to documents: encodings, JSON, YAML, and several documents in one file.

use std::borrow::Cow;
use std::fmt;

use anyhow::{anyhow, bail};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Map, Value};

use super::references::{MAX_BYTES, check_size};
use crate::command::yaml;
use crate::config::json_values::visit_scalars;

/// The documents of a text that are objects, without what says nothing about paths.
///
/// # Errors
/// Neither JSON nor YAML, with the place; no object in it; larger than 256 MiB.
pub(super) fn objects(bytes: &[u8]) -> anyhow::Result<Vec<Value>> {
    let mut objects = Vec::new();
    let mut other = None;
    for document in values(bytes)? {
        match document {
            // A list of specifications.
            Value::Array(list) if list.iter().any(Value::is_object) => {
                objects.extend(list.into_iter().filter(Value::is_object));
            }
            Value::Object(_) => objects.push(document),
            Value::Null => {}
            document => other = Some(document),
        }
    }
    match (objects.is_empty(), other) {
        (true, Some(other)) => {
            bail!("holds {}, not an OpenAPI or Swagger object", kind(&other))
        }
        (true, None) => bail!("is empty"),
        _ => Ok(objects),
    }
}

/// The documents of a text, whatever they are.
///
/// # Errors
/// Empty; neither JSON nor YAML, with the place; larger than 256 MiB.
pub(super) fn values(bytes: &[u8]) -> anyhow::Result<Vec<Value>> {
    check_size(bytes.len() as u64, MAX_BYTES)?;
    let text = decode(bytes)?;
    let text = text.trim_start_matches('\u{feff}');
    if text.trim().is_empty() {
        bail!("is empty");
    }
    let documents = if text.trim_start().starts_with(['{', '[']) || starts_with_comment(text) {
        // Flow YAML starts with a brace, too, but JSON is what was most likely meant.
        json(text)
            .or_else(|mistake| match json(&without_comments(text)) {
                Ok(documents) => Ok(documents),
                Err(_) => match yaml::documents(text, yaml::Duplicates::Passed) {
                    Ok(documents) if documents.iter().any(is_specification) => Ok(documents),
                    _ => Err(mistake),
                },
            })
            .map_err(|mistake| anyhow!("is not JSON: {mistake}"))?
    } else {
        yaml::documents(text, yaml::Duplicates::Passed)
            .or_else(|mistake| match untabbed(text) {
                Some(text) => yaml::documents(&text, yaml::Duplicates::Passed).map_err(|_| mistake),
                None => Err(mistake),
            })
            .map_err(|mistake| anyhow!("is neither JSON nor YAML: {mistake}"))?
    };
    Ok(documents.into_iter().map(|Pruned(document)| document).collect())
}

fn is_specification(Pruned(document): &Pruned) -> bool {
    document.get("openapi").or(document.get("swagger")).is_some()
}

/// A word for what a value is.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The text of bytes: UTF-8, or UTF-16 as PowerShell and some editors write it.
fn decode(bytes: &[u8]) -> anyhow::Result<Cow<'_, str>> {
    let big = |pair: &[u8]| u16::from_be_bytes([pair[0], pair[1]]);
    let little = |pair: &[u8]| u16::from_le_bytes([pair[0], pair[1]]);
    let units: Option<Vec<u16>> = match bytes {
        [0xfe, 0xff, rest @ ..] => Some(rest.chunks_exact(2).map(big).collect()),
        [0xff, 0xfe, rest @ ..] => Some(rest.chunks_exact(2).map(little).collect()),
        [0, first, 0, ..] if *first != 0 => Some(bytes.chunks_exact(2).map(big).collect()),
        [first, 0, second, 0, ..] if *first != 0 && *second != 0 => {
            Some(bytes.chunks_exact(2).map(little).collect())
        }
        _ => None,
    };
    if let Some(units) = units {
        let text = String::from_utf16(&units);
        return text.map(Cow::Owned).map_err(|_| anyhow!("begins as UTF-16, and is none"));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Cow::Borrowed(text)),
        Err(error) => {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
            bail!("is not UTF-8 text: line {line} has a byte that no character of UTF-8 has there")
        }
    }
}

fn starts_with_comment(text: &str) -> bool {
    text.trim_start().starts_with("//") || text.trim_start().starts_with("/*")
}

/// The documents of JSON: one, several behind each other, or one on each line.
fn json(text: &str) -> Result<Vec<Pruned>, String> {
    let mut documents = Vec::new();
    for document in serde_json::Deserializer::from_str(text).into_iter::<Pruned>() {
        documents.push(document.map_err(|error| json_mistake(text, &error))?);
    }
    Ok(documents)
}

/// What is wrong with JSON, and where.
fn json_mistake(text: &str, error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    let place = format!("line {line}, column {column}");
    if error.is_eof() {
        return format!("{place}: it ends before all braces, brackets and quotes are closed");
    }
    if error.to_string().starts_with("recursion limit") {
        return format!("{place}: it is nested more than 128 levels deep");
    }
    let before = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    let bytes = before.as_bytes();
    let found = bytes.get(..column.min(bytes.len())).unwrap_or_default();
    let found = String::from_utf8_lossy(found).chars().last();
    match found {
        Some(found) => format!(
            "{place}: {found:?} is not expected here; a comma, colon, quote or bracket is missing or \
             too much"
        ),
        None => format!("{place}: something else is expected here"),
    }
}

/// JSON without comments and commas before a closing bracket; all else stays at its place.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut in_text = false;
    while let Some(c) = chars.next() {
        match (in_text, c) {
            (true, '\\') => {
                out.push(c);
                out.extend(chars.next());
                continue;
            }
            (_, '"') => in_text = !in_text,
            (false, '/') if chars.peek() == Some(&'/') => {
                out.push(' ');
                while let Some(_skipped) = chars.next_if(|&c| c != '\n') {
                    out.push(' ');
                }
                continue;
            }
            (false, '/') if chars.peek() == Some(&'*') => {
                out.push(' ');
                let mut star = false;
                for c in chars.by_ref() {
                    out.push(if c == '\n' { '\n' } else { ' ' });
                    if star && c == '/' {
                        break;
                    }
                    star = c == '*';
                }
                continue;
            }
            (false, '}' | ']') => {
                let kept = out.trim_end().len();
                if out.get(..kept).is_some_and(|kept| kept.ends_with(',')) {
                    out.replace_range(kept - 1..kept, " ");
                }
            }
            _ => {}
        }
        out.push(c);
    }
    out
}

/// The text with two spaces for each tab that a line begins with, where there are any.
fn untabbed(text: &str) -> Option<String> {
    let indent = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let tabbed = |line: &str| line.get(..indent(line)).is_some_and(|front| front.contains('\t'));
    if !text.lines().any(tabbed) {
        return None;
    }
    let line = |line: &str| {
        let (front, rest) = line.split_at_checked(indent(line)).unwrap_or(("", line));
        front.replace('\t', "  ") + rest + "\n"
    };
    Some(text.lines().map(line).collect())
}

/// A JSON value without what says nothing about paths.
#[derive(Debug)]
struct Pruned(Value);

impl<'de> Deserialize<'de> for Pruned {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Part::Object.deserialize(deserializer).map(Self)
    }
}

/// What a value of a specification is, which says what of it is kept. The rest is null: it is the
/// most of a specification.
#[derive(Clone, Copy)]
enum Part {
    /// An object of the specification.
    Object,
    /// An object with names that people gave.
    Names,
    /// A list of parameters, or parameters by name.
    Parameters,
    /// Schemas by name.
    Schemas,
    /// A schema.
    Schema,
}

impl Part {
    /// What a member is; `None` is left out.
    fn member(self, key: &str) -> Option<Self> {
        match self {
            Self::Names | Self::Parameters => Some(Self::Object),
            Self::Schemas => Some(Self::Schema),
            Self::Schema => {
                let kept =
                    ["$ref", "allowReserved", "format", "pattern", "type", "x-multi-segment"];
                kept.contains(&key).then_some(Self::Object)
            }
            Self::Object => match key {
                "callbacks" | "content" | "description" | "example" | "examples" | "properties"
                | "requestBody" | "responses" | "x-codeSamples" => None,
                "pathItems" | "paths" | "variables" | "x-ms-paths" => Some(Self::Names),
                "parameters" => Some(Self::Parameters),
                "definitions" | "schemas" => Some(Self::Schemas),
                "schema" | "items" => Some(Self::Schema),
                _ => Some(Self::Object),
            },
        }
    }
}

impl<'de> DeserializeSeed<'de> for Part {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    visit_scalars!();

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    // Numbers that JSON has no place for are none of a path.
    fn visit_i128<E>(self, _: i128) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<Value, E> {
        Ok(Value::Null)
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
        let part = if matches!(self, Self::Parameters) { Self::Object } else { self };
        let mut list = Vec::new();
        while let Some(value) = access.next_element_seed(part)? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            let value = match self.member(&key) {
                Some(part) => access.next_value_seed(part)?,
                None => {
                    access.next_value::<IgnoredAny>()?;
                    Value::Null
                }
            };
            match map.get_mut(&key) {
                Some(known) => merge(known, value),
                None => {
                    map.insert(key, value);
                }
            }
        }
        Ok(Value::Object(map))
    }
}

/// Adds the value of a key that stands twice: nothing of a path gets lost.
fn merge(known: &mut Value, value: Value) {
    match (known, value) {
        (Value::Object(known), Value::Object(more)) => {
            for (key, value) in more {
                match known.get_mut(&key) {
                    Some(known) => merge(known, value),
                    None => {
                        known.insert(key, value);
                    }
                }
            }
        }
        (Value::Array(known), Value::Array(more)) => known.extend(more),
        (_, Value::Null) => {}
        (known, value) => *known = value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heavy_members_are_not_kept() {
        let document = values(
            br#"{"openapi": "3.0.0", "paths": {"/a": {"get": {"responses": {"200": {"x": [1]}}}}}}"#,
        );
        let document = document.unwrap().remove(0);
        assert_eq!(document.pointer("/paths/~1a/get/responses"), Some(&Value::Null));
    }

    #[test]
    fn names_are_kept_whatever_they_are() {
        let text = br#"{"paths": {"content": {"get": {}}}, "components": {"parameters":
            {"example": {"name": "x"}}, "schemas": {"description": {"pattern": "a/b", "enum": [1]}}}}"#;
        let document = values(text).unwrap().remove(0);
        assert!(document.pointer("/paths/content/get").is_some());
        assert!(document.pointer("/components/parameters/example/name").is_some());
        let schema = document.pointer("/components/schemas/description").unwrap();
        assert_eq!(schema.get("pattern"), Some(&Value::from("a/b")));
        assert_eq!(schema.get("enum"), Some(&Value::Null));
    }

    #[test]
    fn comments_are_taken_out_and_text_stays() {
        for (text, expected) in [
            ("// a\n{\"b\": \"//c\"}", "    \n{\"b\": \"//c\"}"),
            ("{\"a\\\"//\": 1, /* } */ }", "{\"a\\\"//\": 1          }"),
            ("[1, 2,\n]", "[1, 2 \n]"),
            ("/* x", "    "),
        ] {
            assert_eq!(without_comments(text), expected.to_owned(), "{text}");
        }
    }
}
