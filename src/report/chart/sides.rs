//! The points of both sides, as a picture can show them.

use crate::canary::{MetricSetPair, Pair};
use crate::report::thin;

/// A value at its time, in milliseconds; none where the series has no number.
#[derive(Clone, Copy)]
pub struct Point {
    pub at: f64,
    pub value: Option<f64>,
}

pub struct Sides {
    pub points: Pair<Vec<Point>>,
    /// Beyond this a line breaks.
    pub longest_step: Pair<f64>,
    pub axis: TimeAxis,
}

#[derive(Clone, Copy, PartialEq)]
pub enum TimeAxis {
    /// Both windows are one: the time of day.
    Clock,
    /// Each side counts from its own start.
    SinceStart,
    /// Nobody knows when the values were measured.
    Number,
}

impl Sides {
    pub fn of(pair: &MetricSetPair) -> Self {
        let scopes = Pair {
            control: pair.scopes.get("control"),
            experiment: pair.scopes.get("experiment"),
        };
        let scopes = scopes.map(|scope| scope.cloned().unwrap_or_default());
        let times = pair.timestamps.clone().unwrap_or_default();
        let knows = |times: &[i64], values: &[f64], step: i64| {
            values.is_empty() || times.len() == values.len() || 0 < step
        };
        let steps = scopes.clone().map(|scope| scope.step_millis);
        let starts = scopes.map(|scope| scope.start_time_millis);
        let values = &pair.values;
        let is_timed = knows(&times.control, &values.control, steps.control)
            && knows(&times.experiment, &values.experiment, steps.experiment);
        let axis = match (is_timed, starts.control == starts.experiment) {
            (false, _) => TimeAxis::Number,
            (true, true) => TimeAxis::Clock,
            (true, false) => TimeAxis::SinceStart,
        };
        let side = |values: &[f64], times: &[i64], start: i64, step: i64| {
            let at = |index: usize| match axis {
                TimeAxis::Number => to_f64(index),
                _ if times.len() == values.len() => millis(times[index]),
                _ => millis(start) + millis(step) * to_f64(index),
            };
            let origin = match axis {
                TimeAxis::SinceStart => millis(start),
                TimeAxis::Clock | TimeAxis::Number => 0.0,
            };
            let points = values.iter().enumerate().map(|(index, value)| Point {
                at: at(index) - origin,
                // Beyond, the scale itself would be infinite.
                value: Some(*value).filter(|value| value.abs() <= 1e300),
            });
            points.collect::<Vec<_>>()
        };
        let points = Pair {
            control: side(
                &values.control,
                &times.control,
                starts.control,
                steps.control,
            ),
            experiment: side(
                &values.experiment,
                &times.experiment,
                starts.experiment,
                steps.experiment,
            ),
        };
        let control = thinned(points.control, steps.control);
        let experiment = thinned(points.experiment, steps.experiment);
        Self {
            points: Pair {
                control: control.0,
                experiment: experiment.0,
            },
            longest_step: Pair {
                control: control.1,
                experiment: experiment.1,
            },
            axis,
        }
    }

    pub fn all(&self) -> impl Iterator<Item = &Point> {
        self.points.control.iter().chain(&self.points.experiment)
    }
}

/// The points that a picture can show, and the longest step between two of one line. Of a thinned
/// side every gap is a point without a value.
fn thinned(points: Vec<Point>, step: i64) -> (Vec<Point>, f64) {
    let longest_step = longest_step(&points, step);
    if points.len() <= thin::MOST {
        return (points, longest_step);
    }
    let mut whole: Vec<Point> = Vec::with_capacity(points.len());
    for point in points {
        if let Some(last) = whole
            .last()
            .filter(|last| longest_step < point.at - last.at)
        {
            let (at, value) = (last.at, None);
            whole.push(Point { at, value });
        }
        whole.push(point);
    }
    let values = whole.iter().map(|point| point.value.unwrap_or(f64::NAN));
    let kept = thin::kept(&values.collect::<Vec<_>>());
    (
        kept.into_iter().map(|at| whole[at]).collect(),
        f64::INFINITY,
    )
}

/// One and a half steps: that of the query, else the most usual distance of two points.
fn longest_step(points: &[Point], step: i64) -> f64 {
    if 0 < step {
        return 1.5 * millis(step);
    }
    let mut distances: Vec<f64> = points.windows(2).map(|two| two[1].at - two[0].at).collect();
    distances.sort_by(f64::total_cmp);
    distances
        .get(distances.len() / 2)
        .map_or(f64::INFINITY, |middle| 1.5 * middle)
}

#[expect(clippy::cast_precision_loss, reason = "times are far below 2^53")]
fn millis(millis: i64) -> f64 {
    millis as f64
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
pub fn to_f64(count: usize) -> f64 {
    count as f64
}
