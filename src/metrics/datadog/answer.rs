//! What Datadog answers.

use serde::Deserialize;

use crate::config::Limits;
use crate::metrics::bounded::{at_most, if_any};
use crate::metrics::grid::Grid;
use crate::metrics::range::Range;
use crate::metrics::series::{Answered, Labels, Series, Window, too_many_samples, too_many_series};

/// Read before the limits of the configuration are asked.
const MOST_SERIES: usize = 20_000;
const MOST_TAGS: usize = 200;
const MOST_POINTS: usize = 5_000_000;

/// To `/api/v1/query`.
#[derive(Deserialize)]
pub struct Queried {
    status: Option<String>,
    error: Option<String>,
    message: Option<String>,
    #[serde(default, deserialize_with = "if_any::<MOST_SERIES, _, _>")]
    series: Option<Vec<QueriedSeries>>,
    #[serde(default, deserialize_with = "at_most::<100, _, _>")]
    errors: Vec<String>,
}

#[derive(Deserialize)]
struct QueriedSeries {
    /// Milliseconds.
    start: Option<i64>,
    end: Option<i64>,
    /// Seconds.
    interval: Option<i64>,
    #[serde(default, deserialize_with = "at_most::<MOST_TAGS, _, _>")]
    tag_set: Vec<String>,
    #[serde(default, deserialize_with = "if_any::<MOST_POINTS, _, _>")]
    pointlist: Option<Vec<(Number, Option<Number>)>>,
}

/// Also as a text, as `"NaN"`.
#[derive(Clone, Copy)]
struct Number(f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(f64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(number) => Ok(Self(number)),
            Written::Text(text) => text
                .parse()
                .map(Self)
                .map_err(|_| serde::de::Error::custom(format!("'{text}' is not a number"))),
        }
    }
}

/// One series each; one of nothing where there are none.
pub fn series(answer: Queried, range: &Range, limits: &Limits) -> Result<Answered, String> {
    let said = [answer.error, answer.message, Some(answer.errors.join("; "))];
    let said = said.into_iter().flatten().find(|said| !said.is_empty());
    if answer.status.as_deref() == Some("error") || !answer.errors.is_empty() {
        return Err(said.unwrap_or_else(|| "an error without a text".to_owned()));
    }
    let Some(all) = answer.series else {
        return Err(
            said.unwrap_or_else(|| "the answer has no series, not even an empty list".to_owned())
        );
    };
    if limits.series < all.len() {
        return Err(too_many_series(limits));
    }
    let mut answered = Answered::default();
    if all.is_empty() {
        answered.series.push(nothing(range));
    }
    let mut samples = 0;
    for series in all {
        let (Some(start), Some(end), Some(interval), Some(points)) =
            (series.start, series.end, series.interval, series.pointlist)
        else {
            let told = "the answer has a series without start, end, interval or pointlist";
            return Err(told.to_owned());
        };
        let window = Window::of(start, end, interval.saturating_mul(1000));
        let labels = labels(&series.tag_set, limits)?;
        let points = points.into_iter();
        let points =
            points.map(|(time, value)| (millis(time.0), value.map_or(f64::NAN, |it| it.0)));
        placed(&mut answered, &mut samples, window, labels, points, limits)?;
    }
    Ok(answered)
}

/// To `/api/v2/query/timeseries`.
#[derive(Deserialize)]
pub struct Computed {
    data: Option<Data>,
    #[serde(default)]
    errors: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Data {
    attributes: Option<ComputedSeries>,
}

#[derive(Deserialize)]
struct ComputedSeries {
    #[serde(default, deserialize_with = "at_most::<MOST_SERIES, _, _>")]
    series: Vec<Group>,
    /// Milliseconds.
    #[serde(default, deserialize_with = "at_most::<MOST_POINTS, _, _>")]
    times: Vec<i64>,
    #[serde(default, deserialize_with = "at_most::<MOST_SERIES, _, _>")]
    values: Vec<Values>,
}

#[derive(Deserialize)]
struct Group {
    #[serde(default, deserialize_with = "at_most::<MOST_TAGS, _, _>")]
    group_tags: Vec<String>,
}

#[derive(Deserialize)]
struct Values(#[serde(deserialize_with = "at_most::<MOST_POINTS, _, _>")] Vec<Option<f64>>);

/// One series each; one of nothing where there are none.
pub fn formulas(answer: Computed, range: &Range, limits: &Limits) -> Result<Answered, String> {
    if let Some(errors) = answer.errors.filter(|errors| !errors.is_null()) {
        return Err(match errors {
            serde_json::Value::String(text) => text,
            errors => errors.to_string(),
        });
    }
    let Some(found) = answer.data.and_then(|data| data.attributes) else {
        return Err("the answer has no data".to_owned());
    };
    if limits.series < found.series.len() {
        return Err(too_many_series(limits));
    }
    if found.series.len() != found.values.len() {
        return Err("the answer does not have as many lists of values as series".to_owned());
    }
    let mut answered = Answered::default();
    let (Some(&start), Some(&last)) = (found.times.first(), found.times.last()) else {
        answered.series.push(nothing(range));
        return Ok(answered);
    };
    if found.series.is_empty() {
        answered.series.push(nothing(range));
    }
    let asked = range.step.filter(|step| 0 < *step);
    let asked = asked.map(|step| step.saturating_mul(1000));
    let told = found.times.windows(2).map(|pair| pair[1] - pair[0]).min();
    let step = told.or(asked).unwrap_or(1000);
    let window = Window::of(start, last.saturating_add(step - 1), step);
    let mut samples = 0;
    for (group, Values(values)) in found.series.into_iter().zip(found.values) {
        let labels = labels(&group.group_tags, limits)?;
        let points = found.times.iter().copied().zip(values);
        let points = points.map(|(time, value)| (time, value.unwrap_or(f64::NAN)));
        placed(&mut answered, &mut samples, window, labels, points, limits)?;
    }
    Ok(answered)
}

fn placed(
    answered: &mut Answered,
    samples: &mut usize,
    window: Window,
    labels: Labels,
    points: impl Iterator<Item = (i64, f64)>,
    limits: &Limits,
) -> Result<(), String> {
    let Window { start, end, step } = window;
    let grid = Grid {
        start: start.as_millis(),
        step,
        last: end.as_millis(),
    };
    let places = grid.places();
    let places = places.ok_or_else(|| {
        format!(
            "the answer has a series with an interval of {} s",
            step / 1000
        )
    })?;
    *samples += places;
    if limits.samples < *samples {
        return Err(too_many_samples(limits));
    }
    let put = grid.place(points);
    answered.remarks.extend(put.remark());
    answered.series.push(Series {
        labels,
        samples: put.samples,
        histograms: 0,
        window: Some(window),
    });
    Ok(())
}

/// What Kayenta puts where there is no series: no points, a second apart.
fn nothing(range: &Range) -> Series {
    Series {
        labels: Labels::new(),
        samples: Vec::new(),
        histograms: 0,
        window: Some(Window {
            start: range.start,
            end: range.end,
            step: 1000,
        }),
    }
}

/// `"host:a"` is the label `host` with the value `a`.
fn labels(tags: &[String], limits: &Limits) -> Result<Labels, String> {
    if limits.labels < tags.len() {
        return Err(format!(
            "the answer holds a series with more than {} tags (limits.labels)",
            limits.labels
        ));
    }
    let tags = tags.iter().map(|tag| match tag.split_once(':') {
        Some((name, value)) => (name.to_owned(), value.to_owned()),
        None => (tag.clone(), String::new()),
    });
    Ok(tags.collect())
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "fractions of a millisecond are cut, as Kayenta does"
)]
fn millis(time: f64) -> i64 {
    time as i64
}
