//! One standalone analysis as it is shown: its judgements on a line of time.

use super::closing::{self, Closing};
use super::forest;
use super::map::{self, Map};
use super::view::{self, Fact, FailureView, Moment, Thresholds};
use crate::canary::number::{number, score};
use crate::canary::{
    AnalysisRun, CanaryAnalysisExecutionRequestScope, CanaryAnalysisExecutionStatusResponse,
    CanaryExecutionStatusResponse, Execution, Outcome, Told, reason,
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
    pub by_hand: view::ByHandView,
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
    /// Where it is now in the drawing, while it runs.
    pub now_x: Option<f64>,
    /// When it judges next, and when for the last time.
    pub next: Option<Moment>,
    pub last: Option<Moment>,
    /// The scores as a line; a dot is a line of no length.
    pub line: String,
    /// Where `sequential-v1` judges: each metric over the judgements.
    pub closings: Vec<Closing>,
    /// Each metric at each judgement.
    pub map: Option<Map>,
    /// While it runs: what would settle it.
    pub needed: Option<String>,
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

/// What was planned, in epoch milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Planned {
    pub start: i64,
    pub end: i64,
    pub next: Option<i64>,
    pub now: i64,
}

/// `canaries` are those whose documents are there; of others, the analysis itself tells.
pub fn analysis(
    analysis: &CanaryAnalysisExecutionStatusResponse,
    canaries: &[CanaryExecutionStatusResponse],
    planned: Option<Planned>,
) -> AnalysisView {
    let told = analysis.told();
    let limits = told.thresholds;
    let mut seen: Vec<&CanaryExecutionStatusResponse> = canaries.iter().collect();
    seen.sort_by_key(|canary| canary.look.map(|look| look.number));
    let last = seen.last().and_then(|canary| closing::judged(canary));
    let needed = last.filter(|_| !told.outcome.is_final());
    let looks = told.looks.iter();
    let (begun, to_come): (Vec<_>, Vec<_>) = looks.partition(|look| look.run.is_some());
    let known = begun.into_iter().map(|look| known(look, canaries));
    let known: Vec<Known> = known.collect();
    let windows = known.iter().filter_map(|known| known.window);
    let windows = windows.chain(planned.map(|planned| (planned.start, planned.end)));
    let frame = windows.reduce(|(from, until), (start, end)| (from.min(start), until.max(end)));
    let judgements: Vec<Judgement> = known
        .into_iter()
        .enumerate()
        .map(|(index, known)| judgement(index + 1, known, frame))
        .collect();
    let running = planned.filter(|_| !told.outcome.is_final());
    AnalysisView {
        now_x: running
            .zip(frame)
            .map(|(planned, frame)| tenth(part(planned.now, frame).clamp(0.0, 1.0) * WIDTH)),
        next: running.and_then(|planned| Moment::of_millis(planned.next?)),
        last: running.and_then(|planned| Moment::of_millis(planned.end)),
        id: told.id.to_owned(),
        application: told.application.to_owned(),
        config_name: told.config_name().to_owned(),
        config_id: view::stored_config(Some(told.config_id)),
        outcome: told.outcome,
        by_hand: view::by_hand(&told),
        score: told.score.map(score),
        sentence: told.reason(),
        failure: analysis.exception.as_ref().map(view::failure),
        to_come: to_come.len(),
        pass_y: limits.and_then(|limits| limits.pass).map(score_y),
        marginal_y: limits.and_then(|limits| limits.marginal).map(score_y),
        thresholds: limits.and_then(view::thresholds_of),
        started: told.times.begun().and_then(Moment::of_millis),
        duration: view::duration(told.times.started, told.times.ended),
        line: line(&judgements),
        from: frame.and_then(|(from, _)| Moment::of_millis(from)),
        until: frame.and_then(|(_, until)| Moment::of_millis(until)),
        judgements,
        map: map::draw(&seen),
        closings: closing::draw(&seen, told.looks.len()),
        needed: needed.and_then(forest::needed),
        facts: facts(analysis, &told),
    }
}

/// Of its own document, else of what the analysis tells.
fn known(look: &AnalysisRun<'_>, canaries: &[CanaryExecutionStatusResponse]) -> Known {
    let canary = canaries
        .iter()
        .find(|canary| look.run.is_some() && canary.pipeline_id.as_deref() == look.run);
    match canary {
        Some(canary) => of_document(canary),
        None => of_look(look),
    }
}

fn of_document(canary: &CanaryExecutionStatusResponse) -> Known {
    let scopes = canary.canary_execution_request.as_ref();
    let scopes = scopes.and_then(|request| request.scopes.as_ref()?.values().next());
    let window = scopes.and_then(|pair| {
        let scope = pair
            .experiment_scope
            .as_ref()
            .or(pair.control_scope.as_ref())?;
        Some((scope.start?.as_millis(), scope.end?.as_millis()))
    });
    let told = canary.told();
    Known {
        run: Some(told.id.to_owned()),
        outcome: told.outcome,
        score: told.score,
        window,
        sentence: told.reason(),
    }
}

fn of_look(look: &AnalysisRun<'_>) -> Known {
    let judged = look.judged();
    let window = look.result.and_then(|result| {
        let start = result.judgement_start_time_millis?;
        Some((start, result.judgement_end_time_millis?))
    });
    Known {
        run: look.run.map(str::to_owned),
        outcome: look.outcome,
        score: judged
            .filter(|judged| look.outcome.has_score() && !Outcome::is_turned(judged))
            .map(|judged| judged.score.score),
        window,
        sentence: match (judged, look.outcome) {
            (Some(judged), _) => reason::of_judged(judged),
            (None, Outcome::Error) => {
                reason::without_verdict(look.result.and_then(|result| result.exception.as_ref()))
            }
            (None, _) => String::new(),
        },
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
        score: known.score.map(score),
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

fn facts(analysis: &CanaryAnalysisExecutionStatusResponse, told: &Told<'_>) -> Vec<Fact> {
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
            told.thresholds.and_then(|limits| {
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
    let costs = analysis.cost.iter().flatten();
    let costs = costs.map(|(account, cost)| Fact {
        name: format!("Asked of {account}"),
        value: cost.sentence(),
    });
    facts.chain(costs).collect()
}
