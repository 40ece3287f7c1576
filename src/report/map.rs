//! The metrics of an analysis from judgement to judgement: which failed when.

use crate::canary::{CanaryAnalysisResult, CanaryExecutionStatusResponse, Label};
use crate::report::view::{Fact, label};

/// What is shown of many: the metrics that did worst, and the last judgements.
const ROWS: usize = 40;
const COLUMNS: usize = 40;

#[derive(Clone, Debug)]
pub struct Map {
    /// Number and run of each judgement that is shown.
    pub columns: Vec<(u32, String)>,
    pub rows: Vec<MapRow>,
    /// Metrics that are not shown.
    pub more: usize,
}

#[derive(Clone, Debug)]
pub struct MapRow {
    pub name: String,
    pub tags: Vec<Fact>,
    /// Its label at each judgement; none where it was not judged.
    pub cells: Vec<Option<Cell>>,
}

/// What a label is called, and its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    pub word: &'static str,
    pub class: &'static str,
    is_bad: bool,
}

/// Of canaries in the order of their judgements; none where there are not two.
pub fn draw(canaries: &[&CanaryExecutionStatusResponse]) -> Option<Map> {
    let judged: Vec<_> = canaries
        .iter()
        .filter_map(|canary| Some((*canary, canary.result.as_ref()?.judge_result.as_ref()?)))
        .collect();
    let shown = &judged[judged.len().saturating_sub(COLUMNS)..];
    if shown.len() < 2 {
        return None;
    }
    let mut rows: Vec<MapRow> = Vec::new();
    for (at, (_, judged)) in shown.iter().enumerate() {
        for result in &judged.results {
            let tags = tags(result);
            let is_same = |row: &&mut MapRow| row.name == result.name && row.tags == tags;
            let cell = Some(cell(result.classification));
            if let Some(row) = rows.iter_mut().find(is_same) {
                row.cells[at] = cell;
                continue;
            }
            let mut cells = vec![None; shown.len()];
            cells[at] = cell;
            rows.push(MapRow {
                name: result.name.clone(),
                tags,
                cells,
            });
        }
    }
    rows.sort_by_key(|row| {
        let bad = row.cells.iter().flatten().filter(|cell| cell.is_bad);
        std::cmp::Reverse(bad.count())
    });
    let more = rows.len().saturating_sub(ROWS);
    rows.truncate(ROWS);
    let columns = shown.iter().zip(1_u32..).map(|((canary, _), at)| {
        let number = canary.look.map_or(at, |look| look.number);
        (number, canary.pipeline_id.clone().unwrap_or_default())
    });
    Some(Map {
        columns: columns.collect(),
        rows,
        more,
    })
}

pub(super) fn tags(result: &CanaryAnalysisResult) -> Vec<Fact> {
    let tags = result.tags.iter();
    tags.map(|(name, value)| Fact {
        name: name.clone(),
        value: value.clone(),
    })
    .collect()
}

pub(super) fn cell(of: Label) -> Cell {
    let (word, class) = label(of);
    Cell {
        word,
        class,
        is_bad: of != Label::Pass,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn canary(number: u32, labels: &[(&str, &str)]) -> CanaryExecutionStatusResponse {
        let result = |(name, label): &(&str, &str)| {
            let side = json!({"stats": {"count": 1, "mean": 1, "min": 1, "max": 1, "std": 0}});
            json!({"name": name, "id": name, "tags": {}, "classification": label, "groups": [],
                "controlMetadata": side, "experimentMetadata": side})
        };
        let results: Vec<_> = labels.iter().map(result).collect();
        serde_json::from_value(json!({
            "pipelineId": format!("run-{number}"), "complete": true, "status": "succeeded",
            "look": {"number": number, "planned": 3, "window": "growing"},
            "result": {"judgeResult": {"judgeName": "j", "results": results, "groupScores": [],
                "score": {"score": 100, "classification": "Pass"}}},
        }))
        .unwrap()
    }

    #[test]
    fn what_failed_most_often_comes_first() {
        let one = canary(1, &[("a", "Pass"), ("b", "High")]);
        let two = canary(2, &[("a", "Pass"), ("b", "Pass"), ("c", "Nodata")]);
        assert!(draw(&[&one]).is_none());
        let map = draw(&[&one, &two]).unwrap();
        assert_eq!(
            map.columns,
            [(1, "run-1".to_owned()), (2, "run-2".to_owned())]
        );
        let words: Vec<(&str, Vec<&str>)> = map
            .rows
            .iter()
            .map(|row| {
                let cells = row.cells.iter();
                let words = cells.map(|cell| cell.map_or("", |cell| cell.word));
                (row.name.as_str(), words.collect())
            })
            .collect();
        assert_eq!(
            words,
            [
                ("b", vec!["High", "Pass"]),
                ("c", vec!["", "No data"]),
                ("a", vec!["Pass", "Pass"]),
            ]
        );
        assert_eq!(map.more, 0);
    }
}
