//! Shares with their intervals, and places in a list.

use crate::canary::calibration::Rate;

/// Wilson's interval of 95 %.
pub fn wilson(count: u32, of: u32) -> Rate {
    if of == 0 {
        return Rate {
            upper: 1.0,
            ..Rate::default()
        };
    }
    let (n, share) = (f64::from(of), f64::from(count) / f64::from(of));
    let all = 1.0 + 3.84 / n;
    let centre = (share + 1.92 / n) / all;
    let half = 1.96 / all * (share * (1.0 - share) / n + 0.96 / (n * n)).sqrt();
    Rate {
        count,
        of,
        share,
        lower: (centre - half).max(0.0),
        upper: (centre + half).min(1.0),
    }
}

/// Between the two that are nearest; none of an empty list. Numbers that are not finite are left out.
pub fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut values: Vec<f64> = values
        .iter()
        .copied()
        .filter(|value| value.is_finite())
        .collect();
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    #[expect(
        clippy::cast_precision_loss,
        reason = "there are a thousand windows at most"
    )]
    let place = share * last as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in the list"
    )]
    let below = (place.floor() as usize).min(last);
    let above = (below + 1).min(last);
    let part = place - place.floor();
    Some(values[below] + (values[above] - values[below]) * part)
}

pub fn median(values: &[f64]) -> Option<f64> {
    quantile(values, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "rounded to a tenth")]
    fn the_interval_is_that_of_the_examples() {
        let told = |count, of| {
            let Rate {
                share,
                lower,
                upper,
                ..
            } = wilson(count, of);
            [share, lower, upper].map(|share| (share * 1000.0).round() / 10.0)
        };
        assert_eq!(told(3, 200), [1.5, 0.5, 4.3]);
        assert_eq!(told(121, 200)[1..], [53.6, 67.0]);
        assert_eq!(told(0, 60), [0.0, 0.0, 6.0]);
        assert_eq!(told(60, 60), [100.0, 94.0, 100.0]);
        let Rate { lower, upper, .. } = wilson(0, 0);
        assert_eq!((lower, upper), (0.0, 1.0));
    }

    #[test]
    fn a_quantile_lies_between_its_neighbours() {
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[f64::NAN], 0.5), None);
        assert_eq!(median(&[3.0, 1.0, f64::INFINITY, 2.0]), Some(2.0));
        assert_eq!(quantile(&[0.0, 10.0], 0.25), Some(2.5));
        assert_eq!(quantile(&[0.0, 10.0], 1.0), Some(10.0));
    }
}
