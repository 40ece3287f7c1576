//! Margins that were learned from past windows in which nothing changed.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::CanaryMetricConfig;

/// What a calibration says of the metrics of a config. It stands in the canary's execution, so that what was
/// stored is judged alike again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Learned {
    /// The calibration that the config names.
    pub calibration: String,
    /// When it was made, in epoch milliseconds.
    pub made_millis: i64,
    /// The time that its windows cover, in epoch milliseconds.
    pub from_millis: i64,
    pub to_millis: i64,
    pub metrics: Vec<LearnedMargin>,
}

/// Of one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LearnedMargin {
    pub metric: String,
    /// A relative change, 0.12 for 12 %; absent where no margin up to 50 % holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
    /// How many windows were judged.
    pub windows: u32,
    /// [`fingerprint`] of the query that was asked.
    pub query: String,
}

impl Learned {
    pub fn of(&self, metric: &str) -> Option<&LearnedMargin> {
        self.metrics.iter().find(|learned| learned.metric == metric)
    }
}

/// Of the query of a metric as it is written, in 16 hexadecimal digits: another query has another one.
pub fn fingerprint(metric: &CanaryMetricConfig) -> String {
    let mut query = serde_json::to_value(&metric.query).unwrap_or(Value::Null);
    query.sort_all_objects();
    let digest = Sha256::digest(query.to_string());
    let digits = digest.iter().take(8).map(|byte| format!("{byte:02x}"));
    digits.collect()
}
