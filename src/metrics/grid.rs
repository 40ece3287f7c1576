//! Points in the places of a grid: where there is none, NaN stands.

use super::cost;
use super::http::Wrong;
use super::series::{Sample, too_many_samples};
use crate::budget::Held;
use crate::config::Limits;

/// Times in milliseconds; the last place holds `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    pub start: i64,
    pub step: i64,
    pub last: i64,
}

/// The places of all grids of an answer.
pub struct Places<'a> {
    limits: &'a Limits,
    held: &'a mut Held,
    made: usize,
}

/// What became of the points.
#[derive(Debug, Default)]
pub struct Placed {
    pub samples: Vec<Sample>,
    points: usize,
    /// Points that lie between two places: they went into the one before.
    between: usize,
    /// Points beyond the grid, or for a place that was taken: they are left out.
    left_out: usize,
}

impl<'a> Places<'a> {
    pub const fn new(limits: &'a Limits, held: &'a mut Held) -> Self {
        Self {
            limits,
            held,
            made: 0,
        }
    }

    /// Each point in the place that its time falls into, whatever their order. Places are paid for before
    /// they are made: two points that lie far apart are a large grid in a small answer.
    pub fn place(
        &mut self,
        grid: &Grid,
        points: impl IntoIterator<Item = (i64, f64)>,
    ) -> Result<Placed, Wrong> {
        if grid.step <= 0 {
            let seconds = grid.step / 1000;
            let told = format!("the answer has a series with an interval of {seconds} s");
            return Err(told.into());
        }
        let left = self.limits.samples.saturating_sub(self.made);
        let places = grid.places().filter(|places| *places <= left);
        let places = places.ok_or_else(|| too_many_samples(self.limits))?;
        self.held.grow(cost::read(places))?;
        self.made += places;
        Ok(grid.placed(places, points))
    }
}

impl Grid {
    /// How many there are, if they can be counted.
    fn places(&self) -> Option<usize> {
        let span = self.last.checked_sub(self.start)?;
        let places = span.checked_div_euclid(self.step)?.checked_add(1)?;
        usize::try_from(places).ok()
    }

    fn placed(&self, places: usize, points: impl IntoIterator<Item = (i64, f64)>) -> Placed {
        let mut row = Placed::default();
        let times = (0..places).scan(self.start, |next, _| {
            let time = *next;
            *next = time.saturating_add(self.step);
            Some(time)
        });
        row.samples = times.map(Sample::missing).collect();
        for (time, value) in points {
            row.points += 1;
            let after = time.saturating_sub(self.start);
            let place = usize::try_from(after.div_euclid(self.step)).ok();
            let place = place.and_then(|place| row.samples.get_mut(place));
            match place {
                Some(place) if place.value.is_none() => {
                    row.between += usize::from(after.rem_euclid(self.step) != 0);
                    place.value = Some(value);
                }
                _ => row.left_out += 1,
            }
        }
        for sample in &mut row.samples {
            sample.value.get_or_insert(f64::NAN);
        }
        row
    }
}

impl Placed {
    /// What is to be told of points that were not where they should be.
    pub fn remark(&self) -> Option<String> {
        let told = [
            (
                self.between,
                "lie between two places of the grid and count for the one before",
            ),
            (
                self.left_out,
                "are left out: their place is taken, or beyond the window",
            ),
        ];
        let told = told.into_iter().filter(|(count, _)| 0 < *count);
        let told: Vec<String> = told
            .map(|(count, what)| format!("{count} of {} points {what}", self.points))
            .collect();
        (!told.is_empty()).then(|| told.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::{Budget, Refused};

    const LIMITS: Limits = Limits {
        memory: None,
        execution: 1 << 20,
        query_text: 100,
        series: 3,
        labels: 2,
        samples: 1_000_000,
    };

    /// In a grid from 100 to 139 by 10.
    fn placed(points: &[(i64, f64)]) -> (String, Option<String>) {
        let grid = Grid {
            start: 100,
            step: 10,
            last: 139,
        };
        let placed = grid.placed(4, points.iter().copied());
        let values = placed.samples.iter();
        let values: Vec<String> = values
            .map(|sample| sample.value.unwrap().to_string())
            .collect();
        (values.join(" "), placed.remark())
    }

    #[test]
    fn each_point_is_in_its_place() {
        let cases: [(&[(i64, f64)], _, _); 6] = [
            (
                &[(100, 1.0), (110, 2.0), (120, 3.0), (130, 4.0)],
                "1 2 3 4",
                None,
            ),
            (&[(100, 1.0), (120, 3.0)], "1 NaN 3 NaN", None),
            (&[], "NaN NaN NaN NaN", None),
            (&[(130, 4.0), (100, 1.0)], "1 NaN NaN 4", None),
            (
                &[(104, 1.0), (139, 4.0)],
                "1 NaN NaN 4",
                Some("2 of 2 points lie between"),
            ),
            (
                &[
                    (100, 1.0),
                    (100, 2.0),
                    (99, 0.0),
                    (140, 9.0),
                    (i64::MIN, 0.0),
                ],
                "1 NaN NaN NaN",
                Some("4 of 5 points are left out"),
            ),
        ];
        for (points, expected, remark) in cases {
            let (values, told) = placed(points);
            assert_eq!(values, expected, "{points:?}");
            let is_told = match (&told, remark) {
                (Some(told), Some(remark)) => told.starts_with(remark),
                (told, remark) => told.as_deref() == remark,
            };
            assert!(is_told, "{points:?}: {told:?}");
        }
    }

    #[test]
    fn places_are_counted_and_paid_for_before_they_are_made() {
        let too_many = || Wrong::Told(too_many_samples(&LIMITS));
        let refused = Wrong::NoMemory(Refused::TooMany { most: 1 << 20 });
        let no_interval = "the answer has a series with an interval of 0 s".to_owned();
        let cases = [
            // start, step, last, and how many places there are
            (0, 10, 0, Ok(1)),
            (0, 10, 9, Ok(1)),
            (0, 10, 10, Ok(2)),
            (10, 10, 0, Ok(0)),
            (0, 0, 10, Err(Wrong::Told(no_interval))),
            (0, 1, 999_999, Err(refused)),
            (0, 1, 1_000_000, Err(too_many())),
            (0, 1, i64::MAX, Err(too_many())),
            (i64::MIN, 1, i64::MAX, Err(too_many())),
        ];
        for (start, step, last, expected) in cases {
            let share = Budget::new(Some(8 << 20), 1 << 20).share();
            let mut held = share.hold(0).unwrap();
            let grid = Grid { start, step, last };
            let row = Places::new(&LIMITS, &mut held).place(&grid, [(start, 1.0), (last, 2.0)]);
            let made = row.map(|row| row.samples.len());
            assert_eq!(made, expected, "{grid:?}");
        }
    }

    #[test]
    fn all_grids_of_an_answer_are_counted_together() {
        let limits = Limits {
            samples: 5,
            ..LIMITS
        };
        let share = Budget::new(Some(8 << 20), 1 << 20).share();
        let mut held = share.hold(0).unwrap();
        let mut places = Places::new(&limits, &mut held);
        let grid = Grid {
            start: 0,
            step: 1,
            last: 2,
        };
        assert!(places.place(&grid, []).is_ok());
        let told = Wrong::Told(too_many_samples(&limits));
        assert_eq!(places.place(&grid, []).unwrap_err(), told);
    }
}
