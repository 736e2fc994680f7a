//! From a serialized `google.protobuf.Struct` to the same in JSON.
//!
//! The message has three types and six kinds of values (google/protobuf/struct.proto); a library for
//! any message is many times the size of what reads this one.

use serde_json::{Map, Value};

use crate::config::number::json as number;

/// Messages within each other; prost's bound, too.
const MAX_DEPTH: usize = 100;

/// What a field holds, by its wire type. Fields of 32 bits stand nowhere in a Struct.
enum Field<'a> {
    Varint(u64),
    Double([u8; 8]),
    Bytes(&'a [u8]),
    Other,
}

/// The Struct in `bytes` as an object, or `None` where they are something else. Fields that a Struct
/// does not have are skipped. A later value of a key replaces the earlier one.
pub fn read_struct(bytes: &[u8]) -> Option<Value> {
    object(bytes, MAX_DEPTH)
}

fn object(mut bytes: &[u8], depth: usize) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    let mut map = Map::new();
    while !bytes.is_empty() {
        match next(&mut bytes, depth)? {
            (1, Field::Bytes(entry)) => {
                let (key, value) = member(entry, depth)?;
                map.insert(key, value);
            }
            (1, _) => return None,
            _ => {}
        }
    }
    Some(Value::Object(map))
}

fn member(mut bytes: &[u8], depth: usize) -> Option<(String, Value)> {
    let (mut key, mut member) = (String::new(), Value::Null);
    while !bytes.is_empty() {
        match next(&mut bytes, depth)? {
            (1, Field::Bytes(bytes)) => key = text(bytes)?,
            (2, Field::Bytes(bytes)) => member = value(bytes, depth, member)?,
            (1 | 2, _) => return None,
            _ => {}
        }
    }
    Some((key, member))
}

/// The value; one of the same kind that came before it is extended by it.
fn value(mut bytes: &[u8], depth: usize, mut value: Value) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    while !bytes.is_empty() {
        value = match next(&mut bytes, depth)? {
            (1, Field::Varint(_)) => Value::Null,
            (2, Field::Double(bytes)) => number(f64::from_le_bytes(bytes)),
            (3, Field::Bytes(bytes)) => Value::String(text(bytes)?),
            (4, Field::Varint(flag)) => Value::Bool(flag != 0),
            (5, Field::Bytes(bytes)) => {
                let Value::Object(map) = object(bytes, depth)? else { return None };
                match value {
                    Value::Object(mut known) => {
                        known.extend(map);
                        Value::Object(known)
                    }
                    _ => Value::Object(map),
                }
            }
            (6, Field::Bytes(bytes)) => {
                let mut known = match value {
                    Value::Array(known) => known,
                    _ => Vec::new(),
                };
                list(bytes, depth, &mut known)?;
                Value::Array(known)
            }
            (1..=6, _) => return None,
            _ => continue,
        }
    }
    Some(value)
}

fn list(mut bytes: &[u8], depth: usize, list: &mut Vec<Value>) -> Option<()> {
    while !bytes.is_empty() {
        match next(&mut bytes, depth)? {
            (1, Field::Bytes(item)) => list.push(value(item, depth.checked_sub(1)?, Value::Null)?),
            (1, _) => return None,
            _ => {}
        }
    }
    Some(())
}

fn text(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

/// Takes the next field from the front: its number, which is never 0, and what it holds.
fn next<'a>(bytes: &mut &'a [u8], depth: usize) -> Option<(u64, Field<'a>)> {
    let tag = varint(bytes)?;
    let field = match tag & 7 {
        0 => Field::Varint(varint(bytes)?),
        1 => Field::Double(*take(bytes, 8)?.as_array()?),
        2 => {
            let length = varint(bytes)?.try_into().ok()?;
            Field::Bytes(take(bytes, length)?)
        }
        5 => {
            take(bytes, 4)?;
            Field::Other
        }
        // A group: fields up to its end, which has the same number.
        3 => {
            let depth = depth.checked_sub(1)?;
            while varint(&mut { *bytes })? != tag + 1 {
                next(bytes, depth)?;
            }
            varint(bytes)?;
            Field::Other
        }
        _ => return None,
    };
    (tag >> 3 != 0).then_some((tag >> 3, field))
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *take(bytes, 1)?.first()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;
    use prost_types::value::Kind;
    use prost_types::{ListValue, Struct};

    use super::*;
    use crate::test;

    fn structs() -> impl Strategy<Value = Struct> {
        let leaf = prop_oneof![
            Just(None),
            Just(Some(Kind::NullValue(0))),
            any::<bool>().prop_map(|flag| Some(Kind::BoolValue(flag))),
            any::<f64>().prop_map(|number| Some(Kind::NumberValue(number))),
            any::<i32>().prop_map(|number| Some(Kind::NumberValue(number.into()))),
            any::<String>().prop_map(|text| Some(Kind::StringValue(text))),
        ]
        .prop_map(|kind| prost_types::Value { kind });
        let any_value = leaf.prop_recursive(4, 32, 6, |inner| {
            let list = prop::collection::vec(inner.clone(), 0..6).prop_map(|values| {
                prost_types::Value { kind: Some(Kind::ListValue(ListValue { values })) }
            });
            let object =
                prop::collection::btree_map(any::<String>(), inner, 0..6).prop_map(|fields| {
                    prost_types::Value { kind: Some(Kind::StructValue(Struct { fields })) }
                });
            prop_oneof![list, object]
        });
        prop::collection::btree_map(any::<String>(), any_value, 0..6)
            .prop_map(|fields| Struct { fields })
    }

    fn of_struct(message: Struct) -> Value {
        Value::Object(message.fields.into_iter().map(|(k, v)| (k, of_value(v))).collect())
    }

    fn of_value(value: prost_types::Value) -> Value {
        match value.kind {
            None | Some(Kind::NullValue(_)) => Value::Null,
            Some(Kind::BoolValue(flag)) => Value::Bool(flag),
            Some(Kind::StringValue(text)) => Value::String(text),
            Some(Kind::StructValue(message)) => of_struct(message),
            Some(Kind::ListValue(list)) => {
                Value::Array(list.values.into_iter().map(of_value).collect())
            }
            Some(Kind::NumberValue(value)) => number(value),
        }
    }

    #[test]
    fn what_is_unknown_is_skipped_and_what_is_broken_is_refused() {
        let entry = b"\x0a\x07\x0a\x01a\x12\x02\x20\x01";
        assert_eq!(read_struct(entry), Some(serde_json::json!({"a": true})));
        let unknown = [entry, b"\x12\x01x\x1d\x00\x00\x00\x00".as_slice()].concat();
        assert_eq!(read_struct(&unknown), read_struct(entry));
        for broken in
            [&entry[..8], b"\x08\x01", b"\x0a\xff", b"\x00\x00", b"\x0b", b"\x13\x08", &[0xff; 11]]
        {
            assert_eq!(read_struct(broken), None, "{broken:?}");
        }
        for (depth, good) in [(40, true), (60, false)] {
            let mut message = Struct::default();
            for _ in 0..depth {
                let value = prost_types::Value { kind: Some(Kind::StructValue(message)) };
                message = Struct { fields: [(String::new(), value)].into() };
            }
            assert_eq!(read_struct(&message.encode_to_vec()).is_some(), good, "{depth}");
        }
    }

    proptest! {
        #[test]
        fn it_is_what_the_library_reads(message in structs()) {
            prop_assert_eq!(read_struct(&message.encode_to_vec()), Some(of_struct(message)));
        }
    }
}
