//! What the end of an execution means for a pipeline.

use crate::canary::explanation::SummaryRule;
use crate::canary::{
    CanaryAnalysisExecutionStatusResponse, CanaryExecutionStatusResponse, CanaryJudgeResult, Label,
    Outcome, Verdict,
};
use crate::command::exit::Exit;

/// Kayenta's words for its rule of half.
const HALF_WITHOUT_DATA: &str = "metrics returned NODATA";

/// How to exit, and why if the verdict does not say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub exit: Exit,
    pub why: Option<String>,
}

pub fn of_canary(canary: &CanaryExecutionStatusResponse) -> Decision {
    let result = canary.result.as_ref();
    match result.and_then(|result| result.judge_result.as_ref()) {
        Some(judged) if canary.complete => {
            of_judged(judged, |judged| of_verdict(judged.score.classification))
        }
        _ => without_verdict(Outcome::of_canary(canary)),
    }
}

/// An analysis passes or does not; its last judgement says whether that can be believed.
pub fn of_analysis(analysis: &CanaryAnalysisExecutionStatusResponse) -> Decision {
    let outcome = Outcome::of_analysis(analysis);
    let result = analysis.canary_analysis_execution_result.as_ref();
    let last = result.and_then(|result| result.canary_execution_results.last());
    let judged = last.and_then(|last| last.result.as_ref()?.judge_result.as_ref());
    match (outcome, judged) {
        (Outcome::Pass, Some(judged)) => of_judged(judged, |_| Exit::Pass),
        (Outcome::Fail, Some(judged)) => of_judged(judged, |judged| {
            match of_verdict(judged.score.classification) {
                Exit::Pass => Exit::Fail,
                other => other,
            }
        }),
        _ => without_verdict(outcome),
    }
}

fn without_verdict(outcome: Outcome) -> Decision {
    let why = match outcome {
        Outcome::Canceled => "It was canceled",
        _ => "It ended without a verdict",
    };
    Decision {
        exit: Exit::Unavailable,
        why: Some(why.to_owned()),
    }
}

/// A critical metric that clearly failed is believed before all that is missing.
fn of_judged(
    judged: &CanaryJudgeResult,
    verdict: impl FnOnce(&CanaryJudgeResult) -> Exit,
) -> Decision {
    let mut counting = judged.results.iter().filter(|result| !result.muted);
    let has_failed = counting
        .clone()
        .any(|result| result.critical && matches!(result.classification, Label::High | Label::Low));
    if has_failed {
        return Decision {
            exit: Exit::Fail,
            why: None,
        };
    }
    let without_data = counting.clone().find(|result| {
        let is_missing = matches!(
            result.classification,
            Label::Nodata | Label::NodataFailMetric | Label::Error
        );
        result.critical && is_missing
    });
    let is_judged = |label| matches!(label, Label::Pass | Label::High | Label::Low);
    let why = if let Some(metric) = without_data {
        format!("The critical metric '{}' could not be judged", metric.name)
    } else if is_half_without_data(judged) {
        "Half of the metrics or more had no data".to_owned()
    } else if !counting.any(|result| is_judged(result.classification)) {
        "No metric that counts could be judged".to_owned()
    } else {
        return Decision {
            exit: verdict(judged),
            why: None,
        };
    };
    Decision {
        exit: Exit::Undecided,
        why: Some(why),
    }
}

fn is_half_without_data(judged: &CanaryJudgeResult) -> bool {
    match &judged.summary {
        Some(summary) => summary.rule == SummaryRule::HalfWithoutData,
        None => judged
            .score
            .classification_reason
            .contains(HALF_WITHOUT_DATA),
    }
}

const fn of_verdict(verdict: Verdict) -> Exit {
    match verdict {
        Verdict::Pass => Exit::Pass,
        Verdict::Marginal => Exit::Marginal,
        Verdict::Fail => Exit::Fail,
        Verdict::Nodata | Verdict::Error => Exit::Undecided,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn judged(verdict: &str, reason: &str, metrics: &[(&str, &str)]) -> Value {
        let side = json!({"stats": {"count": 1, "mean": 1, "min": 1, "std": 0, "max": 1}});
        let metrics = metrics.iter().map(|(label, marks)| {
            json!({"name": "m", "id": "m", "classification": label, "groups": [],
                "critical": marks.contains("critical"), "muted": marks.contains("muted"),
                "experimentMetadata": side, "controlMetadata": side})
        });
        json!({"judgeResult": {
            "judgeName": "j",
            "results": metrics.collect::<Vec<_>>(),
            "score": {"score": 50, "classification": verdict, "classificationReason": reason},
        }})
    }

    #[test]
    fn a_canary_exits_by_its_verdict_if_that_stands_on_something() {
        let half = "Canary Failed: 50% or more metrics returned NODATA";
        let cases = [
            ("Pass", "", vec![("Pass", "")], Exit::Pass),
            (
                "Marginal",
                "",
                vec![("Pass", ""), ("High", "")],
                Exit::Marginal,
            ),
            ("Fail", "", vec![("High", "")], Exit::Fail),
            ("Fail", "", vec![("High", "critical")], Exit::Fail),
            (
                "Fail",
                half,
                vec![("Pass", ""), ("Nodata", "")],
                Exit::Undecided,
            ),
            (
                "Fail",
                "",
                vec![("Pass", ""), ("Nodata", "critical")],
                Exit::Undecided,
            ),
            (
                "Fail",
                "",
                vec![("Low", "critical"), ("Nodata", "critical")],
                Exit::Fail,
            ),
            (
                "Pass",
                "",
                vec![("Pass", "muted"), ("Nodata", "")],
                Exit::Undecided,
            ),
            ("Pass", "", vec![], Exit::Undecided),
            ("Nodata", "", vec![("Pass", "")], Exit::Undecided),
            (
                "Pass",
                "",
                vec![("Pass", ""), ("Nodata", "critical muted")],
                Exit::Pass,
            ),
        ];
        for (verdict, reason, metrics, exit) in cases {
            let canary = json!({"status": "succeeded", "complete": true,
                "result": judged(verdict, reason, &metrics)});
            let canary = serde_json::from_value(canary).unwrap();
            assert_eq!(of_canary(&canary).exit, exit, "{verdict} {metrics:?}");
        }
        for status in ["terminal", "canceled", "succeeded"] {
            let canary = json!({"status": status, "complete": true});
            let canary = serde_json::from_value(canary).unwrap();
            assert_eq!(of_canary(&canary).exit, Exit::Unavailable, "{status}");
        }
    }

    #[test]
    fn an_analysis_exits_by_its_thresholds_and_its_last_judgement() {
        let cases = [
            (true, "Pass", vec![("Pass", "")], Exit::Pass),
            (false, "Pass", vec![("Pass", "")], Exit::Fail),
            (false, "Marginal", vec![("High", "")], Exit::Marginal),
            (false, "Fail", vec![("High", "")], Exit::Fail),
            (true, "Pass", vec![("Nodata", "")], Exit::Undecided),
        ];
        for (passes, verdict, metrics, exit) in cases {
            let run = json!({"executionId": "c", "executionStatus": "SUCCEEDED", "warnings": [],
                "result": judged(verdict, "", &metrics)});
            let analysis = json!({"status": "succeeded", "complete": true,
                "canaryAnalysisExecutionResult": {"didPassThresholds": passes,
                    "canaryExecutionResults": [run]}});
            let analysis = serde_json::from_value(analysis).unwrap();
            assert_eq!(of_analysis(&analysis).exit, exit, "{passes} {verdict}");
        }
    }
}
