//! Lines of `key=value` pairs, and lines whose columns another line names.

use super::Broken;
use super::collect::{Collector, Unsettled};
use super::fields::Field;
use super::json::Shapes;
use super::text::closing_quote;

/// Pairs of a line that are looked at.
const MAX_PAIRS: usize = 200;

/// Reads the pairs of a line (logfmt).
///
/// # Errors
/// [`Broken::NoFormat`] where there are none, else what is missing.
pub(super) fn parse(
    line: &[u8],
    mut collector: Collector<'_>,
    shapes: &mut Shapes,
) -> Result<Option<Unsettled>, Broken> {
    let mut rest = line;
    let mut known = 0;
    for _ in 0..MAX_PAIRS {
        let Some(equals) = memchr::memchr(b'=', rest) else { break };
        let (before, value) = rest.split_at_checked(equals).unwrap_or_default();
        let start =
            before.iter().rposition(|byte| matches!(byte, b' ' | b'\t' | b'{' | b',' | b'['));
        let key = before.get(start.map_or(0, |at| at + 1)..).unwrap_or_default();
        let value = value.get(1..).unwrap_or_default();
        let (text, after) = value_of(value);
        rest = after;
        if key.is_empty() || !key.iter().all(is_key) {
            continue;
        }
        let field = shapes.look_up(key);
        known += usize::from(field.role.is_some());
        collector.value(field, text);
    }
    if known < 2 {
        return Err(Broken::NoFormat);
    }
    collector.finish()
}

/// Whether the line has labels before colons, with tabs between (<http://ltsv.org>).
pub(super) fn is_ltsv(line: &[u8]) -> bool {
    let mut fields = line.split(|&byte| byte == b'\t').map(labelled);
    matches!((fields.next(), fields.next()), (Some(Some(_)), Some(Some(_))))
}

/// A label and its value.
fn labelled(field: &[u8]) -> Option<(&[u8], &[u8])> {
    let (label, value) = field.split_at_checked(memchr::memchr(b':', field)?)?;
    let is_label = !label.is_empty() && label.iter().all(is_key);
    is_label.then(|| (label, value.get(1..).unwrap_or_default()))
}

/// Reads labelled tab-separated values.
///
/// # Errors
/// What is missing.
pub(super) fn ltsv(
    line: &[u8],
    mut collector: Collector<'_>,
    shapes: &mut Shapes,
) -> Result<Option<Unsettled>, Broken> {
    for (label, value) in line.split(|&byte| byte == b'\t').take(MAX_PAIRS).filter_map(labelled) {
        let field = shapes.look_up(label);
        collector.value(field, value);
    }
    collector.finish()
}

fn is_key(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':' | b'@' | b'#' | b'/')
}

/// The value and what follows it. A unit may stand behind a space, as `latency=0 ms`.
fn value_of(text: &[u8]) -> (&[u8], &[u8]) {
    if let Some(inner) = text.strip_prefix(b"\"")
        && let Some(end) = closing_quote(inner).or_else(|| memchr::memchr(b'"', inner))
    {
        return (inner.get(..end).unwrap_or_default(), inner.get(end + 1..).unwrap_or_default());
    }
    let is_end = |byte: &u8| matches!(byte, b' ' | b'\t' | b'}' | b',');
    let end = text.iter().position(is_end).unwrap_or(text.len());
    let rest = text.get(end..).unwrap_or_default();
    for unit in [&b" ms"[..], b" us", b" \xc2\xb5s", b" ns", b" s"] {
        let is_unit = rest.starts_with(unit)
            && matches!(rest.get(unit.len()), None | Some(b' '))
            && text.get(..end).is_some_and(|number| number.iter().all(u8::is_ascii_digit));
        if is_unit && end > 0 {
            let end = end + unit.len();
            return (text.get(..end).unwrap_or_default(), text.get(end..).unwrap_or_default());
        }
    }
    (text.get(..end).unwrap_or_default(), rest)
}

/// The columns that a line of names announced (W3C's extended log format, Zeek).
#[derive(Debug, Default)]
pub(super) struct Columns {
    fields: Vec<Field>,
}

/// Columns that are looked at.
const MAX_COLUMNS: usize = 200;

impl Columns {
    /// Takes a line that starts with `#`; false where it is none of this format.
    pub fn directive(&mut self, line: &[u8], shapes: &mut Shapes) -> bool {
        let names = line.strip_prefix(b"#Fields:").or_else(|| line.strip_prefix(b"#fields\t"));
        let Some(names) = names else {
            let known: [&[u8]; 9] = [
                b"#Version",
                b"#Software",
                b"#Date",
                b"#Remark",
                b"#separator",
                b"#set_separator",
                b"#types",
                b"#open",
                b"#path",
            ];
            let is_known = |known: &&[u8]| line.starts_with(known);
            return known.iter().any(is_known)
                || line.starts_with(b"#close")
                || line.starts_with(b"#empty_field")
                || line.starts_with(b"#unset_field")
                || line.starts_with(b"#Start-Date")
                || line.starts_with(b"#End-Date");
        };
        let names = names.trim_ascii();
        let columns = names.split(u8::is_ascii_whitespace).filter(|name| !name.is_empty());
        self.fields = columns.take(MAX_COLUMNS).map(|name| shapes.look_up(name)).collect();
        true
    }

    /// Forgets them: another log begins.
    pub fn forget(&mut self) {
        self.fields.clear();
    }

    /// Whether columns are known.
    pub fn are_known(&self) -> bool {
        !self.fields.is_empty()
    }

    /// Reads a line of these columns.
    ///
    /// # Errors
    /// What is missing.
    pub fn parse(
        &self,
        line: &[u8],
        mut collector: Collector<'_>,
    ) -> Result<Option<Unsettled>, Broken> {
        // CloudFront names its columns with spaces between, and writes tabs.
        let separator = if memchr::memchr(b'\t', line).is_some() { b'\t' } else { b' ' };
        let values = line.split(|&byte| byte == separator);
        let mut count = 0;
        for (field, value) in self.fields.iter().zip(values) {
            count += 1;
            collector.value(*field, value);
        }
        if count < self.fields.len() {
            return Err(Broken::NoFormat);
        }
        collector.finish()
    }
}
