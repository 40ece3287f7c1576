//! Values of every kind: the mean change, and how surely it is known.

use super::align::{Aligned, Both, as_double, count, mean};
use super::independent::{self, Worth};
use super::margins::{Limits, Margins, Scale};
use super::normal::Student;
use super::stance::{Rates, Stance};
use crate::canary::explanation::Rule;
use crate::canary::sequential::{Finding, Method};
use crate::judge::policy::Direction;

/// A judgement takes so many samples, of which so many must be independent.
pub const FEWEST: u64 = 8;
pub const FEWEST_INDEPENDENT: f64 = 5.0;

/// So many are enough, however much they share.
const ENOUGH: u64 = 20;

/// In a normal distribution, the standard deviation over the median absolute deviation.
const SPREAD_OF_MEDIAN: f64 = 1.4826;

/// Values are fenced at so many standard deviations.
const FENCE: f64 = 5.0;

/// A spread below this part of the size is none.
const NO_SPREAD: f64 = 1e-9;

/// Above a standard normal with a chance of 20 %.
const FOUND_IN_FOUR_OF_FIVE: f64 = 0.841_621_233_572_914_2;

/// The degrees of freedom where the control's own spread is all that is known.
const FAR_BEYOND: Student = Student { degrees: 5.0 };

/// A week: nobody waits longer.
const LONGEST_WAIT: f64 = 10_080.0;

/// How values are judged.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    pub direction: Direction,
    pub margins: Margins,
    pub rates: Rates,
    pub stance: Stance,
}

/// What was found. What is not known is NaN.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    pub finding: Finding,
    pub rule: Rule,
    pub method: Option<Method>,
    pub scale: Scale,
    /// All on the scale of the changes.
    pub limits: Limits,
    pub mean: f64,
    pub lower: f64,
    pub upper: f64,
    pub equivalence: (f64, f64),
    pub standard_error: f64,
    pub samples: Worth,
    pub degrees: f64,
    pub p: f64,
    pub detectable: f64,
    pub minutes_needed: Option<u64>,
}

impl Found {
    /// Nothing was measured.
    pub const fn nothing(rule: Rule) -> Self {
        Self {
            finding: Finding::Inconclusive,
            rule,
            method: None,
            scale: Scale::NOTHING,
            limits: Limits::NOTHING,
            mean: f64::NAN,
            lower: f64::NAN,
            upper: f64::NAN,
            equivalence: (f64::NAN, f64::NAN),
            standard_error: f64::NAN,
            samples: Worth::NOTHING,
            degrees: f64::NAN,
            p: f64::NAN,
            detectable: f64::NAN,
            minutes_needed: None,
        }
    }

    fn is(self, finding: Finding, rule: Rule) -> Self {
        Self {
            finding,
            rule,
            ..self
        }
    }
}

/// One change, and where it lies.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    pub place: i64,
    pub by: f64,
}

/// Whether so many samples are too few.
pub fn are_few(samples: u64, spacing: u64) -> bool {
    samples < FEWEST || samples < ENOUGH && samples < spacing.saturating_mul(FEWEST)
}

/// How often the samples must be had.
pub fn times_of_few(samples: f64, spacing: u64) -> f64 {
    count(wanted(spacing)) / samples
}

/// How many samples a judgement takes.
pub fn wanted(spacing: u64) -> u64 {
    spacing.saturating_mul(FEWEST).clamp(FEWEST, ENOUGH)
}

/// By ratio where the values allow it, else by difference.
pub fn judge(question: &Question, aligned: &Aligned) -> Found {
    if let Some((scale, changes)) = ratios(aligned) {
        return measure(question, aligned, Method::Ratio, scale, changes);
    }
    let (scale, changes) = differences(aligned);
    measure(question, aligned, Method::Difference, scale, changes)
}

/// By difference, and without fences: bursts are what events are about.
pub fn judge_events(question: &Question, aligned: &Aligned) -> Found {
    let (scale, changes) = differences(aligned);
    measure(question, aligned, Method::Events, scale, changes)
}

/// Logarithms of the ratios, where no value is negative and nearly all are positive.
fn ratios(aligned: &Aligned) -> Option<(Scale, Vec<Change>)> {
    let is_negative = |both: &Both| both.control < 0.0 || both.experiment < 0.0;
    if aligned.both.iter().any(is_negative) {
        return None;
    }
    let is_zero = |both: &&Both| both.control == 0.0 && both.experiment == 0.0;
    let is_positive = |both: &&Both| 0.0 < both.control && 0.0 < both.experiment;
    let kept = || aligned.both.iter().filter(|both| !is_zero(both));
    let positive = kept().filter(is_positive).count();
    if positive == 0 || positive * 10 < kept().count() * 9 {
        return None;
    }
    let changes = kept().map(|both| Change {
        place: both.place,
        by: both.experiment.ln() - both.control.ln(),
    });
    let controls = kept().map(|both| both.control).filter(|x| 0.0 < *x);
    let level = mean(controls.map(f64::ln)).exp();
    Some((Scale::Ratio { level }, changes.collect()))
}

fn differences(aligned: &Aligned) -> (Scale, Vec<Change>) {
    let changes = aligned.both.iter().map(|both| Change {
        place: both.place,
        by: both.experiment - both.control,
    });
    let level = mean(aligned.both.iter().map(|both| both.control));
    (Scale::Difference { level }, changes.collect())
}

fn measure(
    question: &Question,
    aligned: &Aligned,
    method: Method,
    scale: Scale,
    mut changes: Vec<Change>,
) -> Found {
    let limits = question.margins.limits(scale);
    let unmeasured = Found {
        method: Some(method),
        scale,
        limits,
        ..Found::nothing(Rule::FewSamples)
    };
    let samples = changes.len() as u64;
    if are_few(samples, aligned.spacing) {
        let times = times_of_few(count(samples), aligned.spacing);
        return Found {
            minutes_needed: minutes(aligned, times),
            ..unmeasured
        };
    }
    if method != Method::Events {
        fence(&mut changes);
    }
    let mean = mean(changes.iter().map(|change| change.by));
    let variance = self::mean(changes.iter().map(|change| square(change.by - mean)));
    let measured = Found { mean, ..unmeasured };
    if variance.sqrt() <= NO_SPREAD * size(aligned, scale) {
        return if is_within(question.direction, mean, limits) {
            measured.is(Finding::Equivalent, Rule::Constant)
        } else {
            measured.is(Finding::Inconclusive, Rule::ConstantDifference)
        };
    }
    let windows = count(samples) / count(aligned.spacing);
    if windows < count(FEWEST) {
        let few = Found {
            samples: Worth {
                independent: windows,
                ..Worth::NOTHING
            },
            minutes_needed: minutes(aligned, count(FEWEST) / windows),
            ..measured.is(Finding::Inconclusive, Rule::FewIndependent)
        };
        return far_beyond(question, aligned, few);
    }
    let Some(samples) = independent::of(&changes, aligned.spacing, mean, variance) else {
        return measured.is(Finding::Inconclusive, Rule::Gaps);
    };
    let measured = Found {
        samples,
        ..measured
    };
    if samples.independent < FEWEST_INDEPENDENT {
        let rule = if aligned.counts.paired < ENOUGH {
            Rule::FewSamples
        } else {
            Rule::FewIndependent
        };
        let few = Found {
            minutes_needed: minutes(aligned, FEWEST_INDEPENDENT / samples.independent),
            ..measured.is(Finding::Inconclusive, rule)
        };
        return far_beyond(question, aligned, few);
    }
    hold_against_margin(question, aligned, measured)
}

/// Clamps what lies far from most.
fn fence(changes: &mut [Change]) {
    let mut values: Vec<f64> = changes.iter().map(|change| change.by).collect();
    let center = median(&mut values);
    let mut distances: Vec<f64> = values.iter().map(|value| (value - center).abs()).collect();
    let deviation = median(&mut distances);
    let (least, greatest) = if 0.0 < deviation && deviation < f64::INFINITY {
        let fence = FENCE * (SPREAD_OF_MEDIAN * deviation);
        (center - fence, center + fence)
    } else if values.iter().all(|value| value.is_finite()) {
        return;
    } else {
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        (
            finite().fold(f64::INFINITY, f64::min),
            finite().fold(f64::NEG_INFINITY, f64::max),
        )
    };
    for change in changes {
        change.by = change.by.max(least).min(greatest);
    }
}

/// Of an even number the mean of the middle two.
pub fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    let is_even = values.len().is_multiple_of(2);
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = *upper;
    if !is_even {
        return upper;
    }
    let lower = below.iter().copied().max_by(f64::total_cmp);
    f64::midpoint(lower.unwrap_or(upper), upper)
}

/// What a spread is held against.
fn size(aligned: &Aligned, scale: Scale) -> f64 {
    match scale {
        Scale::Ratio { .. } => 1.0,
        Scale::Difference { .. } => {
            let sizes = aligned.both.iter();
            let sizes = sizes.map(|both| both.control.abs().max(both.experiment.abs()));
            sizes.fold(0.0, f64::max)
        }
    }
}

fn is_within(direction: Direction, mean: f64, limits: Limits) -> bool {
    let is_below_top = mean <= limits.up;
    let is_above_bottom = -limits.down <= mean;
    match direction {
        Direction::Increase => is_below_top,
        Direction::Decrease => is_above_bottom,
        Direction::Either => is_below_top && is_above_bottom,
    }
}

/// The interval, and whether it lies beyond the margin or within it.
fn hold_against_margin(question: &Question, aligned: &Aligned, measured: Found) -> Found {
    let Question {
        direction,
        rates,
        stance,
        ..
    } = *question;
    let (samples, limits, mean) = (measured.samples, measured.limits, measured.mean);
    let error = (samples.variance / (samples.independent - 2.0)).sqrt();
    let student = Student {
        degrees: independent::worth(aligned.spacing) * samples.independent - 2.0,
    };
    let reach = student.of_normal(stance.critical(rates.false_alarm)) * error;
    let close = student.of_normal(stance.critical(rates.false_pass)) * error;
    let p = |beyond: f64| stance.p(student.to_normal(beyond / error));
    let p_up = p(mean - limits.up);
    let p_down = if limits.down.is_finite() {
        p(-limits.down - mean)
    } else {
        1.0
    };
    let detectable = reach + FOUND_IN_FOUR_OF_FIVE * error;
    let found = Found {
        lower: mean - reach,
        upper: mean + reach,
        equivalence: (mean - close, mean + close),
        standard_error: error,
        degrees: student.degrees,
        p: match direction {
            Direction::Increase => p_up,
            Direction::Decrease => p_down,
            Direction::Either => (2.0 * p_up.min(p_down)).min(1.0),
        },
        detectable: match direction {
            Direction::Decrease => -(limits.down + detectable),
            Direction::Increase | Direction::Either => limits.up + detectable,
        },
        ..measured
    };
    let (finding, rule) = verdict(direction, &found);
    let found = found.is(finding, rule);
    if rule != Rule::Wide {
        return found;
    }
    let open = Found {
        minutes_needed: minutes(aligned, times_to_settle(question, student, &found)),
        ..found
    };
    far_beyond(question, aligned, open)
}

fn verdict(direction: Direction, found: &Found) -> (Finding, Rule) {
    let limits = found.limits;
    let is_high = limits.up < found.lower;
    let is_low = found.upper < -limits.down;
    let within_up = found.equivalence.1 < limits.up;
    let within_down = -limits.down < found.equivalence.0;
    let (up, down, is_within) = match direction {
        Direction::Increase => (Finding::Regressed, Finding::Improved, within_up),
        Direction::Decrease => (Finding::Improved, Finding::Regressed, within_down),
        Direction::Either => (
            Finding::Regressed,
            Finding::Regressed,
            within_up && within_down,
        ),
    };
    match (is_high, is_low, is_within) {
        (true, _, _) => (up, Rule::Increase),
        (_, true, _) => (down, Rule::Decrease),
        (_, _, true) => (Finding::Equivalent, Rule::WithinMargin),
        _ => (Finding::Inconclusive, Rule::Wide),
    }
}

/// How often the data must be had until the interval leaves the margin, or lies within it.
fn times_to_settle(question: &Question, student: Student, found: &Found) -> f64 {
    let Question { rates, stance, .. } = question;
    let (limits, mean) = (found.limits, found.mean);
    let times = |gap: f64, level: f64| {
        let reach = student.of_normal(stance.critical_at_last(level));
        square(reach * found.standard_error / gap)
    };
    let above = mean - limits.up;
    let below = -limits.down - mean;
    let up = || {
        if 0.0 < above {
            times(above, rates.false_alarm)
        } else {
            times(above, rates.false_pass)
        }
    };
    let down = || {
        if 0.0 < below {
            times(below, rates.false_alarm)
        } else {
            times(below, rates.false_pass)
        }
    };
    match question.direction {
        Direction::Increase => up(),
        Direction::Decrease => down(),
        Direction::Either if 0.0 < above => up(),
        Direction::Either if 0.0 < below => down(),
        Direction::Either => up().max(down()),
    }
}

/// Minutes until so many times the data are there.
pub fn minutes(aligned: &Aligned, times: f64) -> Option<u64> {
    if times.is_nan() {
        return None;
    }
    let more = (times - 1.0) * aligned.judged_minutes();
    let more = more.max(aligned.step_minutes()).ceil();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 0 to a week"
    )]
    (more <= LONGEST_WAIT).then_some(more as u64)
}

/// Whether an open change is so great that the control's own spread tells it, as if there were one
/// sample only.
fn far_beyond(question: &Question, aligned: &Aligned, open: Found) -> Found {
    let Question {
        direction,
        rates,
        stance,
        ..
    } = *question;
    let Some(spread) = spread_of_control(aligned, open.scale) else {
        return open;
    };
    if aligned.counts.paired < ENOUGH {
        return open;
    }
    let critical = FAR_BEYOND.of_normal(stance.critical(rates.false_alarm));
    let above = (open.mean - open.limits.up) / spread;
    let below = (-open.limits.down - open.mean) / spread;
    let (rule, beyond) = if direction != Direction::Decrease && critical < above {
        (Rule::FarAbove, above)
    } else if direction != Direction::Increase && critical < below {
        (Rule::FarBelow, below)
    } else {
        return open;
    };
    let p = stance.p(FAR_BEYOND.to_normal(beyond));
    Found {
        p: match direction {
            Direction::Either => (2.0 * p).min(1.0),
            _ => p,
        },
        detectable: f64::NAN,
        minutes_needed: None,
        ..open.is(Finding::Regressed, rule)
    }
}

/// Of the difference of two such sides; `None` where there is none.
fn spread_of_control(aligned: &Aligned, scale: Scale) -> Option<f64> {
    let controls = aligned.both.iter().map(|both| both.control);
    let values: Vec<f64> = match scale {
        Scale::Ratio { .. } => controls.filter(|x| 0.0 < *x).map(f64::ln).collect(),
        Scale::Difference { .. } => controls.collect(),
    };
    let mean = mean(values.iter().copied());
    let squares: f64 = values.iter().map(|value| square(value - mean)).sum();
    let freedom = count((values.len() as u64).checked_sub(1)?);
    let spread = std::f64::consts::SQRT_2 * (squares / freedom).sqrt();
    let size = match scale {
        Scale::Ratio { .. } => 1.0,
        Scale::Difference { .. } => mean.abs(),
    };
    (NO_SPREAD * size < spread).then_some(spread)
}

pub fn square(value: f64) -> f64 {
    value * value
}

/// Of a place, for the line through the changes.
pub fn place_of(change: &Change) -> f64 {
    as_double(change.place)
}
