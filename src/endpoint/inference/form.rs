//! Identifiers and versions that are told by their form alone.

use super::token::{Form, Kind, Sketch};
use crate::endpoint::path::Decoded;

/// Longer segments are values: no literal word of a public API comes near.
const LONGEST_WORD: usize = 64;

/// Segments from the front among which `v1` is a version of the API.
pub(super) const VERSION_DEPTH: usize = 6;

/// Identifiers that need no vocabulary.
pub(super) fn identifier(stem: &[u8], index: usize) -> Option<Kind> {
    if index == 0 && is_language(stem) {
        return Some(Kind::Language);
    }
    let mut digits = 0;
    let mut letters = 0;
    let mut signs = 0;
    let mut hex_run = 0;
    let mut hex_digit = false;
    let mut hex_letter = false;
    for (at, &byte) in stem.iter().enumerate() {
        match byte {
            b'0'..=b'9' => digits += 1,
            b'A'..=b'Z' | b'a'..=b'z' => letters += 1,
            b'-' | b'_' | b'.' | b'~' | b':' => signs += 1,
            b'$' if at == 0 => signs += 1,
            b'%' if Decoded::new(stem.get(at..).unwrap_or_default())
                .next_with_origin()
                .is_some_and(|(_, coded)| coded) =>
            {
                return Some(Kind::Identifier(Form::Encoded));
            }
            0..=b' ' | 127.. => return Some(Kind::Identifier(Form::Encoded)),
            _ => return Some(Kind::Identifier(Form::Signs)),
        }
        if byte.is_ascii_hexdigit() {
            hex_run += 1;
            hex_digit |= byte.is_ascii_digit();
            hex_letter |= byte.is_ascii_alphabetic();
            if hex_run >= 16 && hex_digit {
                return Some(Kind::Identifier(match hex_letter {
                    true => Form::Hex,
                    false => Form::Number,
                }));
            }
        } else {
            hex_run = 0;
            hex_digit = false;
            hex_letter = false;
        }
    }
    if stem.len() > LONGEST_WORD {
        return Some(Kind::Identifier(Form::Long));
    }
    if let Some(parts) = version(stem) {
        return match parts {
            1 | 2 if index < VERSION_DEPTH => Some(Kind::Version),
            _ => Some(Kind::Identifier(Form::Version)),
        };
    }
    if letters == 0 {
        // `2.0` near the front is a version, like `v2`; so is one that begins with a year, `2023.1`.
        let year = stem.starts_with(b"20") && stem.get(4) == Some(&b'.') && stem.len() <= 7;
        let short = stem.len() <= 4 && stem.contains(&b'.');
        if index < 2 && signs == 1 && digits > 1 && (short || year) {
            return Some(Kind::Version);
        }
        return (digits > 0).then_some(Kind::Identifier(Form::Number));
    }
    if has_uuid(stem) {
        return Some(Kind::Identifier(Form::Uuid));
    }
    (digits >= letters && digits > 1).then_some(Kind::Identifier(Form::Mixed))
}

/// Whether it is a language with a region, as `en-gb` and `pt_BR`.
pub(super) fn is_language(stem: &[u8]) -> bool {
    match stem {
        [a, b, b'-' | b'_', c, d] => {
            let region = [c, d];
            [a, b].iter().all(|byte| byte.is_ascii_lowercase())
                && (region.iter().all(|byte| byte.is_ascii_lowercase())
                    || region.iter().all(|byte| byte.is_ascii_uppercase()))
        }
        _ => false,
    }
}

/// The number of parts of a version that begins with `v`: 1 for `v1` and `v1beta1`, 2 for `v1.1`.
pub(super) fn version(stem: &[u8]) -> Option<usize> {
    let (b'v' | b'V', rest) = stem.split_first()? else { return None };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || digits > 4 {
        return None;
    }
    let mut rest = rest.get(digits..)?;
    // Nearly all are so, and each path of an API has one.
    if rest.is_empty() {
        return Some(1);
    }
    let mut parts = 1;
    while let Some(tail) = rest.strip_prefix(b".") {
        let digits = tail.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return None;
        }
        parts += 1;
        rest = tail.get(digits..)?;
    }
    for stage in [&b"alpha"[..], b"beta", b"rc", b"p"] {
        if let Some(tail) = rest.strip_prefix(stage) {
            rest = tail;
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            rest = rest.get(digits..)?;
            break;
        }
    }
    rest.is_empty().then_some(parts)
}

/// Whether there are 8-4-4-4-12 hexadecimal digits somewhere.
fn has_uuid(stem: &[u8]) -> bool {
    stem.len() >= 36 && stem.windows(36).any(is_uuid)
}

fn is_uuid(text: &[u8]) -> bool {
    text.len() == 36
        && text.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// The form of the most common identifiers, without looking anything up; what is not told here may
/// still be one.
pub(super) fn common_form(segment: &[u8]) -> Option<Form> {
    if !segment.first()?.is_ascii_hexdigit() || segment.len() > 36 {
        return None;
    }
    if segment.iter().all(u8::is_ascii_digit) {
        return Some(Form::Number);
    }
    // One of digits alone passes for a date, or the like.
    (is_uuid(segment) && segment.iter().any(u8::is_ascii_alphabetic)).then_some(Form::Uuid)
}

/// Runs of one kind in a segment: digits, capitals, small letters (a capital before small letters is
/// theirs).
#[derive(Clone, Copy, Default)]
pub(super) struct Runs {
    all: usize,
    pub of_digits: usize,
}

impl Runs {
    pub fn new(stem: &[u8]) -> Self {
        let mut runs = Self::default();
        let mut last = 0;
        for &byte in stem {
            let kind = match byte {
                b'0'..=b'9' => 1,
                b'A'..=b'Z' => 2,
                b'a'..=b'z' => 3,
                _ => 0,
            };
            if kind != last {
                runs.all += usize::from(kind != 0 && !(last == 2 && kind == 3));
                runs.of_digits += usize::from(kind == 1);
            }
            last = kind;
        }
        runs
    }
}

/// Letters and digits, or cases, mixed as no word does.
pub(super) fn mixed(stem: &[u8], sketch: &Sketch, runs: Runs) -> bool {
    if sketch.digits == 0 && stem.len() < 8 {
        return false;
    }
    let known = sketch.known > 0 && sketch.known + sketch.compounds + 1 >= sketch.words;
    (!known && (sketch.digits >= 4 || runs.of_digits >= 2))
        || (runs.all >= 4 && sketch.known == 0 && runs.all * 3 >= stem.len())
}
