//! What can be found, each under the name that one searches for.

use clap::ValueEnum;
use serde::Serialize;
use utoipa::ToSchema;

use crate::metrics::DoubtKind;

/// The worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// No canary can be judged by it, or not by what its author wrote.
    Error,
    /// It can be judged by, and the verdict may not mean what its author thinks.
    Warning,
}

/// `docs/lint.md` says what each means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    Unreadable,
    NoConfig,
    NoMetrics,
    TooLarge,
    NoMetricName,
    DuplicateMetric,
    NoQuery,
    NoScopeName,
    NoWeights,
    BadName,
    BadPolicy,
    BadAction,
    UnknownJudge,
    UnknownCalibration,
    MisspeltMember,
    MisspeltSource,
    UnknownValue,
    UnknownTemplate,
    DeprecatedFilter,
    MisspeltVariable,
    UnsetVariable,
    ForeignVariable,
    NoPromqlPrefix,
    UnbuildableQuery,
    ForeignFilter,
    BrokenQuery,
    QuantileWithoutLe,
    QuantileOutOfRange,
    NegativeWeight,
    ScoreAlwaysZero,
    UnreachableThreshold,
    NotStorable,
    OtherSource,
    RandomJudge,
    NotCalibrated,
    OldCalibration,
    ChangedQuery,
    UnfitMetric,
    UnknownMember,
    UnknownVariable,
    UnusedTemplate,
    ShadowedTemplate,
    NoFilter,
    DoubtfulQuery,
    EqualQueries,
    KeptLabel,
    SharedData,
    CounterWithoutRate,
    FewPoints,
    WeightsSum,
    GroupWithoutMetrics,
    GroupWithoutWeight,
    MetricWithoutGroup,
    MarginalAbovePass,
    IdleLimit,
    DoubtfulLimit,
    IdleMustHaveData,
    DoubtfulDirection,
    DoubtfulScopeName,
    NoSeries,
    UnpairedSeries,
    UnreadPolicy,
    WideShare,
    FewIndependent,
    SeparateLooks,
}

impl Code {
    pub fn severity(self) -> Severity {
        match self {
            Self::Unreadable
            | Self::NoConfig
            | Self::NoMetrics
            | Self::TooLarge
            | Self::NoMetricName
            | Self::DuplicateMetric
            | Self::NoQuery
            | Self::NoScopeName
            | Self::NoWeights
            | Self::BadName
            | Self::BadPolicy
            | Self::BadAction
            | Self::UnknownJudge
            | Self::UnknownCalibration
            | Self::MisspeltMember
            | Self::MisspeltSource
            | Self::UnknownValue
            | Self::UnknownTemplate
            | Self::DeprecatedFilter
            | Self::MisspeltVariable
            | Self::UnsetVariable
            | Self::ForeignVariable
            | Self::NoPromqlPrefix
            | Self::UnbuildableQuery
            | Self::ForeignFilter
            | Self::BrokenQuery
            | Self::QuantileWithoutLe
            | Self::QuantileOutOfRange
            | Self::NegativeWeight
            | Self::ScoreAlwaysZero
            | Self::UnreachableThreshold => Severity::Error,
            Self::NotStorable
            | Self::OtherSource
            | Self::RandomJudge
            | Self::NotCalibrated
            | Self::OldCalibration
            | Self::ChangedQuery
            | Self::UnfitMetric
            | Self::UnknownMember
            | Self::UnknownVariable
            | Self::UnusedTemplate
            | Self::ShadowedTemplate
            | Self::NoFilter
            | Self::DoubtfulQuery
            | Self::EqualQueries
            | Self::KeptLabel
            | Self::SharedData
            | Self::CounterWithoutRate
            | Self::FewPoints
            | Self::WeightsSum
            | Self::GroupWithoutMetrics
            | Self::GroupWithoutWeight
            | Self::MetricWithoutGroup
            | Self::MarginalAbovePass
            | Self::IdleLimit
            | Self::DoubtfulLimit
            | Self::IdleMustHaveData
            | Self::DoubtfulDirection
            | Self::DoubtfulScopeName
            | Self::NoSeries
            | Self::UnpairedSeries
            | Self::UnreadPolicy
            | Self::WideShare
            | Self::FewIndependent
            | Self::SeparateLooks => Severity::Warning,
        }
    }

    /// As it is written: `equal-queries`.
    pub fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

impl From<DoubtKind> for Code {
    fn from(kind: DoubtKind) -> Self {
        match kind {
            DoubtKind::Broken => Self::BrokenQuery,
            DoubtKind::Doubtful => Self::DoubtfulQuery,
            DoubtKind::NoPrefix | DoubtKind::NoPrefixOfKayenta => Self::NoPromqlPrefix,
            DoubtKind::ForeignFilter => Self::ForeignFilter,
            DoubtKind::NoFilter => Self::NoFilter,
            DoubtKind::KeptLabel => Self::KeptLabel,
            DoubtKind::SharedData => Self::SharedData,
            DoubtKind::CounterWithoutRate => Self::CounterWithoutRate,
            DoubtKind::QuantileWithoutLe => Self::QuantileWithoutLe,
            DoubtKind::QuantileOutOfRange => Self::QuantileOutOfRange,
        }
    }
}
