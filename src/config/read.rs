//! From a JSON document to the [model](super::model), with every mistake on the way: unknown keys,
//! wrong types, unknown words and keys that are missing.
//!
//! Generated deserializers stop at the first mistake, and make a tenth of the module.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde_json::{Map, Value};

use super::model::*;
use super::{Mistakes, join};
use crate::config::number;

/// The most mistakes that are noted; a file with more is not a configuration.
const MAX_MISTAKES: usize = 100;

/// Where a value stands in the document.
#[derive(Clone, Copy)]
enum At<'a> {
    Top,
    Key(&'a At<'a>, &'a str),
    Item(&'a At<'a>, usize),
}

impl At<'_> {
    fn path(&self) -> String {
        match self {
            Self::Top => String::new(),
            Self::Key(parent, key) => join(&parent.path(), key),
            Self::Item(parent, index) => format!("{}[{index}]", parent.path()),
        }
    }
}

/// What can be read from the document.
trait Read: Sized {
    /// The value as far as it can be read, with a mistake for each part that cannot; `None` where
    /// nothing can be made of it.
    fn read(value: &Value, at: At<'_>, mistakes: &mut Noted<'_>) -> Option<Self>;
}

/// The mistakes, up to a bound.
struct Noted<'a>(&'a mut Mistakes);

impl Noted<'_> {
    fn add(&mut self, at: At<'_>, message: impl Into<String>) {
        match self.0.len() {
            MAX_MISTAKES.. => {}
            count if count + 1 == MAX_MISTAKES => {
                self.0.add("configuration", "the rest of the mistakes is not shown");
            }
            _ => self.0.add(at.path(), message),
        }
    }

    fn wrong_type(&mut self, at: At<'_>, found: &Value, expected: &str) {
        self.add(at, format!("invalid type: {}, expected {expected}", InWords(found)));
    }
}

/// The document as a configuration, as far as it can be read; `None` where it is no object. What
/// could not be read has a mistake and its default.
pub fn configuration(document: &Value, mistakes: &mut Mistakes) -> Option<Config> {
    if !document.is_object() {
        mistakes.add("configuration", format!("{}, expected an object", InWords(document)));
        return None;
    }
    Config::read(document, At::Top, &mut Noted(mistakes))
}

/// What was found, in words.
struct InWords<'a>(&'a Value);

impl fmt::Display for InWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Null => f.write_str("null"),
            Value::Bool(flag) => write!(f, "boolean `{flag}`"),
            Value::Number(number) if number.is_f64() => write!(f, "floating point `{number}`"),
            Value::Number(number) => write!(f, "integer `{number}`"),
            Value::String(text) => write!(f, "string {text:?}"),
            Value::Array(_) => f.write_str("a list"),
            Value::Object(_) => f.write_str("an object"),
        }
    }
}

/// `` `a` ``, `` `a` or `b` ``, `` one of `a`, `b`, `c` ``.
fn one_of(words: &[&str]) -> String {
    match words {
        [word] => format!("`{word}`"),
        [a, b] => format!("`{a}` or `{b}`"),
        _ => {
            let mut text = String::from("one of ");
            for (index, word) in words.iter().enumerate() {
                let comma = if index > 0 { ", " } else { "" };
                // Writing to a string cannot fail.
                let _ = write!(text, "{comma}`{word}`");
            }
            text
        }
    }
}

impl Read for bool {
    fn read(value: &Value, at: At<'_>, mistakes: &mut Noted<'_>) -> Option<Self> {
        if value.as_bool().is_none() {
            mistakes.wrong_type(at, value, "a boolean");
        }
        value.as_bool()
    }
}

impl Read for String {
    fn read(value: &Value, at: At<'_>, mistakes: &mut Noted<'_>) -> Option<Self> {
        if !value.is_string() {
            mistakes.wrong_type(at, value, "a string");
        }
        value.as_str().map(str::to_owned)
    }
}

/// Envoy turns YAML into a `Struct` itself and knows only whole numbers there: `rate: 0.5` arrives
/// as the string `0.5` (`source/common/protobuf/yaml_utility.cc`, `parseYamlNode`). So where a
/// fraction is expected, its text will do.
impl Read for f64 {
    fn read(value: &Value, at: At<'_>, mistakes: &mut Noted<'_>) -> Option<Self> {
        let text = value.as_str().and_then(number::real);
        let number = value.as_f64().or(text).filter(|number| number.is_finite());
        if number.is_none() {
            mistakes.wrong_type(at, value, "a number");
        }
        number
    }
}

/// A whole number of a type that is named for messages.
fn whole<T: TryFrom<u64>>(
    value: &Value,
    at: At<'_>,
    mistakes: &mut Noted<'_>,
    name: &str,
) -> Option<T> {
    let number = value.as_u64().and_then(|number| number.try_into().ok());
    if number.is_none() {
        if value.is_i64() || value.is_u64() {
            let found = InWords(value);
            mistakes.add(at, format!("invalid value: {found}, expected {name}"));
        } else {
            mistakes.wrong_type(at, value, name);
        }
    }
    number
}

macro_rules! whole_numbers {
    ($($type:ident)*) => {
        $(impl Read for $type {
            fn read(value: &Value, at: At<'_>, mistakes: &mut Noted<'_>) -> Option<Self> {
                whole(value, at, mistakes, stringify!($type))
            }
        })*
    };
}

whole_numbers!(u16 u32 u64);

impl<T: Read> Read for Option<T> {
    fn read(value: &Value, at: At<'_>, mistakes: &mut Noted<'_>) -> Option<Self> {
        if value.is_null() { Some(None) } else { T::read(value, at, mistakes).map(Some) }
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(value: &Value, at: At<'_>, mistakes: &mut Noted<'_>) -> Option<Self> {
        let Value::Array(items) = value else {
            mistakes.wrong_type(at, value, "a list");
            return None;
        };
        let mut list = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let read = T::read(item, At::Item(&at, index), mistakes);
            // Behind a gap nothing stands in its place, and later messages would name another.
            if list.len() == index {
                list.extend(read);
            }
        }
        Some(list)
    }
}

impl<T: Read> Read for BTreeMap<String, T> {
    fn read(value: &Value, at: At<'_>, mistakes: &mut Noted<'_>) -> Option<Self> {
        let members = object(value, at, mistakes)?;
        let mut map = Self::new();
        for (key, value) in members {
            if let Some(value) = T::read(value, At::Key(&at, key), mistakes) {
                map.insert(key.clone(), value);
            }
        }
        Some(map)
    }
}

fn object<'a>(
    value: &'a Value,
    at: At<'_>,
    mistakes: &mut Noted<'_>,
) -> Option<&'a Map<String, Value>> {
    if !value.is_object() {
        mistakes.wrong_type(at, value, "an object");
    }
    value.as_object()
}

/// Where a member of an object goes.
trait Place {
    /// Reads the member into it, or notes mistakes and leaves it.
    fn fill(&mut self, value: &Value, at: At<'_>, mistakes: &mut Noted<'_>);
}

impl<T: Read> Place for T {
    fn fill(&mut self, value: &Value, at: At<'_>, mistakes: &mut Noted<'_>) {
        if let Some(value) = T::read(value, at, mistakes) {
            *self = value;
        }
    }
}

/// The place of a member that must be there.
struct Must<T>(Option<T>);

impl<T: Read> Place for Must<T> {
    fn fill(&mut self, value: &Value, at: At<'_>, mistakes: &mut Noted<'_>) {
        self.0 = T::read(value, at, mistakes);
    }
}

/// Reads the members of an object into their places; false where it is no object. One program for
/// all objects, so that not each has one of its own.
fn members<'p>(
    value: &Value,
    at: At<'_>,
    mistakes: &mut Noted<'_>,
    must: &mut [(&'static str, &'p mut dyn Place)],
    may: &mut [(&'static str, &'p mut dyn Place)],
) -> bool {
    let Some(members) = object(value, at, mistakes) else { return false };
    let keys: Vec<&str> = must.iter().chain(may.iter()).map(|(key, _)| *key).collect();
    for key in members.keys().filter(|key| !keys.contains(&key.as_str())) {
        let message = format!("unknown field `{key}`, expected {}", one_of(&keys));
        mistakes.add(At::Key(&at, key), message);
    }
    for (key, _) in must.iter().filter(|(key, _)| !members.contains_key(*key)) {
        mistakes.add(at, format!("missing field `{key}`"));
    }
    for (key, place) in must.iter_mut().chain(may.iter_mut()) {
        if let Some(value) = members.get(*key) {
            place.fill(value, At::Key(&at, key), mistakes);
        }
    }
    true
}

/// A field's name as a key.
macro_rules! key {
    ($field:ident) => {
        stringify!($field).trim_start_matches("r#")
    };
}

/// An object whose keys are all optional; those after the semicolon are no keys.
macro_rules! optional {
    ($type:ident { $($field:ident),* $(; $($other:ident),*)? }) => {
        impl Read for $type {
            #[inline(never)]
            fn read(value: &Value, at: At<'_>, mistakes: &mut Noted<'_>) -> Option<Self> {
                let mut all = Self::default();
                // Naming all fields keeps this list and the type equal.
                let Self { $($field,)* $($($other: _,)*)? } = &mut all;
                let may: &mut [(&str, &mut dyn Place)] = &mut [$((key!($field), $field)),*];
                members(value, at, mistakes, &mut [], may).then_some(all)
            }
        }
    };
}

/// An object with keys that must be there, and behind the semicolon some that need not.
macro_rules! required {
    ($type:ident { $($must:ident),* $(; $($may:ident),*)? }) => {
        impl Read for $type {
            #[inline(never)]
            fn read(value: &Value, at: At<'_>, mistakes: &mut Noted<'_>) -> Option<Self> {
                $(let mut $must = Must(None);)*
                $($(let mut $may = Default::default();)*)?
                let must: &mut [(&str, &mut dyn Place)] = &mut [$((key!($must), &mut $must)),*];
                let may: &mut [(&str, &mut dyn Place)] =
                    &mut [$($((key!($may), &mut $may)),*)?];
                if !members(value, at, mistakes, must, may) {
                    return None;
                }
                Some(Self { $($must: $must.0?,)* $($($may,)*)? })
            }
        }
    };
}

/// One of a closed set of words.
macro_rules! words {
    ($type:ident { $($variant:ident = $word:literal),* }) => {
        impl Read for $type {
            fn read(value: &Value, at: At<'_>, mistakes: &mut Noted<'_>) -> Option<Self> {
                let words = [$(($word, Self::$variant)),*];
                word(value, &words, at, mistakes)
            }
        }

        impl $type {
            /// The word for it in the configuration.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),*
                }
            }
        }
    };
}

fn word<T: Copy>(
    value: &Value,
    words: &[(&str, T)],
    at: At<'_>,
    mistakes: &mut Noted<'_>,
) -> Option<T> {
    let Value::String(text) = value else {
        mistakes.wrong_type(at, value, "a string");
        return None;
    };
    let found = words.iter().find(|(word, _)| word == text);
    if found.is_none() {
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        mistakes.add(at, format!("unknown variant `{text}`, expected {}", one_of(&words)));
    }
    found.map(|(_, value)| *value)
}

optional!(Config {
    enabled, namespace, metrics, labels, endpoint, sampling, limits, detailed, custom_metrics,
    events; custom_metrics_off
});
optional!(Metrics {
    requests_total,
    request_duration,
    requests_active,
    response_size,
    request_size,
    exceptions_total
});
optional!(RequestsTotal { enabled, labels });
optional!(RequestDuration { enabled, labels, unit, buckets });
words!(DurationUnit { Microseconds = "microseconds", Milliseconds = "milliseconds" });
optional!(RequestsActive { enabled });
optional!(ResponseSize { enabled, labels, buckets });
optional!(RequestSize { enabled, labels, buckets });
optional!(ExceptionsTotal { enabled, labels, header });
required!(Label { from; name, value, map, allow, default, hash });
words!(Source {
    Method = "method",
    Endpoint = "endpoint",
    Status = "status",
    StatusClass = "status_class",
    RouteName = "route_name",
    ClusterName = "cluster_name",
    VirtualHost = "virtual_host",
    Authority = "authority",
    Protocol = "protocol",
    GrpcService = "grpc_service",
    GrpcMethod = "grpc_method",
    GrpcStatus = "grpc_status",
    ResponseFlags = "response_flags",
    RequestHeader = "request_header",
    ResponseHeader = "response_header",
    QueryParam = "query_param",
    PathParam = "path_param",
    Constant = "constant"
});
optional!(Endpoint { exclude, templates, rules, route_name, inference, ignore_statuses, export });
required!(EndpointRule { regex, endpoint });
words!(InferenceMode { Adaptive = "adaptive", Heuristic = "heuristic", Off = "off" });
optional!(Sampling { rate, always });
optional!(Always { statuses, endpoints, slower_than_ms });
optional!(Limits {
    max_labels_per_metric,
    max_values_per_label,
    max_endpoints,
    max_series_per_metric,
    max_label_value_length
});
optional!(Detailed { enabled, org, user, limits });
optional!(DetailedLimits { max_values_per_label, max_series_per_metric });
required!(CustomMetric { name, r#type; source, r#match, value, labels, scale, buckets });
optional!(CustomLabel { from, name, value, map, allow, default, hash });
words!(MetricType { Counter = "counter", Gauge = "gauge", Histogram = "histogram" });
words!(MetricSource { Match = "match", Event = "event" });
optional!(Match { methods, endpoints, statuses, request_headers, response_headers });
required!(MetricValue { from; name, value, scale });
words!(ValueSource {
    DurationMs = "duration_ms",
    RequestSize = "request_size",
    ResponseSize = "response_size",
    RequestHeader = "request_header",
    ResponseHeader = "response_header",
    QueryParam = "query_param",
    PathParam = "path_param",
    Constant = "constant"
});
optional!(Events { response_header, path });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test;

    #[test]
    fn mistakes_have_a_bound() {
        let list: Vec<Value> = (0..500).map(Value::from).collect();
        let document = serde_json::json!({"endpoint": {"templates": list}, "x": 1});
        let mut mistakes = Mistakes::default();
        assert!(configuration(&document, &mut mistakes).is_some());
        assert_eq!(mistakes.len(), MAX_MISTAKES);
        assert!(mistakes.to_string().ends_with("the rest of the mistakes is not shown"));
    }

    /// The schema is the command's.
    #[cfg(not(target_arch = "wasm32"))]
    mod schema {
        use std::collections::BTreeSet;

        use super::*;

        /// The words of a type in its JSON Schema.
        fn words_of(schema: &Value, words: &mut BTreeSet<String>) {
            match schema {
                Value::Object(members) => {
                    for (key, value) in members {
                        match (key.as_str(), value) {
                            ("const", Value::String(word)) => drop(words.insert(word.clone())),
                            ("enum", Value::Array(list)) => {
                                words.extend(
                                    list.iter().filter_map(Value::as_str).map(str::to_owned),
                                );
                            }
                            _ => words_of(value, words),
                        }
                    }
                }
                Value::Array(list) => list.iter().for_each(|item| words_of(item, words)),
                _ => {}
            }
        }

        fn agree<T: Read + schemars::JsonSchema>() {
            let mut in_schema = BTreeSet::new();
            words_of(schemars::schema_for!(T).as_value(), &mut in_schema);
            let mut mistakes = Mistakes::default();
            assert!(T::read(&"?".into(), At::Top, &mut Noted(&mut mistakes)).is_none());
            let message = mistakes.to_string();
            let listed = message
                .split_once("expected")
                .map_or("", |(_, list)| list)
                .split('`')
                .skip(1)
                .step_by(2);
            assert_eq!(listed.map(str::to_owned).collect::<BTreeSet<_>>(), in_schema);
            for word in in_schema {
                let value = Value::from(word);
                assert!(T::read(&value, At::Top, &mut Noted(&mut mistakes)).is_some(), "{value}");
            }
        }

        #[test]
        fn the_schema_has_the_words_that_are_read() {
            agree::<DurationUnit>();
            agree::<Source>();
            agree::<InferenceMode>();
            agree::<MetricType>();
            agree::<MetricSource>();
            agree::<ValueSource>();
        }
    }
}
