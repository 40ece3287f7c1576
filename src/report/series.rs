//! One side of a pair as points in time.

use super::thin;
use crate::canary::{MetricSetPair, MetricSetScope, Pair};

/// Points farther apart than this many steps have a gap between them.
const GAP: f64 = 1.5;

/// Points of a sketch. Each minute of a day stays, with some gaps: the mean of extremes alone, which is what a
/// longer series has left, is not that of the series.
const SKETCHED: usize = 1_500;

/// Values at their times, in epoch milliseconds; NaN where the line breaks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    pub times: Vec<i64>,
    pub values: Vec<f64>,
    pub step: i64,
}

/// Both sides of a pair.
pub fn of(pair: &MetricSetPair) -> Pair<Series> {
    let side = |name: &str, values: &[f64], times: Option<&[i64]>| {
        let scope = pair.scopes.get(name).cloned().unwrap_or_default();
        match times {
            Some(times) if !times.is_empty() => Series::timed(times, values, scope.step_millis),
            _ => Series::regular(&scope, values),
        }
    };
    let times = pair.timestamps.as_ref();
    Pair {
        control: side(
            "control",
            &pair.values.control,
            times.map(|times| &times.control[..]),
        ),
        experiment: side(
            "experiment",
            &pair.values.experiment,
            times.map(|times| &times.experiment[..]),
        ),
    }
}

impl Series {
    /// Values beyond the last time only fill the window up.
    fn timed(times: &[i64], values: &[f64], step: i64) -> Self {
        let both = times.iter().zip(values);
        Self {
            times: both.clone().map(|(time, _)| *time).collect(),
            values: both.map(|(_, value)| *value).collect(),
            step,
        }
    }

    /// Without times, as Kayenta stores it: one value after the other from the start.
    fn regular(scope: &MetricSetScope, values: &[f64]) -> Self {
        let step = scope.step_millis.max(1);
        let times = (0..).map(|index: i64| {
            scope
                .start_time_millis
                .saturating_add(index.saturating_mul(step))
        });
        Self {
            times: times.take(values.len()).collect(),
            values: values.to_vec(),
            step,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.values.iter().all(|value| !value.is_finite())
    }

    pub fn finite(&self) -> impl Iterator<Item = f64> {
        self.values
            .iter()
            .copied()
            .filter(|value| value.is_finite())
    }

    pub fn start(&self) -> Option<i64> {
        self.times.first().copied()
    }

    /// With a NaN in every gap, so that no line is drawn over it.
    #[must_use]
    pub fn with_gaps(&self) -> Self {
        let mut shown = Self {
            step: self.step,
            ..Self::default()
        };
        for (time, value) in self.times.iter().zip(&self.values) {
            if let Some(last) = shown.times.last()
                && self.is_gap(*last, *time)
            {
                shown.times.push(last.saturating_add(self.step));
                shown.values.push(f64::NAN);
            }
            shown.times.push(*time);
            shown.values.push(*value);
        }
        shown
    }

    /// As many points as a chart can show; lines break where they did.
    #[must_use]
    pub fn thinned(&self) -> Self {
        self.at(&thin::kept(&self.values), self.step)
    }

    /// As few points as a small drawing needs; where its lines break is said by values alone.
    #[must_use]
    pub fn sketched(&self) -> Self {
        let whole = self.with_gaps();
        whole.at(&thin::at_most(&whole.values, SKETCHED), 0)
    }

    fn at(&self, kept: &[usize], step: i64) -> Self {
        Self {
            times: kept.iter().map(|at| self.times[*at]).collect(),
            values: kept.iter().map(|at| self.values[*at]).collect(),
            step,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "milliseconds between points")]
    fn is_gap(&self, last: i64, time: i64) -> bool {
        0 < self.step && (time - last) as f64 > GAP * self.step as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(step: i64, values: &[f64], times: Option<&[i64]>) -> MetricSetPair {
        let scope = MetricSetScope {
            start_time_millis: 1_000,
            step_millis: step,
            ..MetricSetScope::default()
        };
        let both = |values: &[f64]| Pair {
            control: values.to_vec(),
            experiment: values.to_vec(),
        };
        MetricSetPair {
            values: both(values),
            timestamps: times.map(|times| Pair {
                control: times.to_vec(),
                experiment: times.to_vec(),
            }),
            scopes: [
                ("control".to_owned(), scope.clone()),
                ("experiment".to_owned(), scope),
            ]
            .into(),
            ..MetricSetPair::default()
        }
    }

    #[test]
    fn times_are_those_of_the_source_or_follow_from_start_and_step() {
        let nan = f64::NAN;
        let cases = [
            // step  values               times                      expected times
            (10, &[1.0, 2.0][..], None, &[1_000, 1_010][..]),
            (10, &[1.0, 2.0], Some(&[1_000, 1_050][..]), &[1_000, 1_050]),
            (10, &[1.0, 2.0, nan], Some(&[1_000, 1_010]), &[1_000, 1_010]),
            (0, &[1.0, 2.0], None, &[1_000, 1_001]),
            (10, &[], None, &[]),
        ];
        for (step, values, times, expected) in cases {
            let series = of(&pair(step, values, times)).control;
            assert_eq!(series.times, expected, "{values:?} {times:?}");
        }
    }

    #[test]
    fn a_gap_breaks_the_line_once() {
        let series = of(&pair(10, &[1.0, 2.0, 3.0], Some(&[1_000, 1_010, 1_060]))).control;
        let shown = series.with_gaps();
        assert_eq!(shown.times, [1_000, 1_010, 1_020, 1_060]);
        assert!(shown.values[2].is_nan());
    }

    #[test]
    fn a_sketch_breaks_where_the_series_does_and_nowhere_else() {
        let mut values = vec![1.0; 5_000];
        values[2_000] = f64::NAN;
        let sketched = of(&pair(10, &values, None)).control.sketched();
        assert!(sketched.times.len() <= SKETCHED, "{}", sketched.times.len());
        let drawn = sketched.with_gaps();
        let breaks = drawn.values.iter().filter(|value| value.is_nan());
        assert_eq!(breaks.count(), 1);
    }
}
