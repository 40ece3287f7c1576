//! What Wavefront answers.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use crate::budget::Held;
use crate::config::Limits;
use crate::metrics::bounded::{at_most, if_any};
use crate::metrics::cost;
use crate::metrics::grid::{Grid, Places};
use crate::metrics::http::Wrong;
use crate::metrics::number::Number;
use crate::metrics::series::{
    Answered, Labels, Series, Window, too_many_samples, too_many_series, too_many_tags,
};

/// Read before the limits of the configuration are asked.
const MOST_SERIES: usize = 20_000;
const MOST_POINTS: usize = 5_000_000;

/// Of the chart API.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Charted {
    #[serde(default, deserialize_with = "if_any::<MOST_SERIES, _, _>")]
    timeseries: Option<Vec<Listed>>,
    warnings: Option<String>,
    error_type: Option<String>,
    error_message: Option<String>,
}

#[derive(Deserialize)]
struct Listed {
    tags: Option<BTreeMap<String, Value>>,
    #[serde(default, deserialize_with = "at_most::<MOST_POINTS, _, _>")]
    data: Vec<(Number, Option<Number>)>,
}

/// One series for each that has points. The step is in seconds.
pub fn series(
    answer: Charted,
    step: i64,
    limits: &Limits,
    held: &mut Held,
) -> Result<Answered, Wrong> {
    let told = [answer.error_type, answer.error_message];
    let told: Vec<String> = told.into_iter().flatten().collect();
    if !told.is_empty() {
        return Err(told.join(": ").into());
    }
    let Some(listed) = answer.timeseries else {
        let why = answer.warnings.map(|why| format!(": {why}"));
        let why = why.unwrap_or_default();
        return Err(format!("the answer has no list of series ('timeseries'){why}").into());
    };
    if limits.series < listed.len() {
        return Err(too_many_series(limits).into());
    }
    let points = listed.iter().map(|series| series.data.len()).sum();
    if limits.samples < points {
        return Err(too_many_samples(limits).into());
    }
    held.grow(cost::read(points))?;
    let mut answered = Answered::default();
    answered.remarks.extend(answer.warnings);
    let mut places = Places::new(limits, held);
    for series in listed {
        let labels = labels(series.tags);
        if limits.labels < labels.len() {
            return Err(too_many_tags(limits).into());
        }
        let read = placed(labels, &series.data, step, &mut places)?;
        let Some((series, remark)) = read else {
            continue;
        };
        answered.series.push(series);
        answered.remarks.extend(remark);
    }
    let several = answered.series.len();
    let kinds: BTreeSet<&Labels> = answered.series.iter().map(|it| &it.labels).collect();
    if kinds.len() < several {
        answered.remarks.push(format!(
            "{several} series have {} sets of tags, and of equal ones only the first is judged: an aggregate \
             is wanted",
            kinds.len()
        ));
    }
    Ok(answered)
}

fn labels(tags: Option<BTreeMap<String, Value>>) -> Labels {
    let tags = tags.into_iter().flatten();
    let tags = tags.filter_map(|(name, value)| {
        let value = match value {
            Value::Null => return None,
            Value::String(text) => text,
            other => other.to_string(),
        };
        Some((name, value))
    });
    tags.collect()
}

/// From the first point to the last by the step that was asked for; what lies between two places is left out.
fn placed(
    labels: Labels,
    data: &[(Number, Option<Number>)],
    step: i64,
    places: &mut Places<'_>,
) -> Result<Option<(Series, Option<String>)>, Wrong> {
    let mut points: Vec<(i64, f64)> = data
        .iter()
        .map(|(seconds, value)| (millis(seconds.0), value.map_or(f64::NAN, |it| it.0)))
        .collect();
    points.sort_by_key(|(time, _)| *time);
    let (Some((first, _)), Some((last, _))) = (points.first(), points.last()) else {
        return Ok(None);
    };
    let grid = Grid {
        start: *first,
        step: step.saturating_mul(1000),
        last: *last,
    };
    let is_on_it = |time: i64| time.saturating_sub(grid.start) % grid.step.max(1) == 0;
    let on_it = points.iter().copied().filter(|(time, _)| is_on_it(*time));
    let row = places.place(&grid, on_it)?;
    let beside = points.iter().filter(|(time, _)| !is_on_it(*time)).count();
    let beside = (0 < beside).then(|| {
        format!(
            "{beside} of {} points are left out: they lie between two of the step",
            points.len()
        )
    });
    let series = Series {
        labels,
        samples: row.samples,
        histograms: 0,
        window: Some(Window::of(grid.start, grid.last, grid.step)),
    };
    Ok(Some((series, beside)))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "of any year that there is; what is none becomes the nearest"
)]
fn millis(seconds: f64) -> i64 {
    (seconds.trunc() as i64).saturating_mul(1000)
}
