//! How the intervals of each metric close over the judgements of an analysis.

use indexmap::IndexMap;

use super::forest::{self, Place};
use super::interval;
use super::view::Fact;
use super::view::words::fact;
use crate::canary::sequential::{Finding, Sequential};
use crate::canary::{CanaryExecutionStatusResponse, CanaryJudgeResult};

/// Of the drawings; pages give them their real size.
pub const WIDTH: f64 = 300.0;
pub const HEIGHT: f64 = 120.0;
/// Of the mark of an estimate.
pub const MARK: f64 = 8.0;

/// More are not read by anybody, and a page has its bounds.
const METRICS: usize = 50;
const BARS: usize = 1_200;

/// One metric over all judgements that have been.
#[derive(Clone, Debug)]
pub struct Closing {
    pub name: String,
    pub tags: Vec<Fact>,
    /// By the last judgement.
    pub place: Place,
    pub change: String,
    pub needed: Option<String>,
    /// Where no change counts, from the top.
    pub band: (f64, f64),
    pub bars: Vec<Bar>,
}

/// What one judgement found.
#[derive(Clone, Debug)]
pub struct Bar {
    pub x: f64,
    /// Where the mark of the estimate begins.
    pub mark: f64,
    pub top: f64,
    pub bottom: f64,
    pub estimate: f64,
    pub class: &'static str,
}

/// Its name and its labels.
type Metric<'a> = (&'a str, Vec<(&'a str, &'a str)>);

/// The metrics that `sequential-v1` judged: those that are beyond their margin, those that are not settled, the rest;
/// the canaries in their order.
/// `planned` is how many judgements there will be.
pub fn draw(canaries: &[&CanaryExecutionStatusResponse], planned: usize) -> Vec<Closing> {
    let mut metrics: IndexMap<Metric<'_>, Vec<(usize, &Sequential)>> = IndexMap::new();
    let judged = canaries.iter().enumerate().map(|(at, canary)| {
        let look = canary
            .look
            .and_then(|look| usize::try_from(look.number).ok());
        (look.unwrap_or(at + 1), judged(canary))
    });
    for (number, judged) in judged {
        for result in judged.into_iter().flat_map(|judged| &judged.results) {
            if let Some(found) = forest::found(result) {
                let tags = result.tags.iter();
                let tags = tags.map(|(name, value)| (name.as_str(), value.as_str()));
                let looks = metrics.entry((&result.name, tags.collect())).or_default();
                looks.push((number, found));
            }
        }
    }
    let told = canaries
        .iter()
        .filter_map(|canary| canary.look)
        .map(|look| look.planned);
    let planned = told
        .max()
        .and_then(|planned| usize::try_from(planned).ok())
        .unwrap_or(planned);
    let closings = metrics
        .into_iter()
        .filter_map(|((name, tags), looks)| closing(name, &tags, &looks, planned.max(looks.len())));
    let mut closings: Vec<Closing> = closings.collect();
    closings.sort_by_key(|closing| match closing.place {
        Place::Beyond => 0,
        Place::Across | Place::Open => 1,
        Place::Better | Place::Within => 2,
    });
    closings.truncate(METRICS);
    let most = BARS / closings.len().max(1);
    for closing in &mut closings {
        let skipped = closing.bars.len().saturating_sub(most);
        closing.bars.drain(..skipped);
    }
    closings
}

/// What `sequential-v1` said of a canary, as its judge or beside it.
pub fn judged(canary: &CanaryExecutionStatusResponse) -> Option<&CanaryJudgeResult> {
    let result = canary.result.as_ref()?;
    let beside = || result.shadow.as_ref()?.judge_result.as_ref();
    let own = result.judge_result.as_ref();
    let is_of_it =
        |judged: &&CanaryJudgeResult| judged.results.iter().any(|it| forest::found(it).is_some());
    own.filter(is_of_it).or_else(beside)
}

fn closing(
    name: &str,
    tags: &[(&str, &str)],
    looks: &[(usize, &Sequential)],
    planned: usize,
) -> Option<Closing> {
    let (_, last) = looks.last()?;
    let bars = looks
        .iter()
        .filter_map(|&(number, found)| bar(number, found, planned));
    let band = interval::against_margin(last);
    let band = band.map_or((0.0, 0.0), |drawn| {
        let top = y(drawn.bound_left + drawn.bound_width);
        (top, tenth(y(drawn.bound_left) - top))
    });
    Some(Closing {
        name: name.to_owned(),
        tags: tags.iter().map(|(name, value)| fact(name, value)).collect(),
        place: Place::of(last),
        change: forest::change(last),
        needed: last
            .minutes_needed
            .filter(|_| last.verdict == Finding::Inconclusive)
            .map(forest::minutes),
        band,
        bars: bars.collect(),
    })
}

fn bar(number: usize, found: &Sequential, planned: usize) -> Option<Bar> {
    let drawn = interval::against_margin(found)?;
    let x = tenth((as_double(number) - 0.5) / as_double(planned.max(number)) * WIDTH);
    Some(Bar {
        x,
        mark: tenth(x - MARK / 2.0),
        top: y(drawn.left + drawn.width),
        bottom: y(drawn.left),
        estimate: y(drawn.estimate),
        class: Place::of(found).class(),
    })
}

/// A rise lies above.
fn y(x: f64) -> f64 {
    tenth(HEIGHT * (1.0 - x / interval::WIDTH))
}

fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// Judgements are few.
fn as_double(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::report::interval::tests::found;

    fn canary(number: u32, metrics: &[(&str, Value)]) -> CanaryExecutionStatusResponse {
        let stats = json!({"stats": {"count": 0, "mean": 0, "min": 0, "std": 0, "max": 0}});
        let points = json!({"total": 0, "nan": 0, "outliers": 0, "judged": 0});
        let result = |(name, found): &(&str, Value)| {
            json!({"name": name, "classification": "Pass", "controlMetadata": stats, "experimentMetadata": stats,
                "explanation": {"rule": "wide", "sentence": "", "points": {"control": points, "experiment": points}, "sequential": found}})
        };
        let results: Vec<Value> = metrics.iter().map(result).collect();
        let judged = json!({"judgeName": "sequential-v1", "results": results, "score": {"score": 100, "classification": "Pass"}});
        serde_json::from_value(json!({
            "look": {"number": number, "planned": 4, "window": "growing"},
            "result": {"judgeResult": judged},
        }))
        .unwrap()
    }

    #[test]
    fn intervals_close_from_judgement_to_judgement() {
        let canaries = [
            canary(
                1,
                &[
                    ("a", found("Inconclusive", [0.0, -10.0, 10.0])),
                    ("b", found("Inconclusive", [0.0, -10.0, 10.0])),
                ],
            ),
            canary(
                2,
                &[
                    ("a", found("Equivalent", [0.0, -2.0, 2.0])),
                    ("b", found("Inconclusive", [3.0, -1.0, 7.0])),
                ],
            ),
        ];
        let canaries: Vec<&CanaryExecutionStatusResponse> = canaries.iter().collect();
        let drawn = draw(&canaries, 0);
        // What is not settled stands before what is within its margin.
        let names: Vec<&str> = drawn.iter().map(|closing| closing.name.as_str()).collect();
        assert_eq!(names, ["b", "a"]);
        let bars = &drawn[1].bars;
        let lengths: Vec<f64> = bars.iter().map(|bar| bar.bottom - bar.top).collect();
        assert!(lengths[1] < lengths[0], "{lengths:?}");
        // Two of four judgements have been: the drawing is half full.
        assert_eq!((bars[0].x, bars[1].x), (37.5, 112.5));
        // Within the band of the margin, which lies half way to the edges.
        assert_eq!(drawn[1].band, (30.0, 60.0));
        assert!(30.0 < bars[1].top && bars[1].bottom < 90.0);
        assert!(bars[0].top < 30.0 && 90.0 < bars[0].bottom);
        assert_eq!(
            (drawn[0].needed.as_deref(), drawn[1].needed.as_deref()),
            (Some("40 minutes"), None)
        );
    }
    #[test]
    fn a_page_of_many_metrics_and_judgements_keeps_its_bounds() {
        let names: Vec<String> = (0..60).map(|name| name.to_string()).collect();
        let found = found("Inconclusive", [0.0, -10.0, 10.0]);
        let metrics: Vec<(&str, Value)> = names
            .iter()
            .map(|name| (name.as_str(), found.clone()))
            .collect();
        let canaries: Vec<_> = (1..=40).map(|number| canary(number, &metrics)).collect();
        let canaries: Vec<&CanaryExecutionStatusResponse> = canaries.iter().collect();
        let drawn = draw(&canaries, 0);
        assert_eq!(drawn.len(), METRICS);
        // The last ones are kept.
        assert!(drawn.iter().all(|closing| closing.bars.len() == 24));
        let right = tenth(39.5 / 40.0 * WIDTH);
        assert!((drawn[0].bars[23].x - right).abs() < 1e-9);
    }
}
