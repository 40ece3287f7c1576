//! The scores of a config from run to run, as a small drawing.

use std::fmt::Write;

use crate::canary::number::score;
use crate::canary::{CanaryExecutionStatusResponse, Outcome};
use crate::report::view::Moment;
use crate::storage::Line;

/// Runs that are drawn.
pub const RUNS: i64 = 40;

const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 100.0;
const MARGIN: f64 = 6.0;

pub struct History {
    /// Oldest first.
    pub dots: Vec<Dot>,
    /// From score to score.
    pub line: String,
    pub counts: String,
}

pub struct Dot {
    pub run: String,
    pub outcome: Outcome,
    pub x: f64,
    pub y: f64,
    pub title: String,
}

/// None of a config with less than two runs that have ended.
pub fn draw(newest_first: &[Line<CanaryExecutionStatusResponse>]) -> Option<History> {
    let runs = newest_first.iter().rev();
    let runs: Vec<_> = runs.filter(|run| run.brief.outcome.is_final()).collect();
    if runs.len() < 2 {
        return None;
    }
    let all = u32::try_from(runs.len()).map_or(1.0, f64::from);
    let step = (WIDTH - 2.0 * MARGIN) / (all - 1.0);
    let mut line = String::new();
    let mut x = MARGIN;
    let mut dots = Vec::new();
    for run in &runs {
        let brief = &run.brief;
        let part = brief.score.unwrap_or(0.0).clamp(0.0, 100.0) / 100.0;
        let y = tenth(MARGIN + (HEIGHT - 2.0 * MARGIN) * (1.0 - part));
        if brief.score.is_some() {
            let move_to = if line.is_empty() { 'M' } else { 'L' };
            // A String takes all that is written.
            let _ = write!(line, "{move_to}{} {y}", tenth(x));
        }
        let when = Moment::of_millis(run.build_time).map_or_else(String::new, |it| it.text);
        let told = brief.score.map(score);
        let told = told.map_or_else(String::new, |score| format!(" {score}"));
        dots.push(Dot {
            run: run.id.clone(),
            outcome: brief.outcome,
            x: tenth(x),
            y,
            title: format!(
                "{}{told}: {} → {}, {when} UTC",
                brief.outcome.word(),
                brief.control,
                brief.experiment
            ),
        });
        x += step;
    }
    Some(History {
        counts: counts(&runs),
        dots,
        line,
    })
}

/// `12 passed, 1 failed`, by their outcomes in the order of how good they are.
fn counts(runs: &[&Line<CanaryExecutionStatusResponse>]) -> String {
    let told = [
        (Outcome::Pass, "passed"),
        (Outcome::Marginal, "marginal"),
        (Outcome::Fail, "failed"),
        (Outcome::Inconclusive, "inconclusive"),
        (Outcome::Error, "in error"),
        (Outcome::Canceled, "canceled"),
    ];
    let told = told.into_iter().filter_map(|(outcome, words)| {
        let count = runs.iter().filter(|run| run.brief.outcome == outcome);
        let count = count.count();
        (0 < count).then(|| format!("{count} {words}"))
    });
    told.collect::<Vec<_>>().join(", ")
}

fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::storage::Brief;

    fn run(outcome: &str, score: Option<f64>) -> Line<CanaryExecutionStatusResponse> {
        let brief =
            json!({"outcome": outcome, "score": score, "control": "v1", "experiment": "v2"});
        let brief: Brief = serde_json::from_value(brief).unwrap();
        Line {
            id: outcome.to_owned(),
            application: String::new(),
            build_time: 0,
            brief,
            live: None,
        }
    }

    #[test]
    fn scores_are_drawn_from_the_oldest_to_the_newest() {
        let runs = [
            run("running", None),
            run("pass", Some(100.0)),
            run("error", None),
            run("fail", Some(0.0)),
        ];
        let drawn = draw(&runs).unwrap();
        assert_eq!(drawn.line, "M6 94L594 6");
        assert_eq!(drawn.counts, "1 passed, 1 failed, 1 in error");
        let titles: Vec<&str> = drawn.dots.iter().map(|dot| dot.title.as_str()).collect();
        assert_eq!(
            titles,
            [
                "Fail 0: v1 → v2, 1970-01-01 00:00:00 UTC",
                "Error: v1 → v2, 1970-01-01 00:00:00 UTC",
                "Pass 100: v1 → v2, 1970-01-01 00:00:00 UTC",
            ]
        );
        assert!(draw(&runs[..2]).is_none());
    }
}
