//! What a list tells of an execution without reading its document.

use serde::{Deserialize, Serialize};

use crate::canary::{
    CanaryAnalysisExecutionStatusResponse, CanaryExecutionStatusResponse, CanaryJudgeResult, Label,
    Outcome,
};

/// One line of a list. Members may come; those of an older version are absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Brief {
    pub outcome: Outcome,
    /// Empty for a config that is not stored.
    #[serde(default)]
    pub config_id: String,
    #[serde(default)]
    pub config_name: String,
    /// Of an analysis, the last one.
    #[serde(default)]
    pub score: Option<f64>,
    /// Metrics, or canaries of an analysis.
    #[serde(default)]
    pub judged: u64,
    /// Of these, which failed.
    #[serde(default)]
    pub failed: u64,
    /// Of these, which could not be judged.
    #[serde(default)]
    pub not_judged: u64,
    #[serde(default)]
    pub control: String,
    #[serde(default)]
    pub experiment: String,
    /// Epoch milliseconds.
    #[serde(default)]
    pub start_time: Option<i64>,
    #[serde(default)]
    pub end_time: Option<i64>,
}

impl Brief {
    pub fn of_canary(canary: &CanaryExecutionStatusResponse) -> Self {
        let judged = canary
            .result
            .as_ref()
            .and_then(|result| result.judge_result.as_ref());
        let request = canary.canary_execution_request.as_ref();
        let scopes = request.and_then(|request| request.scopes.as_ref()?.values().next());
        let name = canary
            .config
            .as_ref()
            .and_then(|config| config.name.clone());
        let labels = |wanted: fn(Label) -> bool| judged.map_or(0, |judged| count(judged, wanted));
        Self {
            outcome: Outcome::of_canary(canary),
            config_id: canary.canary_config_id.clone().unwrap_or_default(),
            config_name: name.unwrap_or_default(),
            score: judged
                .map(|judged| judged.score.score)
                .filter(|score| score.is_finite()),
            judged: judged.map_or(0, |judged| judged.results.len() as u64),
            failed: labels(|label| {
                matches!(label, Label::High | Label::Low | Label::NodataFailMetric)
            }),
            not_judged: labels(|label| matches!(label, Label::Nodata | Label::Error)),
            control: scopes
                .and_then(|pair| pair.control_scope.as_ref()?.scope.clone())
                .unwrap_or_default(),
            experiment: scopes
                .and_then(|pair| pair.experiment_scope.as_ref()?.scope.clone())
                .unwrap_or_default(),
            start_time: canary.start_time_millis,
            end_time: canary.end_time_millis,
        }
    }

    pub fn of_analysis(analysis: &CanaryAnalysisExecutionStatusResponse) -> Self {
        let result = analysis.canary_analysis_execution_result.as_ref();
        let request = analysis.canary_analysis_execution_request.as_ref();
        let scope = request.and_then(|request| request.scopes.as_ref()?.first());
        let name = analysis
            .canary_config
            .as_ref()
            .and_then(|config| config.name.clone());
        let ran = result.map_or(0, |result| result.canary_execution_results.len() as u64);
        Self {
            outcome: Outcome::of_analysis(analysis),
            config_id: analysis.canary_config_id.clone().unwrap_or_default(),
            config_name: name.unwrap_or_default(),
            score: result.and_then(|result| result.canary_scores.last().copied()),
            judged: ran,
            failed: 0,
            not_judged: 0,
            control: scope
                .and_then(|scope| scope.control_scope.clone())
                .unwrap_or_default(),
            experiment: scope
                .and_then(|scope| scope.experiment_scope.clone())
                .unwrap_or_default(),
            start_time: analysis.start_time_millis,
            end_time: analysis.end_time_millis,
        }
    }
}

fn count(judged: &CanaryJudgeResult, wanted: fn(Label) -> bool) -> u64 {
    let labels = judged.results.iter().map(|result| result.classification);
    labels.filter(|label| wanted(*label)).count() as u64
}
