//! Long series, thinned to what a picture can show: no extreme and no gap is lost.

/// More points than this are more than a screen has columns.
pub const MOST: usize = 4_000;

/// The places of the values that stay, in order: of every part the least and the greatest, and one
/// that is none, where the line breaks.
pub fn kept(values: &[f64]) -> Vec<usize> {
    at_most(values, MOST)
}

/// No more than that many of them, which are five at least.
pub fn at_most(values: &[f64], most: usize) -> Vec<usize> {
    if values.len() <= most {
        return (0..values.len()).collect();
    }
    // The first and the last, and three of every part.
    let part = values.len().div_ceil((most - 2) / 3);
    let mut kept = vec![0, values.len() - 1];
    for (number, part_of) in values.chunks(part).enumerate() {
        let places = || {
            part_of
                .iter()
                .enumerate()
                .filter(|(_, value)| value.is_finite())
        };
        let least = places().min_by(|(_, a), (_, b)| a.total_cmp(b));
        let greatest = places().max_by(|(_, a), (_, b)| a.total_cmp(b));
        let none = part_of.iter().position(|value| !value.is_finite());
        let places = [least.map(|(at, _)| at), greatest.map(|(at, _)| at), none];
        kept.extend(places.into_iter().flatten().map(|at| number * part + at));
    }
    kept.sort_unstable();
    kept.dedup();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_gaps_and_ends_stay() {
        let mut values = vec![1.0; 1_000_000];
        for (at, value) in [
            (7, 9.0),
            (500_001, -9.0),
            (700_000, f64::NAN),
            (999_999, 2.0),
        ] {
            values[at] = value;
        }
        let kept = kept(&values);
        assert!(kept.len() <= MOST, "{}", kept.len());
        assert!(kept.is_sorted());
        for at in [0, 7, 500_001, 700_000, 999_999] {
            assert!(kept.binary_search(&at).is_ok(), "{at}");
        }
    }

    #[test]
    fn no_more_stay_than_are_wanted() {
        let values: Vec<f64> = (0..10_000).map(f64::from).collect();
        for most in [5, 600, MOST] {
            let kept = at_most(&values, most);
            assert!(kept.len() <= most, "{} of {most}", kept.len());
            assert!(kept.contains(&9_999), "{most}");
        }
    }

    #[test]
    fn what_is_short_stays_as_it_is() {
        assert_eq!(kept(&[3.0, f64::NAN, 1.0]), [0, 1, 2]);
        assert_eq!(kept(&vec![0.0; MOST]).len(), MOST);
        assert!(kept(&[]).is_empty());
    }
}
