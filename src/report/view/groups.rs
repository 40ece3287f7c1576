//! The score as the sum of its groups.

use super::words::hundredth;
use crate::canary::explanation::GroupCost;
use crate::canary::number::{number, score as number_of_score};
use crate::canary::{CanaryExecutionStatusResponse, CanaryJudgeResult, Label};

#[derive(Clone, Debug)]
pub struct GroupView {
    pub name: String,
    pub weight: String,
    pub earned: String,
    pub cost: String,
    pub is_whole: bool,
    /// None of its metrics could be judged: it earned nothing and cost nothing.
    pub is_unjudged: bool,
    pub passed: u64,
    pub failed: u64,
    pub not_judged: u64,
}

/// A part of the bar whose whole is 100 points.
#[derive(Clone, Debug)]
pub struct Segment {
    pub left: f64,
    pub width: f64,
    /// `earned`, with an odd or even number, `unjudged` or `lost`.
    pub class: &'static str,
    pub title: String,
}

/// From the summary; without one, from the scores of the groups and the weights of the config.
pub fn groups(
    canary: &CanaryExecutionStatusResponse,
    judged: &CanaryJudgeResult,
) -> Vec<GroupCost> {
    if let Some(summary) = &judged.summary {
        return summary.groups.clone();
    }
    let classifier = canary
        .config
        .as_ref()
        .and_then(|config| config.classifier.as_ref());
    let weights = classifier.and_then(|classifier| classifier.group_weights.clone());
    let weights = weights.unwrap_or_default();
    let given: f64 = weights.values().sum();
    let others = judged
        .group_scores
        .iter()
        .filter(|group| !weights.contains_key(&group.name));
    let share = (100.0 - given).max(0.0)
        / u32::try_from(others.count())
            .map_or(1.0, f64::from)
            .max(1.0);
    let scores = judged.group_scores.iter();
    scores
        .map(|group| {
            let weight = weights.get(&group.name).copied().unwrap_or(share);
            let of = |wanted: fn(Label) -> bool| {
                let results = judged.results.iter();
                let in_group = results.filter(|result| result.groups.contains(&group.name));
                let counted =
                    in_group.filter(|result| !result.muted && wanted(result.classification));
                counted.count() as u64
            };
            GroupCost {
                name: group.name.clone(),
                weight,
                cost: weight * (100.0 - group.score) / 100.0,
                passed: of(|label| label == Label::Pass),
                failed: of(|label| {
                    matches!(label, Label::High | Label::Low | Label::NodataFailMetric)
                }),
                not_judged: of(|label| matches!(label, Label::Nodata | Label::Error)),
            }
        })
        .collect()
}

pub fn group(group: &GroupCost) -> GroupView {
    GroupView {
        name: group.name.clone(),
        weight: number(group.weight),
        earned: number(group.weight - group.cost),
        cost: number(group.cost),
        is_whole: group.cost <= 0.0,
        is_unjudged: is_unjudged(group),
        passed: group.passed,
        failed: group.failed,
        not_judged: group.not_judged,
    }
}

/// What was earned from the left, so that its end is the score; then what was lost.
pub fn bar(groups: &[GroupCost]) -> Vec<Segment> {
    let mut left = 0.0;
    let mut segments = Vec::new();
    let mut add = |points: f64, class: &'static str, title: String| {
        if 0.0 < points && left < 100.0 {
            let width = points.min(100.0 - left);
            segments.push(Segment {
                left: hundredth(left),
                width: hundredth(width),
                class,
                title,
            });
            left += width;
        }
    };
    for (index, group) in groups.iter().enumerate() {
        let earned = group.weight - group.cost;
        let class = match index % 2 {
            _ if is_unjudged(group) => "unjudged",
            0 => "earned odd",
            _ => "earned even",
        };
        let title = format!(
            "{}: {} of {}",
            group.name,
            number(earned),
            number(group.weight)
        );
        add(earned, class, title);
    }
    for group in groups {
        let title = format!("{} cost {}", group.name, number(group.cost));
        add(group.cost, "lost", title);
    }
    segments
}

fn is_unjudged(group: &GroupCost) -> bool {
    group.passed + group.failed == 0
}

pub fn bar_note(judged: &CanaryJudgeResult, groups: &[GroupCost]) -> Option<String> {
    let sum: f64 = groups.iter().map(|group| group.weight - group.cost).sum();
    let score = judged.score.score;
    let differs = 0.02 < (sum - score).abs();
    (differs && !groups.is_empty()).then(|| {
        format!(
            "The groups alone add up to {}; the score was set to {} by the rule above.",
            number(hundredth(sum)),
            number_of_score(score)
        )
    })
}
