//! A standalone canary analysis: an execution whose next step falls due at a time.
//!
//! Each step is taken by whoever claims the row, is written with the time of the next one, and
//! can be repeated: the id of a canary follows from the analysis and its number.

mod admission;

use ulid::Ulid;
use uuid::Uuid;

use super::admission::admit_for;
use super::alone::given_up;
use super::plan::{Plan, run_number};
use super::stages::{Failure, Stage};
use super::start::Admission;
use crate::actions::Judgement;
use crate::app::App;
use crate::canary::{
    AnalysisStage, CanaryAnalysisExecutionResult, CanaryAnalysisExecutionStatusResponse,
    CanaryExecutionResult, CanaryExecutionStatusResponse, Execution, ExecutionStatus, Id, Instant,
    LookWindow, Outcome, StageException, iso_from_millis, together,
};
use crate::error::{Error, Result};
use crate::judge::looks::{self, Standing};
use crate::storage::Claim;

pub use admission::check_analysis;

const SETUP: &str = "Sets up and executes the wait, run and monitor canary task chain.";
const GENERATE_RESULT: &str =
    "Aggregates and evaluates the canary executions and generates the final results.";

/// How often a running canary is looked at, should nobody tell that it ended.
const POLL_MILLIS: i64 = 1_000;

/// Fewer points than this on a control give a warning.
const FEW_POINTS: u64 = 50;
const FEW_POINTS_WARNING: &str = "One of the metrics returned fewer than 50 data points, which can reduce confidence in the final canary score.";

/// Takes the steps that can be taken now. Until when it waits then, or `None` at its end. `passed`
/// is the judgement that passed on the way: between two waits there is one at most.
pub async fn advance(
    app: &App,
    claim: &Claim,
    analysis: &mut CanaryAnalysisExecutionStatusResponse,
    passed: &mut Option<Judgement>,
) -> Result<Option<i64>> {
    let now = app.clock.now_millis();
    if let Some(error) = given_up(app, claim, "a step of the analysis") {
        end_failed(app, analysis, exception(error, now)).await?;
        return Ok(None);
    }
    let request = analysis.canary_analysis_execution_request.clone();
    let started = analysis.start_time_millis.unwrap_or(now);
    let plan = match Plan::of(&request.unwrap_or_default(), started) {
        Ok(plan) => plan,
        Err(error) => {
            start(analysis, &[], now);
            end_failed(app, analysis, exception(error, now)).await?;
            return Ok(None);
        }
    };
    if analysis.status == ExecutionStatus::NotStarted {
        start(analysis, &plan.stages(), now);
    }
    loop {
        let Some(at) = current(analysis) else {
            end(app, analysis, ExecutionStatus::Succeeded, None).await?;
            return Ok(None);
        };
        let now = app.clock.now_millis();
        if !analysis.stage_status[at].is_run() {
            let due = plan.due_millis(&analysis.stage_status, at);
            if now < due {
                return Ok(Some(due));
            }
            succeed(analysis, at);
            continue;
        }
        let Some(id) = analysis.stage_status[at].execution_id.clone() else {
            let id = start_canary(app, analysis, &plan, at).await;
            match id {
                Ok(id) => analysis.stage_status[at].execution_id = Some(id),
                Err(error @ Error::Invalid(_)) => {
                    tracing::warn!(%error, "cannot start a canary of an analysis");
                    analysis.stage_status[at].set(ExecutionStatus::Terminal);
                    let failed = Error::Invalid("Failed to initiate canary analysis".to_owned());
                    end_failed(app, analysis, exception(failed, now)).await?;
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
            return Ok(Some(now + POLL_MILLIS));
        };
        let canary = canary(app, analysis, &id).await?;
        if !canary.complete {
            return Ok(Some(now + POLL_MILLIS));
        }
        if goes_on(&canary, &plan) {
            *passed = judgement(&canary, run_number(&analysis.stage_status, at));
            succeed(analysis, at);
            continue;
        }
        analysis.stage_status[at].set(ExecutionStatus::Terminal);
        let exception = match canary.status {
            ExecutionStatus::Succeeded => None,
            ExecutionStatus::Canceled => Some(canceled_exception()),
            _ => canary.exception,
        };
        end(app, analysis, ExecutionStatus::Terminal, exception).await?;
        return Ok(None);
    }
}

/// The stage that is under way; the setup stage, which spans them all, is none.
fn current(analysis: &CanaryAnalysisExecutionStatusResponse) -> Option<usize> {
    analysis
        .stage_status
        .iter()
        .position(|stage| stage.is_running() && stage.kind != AnalysisStage::SETUP)
}

fn start(analysis: &mut CanaryAnalysisExecutionStatusResponse, stages: &[AnalysisStage], now: i64) {
    analysis.set_status(ExecutionStatus::Running);
    analysis.start_time_millis = Some(now);
    analysis.start_time_iso = Some(iso_from_millis(now));
    let mut setup = AnalysisStage::new(AnalysisStage::SETUP, SETUP);
    setup.set(ExecutionStatus::Running);
    analysis.stage_status = stages.to_vec();
    if let Some(first) = analysis.stage_status.first_mut() {
        first.set(ExecutionStatus::Running);
    }
    analysis.stage_status.push(setup);
}

/// Ends a stage and begins the next one.
fn succeed(analysis: &mut CanaryAnalysisExecutionStatusResponse, at: usize) {
    analysis.stage_status[at].set(ExecutionStatus::Succeeded);
    if let Some(next) = analysis.stage_status.get_mut(at + 1)
        && next.kind != AnalysisStage::SETUP
    {
        next.set(ExecutionStatus::Running);
    }
}

/// What an analysis is to judge, and when it does so next; epoch milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Course {
    pub start: i64,
    pub end: i64,
    /// None where it has ended, or judges now.
    pub next: Option<i64>,
}

/// The course of an analysis as it was planned; none where it could not be planned.
pub fn course(analysis: &CanaryAnalysisExecutionStatusResponse) -> Option<Course> {
    let request = analysis.canary_analysis_execution_request.as_ref()?;
    let planned = analysis.start_time_millis.or(analysis.build_time_millis)?;
    let plan = Plan::of(request, planned).ok()?;
    let (start, end) = plan.lifetime();
    let waits = current(analysis).filter(|at| !analysis.stage_status[*at].is_run());
    let waits = waits.filter(|_| !analysis.complete);
    let next = waits.map(|at| plan.judges_at(run_number(&analysis.stage_status, at)));
    Some(Course { start, end, next })
}

/// The canary that runs now, or would be started next.
pub fn canary_under_way(analysis: &CanaryAnalysisExecutionStatusResponse) -> Option<String> {
    let at = current(analysis)?;
    let stage = &analysis.stage_status[at];
    let number = || run_number(&analysis.stage_status, at);
    let id = || stage.is_run().then(|| canary_id(analysis, number()));
    stage.execution_id.clone().or_else(id)
}

/// The same whenever it is tried: the time in it is that of the analysis plus the number; the time
/// of its start is another one when the first step is taken again.
fn canary_id(analysis: &CanaryAnalysisExecutionStatusResponse, number: u32) -> String {
    let id = analysis.pipeline_id.as_deref().unwrap_or_default();
    let random = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{id}/{number}").as_bytes());
    let time = analysis.build_time_millis.unwrap_or(0) + i64::from(number);
    let time = u64::try_from(time).unwrap_or(0);
    Ulid::from_parts(time, random.as_u128()).to_string()
}

async fn start_canary(
    app: &App,
    analysis: &CanaryAnalysisExecutionStatusResponse,
    plan: &Plan,
    at: usize,
) -> Result<String> {
    let number = run_number(&analysis.stage_status, at);
    let canary = canary_id(analysis, number);
    let id = analysis.pipeline_id.as_deref().unwrap_or_default();
    let going_on = Admission::going_on(analysis.caller.clone(), analysis.application.clone());
    let admission = Admission {
        parent_pipeline_execution_id: analysis.parent_pipeline_execution_id.clone(),
        canary_config_id: analysis.canary_config_id.clone(),
        config: analysis.canary_config.clone().unwrap_or_default(),
        request: plan.request(number),
        metrics_account: analysis.metrics_account_name.clone(),
        storage_account: analysis.storage_account_name.clone().unwrap_or_default(),
        look: Some(plan.look(number)),
        ..going_on
    };
    admit_for(app, id, &canary, admission).await?;
    Ok(canary)
}

async fn canary(
    app: &App,
    analysis: &CanaryAnalysisExecutionStatusResponse,
    id: &str,
) -> Result<CanaryExecutionStatusResponse> {
    let id = Id::parse(id)?;
    if let Some(live) = app.storage.live(&id).await? {
        return Ok(live);
    }
    let account = analysis.storage_account_name.as_deref().unwrap_or_default();
    let archive = app.storage.archive(account, &id).await?;
    Ok(archive.into_parts().0)
}

/// Whether the next canary may run.
fn goes_on(canary: &CanaryExecutionStatusResponse, plan: &Plan) -> bool {
    score_of(canary).is_some_and(|score| looks::goes_on(score, plan.marginal()))
}

/// The judgement of a canary, if it is a pass that stands.
fn judgement(canary: &CanaryExecutionStatusResponse, number: u32) -> Option<Judgement> {
    let told = canary.told();
    let score = told.score.filter(|_| told.outcome == Outcome::Pass)?;
    Some(Judgement { number, score })
}

fn score_of(canary: &CanaryExecutionStatusResponse) -> Option<f64> {
    let result = canary.result.as_ref()?.judge_result.as_ref()?;
    Some(result.score.score)
}

fn exception(error: Error, now: i64) -> StageException {
    let failure = Failure {
        stage: Stage::Setup,
        error,
    };
    StageException {
        operation: Some(SETUP.to_owned()),
        ..failure.exception(None, now)
    }
}

fn canceled_exception() -> StageException {
    let mut exception = StageException::default();
    let errors = vec!["Canary execution was canceled."];
    exception.details.insert("errors".to_owned(), errors.into());
    exception
}

async fn end_failed(
    app: &App,
    analysis: &mut CanaryAnalysisExecutionStatusResponse,
    exception: StageException,
) -> Result<()> {
    end(app, analysis, ExecutionStatus::Terminal, Some(exception)).await
}

/// Ends the analysis: stages that never started go, the result is made of the canaries that ran.
async fn end(
    app: &App,
    analysis: &mut CanaryAnalysisExecutionStatusResponse,
    status: ExecutionStatus,
    exception: Option<StageException>,
) -> Result<()> {
    analysis
        .stage_status
        .retain(|stage| stage.status != "NOT_STARTED");
    for stage in &mut analysis.stage_status {
        if stage.is_running() {
            stage.set(status);
        }
    }
    let mut ran = Vec::new();
    for stage in &analysis.stage_status {
        let Some(id) = &stage.execution_id else {
            continue;
        };
        match canary(app, analysis, id).await {
            Ok(canary) => ran.push(canary),
            Err(error @ Error::NotFound(_)) => {
                tracing::warn!(%error, "a canary is missing in the result of an analysis");
            }
            // A store that is down for a moment must not take a canary out of the result.
            Err(error) => return Err(error),
        }
    }
    let mut generated = AnalysisStage::new(AnalysisStage::GENERATE_RESULT, GENERATE_RESULT);
    generated.set(ExecutionStatus::Succeeded);
    analysis.stage_status.push(generated);
    let cost = together(ran.iter().filter_map(|canary| canary.cost.as_ref()));
    analysis.cost = Some(cost).filter(|cost| !cost.is_empty());
    let judged = outcome(analysis, &ran);
    analysis.outcome = Some(exception.as_ref().map_or(judged, |_| Outcome::Error));
    analysis.canary_analysis_execution_result = Some(result(analysis, ran));
    analysis.exception = exception;
    analysis.end(status, app.clock.now_millis());
    Ok(())
}

/// What the judgements come to.
fn outcome(
    analysis: &CanaryAnalysisExecutionStatusResponse,
    ran: &[CanaryExecutionStatusResponse],
) -> Outcome {
    let request = analysis.canary_analysis_execution_request.as_ref();
    let thresholds = request.and_then(|request| request.thresholds);
    let window = LookWindow::of(request.map_or(0, |request| request.lookback_mins));
    let standing = |canary: &CanaryExecutionStatusResponse| {
        let told = canary.told();
        told.judged
            .map_or_else(|| Standing::without_verdict(told.outcome), Standing::of)
    };
    let looks: Vec<Standing> = ran.iter().map(standing).collect();
    looks::outcome(&looks, thresholds.unwrap_or_default(), window)
}

fn result(
    analysis: &CanaryAnalysisExecutionStatusResponse,
    ran: Vec<CanaryExecutionStatusResponse>,
) -> CanaryAnalysisExecutionResult {
    let thresholds = analysis
        .canary_analysis_execution_request
        .as_ref()
        .and_then(|request| request.thresholds)
        .unwrap_or_default();
    let scores: Vec<f64> = ran.iter().map(|run| score_of(run).unwrap_or(0.0)).collect();
    let (did_pass_thresholds, message) = verdict(&scores, thresholds.marginal, thresholds.pass);
    let left_over = left_over(analysis).map_or_else(String::new, |told| format!(" ({told})"));
    let results: Vec<_> = ran.into_iter().map(execution_result).collect();
    CanaryAnalysisExecutionResult {
        did_pass_thresholds,
        has_warnings: results.iter().any(|result| !result.warnings.is_empty()),
        canary_score_message: message + &left_over,
        canary_scores: scores,
        canary_execution_results: results,
    }
}

/// Beside Kayenta's words: who reads only these must not take it for all of the time.
fn left_over(analysis: &CanaryAnalysisExecutionStatusResponse) -> Option<String> {
    let request = analysis.canary_analysis_execution_request.as_ref()?;
    let started = analysis.start_time_millis.unwrap_or_default();
    Plan::of(request, started).ok()?.left_over()
}

/// Whether the last score passes, and Kayenta's words for it.
fn verdict(scores: &[f64], marginal: Option<f64>, pass: Option<f64>) -> (bool, String) {
    let Some(last) = scores.last() else {
        let message = "There were no successful canary judgements to aggregate";
        return (false, message.to_owned());
    };
    match (marginal, pass) {
        (None, None) => (true, "No score thresholds were specified.".to_owned()),
        (Some(marginal), _) if *last <= marginal => (
            false,
            format!("Final canary score {last:?} is not above the marginal score threshold."),
        ),
        (_, None) => (true, "No pass score threshold was specified.".to_owned()),
        (_, Some(pass)) if *last < pass => (
            false,
            format!("Final canary score {last:?} is below the pass score threshold."),
        ),
        _ => (
            true,
            format!("Final canary score {last:?} met or exceeded the pass score threshold."),
        ),
    }
}

fn execution_result(canary: CanaryExecutionStatusResponse) -> CanaryExecutionResult {
    let few = canary
        .result
        .as_ref()
        .and_then(|result| result.judge_result.as_ref())
        .is_some_and(|judged| {
            let counts = judged
                .results
                .iter()
                .map(|one| one.control_metadata.stats.count);
            counts.into_iter().any(|count| count < FEW_POINTS)
        });
    let control = canary
        .canary_execution_request
        .as_ref()
        .and_then(|request| {
            request
                .scopes
                .as_ref()?
                .values()
                .next()?
                .control_scope
                .clone()
        })
        .unwrap_or_default();
    CanaryExecutionResult {
        execution_id: canary.pipeline_id.unwrap_or_default(),
        execution_status: canary.status.as_str().to_uppercase(),
        exception: canary.exception,
        result: canary.result,
        judgement_start_time_iso: control.start.map(|start| start.to_string()),
        judgement_start_time_millis: control.start.map(Instant::as_millis),
        judgement_end_time_iso: control.end.map(|end| end.to_string()),
        judgement_end_time_millis: control.end.map(Instant::as_millis),
        warnings: few
            .then(|| FEW_POINTS_WARNING.to_owned())
            .into_iter()
            .collect(),
        metric_set_pair_list_id: canary.metric_set_pair_list_id,
        build_time_millis: canary.build_time_millis,
        build_time_iso: canary.build_time_iso,
        start_time_millis: canary.start_time_millis,
        start_time_iso: canary.start_time_iso,
        end_time_millis: canary.end_time_millis,
        end_time_iso: canary.end_time_iso,
        storage_account_name: canary.storage_account_name,
        configuration_account_name: canary.configuration_account_name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_score_decides() {
        let cases = [
            (
                &[][..],
                Some(75.0),
                Some(95.0),
                false,
                "There were no successful canary judgements to aggregate",
            ),
            (
                &[95.0],
                None,
                None,
                true,
                "No score thresholds were specified.",
            ),
            (
                &[60.0],
                Some(75.0),
                Some(95.0),
                false,
                "Final canary score 60.0 is not above the marginal score threshold.",
            ),
            (
                &[75.0],
                Some(75.0),
                None,
                false,
                "Final canary score 75.0 is not above the marginal score threshold.",
            ),
            (
                &[85.0],
                Some(75.0),
                None,
                true,
                "No pass score threshold was specified.",
            ),
            (
                &[100.0, 66.67],
                Some(50.0),
                Some(95.0),
                false,
                "Final canary score 66.67 is below the pass score threshold.",
            ),
            (
                &[0.0, 97.0],
                Some(75.0),
                Some(95.0),
                true,
                "Final canary score 97.0 met or exceeded the pass score threshold.",
            ),
        ];
        for (scores, marginal, pass, passes, message) in cases {
            let told = verdict(scores, marginal, pass);
            assert_eq!(told, (passes, message.to_owned()));
        }
    }
}
