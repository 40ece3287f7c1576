//! By how much the experiment is shifted against the control: a confidence interval by inversion of
//! the rank-sum test (Bauer 1972), and an estimate in the manner of Hodges and Lehmann (1963).

use super::brent::{Point, root};
use super::rank_sum::{RankSum, order_key};
use crate::canary::Pair;

/// How much greater the experiment is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    pub lower: f64,
    pub upper: f64,
    pub estimate: f64,
}

/// Lower quantile of the standard normal for an interval at 98 %; the reference's bits, which are
/// not those of the closest double.
pub const QUANTILE: f64 = -2.326_347_874_040_841;

/// The shift of unsorted series without NaN, and its interval at the level of `quantile`. `None`
/// when a side is empty, or all values are tied at an end of the search.
pub fn shift_between(pair: Pair<&[f64]>, quantile: f64) -> Option<Shift> {
    if pair.control.is_empty() || pair.experiment.is_empty() {
        return None;
    }
    let keys = pair.map(|values| {
        let mut keys: Vec<u64> = values.iter().map(|value| order_key(*value)).collect();
        keys.sort_unstable();
        keys
    });
    let mut rank_sum = RankSum::default();
    rank_sum.prepare(&keys.experiment, &keys.control);
    let range = search_range(pair.map(extremes));
    invert(|shift| rank_sum.statistic(shift), range, quantile)
}

/// Least and greatest value; of equal ones (0.0 and -0.0) the first in the series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extremes {
    pub least: f64,
    pub greatest: f64,
}

pub fn extremes(values: &[f64]) -> Extremes {
    let start = Extremes {
        least: values.first().copied().unwrap_or(f64::NAN),
        greatest: values.first().copied().unwrap_or(f64::NAN),
    };
    values.iter().fold(start, |found, value| Extremes {
        least: if *value < found.least {
            *value
        } else {
            found.least
        },
        greatest: if *value > found.greatest {
            *value
        } else {
            found.greatest
        },
    })
}

/// The smallest and the largest shift that can be.
pub fn search_range(pair: Pair<Extremes>) -> (f64, f64) {
    (
        pair.experiment.least - pair.control.greatest,
        pair.experiment.greatest - pair.control.least,
    )
}

/// Inverts a statistic that does not increase with the shift. `None` when the statistic gives up.
pub fn invert(
    mut statistic: impl FnMut(f64) -> Option<f64>,
    (low, high): (f64, f64),
    quantile: f64,
) -> Option<Shift> {
    // All three searches start from the same two values.
    let at_low = statistic(low)?;
    let at_high = statistic(high)?;
    let mut find = |wanted: f64| {
        let ends = (
            Point {
                at: low,
                value: at_low - wanted,
            },
            Point {
                at: high,
                value: at_high - wanted,
            },
        );
        root(ends.0, ends.1, |shift| Some(statistic(shift)? - wanted))
    };
    let mut limit = |wanted: f64| {
        if at_low - wanted <= 0.0 {
            Some(low)
        } else if at_high - wanted >= 0.0 {
            Some(high)
        } else {
            find(wanted)
        }
    };
    Some(Shift {
        lower: limit(-quantile)?,
        upper: limit(quantile)?,
        estimate: find(0.0)?,
    })
}
