//! The vocabulary: what travels between client, store and judge, with Kayenta's wire names.

pub mod actions;
pub mod analysis;
mod attributes;
mod by_hand;
pub mod calibration;
pub mod config;
mod cost;
mod document;
mod event;
pub mod execution;
pub mod explanation;
pub mod fault;
mod gate;
mod kind;
mod learned;
mod lenient;
mod look;
pub mod metric_set;
pub mod names;
pub mod near;
pub mod number;
mod outcome;
mod policy;
pub mod reason;
pub mod replay;
pub mod result;
pub mod scope;
pub mod sequential;
mod time;
pub mod told;
mod window;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

pub use actions::{Action, ActionCall, ActionMethod, ActionOutcome, ActionRecord, Actions};
pub use analysis::{
    AnalysisStage, CanaryAnalysisAdhocExecutionRequest, CanaryAnalysisExecutionRequest,
    CanaryAnalysisExecutionRequestScope, CanaryAnalysisExecutionResult,
    CanaryAnalysisExecutionStatusResponse, CanaryExecutionResult,
};
pub use attributes::Attributes;
pub use by_hand::{Acceptance, AcceptedByHand, Amendment};
pub use calibration::{Calibration, CalibrationRequest, CalibrationSummary};
pub use config::{
    CanaryClassifierConfig, CanaryClassifierThresholdsConfig, CanaryConfig, CanaryConfigSummary,
    CanaryJudgeConfig, CanaryMetricConfig, CanaryMetricSetQueryConfig,
};
pub use cost::{Costs, RateLimit, ServiceCost, together};
pub use document::Execution;
pub use event::Event;
pub use execution::{
    CanaryAdhocExecutionRequest, CanaryExecutionRequest, CanaryExecutionStatusResponse,
    CanaryResult, ExecutionStatus, StageException,
};
pub use explanation::{Doubt, DoubtCause, DoubtfulMetric, Explanation, SentQuery, Summary};
pub use fault::{Fault, Path, Position};
pub use gate::CanaryVerdictRequest;
pub use kind::Kind;
pub use learned::{KeptMargins, Learned, LearnedMargin, TaughtBy, fingerprint};
pub use lenient::Double;
pub use look::{Look, LookWindow};
pub use metric_set::{MetricSet, MetricSetPair, MetricSetScope};
pub use outcome::Outcome;
pub use policy::{
    AnalysisConfigurations, CanaryAnalysisConfiguration, EffectSizeConfiguration,
    OutliersConfiguration,
};
pub use replay::{
    Agreement, NotReplayed, NotReplayedCause, OutcomePair, Replay, ReplayRequest, ReplayTally,
    ReplayedLabel, ReplayedMetric, ReplayedRun, ReplayedVerdict, WhatIf,
};
pub use result::{
    CanaryAnalysisResult, CanaryJudgeGroupScore, CanaryJudgeResult, CanaryJudgeScore,
    CanaryJudgeStats, Label, Shadow, Verdict,
};
pub use scope::{CanaryScope, CanaryScopePair};
pub use sequential::Sequential;
pub use time::{Instant, date_from_millis, iso_duration, iso_from_millis};
pub use told::{AnalysisRun, ByHand, Told};
pub use window::Window;

use crate::error::{Error, Result};

/// The two sides of a comparison, named so that they cannot be swapped by position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pair<T> {
    pub control: T,
    pub experiment: T,
}

impl<T> Pair<T> {
    /// The same step on both sides.
    pub fn map<U>(self, mut step: impl FnMut(T) -> U) -> Pair<U> {
        Pair {
            control: step(self.control),
            experiment: step(self.experiment),
        }
    }

    pub const fn as_ref(&self) -> Pair<&T> {
        Pair {
            control: &self.control,
            experiment: &self.experiment,
        }
    }
}

/// An id that can stand in a path or an object key: it never leaves its folder.
///
/// Not empty, at most 255 bytes, no `/`, `\` or control character, not `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Id(String);

impl Id {
    /// # Errors
    /// `Invalid` when the text could not be a folder name of its own.
    pub fn parse(text: &str) -> Result<Self> {
        let outside = text.is_empty()
            || text.len() > 255
            || text == "."
            || text == ".."
            || text.contains(['/', '\\'])
            || text.contains(char::is_control);
        if outside {
            return Err(Error::Invalid(format!(
                "'{}' is not an id: 1 to 255 bytes without '/', '\\' or control characters are wanted",
                text.escape_default()
            )));
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Id {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Removes members that are `null`, at every depth, as Kayenta does when it stores a document.
/// Elements of arrays stay.
pub fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        Value::Array(elements) => elements.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_never_leaves_its_folder() {
        for text in ["", ".", "..", "a/b", "a\\b", "a\nb", &"x".repeat(256)] {
            assert!(Id::parse(text).is_err(), "{text:?}");
        }
        for text in ["a", "my-own-id.v1", "...", "ä", "a b"] {
            assert_eq!(Id::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn nulls_go_and_elements_stay() {
        let mut value = serde_json::json!({"a": null, "b": {"c": null, "d": 1}, "e": [null]});
        drop_nulls(&mut value);
        assert_eq!(value, serde_json::json!({"b": {"d": 1}, "e": [null]}));
    }
}
