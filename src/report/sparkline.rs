//! Both series of a metric as two small lines on one scale.

use std::fmt::Write;

use super::series::Series;
use crate::canary::Pair;

/// Of the drawing; the page gives it its real size.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 100.0;

/// Room for the width of a line at the edges.
const MARGIN: f64 = 4.0;

/// A side is drawn in so many parts, each with its least and its greatest value.
const PARTS: usize = 60;

/// The paths of both sides in a box of 600 × 100.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sparkline {
    pub control: String,
    pub experiment: String,
}

/// `None` when neither side has a value. Sides with different windows are laid over each other.
pub fn draw(sides: &Pair<Series>) -> Option<Sparkline> {
    let values = || sides.control.finite().chain(sides.experiment.finite());
    let (low, high) = values().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    if high < low {
        return None;
    }
    let length = |side: &Series| match (side.times.first(), side.times.last()) {
        (Some(first), Some(last)) => last.saturating_sub(*first),
        _ => 0,
    };
    let frame = Frame {
        low,
        high,
        length: length(&sides.control).max(length(&sides.experiment)).max(1),
    };
    Some(Sparkline {
        control: frame.path(&sides.control),
        experiment: frame.path(&sides.experiment),
    })
}

struct Frame {
    low: f64,
    high: f64,
    length: i64,
}

impl Frame {
    fn path(&self, side: &Series) -> String {
        let shown = side.with_gaps();
        let start = shown.start().unwrap_or(0);
        let points = thin(&shown);
        let mut path = String::new();
        // Relative coordinates are shorter.
        let mut last: Option<(i64, i64)> = None;
        let mut is_down = false;
        for (index, (time, value)) in points.iter().enumerate() {
            if value.is_nan() {
                is_down = false;
                continue;
            }
            let point = (self.x(time - start), self.y(*value));
            let _ = match (last, is_down) {
                (None, _) => write!(path, "M{} {}", point.0, point.1),
                (Some(last), true) => write!(path, "l{} {}", point.0 - last.0, point.1 - last.1),
                (Some(last), false) => write!(path, "m{} {}", point.0 - last.0, point.1 - last.1),
            };
            let is_alone = !is_down && points.get(index + 1).is_none_or(|next| next.1.is_nan());
            if is_alone {
                // A line of no length with round ends is a dot.
                path.push_str("h0");
            }
            last = Some(point);
            is_down = true;
        }
        path
    }

    #[expect(clippy::cast_precision_loss, reason = "a drawing")]
    fn x(&self, offset: i64) -> i64 {
        whole(MARGIN + (WIDTH - 2.0 * MARGIN) * offset as f64 / self.length as f64)
    }

    fn y(&self, value: f64) -> i64 {
        // Halves, so that the span of large numbers does not overflow.
        let span = self.high / 2.0 - self.low / 2.0;
        let part = if span > 0.0 {
            (value / 2.0 - self.low / 2.0) / span
        } else {
            0.5
        };
        whole(HEIGHT - MARGIN - (HEIGHT - 2.0 * MARGIN) * part)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "within the drawing")]
fn whole(value: f64) -> i64 {
    value.round() as i64
}

/// At most two points a part, the extremes, in their order; a part with a break keeps it.
fn thin(series: &Series) -> Vec<(i64, f64)> {
    let points: Vec<(i64, f64)> = series
        .times
        .iter()
        .copied()
        .zip(series.values.iter().copied())
        .map(|(time, value)| (time, if value.is_finite() { value } else { f64::NAN }))
        .collect();
    if points.len() <= 2 * PARTS {
        return points;
    }
    let size = points.len().div_ceil(PARTS);
    points.chunks(size).flat_map(extremes).collect()
}

fn extremes(part: &[(i64, f64)]) -> Vec<(i64, f64)> {
    let mut finite: Vec<(i64, f64)> = part
        .iter()
        .copied()
        .filter(|(_, value)| !value.is_nan())
        .collect();
    finite.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut kept: Vec<(i64, f64)> = match &finite[..] {
        [] => Vec::new(),
        [only] => vec![*only],
        [least, .., greatest] => vec![*least, *greatest],
    };
    kept.extend(part.iter().copied().find(|(_, value)| value.is_nan()));
    kept.sort_by_key(|(time, _)| *time);
    kept
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

    fn both(control: &[f64], experiment: &[f64]) -> Pair<Series> {
        Pair {
            control: side(control),
            experiment: side(experiment),
        }
    }

    #[test]
    fn lines_break_where_values_are_missing() {
        let nan = f64::NAN;
        let cases = [
            // control              its path
            (&[0.0, 1.0][..], "M4 96l592 -92"),
            (&[0.0, nan, 1.0], "M4 96h0m592 -92h0"),
            (&[0.0, 1.0, nan, nan, 1.0], "M4 96l148 -92m444 0h0"),
            (&[], ""),
        ];
        for (control, expected) in cases {
            let drawn = draw(&both(control, &[0.0, 1.0])).unwrap();
            assert_eq!(drawn.control, expected, "{control:?}");
        }
        assert_eq!(draw(&both(&[nan], &[])), None);
    }

    #[test]
    fn what_is_constant_or_huge_is_drawn_in_the_box() {
        for values in [&[5.0, 5.0][..], &[f64::MAX, f64::MIN]] {
            let drawn = draw(&both(values, values)).unwrap();
            assert!(!drawn.control.contains("NaN"), "{}", drawn.control);
        }
        assert_eq!(
            draw(&both(&[5.0, 5.0], &[])).unwrap().control,
            "M4 50l592 0"
        );
    }

    #[test]
    fn many_points_are_thinned_to_their_extremes() {
        let mut values = vec![1.0; 1_440];
        values[700] = 9.0;
        let points = thin(&side(&values));
        assert!(points.len() <= 120, "{}", points.len());
        assert!(points.contains(&(700, 9.0)));
    }
}
