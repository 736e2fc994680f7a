//! What was read: formats, lines that are no requests, units of durations.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::command::preview::log::formats::FORMATS;
use crate::command::preview::log::{Broken, Source, Unit};
use crate::command::preview::replay::InputCounts;

/// What was read of one file.
#[derive(Clone, Debug, Serialize)]
pub struct Input {
    /// The file.
    pub name: String,
    /// Lines, empty ones included.
    pub lines: u64,
    /// Bytes of the lines, unpacked.
    pub bytes: u64,
    /// Requests by format.
    pub formats: BTreeMap<&'static str, u64>,
    /// Lines that were no requests.
    pub broken_lines: u64,
    /// Of them, lines that are likely to be requests.
    pub not_understood: u64,
    /// How many of them are what.
    pub reasons: BTreeMap<String, u64>,
    /// The first of them, and at least one of each kind: line number, why, text.
    pub broken_examples: Vec<(u64, String, String)>,
}

/// A field of an input with durations that have no unit.
#[derive(Clone, Debug, Serialize)]
pub struct DurationReport {
    /// The input.
    pub input: String,
    /// The key, or where the number stands.
    pub field: String,
    /// The program that wrote it, where the rest of the line tells it.
    pub software: Option<&'static str>,
    /// The unit that was taken.
    pub unit: &'static str,
    /// Why.
    pub why: String,
    /// Whether nothing but the numbers speaks for it.
    pub guessed: bool,
    /// How many requests have it.
    pub requests: u64,
}

pub(super) fn input(counts: &InputCounts) -> Input {
    let formats =
        FORMATS.iter().zip(counts.formats.iter().copied()).filter(|(_, count)| *count > 0);
    let example =
        |(line, why, text): &(u64, Broken, String)| (*line, why.to_string(), text.clone());
    Input {
        name: counts.name.clone(),
        lines: counts.lines,
        bytes: counts.bytes,
        formats: formats.map(|(format, count)| (format.name, count)).collect(),
        broken_lines: counts.broken,
        not_understood: counts.missed,
        reasons: counts.reasons.iter().map(|(why, count)| (why.to_string(), *count)).collect(),
        broken_examples: counts.examples.iter().map(example).collect(),
    }
}

/// What was taken for the unit of a field.
pub(super) fn duration(source: &Source, forced: Option<Unit>, inputs: &[Input]) -> DurationReport {
    DurationReport {
        input: inputs.get(source.input).map(|input| input.name.clone()).unwrap_or_default(),
        field: source.field.clone(),
        software: source.software,
        unit: source.unit(forced).name(),
        why: source.why(forced),
        guessed: source.is_guess(forced),
        requests: source.count,
    }
}
