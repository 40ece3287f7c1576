//! The range of a query in pieces that Prometheus answers.

use jiff::SignedDuration;

use crate::canary::Instant;
use crate::metrics::range::Range;

/// Prometheus refuses more.
const MAX_POINTS: i128 = 11_000;
/// A range of more pieces is more likely a mistake than wanted; Prometheus may refuse it.
const MAX_PIECES: i128 = 100;
const NANOS: i128 = 1_000_000_000;

/// In milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    pub start: i64,
    pub step: i64,
    /// At least one.
    pub points: usize,
}

impl Range {
    /// Consecutive pieces on the grid of the whole; one where Prometheus can answer it as it is.
    pub fn pieces(&self) -> Vec<Self> {
        self.split().unwrap_or_else(|| vec![*self])
    }

    /// The times that Prometheus evaluates, which has milliseconds; `None` when they are none, or
    /// more than it is asked for.
    pub fn grid(&self) -> Option<Grid> {
        let step = self.step?.checked_mul(1000).filter(|step| 0 < *step)?;
        let (start, end) = (self.start.as_millis(), self.end.as_millis());
        if start < 0 || end < start {
            return None;
        }
        let points = usize::try_from((end - start) / step + 1).ok()?;
        let most = usize::try_from(MAX_POINTS * MAX_PIECES).ok()?;
        (points <= most).then_some(Grid {
            start,
            step,
            points,
        })
    }

    /// Whether its times are no multiples of its step.
    pub fn is_shifted(&self) -> bool {
        let step = self.step.map_or(0, |step| i128::from(step) * NANOS);
        step != 0 && self.start.0.as_nanosecond() % step != 0
    }

    /// What is left of the range behind its first points, if there is a point left.
    pub fn without(&self, points: usize) -> Option<Self> {
        let start = self.at(i128::try_from(points).ok()?)?;
        (start.as_millis() <= self.end.as_millis()).then_some(Self { start, ..*self })
    }

    fn at(&self, point: i128) -> Option<Instant> {
        let seconds = i64::try_from(point).ok()?.checked_mul(self.step?)?;
        let offset = SignedDuration::from_secs(seconds);
        self.start.0.checked_add(offset).ok().map(Instant)
    }

    /// `None`: there is nothing to split, or too much.
    fn split(&self) -> Option<Vec<Self>> {
        let step = self.step.filter(|step| *step > 0)?;
        let span = self.end.0.duration_since(self.start.0).as_nanos();
        let points = span / (i128::from(step) * NANOS) + 1;
        let pieces = (points + MAX_POINTS - 1) / MAX_POINTS;
        if !(2..=MAX_PIECES).contains(&pieces) {
            return None;
        }
        (0..pieces)
            .map(|piece| {
                let first = piece * MAX_POINTS;
                let next = first + MAX_POINTS;
                Some(Self {
                    start: self.at(first)?,
                    end: if next < points {
                        self.at(next - 1)?
                    } else {
                        self.end
                    },
                    step: self.step,
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: &str, end: &str, step: i64) -> Range {
        Range {
            start: Instant::parse(start).unwrap(),
            end: Instant::parse(end).unwrap(),
            step: Some(step),
        }
    }

    #[test]
    fn a_range_that_prometheus_answers_stays_whole() {
        let cases = [
            range("2024-06-01T00:00:00Z", "2024-06-01T01:00:00Z", 60),
            range("2024-06-01T00:00:00Z", "2024-06-01T03:03:19Z", 1), // 11,000 points
            range("2024-06-01T01:00:00Z", "2024-06-01T00:00:00Z", 1),
            range("2024-06-01T00:00:00Z", "2024-06-02T00:00:00Z", 0),
            range("2024-06-01T00:00:00Z", "2024-06-02T00:00:00Z", -1),
            range("2024-05-01T00:00:00Z", "2024-06-01T01:05:00Z", 1), // 2.7 million points
            Range {
                step: None,
                ..range("2024-06-01T00:00:00Z", "2025-06-01T00:00:00Z", 1)
            },
        ];
        for case in cases {
            assert_eq!(case.pieces(), [case]);
        }
    }

    #[test]
    fn the_grid_has_milliseconds_and_both_ends() {
        let grid = |start, end, step| range(start, end, step).grid();
        let (start, end) = ("2024-06-01T01:00:00.0009Z", "2024-06-01T01:01:00.0001Z");
        let expected = Grid {
            start: 1_717_203_600_000,
            step: 60_000,
            points: 2,
        };
        assert_eq!(grid(start, end, 60), Some(expected));
        assert_eq!(grid(start, end, 61).unwrap().points, 1);
        assert_eq!(grid(end, start, 60), None);
        assert_eq!(grid(start, end, 0), None);
        assert_eq!(grid("2024-05-01T00:00:00Z", start, 1), None);
        assert_eq!(grid("1969-01-01T00:00:00Z", start, 3600), None);

        let rest = range(start, end, 30).without(1).unwrap();
        assert_eq!(rest, range("2024-06-01T01:00:30.0009Z", end, 30));
        assert_eq!(
            range(start, end, 30)
                .without(2)
                .unwrap()
                .grid()
                .unwrap()
                .points,
            1
        );
        assert_eq!(range(start, end, 30).without(3), None);
    }

    #[test]
    fn a_long_range_is_split_on_its_grid() {
        let cases = [
            (
                range("2024-06-01T00:00:00Z", "2024-06-01T03:03:20Z", 1), // 11,001 points
                vec![
                    ("2024-06-01T00:00:00Z", "2024-06-01T03:03:19Z"),
                    ("2024-06-01T03:03:20Z", "2024-06-01T03:03:20Z"),
                ],
            ),
            (
                range("2024-06-01T00:00:00.25Z", "2024-06-01T20:00:00Z", 3),
                vec![
                    ("2024-06-01T00:00:00.250Z", "2024-06-01T09:09:57.250Z"),
                    ("2024-06-01T09:10:00.250Z", "2024-06-01T18:19:57.250Z"),
                    ("2024-06-01T18:20:00.250Z", "2024-06-01T20:00:00Z"),
                ],
            ),
        ];
        for (whole, expected) in cases {
            let pieces = whole.pieces();
            let pieces: Vec<_> = pieces
                .iter()
                .map(|piece| (piece.start.to_string(), piece.end.to_string()))
                .collect();
            let expected: Vec<_> = expected
                .into_iter()
                .map(|(start, end)| (start.to_owned(), end.to_owned()))
                .collect();
            assert_eq!(pieces, expected);
        }
    }
}
