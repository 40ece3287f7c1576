//! How an execution stands, in one word: a list and a page show it before all else.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    CanaryAnalysisExecutionStatusResponse, CanaryExecutionStatusResponse, ExecutionStatus, Verdict,
};

/// The verdict once there is one, else what kept it from coming.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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

    pub fn of_canary(canary: &CanaryExecutionStatusResponse) -> Self {
        let judged = canary
            .result
            .as_ref()
            .and_then(|result| result.judge_result.as_ref());
        match judged {
            Some(judged) if canary.complete => Self::of_verdict(judged.score.classification),
            _ => Self::of_status(canary.status),
        }
    }

    /// An analysis knows no middle: it passes its thresholds or does not.
    pub fn of_analysis(analysis: &CanaryAnalysisExecutionStatusResponse) -> Self {
        let result = analysis.canary_analysis_execution_result.as_ref();
        match (analysis.status, result) {
            (ExecutionStatus::Succeeded | ExecutionStatus::Terminal, Some(result))
                if analysis.exception.is_none() =>
            {
                if result.did_pass_thresholds {
                    Self::Pass
                } else {
                    Self::Fail
                }
            }
            _ => Self::of_status(analysis.status),
        }
    }

    pub const fn of_verdict(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Pass => Self::Pass,
            Verdict::Marginal => Self::Marginal,
            Verdict::Fail => Self::Fail,
            Verdict::Nodata => Self::Inconclusive,
            Verdict::Error => Self::Error,
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

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == name)
    }
}
