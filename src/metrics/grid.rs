//! Points in the places of a grid: where there is none, NaN stands.

use super::series::Sample;

/// Times in milliseconds; the last place holds `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    pub start: i64,
    pub step: i64,
    pub last: i64,
}

/// What became of the points.
#[derive(Debug, Default)]
pub struct Placed {
    pub samples: Vec<Sample>,
    /// Points that lie between two places: they went into the one before.
    pub between: usize,
    /// Points beyond the grid, or for a place that was taken: they are left out.
    pub left_out: usize,
}

impl Grid {
    /// How many places there are; none where the step is not positive.
    pub fn places(&self) -> Option<usize> {
        if self.step <= 0 {
            return None;
        }
        let span = self.last.checked_sub(self.start)?;
        usize::try_from(span.div_euclid(self.step) + 1).ok()
    }

    /// Each point in the place that its time falls into, whatever their order.
    pub fn place(&self, points: impl IntoIterator<Item = (i64, f64)>) -> Placed {
        let count = self.places().unwrap_or(0);
        let mut values = vec![None; count];
        let mut outcome = Placed::default();
        for (time, value) in points {
            let after = time.saturating_sub(self.start);
            let place = usize::try_from(after.div_euclid(self.step)).ok();
            let place = place.and_then(|place| values.get_mut(place));
            match place {
                Some(place) if place.is_none() => {
                    outcome.between += usize::from(after.rem_euclid(self.step) != 0);
                    *place = Some(value);
                }
                _ => outcome.left_out += 1,
            }
        }
        let mut time = self.start;
        outcome.samples = values
            .into_iter()
            .map(|value| {
                let sample = Sample::at(time, value.unwrap_or(f64::NAN));
                time = time.saturating_add(self.step);
                sample
            })
            .collect();
        outcome
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
            .map(|(count, what)| format!("{count} of {} points {what}", self.samples.len()))
            .collect();
        (!told.is_empty()).then(|| told.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(points: &[(i64, f64)]) -> (String, usize, usize) {
        let grid = Grid {
            start: 100,
            step: 10,
            last: 139,
        };
        let placed = grid.place(points.iter().copied());
        let values = placed.samples.iter();
        let values: Vec<String> = values
            .map(|sample| sample.value.unwrap().to_string())
            .collect();
        (values.join(" "), placed.between, placed.left_out)
    }

    #[test]
    fn each_point_is_in_its_place() {
        let cases: [(&[(i64, f64)], _); 6] = [
            (
                &[(100, 1.0), (110, 2.0), (120, 3.0), (130, 4.0)],
                ("1 2 3 4", 0, 0),
            ),
            (&[(100, 1.0), (120, 3.0)], ("1 NaN 3 NaN", 0, 0)),
            (&[], ("NaN NaN NaN NaN", 0, 0)),
            (&[(130, 4.0), (100, 1.0)], ("1 NaN NaN 4", 0, 0)),
            (&[(104, 1.0), (139, 4.0)], ("1 NaN NaN 4", 2, 0)),
            (
                &[(100, 1.0), (100, 2.0), (99, 0.0), (140, 9.0)],
                ("1 NaN NaN NaN", 0, 3),
            ),
        ];
        for (points, (values, between, left_out)) in cases {
            assert_eq!(
                placed(points),
                (values.to_owned(), between, left_out),
                "{points:?}"
            );
        }
    }

    #[test]
    fn a_grid_has_a_step() {
        let places = |start, step, last| Grid { start, step, last }.places();
        assert_eq!(places(0, 10, 0), Some(1));
        assert_eq!(places(0, 10, 9), Some(1));
        assert_eq!(places(0, 10, 10), Some(2));
        assert_eq!(places(10, 10, 0), Some(0));
        assert_eq!(places(0, 0, 10), None);
        assert_eq!(places(i64::MIN, 1, i64::MAX), None);
    }
}
