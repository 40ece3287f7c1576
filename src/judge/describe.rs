//! Descriptive statistics, in the order of operations that decides the last bit.

use crate::canary::{CanaryJudgeStats, Pair};

/// Statistics of both sides, in series order; all zero for a side without values.
pub fn describe(pair: Pair<&[f64]>) -> Pair<CanaryJudgeStats> {
    // The sums must be taken in series order, so each is one chain of dependent additions; two
    // chains at once take the time of one.
    let common = pair.control.len().min(pair.experiment.len());
    let mut total = [0.0; 2];
    let mut least = [f64::NAN; 2];
    let mut greatest = [f64::NAN; 2];
    each(pair, common, |side, value| {
        total[side] += value;
        // Of equal values (0.0 and -0.0) the last one stays, and NaN never does.
        least[side] = if value.is_nan() || least[side] < value {
            least[side]
        } else {
            value
        };
        greatest[side] = if value.is_nan() || greatest[side] > value {
            greatest[side]
        } else {
            value
        };
    });
    let count = [pair.control.len(), pair.experiment.len()];
    let first = [
        total[0] / as_double(count[0]),
        total[1] / as_double(count[1]),
    ];
    let mut correction = [0.0; 2];
    each(pair, common, |side, value| {
        correction[side] += value - first[side];
    });
    let mean = [
        first[0] + correction[0] / as_double(count[0]),
        first[1] + correction[1] / as_double(count[1]),
    ];
    let mut squares = [0.0; 2];
    let mut deviations = [0.0; 2];
    each(pair, common, |side, value| {
        let deviation = value - mean[side];
        squares[side] += deviation * deviation;
        deviations[side] += deviation;
    });
    let stats = |side: usize| {
        let n = as_double(count[side]);
        match count[side] {
            0 => CanaryJudgeStats::default(),
            len => CanaryJudgeStats {
                count: len as u64,
                mean: mean[side],
                min: least[side],
                max: greatest[side],
                std: if len == 1 {
                    0.0
                } else {
                    let spread = squares[side] - deviations[side] * deviations[side] / n;
                    (spread / (n - 1.0)).sqrt()
                },
            },
        }
    };
    Pair {
        control: stats(0),
        experiment: stats(1),
    }
}

/// The mean of a series in two passes; 0.0 of nothing.
pub fn mean(values: &[f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let n = as_double(values.len());
    let first = values.iter().fold(0.0, |sum, value| sum + value) / n;
    first + values.iter().fold(0.0, |sum, value| sum + (value - first)) / n
}

/// The value below which `percent` of the values lie, by estimator R-7 of Hyndman and Fan (1996).
///
/// `sorted` has no NaN. `None` outside 0 < `percent` <= 100; NaN of nothing.
pub fn percentile(sorted: &[f64], percent: f64) -> Option<f64> {
    if !(0.0 < percent && percent <= 100.0) {
        return None;
    }
    let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else {
        return Some(f64::NAN);
    };
    // Positions count from 1: the addition rounds, and the reference's last bit depends on it.
    let position = 1.0 + (as_double(sorted.len()) - 1.0) * (percent / 100.0);
    if sorted.len() == 1 || position < 1.0 {
        return Some(*first);
    }
    if position >= as_double(sorted.len()) {
        return Some(*last);
    }
    let below = position.floor();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "1 <= below < len"
    )]
    let index = below as usize;
    let (low, high) = (sorted[index - 1], sorted[index]);
    Some(low + (position - below) * (high - low))
}

/// Calls `step` with side (0 control, 1 experiment) and value, both sides in step.
fn each(pair: Pair<&[f64]>, common: usize, mut step: impl FnMut(usize, f64)) {
    let (control, control_rest) = pair.control.split_at(common);
    let (experiment, experiment_rest) = pair.experiment.split_at(common);
    for (control, experiment) in control.iter().zip(experiment) {
        step(0, *control);
        step(1, *experiment);
    }
    for control in control_rest {
        step(0, *control);
    }
    for experiment in experiment_rest {
        step(1, *experiment);
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "no series has 2^53 points, below that it is exact"
)]
fn as_double(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(values: &[f64]) -> CanaryJudgeStats {
        let pair = Pair {
            control: values,
            experiment: &[],
        };
        describe(pair).control
    }

    #[test]
    fn statistics_are_those_of_the_reference() {
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let series = |a: usize, b: usize, m: usize| -> Vec<f64> {
            (0..60).map(|i| ((i * a + b) % m) as f64 / 10.0).collect()
        };
        let sides = Pair {
            control: series(53, 7, 97),
            experiment: series(37, 11, 101),
        };
        let pair = describe(sides.as_ref().map(Vec::as_slice));
        let stats = |mean, min, max, std| CanaryJudgeStats {
            count: 60,
            mean,
            min,
            std,
            max,
        };
        assert_eq!(
            pair.experiment,
            stats(5.041_666_666_666_667, 0.0, 10.0, 2.938_308_729_880_233_3)
        );
        assert_eq!(
            pair.control,
            stats(4.598_333_333_333_334, 0.0, 9.6, 2.808_370_760_366_875)
        );
    }

    #[test]
    fn nothing_is_all_zero_and_one_value_has_no_spread() {
        assert_eq!(one(&[]), CanaryJudgeStats::default());
        assert_eq!(one(&[7.0]).std.to_bits(), 0);
        assert_eq!(one(&[7.0]).mean.to_bits(), 7.0_f64.to_bits());
    }

    #[test]
    fn of_two_zeros_the_last_one_is_shown() {
        assert!(one(&[0.0, -0.0]).min.is_sign_negative());
        assert!(one(&[-0.0, 0.0]).min.is_sign_positive());
        assert!(one(&[0.0, -0.0]).max.is_sign_negative());
        assert!(one(&[-0.0, 0.0]).max.is_sign_positive());
    }

    #[test]
    fn extremes_pass_over_nan_and_means_do_not() {
        let stats = one(&[f64::NAN, 2.0, f64::NAN, 1.0]);
        assert_eq!((stats.min, stats.max, stats.count), (1.0, 2.0, 4));
        assert!(stats.mean.is_nan() && stats.std.is_nan());
    }

    #[test]
    fn percentiles_lie_between_neighbours() {
        let cases = [
            (&[1.0, 2.0, 3.0, 4.0, 5.0][..], 25.0, Some(2.0)),
            (&[1.0, 2.0], 50.0, Some(1.5)),
            (&[1.0, 2.0], 100.0, Some(2.0)),
            (&[7.0], 1.0, Some(7.0)),
            (&[1.0, 2.0], 0.0, None),
            (&[1.0, 2.0], 101.0, None),
        ];
        for (sorted, percent, expected) in cases {
            assert_eq!(
                percentile(sorted, percent),
                expected,
                "{percent} of {sorted:?}"
            );
        }
        assert!(percentile(&[], 50.0).is_some_and(f64::is_nan));
    }
}
