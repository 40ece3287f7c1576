//! What happens to a series before it is judged: NaN handling and outlier removal.

use crate::judge::describe::percentile;
use crate::judge::policy::NanStrategy;

/// Drops NaN or makes it 0.0; infinities stay. `kept` is overwritten.
pub fn handle_nan(values: &[f64], strategy: NanStrategy, kept: &mut Vec<f64>) {
    kept.clear();
    match strategy {
        NanStrategy::Remove => kept.extend(values.iter().filter(|value| !value.is_nan())),
        NanStrategy::Replace => {
            kept.extend(values.iter().map(|v| if v.is_nan() { 0.0 } else { *v }));
        }
    }
}

/// The range outside of which a value is an outlier.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fences {
    pub lower: f64,
    pub upper: f64,
}

impl Fences {
    /// Tukey's fences at `factor` interquartile ranges, but never inside the first and the last
    /// percentile. `sorted` has no NaN.
    pub fn of(sorted: &[f64], factor: f64) -> Self {
        let [p1, p25, p75, p99] =
            [1.0, 25.0, 75.0, 99.0].map(|percent| percentile(sorted, percent).unwrap_or(f64::NAN));
        let range = p75 - p25;
        let (lower, upper) = (p25 - factor * range, p75 + factor * range);
        Self {
            lower: if lower < p1 || lower.is_nan() {
                lower
            } else {
                p1
            },
            upper: if upper > p99 || upper.is_nan() {
                upper
            } else {
                p99
            },
        }
    }

    /// Where infinities leave no number there is no fence, and nothing lies outside of it.
    pub fn contain(self, value: f64) -> bool {
        !(value > self.upper || value < self.lower)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_is_removed_or_replaced_and_infinities_stay() {
        let values = [1.0, f64::NAN, f64::INFINITY];
        let mut kept = vec![9.0];
        handle_nan(&values, NanStrategy::Remove, &mut kept);
        assert_eq!(kept, [1.0, f64::INFINITY]);
        handle_nan(&values, NanStrategy::Replace, &mut kept);
        assert_eq!(kept, [1.0, 0.0, f64::INFINITY]);
    }

    #[test]
    fn fences_remove_what_lies_outside() {
        let cases = [
            (
                &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 100.0][..],
                &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0][..],
            ),
            (
                &[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 50.0],
                &[1.0; 9],
            ),
            (&[5.0, 50.0], &[5.0, 50.0]),
            (&[1.0, 2.0, 1000.0], &[1.0, 2.0, 1000.0]),
            (&[], &[]),
        ];
        for (sorted, expected) in cases {
            let fences = Fences::of(sorted, 3.0);
            let kept: Vec<f64> = sorted
                .iter()
                .copied()
                .filter(|v| fences.contain(*v))
                .collect();
            assert_eq!(kept, expected, "{sorted:?}");
        }
    }
}
