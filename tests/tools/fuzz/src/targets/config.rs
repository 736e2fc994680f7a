//! Configurations: JSON text and serialized `google.protobuf.Struct`s.

use std::collections::BTreeSet;

use prost::Message;
use prost_types::value::Kind;
use route_metrics::command::envoy_config::StatsConfig;
use route_metrics::config::{self, Mistakes};
use route_metrics::labels;
use route_metrics::plan;
use route_metrics::plan::Capacity;
use route_metrics::plan::Plan;
use route_metrics::series::MAX_LABELS;
use serde_json::Value;

use crate::stats::{self, Family};

/// What a plan records.
type Recorded = (bool, Option<String>, Vec<Family>, Vec<String>, usize);

fn recorded(plan: &Plan) -> Recorded {
    (
        plan.enabled,
        plan.active.clone(),
        stats::families(plan),
        plan.endpoints.labels().to_vec(),
        plan.max_value_length,
    )
}

/// The plan of a configuration, after the checks that every configuration must pass.
fn load(bytes: &[u8]) -> Result<Recorded, Mistakes> {
    let load = || plan::load(bytes, |_| None, Capacity::Checked);
    match load() {
        Err(mistakes) => {
            assert!(!mistakes.is_empty(), "refused without a reason");
            for mistake in mistakes.iter() {
                let text = mistake.to_string();
                assert!(!mistake.path.is_empty() && !mistake.message.is_empty(), "{text:?}");
                // It becomes a line of Envoy's log and of a terminal.
                assert!(!text.contains(char::is_control), "{text:?} is more than a line");
            }
            assert_eq!(load().err().as_ref(), Some(&mistakes), "the mistakes differ");
            Err(mistakes)
        }
        Ok(plan) => {
            let plan = accepted(bytes, &plan);
            assert_eq!(load().ok().map(|again| recorded(&again)), Some(plan.clone()));
            Ok(plan)
        }
    }
}

fn accepted(bytes: &[u8], plan: &Plan) -> Recorded {
    let recorded = recorded(plan);
    let config = config::parse(bytes).expect("it was parsed just now");
    let tags = StatsConfig::new(&config).expect("an accepted configuration has a bootstrap");
    let known: BTreeSet<&str> = tags.labels().collect();
    let mut names: BTreeSet<&str> = plan.active.as_deref().into_iter().collect();
    for family in &recorded.2 {
        let Family { name, labels, max_series, max_values, .. } = family;
        assert!(labels::is_name(name), "the metric {name:?}");
        assert_eq!(labels::name_trouble(name), None, "{name}");
        assert!(names.insert(name), "{name} is there twice");
        assert!(labels.len() <= MAX_LABELS, "{name} has {} labels", labels.len());
        assert!(*max_series > 0 && max_values.iter().all(|&max| max > 0), "{family:?}");
        for label in labels {
            assert!(labels::is_name(label), "the label {label:?}");
            assert!(known.contains(label.as_str()), "{label} has no tag expression");
            let again = labels.iter().filter(|other| other.ends_with(label.as_str())).count();
            assert_eq!(again, 1, "{label} is the end of another label of {name}");
        }
    }
    for endpoint in &recorded.3 {
        let mut encoded = String::new();
        labels::encode(endpoint.as_bytes(), plan.max_value_length, &mut encoded);
        assert!(!encoded.is_empty(), "the endpoint {endpoint:?} has no text");
    }
    recorded
}

/// A configuration as text. What is accepted so is accepted as a `Struct`, too, with the same
/// meaning.
pub fn json(input: &[u8]) {
    let Ok(plan) = load(input) else { return };
    let Ok(Value::Object(object)) = serde_json::from_slice::<Value>(input) else { return };
    let bytes = message(object).encode_to_vec();
    assert_eq!(load(&bytes), Ok(plan), "as a Struct");
}

/// A configuration as a `Struct`.
pub fn protobuf(input: &[u8]) {
    let loaded = load(input);
    let Ok(message) = prost_types::Struct::decode(input) else { return };
    // In another encoding of the same message. JSON and blank text are read as such, also where
    // they happen to be a message, too.
    let bytes = message.encode_to_vec();
    let is_message = |bytes: &[u8]| {
        bytes.first() == Some(&0x0a)
            && !bytes.iter().all(u8::is_ascii_whitespace)
            && serde_json::from_slice::<Value>(bytes).is_err()
    };
    if !is_message(&bytes) {
        return;
    }
    let not_read = |loaded: &Result<Recorded, Mistakes>| matches!(loaded, Err(why) if why.to_string().contains("not JSON"));
    let again = load(&bytes);
    assert!(!not_read(&again), "what the library writes is not read: {again:?}");
    // The library takes what is not of the wire type that a map has; the filter does not.
    if is_message(input) && !not_read(&loaded) {
        assert_eq!(loaded.is_ok(), again.is_ok(), "{loaded:?} {again:?}");
        if let (Ok(one), Ok(other)) = (loaded, again) {
            assert_eq!(one, other);
        }
    }
}

fn message(object: serde_json::Map<String, Value>) -> prost_types::Struct {
    let fields = object.into_iter().map(|(key, value)| (key, protobuf_value(value)));
    prost_types::Struct { fields: fields.collect() }
}

fn protobuf_value(value: Value) -> prost_types::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(flag) => Kind::BoolValue(flag),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Kind::StringValue(text),
        Value::Array(list) => Kind::ListValue(prost_types::ListValue {
            values: list.into_iter().map(protobuf_value).collect(),
        }),
        Value::Object(object) => Kind::StructValue(message(object)),
    };
    prost_types::Value { kind: Some(kind) }
}
