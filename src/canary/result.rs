//! What a judge answers.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Double, Explanation, Summary, lenient};

/// The verdict on one metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub enum Label {
    Pass,
    High,
    Low,
    Nodata,
    NodataFailMetric,
    Error,
}

/// The verdict on the canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum Verdict {
    Pass,
    Marginal,
    Fail,
    /// Never given by serin; other judges may.
    Nodata,
    /// Never given by serin; other judges may.
    Error,
}

/// What a judge made of a list of metric set pairs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryJudgeResult {
    pub judge_name: String,
    /// One for every pair, in the order of the pairs.
    pub results: Vec<CanaryAnalysisResult>,
    /// In the order in which the groups appear among the results.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[schema(required = true)]
    pub group_scores: Vec<CanaryJudgeGroupScore>,
    pub score: CanaryJudgeScore,
    /// Why; Kayenta has no such member.
    #[serde(
        default,
        deserialize_with = "lenient::if_readable",
        skip_serializing_if = "Option::is_none"
    )]
    pub summary: Option<Summary>,
}

/// What a judge says that decides nothing, or why it says nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Shadow {
    pub judge_name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge_result: Option<CanaryJudgeResult>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What a judge made of one metric set pair.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryAnalysisResult {
    pub name: String,
    /// Labels of the series.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[schema(value_type = std::collections::BTreeMap<String, String>, required = true)]
    pub tags: IndexMap<String, String>,
    /// The id of the metric set pair.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    pub classification: Label,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classification_reason: Option<String>,
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[schema(required = true)]
    pub groups: Vec<String>,
    pub experiment_metadata: SideMetadata,
    pub control_metadata: SideMetadata,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_metadata: Option<ResultMetadata>,
    /// This metric alone failed the canary.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[schema(required = true)]
    pub critical: bool,
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[schema(required = true)]
    pub muted: bool,
    /// Why; Kayenta has no such member.
    #[serde(
        default,
        deserialize_with = "lenient::if_readable",
        skip_serializing_if = "Option::is_none"
    )]
    pub explanation: Option<Explanation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SideMetadata {
    pub stats: CanaryJudgeStats,
}

/// Statistics of one side after NaN and outlier handling; all zero when nothing is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CanaryJudgeStats {
    pub count: u64,
    #[serde(with = "lenient::double")]
    #[schema(value_type = Double)]
    pub mean: f64,
    #[serde(with = "lenient::double")]
    #[schema(value_type = Double)]
    pub min: f64,
    /// Of the sample (n − 1).
    #[serde(with = "lenient::double")]
    #[schema(value_type = Double)]
    pub std: f64,
    #[serde(with = "lenient::double")]
    #[schema(value_type = Double)]
    pub max: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResultMetadata {
    /// Mean of the experiment over mean of the control; `"NaN"` when one of them is 0.
    #[serde(with = "lenient::double")]
    #[schema(value_type = Double)]
    pub ratio: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryJudgeGroupScore {
    pub name: String,
    /// 0 to 100, not rounded.
    pub score: f64,
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[schema(required = true)]
    pub classification: String,
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[schema(required = true)]
    pub classification_reason: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryJudgeScore {
    /// Two decimals; beyond 0 to 100 when the group weights are.
    #[serde(with = "lenient::double")]
    #[schema(value_type = Double)]
    pub score: f64,
    pub classification: Verdict,
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[schema(required = true)]
    pub classification_reason: String,
}
