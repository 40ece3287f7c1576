//! What is told of an execution: the same facts for every channel.

use serde::Serialize;

use crate::canary::number::score;
use crate::canary::{
    CanaryAnalysisResult, CanaryClassifierThresholdsConfig, CanaryJudgeResult, Event, Label, Told,
    iso_from_millis,
};
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
    /// As the API names it.
    pub label: &'static str,
    /// The same for people.
    #[serde(skip)]
    pub word: &'static str,
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
    pub fn of(notice: &DueNotice, told: &Told<'_>, public_url: Option<&str>) -> Self {
        let (application, event) = (told.application, notice.event);
        let judged = told.judged.filter(|_| event.is_end());
        let summary = judged.and_then(|judged| judged.summary.as_ref());
        let text = |text: Option<&str>| text.map(str::to_owned);
        Self {
            id: message_id(notice),
            event,
            channel: notice.channel.clone(),
            kind: told.kind.as_str(),
            execution_id: notice.execution_id.clone(),
            application: application.to_owned(),
            canary_config_id: told.config_id.to_owned(),
            canary_config_name: text(Some(told.config_name()).filter(|name| !name.is_empty())),
            title: format!("{application}: {} {}", told.kind.noun(), became(event)),
            sentence: sentence(event, told),
            score: told.score.filter(|_| event.is_end()),
            thresholds: told.thresholds,
            control: text(told.sides.control.scope),
            experiment: text(told.sides.experiment.scope),
            metrics: summary.map_or_else(
                || judged.map_or(0, |judged| judged.results.len() as u64),
                |summary| summary.metrics,
            ),
            not_judged: summary.map_or(0, |summary| summary.not_judged),
            failed: judged.map(failed).unwrap_or_default(),
            start_time: told.times.started.map(iso_from_millis),
            end_time: told
                .times
                .ended
                .filter(|_| event.is_end())
                .map(iso_from_millis),
            link: public_url
                .map(|url| format!("{url}{}/{}", told.kind.page(), notice.execution_id)),
            chart: None,
        }
    }

    /// One of each event, as odd as they come: what a template must be able to write.
    pub fn example(channel: &str, event: Event) -> Self {
        let odd = "p99 \"latency\" \\ <all>\nof {checkout}";
        let failed = FailedMetric {
            name: odd.to_owned(),
            label: "High",
            word: "High",
            critical: true,
            groups: vec!["Latency".to_owned()],
            sentence: odd.to_owned(),
        };
        let has_verdict = matches!(event, Event::Pass | Event::Marginal | Event::Fail);
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
pub fn chart_of(notice: &DueNotice, told: &Told<'_>) -> Option<(ChartRow, String)> {
    let first = told.judged.and_then(|judged| first_failed(judged).next());
    let (result, list_id) = (first?, told.list_id?);
    if !notice.event.is_end() || result.id.is_empty() {
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
        Event::Interval => "goes on",
        Event::Pass => "passed",
        Event::Marginal => "is marginal",
        Event::Fail => "failed",
        Event::Inconclusive => "is inconclusive",
        Event::Error => "ended with an error",
    }
}

fn sentence(event: Event, told: &Told<'_>) -> String {
    if event.is_end() {
        return told.reason();
    }
    let [experiment, control] =
        [told.sides.experiment, told.sides.control].map(|side| side.scope.unwrap_or_default());
    format!("'{experiment}' is compared with '{control}'")
}

fn failed(judged: &CanaryJudgeResult) -> Vec<FailedMetric> {
    let told = first_failed(judged).map(|result| {
        let word = word_of(result.classification);
        let reason = result.classification_reason.as_deref().unwrap_or_default();
        FailedMetric {
            name: result.name.clone(),
            label: name_of(result.classification),
            word,
            critical: result.critical,
            groups: result.groups.clone(),
            sentence: match &result.explanation {
                Some(explanation) => explanation.sentence.clone(),
                None => with_reason(word, reason),
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

const fn word_of(label: Label) -> &'static str {
    match label {
        Label::Nodata => "No data",
        Label::NodataFailMetric => "No data, fails",
        label => name_of(label),
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::canary::{CanaryExecutionStatusResponse, Execution, Kind};

    /// Judged by a judge that explains nothing.
    fn canary() -> CanaryExecutionStatusResponse {
        let stats = json!({"count": 1, "mean": 1, "min": 1, "std": 0, "max": 1});
        let side = json!({"stats": stats});
        let metric = |name: &str, label: &str, critical: bool, muted: bool| -> Value {
            json!({"name": name, "id": name, "classification": label, "critical": critical,
                "muted": muted, "classificationReason": "as it seems", "groups": ["g"],
                "experimentMetadata": side, "controlMetadata": side})
        };
        let judged = json!({"judgeResult": {
            "judgeName": "other",
            "results": [
                metric("fine", "Pass", false, false),
                metric("high", "High", false, false),
                metric("quiet", "High", false, true),
                metric("gone", "Nodata", false, false),
                metric("vital", "Nodata", true, false),
            ],
            "score": {"score": 50, "classification": "Fail", "classificationReason": "too low"},
        }});
        let canary = json!({"pipelineId": "run", "application": "web", "status": "succeeded",
            "complete": true, "metricSetPairListId": "list", "result": judged});
        serde_json::from_value(canary).unwrap()
    }

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
        let canary = canary();
        let told = canary.told();
        let message = Message::of(&notice(Event::Fail), &told, Some("http://serin"));
        assert_eq!(message.title, "web: canary failed");
        assert_eq!(message.sentence, "too low");
        assert_eq!(message.link.as_deref(), Some("http://serin/ui/runs/run"));
        let failed = message.failed.iter();
        let failed: Vec<_> = failed
            .map(|one| (one.name.as_str(), one.sentence.as_str()))
            .collect();
        let expected = [
            ("vital", "No data: as it seems"),
            ("high", "High: as it seems"),
        ];
        assert_eq!(failed, expected);
        let (chart, _) = chart_of(&notice(Event::Fail), &told).unwrap();
        assert_eq!(
            (chart.list_id.as_str(), chart.pair_id.as_str()),
            ("list", "vital")
        );
        assert!(chart_of(&notice(Event::Start), &told).is_none());
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
