//! Series from an answer, wherever they stand in it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::place::Place;
use super::places::{self, Places};
use super::time::{number, shown};
use crate::budget::Held;
use crate::config::Limits;
use crate::metrics::cost;
use crate::metrics::grid::{Grid, Places as Grids};
use crate::metrics::http::{Wrong, error_text};
use crate::metrics::range::Range;
use crate::metrics::series::{
    Answered, Labels, Sample, Series, Window, too_many_samples, too_many_series, too_many_tags,
};

/// What is told beside points, and how much of each text is read.
const MOST_TOLD: usize = 40;
const TOLD_BYTES: usize = 1 << 10;
const LABEL_BYTES: usize = 1 << 10;
/// An error that is longer is not told.
const ERROR_BYTES: usize = 16 << 10;

/// Times in milliseconds.
type Points = Vec<(i64, f64)>;

/// One for each part at `series`, and for each group in it.
pub fn series(
    tree: &Value,
    places: &Places,
    range: &Range,
    limits: &Limits,
    held: &mut Held,
) -> Result<Answered, Wrong> {
    let found = places.series.all(tree);
    if limits.series < found.len() {
        return Err(too_many_series(limits).into());
    }
    let mut answered = Answered {
        partial: told(tree, &places.partial),
        remarks: told(tree, &places.warnings),
        ..Answered::default()
    };
    if found.is_empty() {
        if let Some(error) = error_of(tree) {
            return Err(error.into());
        }
        let series = &places.series;
        let remark = format!("there is nothing at {series}, where series are looked for");
        answered.remarks.push(remark);
    }
    let mut left = limits.samples;
    let mut limits = *limits;
    for (at, part) in found.into_iter().enumerate() {
        let mut reader = Reader {
            part,
            places,
            limits: &limits,
            held: &mut *held,
            left: &mut left,
        };
        let groups = reader.groups().map_err(|wrong| match wrong {
            Wrong::Told(why) => {
                Wrong::Told(format!("in part {} of {}, {why}", at + 1, places.series))
            }
            wrong => wrong,
        })?;
        for (labels, points) in groups {
            if limits.series == answered.series.len() {
                return Err(too_many_series(&limits).into());
            }
            let Some(series) = of_points(labels, points, range, &limits, held)? else {
                continue;
            };
            limits.samples -= series.samples.len().min(limits.samples);
            answered.series.push(series);
        }
    }
    Ok(answered)
}

/// One part at `series`.
struct Reader<'r> {
    part: &'r Value,
    places: &'r Places,
    limits: &'r Limits,
    held: &'r mut Held,
    /// Samples that may still be read.
    left: &'r mut usize,
}

impl Reader<'_> {
    fn groups(&mut self) -> Result<BTreeMap<Labels, Points>, Wrong> {
        let labels = self.labels()?;
        match &self.places.points {
            Some(points) => self.of_each(points, &labels),
            None => Ok([(labels, self.beside_each_other()?)].into()),
        }
    }

    fn labels(&mut self) -> Result<Labels, Wrong> {
        let labels = match &self.places.labels {
            places::Labels::Named(named) => labels_at(self.part, named)?,
            places::Labels::Of(place) => {
                let members = place.all(self.part).into_iter();
                let members = members.filter_map(Value::as_object).flatten();
                // More than there may be need not be read.
                let members = members.take(self.limits.labels + 1);
                let texts = members.filter_map(|(name, value)| Some((name.clone(), label(value)?)));
                texts.collect()
            }
        };
        self.keep(labels)
    }

    fn keep(&mut self, labels: Labels) -> Result<Labels, Wrong> {
        if self.limits.labels < labels.len() {
            return Err(too_many_tags(self.limits).into());
        }
        self.held.grow(cost::labels(&labels))?;
        Ok(labels)
    }

    /// As many are counted and paid for before they are read.
    fn take(&mut self, points: usize) -> Result<(), Wrong> {
        let left = self.left.checked_sub(points);
        *self.left = left.ok_or_else(|| too_many_samples(self.limits))?;
        self.held.grow(cost::read(points))?;
        Ok(())
    }

    /// Lists of times and of values.
    fn beside_each_other(&mut self) -> Result<Points, Wrong> {
        let Places { times, values, .. } = self.places;
        let (found_times, found_values) = (listed(times, self.part), listed(values, self.part));
        if found_times.len() != found_values.len() {
            let told = format!(
                "there are {} times at {times} and {} values at {values}: each value needs its time; where a \
                 value may be missing, 'points' names what both stand in",
                found_times.len(),
                found_values.len()
            );
            return Err(told.into());
        }
        self.take(found_times.len())?;
        let mut points = Vec::with_capacity(found_times.len());
        for (time, value) in found_times.into_iter().zip(found_values) {
            points.push(self.point(points.len(), Some(time), Some(value))?);
        }
        Ok(points)
    }

    /// A time and a value in each.
    fn of_each(
        &mut self,
        place: &Place,
        labels: &Labels,
    ) -> Result<BTreeMap<Labels, Points>, Wrong> {
        let Places {
            times,
            values,
            groups,
            ..
        } = self.places;
        let found = place.all(self.part);
        let mut read = BTreeMap::<Labels, Points>::new();
        self.take(found.len())?;
        for (at, part) in found.into_iter().enumerate() {
            let point = self.point(at, one(times, part)?, one(values, part)?)?;
            let mut own = labels_at(part, groups)?;
            for (name, value) in labels {
                own.entry(name.clone()).or_insert_with(|| value.clone());
            }
            if let Some(points) = read.get_mut(&own) {
                points.push(point);
                continue;
            }
            if self.limits.series == read.len() {
                return Err(too_many_series(self.limits).into());
            }
            read.insert(self.keep(own)?, vec![point]);
        }
        Ok(read)
    }

    fn point(
        &self,
        at: usize,
        time: Option<&Value>,
        value: Option<&Value>,
    ) -> Result<(i64, f64), String> {
        let Places {
            times,
            values,
            unit,
            ..
        } = self.places;
        let at = at + 1;
        let time = unit.millis(time.unwrap_or(&Value::Null));
        let time = time.map_err(|why| format!("time {at} at {times} {why}"))?;
        let value = number(value).map_err(|why| format!("value {at} at {values} {why}"))?;
        Ok((time, value))
    }
}

/// What stands at a place; of one list, what is in it.
fn listed<'v>(place: &Place, part: &'v Value) -> Vec<&'v Value> {
    let found = place.all(part);
    match found.as_slice() {
        [Value::Array(list)] => list.iter().collect(),
        _ => found,
    }
}

fn one<'v>(place: &Place, part: &'v Value) -> Result<Option<&'v Value>, String> {
    match place.all(part).as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        several => {
            let many = several.len();
            Err(format!(
                "{place} matches {many} parts of a point, and one is wanted"
            ))
        }
    }
}

fn labels_at(part: &Value, named: &[(String, Place)]) -> Result<Labels, String> {
    let mut labels = Labels::new();
    for (name, place) in named {
        let text = one(place, part)?.and_then(label);
        labels.extend(text.map(|text| (name.clone(), text)));
    }
    Ok(labels)
}

/// None of what is no single value.
fn label(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text[..text.floor_char_boundary(LABEL_BYTES)].to_owned()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// In the order of their times. On a grid, what is missing is NaN.
fn of_points(
    labels: Labels,
    mut points: Points,
    range: &Range,
    limits: &Limits,
    held: &mut Held,
) -> Result<Option<Series>, Wrong> {
    points.sort_by_key(|(time, _)| *time);
    let (Some((first, _)), Some((last, _))) = (points.first().copied(), points.last().copied())
    else {
        return Ok(None);
    };
    let asked = range.step.unwrap_or_default().saturating_mul(1000);
    let closest = points.windows(2).map(|pair| pair[1].0 - pair[0].0).min();
    if closest == Some(0) {
        let told = "a series has two values for one time: 'groupBy' or 'labels' may tell them apart, or the \
                    query asks for more than one series";
        return Err(told.to_owned().into());
    }
    let grid = step_of(&points, closest, asked).map(|step| Grid {
        start: first,
        step,
        last,
    });
    let step = grid.map_or(closest.unwrap_or(asked), |grid| grid.step);
    let samples = if let Some(grid) = grid {
        Grids::new(limits, held).place(&grid, points)?.samples
    } else {
        let samples = points.into_iter();
        samples
            .map(|(time, value)| Sample::at(time, value))
            .collect()
    };
    Ok(Some(Series {
        labels,
        samples,
        histograms: 0,
        window: Some(Window::of(first, last.saturating_add(step), step)),
    }))
}

/// That of their grid: the least between two of them, where most of its places are taken, else that of the
/// request; none of points that lie on neither.
fn step_of(points: &[(i64, f64)], closest: Option<i64>, asked: i64) -> Option<i64> {
    let (begin, end) = (points.first()?.0, points.last()?.0);
    let is_of_all = |step: &i64| {
        let mut times = points.iter();
        0 < *step && times.all(|(time, _)| (time - begin) % step == 0)
    };
    let are_most = |step: &i64| {
        let taken = i64::try_from(points.len()).unwrap_or(i64::MAX);
        2 < taken && (end - begin) / step < taken.saturating_mul(2)
    };
    let own = closest.filter(is_of_all).filter(are_most);
    own.or(Some(asked).filter(is_of_all))
}

/// What a service says beside its points, unless it says that there is nothing.
fn told(tree: &Value, places: &[Place]) -> Vec<String> {
    let of_place = |place: &Place| {
        let found = place.all(tree).into_iter();
        let told = found.filter_map(|found| match found {
            Value::Null | Value::Bool(false) => None,
            Value::Number(number) if number.as_f64() == Some(0.0) => None,
            Value::String(text) if text.is_empty() => None,
            Value::Array(list) if list.is_empty() => None,
            Value::Object(members) if members.is_empty() => None,
            Value::String(text) => {
                let text = &text[..text.floor_char_boundary(TOLD_BYTES)];
                Some(format!("{place} is '{text}'"))
            }
            other => Some(format!("{place} is {}", shown(other))),
        });
        told.take(MOST_TOLD).collect::<Vec<String>>()
    };
    places.iter().flat_map(of_place).collect()
}

/// An error that came as an answer.
fn error_of(tree: &Value) -> Option<String> {
    let told = ["error", "errors"].into_iter();
    let told = told.filter_map(|name| Some((name, tree.get(name)?)));
    let told: BTreeMap<&str, &Value> = told
        .filter(|(_, value)| !matches!(value, Value::Null | Value::Bool(false)))
        .filter(|(_, value)| value.as_array().is_none_or(|list| !list.is_empty()))
        .collect();
    if told.is_empty() {
        return None;
    }
    let mut room = vec![0; ERROR_BYTES];
    let mut left = room.as_mut_slice();
    if serde_json::to_writer(&mut left, &told).is_err() {
        return Some("the answer is an error, and a long one".to_owned());
    }
    let length = ERROR_BYTES - left.len();
    let text = &room[..length];
    Some(error_text(text).unwrap_or_else(|| {
        let text = String::from_utf8_lossy(text);
        let text = &text[..text.floor_char_boundary(TOLD_BYTES)];
        format!("the answer is an error: {text}")
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_have_the_step_of_most_of_them_or_of_the_request() {
        let cases: [(&[i64], i64, Option<i64>); 9] = [
            (&[0, 60, 120, 240], 60, Some(60)),
            // Coarser than what was asked for.
            (&[0, 300, 600, 1200], 60, Some(300)),
            // Few of many.
            (&[0, 120, 2400], 60, Some(60)),
            (&[0, 120], 60, Some(60)),
            (&[0], 60, Some(60)),
            // At any time.
            (&[0, 1, 40, 95], 60, None),
            (&[0, 7, 30], 60, None),
            (&[0, 10, 20], 0, Some(10)),
            (&[0, 10], 0, None),
        ];
        for (times, asked, expected) in cases {
            let points: Points = times.iter().map(|time| (*time, 1.0)).collect();
            let least = times.windows(2).map(|pair| pair[1] - pair[0]).min();
            assert_eq!(step_of(&points, least, asked), expected, "{times:?}");
        }
    }
}
