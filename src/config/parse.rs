//! From the bytes that Envoy hands over to a [`Config`], or every structural mistake in them.
//!
//! Envoy hands over a `StringValue` and a `BytesValue` as they are, and a `Struct` as serialized
//! protobuf (google/protobuf/struct.proto), whatever its documentation says of JSON.

use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::{Config, Mistakes, protobuf, read};
use crate::config::json_values::visit_scalars;

/// The configuration in `bytes`: JSON text, a serialized `google.protobuf.Struct`, or nothing.
///
/// # Errors
/// All mistakes of structure: not JSON, duplicate keys, unknown keys, wrong types, unknown words.
pub fn parse(bytes: &[u8]) -> Result<Config, Mistakes> {
    let mut mistakes = Mistakes::default();
    match parse_as_far(bytes, &mut mistakes) {
        Some(config) if mistakes.is_empty() => Ok(config),
        _ => Err(mistakes),
    }
}

/// The same as far as it can be read, so that what is wrong elsewhere can be told, too: what has a
/// mistake of structure has its default, and a list ends before it. `None` where it is no object.
pub fn parse_as_far(bytes: &[u8], mistakes: &mut Mistakes) -> Option<Config> {
    let document = document(bytes, mistakes)?;
    read::configuration(&document, mistakes)
}

fn document(bytes: &[u8], mistakes: &mut Mistakes) -> Option<Value> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Some(Value::Object(Map::new()));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let strict = Strict { path: String::new(), duplicates: mistakes };
    let error =
        match strict.deserialize(&mut deserializer).and_then(|v| deserializer.end().map(|()| v)) {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
    // The first byte of a serialized Struct is the tag of its only field, which is also a newline.
    if bytes.first() == Some(&0x0a)
        && let Some(document) = protobuf::read_struct(bytes)
    {
        return Some(document);
    }
    mistakes.add("configuration", format!("not JSON: {error}"));
    None
}

/// Reads any JSON value, noting keys that stand twice in one object.
struct Strict<'a> {
    path: String,
    duplicates: &'a mut Mistakes,
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    visit_scalars!();

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let path = format!("{}[{}]", self.path, list.len());
            match access.next_element_seed(Strict { path, duplicates: &mut *self.duplicates })? {
                Some(value) => list.push(value),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            let path = join(&self.path, &key);
            if map.contains_key(&key) {
                self.duplicates.add(path.clone(), "stands twice in the same object; keep one");
            }
            let value =
                access.next_value_seed(Strict { path, duplicates: &mut *self.duplicates })?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

/// The path of a key below `parent`: joined by a dot where the key is a word, else in brackets.
pub fn join(parent: &str, key: &str) -> String {
    let word =
        !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    match (parent.is_empty(), word) {
        (true, true) => key.to_owned(),
        (false, true) => format!("{parent}.{key}"),
        (_, false) => format!("{parent}[{key:?}]"),
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use prost_types::value::Kind;

    use super::*;
    use crate::test;

    fn mistakes(text: &str) -> Vec<String> {
        match parse(text.as_bytes()) {
            Ok(_) => Vec::new(),
            Err(mistakes) => mistakes.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn nothing_means_the_defaults() {
        for text in ["", " \n", "{}", "\n{}"] {
            let config = parse(text.as_bytes()).unwrap();
            assert!(config.enabled && config.limits.max_values_per_label == 100, "{text:?}");
        }
    }

    #[test]
    fn every_structural_mistake_is_named_by_its_path() {
        let found = mistakes(
            r#"{"enabled": "yes", "namspace": "x", "metrics": {"requests_total": {"labels": "a", "x": 1}},
               "labels": {"t": {"name": "x"}, "u": {"from": "cookie"}},
               "endpoint": {"templates": ["/a", 1], "inference": "magic"}, "limits": {"max_values_per_label": -1},
               "endpoint": {"exclude": ["/a", {}, "/b", 7], "rules": [4, {"regex": "x"}], "ignore_statuses": ["404"]},
               "custom_metrics": [{"name": "x", "type": "summary"}, 5]}"#,
        );
        for part in [
            "endpoint: stands twice",
            "enabled: invalid type: string \"yes\", expected a boolean",
            "namspace: unknown field `namspace`, expected one of `enabled`",
            "metrics.requests_total.labels: invalid type: string \"a\", expected a list",
            "metrics.requests_total.x: unknown field `x`",
            "labels.t: missing field `from`",
            "labels.u.from: unknown variant `cookie`, expected one of `method`",
            "endpoint.exclude[1]: invalid type: an object, expected a string",
            "endpoint.exclude[3]: invalid type: integer `7`, expected a string",
            "endpoint.rules[0]: invalid type: integer `4`, expected an object",
            "endpoint.rules[1]: missing field `endpoint`",
            "endpoint.ignore_statuses[0]: invalid type: string \"404\", expected u16",
            "custom_metrics[0].type: unknown variant `summary`, expected one of `counter`",
            "custom_metrics[1]: invalid type: integer `5`, expected an object",
            "limits.max_values_per_label: invalid value: integer `-1`, expected u32",
        ] {
            assert!(found.iter().any(|f| f.starts_with(part)), "{part} is not in {found:#?}");
        }
        assert_eq!(found.len(), 15, "{found:#?}");
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        for (text, part) in [
            ("[]", "a list, expected an object"),
            ("{", "not JSON: EOF"),
            ("{} x", "not JSON: trailing characters"),
            ("\u{0}\u{1}", "not JSON"),
            ("\n\u{7f}", "not JSON"),
        ] {
            let found = mistakes(text);
            assert!(found.len() == 1 && found[0].contains(part), "{text:?}: {found:?}");
        }
    }

    #[test]
    fn a_protobuf_struct_is_read_like_json() {
        let string = |text: &str| prost_types::Value { kind: Some(Kind::StringValue(text.into())) };
        let number = prost_types::Value { kind: Some(Kind::NumberValue(50.0)) };
        let object = |fields: Vec<(&str, prost_types::Value)>| prost_types::Struct {
            fields: fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(),
        };
        let limits = prost_types::Value {
            kind: Some(Kind::StructValue(object(vec![("max_values_per_label", number)]))),
        };
        // Envoy makes text of fractions.
        let sampling = prost_types::Value {
            kind: Some(Kind::StructValue(object(vec![("rate", string("0.25"))]))),
        };
        let message = object(vec![
            ("namespace", string("django")),
            ("limits", limits),
            ("sampling", sampling),
        ]);
        let config = parse(&message.encode_to_vec()).unwrap();
        assert_eq!(config.namespace, "django");
        assert!((config.sampling.rate - 0.25).abs() < f64::EPSILON);
        assert_eq!(config.limits.max_values_per_label, 50);
    }
    #[test]
    fn text_that_is_no_number_is_refused_where_one_is_expected() {
        for text in ["", "half", "NaN", "inf", "1e400"] {
            let json = format!(r#"{{"sampling": {{"rate": "{text}"}}}}"#);
            let message = parse(json.as_bytes()).unwrap_err().to_string();
            assert!(message.contains("sampling.rate") && message.contains("a number"), "{message}");
        }
    }
}
