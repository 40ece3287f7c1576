//! Which judgement of an analysis a canary is.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// It stands in the canary's execution, so that what was stored is judged alike again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Look {
    /// From 1.
    pub number: u32,
    /// How many there are, unless one ends the analysis before.
    pub planned: u32,
    pub window: LookWindow,
}

/// What a judgement of an analysis looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LookWindow {
    /// All since the start: the last one saw what the earlier ones saw.
    Growing,
    /// A piece of its own.
    Sliding,
}

impl LookWindow {
    /// By `lookbackMins` of the analysis.
    pub const fn of(lookback_mins: i64) -> Self {
        match lookback_mins {
            0 => Self::Growing,
            _ => Self::Sliding,
        }
    }
}

impl Look {
    /// No later judgement of the same will come.
    pub const fn is_last(self) -> bool {
        self.planned <= self.number
    }
}
