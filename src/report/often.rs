//! The metrics of a config over its last runs: how often each failed, and which never decided.

use std::cmp::Reverse;
use std::collections::HashSet;

use indexmap::IndexMap;

use super::map::{self, Cell};
use super::view::{self, Fact, Moment};
use crate::canary::number::score;
use crate::canary::{CanaryAnalysisResult, CanaryExecutionStatusResponse, Execution, Label};

/// More are not read by anybody, and a page has its bounds.
const ROWS: usize = 200;

/// What is kept of a run that was judged.
#[derive(Clone, Debug)]
pub struct Run {
    pub id: String,
    /// Its verdict, its score, its sides and its time, in words.
    pub title: String,
    metrics: Vec<Metric>,
}

#[derive(Clone, Debug)]
struct Metric {
    key: (String, Vec<Fact>),
    label: Label,
    weight: Weight,
}

/// Whether a label can change a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    Counts,
    Muted,
    /// Its groups weigh nothing, or it is in none.
    None,
}

#[derive(Clone, Debug)]
pub struct Often {
    /// The oldest first.
    pub runs: Vec<Run>,
    /// What failed most often first.
    pub rows: Vec<Row>,
    /// Metrics that are not shown.
    pub more: usize,
}

#[derive(Clone, Debug)]
pub struct Row {
    pub name: String,
    pub tags: Vec<Fact>,
    pub failed: usize,
    pub not_judged: usize,
    pub passed: usize,
    /// Why it changed no verdict in any of the runs.
    pub never_decided: Option<&'static str>,
    /// The newest run in which it failed, and its place there.
    pub last_failed: Option<(String, usize)>,
    /// Its label in each run; none where it was not there.
    pub cells: Vec<Option<Cell>>,
}

impl Run {
    /// None of what was not judged.
    pub fn of(canary: &CanaryExecutionStatusResponse) -> Option<Self> {
        let told = canary.told();
        let judged = told.judged?;
        let groups = view::groups(canary, judged);
        let weighing: HashSet<&str> = groups
            .iter()
            .filter(|group| 0.0 < group.weight)
            .map(|group| group.name.as_str())
            .collect();
        let when = told.times.begun().and_then(Moment::of_millis);
        let sides = told.sides.control.scope.zip(told.sides.experiment.scope);
        let words = [
            Some(told.outcome.word().to_owned()),
            told.score.map(score),
            sides.map(|(control, experiment)| format!("{control} → {experiment}")),
            when.map(|when| format!("{} UTC", when.text)),
        ];
        let words: Vec<String> = words.into_iter().flatten().collect();
        Some(Self {
            id: told.id.to_owned(),
            title: words.join(", "),
            metrics: judged
                .results
                .iter()
                .map(|result| Metric {
                    key: key(result),
                    label: result.classification,
                    weight: weight(result, &weighing),
                })
                .collect(),
        })
    }
}

/// The name of a metric and its labels.
type Key = (String, Vec<Fact>);

/// A metric in one run: which run, its place there, and what it was.
type Look<'a> = (usize, usize, &'a Metric);

/// Of runs in their order.
pub fn draw(runs: Vec<Run>) -> Often {
    let mut all: IndexMap<&Key, Vec<Look<'_>>> = IndexMap::new();
    for (run, judged) in runs.iter().enumerate() {
        for (index, metric) in judged.metrics.iter().enumerate() {
            let looks = all.entry(&metric.key).or_default();
            looks.push((run, index, metric));
        }
    }
    let rows = all.into_iter();
    let mut rows: Vec<Row> = rows.map(|(key, looks)| row(key, &looks, &runs)).collect();
    // Of what always passed, what never decided is not among those that are left out.
    rows.sort_by_key(|row| {
        let decided = row.never_decided.is_none();
        (Reverse(row.failed), Reverse(row.not_judged), decided)
    });
    let more = rows.len().saturating_sub(ROWS);
    rows.truncate(ROWS);
    Often { runs, rows, more }
}

/// Its name and its labels, in the same order in each run.
fn key(result: &CanaryAnalysisResult) -> Key {
    let mut tags = map::tags(result);
    tags.sort_by(|a, b| a.name.cmp(&b.name));
    (result.name.clone(), tags)
}

fn row((name, tags): &Key, looks: &[Look<'_>], runs: &[Run]) -> Row {
    let count = |wanted: fn(Label) -> bool| {
        let labels = looks.iter().map(|(_, _, metric)| metric.label);
        labels.filter(|label| wanted(*label)).count()
    };
    let mut cells = vec![None; runs.len()];
    for (run, _, metric) in looks {
        cells[*run] = Some(map::cell(metric.label));
    }
    let mut newest_first = looks.iter().rev();
    let last_failed = newest_first.find(|(_, _, metric)| is_failure(metric.label));
    Row {
        name: name.clone(),
        tags: tags.clone(),
        failed: count(is_failure),
        not_judged: count(is_not_judged),
        passed: count(|label| label == Label::Pass),
        never_decided: never_decided(looks.iter().map(|(_, _, metric)| *metric)),
        last_failed: last_failed.map(|(run, index, _)| (runs[*run].id.clone(), *index)),
        cells,
    }
}

fn is_failure(label: Label) -> bool {
    matches!(label, Label::High | Label::Low | Label::NodataFailMetric)
}

fn is_not_judged(label: Label) -> bool {
    matches!(label, Label::Nodata | Label::Error)
}

fn never_decided<'a>(mut looks: impl Iterator<Item = &'a Metric> + Clone) -> Option<&'static str> {
    let decides = |metric: &Metric| {
        is_failure(metric.label) || metric.weight == Weight::Counts && !is_not_judged(metric.label)
    };
    let weight = looks.clone().next()?.weight;
    let is_one = looks.clone().all(|metric| metric.weight == weight);
    if looks.any(decides) {
        return None;
    }
    Some(match (is_one, weight) {
        (true, Weight::Counts) => "it had no data",
        (true, Weight::Muted) => "it was muted",
        (true, Weight::None) => "its groups weigh nothing",
        (false, _) => "it had no data, or counted for nothing",
    })
}

fn weight(result: &CanaryAnalysisResult, weighing: &HashSet<&str>) -> Weight {
    let mut groups = result.groups.iter();
    match (
        result.muted,
        groups.any(|name| weighing.contains(name.as_str())),
    ) {
        (true, _) => Weight::Muted,
        (false, true) => Weight::Counts,
        (false, false) => Weight::None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A metric: its name, its label, its group, and whether it is muted.
    type Told<'a> = (&'a str, &'a str, &'a str, bool);

    fn run(number: usize, metrics: &[Told<'_>]) -> CanaryExecutionStatusResponse {
        let side = json!({"stats": {"count": 1, "mean": 1, "min": 1, "max": 1, "std": 0}});
        let result = |(name, label, group, muted): &Told<'_>| {
            json!({"name": name, "id": name, "tags": {}, "classification": label, "groups": [group],
                "muted": muted, "controlMetadata": side, "experimentMetadata": side})
        };
        let results: Vec<Value> = metrics.iter().map(result).collect();
        let score = |name: &str| json!({"name": name, "score": 100, "classification": "", "classificationReason": ""});
        serde_json::from_value(json!({
            "pipelineId": format!("run-{number}"), "complete": true, "status": "succeeded",
            "startTimeMillis": 0,
            "config": {"classifier": {"groupWeights": {"g": 100, "light": 0}}},
            "result": {"judgeResult": {"judgeName": "j", "results": results,
                "groupScores": [score("g"), score("light")],
                "score": {"score": 50, "classification": "Fail"}}},
        }))
        .unwrap()
    }

    #[test]
    fn what_failed_most_often_comes_first_with_the_run_in_which_it_did() {
        let runs = [
            run(
                0,
                &[("calm", "Pass", "g", false), ("errors", "High", "g", false)],
            ),
            run(
                1,
                &[
                    ("errors", "Low", "g", false),
                    ("calm", "Nodata", "g", false),
                ],
            ),
            run(
                2,
                &[
                    ("new", "NodataFailMetric", "g", false),
                    ("errors", "Pass", "g", false),
                ],
            ),
        ];
        let often = draw(runs.iter().filter_map(Run::of).collect());
        let rows = often.rows.iter().map(|row| {
            let last = row.last_failed.as_ref();
            let last = last.map(|(run, index)| (run.as_str(), *index));
            let counts = [row.failed, row.not_judged, row.passed];
            (row.name.as_str(), counts, last)
        });
        assert_eq!(
            rows.collect::<Vec<_>>(),
            [
                ("errors", [2, 0, 1], Some(("run-1", 0))),
                ("new", [1, 0, 0], Some(("run-2", 0))),
                ("calm", [0, 1, 1], None),
            ]
        );
        let words = often.rows[1].cells.iter();
        let words: Vec<_> = words
            .map(|cell| cell.map_or("", |cell| cell.word))
            .collect();
        assert_eq!(words, ["", "", "No data, fails"]);
        assert_eq!(often.runs[0].title, "Fail, 50, 1970-01-01 00:00:00 UTC");
    }

    #[test]
    fn what_never_failed_nor_counted_never_decided() {
        let cases = [
            // label, group and whether it is muted in each of the runs; what is told of it
            ([("Pass", "g", false), ("Nodata", "g", false)], None),
            ([("Nodata", "g", false), ("High", "light", false)], None),
            (
                [("Nodata", "g", false), ("Nodata", "g", false)],
                Some("it had no data"),
            ),
            (
                [("Error", "g", false), ("Nodata", "g", false)],
                Some("it had no data"),
            ),
            (
                [("Pass", "g", true), ("Pass", "g", true)],
                Some("it was muted"),
            ),
            (
                [("Pass", "light", false), ("Pass", "light", false)],
                Some("its groups weigh nothing"),
            ),
            (
                [("Pass", "g", true), ("Nodata", "g", false)],
                Some("it had no data, or counted for nothing"),
            ),
        ];
        for (looks, expected) in cases {
            let runs = looks
                .iter()
                .enumerate()
                .map(|(number, (label, group, muted))| run(number, &[("m", label, group, *muted)]));
            let runs: Vec<_> = runs.collect();
            let often = draw(runs.iter().filter_map(Run::of).collect());
            assert_eq!(often.rows[0].never_decided, expected, "{looks:?}");
        }
    }

    #[test]
    fn what_was_not_judged_is_no_run_of_a_metric() {
        let mut canceled = run(0, &[("m", "Pass", "g", false)]);
        canceled.complete = false;
        assert!(Run::of(&canceled).is_none());
    }
}
