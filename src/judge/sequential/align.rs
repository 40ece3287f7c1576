//! The two sides put together minute by minute.

use crate::canary::sequential::PairCounts;
use crate::canary::{MetricSetPair, Pair};
use crate::judge::side::Side;

/// The step of series that tell none.
const MINUTE: i64 = 60_000;

/// Missing points are replaced in a window of so many places, and in a longer one of so many for
/// each value that is there; else it has gaps. Two points that lie far apart are a long window in a
/// small document.
const ALWAYS_REPLACED: i64 = 1 << 14;
const REPLACED_BY_VALUE: i64 = 16;

/// Both sides at one place of the window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Both {
    /// From the start of the window, or of what follows its warm-up, in steps.
    pub place: i64,
    pub control: f64,
    pub experiment: f64,
}

/// The points of a pair, by their distance from the start of their own side.
#[derive(Clone, Debug)]
pub struct Aligned {
    /// In milliseconds.
    pub step: i64,
    /// Places of the window, the warm-up included.
    pub whole: i64,
    pub counts: PairCounts,
    /// Neighbours so far apart share no data.
    pub spacing: u64,
    pub both: Vec<Both>,
}

/// How series are put together.
#[derive(Clone, Copy, Debug)]
pub struct Aligning {
    pub warmup_minutes: f64,
    /// What is missing is 0.
    pub replaces: bool,
}

type Placed = Vec<(i64, f64)>;

impl Aligned {
    pub fn of(pair: &MetricSetPair, sides: &Pair<Side<'_>>, how: Aligning) -> Self {
        let own = sides.as_ref().map(|side| side.step().max(0));
        let step = match own.control.max(own.experiment) {
            0 => MINUTE,
            step => step,
        };
        let own = own.map(|own| if own == 0 { step } else { own });
        let grid = |own| Grid { own, step };
        let mut placed = Pair {
            control: grid(own.control).place(&sides.control, &pair.values.control),
            experiment: grid(own.experiment).place(&sides.experiment, &pair.values.experiment),
        };
        let reach = |placed: &Placed| {
            placed
                .last()
                .map_or(0, |(place, _)| place.saturating_add(1))
        };
        let whole = [
            reach(&placed.control),
            reach(&placed.experiment),
            grid(own.control).places(pair.values.control.len()),
            grid(own.experiment).places(pair.values.experiment.len()),
        ];
        let whole = whole.into_iter().max().unwrap_or(0);
        let warmup = warmup_places(how.warmup_minutes, step).min(whole);
        let expected = whole - warmup;
        for side in [&mut placed.control, &mut placed.experiment] {
            side.retain(|(place, _)| warmup <= *place);
            for (place, _) in side.iter_mut() {
                *place -= warmup;
            }
        }
        let counts = placed.as_ref().map(|side| side.len() as u64);
        let has_any = 0 < counts.control + counts.experiment;
        if how.replaces && has_any && expected <= most_replaced(pair.points()) {
            placed = placed.map(|side| filled(&side, expected));
        }
        let both = matched(&placed);
        let back = sides.as_ref().map(|side| side.told.looks_back.unwrap_or(0));
        Self {
            step,
            whole,
            counts: PairCounts {
                expected: expected.unsigned_abs(),
                control: counts.control,
                experiment: counts.experiment,
                paired: both.len() as u64,
            },
            spacing: spacing(back.control.max(back.experiment), step),
            both,
        }
    }

    pub fn step_minutes(&self) -> f64 {
        as_double(self.step) / as_double(MINUTE)
    }

    /// Of the whole window.
    pub fn minutes(&self) -> f64 {
        as_double(self.whole) * self.step_minutes()
    }

    /// Of the window without its warm-up.
    pub fn judged_minutes(&self) -> f64 {
        count(self.counts.expected) * self.step_minutes()
    }
}

/// Places that all values of a pair are put into.
#[derive(Clone, Copy)]
struct Grid {
    /// The step of the side itself.
    own: i64,
    step: i64,
}

impl Grid {
    /// How many places so many values take.
    fn places(self, values: usize) -> i64 {
        let places = values as i128 * i128::from(self.own) / i128::from(self.step);
        i64::try_from(places).unwrap_or(i64::MAX)
    }

    /// The finite values by their place, the mean of several at one.
    fn place(self, side: &Side<'_>, values: &[f64]) -> Placed {
        let start = side.start().or_else(|| side.timestamps?.first().copied());
        let start = i128::from(start.unwrap_or(0));
        let since = |at: usize| match side.timestamps {
            Some(times) => times.get(at).map(|time| i128::from(*time) - start),
            None => Some(at as i128 * i128::from(self.own)),
        };
        let finite = values.iter().enumerate().filter(|(_, v)| v.is_finite());
        let mut placed: Placed = finite
            .filter_map(|(at, value)| Some((self.nearest(since(at)?)?, *value)))
            .collect();
        // In nearly all series they are sorted, which this finds at once.
        placed.sort_by_key(|(place, _)| *place);
        if placed.windows(2).all(|two| two[0].0 < two[1].0) {
            return placed;
        }
        let runs = placed.chunk_by(|a, b| a.0 == b.0);
        runs.map(|run| (run[0].0, mean(run.iter().map(|(_, value)| *value))))
            .collect()
    }

    /// `None` before the start.
    fn nearest(self, since: i128) -> Option<i64> {
        let (own, step) = (i128::from(self.own), i128::from(self.step));
        let place = i64::try_from((2 * since + own).div_euclid(2 * step)).ok()?;
        // The last place has one after it.
        (0..i64::MAX).contains(&place).then_some(place)
    }
}

fn warmup_places(minutes: f64, step: i64) -> i64 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a greater one than fits is the greatest"
    )]
    let places = (minutes * as_double(MINUTE) / as_double(step)).ceil() as i64;
    places.max(0)
}

fn most_replaced(values: usize) -> i64 {
    let values = i64::try_from(values).unwrap_or(i64::MAX);
    values
        .saturating_mul(REPLACED_BY_VALUE)
        .max(ALWAYS_REPLACED)
}

fn filled(placed: &Placed, length: i64) -> Placed {
    let mut filled: Placed = (0..length).map(|place| (place, 0.0)).collect();
    for (place, value) in placed {
        let slot = usize::try_from(*place)
            .ok()
            .and_then(|at| filled.get_mut(at));
        if let Some(slot) = slot {
            slot.1 = *value;
        }
    }
    filled
}

fn matched(placed: &Pair<Placed>) -> Vec<Both> {
    let mut experiment = placed.experiment.iter().peekable();
    let mut both = Vec::with_capacity(placed.control.len().min(placed.experiment.len()));
    for &(place, control) in &placed.control {
        while experiment.next_if(|(other, _)| *other < place).is_some() {}
        if let Some(&(_, experiment)) = experiment.next_if(|(other, _)| *other == place) {
            both.push(Both {
                place,
                control,
                experiment,
            });
        }
    }
    both
}

/// Every how many points share no data, where each is asked for so far back.
pub fn spacing(back: i64, step: i64) -> u64 {
    if back <= step {
        return 1;
    }
    back.unsigned_abs().div_ceil(step.unsigned_abs())
}

/// 0 of nothing.
pub fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (count, sum) = values.fold((0_u64, 0.0), |(n, sum), value| (n + 1, sum + value));
    if count == 0 {
        return 0.0;
    }
    sum / self::count(count)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "no series has 2^53 points, below that it is exact"
)]
pub fn count(number: u64) -> f64 {
    number as f64
}

#[expect(
    clippy::cast_precision_loss,
    reason = "below 2^53 it is exact, and no time is longer"
)]
pub fn as_double(number: i64) -> f64 {
    number as f64
}
