//! What may happen to an execution that others are told of, or call something at.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Outcome;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    Start,
    /// A judgement of an analysis passed. It calls, and is told to nobody.
    Interval,
    Pass,
    Marginal,
    Fail,
    /// What was measured cannot carry a verdict.
    Inconclusive,
    /// It ended without a verdict, or was canceled.
    Error,
}

impl Event {
    pub const ALL: [Self; 7] = [
        Self::Start,
        Self::Interval,
        Self::Pass,
        Self::Marginal,
        Self::Fail,
        Self::Inconclusive,
        Self::Error,
    ];

    /// Those by which an execution ends.
    pub const ENDS: [Self; 5] = [
        Self::Pass,
        Self::Marginal,
        Self::Fail,
        Self::Error,
        Self::Inconclusive,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Interval => "interval",
            Self::Pass => "pass",
            Self::Marginal => "marginal",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
            Self::Error => "error",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.as_str() == name)
    }

    /// The end of an execution that came to it by itself: who cancels knows.
    pub const fn of_end(outcome: Outcome) -> Option<Self> {
        match outcome {
            Outcome::Pass => Some(Self::Pass),
            Outcome::Marginal => Some(Self::Marginal),
            Outcome::Fail => Some(Self::Fail),
            Outcome::Inconclusive => Some(Self::Inconclusive),
            Outcome::Error => Some(Self::Error),
            Outcome::Waiting | Outcome::Running | Outcome::Canceled => None,
        }
    }

    pub fn is_end(self) -> bool {
        Self::ENDS.contains(&self)
    }
}
