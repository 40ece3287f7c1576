//! One run as it is to be judged once more. Pure.

use std::collections::HashSet;
use std::sync::Arc;

use crate::canary::{
    CanaryClassifierThresholdsConfig, CanaryConfig, CanaryExecutionStatusResponse, Learned,
    MetricSetPair, NotReplayed, NotReplayedCause, Outcome, fingerprint,
};
use crate::canary::{Execution, ReplayedVerdict};
use crate::error::{Error, Result};
use crate::metrics;
use crate::run::judges::Question;

/// What is to be otherwise, with the config at hand.
#[derive(Clone, Debug, Default)]
pub struct Change {
    pub config: Option<CanaryConfig>,
    pub judge: Option<String>,
    pub margin: Option<f64>,
    pub thresholds: CanaryClassifierThresholdsConfig,
    /// The margins of the calibration that the config names.
    pub learned: Option<Learned>,
}

/// What is judged once more, and what is to be told of it.
pub struct Case {
    pub question: Question,
    pub notes: Vec<String>,
}

impl Change {
    pub fn is_none(&self) -> bool {
        self.config.is_none()
            && self.judge.is_none()
            && self.margin.is_none()
            && self.thresholds == CanaryClassifierThresholdsConfig::default()
    }

    /// # Errors
    /// `Invalid` when a number is none that a canary could be judged by.
    pub fn check(&self) -> Result<()> {
        let wrong = |what: &str, value: f64, wanted: &str| {
            Err(Error::Invalid(format!(
                "whatIf.{what} is {value}, and {wanted} is wanted"
            )))
        };
        if let Some(margin) = self.margin.filter(|margin| !(0.0..=10.0).contains(margin)) {
            return wrong("margin", margin, "a number from 0 to 10 (0.1 for 10 %)");
        }
        let thresholds = [
            ("thresholds.pass", self.thresholds.pass),
            ("thresholds.marginal", self.thresholds.marginal),
        ];
        for (name, value) in thresholds {
            if let Some(value) = value.filter(|value| !(0.0..=100.0).contains(value)) {
                return wrong(name, value, "a score from 0 to 100");
            }
        }
        Ok(())
    }

    /// A config as it would be.
    pub fn of_config(&self, own: &CanaryConfig) -> CanaryConfig {
        let mut config = self.config.as_ref().unwrap_or(own).clone();
        if let Some(judge) = &self.judge {
            config.judge.get_or_insert_default().name = Some(judge.clone());
        }
        if let Some(margin) = self.margin {
            let judge = config.judge.get_or_insert_default();
            let members = judge.judge_configurations.get_or_insert_default();
            members.insert("margin".to_owned(), margin.into());
        }
        config
    }
}

impl Case {
    /// # Errors
    /// When the run holds nothing that could be judged.
    pub fn of(
        run: &CanaryExecutionStatusResponse,
        mut pairs: Vec<MetricSetPair>,
        change: &Change,
    ) -> Result<Self, NotReplayed> {
        let lacks = |what: &str| {
            let sentence = format!("its document holds no {what}");
            not_replayed(NotReplayedCause::Unreadable, sentence)
        };
        let own = run.config.as_ref().ok_or_else(|| lacks("canary config"))?;
        let request = run.canary_execution_request.as_ref();
        let before = request.and_then(|request| request.thresholds);
        let thresholds = CanaryClassifierThresholdsConfig {
            pass: change.thresholds.pass.or(before.and_then(|it| it.pass)),
            marginal: change
                .thresholds
                .marginal
                .or(before.and_then(|it| it.marginal)),
        };
        if before.is_none() && thresholds == CanaryClassifierThresholdsConfig::default() {
            return Err(lacks("thresholds"));
        }
        // Of runs of an older version, which did not say.
        metrics::tell_looks_back(&mut pairs);
        let config = change.of_config(own);
        let mut notes = Vec::new();
        if change.config.is_some() {
            leave_out(&mut pairs, &config, &mut notes);
            tell_queries(own, &config, &mut notes);
        }
        if pairs.is_empty() {
            let sentence = "no metric of the config has series in this run".to_owned();
            return Err(not_replayed(NotReplayedCause::NoSeries, sentence));
        }
        let learned = match &change.config {
            None => run.learned.clone(),
            // What is learned anew under a name is another margin.
            Some(_) => change.learned.clone().or_else(|| {
                let own = run.learned.as_ref();
                let own = own.filter(|own| config.calibration().as_ref() == Some(&own.calibration));
                own.cloned()
            }),
        };
        Ok(Self {
            question: Question {
                config: Arc::new(config),
                thresholds,
                pairs: Arc::new(pairs),
                look: run.look,
                learned: learned.map(Arc::new),
            },
            notes,
        })
    }

    /// The same by another judge.
    pub fn by(&self, judge: &str) -> Question {
        let mut config = CanaryConfig::clone(&self.question.config);
        config.judge.get_or_insert_default().name = Some(judge.to_owned());
        Question {
            config: Arc::new(config),
            ..self.question.clone()
        }
    }
}

/// What a run lacks to be judged once more, as far as its document tells.
pub fn lack(run: &CanaryExecutionStatusResponse) -> Option<NotReplayed> {
    let told = run.told();
    if !told.outcome.is_final() {
        let sentence = "it has not ended yet".to_owned();
        return Some(not_replayed(NotReplayedCause::Running, sentence));
    }
    if told.list_id.is_some_and(|list| !list.is_empty()) {
        return None;
    }
    let sentence = match told.outcome {
        _ if told.received => "it was posted to the archive, without its series".to_owned(),
        Outcome::Error => format!("it ended in an error, without series: {}", told.reason()),
        Outcome::Canceled => "it was canceled before it had all series".to_owned(),
        _ => "its document names no series".to_owned(),
    };
    Some(not_replayed(NotReplayedCause::NoSeries, sentence))
}

/// What came of a run at the time.
pub fn verdict_before(run: &CanaryExecutionStatusResponse) -> ReplayedVerdict {
    let told = run.told();
    ReplayedVerdict {
        judge: told
            .judged
            .map_or_else(String::new, |it| it.judge_name.clone()),
        outcome: told.outcome,
        score: told.score,
        sentence: told.reason(),
    }
}

pub const fn not_replayed(cause: NotReplayedCause, sentence: String) -> NotReplayed {
    NotReplayed { cause, sentence }
}

/// Series that the config has no metric for, which no judge takes.
fn leave_out(pairs: &mut Vec<MetricSetPair>, config: &CanaryConfig, notes: &mut Vec<String>) {
    let metrics = config.metrics.iter().flatten();
    let known: HashSet<&str> = metrics
        .filter_map(|metric| metric.name.as_deref())
        .collect();
    let mut left_out: Vec<String> = Vec::new();
    pairs.retain(|pair| {
        let is_known = known.contains(pair.name.as_str());
        if !is_known && !left_out.contains(&pair.name) {
            left_out.push(pair.name.clone());
        }
        is_known
    });
    if !left_out.is_empty() {
        notes.push(format!(
            "left out, as the config has no such metric: {}",
            left_out.join(", ")
        ));
    }
    let fetched: HashSet<&str> = pairs.iter().map(|pair| pair.name.as_str()).collect();
    let missing = known.difference(&fetched).copied();
    let mut missing: Vec<&str> = missing.collect();
    if !missing.is_empty() {
        missing.sort_unstable();
        notes.push(format!(
            "never fetched in this run, and so not judged: {}",
            missing.join(", ")
        ));
    }
}

/// Metrics whose series came by a query that the config does not ask any more.
fn tell_queries(own: &CanaryConfig, config: &CanaryConfig, notes: &mut Vec<String>) {
    let before = own.metrics.as_deref().unwrap_or_default();
    let metrics = config.metrics.iter().flatten().filter_map(|metric| {
        let name = metric.name.as_deref()?;
        let before = before.iter().find(|it| it.name.as_deref() == Some(name))?;
        (fingerprint(own, before) != fingerprint(config, metric)).then_some(name)
    });
    let metrics: Vec<&str> = metrics.collect();
    if !metrics.is_empty() {
        notes.push(format!(
            "the query is another one now, and the series are those of the former one: {}",
            metrics.join(", ")
        ));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn config(metrics: &[(&str, &str)]) -> CanaryConfig {
        let metrics: Vec<Value> = metrics
            .iter()
            .map(|(name, query)| json!({"name": name, "groups": [], "query": {"type": "prometheus", "customInlineTemplate": query}}))
            .collect();
        serde_json::from_value(json!({"name": "c", "metrics": metrics})).unwrap()
    }

    fn run() -> CanaryExecutionStatusResponse {
        serde_json::from_value(json!({
            "status": "succeeded", "complete": true, "metricSetPairListId": "list",
            "config": config(&[("a", "q"), ("b", "q")]),
            "canaryExecutionRequest": {"thresholds": {"pass": 95, "marginal": 75}},
            "look": {"number": 2, "planned": 3, "window": "growing"},
            "learned": {"calibration": "k", "madeMillis": 1, "fromMillis": 0, "toMillis": 1, "metrics": []},
        }))
        .unwrap()
    }

    fn pairs(names: &[&str]) -> Vec<MetricSetPair> {
        let pair =
            |name: &&str| json!({"name": name, "values": {"control": [1.0], "experiment": [1.0]}});
        serde_json::from_value(names.iter().map(pair).collect()).unwrap()
    }

    #[test]
    fn without_a_change_it_is_what_was_judged() {
        let case = Case::of(&run(), pairs(&["a", "b"]), &Change::default()).unwrap();
        let question = &case.question;
        assert_eq!(Some(&*question.config), run().config.as_ref());
        assert_eq!(question.thresholds.pass, Some(95.0));
        assert_eq!(question.look, run().look);
        assert_eq!(question.learned.as_deref(), run().learned.as_ref());
        assert!(case.notes.is_empty());
        assert!(Change::default().is_none());
    }

    #[test]
    fn what_is_given_is_changed_and_nothing_else() {
        let change = Change {
            judge: Some("other".to_owned()),
            margin: Some(0.1),
            thresholds: CanaryClassifierThresholdsConfig {
                pass: None,
                marginal: Some(50.0),
            },
            ..Change::default()
        };
        let case = Case::of(&run(), pairs(&["a", "b"]), &change).unwrap();
        let judge = case.question.config.judge.clone().unwrap();
        assert_eq!(judge.name.as_deref(), Some("other"));
        assert_eq!(judge.judge_configurations.unwrap()["margin"], json!(0.1));
        assert_eq!(case.question.thresholds.pass, Some(95.0));
        assert_eq!(case.question.thresholds.marginal, Some(50.0));
        assert!(case.question.learned.is_some());
        let by = case.by("third");
        assert_eq!(
            by.config.judge.as_ref().unwrap().name.as_deref(),
            Some("third")
        );
    }

    #[test]
    fn what_another_config_knows_nothing_of_is_left_out_and_told() {
        let change = Change {
            config: Some(config(&[("b", "another"), ("new", "q")])),
            ..Change::default()
        };
        let case = Case::of(&run(), pairs(&["a", "a", "b"]), &change).unwrap();
        assert_eq!(case.question.pairs.len(), 1);
        assert_eq!(
            case.notes,
            [
                "left out, as the config has no such metric: a",
                "never fetched in this run, and so not judged: new",
                "the query is another one now, and the series are those of the former one: b",
            ]
        );
        let nothing = Case::of(&run(), pairs(&["a"]), &change);
        assert_eq!(nothing.err().unwrap().cause, NotReplayedCause::NoSeries);
    }

    #[test]
    fn learned_margins_go_with_the_config_that_names_them() {
        let learned = |calibration: Value| {
            let mut config = config(&[("a", "q")]);
            let judge = json!({"name": "j", "judgeConfigurations": {"calibration": calibration}});
            config.judge = serde_json::from_value(judge).unwrap();
            let change = Change {
                config: Some(config),
                ..Change::default()
            };
            let case = Case::of(&run(), pairs(&["a"]), &change).unwrap();
            case.question
                .learned
                .map(|learned| learned.calibration.clone())
        };
        assert_eq!(learned(json!("k")).as_deref(), Some("k"));
        assert_eq!(learned(json!("another")), None);
        assert_eq!(learned(Value::Null), None);
    }

    #[test]
    fn a_run_without_series_says_why() {
        let with = |member: &str, value: Value| {
            let mut run = serde_json::to_value(run()).unwrap();
            run[member] = value;
            if member != "status" || run["status"] != "running" {
                run["metricSetPairListId"] = Value::Null;
            }
            serde_json::from_value::<CanaryExecutionStatusResponse>(run).unwrap()
        };
        assert_eq!(lack(&run()), None);
        let cases = [
            ("status", json!("running"), "it has not ended yet"),
            (
                "status",
                json!("terminal"),
                "it ended in an error, without series",
            ),
            ("status", json!("canceled"), "it was canceled"),
            ("received", json!(true), "it was posted to the archive"),
        ];
        for (member, value, expected) in cases {
            let told = lack(&with(member, value)).unwrap().sentence;
            assert!(told.contains(expected), "{told}");
        }
    }

    #[test]
    fn numbers_that_nothing_could_be_judged_by_are_refused() {
        let thresholds = |pass| CanaryClassifierThresholdsConfig {
            pass,
            marginal: None,
        };
        let cases = [
            (Some(0.1), Some(95.0), None),
            (Some(-0.1), None, Some("whatIf.margin is -0.1")),
            (Some(f64::NAN), None, Some("whatIf.margin is NaN")),
            (None, Some(101.0), Some("whatIf.thresholds.pass is 101")),
        ];
        for (margin, pass, expected) in cases {
            let change = Change {
                margin,
                thresholds: thresholds(pass),
                ..Change::default()
            };
            let told = change.check().err().map(|error| error.to_string());
            match expected {
                None => assert_eq!(told, None),
                Some(part) => assert!(told.unwrap().contains(part)),
            }
        }
    }
}
