//! What was judged, judged once more from its stored series: by other rules, and without a query.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::number::number;
use super::{
    CanaryClassifierThresholdsConfig, CanaryConfig, CanaryJudgeResult, Label, Look, Outcome,
    lenient,
};

/// Which runs to judge once more, and what is to be otherwise: without `whatIf`, nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ReplayRequest {
    /// Ids of canary executions. Or the newest ones: of an application, of a config, or of both.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// Its name or id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// How many of the newest; 20, if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<usize>,
    pub what_if: WhatIf,
}

/// What is to be otherwise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct WhatIf {
    /// The stored config to judge by, instead of the one that each run had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary_config_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration_account_name: Option<String>,
    /// The config to judge by, as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary_config: Option<CanaryConfig>,
    /// Instead of the config's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "sequential-v1")]
    pub judge: Option<String>,
    /// `judge.judgeConfigurations.margin`: 0.1 for 10 %.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 0.1)]
    pub margin: Option<f64>,
    /// One that is not given stays what it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<CanaryClassifierThresholdsConfig>,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Replay {
    /// In the order in which they were named, or the newest first.
    pub runs: Vec<ReplayedRun>,
    pub tally: ReplayTally,
    /// Ids that were not reached in the time that a request may take: ask for them by another one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_reached: Vec<String>,
}

/// One run, as it was judged and as it would be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ReplayedRun {
    pub id: String,
    pub application: String,
    /// Empty of a config that is not stored.
    pub config_id: String,
    pub config_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_time_millis: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_time_iso: Option<String>,
    /// Which judgement of its analysis it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub look: Option<Look>,
    /// What came of it at the time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<ReplayedVerdict>,
    /// What would have come of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<ReplayedVerdict>,
    /// Why it could not be judged once more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_judged: Option<NotReplayed>,
    /// Whether the outcome is another one.
    pub changed: bool,
    /// Whether the result is the same to the last byte.
    pub identical: bool,
    /// Why the outcome is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What should be known of the comparison: series that were left out, queries that are others now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Those whose label is another one, 50 at most.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<ReplayedMetric>,
    /// How many more there are.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_metrics: usize,
    /// The verdicts of the two judges of the tally on the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub judges: Vec<ReplayedVerdict>,
    /// The whole result, where one run alone was asked for.
    #[serde(
        deserialize_with = "lenient::if_readable",
        skip_serializing_if = "Option::is_none"
    )]
    pub result: Option<CanaryJudgeResult>,
}

/// What a judge came to, in short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplayedVerdict {
    /// Empty where none has judged.
    #[serde(default)]
    pub judge: String,
    pub outcome: Outcome,
    /// None where none was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    #[serde(default)]
    pub sentence: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NotReplayed {
    pub cause: NotReplayedCause,
    pub sentence: String,
}

/// Why a run cannot be judged once more; there are no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum NotReplayedCause {
    /// There is no run of that id.
    Unknown,
    /// It has not ended.
    Running,
    /// It ended before it had series of both sides.
    NoSeries,
    /// Its series are not kept any more.
    Gone,
    /// The judge refuses the config, or the series.
    Refused,
    /// Its document or its series cannot be read.
    Unreadable,
}

/// A metric set pair whose label is another one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReplayedMetric {
    pub name: String,
    #[serde(default, skip_serializing_if = "indexmap::IndexMap::is_empty")]
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub tags: indexmap::IndexMap<String, String>,
    /// None where it was not judged then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<ReplayedLabel>,
    /// None where it is not judged now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<ReplayedLabel>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReplayedLabel {
    pub label: Label,
    /// This metric alone failed the canary.
    #[serde(default)]
    pub critical: bool,
    #[serde(default)]
    pub sentence: String,
}

/// All runs together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ReplayTally {
    pub runs: usize,
    pub judged: usize,
    pub not_judged: usize,
    pub changed: usize,
    pub identical: usize,
    /// From which outcome to which one, the most frequent first.
    pub changes: Vec<OutcomePair>,
    /// How often two judges agree on the same series, by the config of `whatIf`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agreement: Option<Agreement>,
}

/// Two outcomes of the same run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutcomePair {
    pub one: Outcome,
    pub other: Outcome,
    pub runs: usize,
}

/// How often two judges agree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Agreement {
    #[schema(value_type = Vec<String>, example = json!(["NetflixACAJudge-v1.0", "sequential-v1"]))]
    pub judges: [String; 2],
    /// Runs on which both gave a verdict.
    pub runs: usize,
    /// Runs on which it is the same.
    pub agree: usize,
    /// Where it is not, the most frequent first.
    pub differ: Vec<OutcomePair>,
}

impl ReplayTally {
    pub fn of(runs: &[ReplayedRun]) -> Self {
        let count =
            |wanted: fn(&ReplayedRun) -> bool| runs.iter().filter(|run| wanted(run)).count();
        let changes = runs.iter().filter(|run| run.changed).filter_map(|run| {
            let (before, after) = (run.before.as_ref()?, run.after.as_ref()?);
            Some((before.outcome, after.outcome))
        });
        Self {
            runs: runs.len(),
            judged: count(|run| run.after.is_some()),
            not_judged: count(|run| run.after.is_none()),
            changed: count(|run| run.changed),
            identical: count(|run| run.identical),
            changes: counted(changes),
            agreement: Agreement::of(runs),
        }
    }

    /// What came of it, in words.
    pub fn sentences(&self) -> Vec<String> {
        let runs = |count: usize| match count {
            1 => "1 run".to_owned(),
            count => format!("{count} runs"),
        };
        let mut told = vec![match (self.judged, self.changed) {
            (0, _) => format!("{} could be judged once more: none", runs(self.runs)),
            (all, 0) if self.identical == all => {
                format!(
                    "{} judged once more: the same results, to the last byte",
                    runs(all)
                )
            }
            (all, 0) => format!("{} judged once more: the same verdicts", runs(all)),
            (all, changed) => format!(
                "{} judged once more: {changed} with another verdict",
                runs(all)
            ),
        }];
        if 0 < self.judged && 0 < self.not_judged {
            told.push(format!(
                "{} could not be judged once more",
                runs(self.not_judged)
            ));
        }
        told.extend(self.changes.iter().map(|pair| {
            let (one, other) = (pair.one.as_str(), pair.other.as_str());
            format!("{other} instead of {one}: {}", runs(pair.runs))
        }));
        told.extend(self.agreement.as_ref().map(Agreement::sentence));
        told
    }
}

impl Agreement {
    pub fn sentence(&self) -> String {
        let [one, other] = &self.judges;
        let percent = number(100.0 * ratio(self.agree, self.runs));
        let told = format!(
            "{one} and {other} agree on {} of {} runs ({percent} %)",
            self.agree, self.runs
        );
        let differ = self.differ.iter().map(|pair| {
            let (first, second) = (pair.one.as_str(), pair.other.as_str());
            format!("{first} against {second} on {}", pair.runs)
        });
        let differ: Vec<String> = differ.collect();
        if differ.is_empty() {
            return told;
        }
        format!("{told}; where they differ: {}", differ.join(", "))
    }

    fn of(runs: &[ReplayedRun]) -> Option<Self> {
        let both = runs.iter().filter_map(|run| match run.judges.as_slice() {
            [one, other] => Some((one, other)),
            _ => None,
        });
        let (one, other) = both.clone().next()?;
        let judges = [one.judge.clone(), other.judge.clone()];
        let outcomes = both.map(|(one, other)| (one.outcome, other.outcome));
        let differ = counted(outcomes.clone().filter(|(one, other)| one != other));
        let runs = outcomes.count();
        Some(Self {
            judges,
            runs,
            agree: runs - differ.iter().map(|pair| pair.runs).sum::<usize>(),
            differ,
        })
    }
}

/// Of counts that are far below what a double holds.
fn ratio(part: usize, whole: usize) -> f64 {
    let exact = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    exact(part) / exact(whole)
}

/// Equal ones together, the most frequent first.
fn counted(pairs: impl Iterator<Item = (Outcome, Outcome)>) -> Vec<OutcomePair> {
    let mut counts: Vec<OutcomePair> = Vec::new();
    for (one, other) in pairs {
        let same = |pair: &&mut OutcomePair| pair.one == one && pair.other == other;
        match counts.iter_mut().find(same) {
            Some(pair) => pair.runs += 1,
            None => counts.push(OutcomePair {
                one,
                other,
                runs: 1,
            }),
        }
    }
    counts.sort_by_key(|pair| std::cmp::Reverse(pair.runs));
    counts
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(judge: &str, outcome: Outcome) -> ReplayedVerdict {
        ReplayedVerdict {
            judge: judge.to_owned(),
            outcome,
            score: None,
            sentence: String::new(),
        }
    }

    fn run(before: Outcome, after: Option<Outcome>, judges: &[Outcome]) -> ReplayedRun {
        let names = ["a", "b"].into_iter().zip(judges);
        ReplayedRun {
            before: Some(verdict("a", before)),
            after: after.map(|outcome| verdict("b", outcome)),
            changed: after.is_some_and(|after| after != before),
            identical: after == Some(before),
            judges: names
                .map(|(name, outcome)| verdict(name, *outcome))
                .collect(),
            ..ReplayedRun::default()
        }
    }

    #[test]
    fn runs_are_counted_by_what_changed_and_by_where_two_judges_differ() {
        use Outcome::{Error, Fail, Marginal, Pass};
        let runs = [
            run(Pass, Some(Pass), &[Pass, Pass]),
            run(Fail, Some(Pass), &[Fail, Pass]),
            run(Marginal, Some(Fail), &[Marginal, Fail]),
            run(Fail, Some(Pass), &[Fail, Pass]),
            run(Fail, Some(Fail), &[Fail]),
            run(Error, None, &[]),
        ];
        let pair = |one, other, runs| OutcomePair { one, other, runs };
        let expected = ReplayTally {
            runs: 6,
            judged: 5,
            not_judged: 1,
            changed: 3,
            identical: 2,
            changes: vec![pair(Fail, Pass, 2), pair(Marginal, Fail, 1)],
            agreement: Some(Agreement {
                judges: ["a".to_owned(), "b".to_owned()],
                runs: 4,
                agree: 1,
                differ: vec![pair(Fail, Pass, 2), pair(Marginal, Fail, 1)],
            }),
        };
        assert_eq!(ReplayTally::of(&runs), expected);
        assert_eq!(
            expected.sentences(),
            [
                "5 runs judged once more: 3 with another verdict",
                "1 run could not be judged once more",
                "pass instead of fail: 2 runs",
                "fail instead of marginal: 1 run",
                "a and b agree on 1 of 4 runs (25 %); where they differ: fail against pass on 2, marginal against fail on 1",
            ]
        );
        let words = |runs: &[ReplayedRun]| ReplayTally::of(runs).sentences();
        assert_eq!(words(&runs[5..]), ["1 run could be judged once more: none"]);
        assert_eq!(
            words(&runs[..1])[..1],
            ["1 run judged once more: the same results, to the last byte"]
        );
    }
}
