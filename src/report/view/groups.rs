//! The score as the sum of its groups.

use super::words::hundredth;
use crate::canary::explanation::GroupCost;
use crate::canary::number::{number, score as number_of_score};
use crate::canary::{
    CanaryAnalysisResult, CanaryExecutionStatusResponse, CanaryJudgeResult, Label, Outcome,
};

#[derive(Clone, Debug)]
pub struct GroupView {
    pub name: String,
    pub weight: String,
    pub earned: String,
    pub cost: String,
    pub is_whole: bool,
    /// None of its metrics could be judged: its points were not earned, and are not lost.
    pub is_unjudged: bool,
    pub passed: u64,
    /// Of those that passed.
    pub doubtful: u64,
    pub failed: u64,
    pub not_judged: u64,
}

/// A part of the bar whose whole is 100 points.
#[derive(Clone, Debug)]
pub struct Segment {
    /// The group that it is of.
    pub name: String,
    pub left: f64,
    pub width: f64,
    /// `earned`, with an odd or even number, `unjudged` or `lost`.
    pub class: &'static str,
    pub title: String,
}

/// Of the width of a bar on a desk, what a letter takes, in hundredths.
const LETTER: f64 = 0.65;

impl Segment {
    /// Its name, where there is room for it; the table below has it anyway.
    pub fn shown_name(&self) -> Option<&str> {
        let wide = |letter: char| {
            if letter.is_ascii() {
                LETTER
            } else {
                2.0 * LETTER
            }
        };
        let wanted: f64 = self.name.chars().map(wide).sum();
        Some(self.name.as_str()).filter(|_| wanted < self.width)
    }
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

pub fn group(group: &GroupCost, judged: Option<&CanaryJudgeResult>) -> GroupView {
    let results = judged.iter().flat_map(|judged| &judged.results);
    let is_doubtful = |result: &&CanaryAnalysisResult| {
        let explanation = result.explanation.as_ref();
        !result.muted
            && result.classification == Label::Pass
            && result.groups.contains(&group.name)
            && explanation.is_some_and(|explanation| !explanation.doubts.is_empty())
    };
    GroupView {
        name: group.name.clone(),
        weight: number(group.weight),
        earned: number(group.weight - group.cost),
        cost: number(group.cost),
        is_whole: group.cost <= 0.0,
        is_unjudged: is_unjudged(group),
        passed: group.passed,
        doubtful: results.filter(is_doubtful).count() as u64,
        failed: group.failed,
        not_judged: group.not_judged,
    }
}

/// What was earned from the left, so that its end is the score; then what was lost.
pub fn bar(groups: &[GroupCost]) -> Vec<Segment> {
    let mut left = 0.0;
    let mut segments = Vec::new();
    let mut add = |group: &GroupCost, points: f64, class: &'static str, title: String| {
        if 0.0 < points && left < 100.0 {
            let width = points.min(100.0 - left);
            segments.push(Segment {
                name: group.name.clone(),
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
        add(group, earned, class, title(group));
    }
    for group in groups {
        let title = format!("{} cost {}", group.name, number(group.cost));
        add(group, group.cost, "lost", title);
    }
    segments
}

fn title(group: &GroupCost) -> String {
    let (name, weight) = (&group.name, number(group.weight));
    if is_unjudged(group) {
        return format!("{name}: nothing was judged; its {weight} points count all the same");
    }
    let earned = number(group.weight - group.cost);
    let missing = match group.not_judged {
        0 => String::new(),
        missing => {
            let all = group.passed + group.failed + missing;
            format!(", by what was judged; {missing} of {all} metrics were not")
        }
    };
    format!("{name}: {earned} of {weight}{missing}")
}

fn is_unjudged(group: &GroupCost) -> bool {
    group.passed + group.failed == 0
}

pub fn bar_note(
    judged: &CanaryJudgeResult,
    groups: &[GroupCost],
    outcome: Outcome,
) -> Option<String> {
    if outcome == Outcome::Inconclusive {
        let summary = judged.summary.as_ref().filter(|_| !groups.is_empty())?;
        return Some(format!(
            "These are the points by the labels alone, as Kayenta counts them, and no score: {}.",
            summary.sentence
        ));
    }
    if !outcome.has_score() {
        return None;
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_stands_where_there_is_room_for_it() {
        let cases = [
            ("Errors", 40.0, true),
            ("Resources", 5.0, false),
            ("오류율", 3.0, false),
        ];
        for (name, width, is_shown) in cases {
            let segment = Segment {
                name: name.to_owned(),
                left: 0.0,
                width,
                class: "lost",
                title: String::new(),
            };
            assert_eq!(segment.shown_name().is_some(), is_shown, "{name}");
        }
    }

    #[test]
    fn no_full_marks_are_told_for_what_was_not_measured() {
        let side = json!({"stats": {"count": 0, "mean": 0, "min": 0, "max": 0, "std": 0}});
        let points = json!({"total": 0, "nan": 0, "outliers": 0, "judged": 0});
        let result = |name: &str, group: &str, label: &str, doubts: &[&str]| {
            let doubts = doubts
                .iter()
                .map(|cause| json!({"cause": cause, "sentence": "x"}));
            json!({"name": name, "id": name, "classification": label, "groups": [group],
                "controlMetadata": side, "experimentMetadata": side,
                "explanation": {"rule": "noData", "sentence": "y", "points": {"control": points, "experiment": points},
                    "doubts": doubts.collect::<Vec<_>>()}})
        };
        let judged: CanaryJudgeResult = serde_json::from_value(json!({
            "judgeName": "j", "results": [
                result("a", "g", "Pass", &["tooFew", "counter"]), result("b", "g", "Pass", &[]),
                result("c", "g", "Nodata", &["oneSided"]), result("d", "h", "Nodata", &[])],
            "score": {"score": 100, "classification": "Pass"},
            "summary": {"rule": "score", "sentence": "A score of 100", "metrics": 4, "notJudged": 2,
                "groups": [
                    {"name": "g", "weight": 60, "cost": 0, "passed": 2, "failed": 0, "notJudged": 1},
                    {"name": "h", "weight": 40, "cost": 0, "passed": 0, "failed": 0, "notJudged": 1}]},
        }))
        .unwrap();
        let groups = groups(&CanaryExecutionStatusResponse::default(), &judged);
        let titles: Vec<String> = bar(&groups).into_iter().map(|part| part.title).collect();
        let expected = [
            "g: 60 of 60, by what was judged; 1 of 3 metrics were not",
            "h: nothing was judged; its 40 points count all the same",
        ];
        assert_eq!(titles, expected);
        let views = groups.iter().map(|one| group(one, Some(&judged)));
        let told: Vec<_> = views
            .map(|view| (view.is_unjudged, view.doubtful))
            .collect();
        assert_eq!(told, [(false, 1), (true, 0)]);
        let note = |outcome| bar_note(&judged, &groups, outcome);
        let told = "These are the points by the labels alone, as Kayenta counts them, and no score: \
                    A score of 100.";
        assert_eq!(note(Outcome::Inconclusive).as_deref(), Some(told));
        assert_eq!(note(Outcome::Pass), None);
        assert_eq!(note(Outcome::Error), None);
    }
}
