//! What a list tells of an execution without reading its document.

use serde::{Deserialize, Serialize};

use crate::canary::{CanaryJudgeResult, Kind, Label, Outcome, Told, names};

/// By which rules a line was read off a document. The first version told no analysis as marginal or
/// inconclusive, and gave one in error a score.
const VERSION: u32 = 2;

/// How the text of such a line begins.
pub const BEGINNING: &str = "{\"version\":2,";

/// One line of a list. Members may come; those of an older version are absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a mark of its own in a line"
)]
pub struct Brief {
    /// Comes first.
    #[serde(default)]
    version: u32,
    pub outcome: Outcome,
    /// Empty for a config that is not stored.
    #[serde(default)]
    pub config_id: String,
    #[serde(default)]
    pub config_name: String,
    /// Of an analysis, the last one.
    #[serde(default)]
    pub score: Option<f64>,
    /// Metrics, or canaries of an analysis.
    #[serde(default)]
    pub judged: u64,
    /// Of these, which failed.
    #[serde(default)]
    pub failed: u64,
    /// Of these, which could not be judged.
    #[serde(default)]
    pub not_judged: u64,
    /// Of these, on which the verdict hangs.
    #[serde(default)]
    pub doubtful: u64,
    #[serde(default)]
    pub control: String,
    #[serde(default)]
    pub experiment: String,
    /// Epoch milliseconds.
    #[serde(default)]
    pub start_time: Option<i64>,
    #[serde(default)]
    pub end_time: Option<i64>,
    /// Begin and end of what was judged, in epoch milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged_from: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged_until: Option<i64>,
    /// The analysis whose judgement it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub analysis: String,
    /// Somebody went on with it all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub accepted_by_hand: bool,
    /// It judges another one again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeats: bool,
    /// Another one judges it again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_repeated: bool,
    /// No run of a canary wrote it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub received: bool,
}

impl Brief {
    pub fn of(told: &Told<'_>) -> Self {
        let of_canary = told.judged.filter(|_| told.kind == Kind::Canary);
        let metrics = |wanted: fn(Label) -> bool| of_canary.map_or(0, |it| count(it, wanted));
        let summary = of_canary.and_then(|judged| judged.summary.as_ref());
        let results = told.looks.iter().filter(|look| look.result.is_some());
        let text = |text: Option<&str>| names::cut(text.unwrap_or_default().to_owned());
        Self {
            version: VERSION,
            outcome: told.outcome,
            config_id: names::cut(told.config_id.to_owned()),
            config_name: names::cut(told.config_name().to_owned()),
            score: told.score,
            judged: metrics(|_| true) + results.count() as u64,
            failed: metrics(|label| {
                matches!(label, Label::High | Label::Low | Label::NodataFailMetric)
            }),
            not_judged: metrics(|label| matches!(label, Label::Nodata | Label::Error)),
            doubtful: summary.map_or(0, |summary| {
                let doubts = summary.doubts.iter();
                doubts.filter(|metric| metric.hangs).count() as u64
            }),
            control: text(told.sides.control.scope),
            experiment: text(told.sides.experiment.scope),
            start_time: told.times.started,
            end_time: told.times.ended,
            judged_from: told.window.start,
            judged_until: told.window.end,
            analysis: text(told.analysis),
            accepted_by_hand: told.by_hand.accepted.is_some(),
            repeats: told.by_hand.repeats.is_some(),
            is_repeated: told.by_hand.repeated_by.is_some(),
            received: told.received,
        }
    }

    /// What the line of an execution is found by: parts of it, in lower case.
    pub fn sought(&self, id: &str, application: &str) -> String {
        let parts = [
            id,
            application,
            &self.config_id,
            &self.config_name,
            &self.control,
            &self.experiment,
        ];
        // No part of one begins in another.
        parts.join("\n").to_lowercase().replace('\0', "")
    }

    /// Whether it says what this version would say of a document of that kind.
    pub const fn is_current(&self, kind: Kind) -> bool {
        VERSION <= self.version || matches!(kind, Kind::Canary)
    }
}

/// Longer is no line of names that have a bound.
const MOST_BYTES: usize = 8 * 1024;

/// The line as it is shown: some were written before names had a bound.
pub fn cut(line: String) -> String {
    if line.len() <= MOST_BYTES {
        return line;
    }
    let Ok(long) = serde_json::from_str::<Brief>(&line) else {
        return line;
    };
    let short = Brief {
        config_id: names::cut(long.config_id),
        config_name: names::cut(long.config_name),
        control: names::cut(long.control),
        experiment: names::cut(long.experiment),
        ..long
    };
    // It has texts and numbers only, which can be written.
    serde_json::to_string(&short).unwrap_or_default()
}

fn count(judged: &CanaryJudgeResult, wanted: fn(Label) -> bool) -> u64 {
    let labels = judged.results.iter().map(|result| result.classification);
    labels.filter(|label| wanted(*label)).count() as u64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::canary::{CanaryAnalysisExecutionStatusResponse, Execution};

    #[test]
    fn a_line_of_an_older_version_is_read_and_known_for_it() {
        let analysis = CanaryAnalysisExecutionStatusResponse::default();
        let current = Brief::of(&analysis.told());
        let text = serde_json::to_string(&current).unwrap();
        assert!(text.starts_with(BEGINNING), "{text}");
        assert!(current.is_current(Kind::Analysis));
        let older: Brief = serde_json::from_value(json!({"outcome": "nodata"})).unwrap();
        assert_eq!(older.outcome, Outcome::Inconclusive);
        assert!(!older.is_current(Kind::Analysis));
    }

    #[test]
    fn names_that_had_no_bound_are_cut() {
        let long = json!({"outcome": "pass", "configName": "ä".repeat(100_000), "score": 12.5});
        let line: Brief = serde_json::from_str(&cut(long.to_string())).unwrap();
        assert_eq!(line.config_name, "ä".repeat(255));
        assert_eq!(line.score, Some(12.5));
        let short = "{\"outcome\":\"pass\"}";
        assert_eq!(cut(short.to_owned()), short);
    }
}
