//! Units of durations: read where a line says them, else decided from the whole log.
//!
//! `"duration": 5` is five seconds, milliseconds, microseconds or nanoseconds by the program that
//! wrote it. A [`Source`] is one such field of one input. It keeps what speaks for each unit: what
//! the program is known to write, a sibling that says the same for people, whether there is ever a
//! decimal point, and the median. The unit is the likeliest one at the end of the log, so durations
//! are kept as numbers until then.

use super::spread::Spread;

/// A unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unit {
    /// 10⁻⁹ s.
    Nanoseconds,
    /// 10⁻⁶ s.
    Microseconds,
    /// 10⁻³ s.
    Milliseconds,
    /// Seconds.
    Seconds,
}

impl Unit {
    /// All of them, the smallest first.
    pub const ALL: [Self; 4] =
        [Self::Nanoseconds, Self::Microseconds, Self::Milliseconds, Self::Seconds];

    /// Its name in the plural.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nanoseconds => "nanoseconds",
            Self::Microseconds => "microseconds",
            Self::Milliseconds => "milliseconds",
            Self::Seconds => "seconds",
        }
    }

    /// Nanoseconds of one.
    #[must_use]
    pub fn ns(self) -> f64 {
        match self {
            Self::Nanoseconds => 1.0,
            Self::Microseconds => 1e3,
            Self::Milliseconds => 1e6,
            Self::Seconds => 1e9,
        }
    }

    /// The unit that a word names, in lower case, as behind a number or at the end of a key.
    pub(super) fn of_word(word: &[u8]) -> Option<Self> {
        Some(match word {
            b"ns" | b"nsec" | b"nsecs" | b"nano" | b"nanos" | b"nanosecond" | b"nanoseconds" => {
                Self::Nanoseconds
            }
            b"us" | b"\xc2\xb5s" | b"\xce\xbcs" | b"\xb5s" | b"usec" | b"usecs" | b"micro"
            | b"micros" | b"microsecond" | b"microseconds" => Self::Microseconds,
            b"ms" | b"msec" | b"msecs" | b"milli" | b"millis" | b"millisecond"
            | b"milliseconds" => Self::Milliseconds,
            b"s" | b"sec" | b"secs" | b"second" | b"seconds" => Self::Seconds,
            _ => return None,
        })
    }
}

/// A duration as it stands in a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Duration {
    /// With its unit.
    Nanoseconds(f64),
    /// Without one.
    Number(Number),
}

/// A number without a unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number {
    /// Not negative.
    pub value: f64,
    /// Whether it has a decimal point.
    pub has_point: bool,
}

impl Number {
    /// A number in decimal digits, with or without fraction and exponent; `None` for everything
    /// else, negative numbers included.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 && text.first() != Some(&b'.') {
            return None;
        }
        let has_point = text.get(digits) == Some(&b'.');
        if let (false, Some(value)) = (has_point, super::integer(text)) {
            return Some(Self { value: value as f64, has_point });
        }
        let rest = text.get(digits..)?;
        if !rest.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')) {
            return None;
        }
        let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
        value.is_finite().then_some(Self { value, has_point: has_point || !rest.is_empty() })
    }
}

impl Duration {
    /// Reads a number, `12.3ms`, `1.2 µs`, Go's `1m2.5s`, .NET's `00:00:01.5` or ISO 8601's
    /// `PT0.5S`. `None` for everything else.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let text = text.trim_ascii();
        if let Some(number) = Number::read(text) {
            return Some(Self::Number(number));
        }
        let with_unit = go(text).or_else(|| clock(text)).or_else(|| iso(text));
        with_unit.filter(|ns| ns.is_finite()).map(Self::Nanoseconds)
    }

    /// A number with its unit behind it, in nanoseconds; no other form.
    pub(super) fn with_unit(text: &[u8]) -> Option<f64> {
        go(text.trim_ascii()).filter(|ns| ns.is_finite())
    }

    /// As [`Self::read`], in a unit that is known from elsewhere where the text has none.
    pub(super) fn in_unit(self, unit: Unit) -> f64 {
        match self {
            Self::Nanoseconds(ns) => ns,
            Self::Number(number) => number.value * unit.ns(),
        }
    }
}

/// Numbers with units in a row, as Go writes durations.
fn go(text: &[u8]) -> Option<f64> {
    let mut rest = text;
    let mut sum = 0.0;
    let mut any = false;
    while !rest.is_empty() {
        let number = rest.iter().take_while(|byte| matches!(byte, b'0'..=b'9' | b'.')).count();
        let (digits, tail) = rest.split_at_checked(number)?;
        let tail = tail.trim_ascii_start();
        let letters =
            tail.iter().take_while(|byte| byte.is_ascii_alphabetic() || **byte >= 0x80).count();
        let (word, after) = tail.split_at_checked(letters)?;
        let factor = match word {
            b"h" => 3600e9,
            b"m" | b"min" => 60e9,
            word => Unit::of_word(&word.to_ascii_lowercase())?.ns(),
        };
        sum += Number::read(digits)?.value * factor;
        any = true;
        rest = after.trim_ascii_start();
    }
    any.then_some(sum)
}

/// `hh:mm:ss.fraction`.
fn clock(text: &[u8]) -> Option<f64> {
    let mut parts = text.split(|&byte| byte == b':');
    let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let [hours, minutes] = [hours, minutes].map(|part| super::integer(part).filter(|n| *n < 1000));
    Some((hours? * 3600 + minutes? * 60) as f64 * 1e9 + Number::read(seconds)?.value * 1e9)
}

/// `PT1.5S` and `PT1M2S`.
fn iso(text: &[u8]) -> Option<f64> {
    let rest = text.strip_prefix(b"PT")?;
    rest.last()?.is_ascii_alphabetic().then(|| go(&rest.to_ascii_lowercase()))?
}

/// One field with durations without a unit, in one input.
#[derive(Clone, Debug)]
pub struct Source {
    /// The input, counted from 0.
    pub input: usize,
    /// The key, or where the number stands.
    pub field: String,
    /// The program that is told from the rest of the line.
    pub software: Option<&'static str>,
    /// What that program writes.
    known: Option<Unit>,
    /// What the key usually stands for.
    usual: Option<Unit>,
    /// How many numbers were read.
    pub count: u64,
    points: u64,
    /// How often a sibling for people said which unit it is.
    said: [u64; 4],
    values: Spread,
    decided: Unit,
}

impl Source {
    pub(super) fn new(
        input: usize,
        field: String,
        software: Option<(&'static str, Option<Unit>)>,
        usual: Option<Unit>,
    ) -> Self {
        Self {
            input,
            field,
            software: software.map(|(name, _)| name),
            known: software.and_then(|(_, unit)| unit),
            usual,
            count: 0,
            points: 0,
            said: [0; 4],
            values: Spread::default(),
            decided: Unit::Milliseconds,
        }
    }

    /// Takes one more number, and gives the unit that is the likeliest so far.
    pub(super) fn add(&mut self, number: Number, same_in_ns: Option<f64>) -> Unit {
        self.count += 1;
        self.points += u64::from(number.has_point);
        if number.value > 0.0 {
            self.values.add(number.value);
        }
        if let Some(ns) = same_in_ns {
            let same = |unit: &Unit| (number.value * unit.ns() / ns - 1.0).abs() < 0.02;
            let said = Unit::ALL.iter().position(same).and_then(|at| self.said.get_mut(at));
            if let (true, Some(said)) = (ns > 0.0, said) {
                *said += 1;
            }
        }
        if self.count.is_power_of_two() || (self.points == 1 && number.has_point) {
            self.decided = self.decide();
        }
        self.decided
    }

    /// The likeliest unit, by the logarithm of how likely each is.
    fn decide(&self) -> Unit {
        let said = Unit::ALL.into_iter().zip(self.said).max_by_key(|(_, count)| *count);
        if let Some((unit, 1..)) = said {
            return unit;
        }
        let mut best = (Unit::Milliseconds, f64::NEG_INFINITY);
        for unit in Unit::ALL {
            let score = self.score(unit);
            if score > best.1 {
                best = (unit, score);
            }
        }
        best.0
    }

    fn score(&self, unit: Unit) -> f64 {
        // Servers answer within a few decades around 20 ms, some within microseconds; none needs
        // minutes or nanoseconds for half of its requests.
        let median = self.values.quantile(0.5).map(|value| value * unit.ns() / 1e9);
        let plausible = median.map_or(0.0, |seconds| {
            let decades = (seconds / 0.02).log10();
            let impossible = if (5e-7..=120.0).contains(&seconds) { 0.0 } else { 8.0 };
            -decades * decades / 2.0 - impossible
        });
        let point = if self.points == 0 {
            // Zeros tell nothing: half of all encoders write 0.0 as 0.
            match (unit, self.values.count) {
                (_, 0) => 0.0,
                (Unit::Seconds, count) => -7.0 - (count as f64).min(50.0) / 4.0,
                (Unit::Milliseconds, _) => 0.0,
                (Unit::Microseconds | Unit::Nanoseconds, _) => -0.7,
            }
        } else {
            match unit {
                Unit::Seconds => 0.3,
                Unit::Milliseconds => 0.0,
                Unit::Microseconds => -3.0,
                Unit::Nanoseconds => -10.0,
            }
        };
        let prior = if self.known == Some(unit) {
            9.0
        } else if self.usual == Some(unit) {
            4.0
        } else if unit == Unit::Milliseconds {
            0.2
        } else {
            0.0
        };
        plausible + point + prior
    }

    /// The unit that was taken. `forced` is the user's word.
    #[must_use]
    pub fn unit(&self, forced: Option<Unit>) -> Unit {
        forced.unwrap_or_else(|| self.decide())
    }

    /// Why it was taken.
    #[must_use]
    pub fn why(&self, forced: Option<Unit>) -> String {
        let unit = self.unit(forced);
        if forced.is_some() {
            return "--duration-unit says so".to_owned();
        }
        if self.said.iter().any(|count| *count > 0) {
            return "a field beside it says the same with a unit".to_owned();
        }
        match self.software {
            Some(software) if self.known == Some(unit) => {
                return format!("{software} writes them");
            }
            _ => {}
        }
        if self.usual == Some(unit) {
            return "they are usual there".to_owned();
        }
        let median = self.values.quantile(0.5).unwrap_or(0.0);
        let points = match self.points {
            0 => "no number has a decimal point",
            points if points == self.count => "all numbers have a decimal point",
            _ => "some numbers have a decimal point",
        };
        let median = crate::command::plot::significant(median);
        format!("guessed: the median is {median}, and {points}")
    }

    /// Whether the unit was found out of the numbers alone.
    #[must_use]
    pub fn is_guess(&self, forced: Option<Unit>) -> bool {
        let unit = Some(self.unit(forced));
        forced.is_none()
            && self.said.iter().all(|count| *count == 0)
            && self.known != unit
            && self.usual != unit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_with_units_are_read() {
        for (text, ns) in [
            ("12.3ms", 12.3e6),
            ("12.345 ms", 12.345e6),
            ("1.2 µs", 1200.0),
            ("1.2μs", 1200.0),
            ("0.005s", 5e6),
            ("7ns", 7.0),
            ("1m2.5s", 62.5e9),
            ("00:00:00.0123", 12.3e6),
            ("PT0.012S", 12e6),
            ("3 seconds", 3e9),
        ] {
            let Some(Duration::Nanoseconds(found)) = Duration::read(text.as_bytes()) else {
                panic!("{text}")
            };
            assert!((found - ns).abs() < 1e-3 * ns, "{text}: {found}");
        }
        for text in ["", "ms", "-1", "-1ms", "1..2", "1 mile", "a", "NaN", "inf", "1:2", "é"] {
            assert_eq!(Duration::read(text.as_bytes()), None, "{text}");
        }
        let number = Duration::read(b"1.5e-3");
        assert_eq!(number, Some(Duration::Number(Number { value: 1.5e-3, has_point: true })));
    }

    fn unit(usual: Option<Unit>, known: Option<Unit>, numbers: &[&str]) -> Unit {
        let software = known.map(|unit| ("a program", Some(unit)));
        let mut source = Source::new(0, "duration".to_owned(), software, usual);
        for number in numbers {
            source.add(Number::read(number.as_bytes()).unwrap(), None);
        }
        source.unit(None)
    }

    #[test]
    fn the_numbers_decide_where_nothing_else_does() {
        for (numbers, expected) in [
            (&["5", "12", "7"][..], Unit::Milliseconds),
            (&["1234567", "2345678"], Unit::Nanoseconds),
            (&["0.0052"], Unit::Seconds),
            (&["0.005", "0.125", "1.5"], Unit::Seconds),
            (&["58.33", "12.1"], Unit::Milliseconds),
            (&["0", "0"], Unit::Milliseconds),
        ] {
            assert_eq!(unit(None, None, numbers), expected, "{numbers:?}");
        }
    }

    #[test]
    fn what_is_usual_gives_way_to_what_no_server_has() {
        use Unit::{Milliseconds, Nanoseconds, Seconds};
        // nginx always writes a point.
        assert_eq!(unit(Some(Seconds), None, &["5"]), Milliseconds);
        assert_eq!(unit(Some(Seconds), None, &["0.000", "0.002"]), Seconds);
        assert_eq!(unit(None, Some(Nanoseconds), &["12", "7"]), Milliseconds);
        assert_eq!(unit(None, Some(Nanoseconds), &["1200000"]), Nanoseconds);
        assert_eq!(unit(None, Some(Milliseconds), &["0.4", "30.2"]), Milliseconds);
        assert_eq!(unit(Some(Milliseconds), None, &["0.4"]), Milliseconds);
    }

    #[test]
    fn a_sibling_for_people_settles_it() {
        let mut source = Source::new(0, "latency".to_owned(), None, None);
        let number = Number { value: 12.0, has_point: false };
        source.add(number, Some(12_000.0));
        assert_eq!(source.unit(None), Unit::Microseconds);
        assert_eq!(source.unit(Some(Unit::Seconds)), Unit::Seconds);
    }
}
