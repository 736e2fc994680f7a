//! Numbers from outside, and what of them may be recorded.
//!
//! Envoy's counters, gauges and histograms hold whole numbers that never fall below zero: a gauge
//! below it wraps, and a histogram takes a value above `i64::MAX` for negative (Envoy,
//! `source/extensions/common/wasm/context.cc`). So everything else is refused here.

use crate::config::number::real;
use crate::host::MetricKind;

/// The most that one value may add to a counter: 2⁵³, up to which doubles hold every whole number.
pub const MAX_INCREMENT: u64 = 1 << 53;
/// The most that a gauge or histogram takes.
pub const MAX_LEVEL: u64 = i64::MAX.unsigned_abs();
/// The longest text that is read as a number.
const MAX_TEXT_BYTES: usize = 64;

/// A number as it was reported.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A whole number from 0.
    Whole(u64),
    /// Any other, NaN and the infinities among them.
    Real(f64),
}

impl Number {
    /// The number in a header or parameter: digits with an optional sign, fraction and exponent.
    /// `None` where the text is something else, or longer than 64 bytes.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = text.trim_ascii();
        if text.len() > MAX_TEXT_BYTES {
            return None;
        }
        let text = std::str::from_utf8(text).ok()?;
        text.parse().map(Self::Whole).ok().or_else(|| real(text).map(Self::Real))
    }

    /// What is recorded of it: multiplied by `scale`, then rounded to the nearest whole number,
    /// halves up.
    ///
    /// # Errors
    /// What is not finite, below zero, or above [`MAX_INCREMENT`] for a counter and [`MAX_LEVEL`]
    /// for the others; the message says so.
    pub fn amount(self, kind: MetricKind, scale: f64) -> Result<u64, &'static str> {
        let (max, too_large) = match kind {
            MetricKind::Counter => {
                (MAX_INCREMENT, "is too large; a counter adds 9007199254740992 (2^53) at most")
            }
            _ => (MAX_LEVEL, "is too large; 9223372036854775807 (2^63 - 1) is the most"),
        };
        let real = match self {
            #[expect(clippy::float_cmp, reason = "a scale of exactly 1 is the default")]
            Self::Whole(whole) if scale == 1.0 => {
                return if whole <= max { Ok(whole) } else { Err(too_large) };
            }
            #[expect(clippy::cast_precision_loss, reason = "it is rounded all the same")]
            Self::Whole(whole) => whole as f64 * scale,
            Self::Real(real) => real * scale,
        };
        if real.is_nan() {
            return Err("is not a number");
        }
        if real < 0.0 {
            return Err("is below zero");
        }
        #[expect(clippy::cast_precision_loss, reason = "both bounds are powers of two, or one off")]
        if real > max as f64 {
            return Err(too_large);
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
        let whole = real.round() as u64;
        Ok(whole.min(max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test;
    use proptest::prelude::*;

    #[test]
    fn texts_are_read_as_numbers_or_not_at_all() {
        for (text, expected) in [
            ("12", Some(Number::Whole(12))),
            (" 12 ", Some(Number::Whole(12))),
            ("1.25", Some(Number::Real(1.25))),
            ("-1", Some(Number::Real(-1.0))),
            ("1e3", Some(Number::Real(1000.0))),
            ("18446744073709551616", Some(Number::Real(18_446_744_073_709_551_616.0))),
            ("", None),
            ("-", None),
            ("1,2", None),
            ("1 2", None),
            ("nan", None),
            ("inf", None),
            ("0x10", None),
        ] {
            assert_eq!(Number::parse(text.as_bytes()), expected, "{text:?}");
        }
        // Between two doubles, nearer to the second; steps of ten would give the first.
        assert_eq!(Number::parse(b"8.41e+21"), Some(Number::Real(8.41e21)));
        assert_eq!(Number::parse(&[b'1'; 65]), None);
        assert_eq!(Number::parse(b"\xff"), None);
    }

    #[test]
    fn only_what_envoy_can_hold_is_recorded() {
        use MetricKind::{Counter, Gauge, Histogram};
        let real = Number::Real;
        for (number, kind, scale, expected) in [
            (Number::Whole(7), Counter, 1.0, Some(7)),
            (real(1.25), Histogram, 1000.0, Some(1250)),
            (real(0.4), Counter, 1.0, Some(0)),
            (real(2.5), Counter, 1.0, Some(3)),
            (real(-0.0), Counter, 1.0, Some(0)),
            (real(-0.1), Gauge, 1.0, None),
            (real(-1.0), Counter, 1.0, None),
            (real(f64::NAN), Counter, 1.0, None),
            (real(f64::INFINITY), Histogram, 1.0, None),
            (real(1e300), Histogram, 1e300, None),
            (Number::Whole(MAX_INCREMENT), Counter, 1.0, Some(MAX_INCREMENT)),
            (Number::Whole(MAX_INCREMENT + 1), Counter, 1.0, None),
            (Number::Whole(MAX_LEVEL), Gauge, 1.0, Some(MAX_LEVEL)),
            (Number::Whole(MAX_LEVEL + 1), Histogram, 1.0, None),
            (Number::Whole(u64::MAX), Gauge, 1.0, None),
        ] {
            assert_eq!(number.amount(kind, scale).ok(), expected, "{number:?} × {scale}");
        }
    }

    proptest! {
        #[test]
        fn any_text_gives_a_bounded_amount(text in "[-+0-9.eE]{0,40}", scale in 1e-9f64..1e9) {
            if let Some(number) = Number::parse(text.as_bytes()) {
                for (kind, max) in [(MetricKind::Counter, MAX_INCREMENT), (MetricKind::Gauge, MAX_LEVEL)] {
                    if let Ok(amount) = number.amount(kind, scale) {
                        prop_assert!(amount <= max);
                    }
                }
            }
        }

        #[test]
        fn every_double_comes_back_from_its_text(number in any::<f64>().prop_filter("finite", |n| n.is_finite())) {
            for text in [format!("{number}"), format!("{number:e}")] {
                prop_assert_eq!(real(&text).map(f64::to_bits), Some(number.to_bits()), "{}", text);
            }
        }
    }
}
