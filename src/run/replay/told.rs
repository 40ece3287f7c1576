//! What is told of a run that was judged once more. Pure.

use std::collections::HashMap;

use super::case::{Case, verdict_before};
use crate::canary::number::{number, score};
use crate::canary::{
    CanaryAnalysisResult, CanaryClassifierThresholdsConfig, CanaryExecutionStatusResponse,
    CanaryJudgeResult, Execution, NotReplayed, Outcome, ReplayedLabel, ReplayedMetric, ReplayedRun,
    ReplayedVerdict, iso_from_millis, reason,
};

/// The id of a config that came with its run.
const AD_HOC: &str = "ad-hoc";

/// Metrics of a run that are told; the rest is counted.
const METRICS: usize = 50;

/// Metrics that are named in a sentence.
const NAMED: usize = 3;

/// What is known of a run before anything is judged.
pub fn known(run: &CanaryExecutionStatusResponse) -> ReplayedRun {
    let told = run.told();
    ReplayedRun {
        id: told.id.to_owned(),
        application: told.application.to_owned(),
        config_id: Some(told.config_id)
            .filter(|id| *id != AD_HOC)
            .unwrap_or_default()
            .to_owned(),
        config_name: told.config_name().to_owned(),
        build_time_millis: run.build_time_millis,
        build_time_iso: run.build_time_millis.map(iso_from_millis),
        look: run.look,
        before: Some(verdict_before(run)),
        ..ReplayedRun::default()
    }
}

pub fn not_judged(run: &CanaryExecutionStatusResponse, why: NotReplayed) -> ReplayedRun {
    ReplayedRun {
        not_judged: Some(why),
        ..known(run)
    }
}

/// What a judge came to, in short.
pub fn verdict(judged: &CanaryJudgeResult) -> ReplayedVerdict {
    let outcome = Outcome::of_judged(judged);
    ReplayedVerdict {
        judge: judged.judge_name.clone(),
        outcome,
        score: outcome.has_score().then_some(judged.score.score),
        sentence: reason::of_judged(judged),
    }
}

/// A run with both verdicts, and why they differ.
pub fn judged(
    run: &CanaryExecutionStatusResponse,
    case: &Case,
    after: CanaryJudgeResult,
    judges: Vec<ReplayedVerdict>,
) -> ReplayedRun {
    let told = known(run);
    let before = run
        .result
        .as_ref()
        .and_then(|result| result.judge_result.as_ref());
    let mut metrics = before.map_or_else(Vec::new, |before| metrics(before, &after));
    let verdict = verdict(&after);
    let changed = told
        .before
        .as_ref()
        .is_some_and(|before| before.outcome != verdict.outcome);
    let why = changed.then(|| why(run, case, before, &after, &metrics));
    let more_metrics = metrics.len().saturating_sub(METRICS);
    metrics.truncate(METRICS);
    ReplayedRun {
        changed,
        identical: before.is_some_and(|before| is_identical(before, &after)),
        why,
        notes: case.notes.clone(),
        metrics,
        more_metrics,
        judges,
        after: Some(verdict),
        result: Some(after),
        ..told
    }
}

/// As they are written, to the last byte.
fn is_identical(before: &CanaryJudgeResult, after: &CanaryJudgeResult) -> bool {
    let [before, after] = [before, after].map(serde_json::to_vec);
    before.is_ok_and(|before| after.is_ok_and(|after| before == after))
}

/// Those whose label is another one, in the order of the results; what is not judged any more last.
fn metrics(before: &CanaryJudgeResult, after: &CanaryJudgeResult) -> Vec<ReplayedMetric> {
    let mut former = HashMap::new();
    for (at, result) in before.results.iter().enumerate() {
        former.insert(key(at, result), result);
    }
    let mut metrics = Vec::new();
    for (at, result) in after.results.iter().enumerate() {
        let before = former.remove(&key(at, result));
        let is_same = |before: &CanaryAnalysisResult| {
            before.classification == result.classification && before.critical == result.critical
        };
        if !before.is_some_and(is_same) {
            metrics.push(ReplayedMetric {
                name: result.name.clone(),
                tags: result.tags.clone(),
                before: before.map(label),
                after: Some(label(result)),
            });
        }
    }
    let gone = before.results.iter().enumerate();
    let gone = gone.filter(|(at, result)| former.contains_key(&key(*at, result)));
    metrics.extend(gone.map(|(_, result)| ReplayedMetric {
        name: result.name.clone(),
        tags: result.tags.clone(),
        before: Some(label(result)),
        after: None,
    }));
    metrics
}

/// By the id of its pair; lists of others may have none.
fn key(at: usize, result: &CanaryAnalysisResult) -> (&str, usize) {
    match result.id.as_str() {
        "" => ("", at),
        id => (id, 0),
    }
}

fn label(result: &CanaryAnalysisResult) -> ReplayedLabel {
    let explanation = result.explanation.as_ref();
    let sentence = explanation.map(|explanation| explanation.sentence.clone());
    let sentence = sentence.or_else(|| result.classification_reason.clone());
    ReplayedLabel {
        label: result.classification,
        critical: result.critical,
        sentence: sentence.unwrap_or_default(),
    }
}

fn why(
    run: &CanaryExecutionStatusResponse,
    case: &Case,
    before: Option<&CanaryJudgeResult>,
    after: &CanaryJudgeResult,
    metrics: &[ReplayedMetric],
) -> String {
    let Some(before) = before else {
        return format!("it had no verdict; now: {}", reason::of_judged(after));
    };
    let mut parts: Vec<String> = metrics.iter().take(NAMED).map(change_of).collect();
    if let Some(more) = metrics.len().checked_sub(NAMED).filter(|more| 0 < *more) {
        parts.push(format!("{more} more metrics have another label"));
    }
    let scores = [before.score.score, after.score.score];
    let former = run.canary_execution_request.as_ref();
    let former = former.and_then(|request| request.thresholds);
    if metrics.is_empty() && scores[0].total_cmp(&scores[1]).is_ne() {
        let [before, after] = scores.map(score);
        parts.push(format!(
            "the labels are the same, and add up to {after} instead of {before}"
        ));
    }
    let thresholds = case.question.thresholds;
    if former != Some(thresholds) {
        parts.push(format!(
            "{} is held against {} instead of {}",
            score(after.score.score),
            limits(thresholds),
            limits(former.unwrap_or_default())
        ));
    }
    if parts.is_empty() {
        parts.push(reason::of_judged(after));
    }
    parts.join("; ")
}

/// `latency is High instead of Pass (it rose by …)`.
fn change_of(metric: &ReplayedMetric) -> String {
    let word = |label: &ReplayedLabel| {
        let critical = if label.critical { ", critical" } else { "" };
        format!("{:?}{critical}", label.label)
    };
    let name = &metric.name;
    match (&metric.before, &metric.after) {
        (Some(before), None) => format!("{name}, which was {}, does not count", word(before)),
        (before, Some(after)) => {
            let instead = before
                .as_ref()
                .map(|label| format!(" instead of {}", word(label)));
            let sentence = match after.sentence.as_str() {
                "" => String::new(),
                sentence => format!(" ({sentence})"),
            };
            let instead = instead.unwrap_or_default();
            format!("{name} is {}{instead}{sentence}", word(after))
        }
        (None, None) => name.clone(),
    }
}

fn limits(thresholds: CanaryClassifierThresholdsConfig) -> String {
    let told = |value: Option<f64>| value.map_or_else(|| "none".to_owned(), number);
    format!(
        "pass {} and marginal {}",
        told(thresholds.pass),
        told(thresholds.marginal)
    )
}
