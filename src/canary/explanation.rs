//! Why a verdict is what it is. Kayenta has nothing of this; its clients pass over these members.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::sequential::Sequential;
use super::{Double, Outcome, Pair, lenient};

/// Why a metric got its label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    pub rule: Rule,
    /// The rule in plain words, with the numbers that decided.
    pub sentence: String,
    /// What the test found; absent where the label was settled without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<TestNumbers>,
    /// What `sequential-v1` found, in its place.
    #[serde(
        default,
        deserialize_with = "lenient::if_readable",
        skip_serializing_if = "Option::is_none"
    )]
    pub sequential: Option<Box<Sequential>>,
    pub points: Pair<Points>,
    /// What should make a reader careful, whatever the label.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// Why the data cannot carry the label; each is a warning too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubts: Vec<Doubt>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queries: Option<Pair<SentQuery>>,
}

/// What decided the label of a metric; there are no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Rule {
    /// Pass: both sides hold the same values.
    Identical,
    /// Pass: both sides hold one and the same value, not equally often.
    SameConstant,
    /// Pass: the interval does not lie beyond the bound.
    NoClearShift,
    /// Pass: the shift is clear, and in the direction that does not count.
    OtherDirection,
    /// Pass: the shift is clear, and smaller than allowed.
    AllowedEffect,
    /// High: the interval lies above the bound, and the effect is as large as counts. Of `sequential-v1` also a Pass,
    /// where a rise is better.
    Increase,
    /// Low: the interval lies below the bound, and the effect is as large as counts. Of `sequential-v1` also a Pass,
    /// where a fall is better.
    Decrease,
    /// Pass: a side has no data, and missing data were to be replaced.
    NoDataReplaced,
    /// Nodata: a side has no data.
    NoData,
    /// Nodata: a side has no data, which fails a critical metric.
    NoDataCritical,
    /// `NodataFailMetric`: a side has no data, and the metric must have data.
    NoDataFails,
    /// Error: the test could not be computed.
    TestFailed,
    /// `NodataFailMetric`: the metric is doubtful, and is to fail by that.
    DoubtFails,
    /// The label is that of a judge that does not explain itself.
    OtherJudge,
    /// High: so far above the margin that few samples suffice.
    FarAbove,
    /// Low: so far below the margin that few samples suffice.
    FarBelow,
    /// High: more events than equal versions would show.
    MoreEvents,
    /// Pass: the interval lies within the margin.
    WithinMargin,
    /// Pass: neither side ever changes, and they differ by less than the margin.
    Constant,
    /// Open: the interval contains the margin.
    Wide,
    /// Open: too few events to tell.
    FewEvents,
    /// Open: the points are worth too few independent samples.
    FewIndependent,
    /// Open: past windows without any change differ by more than any margin, so the metric fails nothing.
    Unfit,
    /// Not measured: too few pairs of points.
    FewSamples,
    /// Not measured: too few places of the window have points on both sides.
    Gaps,
    /// Not measured: the points of the two sides never fall on the same time.
    Misaligned,
    /// Not measured: each side held one value, and they differ.
    ConstantDifference,
}

/// The Mann-Whitney test of one metric.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestNumbers {
    /// By how much the experiment is greater than the control, in the unit of the metric.
    #[serde(with = "lenient::double")]
    #[schema(value_type = Double)]
    pub estimate: f64,
    /// Limits of the confidence interval of that.
    #[serde(with = "lenient::double")]
    #[schema(value_type = Double)]
    pub lower: f64,
    #[serde(with = "lenient::double")]
    #[schema(value_type = Double)]
    pub upper: f64,
    /// Of the interval.
    #[schema(example = 0.98)]
    pub confidence_level: f64,
    /// A quarter of the size of the estimate: the interval must lie beyond it.
    #[serde(with = "lenient::double")]
    #[schema(value_type = Double)]
    pub bound: f64,
    pub effect_size: EffectSize,
    /// Both sides were constant, so that noise was added before the test.
    #[serde(default)]
    pub with_noise: bool,
}

/// How large the difference is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EffectSize {
    pub measure: EffectMeasure,
    /// `"NaN"` when a mean is 0, which meets every limit.
    #[serde(with = "lenient::double")]
    #[schema(value_type = Double)]
    pub value: f64,
    /// From which on an increase counts.
    #[serde(with = "lenient::double")]
    #[schema(value_type = Double)]
    pub allowed_increase: f64,
    /// Down to which a decrease does not count.
    #[serde(with = "lenient::double")]
    #[schema(value_type = Double)]
    pub allowed_decrease: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum EffectMeasure {
    MeanRatio,
    /// Common language effect size.
    Cles,
}

/// What became of the points of one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Points {
    /// Before cleaning: what came, and what is known to be missing at the end of the window.
    pub total: u64,
    /// That were missing or NaN.
    pub nan: u64,
    /// Dropped outside of the fences.
    pub outliers: u64,
    /// That were judged.
    pub judged: u64,
    /// Beyond which a value is an outlier; absent when outliers are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fences: Option<FenceLimits>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FenceLimits {
    #[serde(with = "lenient::double")]
    #[schema(value_type = Double)]
    pub lower: f64,
    #[serde(with = "lenient::double")]
    #[schema(value_type = Double)]
    pub upper: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Warning {
    pub code: WarningCode,
    pub sentence: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum WarningCode {
    FewPoints,
    Gaps,
    DifferentStep,
    /// The source of the series warned, or answered in part.
    Source,
    UnpairedLabels,
    EqualQueries,
    Tied,
    Constant,
    /// The range of a rate is longer than the step: neighbouring points share data.
    SharedData,
    /// Each value stands many times: the step is shorter than new values come.
    Repeated,
    /// A `null` counts as 0.
    Nulls,
    /// Of a canary: its groups cannot reach 100 points.
    LostWeights,
    OneSided,
    Infinite,
    Coverage,
    Partial,
    Dropped,
    TooFew,
    Counter,
    RatioOfMeans,
    NoData,
    NotTested,
    Misaligned,
    ConstantDifference,
    /// A share of successes, judged by the default margin.
    Ceiling,
    /// The sides are of different times, whose levels differ by themselves.
    TimeShift,
    /// The calibration that the config names does not know the metric.
    NotCalibrated,
    /// The query is not the one that was calibrated.
    OtherQuery,
    /// The calibration is old.
    OldCalibration,
}

/// Why the data of a metric cannot carry its label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Doubt {
    pub cause: DoubtCause,
    /// The cause in plain words, with its numbers.
    pub sentence: String,
}

/// What makes a metric doubtful; there are no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum DoubtCause {
    /// Only one side has data, or a series.
    OneSided,
    /// A value is infinite.
    Infinite,
    /// A side covers too little of its window.
    Coverage,
    /// The source answered in part.
    Partial,
    /// Samples were histograms, or could not be read.
    Dropped,
    /// A side has under eight finite points.
    TooFew,
    /// Both sides only rise: a counter without `rate`.
    Counter,
    /// A mean is 0 or below, and the effect is a ratio of means.
    RatioOfMeans,
    /// There are no data, and they decide.
    NoData,
    /// The label is `Error`.
    NotTested,
    /// The points of the two sides never fall on the same time.
    Misaligned,
    /// Each side held one value all the time, and they differ.
    ConstantDifference,
}

impl DoubtCause {
    /// Of the warning that says the same.
    pub const fn code(self) -> WarningCode {
        match self {
            Self::OneSided => WarningCode::OneSided,
            Self::Infinite => WarningCode::Infinite,
            Self::Coverage => WarningCode::Coverage,
            Self::Partial => WarningCode::Partial,
            Self::Dropped => WarningCode::Dropped,
            Self::TooFew => WarningCode::TooFew,
            Self::Counter => WarningCode::Counter,
            Self::RatioOfMeans => WarningCode::RatioOfMeans,
            Self::NoData => WarningCode::NoData,
            Self::NotTested => WarningCode::NotTested,
            Self::Misaligned => WarningCode::Misaligned,
            Self::ConstantDifference => WarningCode::ConstantDifference,
        }
    }

    /// As it is written in a document.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OneSided => "oneSided",
            Self::Infinite => "infinite",
            Self::Coverage => "coverage",
            Self::Partial => "partial",
            Self::Dropped => "dropped",
            Self::TooFew => "tooFew",
            Self::Counter => "counter",
            Self::RatioOfMeans => "ratioOfMeans",
            Self::NoData => "noData",
            Self::NotTested => "notTested",
            Self::Misaligned => "misaligned",
            Self::ConstantDifference => "constantDifference",
        }
    }

    /// Whether it says that a difference which was found may be none: else High and Low stand.
    pub const fn questions_failures(self) -> bool {
        matches!(self, Self::Counter | Self::RatioOfMeans)
    }
}

/// A metric that is doubtful.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DoubtfulMetric {
    /// The id of its metric set pair.
    pub id: String,
    pub name: String,
    pub causes: Vec<DoubtCause>,
    /// The verdict hangs on it: failed, it would be another than passed.
    pub hangs: bool,
}

/// The query of one side, as it was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SentQuery {
    #[schema(value_type = String)]
    pub text: Arc<str>,
    /// Opens it in the source's own pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub link: Option<Arc<str>>,
}

/// Why a canary got its verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    pub rule: SummaryRule,
    pub sentence: String,
    /// In the order of `groupScores`, then those that have a weight and no metric.
    pub groups: Vec<GroupCost>,
    /// Metrics of all kinds, muted ones included.
    pub metrics: u64,
    /// Of these, those without data or with an error.
    pub not_judged: u64,
    /// Of these, those that `sequential-v1` could not settle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_settled: Option<u64>,
    /// The share of runs without any change that may fail all the same, as `sequential-v1` was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub false_alarm: Option<f64>,
    /// The verdict with its doubts; absent in what an older version judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// The metrics that are doubtful, in the order of the results.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubts: Vec<DoubtfulMetric>,
    /// What should make a reader careful of the score.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

/// What decided the verdict on a canary; there are no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum SummaryRule {
    /// A critical metric failed.
    CriticalMetric,
    /// Half of the metrics or more had no data.
    HalfWithoutData,
    /// The score was compared with the thresholds.
    Score,
    /// A metric that is not settled keeps the score below the pass threshold.
    Inconclusive,
}

/// What a group adds to the score, and takes from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupCost {
    pub name: String,
    /// Of 100 for all groups; those without a weight share what is left.
    #[serde(with = "lenient::double")]
    #[schema(value_type = Double)]
    pub weight: f64,
    /// How many points of the score are missing because of it.
    #[serde(with = "lenient::double")]
    #[schema(value_type = Double)]
    pub cost: f64,
    pub passed: u64,
    pub failed: u64,
    pub not_judged: u64,
}
