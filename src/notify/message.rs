//! What is told of an execution: the same facts for every channel.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::canary::{
    CanaryAnalysisExecutionStatusResponse, CanaryAnalysisResult, CanaryClassifierThresholdsConfig,
    CanaryConfig, CanaryExecutionResult, CanaryExecutionStatusResponse, CanaryJudgeResult,
    ExecutionStatus, Label, StageException, Verdict,
};
use crate::config::Event;
use crate::storage::{ChartRow, DueNotice, Record};

/// What a channel is told; a template and the body of a webhook have these names.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// The same whenever it is sent again.
    pub id: String,
    pub event: Event,
    pub channel: String,
    /// `canary` or `analysis`.
    pub kind: &'static str,
    pub execution_id: String,
    pub application: String,
    pub canary_config_id: String,
    pub canary_config_name: Option<String>,
    /// One line.
    pub title: String,
    /// Why.
    pub sentence: String,
    pub score: Option<f64>,
    pub thresholds: Option<CanaryClassifierThresholdsConfig>,
    /// What is compared.
    pub control: Option<String>,
    pub experiment: Option<String>,
    /// How many were judged or should have been.
    pub metrics: u64,
    pub not_judged: u64,
    /// The critical ones first.
    pub failed: Vec<FailedMetric>,
    pub start_time: Option<String>,
    pub end_time: Option<String>,
    /// To the report.
    pub link: Option<String>,
    /// Of the first of the failed metrics.
    pub chart: Option<Chart>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedMetric {
    pub name: String,
    pub label: &'static str,
    pub critical: bool,
    pub groups: Vec<String>,
    pub sentence: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct Chart {
    /// Of a PNG; nobody can guess it.
    pub url: String,
    pub title: String,
}

/// An execution that channels may be told of.
pub trait Subject: Record {
    /// What its end is, if it has ended and anybody is to hear of it.
    fn end(&self) -> Option<Event>;
    /// What its client said beside the request.
    fn site_local(&self) -> Option<&Map<String, Value>>;
    fn facts(&self) -> Facts<'_>;
}

/// What a document says, before it is put into words.
#[derive(Default)]
pub struct Facts<'a> {
    /// `canary` or `analysis`.
    kind: &'static str,
    /// What it is called in a title.
    noun: &'static str,
    /// Of its pages.
    path: &'static str,
    config: Option<&'a CanaryConfig>,
    control: Option<&'a str>,
    experiment: Option<&'a str>,
    thresholds: Option<CanaryClassifierThresholdsConfig>,
    judged: Option<&'a CanaryJudgeResult>,
    /// Comes before what the judge says.
    remark: Option<&'a str>,
    list_id: Option<&'a str>,
    exception: Option<&'a StageException>,
    start_time: Option<&'a str>,
    end_time: Option<&'a str>,
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

impl Message {
    /// `public_url` is that of serin; without it there are no links.
    pub fn of<S: Subject>(notice: &DueNotice, subject: &S, public_url: Option<&str>) -> Self {
        let facts = subject.facts();
        let (application, event) = (subject.application(), notice.event);
        let has_ended = event != Event::Start;
        let judged = facts.judged.filter(|_| has_ended);
        let summary = judged.and_then(|judged| judged.summary.as_ref());
        let config_name = facts.config.and_then(|config| config.name.clone());
        Self {
            id: message_id(notice),
            event,
            channel: notice.channel.clone(),
            kind: facts.kind,
            execution_id: notice.execution_id.clone(),
            application: application.to_owned(),
            canary_config_id: subject.canary_config_id().to_owned(),
            canary_config_name: config_name.filter(|name| !name.is_empty()),
            title: format!("{application}: {} {}", facts.noun, became(event)),
            sentence: sentence(event, &facts),
            score: judged.map(|judged| judged.score.score),
            thresholds: facts.thresholds,
            control: facts.control.map(str::to_owned),
            experiment: facts.experiment.map(str::to_owned),
            metrics: summary.map_or_else(
                || judged.map_or(0, |judged| judged.results.len() as u64),
                |summary| summary.metrics,
            ),
            not_judged: summary.map_or(0, |summary| summary.not_judged),
            failed: judged.map(failed).unwrap_or_default(),
            start_time: facts.start_time.map(str::to_owned),
            end_time: facts.end_time.filter(|_| has_ended).map(str::to_owned),
            link: public_url.map(|url| format!("{url}/{}/{}", facts.path, notice.execution_id)),
            chart: None,
        }
    }

    /// One of each event, as odd as they come: what a template must be able to write.
    pub fn example(channel: &str, event: Event) -> Self {
        let odd = "p99 \"latency\" \\ <all>\nof {checkout}";
        let failed = FailedMetric {
            name: odd.to_owned(),
            label: "High",
            critical: true,
            groups: vec!["Latency".to_owned()],
            sentence: odd.to_owned(),
        };
        let has_verdict = !matches!(event, Event::Start | Event::Error);
        Self {
            id: "c2ab9a8e-6b8a-5d0e-9e0c-0f2f4c1d9a11".to_owned(),
            event,
            channel: channel.to_owned(),
            kind: "canary",
            execution_id: "01J00000000000000000000000".to_owned(),
            application: "checkout".to_owned(),
            canary_config_id: "checkout".to_owned(),
            canary_config_name: Some(odd.to_owned()),
            title: format!("checkout: canary {} {odd}", became(event)),
            sentence: odd.to_owned(),
            score: has_verdict.then_some(66.67),
            thresholds: Some(CanaryClassifierThresholdsConfig {
                pass: Some(95.0),
                marginal: Some(75.0),
            }),
            control: Some(odd.to_owned()),
            experiment: None,
            metrics: 3,
            not_judged: 1,
            failed: has_verdict.then_some(failed).into_iter().collect(),
            start_time: Some("2026-01-01T12:00:00Z".to_owned()),
            end_time: None,
            link: None,
            chart: None,
        }
    }
}

/// The chart that goes with a message: of the first of its failed metrics.
pub fn chart_of<S: Subject>(notice: &DueNotice, subject: &S) -> Option<(ChartRow, String)> {
    let facts = subject.facts();
    let first = facts.judged.and_then(|judged| first_failed(judged).next());
    let (result, list_id) = (first?, facts.list_id?);
    if notice.event == Event::Start || result.id.is_empty() {
        return None;
    }
    let chart = ChartRow {
        kind: notice.kind,
        execution_id: notice.execution_id.clone(),
        storage_account: notice.storage_account.clone(),
        list_id: list_id.to_owned(),
        pair_id: result.id.clone(),
        label: name_of(result.classification).to_owned(),
    };
    Some((chart, result.name.clone()))
}

/// The same for every replica and every attempt.
fn message_id(notice: &DueNotice) -> String {
    let name = format!(
        "{}/{}/{}",
        notice.execution_id,
        notice.event.as_str(),
        notice.channel
    );
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, name.as_bytes()).to_string()
}

const fn became(event: Event) -> &'static str {
    match event {
        Event::Start => "started",
        Event::Pass => "passed",
        Event::Marginal => "is marginal",
        Event::Fail => "failed",
        Event::Error => "ended with an error",
    }
}

fn sentence(event: Event, facts: &Facts<'_>) -> String {
    if event == Event::Start {
        let [experiment, control] =
            [facts.experiment, facts.control].map(Option::unwrap_or_default);
        return format!("'{experiment}' is compared with '{control}'");
    }
    let told = facts.judged.map(|judged| match &judged.summary {
        Some(summary) => summary.sentence.clone(),
        None => with_reason(
            &format!("{:?}", judged.score.classification),
            &judged.score.classification_reason,
        ),
    });
    let cause = facts.exception.and_then(cause);
    let remark = facts.remark.map(str::to_owned);
    let parts = match event {
        Event::Error => [cause, remark.filter(|_| told.is_some()), told],
        _ => [remark, told, None],
    };
    let parts: Vec<String> = parts
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
        .collect();
    if parts.is_empty() {
        return "it ended without a verdict".to_owned();
    }
    parts.join(" ")
}

/// What a stage said when it failed.
fn cause(exception: &StageException) -> Option<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let errors = exception.details.get("errors").and_then(Value::as_array);
    let errors: Vec<String> = errors.into_iter().flatten().filter_map(text).collect();
    if errors.is_empty() {
        return exception.details.get("error").and_then(text);
    }
    Some(errors.join("; "))
}

fn failed(judged: &CanaryJudgeResult) -> Vec<FailedMetric> {
    let told = first_failed(judged).map(|result| {
        let label = name_of(result.classification);
        let reason = result.classification_reason.as_deref().unwrap_or_default();
        FailedMetric {
            name: result.name.clone(),
            label,
            critical: result.critical,
            groups: result.groups.clone(),
            sentence: match &result.explanation {
                Some(explanation) => explanation.sentence.clone(),
                None => with_reason(label, reason),
            },
        }
    });
    told.collect()
}

/// The metrics that failed, critical ones first.
fn first_failed(judged: &CanaryJudgeResult) -> impl Iterator<Item = &CanaryAnalysisResult> {
    let is_failed = |result: &&CanaryAnalysisResult| {
        let label = result.classification;
        let fails = matches!(label, Label::High | Label::Low | Label::NodataFailMetric);
        !result.muted && (fails || result.critical && label != Label::Pass)
    };
    let failed = judged.results.iter().filter(is_failed);
    let (critical, others): (Vec<_>, Vec<_>) = failed.partition(|result| result.critical);
    critical.into_iter().chain(others)
}

fn with_reason(label: &str, reason: &str) -> String {
    match reason {
        "" => label.to_owned(),
        reason => format!("{label}: {reason}"),
    }
}

const fn name_of(label: Label) -> &'static str {
    match label {
        Label::Pass => "Pass",
        Label::High => "High",
        Label::Low => "Low",
        Label::Nodata => "Nodata",
        Label::NodataFailMetric => "NodataFailMetric",
        Label::Error => "Error",
    }
}

/// A text of at most so many characters.
pub fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// A score with no more digits than it has.
pub fn score(score: f64) -> String {
    format!("{score:.2}")
        .trim_end_matches('0')
        .trim_end_matches('.')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::storage::Kind;

    fn notice(event: Event) -> DueNotice {
        DueNotice {
            kind: Kind::Canary,
            execution_id: "run".to_owned(),
            storage_account: "s3".to_owned(),
            channel: "team".to_owned(),
            event,
            created_at: 0,
            attempt: 1,
        }
    }

    /// A judgement by a judge that explains nothing.
    fn judged(verdict: &str) -> Value {
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

    fn canary(status: &str, result: &Value) -> CanaryExecutionStatusResponse {
        let canary = json!({"pipelineId": "run", "application": "web", "status": status,
            "complete": true, "metricSetPairListId": "list", "result": result});
        serde_json::from_value(canary).unwrap()
    }

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

    #[test]
    fn a_judge_that_explains_nothing_is_told_by_its_labels_and_reasons() {
        let canary = canary("succeeded", &judged("Fail"));
        let message = Message::of(&notice(Event::Fail), &canary, Some("http://serin"));
        assert_eq!(message.title, "web: canary failed");
        assert_eq!(message.sentence, "Fail: too low");
        assert_eq!(message.link.as_deref(), Some("http://serin/ui/runs/run"));
        let failed = message.failed.iter();
        let failed: Vec<_> = failed
            .map(|one| (one.name.as_str(), one.sentence.as_str()))
            .collect();
        let expected = [
            ("vital", "Nodata: as it seems"),
            ("high", "High: as it seems"),
        ];
        assert_eq!(failed, expected);
        let (chart, _) = chart_of(&notice(Event::Fail), &canary).unwrap();
        assert_eq!(
            (chart.list_id.as_str(), chart.pair_id.as_str()),
            ("list", "vital")
        );
        assert!(chart_of(&notice(Event::Start), &canary).is_none());
    }

    #[test]
    fn an_id_is_that_of_execution_channel_and_event() {
        let id = message_id(&notice(Event::Fail));
        let again = DueNotice {
            attempt: 7,
            ..notice(Event::Fail)
        };
        assert_eq!(message_id(&again), id);
        let other = DueNotice {
            channel: "other".to_owned(),
            ..notice(Event::Fail)
        };
        assert_ne!(message_id(&other), id);
        assert_ne!(message_id(&notice(Event::Pass)), id);
    }
}
