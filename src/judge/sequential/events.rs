//! What is mostly zero is counted: with equal versions every event is as likely on either side.

use statrs::function::beta::{checked_beta_reg, checked_ln_beta};

use super::align::{Aligned, Both, count, mean};
use super::settings::Kind;
use super::values::{median, square};
use crate::canary::sequential::{EventCounts, known};
use crate::judge::policy::Direction;

/// So many positive values tell what one event is.
const TELL_UNIT: usize = 3;

/// A burst within one step is at most so many events.
const MOST_AT_ONCE: f64 = 3.0;

/// Halvings that find a share to its last digits.
const HALVINGS: u32 = 60;

/// No series has more.
const MOST_EVENTS: u64 = 1 << 40;

/// How events are judged.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// The relative change that does not matter.
    pub margin: f64,
    /// In the unit of the metric.
    pub floor: f64,
    pub traffic_ratio: f64,
    /// Of a false alarm.
    pub level: f64,
    pub direction: Direction,
}

#[derive(Clone, Copy, Debug)]
pub struct Counted {
    pub told: EventCounts,
    /// More than equal versions would show.
    pub is_alarm: bool,
    pub p: f64,
}

/// Whether events are counted. What the experiment does cannot change it.
pub fn are_counted(kind: Kind, direction: Direction, aligned: &Aligned) -> bool {
    let both = &aligned.both;
    let is_negative = |both: &Both| both.control < 0.0 || both.experiment < 0.0;
    if direction == Direction::Decrease || both.iter().any(is_negative) {
        return false;
    }
    match kind {
        Kind::Values => false,
        Kind::Events => true,
        Kind::Auto => {
            let zeros = both.iter().filter(|both| both.control == 0.0);
            both.len() <= 3 * zeros.count()
        }
    }
}

pub fn judge(question: &Question, aligned: &Aligned) -> Counted {
    let both = &aligned.both;
    let controls = || both.iter().map(|both| both.control);
    let unit = unit(controls());
    let counts = |value: f64| match unit {
        Some(unit) => (value / unit).min(MOST_AT_ONCE),
        None if 0.0 < value => 1.0,
        None => 0.0,
    };
    let dispersion = match unit {
        Some(_) => dispersion(controls().map(counts)),
        None => 1.0,
    };
    let worth = dispersion * count(aligned.spacing);
    let control = controls().map(counts).sum::<f64>() / worth;
    let experiments = both.iter().map(|both| both.experiment);
    let of_experiment = experiments.map(|y| match unit {
        Some(_) => counts(y * question.traffic_ratio),
        None => counts(y),
    });
    let experiment = of_experiment.sum::<f64>() / worth;
    let odds = (1.0 + question.margin) * question.traffic_ratio;
    let share = odds / (1.0 + odds);
    let ln_e = ln_e_value(experiment, control, share);
    let p = (-ln_e).exp().min(1.0);
    let means = (
        mean(controls()),
        mean(both.iter().map(|both| both.experiment)),
    );
    let evidence = -question.level.ln();
    let is_alarm = evidence <= ln_e && means.0 < means.1 && question.floor < means.1 - means.0;
    Counted {
        told: EventCounts {
            control,
            experiment,
            unit,
            dispersion,
            null_share: known(share),
            ln_e_value: known(ln_e),
            at_least: known(at_least(experiment, control, evidence) / question.traffic_ratio),
            alarm_from: alarm_from(control, share, evidence),
        },
        is_alarm,
        p: match question.direction {
            Direction::Either => (2.0 * p).min(1.0),
            _ => p,
        },
    }
}

/// The median of the control's positive values, once there are some.
fn unit(controls: impl Iterator<Item = f64>) -> Option<f64> {
    let mut positive: Vec<f64> = controls.filter(|value| 0.0 < *value).collect();
    (TELL_UNIT <= positive.len()).then(|| median(&mut positive))
}

/// The variance over the mean, which is 1 of events that come one by one.
fn dispersion(counts: impl Iterator<Item = f64> + Clone) -> f64 {
    let level = mean(counts.clone());
    let (number, squares) = counts.fold((0_u64, 0.0), |(number, sum), value| {
        (number + 1, sum + square(value - level))
    });
    let variance = squares / (count(number) - 1.0);
    (variance / level).max(1.0)
}

/// The mean of the likelihood ratio over all shares above that of equal versions: at most 1 on
/// average where the experiment has no more than its share, at whatever time one looks.
fn ln_e_value(experiment: f64, control: f64, share: f64) -> f64 {
    let rest = 1.0 - share;
    let whole = checked_ln_beta(1.0 + experiment, 1.0 + control).unwrap_or(f64::NAN);
    let above = checked_beta_reg(1.0 + control, 1.0 + experiment, rest).unwrap_or(f64::NAN);
    whole + above.ln() - rest.ln() - experiment * share.ln() - control * rest.ln()
}

/// The least odds of the experiment that are no alarm.
fn at_least(experiment: f64, control: f64, evidence: f64) -> f64 {
    if experiment <= 0.0 {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, experiment / (experiment + control));
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if evidence <= ln_e_value(experiment, control, middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low / (1.0 - low)
}

/// The least whole number of the experiment's events that is an alarm.
fn alarm_from(control: f64, share: f64, evidence: f64) -> Option<u64> {
    let is_alarm = |events: u64| evidence <= ln_e_value(count(events), control, share);
    let mut high = 1;
    while !is_alarm(high) {
        high *= 2;
        if MOST_EVENTS < high {
            return None;
        }
    }
    let mut low = high / 2;
    while 1 < high - low {
        let middle = u64::midpoint(low, high);
        if is_alarm(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_against_none_are_an_alarm() {
        // level, margin, events
        let cases = [(0.01, 0.0, 9), (0.005, 0.05, 11)];
        for (level, margin, events) in cases {
            let odds: f64 = 1.0 + margin;
            let found = alarm_from(0.0, odds / (1.0 + odds), -f64::ln(level));
            assert_eq!(found, Some(events), "{level} {margin}");
        }
    }
}
