//! Numbers in a configuration: read from text by the standard library, and printed by serde_json.
//!
//! Of its own is only what those two leave open: that a whole double is printed as a whole number,
//! as a `Struct` has no others, and that words are no numbers. Printing goes by serde_json, which is
//! in the module already; the standard library's own printing of doubles would take 13 kB of it.

use serde_json::Value;

/// A number as JSON has it, where what is whole counts as whole up to 2^53, and what is not finite is
/// null: a Struct has only doubles. Messages print numbers by it, too.
#[must_use]
pub fn json(number: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
        let whole = number as i64;
        return Value::from(whole);
    }
    serde_json::Number::from_f64(number).map_or(Value::Null, Value::Number)
}

/// The number in a text: digits with an optional sign, fraction and exponent, rounded to the nearest
/// double. `None` for anything else, words such as `inf` among them, which Rust would read, too.
#[must_use]
pub fn real(text: &str) -> Option<f64> {
    let plain = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    if text.bytes().all(plain) { text.parse().ok() } else { None }
}
