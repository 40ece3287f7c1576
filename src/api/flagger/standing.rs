//! How an analysis stands, and why, in one sentence. Pure.

use super::hook::Standing;
use crate::api::sentence::{short, without_verdict};
use crate::canary::{CanaryAnalysisExecutionStatusResponse, Outcome, Verdict};

pub fn of(analysis: &CanaryAnalysisExecutionStatusResponse) -> (Standing, String) {
    let (standing, told) = match Outcome::of_analysis(analysis) {
        Outcome::Waiting | Outcome::Running => (Standing::Running, progress(analysis)),
        Outcome::Pass => (Standing::Passed, scored(analysis)),
        Outcome::Fail if is_marginal(analysis) => (Standing::Marginal, scored(analysis)),
        Outcome::Marginal => (Standing::Marginal, scored(analysis)),
        Outcome::Fail | Outcome::Inconclusive => (Standing::Failed, scored(analysis)),
        Outcome::Error => (
            Standing::Ended,
            without_verdict(analysis.exception.as_ref()),
        ),
        Outcome::Canceled => (Standing::Ended, "Canceled before its end".to_owned()),
    };
    (standing, short(&told))
}

fn progress(analysis: &CanaryAnalysisExecutionStatusResponse) -> String {
    let runs = analysis.stage_status.iter().filter(|stage| stage.is_run());
    let all = runs.clone().count();
    let done = runs.filter(|stage| stage.status == "SUCCEEDED").count();
    if all == 0 {
        return "The analysis is about to begin".to_owned();
    }
    format!("The analysis is still running, {done} of {all} judgements")
}

/// An analysis that failed at its last judgement with a score that let the earlier ones go on.
fn is_marginal(analysis: &CanaryAnalysisExecutionStatusResponse) -> bool {
    let thresholds = || {
        analysis
            .canary_analysis_execution_request
            .as_ref()?
            .thresholds
    };
    let result = analysis.canary_analysis_execution_result.as_ref();
    let score = result.and_then(|result| result.canary_scores.last());
    let marginal = thresholds().and_then(|thresholds| thresholds.marginal);
    matches!((score, marginal), (Some(score), Some(marginal)) if marginal < *score)
}

/// The judge's own words where they say the same as the analysis, which takes a score at the
/// marginal threshold for a failure.
fn scored(analysis: &CanaryAnalysisExecutionStatusResponse) -> String {
    let Some(result) = &analysis.canary_analysis_execution_result else {
        return "The analysis has no result".to_owned();
    };
    let last = result.canary_execution_results.last();
    let judged = last.and_then(|run| run.result.as_ref()?.judge_result.as_ref());
    let standing = match (result.did_pass_thresholds, is_marginal(analysis)) {
        (true, _) => Verdict::Pass,
        (false, true) => Verdict::Marginal,
        (false, false) => Verdict::Fail,
    };
    let summary = judged
        .filter(|judged| judged.score.classification == standing)
        .and_then(|judged| judged.summary.as_ref());
    match summary {
        Some(summary) => summary.sentence.clone(),
        None => result.canary_score_message.trim_end_matches('.').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(analysis: &Value) -> (Standing, String) {
        let mut whole =
            json!({"canaryAnalysisExecutionRequest": {"thresholds": {"pass": 95, "marginal": 75}}});
        for (name, value) in analysis.as_object().unwrap() {
            whole[name] = value.clone();
        }
        of(&serde_json::from_value(whole).unwrap())
    }

    /// An analysis with one canary, judged by thresholds that count what reaches them.
    fn judged(status: &str, score: f64, classification: &str) -> Value {
        let judge_result = json!({
            "judgeName": "j", "results": [], "score": {"score": score, "classification": classification},
            "summary": {"rule": "score", "sentence": format!("the judge says {classification}"), "groups": [], "metrics": 1, "notJudged": 0},
        });
        json!({"status": status, "complete": true, "canaryAnalysisExecutionResult": {
            "didPassThresholds": 95.0 <= score, "canaryScores": [score],
            "canaryScoreMessage": "Final score told.",
            "canaryExecutionResults": [{"result": {"judgeResult": judge_result}}],
        }})
    }

    #[test]
    fn every_state_has_its_sentence() {
        let stage = |status: &str| json!({"type": "runCanary", "name": "n", "status": status});
        let wait = json!({"type": "wait", "name": "w", "status": "SUCCEEDED"});
        let errors =
            json!({"details": {"errors": ["no such\nmetric", "another"], "error": "worse"}});
        let cases = [
            (
                json!({"status": "not_started"}),
                Standing::Running,
                "The analysis is about to begin",
            ),
            (
                json!({"status": "running", "stageStatus": [wait, stage("SUCCEEDED"), stage("RUNNING"), stage("NOT_STARTED")]}),
                Standing::Running,
                "The analysis is still running, 1 of 3 judgements",
            ),
            (
                judged("succeeded", 100.0, "Pass"),
                Standing::Passed,
                "the judge says Pass",
            ),
            (
                judged("succeeded", 80.0, "Marginal"),
                Standing::Marginal,
                "the judge says Marginal",
            ),
            (
                judged("terminal", 10.0, "Fail"),
                Standing::Failed,
                "the judge says Fail",
            ),
            (
                judged("terminal", 75.0, "Marginal"),
                Standing::Failed,
                "Final score told",
            ),
            (
                json!({"status": "terminal", "exception": errors}),
                Standing::Ended,
                "No verdict: no such metric",
            ),
            (
                json!({"status": "terminal", "exception": {"details": {}}}),
                Standing::Ended,
                "No verdict: it ended with an error",
            ),
            (
                json!({"status": "canceled"}),
                Standing::Ended,
                "Canceled before its end",
            ),
        ];
        for (analysis, standing, sentence) in cases {
            let expected = (standing, sentence.to_owned());
            assert_eq!(told(&analysis), expected, "{analysis}");
        }
    }
}
