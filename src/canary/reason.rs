//! Why an execution stands as it does, in the same words at every door.

use indexmap::IndexSet;

use super::explanation::DoubtfulMetric;
use super::number::{number, score};
use super::{CanaryAnalysisResult, CanaryJudgeResult, Kind, Outcome, StageException, Told};

/// Metrics that are named where a verdict hangs on many.
const NAMED: usize = 3;

impl Told<'_> {
    /// One or two sentences, without a full stop at their end.
    pub fn reason(&self) -> String {
        match (self.outcome, self.kind) {
            (Outcome::Waiting, Kind::Analysis) => "The analysis is about to begin".to_owned(),
            (Outcome::Waiting, _) => "It waits for its turn".to_owned(),
            (Outcome::Running, Kind::Analysis) => {
                let (done, all) = (self.done(), self.looks.len());
                format!("The analysis is still running, {done} of {all} judgements")
            }
            (Outcome::Running, _) => "Its series are being fetched and judged".to_owned(),
            (Outcome::Canceled, _) => "Canceled before its end".to_owned(),
            (Outcome::Error, _) => match self.judged.filter(|_| self.exception.is_none()) {
                Some(judged) => unexplained(judged),
                None => without_verdict(self.exception),
            },
            (Outcome::Inconclusive, _) => self.undecided(),
            (Outcome::Pass | Outcome::Marginal | Outcome::Fail, _) => self.decided(),
        }
    }

    /// In the judge's own words where they say the same: an analysis takes a score at the marginal
    /// threshold for a failure.
    fn decided(&self) -> String {
        if let Some(judged) = self.judged
            && Outcome::of_judged(judged) == self.outcome
        {
            return said(judged);
        }
        let thresholds = self.thresholds.unwrap_or_default();
        let last = match self.score {
            Some(last) => format!("The last score, {},", score(last)),
            None => "The last score".to_owned(),
        };
        let threshold = |which: &str, value: Option<f64>| {
            let value = value.map(|value| format!(" of {}", number(value)));
            format!("the {which} threshold{}", value.unwrap_or_default())
        };
        let (pass, marginal) = (
            threshold("pass", thresholds.pass),
            threshold("marginal", thresholds.marginal),
        );
        match self.outcome {
            Outcome::Pass => format!("{last} reaches {pass}"),
            Outcome::Marginal => format!("{last} is above {marginal}, and does not reach {pass}"),
            _ => format!("{last} is not above {marginal}"),
        }
    }

    /// What hangs it: of the judgement that decided, else of those before it.
    fn undecided(&self) -> String {
        let last = self.judged.filter(|judged| is_undecided(judged));
        if let Some(judged) = last {
            return hanging(judged);
        }
        let mut looks = self.looks.iter().enumerate();
        let earlier = looks.find_map(|(at, look)| {
            let judged = look.judged().filter(|judged| is_undecided(judged))?;
            Some((at + 1, judged))
        });
        match earlier {
            Some((number, judged)) => format!(
                "Judgement {number} of {} was inconclusive: {}",
                self.looks.len(),
                hanging(judged)
            ),
            None => "What was measured cannot carry a verdict".to_owned(),
        }
    }
}

/// What a judge said of its verdict.
pub fn said(judged: &CanaryJudgeResult) -> String {
    let reason = &judged.score.classification_reason;
    match &judged.summary {
        Some(summary) => summary.sentence.clone(),
        None if reason.is_empty() => {
            let score = score(judged.score.score);
            format!("{} gave a score of {score}", judged.judge_name)
        }
        None => reason.clone(),
    }
}

/// Of a judge that came to no verdict by itself: what is summed up is its score.
fn unexplained(judged: &CanaryJudgeResult) -> String {
    let (judge, reason) = (&judged.judge_name, &judged.score.classification_reason);
    match (reason.as_str(), judged.score.classification) {
        ("", classification) => format!("{judge} says {classification:?}"),
        (reason, _) => reason.to_owned(),
    }
}

/// Of one judgement, whatever it came to.
pub fn of_judged(judged: &CanaryJudgeResult) -> String {
    if is_undecided(judged) {
        hanging(judged)
    } else {
        said(judged)
    }
}

/// Why an execution ended without a verdict.
pub fn without_verdict(exception: Option<&StageException>) -> String {
    match exception.and_then(StageException::message) {
        Some(message) => format!("No verdict: {message}"),
        None => "No verdict: it ended with an error".to_owned(),
    }
}

fn is_undecided(judged: &CanaryJudgeResult) -> bool {
    Outcome::of_judged(judged) == Outcome::Inconclusive
}

/// Why the verdict hangs on a metric, if it does.
pub fn of_metric(result: &CanaryAnalysisResult, judged: &CanaryJudgeResult) -> Option<String> {
    let mut doubts = judged.summary.iter().flat_map(|summary| &summary.doubts);
    let metric = doubts.find(|metric| metric.hangs && is_of(metric, result))?;
    Some(sentences(metric, result).unwrap_or_else(|| causes(metric)))
}

/// The metrics on which a verdict hangs with their causes, which are told first: there may be no
/// room for more than that.
fn hanging(judged: &CanaryJudgeResult) -> String {
    let doubts = judged.summary.iter().flat_map(|summary| &summary.doubts);
    let metrics = doubts.filter(|metric| metric.hangs);
    // Several series of one metric may lack the same.
    let (mut named, mut told) = (IndexSet::new(), IndexSet::new());
    for metric in metrics {
        named.insert(format!("{} ({})", metric.name, causes(metric)));
        let mut results = judged.results.iter();
        let result = results.find(|result| is_of(metric, result));
        told.extend(result.and_then(|result| sentences(metric, result)));
    }
    if named.is_empty() {
        return unexplained(judged);
    }
    let more = match named.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let named = first(&named, ", ");
    let told = match first(&told, "; ") {
        told if told.is_empty() => told,
        told => format!(": {told}"),
    };
    format!("The verdict hangs on {named}{more}{told}")
}

fn first(texts: &IndexSet<String>, between: &str) -> String {
    let texts = texts.iter().take(NAMED).map(String::as_str);
    texts.collect::<Vec<_>>().join(between)
}

fn is_of(metric: &DoubtfulMetric, result: &CanaryAnalysisResult) -> bool {
    metric.id == result.id && metric.name == result.name
}

fn causes(metric: &DoubtfulMetric) -> String {
    let causes = metric.causes.iter().map(|cause| cause.as_str());
    causes.collect::<Vec<_>>().join(", ")
}

/// Those of its doubts.
fn sentences(metric: &DoubtfulMetric, result: &CanaryAnalysisResult) -> Option<String> {
    let doubts = &result.explanation.as_ref()?.doubts;
    let doubts = doubts
        .iter()
        .filter(|doubt| metric.causes.contains(&doubt.cause));
    let told = doubts.map(|doubt| doubt.sentence.trim_end_matches('.'));
    let told = told.collect::<Vec<_>>().join("; ");
    (!told.is_empty()).then_some(told)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{CanaryAnalysisExecutionStatusResponse, Execution};
    use super::*;

    fn look(score: f64, classification: &str, outcome: &str, doubts: &Value) -> Value {
        json!({"executionId": "c", "executionStatus": "SUCCEEDED", "result": {"judgeResult": {
            "judgeName": "j", "results": [],
            "score": {"score": score, "classification": classification},
            "summary": {"rule": "score", "sentence": format!("the judge says {classification}"),
                "groups": [], "metrics": 1, "notJudged": 0, "outcome": outcome, "doubts": doubts},
        }}})
    }

    fn told(members: &Value) -> (Outcome, String) {
        let mut whole = json!({"complete": true, "canaryAnalysisExecutionRequest":
            {"thresholds": {"pass": 95, "marginal": 75}}});
        for (name, value) in members.as_object().unwrap() {
            whole[name] = value.clone();
        }
        let document: CanaryAnalysisExecutionStatusResponse =
            serde_json::from_value(whole).unwrap();
        let told = document.told();
        (told.outcome, told.reason())
    }

    fn ended(status: &str, score: f64, look: &Value) -> Value {
        json!({"status": status, "canaryAnalysisExecutionResult": {
            "canaryScores": [score], "canaryExecutionResults": [look]}})
    }

    #[test]
    fn every_outcome_of_an_analysis_has_its_sentence() {
        let stage = |status: &str| json!({"type": "runCanary", "name": "n", "status": status});
        let errors =
            json!({"details": {"errors": ["no such metric", "another"], "error": "worse"}});
        let hangs = json!([
            {"id": "", "name": "errors", "causes": ["oneSided", "tooFew"], "hangs": true},
            {"id": "", "name": "latency", "causes": ["coverage"], "hangs": false},
        ]);
        let none = json!([]);
        let cases = [
            (
                json!({"status": "not_started", "complete": false}),
                Outcome::Waiting,
                "The analysis is about to begin",
            ),
            (
                json!({"status": "running", "complete": false,
                    "stageStatus": [stage("SUCCEEDED"), stage("RUNNING"), stage("NOT_STARTED")]}),
                Outcome::Running,
                "The analysis is still running, 1 of 3 judgements",
            ),
            (
                ended("succeeded", 100.0, &look(100.0, "Pass", "pass", &none)),
                Outcome::Pass,
                "the judge says Pass",
            ),
            (
                ended(
                    "succeeded",
                    80.0,
                    &look(80.0, "Marginal", "marginal", &none),
                ),
                Outcome::Marginal,
                "the judge says Marginal",
            ),
            (
                ended("terminal", 75.0, &look(75.0, "Marginal", "marginal", &none)),
                Outcome::Fail,
                "The last score, 75, is not above the marginal threshold of 75",
            ),
            (
                ended(
                    "succeeded",
                    100.0,
                    &look(100.0, "Pass", "inconclusive", &hangs),
                ),
                Outcome::Inconclusive,
                "The verdict hangs on errors (oneSided, tooFew)",
            ),
            (
                json!({"status": "terminal", "exception": errors}),
                Outcome::Error,
                "No verdict: no such metric; another",
            ),
            (
                json!({"status": "terminal", "exception": {"details": {}}}),
                Outcome::Error,
                "No verdict: it ended with an error",
            ),
            // Canceled is asked before an exception.
            (
                json!({"status": "canceled", "exception": errors}),
                Outcome::Canceled,
                "Canceled before its end",
            ),
        ];
        for (analysis, outcome, reason) in cases {
            assert_eq!(told(&analysis), (outcome, reason.to_owned()), "{analysis}");
        }
    }

    #[test]
    fn an_earlier_look_may_be_what_hangs_an_analysis() {
        let hangs = json!([{"id": "", "name": "a", "causes": ["partial"], "hangs": true}]);
        let run = |id: &str| json!({"type": "runCanary", "name": "n", "status": "SUCCEEDED", "executionId": id});
        let mut first = look(100.0, "Pass", "inconclusive", &hangs);
        first["executionId"] = json!("first");
        let last = look(100.0, "Pass", "pass", &json!([]));
        let analysis = json!({"status": "succeeded", "outcome": "inconclusive",
            "stageStatus": [run("first"), run("c")],
            "canaryAnalysisExecutionResult": {
                "canaryScores": [100, 100], "canaryExecutionResults": [first, last]}});
        let reason = "Judgement 1 of 2 was inconclusive: The verdict hangs on a (partial)";
        assert_eq!(told(&analysis), (Outcome::Inconclusive, reason.to_owned()));
    }

    #[test]
    fn of_many_metrics_the_first_are_named() {
        let metric =
            |name: &str| json!({"id": "", "name": name, "causes": ["noData"], "hangs": true});
        let hangs = json!(["a", "b", "c", "d"].map(metric));
        let (_, reason) = told(&ended(
            "succeeded",
            0.0,
            &look(0.0, "Fail", "inconclusive", &hangs),
        ));
        assert_eq!(
            reason,
            "The verdict hangs on a (noData), b (noData), c (noData) and 1 more"
        );
    }
}
