//! Both series of a metric as two small lines on one scale.

use std::fmt::Write;

use super::series::Series;
use crate::canary::Pair;

/// Of the drawing; the page gives it its real size.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 100.0;

/// Room for the width of a line at the edges.
const MARGIN: f64 = 4.0;

/// What has more than two points for each of so many parts is drawn by these.
const PARTS: usize = 60;

/// The paths of both sides in a box of 600 × 100.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sparkline {
    pub control: String,
    pub experiment: String,
    /// Of long series, whose lines are means: from the least to the greatest value. Else empty.
    pub bands: Pair<String>,
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
    let drawn = sides.as_ref().map(|side| frame.side(side));
    Some(Sparkline {
        control: drawn.control.line,
        experiment: drawn.experiment.line,
        bands: Pair {
            control: drawn.control.band,
            experiment: drawn.experiment.band,
        },
    })
}

struct Drawn {
    line: String,
    band: String,
}

/// Some neighbours of a long series as one.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Part {
    time: i64,
    low: f64,
    mean: f64,
    high: f64,
}

struct Frame {
    low: f64,
    high: f64,
    length: i64,
}

impl Frame {
    fn side(&self, side: &Series) -> Drawn {
        let shown = side.with_gaps();
        let start = shown.start().unwrap_or(0);
        if shown.values.len() <= 2 * PARTS {
            let points = shown.times.iter().zip(&shown.values);
            let points = points.map(|(time, value)| (*time, finite(*value)));
            return Drawn {
                line: self.line(&points.collect::<Vec<_>>(), start),
                band: String::new(),
            };
        }
        let parts = parts(&shown);
        let means = parts.iter().map(|part| match part {
            Some(part) => (part.time, Some(part.mean)),
            None => (start, None),
        });
        let runs = parts.split(Option::is_none);
        Drawn {
            line: self.line(&means.collect::<Vec<_>>(), start),
            band: runs.map(|run| self.band(run, start)).collect(),
        }
    }

    /// It breaks where there is no value.
    fn line(&self, points: &[(i64, Option<f64>)], start: i64) -> String {
        let mut path = String::new();
        // Relative coordinates are shorter.
        let mut last: Option<(i64, i64)> = None;
        let mut is_down = false;
        for (index, (time, value)) in points.iter().enumerate() {
            let Some(value) = value else {
                is_down = false;
                continue;
            };
            let point = (self.x(time - start), self.y(*value));
            let _ = match (last, is_down) {
                (None, _) => write!(path, "M{} {}", point.0, point.1),
                (Some(last), true) => write!(path, "l{} {}", point.0 - last.0, point.1 - last.1),
                (Some(last), false) => write!(path, "m{} {}", point.0 - last.0, point.1 - last.1),
            };
            let next = points.get(index + 1).and_then(|(_, value)| *value);
            if !is_down && next.is_none() {
                // A line of no length with round ends is a dot.
                path.push_str("h0");
            }
            last = Some(point);
            is_down = true;
        }
        path
    }

    /// Along the greatest values, and back along the least.
    fn band(&self, run: &[Option<Part>], start: i64) -> String {
        let run: Vec<Part> = run.iter().flatten().copied().collect();
        let there = run.iter().map(|part| (part.time, part.high));
        let back = run.iter().rev().map(|part| (part.time, part.low));
        let mut path = String::new();
        for (time, value) in there.chain(back) {
            let way = if path.is_empty() { 'M' } else { 'L' };
            let _ = write!(path, "{way}{} {}", self.x(time - start), self.y(value));
        }
        if !path.is_empty() {
            path.push('z');
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

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// None where the line breaks: before or after the part in which it does.
fn parts(series: &Series) -> Vec<Option<Part>> {
    let points = series
        .times
        .iter()
        .copied()
        .zip(series.values.iter().copied());
    let points: Vec<(i64, f64)> = points.collect();
    let size = points.len().div_ceil(PARTS);
    let parts = points.chunks(size).flat_map(|points| {
        let gap = points.iter().position(|(_, value)| !value.is_finite());
        let is_early = gap.is_some_and(|gap| 2 * gap < points.len());
        let [before, after] = [is_early, gap.is_some() && !is_early];
        let none = |breaks: bool| breaks.then_some(None);
        [none(before), part(points).map(Some), none(after)]
    });
    parts.flatten().collect()
}

#[expect(clippy::cast_precision_loss, reason = "few points")]
fn part(points: &[(i64, f64)]) -> Option<Part> {
    let finite = points.iter().filter(|(_, value)| value.is_finite());
    let finite: Vec<&(i64, f64)> = finite.collect();
    let values = || finite.iter().map(|(_, value)| *value);
    Some(Part {
        time: finite.get(finite.len() / 2)?.0,
        low: values().fold(f64::INFINITY, f64::min),
        // Shares, so that the sum of large numbers does not overflow.
        mean: values().map(|value| value / finite.len() as f64).sum(),
        high: values().fold(f64::NEG_INFINITY, f64::max),
    })
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
    fn many_points_are_a_line_of_means_in_a_band() {
        let mut values: Vec<f64> = (0..1_440).map(|at| f64::from(at % 2)).collect();
        values[700] = 9.0;
        let parts = parts(&side(&values));
        assert_eq!(parts.len(), 60);
        let thousandths = |value: f64| (value * 1_000.0).round();
        let of = |at: usize| {
            let part = parts[at]?;
            Some((part.time, part.low, thousandths(part.mean), part.high))
        };
        assert_eq!(of(0), Some((12, 0.0, 500.0, 1.0)));
        assert_eq!(of(29), Some((708, 0.0, 875.0, 9.0)));

        let drawn = draw(&both(&values, &[1.0])).unwrap();
        assert!(drawn.control.starts_with("M9 91l"), "{}", drawn.control);
        assert!(
            drawn.bands.control.starts_with("M9 86L"),
            "{}",
            drawn.bands.control
        );
        assert!(drawn.bands.control.contains(" 4L") && drawn.bands.control.ends_with("L9 96z"));
        assert_eq!(drawn.bands.experiment, "");
    }

    #[test]
    fn a_gap_in_a_part_breaks_the_line_and_the_band() {
        let mut values = vec![1.0; 1_440];
        // What is missing early in its part, the eleventh, breaks before it, else after it.
        for (at, gap) in [(241, 10), (262, 11)] {
            values[at] = f64::NAN;
            let found = parts(&side(&values));
            let gaps = found.iter().enumerate().filter(|(_, part)| part.is_none());
            assert_eq!(gaps.map(|(at, _)| at).collect::<Vec<_>>(), [gap], "{at}");
            let drawn = draw(&both(&values, &[])).unwrap();
            assert_eq!(drawn.bands.control.matches('M').count(), 2, "{at}");
            assert_eq!(drawn.control.matches('m').count(), 1, "{at}");
            values[at] = 1.0;
        }
    }

    #[test]
    fn large_numbers_have_a_mean() {
        let found = part(&[(0, f64::MAX), (1, f64::MAX)]).unwrap();
        assert!(found.mean.is_finite());
        assert_eq!(part(&[(0, f64::NAN)]), None);
    }
}
