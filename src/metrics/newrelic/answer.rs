//! What New Relic answers.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::query::Asked;
use crate::budget::Held;
use crate::config::Limits;
use crate::metrics::bounded::if_any;
use crate::metrics::cost;
use crate::metrics::http::Wrong;
use crate::metrics::range::Range;
use crate::metrics::series::{Answered, Labels, Sample, Series, Window, too_many_samples};

/// Read before the limits of the configuration are asked.
const MOST_ENTRIES: usize = 100_000;
const MOST_ERRORS: usize = 100;
const HAS_FACETS: &str =
    "the answer has facets: FACET gives a series for each value, and one is wanted";

/// Of the Insights query API.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Insights {
    error: Option<String>,
    #[serde(default, deserialize_with = "if_any::<MOST_ENTRIES, _, _>")]
    time_series: Option<Vec<Entry>>,
    facets: Option<Value>,
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    begin_time_seconds: Option<i64>,
    inspected_count: Option<f64>,
    #[serde(default, deserialize_with = "if_any::<1_000, _, _>")]
    results: Option<Vec<Map<String, Value>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    begin_time_millis: Option<i64>,
    end_time_millis: Option<i64>,
}

/// Of NerdGraph.
#[derive(Deserialize)]
pub struct NerdGraph {
    data: Option<Data>,
    #[serde(default, deserialize_with = "if_any::<MOST_ERRORS, _, _>")]
    errors: Option<Vec<Failed>>,
}

#[derive(Deserialize)]
struct Failed {
    message: Option<String>,
}

#[derive(Deserialize)]
struct Data {
    actor: Option<Actor>,
}

#[derive(Deserialize)]
struct Actor {
    account: Option<OfAccount>,
}

#[derive(Deserialize)]
struct OfAccount {
    nrql: Option<Rows>,
}

#[derive(Deserialize)]
struct Rows {
    #[serde(default, deserialize_with = "if_any::<MOST_ENTRIES, _, _>")]
    results: Option<Vec<Map<String, Value>>>,
}

impl NerdGraph {
    /// Its errors come with status 200.
    pub fn check(&self) -> Result<(), Wrong> {
        let errors = self.errors.as_deref().unwrap_or_default();
        if errors.is_empty() {
            return Ok(());
        }
        let texts = errors.iter().map(|error| error.message.as_deref());
        let texts = texts.map(|text| text.unwrap_or("an error without a message"));
        Err(texts.collect::<Vec<_>>().join("; ").into())
    }
}

/// What was read of one answer after the other.
#[derive(Default)]
pub struct Parts {
    samples: Vec<Sample>,
    /// The time that they say they are for, begin and end, in milliseconds.
    window: Option<(i64, i64)>,
}

impl Parts {
    pub fn add_insights(
        &mut self,
        answer: Insights,
        limits: &Limits,
        held: &mut Held,
    ) -> Result<(), Wrong> {
        if let Some(error) = answer.error {
            return Err(error.into());
        }
        let Some(entries) = answer.time_series else {
            let told = if answer.facets.is_some() {
                HAS_FACETS
            } else {
                "the answer has no timeSeries: the statement needs TIMESERIES"
            };
            return Err(told.to_owned().into());
        };
        let Some(Metadata {
            begin_time_millis: Some(begin),
            end_time_millis: Some(end),
        }) = answer.metadata
        else {
            let told = "the answer does not say what time it is for: its metadata has no \
                        beginTimeMillis or endTimeMillis";
            return Err(told.to_owned().into());
        };
        let (first, last) = self.window.unwrap_or((begin, end));
        self.window = Some((first.min(begin), last.max(end)));
        self.add(&entries, value_of_entry, limits, held)
    }

    pub fn add_nerdgraph(
        &mut self,
        answer: NerdGraph,
        limits: &Limits,
        held: &mut Held,
    ) -> Result<(), Wrong> {
        answer.check()?;
        let data = answer.data.and_then(|data| data.actor?.account?.nrql);
        let Some(rows) = data.and_then(|nrql| nrql.results) else {
            let told = "the answer has no results: the key may not read that account";
            return Err(told.to_owned().into());
        };
        self.add(&rows, value_of_row, limits, held)
    }

    fn add<T>(
        &mut self,
        entries: &[T],
        value: impl Fn(&T) -> Result<(i64, f64), String>,
        limits: &Limits,
        held: &mut Held,
    ) -> Result<(), Wrong> {
        if limits.samples < self.samples.len() + entries.len() {
            return Err(too_many_samples(limits).into());
        }
        held.grow(cost::read(entries.len()))?;
        for entry in entries {
            let (seconds, value) = value(entry)?;
            self.samples
                .push(Sample::at(seconds.saturating_mul(1000), value));
        }
        Ok(())
    }

    /// The one series of all.
    pub fn into_answered(self, asked: &Asked) -> Answered {
        let Range { start, end, .. } = asked.range;
        let (start, end) = self
            .window
            .unwrap_or_else(|| (start.as_millis(), end.as_millis()));
        let step = match asked.step() {
            0 => told_step(&self.samples),
            step => step,
        };
        let series = Series {
            labels: Labels::new(),
            samples: self.samples,
            histograms: 0,
            window: Some(Window::of(start, end, step)),
        };
        Answered {
            series: vec![series],
            ..Answered::default()
        }
    }
}

/// The first member of the first result, as Kayenta takes it.
fn value_of_entry(entry: &Entry) -> Result<(i64, f64), String> {
    let Some(begin) = entry.begin_time_seconds else {
        return Err("an entry has no beginTimeSeconds".to_owned());
    };
    let Some(inspected) = entry.inspected_count else {
        return Err("an entry has no inspectedCount".to_owned());
    };
    let result = entry.results.as_deref().unwrap_or_default().first();
    let member = result.and_then(|result| first_of_java(result));
    let Some(member) = member else {
        return Err("an entry has no results".to_owned());
    };
    let value = number(member)?;
    // Without events there is nothing that a value could be of.
    Ok((begin, if inspected == 0.0 { f64::NAN } else { value }))
}

/// The one member that is no time.
fn value_of_row(row: &Map<String, Value>) -> Result<(i64, f64), String> {
    const TIMES: [&str; 3] = ["beginTimeSeconds", "endTimeSeconds", "inspectedCount"];
    let Some(begin) = row.get("beginTimeSeconds").and_then(Value::as_i64) else {
        let told = "a row has no beginTimeSeconds: the statement needs TIMESERIES";
        return Err(told.to_owned());
    };
    if row.contains_key("facet") {
        return Err(HAS_FACETS.to_owned());
    }
    // Those of apdex stand beside each other.
    if let Some(score) = row.get("score") {
        return Ok((begin, number(score)?));
    }
    let values = row
        .iter()
        .filter(|(name, _)| !TIMES.contains(&name.as_str()));
    let values: Vec<(&String, &Value)> = values.collect();
    match values.as_slice() {
        [] => Ok((begin, f64::NAN)),
        [(_, value)] => Ok((begin, number(value)?)),
        several => {
            let names = several.iter().map(|(name, _)| name.as_str());
            let names = names.collect::<Vec<_>>().join(", ");
            Err(format!(
                "a row has several values ({names}), and one function is wanted"
            ))
        }
    }
}

/// A number, or the first of percentiles.
fn number(value: &Value) -> Result<f64, String> {
    let value = match value {
        Value::Object(several) => several.values().next().unwrap_or(&Value::Null),
        value => value,
    };
    match value {
        Value::Null => Ok(f64::NAN),
        Value::Number(number) => Ok(number.as_f64().unwrap_or(f64::NAN)),
        other => Err(format!("'{other}' is no number")),
    }
}

/// Which member comes first in a hash table of Java's, where Kayenta keeps them.
fn first_of_java(members: &Map<String, Value>) -> Option<&Value> {
    let place = |name: &str| {
        let hash = name.encode_utf16().fold(0_u32, |hash, unit| {
            hash.wrapping_mul(31).wrapping_add(u32::from(unit))
        });
        (hash ^ (hash >> 16)) & 15
    };
    // The first of several least ones.
    members
        .iter()
        .min_by_key(|(name, _)| place(name))
        .map(|(_, value)| value)
}

/// Between the first two entries that begin at different times.
fn told_step(samples: &[Sample]) -> i64 {
    let begins = samples.iter().map(|sample| sample.millis());
    let Some(first) = begins.clone().next() else {
        return 0;
    };
    let mut later = begins.filter(|begin| *begin != first);
    later.next().map_or(0, |later| later - first)
}
