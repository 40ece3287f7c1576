//! The pages of an answer to `GetMetricData`.

use indexmap::IndexMap;
use reqwest::header::HeaderMap;
use serde::Deserialize;

use super::query::Asked;
use crate::budget::Held;
use crate::config::Limits;
use crate::metrics::bounded::at_most;
use crate::metrics::grid::{Grid, Places};
use crate::metrics::http::{Fault, Wrong};
use crate::metrics::number::Number;
use crate::metrics::series::{Answered, Labels, Series, Window, too_many_samples, too_many_series};

/// Read before the limits of the configuration are asked.
const MOST_SERIES: usize = 20_000;
const MOST_POINTS: usize = 2_000_000;
const MOST_MESSAGES: usize = 100;
const INTERNAL: &str = "InternalError";
const FORBIDDEN: &str = "Forbidden";

/// Beside a point in a map: the label is there once for a series.
const POINT_BYTES: usize = size_of::<(i64, f64)>();

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Page {
    #[serde(default, deserialize_with = "at_most::<MOST_SERIES, _, _>")]
    metric_data_results: Vec<Found>,
    pub next_token: Option<String>,
    #[serde(default, deserialize_with = "at_most::<MOST_MESSAGES, _, _>")]
    messages: Vec<Message>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Found {
    id: String,
    label: Option<String>,
    /// Seconds since the epoch.
    #[serde(default, deserialize_with = "at_most::<MOST_POINTS, _, _>")]
    timestamps: Vec<f64>,
    #[serde(default, deserialize_with = "at_most::<MOST_POINTS, _, _>")]
    values: Vec<Number>,
    status_code: Option<String>,
    #[serde(default, deserialize_with = "at_most::<MOST_MESSAGES, _, _>")]
    messages: Vec<Message>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Message {
    code: Option<String>,
    value: Option<String>,
}

/// A page without its points.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Outline {
    #[serde(default, deserialize_with = "at_most::<MOST_SERIES, _, _>")]
    metric_data_results: Vec<Outcome>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Outcome {
    id: String,
    label: Option<String>,
    status_code: Option<String>,
    #[serde(default, deserialize_with = "at_most::<MOST_MESSAGES, _, _>")]
    messages: Vec<Message>,
}

/// What CloudWatch could not answer and what is not for who asks; of the former it says that one asks again.
pub fn fault(_: &HeaderMap, body: &[u8]) -> Option<Fault> {
    let text = std::str::from_utf8(body).ok()?;
    if !text.contains(INTERNAL) && !text.contains(FORBIDDEN) {
        return None;
    }
    let outline: Outline = serde_json::from_str(text).ok()?;
    let mut failed = outline.metric_data_results.into_iter().filter(|outcome| {
        [INTERNAL, FORBIDDEN].contains(&outcome.status_code.as_deref().unwrap_or_default())
    });
    let outcome = failed.next()?;
    let status = outcome.status_code.unwrap_or_default();
    let (id, label) = (outcome.id, outcome.label.unwrap_or_default());
    let messages = told(outcome.messages).join("; ");
    let why = if messages.is_empty() {
        messages
    } else {
        format!(": {messages}")
    };
    Some(Fault {
        may_pass: status == INTERNAL,
        told: format!("{status} for '{id}' ({label}){why}"),
    })
}

fn told(messages: Vec<Message>) -> Vec<String> {
    let told = messages.into_iter().map(Message::told);
    told.filter(|told| !told.is_empty()).collect()
}

impl Message {
    fn told(self) -> String {
        let parts = [self.code, self.value].into_iter().flatten();
        parts.collect::<Vec<_>>().join(": ")
    }
}

/// What the pages hold together.
#[derive(Default)]
pub struct Pages {
    /// By id and label: a later page goes on with them.
    found: IndexMap<(String, String), Gathered>,
    points: usize,
    partial: Vec<String>,
    remarks: Vec<String>,
}

#[derive(Default)]
struct Gathered {
    points: Vec<(i64, f64)>,
    /// A page that is not the last has parts only.
    status: Option<String>,
}

impl Pages {
    /// `held` pays for what is kept of a page until the last one came.
    pub fn add(&mut self, page: Page, limits: &Limits, held: &mut Held) -> Result<(), Wrong> {
        for message in page.messages {
            let told = message.told();
            held.grow(told.len())?;
            self.partial.push(told);
        }
        for found in page.metric_data_results {
            self.add_found(found, limits, held)?;
        }
        Ok(())
    }

    fn add_found(&mut self, found: Found, limits: &Limits, held: &mut Held) -> Result<(), Wrong> {
        let label = found.label.unwrap_or_default();
        let messages = told(found.messages);
        if found.timestamps.len() != found.values.len() {
            let told = "the answer does not have as many values as times";
            return Err(told.to_owned().into());
        }
        self.points += found.values.len();
        if limits.samples < self.points {
            return Err(too_many_samples(limits).into());
        }
        let texts = messages.iter().map(String::len).sum::<usize>() + found.id.len() + label.len();
        held.grow(texts + found.values.len() * POINT_BYTES)?;
        self.remarks.extend(messages);
        let gathered = self.found.entry((found.id, label)).or_default();
        gathered.status = found.status_code;
        let times = found.timestamps.into_iter().map(millis);
        let values = found.values.into_iter().map(|value| value.0);
        gathered.points.extend(times.zip(values));
        if limits.series < self.found.len() {
            return Err(too_many_series(limits).into());
        }
        Ok(())
    }

    pub fn into_answered(
        mut self,
        asked: &Asked,
        limits: &Limits,
        held: &mut Held,
    ) -> Result<Answered, Wrong> {
        let mut answered = Answered::default();
        answered.remarks.extend(asked.remark.clone());
        answered.remarks.append(&mut self.remarks);
        for ((id, label), gathered) in &self.found {
            if gathered.status.as_deref() == Some("PartialData") {
                self.partial
                    .push(format!("'{id}' ({label}) is PartialData"));
            }
        }
        answered.partial = self.partial;
        let times = self.found.values().flat_map(|found| &found.points);
        let Some(earliest) = times.map(|(time, _)| *time).min() else {
            // What nobody wrote is answered with a result without points.
            return Ok(answered);
        };
        let grid = grid(asked, earliest);
        let mut places = Places::new(limits, held);
        for ((_, label), gathered) in self.found {
            if gathered.points.is_empty() {
                continue;
            }
            let row = places.place(&grid, gathered.points)?;
            answered.remarks.extend(row.remark());
            let mut labels = Labels::new();
            if asked.is_several {
                labels.insert("label".to_owned(), label);
            }
            let count = i64::try_from(row.samples.len()).unwrap_or(i64::MAX);
            let end = grid.start.saturating_add(count.saturating_mul(grid.step));
            answered.series.push(Series {
                labels,
                samples: row.samples,
                histograms: 0,
                window: Some(Window::of(grid.start, end, grid.step)),
            });
        }
        Ok(answered)
    }
}

/// From the begin of the window to its end, at times like that of a point.
fn grid(asked: &Asked, earliest: i64) -> Grid {
    let step = asked.period.saturating_mul(1000);
    let start = asked.start.saturating_mul(1000);
    let after = earliest.saturating_sub(start).max(0);
    Grid {
        start: earliest.saturating_sub(after - after.rem_euclid(step)),
        step,
        last: asked.end.saturating_mul(1000).saturating_sub(1),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a time that is none lies beyond every grid"
)]
fn millis(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}
