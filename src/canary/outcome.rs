//! How an execution stands, in one word: a list and a page show it before all else.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{CanaryClassifierThresholdsConfig, CanaryJudgeResult, ExecutionStatus, Verdict};

/// The verdict once there is one, else what kept it from coming.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Waiting,
    Running,
    Pass,
    Marginal,
    Fail,
    /// What was measured cannot carry a verdict.
    #[serde(alias = "nodata")]
    Inconclusive,
    Error,
    Canceled,
}

impl Outcome {
    pub const ALL: [Self; 8] = [
        Self::Waiting,
        Self::Running,
        Self::Pass,
        Self::Marginal,
        Self::Fail,
        Self::Inconclusive,
        Self::Error,
        Self::Canceled,
    ];

    /// Of one judgement: what its judge made of the doubts, else its classification.
    pub fn of_judged(judged: &CanaryJudgeResult) -> Self {
        let told = judged.summary.as_ref().and_then(|summary| summary.outcome);
        told.unwrap_or(Self::of_verdict(judged.score.classification))
    }

    /// Its doubts made it another verdict than its score tells: that of infinite values is a pass.
    pub fn is_turned(judged: &CanaryJudgeResult) -> bool {
        Self::of_judged(judged) != Self::of_verdict(judged.score.classification)
    }

    /// Of a verdict without doubts.
    pub const fn of_verdict(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Pass => Self::Pass,
            Verdict::Marginal => Self::Marginal,
            Verdict::Fail => Self::Fail,
            Verdict::Nodata => Self::Inconclusive,
            Verdict::Error => Self::Error,
        }
    }

    /// Of the last score of an analysis. As in Kayenta, a score at the marginal threshold is not
    /// above it, and a threshold that is not there is reached.
    pub fn of_score(score: f64, thresholds: CanaryClassifierThresholdsConfig) -> Self {
        let goes_on = thresholds.marginal.is_none_or(|marginal| marginal < score);
        let passes = thresholds.pass.is_none_or(|pass| pass <= score);
        match (goes_on, passes) {
            (true, true) => Self::Pass,
            (true, false) => Self::Marginal,
            (false, _) => Self::Fail,
        }
    }

    /// Of an execution without a verdict.
    pub const fn of_status(status: ExecutionStatus) -> Self {
        match status {
            ExecutionStatus::NotStarted | ExecutionStatus::Buffered => Self::Waiting,
            ExecutionStatus::Running
            | ExecutionStatus::Paused
            | ExecutionStatus::Suspended
            | ExecutionStatus::Redirect => Self::Running,
            ExecutionStatus::Canceled | ExecutionStatus::Stopped | ExecutionStatus::Skipped => {
                Self::Canceled
            }
            ExecutionStatus::Succeeded
            | ExecutionStatus::FailedContinue
            | ExecutionStatus::Terminal => Self::Error,
        }
    }

    /// Nothing more will happen.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }

    /// The score was measured, and says what it seems to say.
    pub const fn has_score(self) -> bool {
        matches!(self, Self::Pass | Self::Marginal | Self::Fail)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Pass => "pass",
            Self::Marginal => "marginal",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
            Self::Error => "error",
            Self::Canceled => "canceled",
        }
    }

    /// As people read it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "Waiting",
            Self::Running => "Running",
            Self::Pass => "Pass",
            Self::Marginal => "Marginal",
            Self::Fail => "Fail",
            Self::Inconclusive => "Inconclusive",
            Self::Error => "Error",
            Self::Canceled => "Canceled",
        }
    }

    /// The outcome of that name, whatever its case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.as_str().eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_held_against_the_thresholds_as_kayenta_does() {
        let cases = [
            (95.0, Some(75.0), Some(95.0), Outcome::Pass),
            (94.99, Some(75.0), Some(95.0), Outcome::Marginal),
            (75.0, Some(75.0), Some(95.0), Outcome::Fail),
            // An analysis that stops at such a score has not come to its end.
            (75.0, Some(75.0), Some(75.0), Outcome::Fail),
            (80.0, Some(80.0), Some(50.0), Outcome::Fail),
            (0.0, None, Some(95.0), Outcome::Marginal),
            (80.0, Some(75.0), None, Outcome::Pass),
            (0.0, None, None, Outcome::Pass),
            (f64::NAN, Some(75.0), Some(95.0), Outcome::Fail),
        ];
        for (score, marginal, pass, expected) in cases {
            let thresholds = CanaryClassifierThresholdsConfig { pass, marginal };
            let outcome = Outcome::of_score(score, thresholds);
            assert_eq!(outcome, expected, "{score} {marginal:?} {pass:?}");
        }
    }

    #[test]
    fn names_are_found_in_any_case() {
        for outcome in Outcome::ALL {
            let upper = outcome.as_str().to_uppercase();
            assert_eq!(Outcome::parse(&upper), Some(outcome));
        }
        assert_eq!(Outcome::parse("could not tell"), None);
        let former: Outcome = serde_json::from_str("\"nodata\"").unwrap();
        assert_eq!(former, Outcome::Inconclusive);
    }
}
