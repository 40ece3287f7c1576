//! What an execution tells, read once: whoever shows it, sends it or decides by it asks here.

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::{
    AcceptedByHand, CanaryClassifierThresholdsConfig, CanaryConfig, CanaryExecutionResult,
    CanaryJudgeResult, ExecutionStatus, Kind, Outcome, Pair, StageException,
};

/// A document, read.
#[derive(Clone, Debug)]
pub struct Told<'a> {
    pub kind: Kind,
    pub id: &'a str,
    pub application: &'a str,
    pub config_id: &'a str,
    pub config: Option<&'a CanaryConfig>,
    /// Of the first scope.
    pub sides: Pair<Side<'a>>,
    /// What was judged of the experiment of the first scope, in epoch milliseconds.
    pub window: Window,
    /// The analysis whose judgement it is.
    pub analysis: Option<&'a str>,
    /// `extendedScopeParams` of the experiment.
    pub parameters: Option<&'a IndexMap<String, String>>,
    pub thresholds: Option<CanaryClassifierThresholdsConfig>,
    pub outcome: Outcome,
    /// Of a verdict that stands; of an analysis, the last one.
    pub score: Option<f64>,
    /// What decided: the only judgement, or the last of an analysis that ended with a verdict.
    pub judged: Option<&'a CanaryJudgeResult>,
    /// The pairs of it.
    pub list_id: Option<&'a str>,
    /// Of an analysis: those that have begun, and those to come.
    pub looks: Vec<AnalysisRun<'a>>,
    /// Of an analysis: the stage that is under way.
    pub stage: Option<&'a str>,
    pub exception: Option<&'a StageException>,
    pub times: Times,
    /// No run of a canary wrote it.
    pub received: bool,
    /// What its client said beside the request.
    pub site_local: Option<&'a Map<String, Value>>,
    /// What its client wants to be called as it goes on.
    pub actions: Option<&'a Value>,
    pub by_hand: ByHand<'a>,
}

/// What people did about it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByHand<'a> {
    pub accepted: Option<&'a AcceptedByHand>,
    /// The execution that it judges again.
    pub repeats: Option<&'a str>,
    /// The execution that judges it again.
    pub repeated_by: Option<&'a str>,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Side<'a> {
    pub scope: Option<&'a str>,
    pub location: Option<&'a str>,
}

/// Epoch milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Window {
    pub start: Option<i64>,
    pub end: Option<i64>,
}

/// Epoch milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    pub accepted: Option<i64>,
    pub started: Option<i64>,
    pub ended: Option<i64>,
}

impl Times {
    /// When it started; before that, when it was accepted.
    pub fn begun(self) -> Option<i64> {
        self.started.or(self.accepted)
    }
}

/// One canary of an analysis, as the analysis tells of it.
#[derive(Clone, Copy, Debug)]
pub struct AnalysisRun<'a> {
    /// None before it has begun.
    pub run: Option<&'a str>,
    /// Of its stage.
    pub status: ExecutionStatus,
    pub outcome: Outcome,
    /// Once the analysis has ended.
    pub result: Option<&'a CanaryExecutionResult>,
}

impl<'a> Told<'a> {
    pub fn config_name(&self) -> &'a str {
        let name = self.config.and_then(|config| config.name.as_deref());
        name.unwrap_or_default()
    }

    /// How many judgements of an analysis are done.
    pub fn done(&self) -> usize {
        let done = |look: &&AnalysisRun<'_>| look.status == ExecutionStatus::Succeeded;
        self.looks.iter().filter(done).count()
    }
}

impl<'a> AnalysisRun<'a> {
    pub fn judged(&self) -> Option<&'a CanaryJudgeResult> {
        judged_in(self.result?)
    }
}

pub(super) fn judged_in(run: &CanaryExecutionResult) -> Option<&CanaryJudgeResult> {
    run.result.as_ref()?.judge_result.as_ref()
}
