//! What one side of a metric holds as it came, before it is cleaned.

use crate::canary::{Attributes, MetricSetPair, MetricSetScope, Pair, Window};

pub struct Side<'a> {
    /// `control` or `experiment`.
    pub name: &'static str,
    values: &'a [f64],
    /// Of the values; those beyond are missing at the end.
    pub timestamps: Option<&'a [i64]>,
    pub told: Told<'a>,
    scope: Option<&'a MetricSetScope>,
    pub measured: Measured,
}

/// What the attributes of a side say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told<'a> {
    pub query: Option<&'a str>,
    /// How many milliseconds the query looks back at every point.
    pub looks_back: Option<i64>,
    /// The source noticed something in the query.
    pub warnings: Option<&'a str>,
    /// There is more than was answered.
    pub partial: Option<&'a str>,
    /// Some samples are no numbers.
    pub dropped: Option<&'a str>,
    pub window: Option<Window>,
}

impl<'a> Told<'a> {
    fn by(attributes: &'a Attributes) -> Self {
        let mut told = Self {
            window: Window::told(attributes),
            ..Self::default()
        };
        for (name, text) in attributes.iter() {
            let place = match name {
                "query" => &mut told.query,
                "warnings" => &mut told.warnings,
                "partial" => &mut told.partial,
                "dropped" => &mut told.dropped,
                "looksBack" => {
                    told.looks_back = text.parse().ok();
                    continue;
                }
                _ => continue,
            };
            *place = Some(text);
        }
        told
    }
}

/// Counted over the values, from the first to the last.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measured {
    /// Values of any kind.
    pub places: usize,
    pub nulls: usize,
    pub infinite: usize,
    /// What was measured: finite, and not `null`. All below is of these.
    pub finite: usize,
    pub first: Option<Point>,
    pub last: Option<Point>,
    /// How often the next is greater, or less.
    pub rises: usize,
    pub falls: usize,
    pub has_negative: bool,
    /// Values unlike both of their neighbours.
    pub lone: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Among the values.
    pub place: usize,
    pub value: f64,
}

pub fn of(pair: &MetricSetPair) -> Pair<Side<'_>> {
    let times = pair.timestamps.as_ref();
    let nulls = pair.nulls.as_ref();
    let side = |name, values, timestamps, nulls| Side {
        name,
        values,
        timestamps,
        told: pair.attributes.get(name).map(Told::by).unwrap_or_default(),
        scope: pair.scopes.get(name),
        measured: Measured::of(values, nulls),
    };
    Pair {
        control: side(
            "control",
            &pair.values.control,
            times.map(|times| times.control.as_slice()),
            nulls.map_or(&[], |nulls| &nulls.control),
        ),
        experiment: side(
            "experiment",
            &pair.values.experiment,
            times.map(|times| times.experiment.as_slice()),
            nulls.map_or(&[], |nulls| &nulls.experiment),
        ),
    }
}

impl Side<'_> {
    pub fn start(&self) -> Option<i64> {
        self.scope.map(|scope| scope.start_time_millis)
    }

    pub fn step(&self) -> i64 {
        self.scope.map_or(0, |scope| scope.step_millis)
    }

    /// Those that are finite or missing.
    pub fn without_infinite(&self) -> Vec<f64> {
        let kept = self.values.iter().filter(|value| !value.is_infinite());
        kept.copied().collect()
    }
}

/// Of numbers.
const fn differ(a: f64, b: f64) -> bool {
    a < b || b < a
}

impl Measured {
    /// `nulls` are places, in order.
    fn of(values: &[f64], nulls: &[usize]) -> Self {
        let is_measured = |place: usize, value: f64| {
            value.is_finite() && (nulls.is_empty() || nulls.binary_search(&place).is_err())
        };
        if nulls.is_empty() && values.iter().fold(true, |all, v| all & v.is_finite()) {
            return Self::of_finite(values);
        }
        let measured = values.iter().copied().enumerate();
        let measured: Vec<Point> = measured
            .filter(|(place, value)| is_measured(*place, *value))
            .map(|(place, value)| Point { place, value })
            .collect();
        let finite: Vec<f64> = measured.iter().map(|point| point.value).collect();
        Self {
            places: values.len(),
            nulls: nulls.len(),
            infinite: values.iter().filter(|value| value.is_infinite()).count(),
            first: measured.first().copied(),
            last: measured.last().copied(),
            ..Self::of_finite(&finite)
        }
    }

    /// Loops without a branch: this is done for every judgement.
    fn of_finite(values: &[f64]) -> Self {
        let count = |is: fn(f64, f64) -> bool| -> usize {
            let pairs = values.iter().zip(values.iter().skip(1));
            pairs.map(|(a, b)| usize::from(is(*a, *b))).sum()
        };
        let inner = values
            .iter()
            .zip(values.iter().skip(1).zip(values.iter().skip(2)));
        let point = |place: usize| {
            let value = *values.get(place)?;
            Some(Point { place, value })
        };
        Self {
            places: values.len(),
            nulls: 0,
            infinite: 0,
            finite: values.len(),
            first: point(0),
            last: point(values.len().wrapping_sub(1)),
            rises: count(|a, b| a < b),
            falls: count(|a, b| b < a),
            has_negative: values.iter().copied().fold(0.0, f64::min) < 0.0,
            lone: inner
                .map(|(a, (b, c))| usize::from(differ(*a, *b) & differ(*b, *c)))
                .sum(),
        }
    }

    pub const fn has_data(&self) -> bool {
        self.finite + self.infinite > 0
    }

    /// Of equal values.
    pub const fn runs(&self) -> usize {
        if self.finite == 0 {
            0
        } else {
            self.rises + self.falls + 1
        }
    }

    pub const fn only_rises(&self) -> bool {
        0 < self.rises && self.falls == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_is_counted_once() {
        let nan = f64::NAN;
        let values = [0.0, 1.0, 1.0, nan, 2.0, f64::INFINITY, 2.0, 3.0, -1.0];
        let counted = Measured::of(&values, &[0]);
        let point = |place, value| Some(Point { place, value });
        let expected = Measured {
            places: 9,
            nulls: 1,
            infinite: 1,
            finite: 6,
            first: point(1, 1.0),
            last: point(8, -1.0),
            rises: 2,
            falls: 1,
            has_negative: true,
            lone: 1,
        };
        assert_eq!(counted, expected);
        assert_eq!((counted.runs(), counted.only_rises()), (4, false));
        assert!(Measured::of(&[1.0, 1.0, 4.0], &[]).only_rises());
        assert!(!Measured::of(&[nan, f64::NEG_INFINITY], &[]).only_rises());
    }
}
