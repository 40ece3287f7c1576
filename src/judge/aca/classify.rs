//! The verdict on one metric.

use super::effect_size::{cles, mean_ratio};
use super::mann_whitney::{QUANTILE, Shift, extremes, invert, search_range};
use super::rank_sum::{RankSum, from_order_key, order_key};
use super::transform::{Fences, handle_nan};
use crate::canary::explanation::{
    EffectMeasure, EffectSize, FenceLimits, Points, Rule, TestNumbers,
};
use crate::canary::{CanaryJudgeStats, Label, Pair};
use crate::judge::describe::{describe, mean};
use crate::judge::noise::Noise;
use crate::judge::policy::{Direction, Measure, MetricPolicy, NanStrategy};

/// What is found of one metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Classification {
    pub label: Label,
    /// This metric alone fails the canary.
    pub critical: bool,
    /// Mean of the experiment over mean of the control; `None` when the test failed.
    pub ratio: Option<f64>,
    /// What decided the label.
    pub rule: Rule,
    /// What the test found, where it was made.
    pub test: Option<TestNumbers>,
    pub stats: Pair<CanaryJudgeStats>,
    pub points: Pair<Points>,
    /// How many of the values are equal.
    pub ties: Pair<Ties>,
}

/// How varied the values of one side are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ties {
    pub distinct: usize,
    /// How often the most frequent value occurs.
    pub most: usize,
}

/// The part of the estimated shift by which the interval must clear zero.
const TOLERANCE: f64 = 0.25;

/// Of the interval; see [`QUANTILE`].
const CONFIDENCE_LEVEL: f64 = 0.98;

/// Room to judge in; one is enough for any number of metrics, one after the other.
#[derive(Clone, Debug, Default)]
pub struct Workspace {
    pair: Pair<Series>,
    rank_sum: RankSum,
}

/// One side, cleaned.
#[derive(Clone, Debug, Default)]
struct Series {
    values: Vec<f64>,
    /// Of the values, sorted.
    keys: Vec<u64>,
}

impl Workspace {
    /// Judges the series of both sides, drawing from `noise` when both are constant.
    pub fn classify(
        &mut self,
        policy: &MetricPolicy,
        pair: Pair<&[f64]>,
        noise: &mut Noise,
    ) -> Classification {
        let points = self.clean(policy, pair);
        let stats = describe(self.pair.as_ref().map(|side| side.values.as_slice()));
        let settled = Classification {
            label: Label::Pass,
            critical: false,
            ratio: Some(1.0),
            rule: Rule::Identical,
            test: None,
            stats,
            points,
            ties: self.pair.as_ref().map(Series::ties),
        };
        let Pair {
            control,
            experiment,
        } = &mut self.pair;
        if control.values.is_empty() || experiment.values.is_empty() {
            let (label, critical, rule) = without_data(policy);
            return Classification {
                label,
                critical,
                rule,
                ..settled
            };
        }
        if control.equals(experiment) {
            return settled;
        }
        let mut means = stats.map(|side| side.mean);
        let with_noise = control.is_constant() && experiment.is_constant();
        if with_noise {
            if control.first_is(experiment) {
                return Classification {
                    rule: Rule::SameConstant,
                    ..settled
                };
            }
            for side in [&mut *experiment, &mut *control] {
                noise.disturb(&mut side.values);
                side.sort();
            }
            means = self.pair.as_ref().map(|side| mean(&side.values));
        }
        let ratio = mean_ratio(means);
        let Some(shift) = self.shift() else {
            return Classification {
                label: Label::Error,
                rule: Rule::TestFailed,
                ratio: None,
                ..settled
            };
        };
        let effect = match policy.measure {
            Measure::MeanRatio => ratio,
            Measure::Cles => cles(self.pair.as_ref().map(|side| side.keys.as_slice())),
        };
        let (label, critical, rule) = decide(policy, shift, effect);
        Classification {
            label,
            critical,
            rule,
            ratio: Some(ratio),
            test: Some(test_numbers(policy, shift, effect, with_noise)),
            ..settled
        }
    }

    /// How many draws a judgement of these series takes from the noise, without judging them.
    ///
    /// Noise goes through the metrics in order, so this is what lets them be judged out of order.
    pub fn draws(&mut self, policy: &MetricPolicy, pair: Pair<&[f64]>) -> usize {
        if policy.outlier_factor.is_none()
            && !(may_be_constant(pair.control, policy) && may_be_constant(pair.experiment, policy))
        {
            return 0;
        }
        self.clean(policy, pair);
        let Pair {
            control,
            experiment,
        } = &self.pair;
        let degenerate = !control.values.is_empty()
            && !experiment.values.is_empty()
            && control.is_constant()
            && experiment.is_constant()
            && !control.first_is(experiment);
        if degenerate {
            control.values.len() + experiment.values.len()
        } else {
            0
        }
    }

    fn clean(&mut self, policy: &MetricPolicy, pair: Pair<&[f64]>) -> Pair<Points> {
        Pair {
            control: self.pair.control.clean(policy, pair.control),
            experiment: self.pair.experiment.clean(policy, pair.experiment),
        }
    }

    fn shift(&mut self) -> Option<Shift> {
        let Pair {
            control,
            experiment,
        } = &self.pair;
        let range = search_range(self.pair.as_ref().map(|side| extremes(&side.values)));
        self.rank_sum.prepare(&experiment.keys, &control.keys);
        invert(|shift| self.rank_sum.statistic(shift), range, QUANTILE)
    }
}

impl Series {
    fn clean(&mut self, policy: &MetricPolicy, values: &[f64]) -> Points {
        handle_nan(values, policy.nan_strategy, &mut self.values);
        let numbers = self.values.len();
        let nan = match policy.nan_strategy {
            NanStrategy::Remove => values.len() - numbers,
            NanStrategy::Replace => values.iter().filter(|value| value.is_nan()).count(),
        };
        self.sort();
        let fences = policy.outlier_factor.map(|factor| {
            let sorted: Vec<f64> = self.keys.iter().map(|key| from_order_key(*key)).collect();
            let fences = Fences::of(&sorted, factor);
            self.values.retain(|value| fences.contain(*value));
            self.keys.retain(|key| fences.contain(from_order_key(*key)));
            fences
        });
        Points {
            total: values.len() as u64,
            nan: nan as u64,
            outliers: (numbers - self.values.len()) as u64,
            judged: self.values.len() as u64,
            fences: fences.map(|Fences { lower, upper }| FenceLimits { lower, upper }),
        }
    }

    fn ties(&self) -> Ties {
        let runs = self.keys.chunk_by(|a, b| is_one_number(*a, *b));
        runs.fold(Ties::default(), |found, run| Ties {
            distinct: found.distinct + 1,
            most: found.most.max(run.len()),
        })
    }

    fn sort(&mut self) {
        self.keys.clear();
        self.keys
            .extend(self.values.iter().map(|value| order_key(*value)));
        self.keys.sort_unstable();
    }

    /// Whether both hold the same numbers, in whatever order; 0.0 and -0.0 are one number.
    fn equals(&self, other: &Self) -> bool {
        self.keys.len() == other.keys.len()
            && self
                .keys
                .iter()
                .zip(&other.keys)
                .all(|(a, b)| is_one_number(*a, *b))
    }

    fn is_constant(&self) -> bool {
        match (self.keys.first(), self.keys.last()) {
            (Some(least), Some(greatest)) => is_one_number(*least, *greatest),
            _ => true,
        }
    }

    fn first_is(&self, other: &Self) -> bool {
        match (self.keys.first(), other.keys.first()) {
            (Some(a), Some(b)) => is_one_number(*a, *b),
            _ => false,
        }
    }
}

/// The label of a metric with a side that has no values, whether that fails the canary, and why.
fn without_data(policy: &MetricPolicy) -> (Label, bool, Rule) {
    match (policy.nan_strategy, policy.must_have_data, policy.critical) {
        (NanStrategy::Replace, _, _) => (Label::Pass, false, Rule::NoDataReplaced),
        (NanStrategy::Remove, true, false) => (Label::NodataFailMetric, false, Rule::NoDataFails),
        (NanStrategy::Remove, _, true) => (Label::Nodata, true, Rule::NoDataCritical),
        (NanStrategy::Remove, false, false) => (Label::Nodata, false, Rule::NoData),
    }
}

/// The label of a shift, whether it fails the canary, and why.
///
/// An effect size that is NaN, of a mean of 0, meets every limit.
fn decide(policy: &MetricPolicy, shift: Shift, effect: f64) -> (Label, bool, Rule) {
    let bound = bound(shift);
    let up = |limit: f64| effect.is_nan() || limit <= effect;
    let down = |limit: f64| effect.is_nan() || effect <= limit;
    let is_above = bound < shift.lower;
    let is_below = shift.upper < -bound;
    let is_high = is_above && policy.direction != Direction::Decrease;
    let is_low = is_below && policy.direction != Direction::Increase;
    if is_high && up(policy.allowed.increase) {
        let critical = policy.critical && up(policy.critical_effect.increase);
        (Label::High, critical, Rule::Increase)
    } else if is_low && down(policy.allowed.decrease) {
        let critical = policy.critical && down(policy.critical_effect.decrease);
        (Label::Low, critical, Rule::Decrease)
    } else if is_high || is_low {
        (Label::Pass, false, Rule::AllowedEffect)
    } else if is_above || is_below {
        (Label::Pass, false, Rule::OtherDirection)
    } else {
        (Label::Pass, false, Rule::NoClearShift)
    }
}

/// What the interval must lie beyond.
fn bound(shift: Shift) -> f64 {
    TOLERANCE * shift.estimate.abs()
}

fn test_numbers(policy: &MetricPolicy, shift: Shift, effect: f64, with_noise: bool) -> TestNumbers {
    TestNumbers {
        estimate: shift.estimate,
        lower: shift.lower,
        upper: shift.upper,
        confidence_level: CONFIDENCE_LEVEL,
        bound: bound(shift),
        effect_size: EffectSize {
            measure: match policy.measure {
                Measure::MeanRatio => EffectMeasure::MeanRatio,
                Measure::Cles => EffectMeasure::Cles,
            },
            value: effect,
            allowed_increase: policy.allowed.increase,
            allowed_decrease: policy.allowed.decrease,
        },
        with_noise,
    }
}

/// Whether the values that stay without outlier removal can be one number.
fn may_be_constant(values: &[f64], policy: &MetricPolicy) -> bool {
    let mut numbers = values.iter().filter_map(|value| match policy.nan_strategy {
        _ if !value.is_nan() => Some(*value),
        NanStrategy::Remove => None,
        NanStrategy::Replace => Some(0.0),
    });
    let Some(first) = numbers.next() else {
        return false;
    };
    #[expect(clippy::float_cmp, reason = "constant means equal")]
    numbers.all(|value| value == first)
}

#[expect(clippy::float_cmp, reason = "equal numbers are wanted, 0.0 being -0.0")]
fn is_one_number(a: u64, b: u64) -> bool {
    from_order_key(a) == from_order_key(b)
}

#[cfg(test)]
mod tests;
