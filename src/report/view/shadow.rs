//! What another judge says of the same series, beside the one that decides.

use std::collections::HashMap;

use super::metric::label;
use crate::canary::number::score;
use crate::canary::{CanaryAnalysisResult, CanaryJudgeResult, Outcome, Shadow, reason};

/// Metrics of which the judges say different things that are shown.
const METRICS: usize = 20;

/// Both judges, side by side.
#[derive(Clone, Debug)]
pub struct ShadowView {
    pub own: Side,
    pub other: Side,
    /// Of which they say different things.
    pub metrics: Vec<Differing>,
    pub more: usize,
}

/// One judge.
#[derive(Clone, Debug)]
pub struct Side {
    pub judge: String,
    /// None where it gave no verdict.
    pub outcome: Option<Outcome>,
    pub score: Option<String>,
    pub sentence: String,
}

#[derive(Clone, Debug)]
pub struct Differing {
    pub name: String,
    pub own: &'static str,
    pub other: &'static str,
    /// In the words of the other one.
    pub sentence: String,
}

pub fn shadow(judged: &CanaryJudgeResult, shadow: &Shadow) -> ShadowView {
    let other = shadow.judge_result.as_ref();
    let mut metrics = other.map_or_else(Vec::new, |other| differing(judged, other));
    let more = metrics.len().saturating_sub(METRICS);
    metrics.truncate(METRICS);
    ShadowView {
        own: side(judged),
        other: match other {
            Some(other) => side(other),
            None => Side {
                judge: shadow.judge_name.clone(),
                outcome: None,
                score: None,
                sentence: shadow.error.clone().unwrap_or_default(),
            },
        },
        metrics,
        more,
    }
}

impl ShadowView {
    /// For who reads it in a line.
    pub fn sentence(&self) -> String {
        let other = &self.other;
        let verdict = match (other.outcome, &other.score) {
            (Some(outcome), Some(score)) => format!("{}, {score}", outcome.word()),
            (Some(outcome), None) => outcome.word().to_owned(),
            (None, _) => "no verdict".to_owned(),
        };
        format!("{} says: {verdict}: {}", other.judge, other.sentence)
    }
}

fn side(judged: &CanaryJudgeResult) -> Side {
    let outcome = Outcome::of_judged(judged);
    Side {
        judge: judged.judge_name.clone(),
        outcome: Some(outcome),
        score: outcome.has_score().then(|| score(judged.score.score)),
        sentence: reason::of_judged(judged),
    }
}

fn differing(judged: &CanaryJudgeResult, other: &CanaryJudgeResult) -> Vec<Differing> {
    let key = |result: &CanaryAnalysisResult| (result.id.clone(), result.name.clone());
    let own: HashMap<_, _> = judged.results.iter().map(|it| (key(it), it)).collect();
    let pairs = other.results.iter().filter_map(|other| {
        let own = own.get(&key(other))?;
        let differs = own.classification != other.classification;
        differs.then_some((own, other))
    });
    pairs
        .map(|(own, other)| Differing {
            name: other.name.clone(),
            own: label(own.classification).0,
            other: label(other.classification).0,
            sentence: other
                .explanation
                .as_ref()
                .map(|told| told.sentence.clone())
                .unwrap_or_default(),
        })
        .collect()
}
