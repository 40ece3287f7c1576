//! The document of an execution, from its birth to its archive `<group>/<id>/<group>.json`.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::told::{AnalysisRun, ByHand, Side, Times, Told, Window, judged_in};
use super::{
    AnalysisStage, CanaryAnalysisExecutionStatusResponse, CanaryExecutionStatusResponse,
    CanaryJudgeResult, ExecutionStatus, Instant, Kind, Outcome, Pair, StageException,
    iso_from_millis,
};

/// An execution of either kind.
pub trait Execution: Serialize + DeserializeOwned + Send + Sync {
    const KIND: Kind;

    fn id(&self) -> &str;
    fn application(&self) -> &str;
    fn canary_config_id(&self) -> &str;
    fn storage_account(&self) -> &str;
    fn status(&self) -> ExecutionStatus;
    /// Epoch milliseconds.
    fn build_time(&self) -> i64;
    fn by_hand(&self) -> ByHand<'_>;
    /// All that there is to tell of it.
    fn told(&self) -> Told<'_>;
    /// Ends it as canceled.
    fn end_canceled(&mut self, now_millis: i64);
}

/// Both documents have these members under the same names.
macro_rules! named_alike {
    () => {
        fn id(&self) -> &str {
            self.pipeline_id.as_deref().unwrap_or_default()
        }

        fn application(&self) -> &str {
            self.application.as_deref().unwrap_or_default()
        }

        fn canary_config_id(&self) -> &str {
            self.canary_config_id.as_deref().unwrap_or_default()
        }

        fn storage_account(&self) -> &str {
            self.storage_account_name.as_deref().unwrap_or_default()
        }

        fn status(&self) -> ExecutionStatus {
            self.status
        }

        fn build_time(&self) -> i64 {
            self.build_time_millis.unwrap_or(0)
        }

        fn by_hand(&self) -> ByHand<'_> {
            ByHand {
                accepted: self.accepted_by_hand.as_ref(),
                repeats: self.repeats.as_deref(),
                repeated_by: self.repeated_by.as_deref(),
            }
        }
    };
}

impl Execution for CanaryExecutionStatusResponse {
    const KIND: Kind = Kind::Canary;

    named_alike!();

    fn told(&self) -> Told<'_> {
        let request = self.canary_execution_request.as_ref();
        let pair = request.and_then(|request| request.scopes.as_ref()?.values().next());
        let scopes = Pair {
            control: pair.and_then(|pair| pair.control_scope.as_ref()),
            experiment: pair.and_then(|pair| pair.experiment_scope.as_ref()),
        };
        let result = self.result.as_ref();
        let result = result.filter(|_| self.complete && self.exception.is_none());
        let judged = result.and_then(|result| result.judge_result.as_ref());
        let outcome = match (self.outcome, judged, Outcome::of_status(self.status)) {
            (Some(outcome), _, _) if self.complete => outcome,
            (_, _, Outcome::Canceled) | (_, None, _) => Outcome::of_status(self.status),
            (_, Some(judged), _) => Outcome::of_judged(judged),
        };
        Told {
            kind: Self::KIND,
            id: self.id(),
            application: self.application(),
            config_id: self.canary_config_id(),
            config: self.config.as_ref(),
            sides: scopes.map(|scope| {
                scope.map_or_else(Side::default, |scope| Side {
                    scope: scope.scope.as_deref(),
                    location: scope.location.as_deref(),
                })
            }),
            window: scopes
                .experiment
                .map_or_else(Window::default, |scope| Window {
                    start: scope.start.map(Instant::as_millis),
                    end: scope.end.map(Instant::as_millis),
                }),
            analysis: self.analysis.as_deref(),
            parameters: scopes
                .experiment
                .and_then(|scope| scope.extended_scope_params.as_ref()),
            thresholds: request.and_then(|request| request.thresholds),
            outcome,
            score: judged.and_then(|judged| score_of(judged, outcome)),
            judged,
            list_id: self.metric_set_pair_list_id.as_deref(),
            looks: Vec::new(),
            stage: None,
            exception: self.exception.as_ref(),
            received: self.received,
            times: Times {
                accepted: self.build_time_millis,
                started: self.start_time_millis,
                ended: self.end_time_millis,
            },
            site_local: request.and_then(|request| request.site_local.as_ref()),
            actions: request.and_then(|request| request.actions.as_ref()),
            by_hand: self.by_hand(),
        }
    }

    fn end_canceled(&mut self, now_millis: i64) {
        self.status = ExecutionStatus::Canceled;
        self.outcome = Some(Outcome::Canceled);
        self.exception = Some(StageException::canceled(now_millis));
        self.complete = true;
        for state in self.stage_status.values_mut() {
            if state == "running" {
                "canceled".clone_into(state);
            }
        }
        if self.start_time_millis.is_some() {
            self.end_time_millis = Some(now_millis);
            self.end_time_iso = Some(iso_from_millis(now_millis));
        }
    }
}

impl Execution for CanaryAnalysisExecutionStatusResponse {
    const KIND: Kind = Kind::Analysis;

    named_alike!();

    fn told(&self) -> Told<'_> {
        let request = self.canary_analysis_execution_request.as_ref();
        let scope = request.and_then(|request| request.scopes.as_ref()?.first());
        let result = self.canary_analysis_execution_result.as_ref();
        let last = result.and_then(|result| result.canary_execution_results.last());
        let outcome = match self.outcome {
            Some(outcome) if self.complete => outcome,
            _ => self.outcome_of_old(),
        };
        let has_verdict = outcome.has_score() || outcome == Outcome::Inconclusive;
        let last = last.filter(|_| has_verdict);
        let last_score = result.and_then(|result| result.canary_scores.last().copied());
        let mut stages = self.stage_status.iter();
        let stage = stages.find(|stage| stage.is_running() && stage.kind != AnalysisStage::SETUP);
        Told {
            kind: Self::KIND,
            id: self.id(),
            application: self.application(),
            config_id: self.canary_config_id(),
            config: self.canary_config.as_ref(),
            sides: Pair {
                control: scope.map_or_else(Side::default, |scope| Side {
                    scope: scope.control_scope.as_deref(),
                    location: scope.control_location.as_deref(),
                }),
                experiment: scope.map_or_else(Side::default, |scope| Side {
                    scope: scope.experiment_scope.as_deref(),
                    location: scope.experiment_location.as_deref(),
                }),
            },
            window: Window::default(),
            analysis: None,
            parameters: scope.map(|scope| &scope.extended_scope_params),
            thresholds: request.and_then(|request| request.thresholds),
            outcome,
            score: match last.and_then(judged_in) {
                Some(judged) if Outcome::is_turned(judged) => None,
                _ => last_score.filter(|score| outcome.has_score() && score.is_finite()),
            },
            judged: last.and_then(judged_in),
            list_id: last.and_then(|run| run.metric_set_pair_list_id.as_deref()),
            looks: self.looks(),
            stage: stage.map(|stage| stage.name.as_str()),
            exception: self.exception.as_ref(),
            received: false,
            times: Times {
                accepted: self.build_time_millis,
                started: self.start_time_millis,
                ended: self.end_time_millis,
            },
            site_local: request.and_then(|request| request.site_local.as_ref()),
            actions: request.and_then(|request| request.actions.as_ref()),
            by_hand: self.by_hand(),
        }
    }

    fn end_canceled(&mut self, now_millis: i64) {
        self.end(ExecutionStatus::Canceled, now_millis);
        self.outcome = Some(Outcome::Canceled);
        for stage in &mut self.stage_status {
            if stage.status == "RUNNING" {
                "CANCELED".clone_into(&mut stage.status);
            }
        }
    }
}

impl CanaryAnalysisExecutionStatusResponse {
    /// What an older version, or Kayenta, has not written down: neither knew doubts.
    fn outcome_of_old(&self) -> Outcome {
        let verdict = || {
            if self.exception.is_some() {
                return None;
            }
            let result = self.canary_analysis_execution_result.as_ref()?;
            if let Some(last) = result.canary_execution_results.last() {
                let judged = judged_in(last)?;
                let outcome = Outcome::of_judged(judged);
                if !outcome.has_score() || Outcome::is_turned(judged) {
                    return Some(outcome);
                }
            }
            let request = self.canary_analysis_execution_request.as_ref();
            let thresholds = request.and_then(|request| request.thresholds);
            let score = result.canary_scores.last()?;
            Some(Outcome::of_score(*score, thresholds.unwrap_or_default()))
        };
        let otherwise = Outcome::of_status(self.status);
        match otherwise {
            Outcome::Error => verdict().unwrap_or(Outcome::Error),
            otherwise => otherwise,
        }
    }

    fn looks(&self) -> Vec<AnalysisRun<'_>> {
        let result = self.canary_analysis_execution_result.as_ref();
        let results = result.map(|result| result.canary_execution_results.as_slice());
        let results = results.unwrap_or_default();
        let runs = self.stage_status.iter().filter(|stage| stage.is_run());
        runs.map(|stage| {
            let run = stage.execution_id.as_deref();
            let mut own = results.iter();
            let result = own.find(|result| Some(result.execution_id.as_str()) == run);
            let status = ExecutionStatus::parse(&stage.status).unwrap_or_default();
            let outcome = match result.map(|result| (result, judged_in(result))) {
                Some((_, Some(judged))) => Outcome::of_judged(judged),
                Some((result, None)) => Outcome::of_status(
                    ExecutionStatus::parse(&result.execution_status).unwrap_or_default(),
                ),
                None => Outcome::of_status(status),
            };
            AnalysisRun {
                run,
                status,
                outcome,
                result,
            }
        })
        .collect()
    }
}

/// The score of a verdict that stands by it.
fn score_of(judged: &CanaryJudgeResult, outcome: Outcome) -> Option<f64> {
    let score = Some(judged.score.score).filter(|score| score.is_finite());
    score.filter(|_| outcome.has_score() && !Outcome::is_turned(judged))
}
