//! What a metric config says of how it is judged, for the document of the API: judges read it by
//! themselves, as leniently as Kayenta does.

use serde::Serialize;
use utoipa::ToSchema;

use super::explanation::EffectMeasure;

/// Only the member `canary` is read.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AnalysisConfigurations {
    #[schema(required = false, nullable = false)]
    pub canary: Option<CanaryAnalysisConfiguration>,
}

/// How a metric is judged. Members that serin does not know are kept.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryAnalysisConfiguration {
    /// Which differences matter; `either`, if not given.
    #[schema(required = false, nullable = false)]
    pub direction: Option<Direction>,
    /// What becomes of values that are no numbers: `remove`, if not given, or `replace` by 0.
    #[schema(required = false, nullable = false)]
    pub nan_strategy: Option<NanStrategy>,
    /// Whether the canary fails with it; false, if not given.
    #[schema(required = false)]
    pub critical: Option<bool>,
    /// Whether it fails without data; false, if not given.
    #[schema(required = false)]
    pub must_have_data: Option<bool>,
    /// Whether it is judged without counting; false, if not given.
    #[schema(required = false)]
    pub muted: Option<bool>,
    #[schema(required = false, nullable = false)]
    pub effect_size: Option<EffectSizeConfiguration>,
    #[schema(required = false, nullable = false)]
    pub outliers: Option<OutliersConfiguration>,
    /// What becomes of it when it is doubtful; as `judge.judgeConfigurations.doubt` says, if not given.
    #[schema(required = false)]
    pub doubt: Option<DoubtStrategy>,
    /// For `sequential-v1`: a smaller change, in the metric's unit, never counts; 0, if not given.
    #[schema(required = false, minimum = 0)]
    pub minimum_change: Option<f64>,
    /// For `sequential-v1`: minutes at the start that do not count; those of the judge, if not given.
    #[schema(required = false, minimum = 0)]
    pub warmup_mins: Option<f64>,
    /// For `sequential-v1`: what becomes of what is unclear at the last look; as the judge's, if not given.
    #[schema(required = false)]
    pub inconclusive: Option<InconclusiveStrategy>,
    /// For `sequential-v1`: what it is made of; `auto`, if not given.
    #[schema(required = false)]
    pub kind: Option<MetricKind>,
    /// For `sequential-v1`: traffic of the experiment over that of the control; 1, if not given.
    #[schema(required = false)]
    pub traffic_ratio: Option<f64>,
}

/// From which size on a difference counts; limits are inclusive, and without one any difference does.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EffectSizeConfiguration {
    /// `meanRatio`, if not given: mean of the experiment over that of the control.
    #[schema(required = false, nullable = false)]
    pub measure: Option<EffectMeasure>,
    #[schema(required = false, example = 1.1)]
    pub allowed_increase: Option<f64>,
    #[schema(required = false, example = 0.9)]
    pub allowed_decrease: Option<f64>,
    /// From which on a critical metric fails the canary.
    #[schema(required = false, example = 1.5)]
    pub critical_increase: Option<f64>,
    #[schema(required = false, example = 0.5)]
    pub critical_decrease: Option<f64>,
}

/// What becomes of points that lie far outside.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutliersConfiguration {
    /// `keep`, if not given.
    #[schema(required = false, nullable = false)]
    pub strategy: Option<OutlierStrategy>,
    /// In interquartile ranges, above 0; 3, if not given.
    #[schema(required = false)]
    pub outlier_factor: Option<f64>,
}

/// The words of a member, and the type that the document has for them.
macro_rules! words {
    ($($(#[$about:meta])* $name:ident { $($word:ident),+ })+) => {$(
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Serialize, ToSchema)]
        #[serde(rename_all = "camelCase")]
        pub enum $name { $($word),+ }
    )+};
}

words! {
    Direction { Increase, Decrease, Either }
    NanStrategy { Replace, Remove }
    OutlierStrategy { Remove, Keep }
    DoubtStrategy { Tell, Fail, Ignore }
    InconclusiveStrategy { Pass, Marginal, Fail }
    MetricKind { Auto, Values, Events }
}
