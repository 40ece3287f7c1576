//! What a document says of its execution, before it is put into words.

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::canary::{
    CanaryAnalysisExecutionStatusResponse, CanaryClassifierThresholdsConfig, CanaryConfig,
    CanaryExecutionResult, CanaryExecutionStatusResponse, CanaryJudgeResult, ExecutionStatus,
    StageException, Verdict,
};
use crate::config::Event;
use crate::storage::Record;

/// An execution that channels may be told of.
pub trait Subject: Record {
    /// What its end is, if it has ended and anybody is to hear of it.
    fn end(&self) -> Option<Event>;
    /// What its client said beside the request.
    fn site_local(&self) -> Option<&Map<String, Value>>;
    /// What its client wants to be called as it goes on.
    fn actions(&self) -> Option<&Value>;
    fn facts(&self) -> Facts<'_>;
}

/// What a document says, before it is put into words.
#[derive(Default)]
pub struct Facts<'a> {
    /// `canary` or `analysis`.
    pub kind: &'static str,
    /// What it is called in a title.
    pub noun: &'static str,
    /// Of its pages.
    pub path: &'static str,
    pub config: Option<&'a CanaryConfig>,
    pub control: Option<&'a str>,
    pub experiment: Option<&'a str>,
    /// Of the experiment.
    pub location: Option<&'a str>,
    pub parameters: Option<&'a IndexMap<String, String>>,
    pub thresholds: Option<CanaryClassifierThresholdsConfig>,
    pub judged: Option<&'a CanaryJudgeResult>,
    /// Comes before what the judge says.
    pub remark: Option<&'a str>,
    pub list_id: Option<&'a str>,
    pub exception: Option<&'a StageException>,
    pub start_time: Option<&'a str>,
    pub end_time: Option<&'a str>,
}

impl Subject for CanaryExecutionStatusResponse {
    fn end(&self) -> Option<Event> {
        match (self.status, verdict(self.judged())) {
            (ExecutionStatus::Succeeded, Some(verdict)) => Some(verdict),
            (ExecutionStatus::Succeeded | ExecutionStatus::Terminal, _) => Some(Event::Error),
            _ => None,
        }
    }

    fn site_local(&self) -> Option<&Map<String, Value>> {
        self.canary_execution_request.as_ref()?.site_local.as_ref()
    }

    fn actions(&self) -> Option<&Value> {
        self.canary_execution_request.as_ref()?.actions.as_ref()
    }

    fn facts(&self) -> Facts<'_> {
        let request = self.canary_execution_request.as_ref();
        let scopes = request.and_then(|request| request.scopes.as_ref()?.values().next());
        let control = scopes.and_then(|pair| pair.control_scope.as_ref());
        let experiment = scopes.and_then(|pair| pair.experiment_scope.as_ref());
        Facts {
            kind: "canary",
            noun: "canary",
            path: "ui/runs",
            config: self.config.as_ref(),
            control: control.and_then(|scope| scope.scope.as_deref()),
            experiment: experiment.and_then(|scope| scope.scope.as_deref()),
            location: experiment.and_then(|scope| scope.location.as_deref()),
            parameters: experiment.and_then(|scope| scope.extended_scope_params.as_ref()),
            thresholds: request.and_then(|request| request.thresholds),
            judged: self.judged(),
            remark: None,
            list_id: self.metric_set_pair_list_id.as_deref(),
            exception: self.exception.as_ref(),
            start_time: self.start_time_iso.as_deref(),
            end_time: self.end_time_iso.as_deref(),
        }
    }
}

impl CanaryExecutionStatusResponse {
    fn judged(&self) -> Option<&CanaryJudgeResult> {
        self.result.as_ref()?.judge_result.as_ref()
    }
}

impl Subject for CanaryAnalysisExecutionStatusResponse {
    fn end(&self) -> Option<Event> {
        let result = self.canary_analysis_execution_result.as_ref();
        let passes = result.is_some_and(|result| result.did_pass_thresholds);
        let last = verdict(self.last().and_then(judged_in));
        match (self.status, &self.exception) {
            (ExecutionStatus::Succeeded, _) if passes => Some(Event::Pass),
            (ExecutionStatus::Succeeded, _) => match last {
                Some(Event::Marginal) => Some(Event::Marginal),
                Some(_) => Some(Event::Fail),
                None => Some(Event::Error),
            },
            // A score that is too low ends an analysis early.
            (ExecutionStatus::Terminal, None) if last.is_some() => Some(Event::Fail),
            (ExecutionStatus::Terminal, _) => Some(Event::Error),
            _ => None,
        }
    }

    fn site_local(&self) -> Option<&Map<String, Value>> {
        let request = self.canary_analysis_execution_request.as_ref()?;
        request.site_local.as_ref()
    }

    fn actions(&self) -> Option<&Value> {
        let request = self.canary_analysis_execution_request.as_ref()?;
        request.actions.as_ref()
    }

    fn facts(&self) -> Facts<'_> {
        let request = self.canary_analysis_execution_request.as_ref();
        let scope = request.and_then(|request| request.scopes.as_ref()?.first());
        let result = self.canary_analysis_execution_result.as_ref();
        Facts {
            kind: "analysis",
            noun: "canary analysis",
            path: "ui/analyses",
            config: self.canary_config.as_ref(),
            control: scope.and_then(|scope| scope.control_scope.as_deref()),
            experiment: scope.and_then(|scope| scope.experiment_scope.as_deref()),
            location: scope.and_then(|scope| scope.experiment_location.as_deref()),
            parameters: scope.map(|scope| &scope.extended_scope_params),
            thresholds: request.and_then(|request| request.thresholds),
            judged: self.last().and_then(judged_in),
            remark: result.map(|result| result.canary_score_message.as_str()),
            list_id: self
                .last()
                .and_then(|run| run.metric_set_pair_list_id.as_deref()),
            exception: self.exception.as_ref(),
            start_time: self.start_time_iso.as_deref(),
            end_time: self.end_time_iso.as_deref(),
        }
    }
}

impl CanaryAnalysisExecutionStatusResponse {
    /// The canary that decided.
    fn last(&self) -> Option<&CanaryExecutionResult> {
        let result = self.canary_analysis_execution_result.as_ref()?;
        result.canary_execution_results.last()
    }
}

fn judged_in(run: &CanaryExecutionResult) -> Option<&CanaryJudgeResult> {
    run.result.as_ref()?.judge_result.as_ref()
}

fn verdict(judged: Option<&CanaryJudgeResult>) -> Option<Event> {
    Some(match judged?.score.classification {
        Verdict::Pass => Event::Pass,
        Verdict::Marginal => Event::Marginal,
        Verdict::Fail => Event::Fail,
        Verdict::Nodata | Verdict::Error => Event::Error,
    })
}

#[cfg(test)]
pub mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_end_is_a_verdict_or_an_error_or_nothing() {
        let canaries = [
            ("succeeded", judged("Pass"), Some(Event::Pass)),
            ("succeeded", judged("Marginal"), Some(Event::Marginal)),
            ("succeeded", judged("Fail"), Some(Event::Fail)),
            ("succeeded", judged("Nodata"), Some(Event::Error)),
            ("succeeded", Value::Null, Some(Event::Error)),
            ("terminal", Value::Null, Some(Event::Error)),
            ("canceled", Value::Null, None),
            ("running", Value::Null, None),
        ];
        for (status, result, expected) in canaries {
            assert_eq!(canary(status, &result).end(), expected, "{status} {result}");
        }
        let cases = [
            (
                "succeeded",
                true,
                vec!["Pass"],
                Value::Null,
                Some(Event::Pass),
            ),
            (
                "succeeded",
                false,
                vec!["Pass", "Marginal"],
                Value::Null,
                Some(Event::Marginal),
            ),
            ("succeeded", false, vec![], Value::Null, Some(Event::Error)),
            (
                "terminal",
                false,
                vec!["Pass", "Fail"],
                Value::Null,
                Some(Event::Fail),
            ),
            (
                "terminal",
                false,
                vec!["Marginal"],
                Value::Null,
                Some(Event::Fail),
            ),
            (
                "terminal",
                false,
                vec!["Pass"],
                json!({}),
                Some(Event::Error),
            ),
            ("terminal", false, vec![], Value::Null, Some(Event::Error)),
            ("canceled", false, vec!["Pass"], Value::Null, None),
        ];
        for (status, passes, verdicts, exception, expected) in cases {
            let runs = verdicts.iter().map(|verdict| {
                json!({"executionId": "c", "executionStatus": "SUCCEEDED", "warnings": [],
                    "result": judged(verdict)})
            });
            let result = json!({"didPassThresholds": passes,
                "canaryExecutionResults": runs.collect::<Vec<_>>()});
            let ended = json!({"status": status, "exception": exception,
                "canaryAnalysisExecutionResult": result});
            let ended: CanaryAnalysisExecutionStatusResponse =
                serde_json::from_value(ended).unwrap();
            assert_eq!(ended.end(), expected, "{status} {passes} {verdicts:?}");
        }
    }

    /// A judgement by a judge that explains nothing.
    pub fn judged(verdict: &str) -> Value {
        let stats = json!({"count": 1, "mean": 1, "min": 1, "std": 0, "max": 1});
        let side = json!({"stats": stats});
        let metric = |name: &str, label: &str, critical: bool, muted: bool| {
            json!({"name": name, "id": name, "classification": label, "critical": critical,
                "muted": muted, "classificationReason": "as it seems", "groups": ["g"],
                "experimentMetadata": side, "controlMetadata": side})
        };
        json!({"judgeResult": {
            "judgeName": "other",
            "results": [
                metric("fine", "Pass", false, false),
                metric("high", "High", false, false),
                metric("quiet", "High", false, true),
                metric("gone", "Nodata", false, false),
                metric("vital", "Nodata", true, false),
            ],
            "score": {"score": 50, "classification": verdict, "classificationReason": "too low"},
        }})
    }

    pub fn canary(status: &str, result: &Value) -> CanaryExecutionStatusResponse {
        let canary = json!({"pipelineId": "run", "application": "web", "status": status,
            "complete": true, "metricSetPairListId": "list", "result": result});
        serde_json::from_value(canary).unwrap()
    }
}
