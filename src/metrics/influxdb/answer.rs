//! What InfluxDB answers.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::budget::Held;
use crate::config::Limits;
use crate::metrics::bounded::at_most;
use crate::metrics::cost;
use crate::metrics::http::Wrong;
use crate::metrics::range::Range;
use crate::metrics::series::{
    Answered, Labels, Sample, Series, Window, too_many_samples, too_many_series, too_many_tags,
};

/// Read before the limits of the configuration are asked.
const MOST_SERIES: usize = 20_000;
const MOST_ROWS: usize = 2_000_000;
const MOST_COLUMNS: usize = 10_000;

/// Of `/query`.
#[derive(Deserialize)]
pub struct Queried {
    error: Option<String>,
    #[serde(default, deserialize_with = "at_most::<100, _, _>")]
    results: Vec<Statement>,
}

impl Queried {
    /// What InfluxDB says is wrong.
    pub fn into_error(self) -> Option<String> {
        let mut statements = self.results.into_iter();
        self.error
            .or_else(|| statements.find_map(|statement| statement.error))
    }
}

#[derive(Deserialize)]
struct Statement {
    error: Option<String>,
    #[serde(default, deserialize_with = "at_most::<MOST_SERIES, _, _>")]
    series: Vec<Table>,
    #[serde(default)]
    partial: bool,
}

#[derive(Deserialize)]
struct Table {
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "at_most::<MOST_COLUMNS, _, _>")]
    columns: Vec<String>,
    #[serde(default, deserialize_with = "at_most::<MOST_ROWS, _, _>")]
    values: Vec<Row>,
    #[serde(default)]
    partial: bool,
}

#[derive(Deserialize)]
struct Row(#[serde(deserialize_with = "at_most::<MOST_COLUMNS, _, _>")] Vec<Value>);

/// One series for each column after the time, of each series of the first statement.
pub fn series(
    answer: Queried,
    range: &Range,
    limits: &Limits,
    held: &mut Held,
) -> Result<Answered, Wrong> {
    if let Some(error) = answer.error {
        return Err(error.into());
    }
    let Some(statement) = answer.results.into_iter().next() else {
        return Err("the answer has no results".to_owned().into());
    };
    if let Some(error) = statement.error {
        return Err(error.into());
    }
    let mut answered = Answered::default();
    if statement.partial || statement.series.iter().any(|table| table.partial) {
        let told = "InfluxDB has more rows than it answers at once (max-row-limit)";
        answered.partial.push(told.to_owned());
    }
    let mut left = limits.samples;
    for table in statement.series {
        let fields = table.columns.len().saturating_sub(1);
        if limits.series < answered.series.len() + fields {
            return Err(too_many_series(limits).into());
        }
        if limits.labels <= table.tags.len() {
            return Err(too_many_tags(limits).into());
        }
        let samples = fields.saturating_mul(table.values.len());
        left = left
            .checked_sub(samples)
            .ok_or_else(|| too_many_samples(limits))?;
        held.grow(cost::read(samples))?;
        read_table(&table, range, &mut answered)?;
    }
    Ok(answered)
}

fn read_table(table: &Table, range: &Range, answered: &mut Answered) -> Result<(), String> {
    let times = table.values.iter().map(|Row(cells)| time(cells.first()));
    let times = times.collect::<Result<Vec<i64>, String>>()?;
    let Some(first) = times.first().copied() else {
        return Err("the answer has a series without rows".to_owned());
    };
    let asked = range.step.unwrap_or_default().saturating_mul(1000);
    let step = times.get(1).map_or(asked, |second| second - first);
    let rows = i64::try_from(times.len()).unwrap_or(i64::MAX);
    let window = Window::of(first, first.saturating_add(step.saturating_mul(rows)), step);
    for (at, field) in table.columns.iter().enumerate().skip(1) {
        let mut labels: Labels = table.tags.clone();
        labels.insert("field".to_owned(), field.clone());
        let rows = times.iter().zip(&table.values);
        let samples = rows.map(|(time, Row(cells))| {
            let value =
                number(cells.get(at)).map_err(|why| format!("the column '{field}' {why}"))?;
            Ok(Sample::at(*time, value))
        });
        answered.series.push(Series {
            labels,
            samples: samples.collect::<Result<_, String>>()?,
            histograms: 0,
            window: Some(window),
        });
    }
    Ok(())
}

fn time(cell: Option<&Value>) -> Result<i64, String> {
    let text = cell.and_then(Value::as_str);
    let time = text.and_then(|text| text.parse::<Timestamp>().ok());
    time.map(Timestamp::as_millisecond).ok_or_else(|| {
        let cell = cell.unwrap_or(&Value::Null);
        format!("the first column has {cell}, where a time like 2026-01-01T00:00:00Z is wanted")
    })
}

/// `null` is NaN: there is no value for that time.
fn number(cell: Option<&Value>) -> Result<f64, String> {
    match cell.unwrap_or(&Value::Null) {
        Value::Null => Ok(f64::NAN),
        Value::Number(number) => Ok(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => text
            .parse()
            .map_err(|_| format!("has {text:?}, which is no number")),
        other => Err(format!("has {other}, which is no number")),
    }
}
