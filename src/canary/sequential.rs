//! What `sequential-v1` tells of a metric beside its rule: numbers, never a text. What is not known, or not finite,
//! is `null`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How much greater the experiment is at the same time, how surely, and how much of that would matter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sequential {
    pub verdict: Finding,
    /// Absent where nothing was measured, or both sides are the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    pub look: LookTaken,
    pub levels: Levels,
    pub pairs: PairCounts,
    pub samples: Samples,
    /// The level of the control that changes are told against.
    pub control_level: Option<f64>,
    /// Of the mean change: of its logarithm with the method `ratio`.
    pub standard_error: Option<f64>,
    /// By how much the experiment is greater, in the unit of the metric; false alarms are as rare as the level says.
    pub change: Interval,
    /// The same, of the control's level.
    pub percent: Interval,
    /// The interval that must lie within the margin for `Equivalent`.
    pub equivalence_percent: Bounds,
    pub margin: Margin,
    /// The least level at which this would have been an alarm.
    pub p: Option<f64>,
    /// The change that would be found at this look in 80 % of the cases.
    pub minimum_detectable: Detectable,
    /// How many more would settle what is open, at the present spread.
    pub minutes_needed: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<EventCounts>,
}

/// What was found of a metric, whatever becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[schema(as = MetricFinding)]
pub enum Finding {
    /// The whole interval lies beyond the margin, in a direction that counts.
    Regressed,
    /// The whole interval lies beyond the margin, in the other direction.
    Improved,
    /// The interval lies within the margin.
    Equivalent,
    /// Neither.
    Inconclusive,
}

/// What was compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Method {
    /// Logarithms of ratios.
    Ratio,
    Difference,
    /// Counts of what is mostly zero.
    Events,
}

/// Where the judgement stands in its analysis.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LookTaken {
    pub number: u32,
    pub planned: u32,
    /// The part of all data that has been seen.
    pub fraction: f64,
    /// No other look shares its level.
    pub single: bool,
    /// What is open is settled by the policy.
    pub last: bool,
}

/// How often the metric may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Levels {
    /// Regressed though nothing beyond the margin changed: its share of that of the canary.
    pub false_alarm: f64,
    /// Equivalent though something beyond the margin changed.
    pub false_pass: f64,
}

/// Points of the two sides at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PairCounts {
    /// Places of the window, without the warm-up.
    pub expected: u64,
    pub control: u64,
    pub experiment: u64,
    pub paired: u64,
}

/// How many independent measurements the points are worth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Samples {
    /// Every how many points share no data.
    pub spacing: u64,
    /// Of points that far apart, to be on the safe side.
    pub autocorrelation: Option<f64>,
    pub independent: Option<f64>,
    pub degrees_of_freedom: Option<f64>,
    /// The change came at once, within the window.
    pub jump: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Interval {
    pub estimate: Option<f64>,
    /// `null` is no bound yet.
    pub lower: Option<f64>,
    pub upper: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Bounds {
    pub lower: Option<f64>,
    pub upper: Option<f64>,
}

/// The change that does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Margin {
    pub up: Option<f64>,
    /// Not above 0.
    pub down: Option<f64>,
    pub up_percent: Option<f64>,
    pub down_percent: Option<f64>,
    /// Absent in what was not held against it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<MarginOrigin>,
}

/// Who said which change does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum MarginOrigin {
    /// The config, of this metric or of all.
    Given,
    /// Nobody.
    Default,
    /// A calibration, from past windows without any change.
    Learned,
    /// A calibration: no margin up to 50 % holds, so the default stands in.
    Unfit,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Detectable {
    pub change: Option<f64>,
    pub percent: Option<f64>,
}

/// Of what is mostly zero.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventCounts {
    pub control: f64,
    pub experiment: f64,
    /// What counts as one event; `null` while the control has shown too few.
    pub unit: Option<f64>,
    /// How much more they vary than events that come one by one.
    pub dispersion: f64,
    /// The share of all events that equal versions would show on the experiment.
    pub null_share: Option<f64>,
    /// The logarithm of the evidence against equal versions.
    #[serde(rename = "lnEValue")]
    pub ln_e_value: Option<f64>,
    /// The experiment has at least so many times as many.
    pub at_least: Option<f64>,
    /// From so many events of the experiment on, it would be an alarm.
    pub alarm_from: Option<u64>,
}

/// `null` of what is no number that can be written.
pub fn known(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}
