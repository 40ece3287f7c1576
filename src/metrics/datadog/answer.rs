//! What Datadog answers.

use serde::Deserialize;

use crate::budget::Held;
use crate::config::Limits;
use crate::metrics::bounded::{at_most, if_any};
use crate::metrics::grid::{Grid, Places};
use crate::metrics::http::Wrong;
use crate::metrics::number::Number;
use crate::metrics::range::Range;
use crate::metrics::series::{Answered, Labels, Series, Window, too_many_series, too_many_tags};

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

/// One series each; one of nothing where there are none.
pub fn series(
    answer: Queried,
    range: &Range,
    limits: &Limits,
    held: &mut Held,
) -> Result<Answered, Wrong> {
    let said = [answer.error, answer.message, Some(answer.errors.join("; "))];
    let said = said.into_iter().flatten().find(|said| !said.is_empty());
    if answer.status.as_deref() == Some("error") || !answer.errors.is_empty() {
        let said = said.unwrap_or_else(|| "an error without a text".to_owned());
        return Err(said.into());
    }
    let Some(all) = answer.series else {
        let none = || "the answer has no series, not even an empty list".to_owned();
        return Err(said.unwrap_or_else(none).into());
    };
    if limits.series < all.len() {
        return Err(too_many_series(limits).into());
    }
    let mut answered = Answered::default();
    if all.is_empty() {
        answered.series.push(nothing(range));
    }
    let mut places = Places::new(limits, held);
    for series in all {
        let (Some(start), Some(end), Some(interval), Some(points)) =
            (series.start, series.end, series.interval, series.pointlist)
        else {
            let told = "the answer has a series without start, end, interval or pointlist";
            return Err(told.to_owned().into());
        };
        let window = window(start, end, interval.saturating_mul(1000))?;
        let labels = labels(&series.tag_set, limits)?;
        let points = points.into_iter();
        let points =
            points.map(|(time, value)| (millis(time.0), value.map_or(f64::NAN, |it| it.0)));
        placed(window, labels, points, &mut places, &mut answered)?;
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
pub fn formulas(
    answer: Computed,
    range: &Range,
    limits: &Limits,
    held: &mut Held,
) -> Result<Answered, Wrong> {
    if let Some(errors) = answer.errors.filter(|errors| !errors.is_null()) {
        let told = match errors {
            serde_json::Value::String(text) => text,
            errors => errors.to_string(),
        };
        return Err(told.into());
    }
    let Some(found) = answer.data.and_then(|data| data.attributes) else {
        return Err("the answer has no data".to_owned().into());
    };
    if limits.series < found.series.len() {
        return Err(too_many_series(limits).into());
    }
    if found.series.len() != found.values.len() {
        let told = "the answer does not have as many lists of values as series";
        return Err(told.to_owned().into());
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
    let pairs = found.times.windows(2);
    let told = pairs.map(|pair| pair[1].saturating_sub(pair[0])).min();
    let step = told.or(asked).unwrap_or(1000);
    let end = last.saturating_add(step.saturating_sub(1));
    let window = window(start, end, step)?;
    let mut places = Places::new(limits, held);
    for (group, Values(values)) in found.series.into_iter().zip(found.values) {
        let labels = labels(&group.group_tags, limits)?;
        let points = found.times.iter().copied().zip(values);
        let points = points.map(|(time, value)| (time, value.unwrap_or(f64::NAN)));
        placed(window, labels, points, &mut places, &mut answered)?;
    }
    Ok(answered)
}

fn placed(
    window: Window,
    labels: Labels,
    points: impl Iterator<Item = (i64, f64)>,
    places: &mut Places<'_>,
    answered: &mut Answered,
) -> Result<(), Wrong> {
    let Window { start, end, step } = window;
    let grid = Grid {
        start: start.as_millis(),
        step,
        last: end.as_millis(),
    };
    let row = places.place(&grid, points)?;
    answered.remarks.extend(row.remark());
    answered.series.push(Series {
        labels,
        samples: row.samples,
        histograms: 0,
        window: Some(window),
    });
    Ok(())
}

/// Of times that there are.
fn window(start: i64, end: i64, step: i64) -> Result<Window, String> {
    let window = Window::of(start, end, step);
    if (window.start.as_millis(), window.end.as_millis()) == (start, end) {
        return Ok(window);
    }
    Err(format!(
        "the answer has a series from {start} to {end}, which are no times in milliseconds"
    ))
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
        return Err(too_many_tags(limits));
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::budget::Budget;
    use crate::canary::Instant;

    const LIMITS: Limits = Limits {
        memory: None,
        execution: 1 << 20,
        query_text: 100,
        series: 2,
        labels: 2,
        samples: 100_000,
    };

    /// What is read of the data of a formula, in one text.
    fn computed(data: &Value) -> String {
        let share = Budget::new(Some(8 << 20), 1 << 20).share();
        let mut held = share.hold(0).unwrap();
        let range = Range {
            start: Instant(jiff::Timestamp::UNIX_EPOCH),
            end: Instant(jiff::Timestamp::UNIX_EPOCH),
            step: Some(60),
        };
        let answer = serde_json::from_value(json!({"data": {"attributes": data}})).unwrap();
        match formulas(answer, &range, &LIMITS, &mut held) {
            Ok(answered) => {
                let series = answered.series.iter();
                let series = series.map(|it| {
                    let values = it.samples.iter().map(|sample| sample.value.unwrap());
                    let step = it.window.unwrap().step;
                    format!("{:?} {:?} {step}", it.labels, values.collect::<Vec<_>>())
                });
                series.collect::<Vec<_>>().join(", ")
            }
            Err(Wrong::Told(told)) => told,
            Err(wrong) => format!("{wrong:?}"),
        }
    }

    #[test]
    fn formulas_are_read_by_their_times_whatever_these_are() {
        let group = |tags: &[&str]| json!({"group_tags": tags});
        let cases = [
            (
                json!({
                    "series": [group(&["host:a", "canary"]), group(&[])],
                    "times": [0, 1000, 3000], "values": [[1.0, null, 3.0], [4.0, 5.0, 6.0]],
                }),
                r#"{"canary": "", "host": "a"} [1.0, NaN, NaN, 3.0] 1000, {} [4.0, 5.0, NaN, 6.0] 1000"#,
            ),
            (
                json!({"series": [group(&[])], "times": [7000], "values": [[1.0]]}),
                "{} [1.0] 60000",
            ),
            (
                json!({"series": [], "times": [], "values": []}),
                "{} [] 1000",
            ),
            (
                json!({"series": [group(&[])], "times": [0], "values": []}),
                "the answer does not have as many lists",
            ),
            (
                json!({"series": [group(&[])], "times": [i64::MIN, i64::MAX], "values": [[1.0, 2.0]]}),
                "the answer has a series from -9223372036854775808",
            ),
            (
                json!({"series": [group(&[])], "times": [i64::MAX, i64::MIN], "values": [[1.0, 2.0]]}),
                "the answer has a series from 9223372036854775807",
            ),
            (
                json!({"series": [group(&[])], "times": [0, 0], "values": [[1.0, 2.0]]}),
                "the answer has a series with an interval of 0 s",
            ),
            (
                json!({"series": [group(&[])], "times": [0, 1, 90_000], "values": [[1.0, 2.0, 3.0]]}),
                "NoMemory(",
            ),
            (
                json!({"series": [group(&[])], "times": [0, 1, 900_000], "values": [[1.0, 2.0, 3.0]]}),
                "the answers to the query hold more than 100000 samples",
            ),
            (
                json!({"series": [group(&["a", "b", "c"])], "times": [0], "values": [[1.0]]}),
                "the answer holds a series with more than 2 tags",
            ),
            (
                json!({"series": vec![group(&[]); 3], "times": [0], "values": [[1.0], [1.0], [1.0]]}),
                "the answer holds more than 2 series",
            ),
        ];
        for (data, expected) in cases {
            let read = computed(&data);
            assert!(read.starts_with(expected), "{expected}: {read}");
        }
    }
}
