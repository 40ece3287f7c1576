//! What is told of an execution: the same facts for every channel.

use serde::Serialize;
use serde_json::Value;

use super::subject::{Facts, Subject};
use crate::canary::{
    CanaryAnalysisResult, CanaryClassifierThresholdsConfig, CanaryJudgeResult, Label,
    StageException,
};
use crate::config::Event;
use crate::storage::{ChartRow, DueNotice};

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

impl Chart {
    /// For who cannot see it.
    pub fn description(&self) -> String {
        format!("{}: control and experiment over time", self.title)
    }
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

    /// What is told beside title and sentence, each with its name.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let config = self.canary_config_name.as_ref();
        let facts = [
            ("Execution", Some(self.execution_id.clone())),
            (
                "Config",
                Some(config.unwrap_or(&self.canary_config_id).clone()),
            ),
            ("Experiment", self.experiment.clone()),
            ("Control", self.control.clone()),
            ("Score", self.score.map(score)),
        ];
        let told = facts.into_iter();
        told.filter_map(|(name, value)| Some((name, value?)))
            .collect()
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
    use super::super::subject::tests::{canary, judged};
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
