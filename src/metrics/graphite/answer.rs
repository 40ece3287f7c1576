//! What Graphite answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use crate::budget::Held;
use crate::config::Limits;
use crate::metrics::bounded::at_most;
use crate::metrics::cost;
use crate::metrics::http::Wrong;
use crate::metrics::number::Number;
use crate::metrics::series::{
    Answered, Labels, Sample, Series, Window, too_many_samples, too_many_series, too_many_tags,
};

/// Read before the limits of the configuration are asked.
const MOST_SERIES: usize = 20_000;
const MOST_POINTS: usize = 5_000_000;

/// One second: what a single point is for, as in Kayenta.
const STEP_OF_ONE: i64 = 1_000;

/// Of `/render`.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct Rendered(#[serde(deserialize_with = "of_list")] Vec<Target>);

#[derive(Deserialize)]
struct Target {
    #[serde(rename = "target")]
    name: Option<String>,
    tags: Option<BTreeMap<String, serde_json::Value>>,
    #[serde(default, deserialize_with = "at_most::<MOST_POINTS, _, _>")]
    datapoints: Vec<(Option<Number>, Number)>,
}

/// `null` is none.
fn of_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Target>, D::Error> {
    let list = crate::metrics::bounded::if_any::<MOST_SERIES, _, _>(deserializer)?;
    list.ok_or_else(|| serde::de::Error::custom("null, where a list of targets is wanted"))
}

/// One series for each target that has points. Several are told apart by their tags, else by their names.
pub fn series(answer: Rendered, limits: &Limits, held: &mut Held) -> Result<Answered, Wrong> {
    let Rendered(targets) = answer;
    if limits.series < targets.len() {
        return Err(too_many_series(limits).into());
    }
    let mut answered = Answered::default();
    let mut left = limits.samples;
    let are_several = 1 < targets.len();
    let have_tags = targets.iter().all(|target| {
        let tags = target.tags.as_ref();
        tags.is_some_and(|tags| !tags.is_empty())
    });
    for target in targets {
        let points = target.datapoints.len();
        left = left
            .checked_sub(points)
            .ok_or_else(|| too_many_samples(limits))?;
        held.grow(cost::read(points))?;
        let mut labels = Labels::new();
        if are_several && have_tags {
            let tags = target.tags.into_iter().flatten();
            labels
                .extend(tags.filter_map(|(name, value)| Some((name, value.as_str()?.to_owned()))));
        } else if are_several {
            labels.extend(target.name.map(|name| ("target".to_owned(), name)));
        }
        if limits.labels < labels.len() {
            return Err(too_many_tags(limits).into());
        }
        let points = target.datapoints.into_iter();
        let mut points: Vec<(f64, f64)> = points
            .map(|(value, seconds)| (seconds.0, value.map_or(f64::NAN, |value| value.0)))
            .collect();
        points.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        answered.series.extend(of_points(labels, &points));
    }
    Ok(answered)
}

/// Start and end are the first and the last time, as in Kayenta; the step is the least that there is.
fn of_points(labels: Labels, points: &[(f64, f64)]) -> Option<Series> {
    let (first, last) = (points.first()?.0, points.last()?.0);
    let steps = points.windows(2).map(|pair| pair[1].0 - pair[0].0);
    let steps = steps.filter(|step| 1.0 <= *step).map(whole_seconds);
    let step = steps.min().unwrap_or(STEP_OF_ONE);
    let samples = points.iter().map(|(seconds, value)| Sample {
        seconds: *seconds,
        value: Some(*value),
    });
    Some(Series {
        labels,
        samples: samples.collect(),
        histograms: 0,
        window: Some(Window::of(whole_seconds(first), whole_seconds(last), step)),
    })
}

/// In milliseconds.
#[expect(
    clippy::cast_possible_truncation,
    reason = "of any year that there is; what is none becomes the nearest"
)]
fn whole_seconds(seconds: f64) -> i64 {
    (seconds.trunc() as i64).saturating_mul(1000)
}
