//! One standalone analysis as it is shown: its judgements on a line of time.

use super::view::{self, Fact, FailureView, Moment, Thresholds};
use crate::canary::number::number;
use crate::canary::{
    AnalysisStage, CanaryAnalysisExecutionRequestScope, CanaryAnalysisExecutionStatusResponse,
    CanaryExecutionResult, CanaryExecutionStatusResponse, ExecutionStatus, Outcome,
};

/// Of the drawings; pages give them their real size.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 100.0;

/// Room for the dots at the edges.
const MARGIN: f64 = 9.0;

/// All that is told of one analysis.
#[derive(Clone, Debug)]
pub struct AnalysisView {
    pub id: String,
    pub application: String,
    pub config_name: String,
    /// Of a config that is stored.
    pub config_id: Option<String>,
    pub outcome: Outcome,
    /// The last one, which decides.
    pub score: Option<String>,
    pub sentence: String,
    pub failure: Option<FailureView>,
    pub thresholds: Option<Thresholds>,
    pub started: Option<Moment>,
    pub duration: Option<String>,
    /// Those that have begun.
    pub judgements: Vec<Judgement>,
    /// How many have not.
    pub to_come: usize,
    /// Where the thresholds lie, from the top of the drawing of the scores.
    pub pass_y: Option<f64>,
    pub marginal_y: Option<f64>,
    /// What all windows lie in.
    pub from: Option<Moment>,
    pub until: Option<Moment>,
    /// The scores as a line; a dot is a line of no length.
    pub line: String,
    pub now: Option<String>,
    pub facts: Vec<Fact>,
}

/// One canary of an analysis.
#[derive(Clone, Debug)]
pub struct Judgement {
    pub number: usize,
    pub run: Option<String>,
    pub outcome: Outcome,
    pub score: Option<String>,
    /// Its place in the drawing of the scores.
    pub dot: Option<(f64, f64)>,
    pub start: Option<Moment>,
    pub end: Option<Moment>,
    pub left: f64,
    pub width: f64,
    pub sentence: String,
}

/// What is known of one canary.
struct Known {
    run: Option<String>,
    outcome: Outcome,
    score: Option<f64>,
    window: Option<(i64, i64)>,
    sentence: String,
}

/// `canaries` are those whose documents are there; of others, the analysis itself tells.
pub fn analysis(
    analysis: &CanaryAnalysisExecutionStatusResponse,
    canaries: &[CanaryExecutionStatusResponse],
) -> AnalysisView {
    let outcome = Outcome::of_analysis(analysis);
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let config = analysis.canary_config.as_ref();
    let result = analysis.canary_analysis_execution_result.as_ref();
    let request = analysis.canary_analysis_execution_request.as_ref();
    let limits = request.and_then(|request| request.thresholds);
    let runs = analysis.stage_status.iter().filter(|stage| stage.is_run());
    let (begun, to_come): (Vec<_>, Vec<_>) = runs.partition(|stage| stage.execution_id.is_some());
    let known = begun
        .into_iter()
        .map(|stage| known(analysis, stage, canaries));
    let known: Vec<Known> = known.collect();
    let windows = known.iter().filter_map(|known| known.window);
    let frame = windows.reduce(|(from, until), (start, end)| (from.min(start), until.max(end)));
    let judgements: Vec<Judgement> = known
        .into_iter()
        .enumerate()
        .map(|(index, known)| judgement(index + 1, known, frame))
        .collect();
    AnalysisView {
        id: text(&analysis.pipeline_id),
        application: text(&analysis.application),
        config_name: config
            .and_then(|config| config.name.clone())
            .unwrap_or_default(),
        config_id: view::stored_config(analysis.canary_config_id.as_deref()),
        outcome,
        score: result
            .and_then(|result| result.canary_scores.last())
            .map(|score| view::number_of_score(*score)),
        sentence: sentence(analysis, outcome),
        failure: analysis.exception.as_ref().map(view::failure),
        to_come: to_come.len(),
        pass_y: limits.and_then(|limits| limits.pass).map(score_y),
        marginal_y: limits.and_then(|limits| limits.marginal).map(score_y),
        thresholds: limits.and_then(view::thresholds_of),
        started: analysis
            .start_time_millis
            .or(analysis.build_time_millis)
            .and_then(Moment::of_millis),
        duration: view::duration(analysis.start_time_millis, analysis.end_time_millis),
        line: line(&judgements),
        from: frame.and_then(|(from, _)| Moment::of_millis(from)),
        until: frame.and_then(|(_, until)| Moment::of_millis(until)),
        judgements,
        now: now(analysis),
        facts: facts(analysis),
    }
}

fn sentence(analysis: &CanaryAnalysisExecutionStatusResponse, outcome: Outcome) -> String {
    let result = analysis.canary_analysis_execution_result.as_ref();
    match (outcome, result) {
        (Outcome::Waiting, _) => "It waits for its turn".to_owned(),
        (Outcome::Running, _) => "Its windows are judged one after the other".to_owned(),
        (Outcome::Canceled, _) => "It was canceled, and has no verdict".to_owned(),
        (_, Some(result)) if !result.canary_score_message.is_empty() => {
            result.canary_score_message.clone()
        }
        _ => "It has no verdict".to_owned(),
    }
}

fn known(
    analysis: &CanaryAnalysisExecutionStatusResponse,
    stage: &AnalysisStage,
    canaries: &[CanaryExecutionStatusResponse],
) -> Known {
    let run = stage.execution_id.clone();
    let canary = canaries
        .iter()
        .find(|canary| run.is_some() && canary.pipeline_id == run);
    if let Some(canary) = canary {
        return of_document(canary, run);
    }
    let results = analysis.canary_analysis_execution_result.iter();
    let mut results = results.flat_map(|result| &result.canary_execution_results);
    let result = results.find(|result| Some(&result.execution_id) == run.as_ref());
    if let Some(result) = result {
        return of_result(result, run);
    }
    Known {
        outcome: match ExecutionStatus::parse(&stage.status) {
            Some(status) => Outcome::of_status(status),
            None => Outcome::Waiting,
        },
        run,
        score: None,
        window: None,
        sentence: String::new(),
    }
}

fn of_document(canary: &CanaryExecutionStatusResponse, run: Option<String>) -> Known {
    let judged = canary
        .result
        .as_ref()
        .and_then(|result| result.judge_result.as_ref());
    let scopes = canary.canary_execution_request.as_ref();
    let scopes = scopes.and_then(|request| request.scopes.as_ref()?.values().next());
    let window = scopes.and_then(|pair| {
        let scope = pair
            .experiment_scope
            .as_ref()
            .or(pair.control_scope.as_ref())?;
        Some((scope.start?.as_millis(), scope.end?.as_millis()))
    });
    let told = view::run(canary, None);
    Known {
        run,
        outcome: told.outcome,
        score: judged.map(|judged| judged.score.score),
        window,
        sentence: told
            .failure
            .map_or(told.sentence, |failure| failure.message),
    }
}

fn of_result(result: &CanaryExecutionResult, run: Option<String>) -> Known {
    let judged = result
        .result
        .as_ref()
        .and_then(|result| result.judge_result.as_ref());
    let status = ExecutionStatus::parse(&result.execution_status).unwrap_or_default();
    let window = result
        .judgement_start_time_millis
        .zip(result.judgement_end_time_millis);
    Known {
        run,
        outcome: judged.map_or(Outcome::of_status(status), |judged| {
            Outcome::of_verdict(judged.score.classification)
        }),
        score: judged.map(|judged| judged.score.score),
        window,
        sentence: judged.map_or_else(String::new, |judged| match &judged.summary {
            Some(summary) => summary.sentence.clone(),
            None => judged.score.classification_reason.clone(),
        }),
    }
}

fn judgement(number: usize, known: Known, frame: Option<(i64, i64)>) -> Judgement {
    let place = |time: i64| frame.map_or(0.0, |frame| part(time, frame) * WIDTH);
    let (left, right) = known
        .window
        .map_or((0.0, 0.0), |(start, end)| (place(start), place(end)));
    Judgement {
        number,
        run: known.run,
        outcome: known.outcome,
        score: known.score.map(view::number_of_score),
        dot: known
            .score
            .filter(|score| score.is_finite() && known.window.is_some())
            .map(|score| {
                (
                    tenth(MARGIN + right * (1.0 - 2.0 * MARGIN / WIDTH)),
                    score_y(score),
                )
            }),
        start: known.window.and_then(|(start, _)| Moment::of_millis(start)),
        end: known.window.and_then(|(_, end)| Moment::of_millis(end)),
        left: tenth(left),
        width: tenth((right - left).max(2.0)),
        sentence: known.sentence,
    }
}

fn score_y(score: f64) -> f64 {
    tenth(MARGIN + (HEIGHT - 2.0 * MARGIN) * (1.0 - score.clamp(0.0, 100.0) / 100.0))
}

#[expect(clippy::cast_precision_loss, reason = "a drawing")]
fn part(time: i64, (from, until): (i64, i64)) -> f64 {
    (time - from) as f64 / ((until - from).max(1)) as f64
}

fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn line(judgements: &[Judgement]) -> String {
    let dots = judgements.iter().filter_map(|judgement| judgement.dot);
    let points: Vec<String> = dots.map(|(x, y)| format!("{x} {y}")).collect();
    if points.is_empty() {
        return String::new();
    }
    format!("M{}", points.join("L"))
}

/// The stage that is under way.
fn now(analysis: &CanaryAnalysisExecutionStatusResponse) -> Option<String> {
    let mut stages = analysis.stage_status.iter();
    let stage = stages.find(|stage| stage.is_running() && stage.kind != AnalysisStage::SETUP)?;
    Some(stage.name.clone())
}

fn facts(analysis: &CanaryAnalysisExecutionStatusResponse) -> Vec<Fact> {
    let request = analysis.canary_analysis_execution_request.as_ref();
    let minutes = |minutes: i64| (0 < minutes).then(|| format!("{minutes} min"));
    let side = |scope: &Option<String>, location: &Option<String>| {
        let scope = scope.as_ref()?;
        Some(match location.as_deref() {
            Some(location) if !location.is_empty() => format!("{scope} in {location}"),
            _ => scope.clone(),
        })
    };
    let scope: Option<&CanaryAnalysisExecutionRequestScope> =
        request.and_then(|request| request.scopes.as_ref()?.first());
    let facts = [
        ("Warning", analysis.warning.clone()),
        (
            "Control",
            scope.and_then(|scope| side(&scope.control_scope, &scope.control_location)),
        ),
        (
            "Experiment",
            scope.and_then(|scope| side(&scope.experiment_scope, &scope.experiment_location)),
        ),
        (
            "Thresholds",
            request
                .and_then(|request| request.thresholds)
                .and_then(|limits| {
                    Some(format!(
                        "pass {}, marginal {}",
                        number(limits.pass?),
                        number(limits.marginal?)
                    ))
                }),
        ),
        (
            "Lasts",
            request.and_then(|request| minutes(request.lifetime_duration_mins?)),
        ),
        (
            "Judged every",
            request.and_then(|request| minutes(request.analysis_interval_mins?)),
        ),
        (
            "Windows",
            request.map(|request| match request.lookback_mins {
                0 => "growing from the start".to_owned(),
                long => format!("of {long} min, sliding"),
            }),
        ),
        (
            "Begins after",
            request.and_then(|request| minutes(request.begin_after_mins)),
        ),
        ("User", analysis.user.clone()),
        ("Metrics account", analysis.metrics_account_name.clone()),
        ("Storage account", analysis.storage_account_name.clone()),
        (
            "Pipeline execution",
            analysis.parent_pipeline_execution_id.clone(),
        ),
    ];
    let facts = facts.into_iter().filter_map(|(name, value)| {
        let name = name.to_owned();
        value.map(|value| Fact { name, value })
    });
    facts.collect()
}
