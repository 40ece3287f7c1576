//! How large a difference is, whatever its significance.

use super::rank_sum::twice_below;
use crate::canary::Pair;

/// Mean of the experiment over mean of the control; NaN when one of them is 0.
pub fn mean_ratio(means: Pair<f64>) -> f64 {
    if means.control == 0.0 || means.experiment == 0.0 {
        f64::NAN
    } else {
        means.experiment / means.control
    }
}

/// Common language effect size (`McGraw` and Wong 1992) of sorted keys: the probability that a value
/// of the experiment is greater than one of the control, ties counting half. NaN without values.
#[expect(
    clippy::cast_precision_loss,
    reason = "no two series have 2^52 pairs, below that it is exact"
)]
pub fn cles(keys: Pair<&[u64]>) -> f64 {
    let pairs = keys.control.len() * keys.experiment.len();
    twice_below(keys.experiment, keys.control) as f64 / (2 * pairs) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::aca::rank_sum::order_key;

    #[test]
    fn a_mean_of_zero_has_no_ratio() {
        let ratio = |control, experiment| {
            mean_ratio(Pair {
                control,
                experiment,
            })
        };
        assert_eq!(ratio(2.0, 3.0).to_bits(), 1.5_f64.to_bits());
        assert!(ratio(0.0, 3.0).is_nan());
        assert!(ratio(3.0, -0.0).is_nan());
    }

    #[test]
    fn a_tie_is_half_a_win() {
        let cases = [
            (&[1.0, 2.0][..], &[3.0, 4.0][..], 1.0),
            (&[3.0, 4.0], &[1.0, 2.0], 0.0),
            (&[1.0, 2.0], &[2.0], 0.75),
            (&[3.0, 4.0, 4.0, 6.0], &[1.0, 2.0, 3.0, 4.0, 5.0], 0.275),
        ];
        for (control, experiment, expected) in cases {
            let keys = Pair {
                control,
                experiment,
            }
            .map(|values| values.iter().map(|v| order_key(*v)).collect::<Vec<_>>());
            let found = cles(keys.as_ref().map(Vec::as_slice));
            assert_eq!(
                found.to_bits(),
                f64::to_bits(expected),
                "{control:?} {experiment:?}"
            );
        }
    }
}
