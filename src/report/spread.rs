//! How the values of both sides are spread: two histograms on one scale, the control above the
//! line, the experiment below.

use std::fmt::Write;

use super::series::Series;
use crate::canary::Pair;
use crate::canary::number::together;

const BINS: usize = 36;
const WIDTH: usize = 360;
const HALF: f64 = 40.0;

/// Paths in a box of 360 × 84, its line at 42.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spread {
    pub control: String,
    pub experiment: String,
    pub low: String,
    pub high: String,
    /// Where the medians lie.
    pub control_median: Option<usize>,
    pub experiment_median: Option<usize>,
}

pub fn draw(sides: &Pair<Series>) -> Option<Spread> {
    let sorted = sides.as_ref().map(|side| {
        let mut values: Vec<f64> = side.finite().collect();
        values.sort_by(f64::total_cmp);
        values
    });
    let ends = |values: &[f64]| Some((*values.first()?, *values.last()?));
    let (low, high) = match (ends(&sorted.control), ends(&sorted.experiment)) {
        (None, None) => return None,
        (Some(one), None) | (None, Some(one)) => one,
        (Some(a), Some(b)) => (a.0.min(b.0), a.1.max(b.1)),
    };
    let scale = Scale { low, high };
    let counts = sorted.as_ref().map(|values| scale.count(values));
    let most = counts
        .control
        .iter()
        .chain(&counts.experiment)
        .copied()
        .fold(0.0, f64::max);
    let [low, high] = together([low, high]);
    let median = |values: &[f64]| Some(scale.place(*values.get(values.len() / 2)?));
    Some(Spread {
        control: bars(&counts.control, most, -1.0),
        experiment: bars(&counts.experiment, most, 1.0),
        low,
        high,
        control_median: median(&sorted.control),
        experiment_median: median(&sorted.experiment),
    })
}

struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    /// From 0 to 1.
    fn part(&self, value: f64) -> f64 {
        let span = self.high / 2.0 - self.low / 2.0;
        if span > 0.0 {
            (value / 2.0 - self.low / 2.0) / span
        } else {
            0.5
        }
    }

    fn bin(&self, value: f64) -> usize {
        index(self.part(value), BINS).min(BINS - 1)
    }

    fn place(&self, value: f64) -> usize {
        index(self.part(value), WIDTH)
    }

    /// What part of the values lies in each bin, so that sides of different size compare.
    #[expect(clippy::cast_precision_loss, reason = "a drawing")]
    fn count(&self, values: &[f64]) -> [f64; BINS] {
        let mut counts = [0.0; BINS];
        for value in values {
            counts[self.bin(*value)] += 1.0 / values.len() as f64;
        }
        counts
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a place in a small drawing"
)]
fn index(part: f64, size: usize) -> usize {
    (part * size as f64) as usize
}

fn bars(counts: &[f64; BINS], most: f64, way: f64) -> String {
    let width = WIDTH / BINS;
    let mut path = String::new();
    for (bin, count) in counts.iter().enumerate().filter(|(_, count)| 0.0 < **count) {
        let height = (HALF * count / most).max(1.0) * way;
        let _ = write!(
            path,
            "M{} 42v{height:.1}h{}v{:.1}z",
            bin * width,
            width - 1,
            -height
        );
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(values: &[f64]) -> Series {
        Series {
            times: (0..).take(values.len()).collect(),
            values: values.to_vec(),
            step: 1,
        }
    }

    #[test]
    fn sides_share_a_scale_whatever_their_size() {
        let spread = draw(&Pair {
            control: side(&[0.0, 0.0]),
            experiment: side(&[1.0]),
        })
        .unwrap();
        assert_eq!(spread.control, "M0 42v-40.0h9v40.0z");
        assert_eq!(spread.experiment, "M350 42v40.0h9v-40.0z");
        assert_eq!(
            (spread.control_median, spread.experiment_median),
            (Some(0), Some(360))
        );
        assert_eq!((spread.low.as_str(), spread.high.as_str()), ("0", "1"));
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        let empty = Pair::<Series>::default();
        assert_eq!(draw(&empty), None);
    }
}
