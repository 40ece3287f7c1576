//! How many independent samples the changes are worth: neighbours resemble each other.

use super::align::count;
use super::values::{Change, place_of, square};

/// A jump has this part of the points on either side of it.
const SIDE_OF_JUMP: f64 = 0.2;

/// Below this part of the variance, what a trend leaves is nothing.
const NOTHING_LEFT: f64 = 1e-4;

/// So many neighbours tell a correlation.
const FEWEST_NEIGHBOURS: u64 = 4;

/// The greatest correlation that is reckoned with.
const MOST: f64 = 0.98;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Worth {
    /// Of what a trend or a jump leaves.
    pub variance: f64,
    pub autocorrelation: f64,
    pub independent: f64,
    pub jump: bool,
}

impl Worth {
    pub const NOTHING: Self = Self {
        variance: f64::NAN,
        autocorrelation: f64::NAN,
        independent: f64::NAN,
        jump: false,
    };
}

/// What overlapping windows are worth beside separate ones.
pub fn worth(spacing: u64) -> f64 {
    let squared = square(count(spacing));
    3.0 * squared / (2.0 * squared + 1.0)
}

/// `None` where too few neighbours are there.
pub fn of(changes: &[Change], spacing: u64, mean: f64, variance: f64) -> Option<Worth> {
    let samples = count(changes.len() as u64);
    let Residuals { values, jump } = residuals(changes, spacing, mean, variance);
    let left = values.iter().copied().map(square).sum::<f64>() / samples;
    let windows = samples / count(spacing);
    let (variance, estimate) = if left <= NOTHING_LEFT * variance {
        (NOTHING_LEFT * variance, 0.0)
    } else {
        let correlation = correlation(changes, &values, spacing)? / left;
        // Freed of its bias.
        (left, (windows * correlation + 2.0) / (windows - 4.0))
    };
    let unexplained = (1.0 - square(estimate)).max(0.0) + 100.0 / samples;
    // What it may be, to err on the safe side.
    let doubt = 0.5 * (unexplained / (worth(spacing) * windows)).sqrt();
    let autocorrelation = (estimate + doubt).clamp(0.0, MOST);
    Some(Worth {
        variance,
        autocorrelation,
        independent: windows * (1.0 - autocorrelation) / (1.0 + autocorrelation),
        jump,
    })
}

struct Residuals {
    values: Vec<f64>,
    jump: bool,
}

/// What a straight line leaves, or one jump: a leak or a late regression would look like slow drift,
/// and the worse it is the less would be seen.
fn residuals(changes: &[Change], spacing: u64, mean: f64, variance: f64) -> Residuals {
    let samples = count(changes.len() as u64);
    let total = variance * samples;
    let center = changes.iter().map(place_of).sum::<f64>() / samples;
    let (mut with_place, mut of_places) = (0.0, 0.0);
    for change in changes {
        let from_center = place_of(change) - center;
        with_place += from_center * (change.by - mean);
        of_places += square(from_center);
    }
    let slope = with_place / of_places;
    let line = 1.0 - slope * with_place / total;
    if let Some(jump) = best_jump(changes, mean, total)
        && jump.rest < line
        && jump.rest <= SIDE_OF_JUMP - 2.0 * count(spacing) / samples
    {
        let (before, after) = changes.split_at(jump.at);
        let before = before.iter().map(|change| change.by - jump.before);
        let after = after.iter().map(|change| change.by - jump.after);
        return Residuals {
            values: before.chain(after).collect(),
            jump: true,
        };
    }
    let leaves = |change: &Change| change.by - mean - slope * (place_of(change) - center);
    Residuals {
        values: changes.iter().map(leaves).collect(),
        jump: false,
    }
}

struct Jump {
    at: usize,
    /// The part of the variance that it leaves.
    rest: f64,
    before: f64,
    after: f64,
}

/// The first of the cuts that leave least.
fn best_jump(changes: &[Change], mean: f64, total: f64) -> Option<Jump> {
    let samples = count(changes.len() as u64);
    let least = SIDE_OF_JUMP * samples;
    let all: f64 = changes.iter().map(|change| change.by - mean).sum();
    let mut left = 0.0;
    let mut best: Option<Jump> = None;
    for (change, at) in changes.iter().zip(1..) {
        left += change.by - mean;
        let before = count(at as u64);
        let after = samples - before;
        if before < least || after < least {
            continue;
        }
        let right = all - left;
        let rest = 1.0 - (square(left) / before + square(right) / after) / total;
        if best.as_ref().is_none_or(|best| rest < best.rest) {
            best = Some(Jump {
                at,
                rest,
                before: mean + left / before,
                after: mean + right / after,
            });
        }
    }
    best
}

/// The mean product of neighbours that share no data.
fn correlation(changes: &[Change], residuals: &[f64], spacing: u64) -> Option<f64> {
    let distance = i64::try_from(spacing).unwrap_or(i64::MAX);
    let mut later = changes.iter().zip(residuals).peekable();
    let (mut pairs, mut sum) = (0_u64, 0.0);
    for (change, residual) in changes.iter().zip(residuals) {
        let wanted = change.place.saturating_add(distance);
        while later.next_if(|(other, _)| other.place < wanted).is_some() {}
        let Some((other, neighbour)) = later.peek() else {
            break;
        };
        if other.place == wanted {
            pairs += 1;
            sum += residual * *neighbour;
        }
    }
    (FEWEST_NEIGHBOURS <= pairs).then(|| sum / count(pairs))
}
