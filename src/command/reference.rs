//! The JSON Schema of the plugin configuration, and the reference page made of it. Native only.
//!
//! Both come from the doc comments of [`crate::config`], so what they say is said once.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::config::{Config, VARIABLES};
use crate::plan::OWN_LABELS;

const TITLE: &str = "Plugin configuration of route-metrics";

/// The JSON Schema (draft 2020-12).
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(Config);
    schema.insert("title".to_owned(), TITLE.into());
    schema.to_value()
}

/// The JSON Schema as text, indented, with a line end.
pub fn schema_text() -> String {
    format!("{:#}\n", schema())
}

/// The reference page in Markdown: a section per object, in the order of the configuration.
pub fn markdown() -> String {
    let schema = schema();
    let empty = Map::new();
    let definitions = schema.get("$defs").and_then(Value::as_object).unwrap_or(&empty);
    let mut page = Page { definitions, sections: BTreeMap::new(), queue: VecDeque::new() };
    let mut out = format!(
        "# {TITLE}\n\n\
         Printed by `route-metrics schema --markdown`; `route-metrics schema` prints the same as a JSON \
         Schema, for editors.\n\n\
         {}\n\nEnvironment variables of the VM override the file: {}. Names of labels of your own may \
         not end in one of {}, which are labels of the filter's own metrics, nor the other way round.\n",
        one_line(&schema),
        words(VARIABLES.iter()),
        words(OWN_LABELS.iter()),
    );
    page.queue.push_back((String::new(), &schema));
    while let Some((path, object)) = page.queue.pop_front() {
        page.section(&path, object, &mut out);
    }
    out
}

struct Page<'a> {
    definitions: &'a Map<String, Value>,
    /// Where each definition is described.
    sections: BTreeMap<&'a str, String>,
    /// Sections to come.
    queue: VecDeque<(String, &'a Value)>,
}

impl<'a> Page<'a> {
    fn section(&mut self, path: &str, object: &'a Value, out: &mut String) {
        // Writing to a string cannot fail.
        if !path.is_empty() {
            let _ = write!(out, "\n## `{path}`\n\n{}\n", one_line(object));
        }
        let required: Vec<&str> = object
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        out.push_str("\n| key | value | default | meaning |\n|---|---|---|---|\n");
        let mut later = Vec::new();
        let mut choices = Vec::new();
        for (key, property) in
            object.get("properties").and_then(Value::as_object).into_iter().flatten()
        {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let value = self.value(&path, property, &mut later, &mut choices);
            let default = match property.get("default") {
                _ if required.contains(&key.as_str()) => "required".to_owned(),
                Some(Value::Null) | None => String::new(),
                Some(default) => format!("`{default}`"),
            };
            let _ = writeln!(out, "| `{key}` | {value} | {default} | {} |", one_line(property));
        }
        for (key, definition) in choices {
            let _ = write!(out, "\nValues of `{key}`:\n\n");
            for value in definition.get("oneOf").and_then(Value::as_array).into_iter().flatten() {
                let word = value.get("const").and_then(Value::as_str).unwrap_or_default();
                let _ = writeln!(out, "- `{word}`: {}", one_line(value));
            }
        }
        // Depth first, so that sections stand in the order of the keys.
        for section in later.into_iter().rev() {
            self.queue.push_front(section);
        }
    }

    /// What may stand for a key; a section or a list of values that it needs is noted.
    fn value(
        &mut self,
        path: &str,
        property: &'a Value,
        later: &mut Vec<(String, &'a Value)>,
        choices: &mut Vec<(String, &'a Value)>,
    ) -> String {
        if let Some(any) =
            property.get("anyOf").and_then(Value::as_array).and_then(|any| any.first())
        {
            return self.value(path, any, later, choices);
        }
        if let Some(name) =
            property.get("$ref").and_then(Value::as_str).and_then(|r| r.rsplit('/').next())
        {
            let Some((name, definition)) = self.definitions.get_key_value(name) else {
                return name.to_owned();
            };
            if definition.get("oneOf").is_some() {
                let key = path.rsplit('.').next().unwrap_or(path);
                choices.push((key.to_owned(), definition));
                return "one of the words below".to_owned();
            }
            let place = self.sections.entry(name).or_insert_with(|| {
                later.push((path.to_owned(), definition));
                path.to_owned()
            });
            return format!("object, see [`{place}`](#{})", anchor(place));
        }
        let kind = match property.get("type") {
            Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str),
            kind => kind.and_then(Value::as_str),
        };
        let range = match (property.get("minimum"), property.get("maximum")) {
            (Some(least), Some(most)) => format!(", {least} to {most}"),
            _ => String::new(),
        };
        match kind {
            Some("array") => match property.get("items") {
                Some(items) => {
                    format!("list of: {}", self.value(&format!("{path}[]"), items, later, choices))
                }
                None => "list".to_owned(),
            },
            Some("object") => match property.get("additionalProperties") {
                Some(values) => {
                    format!(
                        "by name: {}",
                        self.value(&format!("{path}.NAME"), values, later, choices)
                    )
                }
                None => "object".to_owned(),
            },
            kind => format!("{}{range}", kind.unwrap_or("any")),
        }
    }
}

/// The description in one line.
fn one_line(schema: &Value) -> String {
    let text = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn words<'a>(list: impl Iterator<Item = &'a &'a str>) -> String {
    list.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// The anchor that GitHub makes of a heading.
fn anchor(heading: &str) -> String {
    heading
        .chars()
        .filter(|c| c.is_alphanumeric() || *c == '_')
        .flat_map(char::to_lowercase)
        .collect()
}
