//! A strict parser of the Prometheus text format (version 0.0.4), and look-ups in what it read.
//!
//! It accepts what the format allows and nothing more, so that a test that parses a scrape has
//! shown that no label, name or line was forged. Source: the text format's specification in the
//! Prometheus documentation ("Exposition formats").

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;

/// The labels of a series, sorted by name.
pub type Labels = BTreeMap<String, String>;

/// Counts by label values; see [`Scrape::table`].
pub type Table = BTreeMap<Vec<String>, u64>;

/// One line of a scrape.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The name as it stands there, with `_bucket`, `_sum` and `_count`.
    pub name: String,
    /// The labels.
    pub labels: Labels,
    /// The value.
    pub value: f64,
}

/// A parsed scrape.
#[derive(Clone, Debug, Default)]
pub struct Scrape {
    samples: Vec<Sample>,
    types: BTreeMap<String, String>,
}

/// What is wrong with a scrape, and in which line (counted from 1; 0 for the whole).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub what: String,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl Scrape {
    /// Parses a scrape, or says what is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
            Malformed { line, what: "not UTF-8".to_owned() }
        })?;
        if !text.is_empty() && !text.ends_with('\n') {
            return Err(Malformed { line: 0, what: "the last line has no end".to_owned() });
        }
        let mut parser = Parser::default();
        for (number, line) in (1..).zip(text.split_terminator('\n')) {
            parser.line(line).map_err(|what| Malformed { line: number, what })?;
        }
        let scrape = Self { samples: parser.samples, types: parser.types };
        scrape.check_histograms().map_err(|what| Malformed { line: 0, what })?;
        Ok(scrape)
    }

    /// The families and their types.
    pub fn types(&self) -> &BTreeMap<String, String> {
        &self.types
    }

    /// Every sample, in order.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The samples of one name (of a histogram: with `_count`, `_sum` or `_bucket`).
    pub fn series<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.samples.iter().filter(move |sample| sample.name == name)
    }

    /// The value of the series with exactly these labels.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels: Labels =
            labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.series(name).find(|sample| sample.labels == labels).map(|sample| sample.value)
    }

    /// The sum of all series of a name; 0 where there is none.
    pub fn sum(&self, name: &str) -> f64 {
        self.sum_where(name, &[])
    }

    /// The sum of the series that have these labels, whatever others they have.
    pub fn sum_where(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.series(name)
            .filter(|sample| {
                labels
                    .iter()
                    .all(|(name, value)| sample.labels.get(*name).is_some_and(|v| v == value))
            })
            .map(|sample| sample.value)
            .sum()
    }

    /// The values of a name by the values of these labels, in the order given; panics where a
    /// series has other labels than these, or a value is no whole number.
    #[track_caller]
    pub fn table(&self, name: &str, labels: &[&str]) -> Table {
        let mut table = Table::new();
        for sample in self.series(name) {
            assert_eq!(
                sample.labels.keys().map(String::as_str).collect::<BTreeSet<_>>(),
                labels.iter().copied().collect::<BTreeSet<_>>(),
                "{sample:?} has other labels than {labels:?}"
            );
            assert!(
                sample.value.fract() == 0.0 && (0.0..1e15).contains(&sample.value),
                "{sample:?} is no count"
            );
            let values = labels.iter().map(|label| sample.labels[*label].clone()).collect();
            table.insert(values, sample.value as u64);
        }
        table
    }

    /// The distinct values of a label of a name.
    pub fn label_values(&self, name: &str, label: &str) -> BTreeSet<String> {
        self.series(name).filter_map(|sample| sample.labels.get(label).cloned()).collect()
    }

    /// The distinct sets of label names of a name.
    pub fn label_names(&self, name: &str) -> BTreeSet<Vec<String>> {
        self.series(name).map(|sample| sample.labels.keys().cloned().collect()).collect()
    }

    /// The families whose name starts so.
    pub fn families<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.types.keys().map(String::as_str).filter(move |name| name.starts_with(prefix))
    }

    fn check_histograms(&self) -> Result<(), String> {
        let mut groups: BTreeMap<(&str, Labels), Histogram> = BTreeMap::new();
        for sample in &self.samples {
            let Some((family, part)) = histogram_part(&self.types, &sample.name) else { continue };
            let mut labels = sample.labels.clone();
            let bound = labels.remove("le");
            let histogram = groups.entry((family, labels)).or_default();
            match part {
                "_bucket" => {
                    let bound = bound.ok_or_else(|| format!("{}: no le", sample.name))?;
                    let bound = parse_value(&bound)
                        .ok_or_else(|| format!("{}: le={bound:?}", sample.name))?;
                    histogram.buckets.push((bound, sample.value));
                }
                "_count" => histogram.count = Some(sample.value),
                _ => histogram.sum = Some(sample.value),
            }
        }
        for ((family, labels), histogram) in &groups {
            histogram.check().map_err(|what| format!("{family}{labels:?}: {what}"))?;
        }
        Ok(())
    }
}

#[derive(Default)]
struct Histogram {
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: Option<f64>,
}

impl Histogram {
    fn check(&self) -> Result<(), String> {
        let Self { buckets, count, sum } = self;
        let count = count.ok_or("no _count")?;
        let sum = sum.ok_or("no _sum")?;
        if !sum.is_finite() {
            return Err(format!("_sum is {sum}"));
        }
        for pair in buckets.windows(2) {
            let &[(low, below), (high, up_to)] = pair else { continue };
            if low >= high {
                return Err(format!("le={high} after le={low}"));
            }
            if below > up_to {
                return Err(format!("{up_to} up to {high}, but {below} up to {low}"));
            }
        }
        match buckets.last() {
            Some(&(bound, value)) if bound == f64::INFINITY && value == count => Ok(()),
            last => Err(format!("the last bucket is {last:?}, the count {count}")),
        }
    }
}

/// The family and the part of a histogram's sample.
fn histogram_part<'a>(
    types: &'a BTreeMap<String, String>,
    name: &str,
) -> Option<(&'a str, &'static str)> {
    ["_bucket", "_sum", "_count"].into_iter().find_map(|part| {
        let (family, kind) = types.get_key_value(name.strip_suffix(part)?)?;
        (kind == "histogram").then_some((family.as_str(), part))
    })
}

#[derive(Default)]
struct Parser {
    samples: Vec<Sample>,
    types: BTreeMap<String, String>,
    helps: HashSet<String>,
    series: HashSet<(String, Labels)>,
    /// The family whose samples are being read, and those that are over.
    family: Option<String>,
    closed: HashSet<String>,
}

impl Parser {
    fn line(&mut self, line: &str) -> Result<(), String> {
        if line.is_empty() {
            return Ok(());
        }
        if let Some(comment) = line.strip_prefix('#') {
            return self.comment(comment);
        }
        let sample = parse_sample(line).map_err(|what| format!("{what}: {line:?}"))?;
        let family = self.family_of(&sample.name)?;
        self.enter(&family)?;
        let kind = self.types.get(&family).map(String::as_str);
        if !sample.value.is_finite() || (kind != Some("gauge") && sample.value < 0.0) {
            return Err(format!("value {} in {line:?}", sample.value));
        }
        if !self.series.insert((sample.name.clone(), sample.labels.clone())) {
            return Err(format!("this series was there before: {line:?}"));
        }
        self.samples.push(sample);
        Ok(())
    }

    fn comment(&mut self, comment: &str) -> Result<(), String> {
        let (key, rest) = match comment.trim_start().split_once(' ') {
            Some((key @ ("HELP" | "TYPE"), rest)) => (key, rest),
            _ => return Ok(()),
        };
        let (name, text) = rest.split_once(' ').unwrap_or((rest, ""));
        if !is_metric_name(name) {
            return Err(format!("{key} of {name:?}, which is no metric name"));
        }
        let first = if key == "HELP" {
            self.helps.insert(name.to_owned())
        } else {
            if !["counter", "gauge", "histogram", "summary", "untyped"].contains(&text) {
                return Err(format!("{name} has the type {text:?}"));
            }
            self.types.insert(name.to_owned(), text.to_owned()).is_none()
        };
        if !first {
            return Err(format!("a second {key} of {name}"));
        }
        self.enter(name)
    }

    fn family_of(&self, name: &str) -> Result<String, String> {
        if let Some((family, _)) = histogram_part(&self.types, name) {
            return Ok(family.to_owned());
        }
        match self.types.get(name).map(String::as_str) {
            Some("histogram") => Err(format!("{name} is a histogram but has a plain sample")),
            Some(_) => Ok(name.to_owned()),
            None => Err(format!("{name} has no TYPE before it")),
        }
    }

    /// Samples of one family must stand together.
    fn enter(&mut self, family: &str) -> Result<(), String> {
        if self.family.as_deref() == Some(family) {
            return Ok(());
        }
        if let Some(before) = self.family.replace(family.to_owned()) {
            self.closed.insert(before);
        }
        if self.closed.contains(family) {
            return Err(format!("{family} again, after other families"));
        }
        Ok(())
    }
}

fn is_metric_name(name: &str) -> bool {
    is_name(name, |byte| byte == b':')
}

fn is_name(name: &str, also: impl Fn(u8) -> bool) -> bool {
    !name.as_bytes().first().is_none_or(u8::is_ascii_digit)
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || also(byte))
}

fn parse_value(text: &str) -> Option<f64> {
    match text {
        "+Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        // Rust also reads "inf" and "infinity", which the format does not have.
        _ if text.bytes().any(|byte| byte.is_ascii_alphabetic() && byte != b'e') => None,
        _ => text.parse().ok(),
    }
}

fn parse_sample(line: &str) -> Result<Sample, String> {
    let end = line.find(['{', ' ']).ok_or("no value")?;
    let (name, rest) = line.split_at(end);
    if !is_metric_name(name) {
        return Err(format!("{name:?} is no metric name"));
    }
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => parse_labels(inside)?,
        None => (Labels::new(), rest),
    };
    let value = rest.strip_prefix(' ').ok_or("no space before the value")?;
    // Envoy writes no timestamps, so a second word can only be forged.
    let value = parse_value(value).ok_or_else(|| format!("{value:?} is no value"))?;
    Ok(Sample { name: name.to_owned(), labels, value })
}

/// The labels up to the closing brace, and what follows it.
fn parse_labels(mut rest: &str) -> Result<(Labels, &str), String> {
    let mut labels = Labels::new();
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((labels, after));
        }
        let (name, after) = rest.split_once('=').ok_or("a label without a value")?;
        if !is_name(name, |_| false) {
            return Err(format!("{name:?} is no label name"));
        }
        let after = after.strip_prefix('"').ok_or("a label value without a quote")?;
        let (value, after) = parse_label_value(after)?;
        if labels.insert(name.to_owned(), value).is_some() {
            return Err(format!("the label {name} twice"));
        }
        rest = match after.strip_prefix(',') {
            Some(next) => next,
            None if after.starts_with('}') => after,
            None => return Err(format!("{after:?} after the label {name}")),
        };
    }
}

/// The value up to the closing quote, unescaped, and what follows the quote.
fn parse_label_value(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return Ok((value, characters.as_str())),
            '\\' => match characters.next() {
                Some('\\') => value.push('\\'),
                Some('"') => value.push('"'),
                Some('n') => value.push('\n'),
                other => return Err(format!("the escape {other:?}")),
            },
            _ => value.push(character),
        }
    }
    Err("a label value without an end".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(text: &str) -> String {
        match Scrape::parse(text.as_bytes()) {
            Ok(_) => panic!("accepted: {text}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn reads_samples_labels_and_escapes() {
        let scrape = Scrape::parse(
            b"# HELP a Things.\n# TYPE a counter\na{x=\"1\",y=\"q\\\"\\\\\\n\"} 3\na{} 4\n\n\
              # TYPE g gauge\ng -1.5e3\n",
        )
        .unwrap();
        assert_eq!(scrape.value("a", &[("y", "q\"\\\n"), ("x", "1")]), Some(3.0));
        assert_eq!(scrape.value("a", &[]), Some(4.0));
        assert_eq!(scrape.value("a", &[("x", "1")]), None);
        assert_eq!(scrape.sum("a"), 7.0);
        assert_eq!(scrape.sum_where("a", &[("x", "1")]), 3.0);
        assert_eq!(scrape.value("g", &[]), Some(-1500.0));
        assert_eq!(scrape.types()["g"], "gauge");
        assert_eq!(scrape.label_values("a", "x"), BTreeSet::from(["1".to_owned()]));
    }

    #[test]
    fn reads_histograms() {
        let scrape = Scrape::parse(
            b"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum{} 7.5\nh_count{} 2\n",
        )
        .unwrap();
        assert_eq!(scrape.value("h_count", &[]), Some(2.0));
        assert_eq!(scrape.value("h_bucket", &[("le", "+Inf")]), Some(2.0));
    }

    #[test]
    fn refuses_what_the_format_does_not_have() {
        for (text, expected) in [
            ("a 1\n", "has no TYPE"),
            ("# TYPE a counter\na 1", "no end"),
            ("# TYPE a counter\na 1\na 2\n", "there before"),
            ("# TYPE a counter\na{x=\"1\",y=\"2\"} 1\na{y=\"2\",x=\"1\"} 2\n", "there before"),
            ("# TYPE a counter\na{x=\"1\",x=\"2\"} 1\n", "twice"),
            ("# TYPE a counter\n# TYPE a gauge\n", "second TYPE"),
            ("# HELP a b\n# HELP a b\n", "second HELP"),
            ("# TYPE a thing\n", "the type"),
            ("# TYPE a counter\na{1x=\"1\"} 1\n", "no label name"),
            ("# TYPE a counter\na{x=1} 1\n", "without a quote"),
            ("# TYPE a counter\na{x=\"\\q\"} 1\n", "escape"),
            ("# TYPE a counter\na{x=\"1\"y=\"2\"} 1\n", "after the label"),
            ("# TYPE a counter\na{x=\"1} 1\n", "without an end"),
            ("# TYPE a counter\na{x=\"1\"} 1 5\n", "no value"),
            ("# TYPE a counter\na inf\n", "no value"),
            ("# TYPE a counter\na NaN\n", "value NaN"),
            ("# TYPE a counter\na -1\n", "value -1"),
            ("# TYPE a counter\na  1\n", "no value"),
            ("# TYPE 1a counter\n", "no metric name"),
            ("# TYPE a counter\na 1\n# TYPE b counter\nb 1\na{x=\"1\"} 1\n", "again"),
            ("# TYPE h histogram\nh 1\n", "plain sample"),
            ("# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 2\n", "last bucket"),
            ("# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\n", "last bucket"),
            (
                "# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n",
                "but 2 up to 1",
            ),
            ("# TYPE h histogram\nh_sum 1\nh_count 1\n", "last bucket"),
        ] {
            let message = mistake(text);
            assert!(message.contains(expected), "{text:?}: {message}");
        }
    }

    #[test]
    fn refuses_bytes_that_are_not_utf8() {
        let error = Scrape::parse(b"# TYPE a counter\na{x=\"\xff\"} 1\n").unwrap_err();
        assert_eq!((error.line, error.what.as_str()), (2, "not UTF-8"));
    }
}
