//! What is made of the verdicts of judges that do not explain themselves.

use indexmap::IndexMap;

use super::doubts::{self, Subject};
use super::outcome::{self, Cap, Traits};
use super::policy::{Doubting, MetricPolicy};
use super::{Judgement, explain, score, scored, side};
use crate::canary::explanation::SummaryRule;
use crate::canary::{
    CanaryAnalysisResult, CanaryJudgeResult, CanaryJudgeScore, MetricSetPair, Pair, Summary,
    Verdict,
};
use crate::error::Result;

/// Scores are told with two decimals.
const SCORE_TOLERANCE: f64 = 0.005_001;

/// Hears a verdict that came from elsewhere: fills in what is known of its results, and says what
/// it comes to with its doubts. Its labels are scored as those of serin's own judge, where that
/// gives its score; where not, any doubt takes its pass.
///
/// # Errors
/// `Invalid` where the thresholds or the groups of the config say nothing.
pub fn hear(judgement: &Judgement<'_>, judged: &mut CanaryJudgeResult) -> Result<()> {
    let by_id: IndexMap<&str, &MetricSetPair> = judgement
        .pairs
        .iter()
        .map(|pair| (pair.id.as_str(), pair))
        .collect();
    let results = judged.results.iter_mut();
    let traits: Vec<Traits> = results
        .map(|result| {
            let pair = by_id.get(result.id.as_str()).copied();
            explain(judgement, &judged.judge_name, pair, result)
        })
        .collect();
    let own = score::score(judgement.config, judgement.thresholds, &judged.results);
    let is_same = own.is_ok_and(|own| is_same(&own.score, &judged.score));
    if !is_same {
        hear_own_score(judgement, judged, &traits);
        return Ok(());
    }
    let (scored, has_failed) = scored(judgement, &mut judged.results, &traits)?;
    let mut summary = judged.summary.take().unwrap_or(scored.summary);
    if has_failed {
        judged.score = scored.score;
        judged.group_scores = scored.group_scores;
    }
    let verdict = judged.score.classification;
    outcome::settle(judgement, &judged.results, &traits, verdict, &mut summary)?;
    judged.summary = Some(summary);
    Ok(())
}

fn hear_own_score(judgement: &Judgement<'_>, judged: &mut CanaryJudgeResult, traits: &[Traits]) {
    outcome::doubt_missing(SummaryRule::Score, &mut judged.results, traits);
    let verdict = judged.score.classification;
    let told = format!(
        "{} gave {verdict:?}, with a score of {}, by a rule of its own",
        judged.judge_name, judged.score.score
    );
    let has_failed = outcome::fail_doubtful(judgement, &mut judged.results, traits);
    if has_failed && matches!(verdict, Verdict::Pass | Verdict::Marginal) {
        judged.score = CanaryJudgeScore {
            score: 0.0,
            classification: Verdict::Fail,
            classification_reason: "Canary Failed: doubtful metrics are to fail".to_owned(),
        };
    }
    let metrics = judged.results.len() as u64;
    let mut summary = judged.summary.take().unwrap_or_else(|| Summary {
        rule: SummaryRule::Score,
        sentence: told,
        groups: Vec::new(),
        metrics,
        not_judged: explain::not_judged(&judged.results),
        not_settled: None,
        false_alarm: None,
        outcome: None,
        doubts: Vec::new(),
        warnings: Vec::new(),
    });
    let verdict = judged.score.classification;
    outcome::settle_by_verdict(&judged.results, traits, verdict, &mut summary);
    judged.summary = Some(summary);
}

fn is_same(own: &CanaryJudgeScore, other: &CanaryJudgeScore) -> bool {
    (own.score - other.score).abs() < SCORE_TOLERANCE && own.classification == other.classification
}

/// Tells of a result what its series tell.
pub fn explain(
    judgement: &Judgement<'_>,
    judge: &str,
    pair: Option<&MetricSetPair>,
    result: &mut CanaryAnalysisResult,
) -> Traits {
    let Some(pair) = pair else {
        return Traits {
            doubt: None,
            is_critical: false,
            must_have_data: false,
            // It may have had some.
            has_data: Pair {
                control: true,
                experiment: true,
            },
            fails_as: None,
            cap: Cap::None,
        };
    };
    let metric = judgement.metric_of(pair).ok();
    let policy = metric.and_then(|metric| MetricPolicy::of(metric).ok());
    let sides = side::of(pair);
    let mut doubts = doubts::of(&Subject {
        pair,
        sides: &sides,
        policy: policy.as_ref(),
        label: result.classification,
        found: None,
    });
    if policy.is_some_and(|policy| policy.doubt == Some(Doubting::Ignore)) {
        doubts.clear();
    }
    explain::other(judge, pair, &sides, result, doubts);
    Traits::of(policy.as_ref(), &sides)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::canary::{CanaryClassifierThresholdsConfig, CanaryConfig, Outcome};

    /// The outcome of a verdict on a good metric and on one with data on one side.
    fn heard(labels: [&str; 2], score: f64, verdict: &str, doubting: Doubting) -> (Outcome, f64) {
        let config: CanaryConfig = serde_json::from_value(json!({
            "metrics": [{"name": "good"}, {"name": "doubtful"}],
            "classifier": {"groupWeights": {}},
        }))
        .unwrap();
        let values: Vec<u32> = (0..20).map(|at| at % 3).collect();
        let pairs: Vec<MetricSetPair> = serde_json::from_value(json!([
            {"name": "good", "id": "0", "values": {"control": values, "experiment": values}},
            {"name": "doubtful", "id": "1", "values": {"control": values, "experiment": []}},
        ]))
        .unwrap();
        let side = json!({"stats": {"count": 1, "mean": 1, "min": 1, "max": 1, "std": 0}});
        let results = ["good", "doubtful"].into_iter().zip(labels).enumerate();
        let results = results.map(|(id, (name, label))| {
            json!({"name": name, "id": id.to_string(), "classification": label, "groups": ["g"],
                "experimentMetadata": side, "controlMetadata": side})
        });
        let mut judged: CanaryJudgeResult = serde_json::from_value(json!({
            "judgeName": "other", "results": results.collect::<Vec<_>>(),
            "score": {"score": score, "classification": verdict},
        }))
        .unwrap();
        let judgement = Judgement {
            config: &config,
            thresholds: CanaryClassifierThresholdsConfig {
                pass: Some(95.0),
                marginal: Some(75.0),
            },
            pairs: &pairs,
            noise_seed: 0,
            doubting,
            look: None,
            learned: None,
        };
        hear(&judgement, &mut judged).unwrap();
        let summary = judged.summary.unwrap();
        assert!(!summary.sentence.is_empty());
        (summary.outcome.unwrap(), judged.score.score)
    }

    #[test]
    fn a_pass_of_another_judge_stands_where_no_doubt_can_turn_it() {
        use Doubting::{Fail, Tell};
        use Outcome::Inconclusive;
        let cases = [
            // By the rule of serin's own judge.
            (["Pass", "Pass"], 100.0, "Pass", Tell, Inconclusive, 100.0),
            (["High", "Pass"], 50.0, "Fail", Tell, Outcome::Fail, 50.0),
            (["Pass", "High"], 50.0, "Fail", Tell, Outcome::Fail, 50.0),
            (["Pass", "Nodata"], 0.0, "Fail", Tell, Inconclusive, 0.0),
            (["Pass", "Pass"], 100.0, "Pass", Fail, Outcome::Fail, 50.0),
            // By a rule of its own.
            (["Pass", "Pass"], 97.0, "Pass", Tell, Inconclusive, 97.0),
            (["Pass", "High"], 97.0, "Pass", Tell, Outcome::Pass, 97.0),
            (["Pass", "Pass"], 80.0, "Marginal", Tell, Inconclusive, 80.0),
            (["Pass", "Pass"], 10.0, "Fail", Tell, Outcome::Fail, 10.0),
            (["Pass", "Pass"], 100.0, "Nodata", Tell, Inconclusive, 100.0),
            (["Pass", "Pass"], 0.0, "Error", Tell, Outcome::Error, 0.0),
            (["Pass", "Pass"], 97.0, "Pass", Fail, Outcome::Fail, 0.0),
        ];
        for (labels, score, verdict, doubting, outcome, told) in cases {
            let found = heard(labels, score, verdict, doubting);
            assert_eq!(
                found,
                (outcome, told),
                "{labels:?} {score} {verdict} {doubting:?}"
            );
        }
    }
}
