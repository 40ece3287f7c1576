//! What series take in memory until their execution has ended, about.

use super::series::{Answered, Labels, Series};
use crate::canary::Attributes;

/// In the series, the pair, the document of the pairs, and while it is judged.
const SAMPLE_BYTES: usize = 64;
/// As it is read.
const READ_SAMPLE_BYTES: usize = 24;
/// Of a series whatever it holds: its pair, its result, and both as they are written.
const SERIES_BYTES: usize = 4 << 10;
const LABEL_BYTES: usize = 64;
/// How often a text of a series is there at once: in memory, in the documents, on their way to a store.
const COPIES: usize = 4;

/// What samples take as they are read.
pub const fn read(samples: usize) -> usize {
    samples.saturating_mul(READ_SAMPLE_BYTES)
}

/// What the parsed answer takes.
pub fn answered(answer: &Answered) -> usize {
    let series = answer.series.iter().map(|series| {
        read(series.samples.capacity()) + labels(&series.labels) + size_of::<Series>()
    });
    let remarks = answer.partial.iter().chain(&answer.remarks);
    series.sum::<usize>() + remarks.map(String::len).sum::<usize>()
}

/// What the series of a query take from then on. The texts of the query are there once, but stand in every
/// document of each of its series.
pub fn kept(name: &str, attributes: &Attributes, series: &[Series]) -> usize {
    let texts: usize = attributes.iter().map(|(_, text)| written(text)).sum();
    let each = SERIES_BYTES + COPIES * (texts + written(name));
    let of_series = series
        .iter()
        .map(|series| series.samples.len() * SAMPLE_BYTES + COPIES * labels(&series.labels));
    each * series.len().max(1) + of_series.sum::<usize>()
}

/// What values take that stand for missing ones.
pub const fn padding(values: usize) -> usize {
    values.saturating_mul(SAMPLE_BYTES / 2)
}

/// In memory.
pub fn labels(labels: &Labels) -> usize {
    labels
        .iter()
        .map(|(name, value)| LABEL_BYTES + written(name) + written(value))
        .sum()
}

/// In JSON.
fn written(text: &str) -> usize {
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
        0..=31 => 6,
        _ => 1,
    };
    text.bytes().map(escaped).sum()
}
