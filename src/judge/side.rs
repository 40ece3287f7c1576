//! What one side of a metric holds as it came, before it is cleaned.

use indexmap::IndexMap;

use crate::canary::{MetricSetPair, MetricSetScope, Pair, Window};

pub struct Side<'a> {
    /// `control` or `experiment`.
    pub name: &'static str,
    values: &'a [f64],
    /// Of the values; those beyond are missing at the end.
    pub timestamps: Option<&'a [i64]>,
    attributes: Option<&'a IndexMap<String, String>>,
    scope: Option<&'a MetricSetScope>,
    pub measured: Measured,
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
    /// Between the first and the last run of equal ones: the runs of a single value.
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
        attributes: pair.attributes.get(name),
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
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes?.get(name).map(String::as_str)
    }

    pub fn query(&self) -> Option<&str> {
        self.attribute("query")
    }

    pub fn window(&self) -> Option<Window> {
        Window::told(self.attributes?)
    }

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

impl Measured {
    /// `nulls` are places, in order.
    fn of(values: &[f64], nulls: &[usize]) -> Self {
        let mut counted = Self {
            places: values.len(),
            ..Self::default()
        };
        let mut nulls = nulls.iter().copied().peekable();
        let mut before = f64::NAN;
        let mut run = 0_usize;
        for (place, value) in values.iter().copied().enumerate() {
            if nulls.next_if_eq(&place).is_some() {
                counted.nulls += 1;
                continue;
            }
            if !value.is_finite() {
                counted.infinite += usize::from(value.is_infinite());
                continue;
            }
            let rises = before < value;
            let falls = value < before;
            if rises || falls {
                // The first run may have begun, and the last may end, outside of the window.
                let is_inner = counted.rises + counted.falls > 0;
                counted.lone += usize::from(is_inner && run == 1);
                run = 0;
            }
            counted.rises += usize::from(rises);
            counted.falls += usize::from(falls);
            counted.has_negative |= value < 0.0;
            counted.finite += 1;
            let point = Point { place, value };
            counted.first.get_or_insert(point);
            counted.last = Some(point);
            before = value;
            run += 1;
        }
        counted
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
