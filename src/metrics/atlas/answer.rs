//! The stream that Atlas answers with: a message of JSON a line.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use reqwest::header::HeaderMap;
use serde::Deserialize;
use serde_json::Value;

use crate::budget::Held;
use crate::config::Limits;
use crate::metrics::bounded::{at_most, if_any};
use crate::metrics::cost;
use crate::metrics::http::{Fault, Wrong};
use crate::metrics::number::Number;
use crate::metrics::series::{
    Answered, Labels, Sample, Series, Window, too_many_samples, too_many_series, too_many_tags,
};

/// Read before the limits of the configuration are asked.
const MOST_VALUES: usize = 5_000_000;
const MOST_KEYS: usize = 1_000;
const CUT: &str = "the stream ended before Atlas said that it is whole: 'close' never came";

/// Of any message.
#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    kind: Option<String>,
    message: Option<Value>,
}

/// A part of a series; times are milliseconds.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chunk {
    id: String,
    #[serde(default, deserialize_with = "at_most::<MOST_KEYS, _, _>")]
    group_by_keys: Vec<String>,
    tags: Option<BTreeMap<String, Value>>,
    start: i64,
    end: i64,
    step: i64,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    #[serde(default, deserialize_with = "if_any::<MOST_VALUES, _, _>")]
    values: Option<Vec<Option<Number>>>,
}

/// A stream that ends in its midst may be whole when it is asked for again.
pub fn fault(_: &HeaderMap, body: &[u8]) -> Option<Fault> {
    let text = std::str::from_utf8(body).ok()?;
    let kinds = || messages(text).rev().map(json::<Kind>);
    let is_told = |kind: &str| matches!(kind, "close" | "timeseries" | "error");
    let last = kinds().find(|kind| match kind {
        Ok(Kind { kind, .. }) => kind.as_deref().is_some_and(is_told),
        Err(_) => true,
    });
    let is_whole = matches!(&last, Some(Ok(Kind { kind: Some(kind), .. })) if kind == "close");
    let is_error = |kind: Result<Kind, _>| {
        kind.is_ok_and(|Kind { kind, .. }| kind.as_deref() == Some("error"))
    };
    let is_cut = messages(text).next().is_some() && !is_whole && !kinds().any(is_error);
    is_cut.then(|| Fault {
        told: CUT.to_owned(),
        may_pass: true,
    })
}

fn messages(text: &str) -> impl DoubleEndedIterator<Item = &str> {
    text.lines().filter_map(|line| line.strip_prefix("data:"))
}

/// The series of a stream, which is whole if it ends with a message that says so.
pub fn read(body: &[u8], limits: &Limits, held: &mut Held) -> Result<Answered, Wrong> {
    let text = std::str::from_utf8(body).map_err(|_| Wrong::other(body, "it is no text"))?;
    let mut messages = messages(text).peekable();
    if messages.peek().is_none() {
        return Err(Wrong::other(body, "it has no line of data"));
    }
    let mut answered = Answered::default();
    let mut chunks = IndexMap::<String, Vec<Chunk>>::new();
    let (mut is_whole, mut values) = (false, 0_usize);
    for message in messages {
        let Kind {
            kind,
            message: said,
        } = json(message)?;
        match kind.as_deref().unwrap_or_default() {
            "close" => is_whole = true,
            "timeseries" => {
                is_whole = false;
                let chunk: Chunk = json(message)?;
                let count = chunk.data.values.as_ref().map(Vec::len);
                let count =
                    count.ok_or_else(|| format!("the series '{}' has no values", chunk.id))?;
                held.grow(cost::read(count))?;
                values += count;
                if limits.samples < values {
                    return Err(too_many_samples(limits).into());
                }
                chunks.entry(chunk.id.clone()).or_default().push(chunk);
                if limits.series < chunks.len() {
                    return Err(too_many_series(limits).into());
                }
            }
            "error" => return Err(words(said, "the query failed").into()),
            "warn" => answered
                .remarks
                .push(words(said, "a warning without words")),
            _ => {}
        }
    }
    if !is_whole {
        return Err(CUT.to_owned().into());
    }
    let mut left = limits.samples;
    for (_, chunks) in chunks {
        let series = merged(chunks, &mut left, limits, held)?;
        answered.series.push(series);
    }
    Ok(answered)
}

fn words(said: Option<Value>, otherwise: &str) -> String {
    match said {
        None | Some(Value::Null) => otherwise.to_owned(),
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
    }
}

/// The parts in the order of their times; where there is none, NaN.
fn merged(
    mut chunks: Vec<Chunk>,
    left: &mut usize,
    limits: &Limits,
    held: &mut Held,
) -> Result<Series, Wrong> {
    chunks.sort_by_key(|chunk| chunk.start);
    let (start, step) = (chunks[0].start, chunks[0].step);
    let mut end = start;
    let mut values: Vec<f64> = Vec::new();
    let mut labels = None;
    for chunk in chunks {
        let id = &chunk.id;
        if step <= 0 || chunk.step != step {
            let (one, other) = (step, chunk.step);
            return Err(format!("the series '{id}' has steps of {one} and {other} ms").into());
        }
        if chunk.start < end {
            return Err(format!("the parts of the series '{id}' overlap").into());
        }
        let gap = chunk.start.saturating_sub(end) / step;
        let gap = usize::try_from(gap).unwrap_or(usize::MAX);
        let read = chunk.data.values.unwrap_or_default();
        *left = left
            .checked_sub(gap)
            .and_then(|left| left.checked_sub(read.len()))
            .ok_or_else(|| too_many_samples(limits))?;
        held.grow(cost::read(gap))?;
        values.extend(std::iter::repeat_n(f64::NAN, gap));
        values.extend(read.into_iter().map(|it| it.map_or(f64::NAN, |it| it.0)));
        end = chunk.end;
        if labels.is_none() {
            labels = Some(tags(&chunk.group_by_keys, chunk.tags.unwrap_or_default()));
        }
    }
    let labels = labels.unwrap_or_default();
    if limits.labels < labels.len() {
        return Err(too_many_tags(limits).into());
    }
    let times = (0_i64..).map(|at| start.saturating_add(at.saturating_mul(step)));
    let samples = times.zip(values);
    Ok(Series {
        labels,
        samples: samples
            .map(|(time, value)| Sample::at(time, value))
            .collect(),
        histograms: 0,
        window: Some(Window::of(start, end, step)),
    })
}

/// Those that the query grouped by.
fn tags(keys: &[String], mut tags: BTreeMap<String, Value>) -> Labels {
    let kept = keys.iter().filter_map(|key| {
        let value = match tags.remove(key)? {
            Value::Null => return None,
            Value::String(text) => text,
            other => other.to_string(),
        };
        Some((key.clone(), value))
    });
    kept.collect()
}

fn json<'a, T: Deserialize<'a>>(message: &'a str) -> Result<T, String> {
    serde_json::from_str(message.trim())
        .map_err(|cause| format!("a message of the stream cannot be read: {cause}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::budget::Budget;

    const LIMITS: Limits = Limits {
        memory: None,
        execution: 1 << 20,
        query_text: 100,
        series: 2,
        labels: 1,
        samples: 6,
    };

    fn told(lines: &[String]) -> Result<Vec<String>, Wrong> {
        let share = Budget::new(Some(8 << 20), 1 << 20).share();
        let mut held = share.hold(0).unwrap();
        let answered = read(lines.join("\n").as_bytes(), &LIMITS, &mut held)?;
        let series = answered.series.iter().map(|series| {
            let values = series.samples.iter().map(|sample| sample.value.unwrap());
            let values: Vec<String> = values.map(|value| value.to_string()).collect();
            values.join(" ")
        });
        Ok(series.collect())
    }

    /// From a time for as many steps of ten milliseconds as there are values.
    fn part(id: &str, start: i64, values: &[f64]) -> String {
        let end = start + 10 * i64::try_from(values.len()).unwrap();
        let message = json!({"type": "timeseries", "id": id, "start": start, "end": end, "step": 10,
            "tags": {"a": "1", "b": "2"}, "data": {"values": values}});
        format!("data: {message}")
    }

    #[test]
    fn parts_are_put_together_and_bounded() {
        let close = || r#"data: {"type": "close"}"#.to_owned();
        let wrong = |told: &str| Err(Wrong::Told(told.to_owned()));
        let cases = [
            (vec![close()], Ok(vec![])),
            (
                vec![part("x", 30, &[4.0]), part("x", 0, &[1.0]), close()],
                Ok(vec!["1 NaN NaN 4".to_owned()]),
            ),
            (
                vec![
                    part("x", 0, &[1.0]).replace("\"a\":\"1\"", "\"a\":1"),
                    close(),
                ],
                Ok(vec!["1".to_owned()]),
            ),
            (
                vec![part("x", 0, &[1.0]), part("y", 0, &[2.0]), close()],
                Ok(vec!["1".to_owned(), "2".to_owned()]),
            ),
            (
                vec![part("x", 0, &[1.0, 2.0]), part("x", 10, &[3.0]), close()],
                wrong("the parts of the series 'x' overlap"),
            ),
            (
                vec![
                    part("x", 0, &[1.0]),
                    part("x", i64::MAX / 2, &[3.0]),
                    close(),
                ],
                Err(Wrong::Told(too_many_samples(&LIMITS))),
            ),
            (
                vec![part("x", 0, &[0.0; 7]), close()],
                Err(Wrong::Told(too_many_samples(&LIMITS))),
            ),
            (
                vec![
                    part("x", 0, &[]),
                    part("y", 0, &[]),
                    part("z", 0, &[]),
                    close(),
                ],
                Err(Wrong::Told(too_many_series(&LIMITS))),
            ),
            (
                vec![
                    part("x", 0, &[1.0]).replace("\"step\":10", "\"step\":0"),
                    close(),
                ],
                wrong("the series 'x' has steps of 0 and 0 ms"),
            ),
            (
                vec![part("x", 0, &[1.0])],
                wrong("the stream ended before Atlas said that it is whole: 'close' never came"),
            ),
            (
                vec![close(), part("x", 0, &[1.0])],
                wrong("the stream ended before Atlas said that it is whole: 'close' never came"),
            ),
            (
                vec![r#"data: {"type": "error", "message": "no such word"}"#.to_owned()],
                wrong("no such word"),
            ),
            (
                vec!["<html>".to_owned()],
                Err(Wrong::other(b"<html>", "it has no line of data")),
            ),
        ];
        for (lines, expected) in cases {
            assert_eq!(told(&lines), expected, "{lines:?}");
        }
    }
}
