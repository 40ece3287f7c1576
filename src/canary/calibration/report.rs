//! What past windows say.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What past windows in which nothing changed say of a config.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub from_millis: i64,
    pub from_iso: String,
    pub to_millis: i64,
    pub to_iso: String,
    /// That were judged.
    pub windows: u32,
    /// That no metric had data for, and that do not count.
    pub without_data: u32,
    pub window_mins: u32,
    /// How often each is judged.
    pub looks: u32,
    pub judges: Vec<JudgeRates>,
    /// That which the config names.
    #[serde(default)]
    pub decides: String,
    /// The second judge with the margins that are suggested; on the same windows, so that others may do worse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggested: Option<JudgeRates>,
    pub metrics: Vec<MetricRates>,
    /// What to keep in mind of all of it.
    pub warnings: Vec<String>,
    /// All in words; the first is what was done, the second what came of it.
    pub sentences: Vec<String>,
}

/// How often something was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Rate {
    pub count: u32,
    pub of: u32,
    pub share: f64,
    /// Wilson's interval of 95 % for the true share.
    pub lower: f64,
    pub upper: f64,
}

/// How often a judge would have stopped a release.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct JudgeRates {
    pub judge: String,
    /// At any of the looks, or at the last for want of a pass.
    pub stopped: Rate,
    /// With one look, at the end.
    pub at_one_look: Rate,
    /// Why windows could not be judged, and are not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What was found of one metric.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricRates {
    pub metric: String,
    /// How often the second judge may be wrong about it.
    pub level: f64,
    pub alarms: Vec<MetricAlarms>,
    /// Windows in which it could not be measured.
    pub unmeasured: u32,
    /// The least margin that holds the level: 0.12 for 12 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
    /// No margin up to 50 % holds the level.
    pub unfit: bool,
    /// Of the query, by which a later change is noticed.
    pub query: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typical: Option<Typical>,
    pub advice: Vec<Advice>,
}

/// How often a metric was High or Low.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricAlarms {
    pub judge: String,
    pub at_any_look: Rate,
    pub at_one_look: Rate,
}

/// What the second judge says of a whole window, in the middle of all windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Typical {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub independent: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autocorrelation: Option<f64>,
    /// Points that share data with their neighbours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spacing: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_detectable_percent: Option<f64>,
    /// The change that was seen in nine of ten windows lies between these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lower_percent: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upper_percent: Option<f64>,
    /// Shares of the windows.
    pub equivalent: f64,
    pub inconclusive: f64,
}

/// What would help a metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Advice {
    /// `margin`, `unfit`, `range`, `window`, `pods`, `days`, `zero`, `guess`.
    pub code: String,
    pub sentence: String,
}
