//! From labels to the score of the canary.

use indexmap::IndexMap;

use super::explain;
use crate::canary::explanation::{GroupCost, SummaryRule};
use crate::canary::{
    CanaryAnalysisResult, CanaryClassifierConfig, CanaryClassifierThresholdsConfig, CanaryConfig,
    CanaryJudgeGroupScore, CanaryJudgeScore, Label, Summary, Verdict,
};
use crate::error::{Error, Result};

/// The verdict on all metrics together.
#[derive(Debug)]
pub struct Scored {
    pub group_scores: Vec<CanaryJudgeGroupScore>,
    pub score: CanaryJudgeScore,
    pub summary: Summary,
}

/// Scores the results that are not muted.
pub fn score(
    config: &CanaryConfig,
    thresholds: CanaryClassifierThresholdsConfig,
    results: &[CanaryAnalysisResult],
) -> Result<Scored> {
    let limits = Limits::of(thresholds)?;
    let classifier = classifier_of(config)?;
    let heard = results.iter().filter(|result| !result.muted);
    let heard: Vec<Counted<'_>> = heard.map(Counted::as_labeled).collect();
    let groups = tally(&heard);
    let weights = Weights::of(&groups, classifier.group_weights.as_ref());
    let (rule, score, reason) = if let Some((rule, reason)) = failure(&heard) {
        (rule, 0.0, reason)
    } else {
        (SummaryRule::Score, weigh(&groups, &weights)?, String::new())
    };
    let costs = costs(&groups, &weights);
    let group_scores = groups
        .into_iter()
        .map(|(name, tally)| CanaryJudgeGroupScore {
            name: name.to_owned(),
            score: tally.score().unwrap_or(0.0),
            classification: String::new(),
            classification_reason: String::new(),
        })
        .collect();
    let score = CanaryJudgeScore {
        score,
        classification: limits.classify(score),
        classification_reason: reason,
    };
    Ok(Scored {
        summary: explain::summary(rule, &score, &limits, costs, results),
        group_scores,
        score,
    })
}

/// Keeps the score clear of both thresholds, where it would pass: half a decision is the honest one.
/// Those metrics are why.
pub fn cap(
    thresholds: CanaryClassifierThresholdsConfig,
    scored: &mut Scored,
    metrics: &[&str],
) -> Result<()> {
    let limits = Limits::of(thresholds)?;
    let most = limits.middle();
    if scored.score.score <= most {
        return Ok(());
    }
    scored.score.score = most;
    scored.score.classification = limits.classify(most);
    scored.summary.rule = SummaryRule::Inconclusive;
    scored.summary.sentence = explain::capped(&scored.score, &limits, metrics);
    Ok(())
}

/// A result that is not muted, and how it counts.
pub struct Counted<'a> {
    pub result: &'a CanaryAnalysisResult,
    pub label: Label,
    pub critical: bool,
    /// The canary may not pass by its config.
    pub caps: bool,
}

impl<'a> Counted<'a> {
    const fn as_labeled(result: &'a CanaryAnalysisResult) -> Self {
        Self {
            result,
            label: result.classification,
            critical: result.critical,
            caps: false,
        }
    }
}

/// The verdict on results that count like this; whether it is one for want of data, and of nothing else.
pub fn rate(
    config: &CanaryConfig,
    thresholds: CanaryClassifierThresholdsConfig,
    counted: &[Counted<'_>],
) -> Result<(Verdict, bool)> {
    let limits = Limits::of(thresholds)?;
    let groups = tally(counted);
    let weights = Weights::of(&groups, classifier_of(config)?.group_weights.as_ref());
    let failure = failure(counted).map(|(rule, _)| rule);
    let score = match failure {
        Some(_) => 0.0,
        None => weigh(&groups, &weights)?,
    };
    let score = if counted.iter().any(|counted| counted.caps) {
        score.min(limits.middle())
    } else {
        score
    };
    let is_for_want = failure == Some(SummaryRule::HalfWithoutData);
    Ok((limits.classify(score), is_for_want))
}

fn classifier_of(config: &CanaryConfig) -> Result<&CanaryClassifierConfig> {
    config.classifier.as_ref().ok_or_else(|| {
        Error::Invalid(
            "the canary config has no classifier, an object with groupWeights is wanted".into(),
        )
    })
}

pub struct Limits {
    pub pass: f64,
    pub marginal: f64,
}

impl Limits {
    fn of(thresholds: CanaryClassifierThresholdsConfig) -> Result<Self> {
        let missing = |name| {
            Error::Invalid(format!(
                "the score thresholds lack {name}, a number is wanted"
            ))
        };
        Ok(Self {
            pass: thresholds.pass.ok_or_else(|| missing("pass"))?,
            marginal: thresholds.marginal.ok_or_else(|| missing("marginal"))?,
        })
    }

    /// Where a score is neither a pass nor a failure; 0 where no score is.
    fn middle(&self) -> f64 {
        if self.pass <= self.marginal {
            return 0.0;
        }
        round(f64::midpoint(self.marginal, self.pass)).unwrap_or(0.0)
    }

    pub fn classify(&self, score: f64) -> Verdict {
        if self.pass <= score {
            Verdict::Pass
        } else if self.marginal <= score {
            Verdict::Marginal
        } else {
            Verdict::Fail
        }
    }
}

/// How the metrics of a group went; those without data or with an error count for nothing.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    passed: u32,
    failed: u32,
    not_judged: u32,
}

impl Tally {
    /// 0 to 100; `None` when nothing counted.
    fn score(self) -> Option<f64> {
        let total = self.passed + self.failed;
        (total > 0).then(|| f64::from(self.passed) / f64::from(total) * 100.0)
    }
}

fn tally<'a>(counted: &[Counted<'a>]) -> IndexMap<&'a str, Tally> {
    let mut groups: IndexMap<&str, Tally> = IndexMap::new();
    for counted in counted {
        for group in &counted.result.groups {
            let tally = groups.entry(group).or_default();
            match counted.label {
                Label::Pass => tally.passed += 1,
                Label::High | Label::Low | Label::NodataFailMetric => tally.failed += 1,
                Label::Nodata | Label::Error => tally.not_judged += 1,
            }
        }
    }
    groups
}

/// Why the canary fails whatever its groups say.
fn failure(counted: &[Counted<'_>]) -> Option<(SummaryRule, String)> {
    let critical = counted
        .iter()
        .find(|counted| counted.critical && counted.label != Label::Pass);
    if let Some(Counted { result, .. }) = critical {
        let reason = result.classification_reason.as_deref().unwrap_or_default();
        let reason = format!("Canary Failed: {reason}");
        return Some((SummaryRule::CriticalMetric, reason));
    }
    let without_data = counted
        .iter()
        .filter(|counted| counted.label == Label::Nodata)
        .count();
    (!counted.is_empty() && counted.len() <= 2 * without_data).then(|| {
        let reason = "Canary Failed: 50% or more metrics returned NODATA";
        (SummaryRule::HalfWithoutData, reason.to_owned())
    })
}

/// What each group weighs of 100; those without a weight share what is left.
struct Weights<'a> {
    given: Option<&'a IndexMap<String, f64>>,
    share: f64,
}

impl<'a> Weights<'a> {
    fn of(groups: &IndexMap<&str, Tally>, given: Option<&'a IndexMap<String, f64>>) -> Self {
        let sum: f64 = given
            .into_iter()
            .flat_map(IndexMap::values)
            .fold(0.0, |sum, w| sum + w);
        let is_given = |group: &str| given.is_some_and(|weights| weights.contains_key(group));
        let unlisted = groups.keys().filter(|group| !is_given(group)).count();
        #[expect(clippy::cast_precision_loss, reason = "a handful of groups")]
        let share = (100.0 - sum) / unlisted as f64;
        Self { given, share }
    }

    fn of_group(&self, group: &str) -> f64 {
        let given = self.given.and_then(|weights| weights.get(group)).copied();
        given.unwrap_or(self.share)
    }
}

fn costs(groups: &IndexMap<&str, Tally>, weights: &Weights<'_>) -> Vec<GroupCost> {
    let given = weights.given.into_iter().flat_map(IndexMap::keys);
    let empty = given
        .map(String::as_str)
        .filter(|name| !groups.contains_key(name));
    let with_metrics = groups.iter().map(|(name, tally)| {
        // What nothing counted for costs nothing, though it shows 0.
        let score = tally.score().unwrap_or(100.0);
        (*name, *tally, score)
    });
    with_metrics
        .chain(empty.map(|name| (name, Tally::default(), 0.0)))
        .map(|(name, tally, score)| {
            let weight = weights.of_group(name);
            GroupCost {
                name: name.to_owned(),
                weight,
                cost: weight * (100.0 - score) / 100.0,
                passed: tally.passed.into(),
                failed: tally.failed.into(),
                not_judged: tally.not_judged.into(),
            }
        })
        .collect()
}

/// The weighted sum of the groups.
fn weigh(groups: &IndexMap<&str, Tally>, weights: &Weights<'_>) -> Result<f64> {
    let mut sum = 0.0;
    for (group, tally) in groups {
        // A group that nothing counted for counts in full, though it shows 0.
        sum += tally.score().unwrap_or(100.0) * (weights.of_group(group) / 100.0);
    }
    round(sum).ok_or_else(|| {
        Error::Invalid(format!(
            "the group weights give a score of {sum}, finite weights are wanted"
        ))
    })
}

/// To two decimals, half away from zero, of the shortest decimal text of the number: 1.005 becomes
/// 1.01. `None` when not finite.
fn round(value: f64) -> Option<f64> {
    if !value.is_finite() {
        return None;
    }
    let text = value.abs().to_string();
    let rounded = match text.split_once('.') {
        Some((whole, decimals)) if decimals.len() > 2 => {
            let kept: u64 = format!("{whole}{}", &decimals[..2]).parse().ok()?;
            let up = u64::from(decimals.as_bytes()[2] >= b'5');
            let hundredths = kept + up;
            format!("{}.{:02}", hundredths / 100, hundredths % 100)
                .parse()
                .ok()?
        }
        _ => value.abs(),
    };
    Some(if value < 0.0 && rounded > 0.0 {
        -rounded
    } else {
        rounded
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::canary::CanaryJudgeStats;
    use crate::canary::result::SideMetadata;

    fn result(label: Label, groups: &[&str]) -> CanaryAnalysisResult {
        let stats = CanaryJudgeStats::default();
        CanaryAnalysisResult {
            name: "m".into(),
            tags: IndexMap::new(),
            id: "i".into(),
            classification: label,
            classification_reason: Some("reason".into()),
            groups: groups.iter().map(|&group| group.to_owned()).collect(),
            experiment_metadata: SideMetadata { stats },
            control_metadata: SideMetadata { stats },
            result_metadata: None,
            critical: false,
            muted: false,
            explanation: None,
        }
    }

    fn judge(
        weights: &serde_json::Value,
        results: &[CanaryAnalysisResult],
    ) -> (Vec<(String, f64)>, CanaryJudgeScore) {
        let config =
            serde_json::from_value(json!({"classifier": {"groupWeights": weights}})).unwrap();
        let thresholds = CanaryClassifierThresholdsConfig {
            pass: Some(95.0),
            marginal: Some(75.0),
        };
        let scored = score(&config, thresholds, results).unwrap();
        let groups = scored.group_scores.into_iter();
        (groups.map(|g| (g.name, g.score)).collect(), scored.score)
    }

    #[test]
    fn groups_are_weighed_as_the_reference_weighs_them() {
        use Label::{Error, High, Low, Nodata, NodataFailMetric, Pass};
        let cases = [
            (
                json!({"a": 60}),
                vec![
                    result(Pass, &["a", "b"]),
                    result(Low, &["b"]),
                    result(Pass, &["c"]),
                ],
                90.0,
            ),
            (
                json!({}),
                vec![
                    result(Pass, &["a"]),
                    result(Pass, &["b"]),
                    result(High, &["c"]),
                ],
                66.67,
            ),
            (json!({"g": 50, "x": 50}), vec![result(Pass, &["g"])], 50.0),
            (
                json!({"g": 120}),
                vec![result(Pass, &["h"]), result(Pass, &["g"])],
                100.0,
            ),
            (
                json!({"g": 100}),
                vec![result(Pass, &["h"]), result(High, &["g"])],
                0.0,
            ),
            (
                json!({"g": 100}),
                vec![result(Error, &["g"]), result(Error, &["g"])],
                100.0,
            ),
            (
                json!({"g": 100}),
                vec![result(NodataFailMetric, &["g"])],
                0.0,
            ),
            (json!({"g": 100}), vec![result(Pass, &[])], 0.0),
            (json!({"g": 100}), vec![], 0.0),
            (
                json!({}),
                vec![
                    result(Pass, &["g"]),
                    result(Pass, &["g"]),
                    result(Nodata, &["g"]),
                ],
                100.0,
            ),
        ];
        for (weights, results, expected) in cases {
            let (_, score) = judge(&weights, &results);
            assert_eq!(score.score.to_bits(), f64::to_bits(expected), "{weights}");
            assert_eq!(score.classification_reason, "", "{weights}");
        }
    }

    #[test]
    fn half_of_the_metrics_without_data_fail_the_canary() {
        let results = [result(Label::Pass, &["g"]), result(Label::Nodata, &["g"])];
        let (groups, score) = judge(&json!({}), &results);
        assert_eq!(groups, [("g".to_owned(), 100.0)]);
        assert_eq!((score.score, score.classification), (0.0, Verdict::Fail));
        assert_eq!(
            score.classification_reason,
            "Canary Failed: 50% or more metrics returned NODATA"
        );
    }

    #[test]
    fn a_critical_metric_fails_the_canary_unless_it_is_muted() {
        let mut critical = result(Label::High, &["g"]);
        critical.critical = true;
        let passing = result(Label::Pass, &["g"]);
        let (_, score) = judge(&json!({}), &[passing.clone(), critical.clone()]);
        assert_eq!(score.classification_reason, "Canary Failed: reason");
        critical.muted = true;
        let (_, score) = judge(&json!({}), &[passing, critical]);
        assert_eq!((score.score, score.classification), (100.0, Verdict::Pass));
    }

    #[test]
    fn scores_are_rounded_half_up_as_they_are_written() {
        let cases = [
            (0.005, 0.01),
            (1.005, 1.01),
            (2.675, 2.68),
            (12.335, 12.34),
            (33.333_333_333_333_336, 33.33),
            (66.666_666_666_666_66, 66.67),
            (99.995, 100.0),
            (99.994_999_999_999_99, 99.99),
            (-0.005, -0.01),
            (-0.001, 0.0),
            (-50.0, -50.0),
            (1e300, 1e300),
            (1e-300, 0.0),
        ];
        for (value, expected) in cases {
            assert_eq!(
                round(value).map(f64::to_bits),
                Some(f64::to_bits(expected)),
                "{value}"
            );
        }
        assert_eq!(round(f64::NAN), None);
    }
}
