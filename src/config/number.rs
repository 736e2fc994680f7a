//! Numbers in a configuration: read from text, and printed.

use serde_json::Value;

/// A number as JSON has it, where what is whole counts as whole up to 2^53, and what is not finite is
/// null: a Struct has only doubles. Messages print numbers by it, too, as Rust's own way takes 13 kB of
/// the module.
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

/// The number in a text: digits with an optional sign, fraction and exponent. It is the nearest
/// double where the text has at most 15 digits and 22 places, else one of its neighbours.
///
/// Rust's own parser is exact for all texts, and takes 17 kB of the module.
#[must_use]
pub fn real(text: &str) -> Option<f64> {
    let (negative, rest) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let (mut mantissa, mut exponent) = (0_u64, 0_i32);
    let (mut digits, mut fraction) = (0, false);
    let mut bytes = rest.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'0'..=b'9' => {
                digits += 1;
                // A digit that there is no room for only counts as a place.
                let more = mantissa.checked_mul(10);
                match more.and_then(|more| more.checked_add(u64::from(byte - b'0'))) {
                    Some(more) => {
                        mantissa = more;
                        exponent -= i32::from(fraction);
                    }
                    None => exponent += i32::from(!fraction),
                }
            }
            b'.' if !fraction => fraction = true,
            b'e' | b'E' => {
                let written = std::str::from_utf8(bytes.as_slice()).ok()?;
                let end = written.strip_prefix(['+', '-']).unwrap_or(written);
                if end.is_empty() || !end.bytes().all(|byte| byte.is_ascii_digit()) {
                    return None;
                }
                // More than an i32 holds is 0 or infinite, as are its bounds.
                let bound = if written.starts_with('-') { i32::MIN } else { i32::MAX };
                exponent = exponent.saturating_add(written.parse().unwrap_or(bound));
                break;
            }
            _ => return None,
        }
    }
    if digits == 0 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "it is rounded to the nearest")]
    let mut number = mantissa as f64;
    // Powers of ten are exact up to the 22nd. What is beyond the range of doubles takes 30 steps.
    let mut left = exponent.clamp(-660, 660);
    while left != 0 {
        let step = left.clamp(-22, 22);
        let power = (0..step.abs()).fold(1.0, |power, _| power * 10.0);
        number = if step > 0 { number * power } else { number / power };
        left -= step;
    }
    Some(if negative { -number } else { number })
}
