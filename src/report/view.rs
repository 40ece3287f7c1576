//! One run as it is shown: every text ready, in the order in which it is read.

mod by_hand;
mod groups;
mod metric;
mod plain;
mod shadow;
pub mod words;

pub use by_hand::{ByHandView, by_hand};
pub use groups::{GroupView, Segment};
pub use metric::{MetricView, QueryView, Row, label, metrics, named, pair_of};
pub use shadow::ShadowView;
pub use words::{Fact, Moment, duration};

use self::groups::{bar, bar_note, group, groups};
use self::words::fact;
use crate::canary::number::{number, score};
use crate::canary::{
    CanaryClassifierThresholdsConfig, CanaryExecutionStatusResponse, CanaryJudgeResult,
    CanaryScope, Execution, MetricSetPair, Outcome, StageException, Summary,
};
use crate::report::forest::{self, Forest};

/// All that is told of one run.
#[derive(Clone, Debug)]
pub struct RunView {
    pub id: String,
    pub application: String,
    pub config_name: String,
    /// Of a config that is stored.
    pub config_id: Option<String>,
    /// No run of a canary wrote it.
    pub received: bool,
    pub outcome: Outcome,
    pub by_hand: ByHandView,
    /// The analysis whose judgement it is.
    pub analysis: Option<AnalysisLink>,
    pub score: Option<String>,
    /// Why the verdict is what it is.
    pub sentence: String,
    /// Of all metrics together, unless the sentence tells them.
    pub warnings: Vec<String>,
    pub not_judged: Option<String>,
    pub failure: Option<FailureView>,
    pub thresholds: Option<Thresholds>,
    pub scopes: Vec<ScopeView>,
    pub facts: Vec<Fact>,
    pub started: Option<Moment>,
    pub duration: Option<String>,
    pub groups: Vec<GroupView>,
    pub bar: Vec<Segment>,
    /// What the groups add up to is not the score.
    pub bar_note: Option<String>,
    pub metrics: Vec<MetricView>,
    /// Where `sequential-v1` judged, or stands beside the judge that decides.
    pub forest: Option<Forest>,
    /// What another judge says beside the one that decides.
    pub shadow: Option<ShadowView>,
    pub steps: Vec<StepView>,
    /// The series are there, to be drawn and downloaded.
    pub has_series: bool,
}

#[derive(Clone, Debug)]
pub struct AnalysisLink {
    pub id: String,
    /// Which of its judgements: `2 of 6`.
    pub number: Option<String>,
}

#[derive(Clone, Debug)]
pub struct FailureView {
    /// Which step it was, in plain words.
    pub step: &'static str,
    pub message: String,
    pub facts: Vec<Fact>,
}

#[derive(Clone, Debug)]
pub struct Thresholds {
    pub pass: String,
    pub marginal: String,
    /// Where they lie on the bar of the groups.
    pub pass_at: f64,
    pub marginal_at: f64,
}

#[derive(Clone, Debug)]
pub struct ScopeView {
    pub name: String,
    pub control: SideView,
    pub experiment: SideView,
}

#[derive(Clone, Debug, Default)]
pub struct SideView {
    pub scope: String,
    pub location: String,
    pub start: Option<Moment>,
    pub end: Option<Moment>,
    pub step: String,
    pub params: Vec<Fact>,
}

/// A step of a run, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepView {
    pub name: &'static str,
    pub key: &'static str,
    pub done: usize,
    pub of: usize,
    pub state: &'static str,
}

/// Without `pairs`, a run is told without its series.
pub fn run(canary: &CanaryExecutionStatusResponse, pairs: Option<&[MetricSetPair]>) -> RunView {
    let told = canary.told();
    let judged = told.judged;
    let summary = judged.and_then(|judged| judged.summary.as_ref());
    let shadow = canary.result.as_ref();
    let shadow = shadow.and_then(|result| result.shadow.as_deref());
    let groups = judged
        .map(|judged| groups(canary, judged))
        .unwrap_or_default();
    let bar = bar(&groups);
    RunView {
        id: told.id.to_owned(),
        application: told.application.to_owned(),
        config_name: told.config_name().to_owned(),
        config_id: stored_config(Some(told.config_id)),
        received: told.received,
        outcome: told.outcome,
        by_hand: by_hand(&told),
        analysis: told.analysis.map(|id| AnalysisLink {
            id: id.to_owned(),
            number: canary
                .look
                .map(|look| format!("{} of {}", look.number, look.planned)),
        }),
        score: told.score.map(score),
        warnings: warnings_beside(summary, &told.reason())
            .into_iter()
            .chain(near_limits(canary))
            .collect(),
        sentence: told.reason(),
        not_judged: summary
            .filter(|summary| 0 < summary.not_judged)
            .map(|summary| {
                let (some, all) = (summary.not_judged, summary.metrics);
                format!("{some} of {all} metrics could not be judged")
            }),
        failure: canary
            .exception
            .as_ref()
            .filter(|_| told.outcome != Outcome::Canceled)
            .map(failure),
        thresholds: told.thresholds.and_then(thresholds_of),
        scopes: scopes(canary),
        facts: facts(canary, judged),
        started: told.times.begun().and_then(Moment::of_millis),
        duration: duration(told.times.started, told.times.ended),
        bar_note: judged.and_then(|judged| bar_note(judged, &groups, told.outcome)),
        groups: groups.iter().map(|one| group(one, judged)).collect(),
        bar,
        metrics: judged
            .map(|judged| metrics(judged, canary.config.as_ref(), pairs))
            .unwrap_or_default(),
        forest: judged.and_then(forest::draw).or_else(|| {
            let beside = shadow?.judge_result.as_ref()?;
            forest::draw(beside)
        }),
        shadow: judged
            .zip(shadow)
            .map(|(judged, shadow)| shadow::shadow(judged, shadow)),
        steps: steps(canary),
        has_series: pairs.is_some(),
    }
}

/// Accounts that will soon refuse to be asked, or did.
fn near_limits(canary: &CanaryExecutionStatusResponse) -> impl Iterator<Item = String> {
    let costs = canary.cost.iter().flatten();
    let near = costs.filter(|(_, cost)| cost.is_near_its_limit());
    near.map(|(account, cost)| {
        format!("the rate limit of '{account}' is near: {}", cost.sentence())
    })
}

fn warnings_beside(summary: Option<&Summary>, sentence: &str) -> Vec<String> {
    let warnings = summary.iter().flat_map(|summary| &summary.warnings);
    let told = warnings.map(|warning| warning.sentence.clone());
    told.filter(|told| !sentence.contains(told.as_str()))
        .collect()
}

/// The id of a config that came with its run is none that could be found.
pub fn stored_config(id: Option<&str>) -> Option<String> {
    id.filter(|id| !["", "ad-hoc"].contains(id))
        .map(str::to_owned)
}

/// What went wrong, by the step in which it did.
pub fn failure(exception: &StageException) -> FailureView {
    let step = match exception.operation.as_deref().unwrap_or_default() {
        "setupCanary" => "while setting up",
        "metricSetMixer" => "while putting both sides together",
        "canaryJudge" => "while judging",
        operation if operation.ends_with("Fetch") => "while fetching a metric",
        _ => "while it ran",
    };
    let details = &exception.details;
    let message = exception.message();
    let fact = |name: &str, member: &str| {
        let value = match details.get(member)? {
            serde_json::Value::String(text) if text.is_empty() => return None,
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Some(Fact {
            name: name.to_owned(),
            value,
        })
    };
    let facts = [
        fact("Metric", "metric"),
        fact("Account", "account"),
        fact("Query", "query"),
        fact("URL", "url"),
        fact("Status", "status"),
    ];
    FailureView {
        step,
        message: message.unwrap_or_else(|| "no more is known".to_owned()),
        facts: facts.into_iter().flatten().collect(),
    }
}

pub fn thresholds_of(thresholds: CanaryClassifierThresholdsConfig) -> Option<Thresholds> {
    let (pass, marginal) = (thresholds.pass?, thresholds.marginal?);
    Some(Thresholds {
        pass: number(pass),
        marginal: number(marginal),
        pass_at: pass.clamp(0.0, 100.0),
        marginal_at: marginal.clamp(0.0, 100.0),
    })
}

fn scopes(canary: &CanaryExecutionStatusResponse) -> Vec<ScopeView> {
    let request = canary.canary_execution_request.as_ref();
    let scopes = request.and_then(|request| request.scopes.as_ref());
    let scopes = scopes.into_iter().flatten();
    scopes
        .map(|(name, pair)| ScopeView {
            name: name.clone(),
            control: pair.control_scope.as_ref().map(side).unwrap_or_default(),
            experiment: pair.experiment_scope.as_ref().map(side).unwrap_or_default(),
        })
        .collect()
}

fn side(scope: &CanaryScope) -> SideView {
    let params = scope.extended_scope_params.iter().flatten();
    SideView {
        scope: scope.scope.clone().unwrap_or_default(),
        location: scope.location.clone().unwrap_or_default(),
        start: scope.start.map(Moment::of),
        end: scope.end.map(Moment::of),
        step: scope
            .step
            .map(|step| format!("{step}\u{a0}s"))
            .unwrap_or_default(),
        params: params.map(|(name, value)| fact(name, value)).collect(),
    }
}

fn facts(canary: &CanaryExecutionStatusResponse, judged: Option<&CanaryJudgeResult>) -> Vec<Fact> {
    let configured = canary
        .config
        .as_ref()
        .and_then(|config| config.judge.as_ref()?.name.clone());
    let judge = judged
        .map(|judged| judged.judge_name.clone())
        .or(configured);
    let optional = [
        ("Warning", canary.warning.clone()),
        ("Judge", judge),
        ("Metrics account", canary.metrics_account_name.clone()),
        ("Storage account", canary.storage_account_name.clone()),
        (
            "Pipeline execution",
            canary.parent_pipeline_execution_id.clone(),
        ),
    ];
    let costs = canary.cost.iter().flatten();
    let costs = costs.map(|(account, cost)| fact(&format!("Asked of {account}"), &cost.sentence()));
    let notes = canary
        .canary_execution_request
        .iter()
        .flat_map(|request| request.metadata.iter().flatten());
    let notes = notes
        .filter(|note| !note.hidden)
        .map(|note| fact(&note.name, &note.value));
    optional
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| fact(name, &value)))
        .chain(costs)
        .chain(notes)
        .collect()
}

/// What a run has to do, as its stages tell.
pub fn steps(canary: &CanaryExecutionStatusResponse) -> Vec<StepView> {
    let step = |name, key, prefix: &str| {
        let states: Vec<&str> = canary
            .stage_status
            .iter()
            .filter(|(stage, _)| stage.starts_with(prefix))
            .map(|(_, state)| state.as_str())
            .collect();
        let done = states.iter().filter(|state| **state == "succeeded").count();
        let any = |wanted: &str| states.contains(&wanted);
        let state = if any("terminal") {
            "failed"
        } else if any("canceled") {
            "canceled"
        } else if !states.is_empty() && done == states.len() {
            "done"
        } else if any("running") || 0 < done {
            "running"
        } else {
            "waiting"
        };
        StepView {
            name,
            key,
            done,
            of: states.len(),
            state,
        }
    };
    let all = [
        step("Set up", "setupContext", "setupContext"),
        step("Fetch the control", "fetchControl", "fetchControl"),
        step("Fetch the experiment", "fetchExperiment", "fetchExperiment"),
        step("Put both together", "mixMetrics", "mixMetrics"),
        step("Judge", "judge", "judge"),
    ];
    all.into_iter().filter(|step| 0 < step.of).collect()
}
