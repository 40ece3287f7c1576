//! Looks at an execution until it has ended, and tells how far it is.

use std::cell::RefCell;
use std::fmt;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::canary::{
    AnalysisRun, CanaryAnalysisExecutionStatusResponse, CanaryExecutionStatusResponse, Execution,
    ExecutionStatus, Kind,
};
use crate::clock::Clock;
use crate::command::client::{Client, Failure};
use crate::command::tell::note;
use crate::escape::line;
use crate::report::view::Moment;
use crate::report::{closing, forest, view};
use crate::run;

const DAY: i64 = 86_400_000;

/// The document of the execution, once it is complete.
pub async fn until_end(
    client: &Client,
    kind: Kind,
    id: &str,
    every: Duration,
) -> Result<Value, Failure> {
    let progress = Progress::new();
    let path = format!("{}/{id}", kind.path());
    let mut needed = Needed::default();
    loop {
        let document = client.get(&path).await?;
        if document["complete"] == Value::Bool(true) {
            return Ok(document);
        }
        let mut step = how_far(kind, &document, Clock::System.now_millis());
        if let Some(more) = needed.of(client, kind, &document).await {
            step.rest = format!("{}; {more}", step.rest);
        }
        progress.tell(&step);
        tokio::time::sleep(every).await;
    }
}

/// What would settle an analysis, by its last judgement.
#[derive(Default)]
struct Needed {
    run: String,
    told: Option<String>,
}

impl Needed {
    async fn of(&mut self, client: &Client, kind: Kind, document: &Value) -> Option<String> {
        if kind != Kind::Analysis {
            return None;
        }
        let analysis: CanaryAnalysisExecutionStatusResponse =
            serde_json::from_value(document.clone()).ok()?;
        let told = analysis.told();
        let done = |look: &&AnalysisRun<'_>| look.status == ExecutionStatus::Succeeded;
        let last = told.looks.iter().rfind(done)?.run?;
        if self.run != last {
            // It is told beside the progress: without an answer it is left out.
            let found = client
                .get(&format!("{}/{last}", Kind::Canary.path()))
                .await
                .ok()?;
            let canary: CanaryExecutionStatusResponse = serde_json::from_value(found).ok()?;
            last.clone_into(&mut self.run);
            self.told = closing::judged(&canary).and_then(forest::needed);
        }
        self.told.clone()
    }
}

/// How far it is: what is under way, how long that takes yet, and what comes then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Step {
    text: String,
    /// It changes with every look, and says nothing new.
    counted: String,
    rest: String,
}

impl Step {
    fn of(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        (&self.text, &self.rest) == (&other.text, &other.rest)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.text, self.counted, self.rest)
    }
}

/// `now` in epoch milliseconds.
fn how_far(kind: Kind, document: &Value, now: i64) -> Step {
    let step = match kind {
        Kind::Canary | Kind::Comparison => serde_json::from_value(document.clone())
            .ok()
            .and_then(|canary| step_of_canary(&canary)),
        Kind::Analysis => serde_json::from_value(document.clone())
            .ok()
            .and_then(|analysis| step_of_analysis(&analysis, now)),
    };
    step.unwrap_or_else(|| Step::of("waiting for its turn"))
}

fn step_of_canary(canary: &CanaryExecutionStatusResponse) -> Option<Step> {
    let steps = view::steps(canary);
    let step = steps
        .iter()
        .find(|step| step.state == "running")
        .or_else(|| steps.iter().find(|step| step.state == "waiting"))?;
    Some(Step::of(match step.of {
        0 | 1 => step.name.to_lowercase(),
        of => format!("{}: {} of {of}", step.name.to_lowercase(), step.done),
    }))
}

fn step_of_analysis(analysis: &CanaryAnalysisExecutionStatusResponse, now: i64) -> Option<Step> {
    let told = analysis.told();
    told.stage?;
    let judged = format!("{} of {} judged", told.done(), told.looks.len());
    let Some(course) = run::course(analysis) else {
        return Some(Step::of(judged));
    };
    let mut step = match course.next.filter(|next| now < *next) {
        Some(next) => {
            let which = if next < course.end { "next" } else { "last" };
            let at = clock(next, now);
            Step {
                counted: format!(", in {}", long(next - now)),
                ..Step::of(format!("{judged}; {which} judgement at {at}"))
            }
        }
        None => Step::of(format!("{judged}; judging")),
    };
    if now < course.end && course.next < Some(course.end) {
        step.rest = format!("; ends at {}", clock(course.end, now));
    }
    Some(step)
}

/// With its day where that is another one.
fn clock(millis: i64, now: i64) -> String {
    let text = Moment::of_millis(millis).map_or_else(String::new, |moment| moment.text);
    let is_today = millis.div_euclid(DAY) == now.div_euclid(DAY);
    let shown = text.split_once(' ').filter(|_| is_today);
    format!("{} UTC", shown.map_or(text.as_str(), |(_, time)| time))
}

/// Whole seconds, the last one begun.
fn long(millis: i64) -> String {
    let seconds = (millis + 999) / 1_000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
    }
}

/// A line that moves on a terminal; in a log, a line whenever something has changed.
struct Progress {
    bar: ProgressBar,
    is_terminal: bool,
    last: RefCell<Step>,
}

impl Progress {
    fn new() -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let bar = if is_terminal {
            ProgressBar::new_spinner()
        } else {
            ProgressBar::hidden()
        };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        Self {
            bar,
            is_terminal,
            last: RefCell::default(),
        }
    }

    fn tell(&self, step: &Step) {
        let last = self.last.replace(step.clone());
        let text = step.to_string();
        let text = line(&text);
        if self.is_terminal {
            self.bar.set_message(text.into_owned());
        } else if !last.is_like(step) {
            note(&text);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// An hour in three judgements, from noon; the first so many of its stages are done.
    fn analysis(done: usize) -> Value {
        let names = ["Interval Wait #", "Run Canary #"];
        let stages = (0..6).map(|at| {
            let (status, number) = match at {
                at if at < done => ("SUCCEEDED", at / 2 + 1),
                at if at == done => ("RUNNING", at / 2 + 1),
                at => ("NOT_STARTED", at / 2 + 1),
            };
            let kind = if at % 2 == 0 { "wait" } else { "runCanary" };
            json!({"type": kind, "name": format!("{}{number}", names[at % 2]), "status": status})
        });
        let stages: Vec<Value> = stages.collect();
        json!({
            "status": "running", "complete": false, "stageStatus": stages,
            "buildTimeIso": "2026-11-30T12:00:00Z", "buildTimeMillis": 1_796_040_000_000_i64,
            "startTimeIso": "2026-11-30T12:00:00Z", "startTimeMillis": 1_796_040_000_000_i64,
            "canaryAnalysisExecutionRequest": {
                "scopes": [{"scopeName": "default", "controlScope": "a", "experimentScope": "b", "step": 60}],
                "thresholds": {"pass": 95, "marginal": 75},
                "lifetimeDurationMins": 60, "analysisIntervalMins": 20,
            },
        })
    }

    #[test]
    fn what_comes_next_is_told_with_its_time() {
        let cases = [
            // stages done, seconds after noon, what is told
            (
                0,
                0,
                "0 of 3 judged; next judgement at 12:20:00 UTC, in 20 min 0 s; ends at 13:00:00 UTC",
            ),
            (
                0,
                1_100,
                "0 of 3 judged; next judgement at 12:20:00 UTC, in 1 min 40 s; ends at 13:00:00 UTC",
            ),
            (1, 1_201, "0 of 3 judged; judging; ends at 13:00:00 UTC"),
            (
                2,
                1_210,
                "1 of 3 judged; next judgement at 12:40:00 UTC, in 19 min 50 s; ends at 13:00:00 UTC",
            ),
            (
                4,
                3_599,
                "2 of 3 judged; last judgement at 13:00:00 UTC, in 1 s",
            ),
            (5, 3_601, "2 of 3 judged; judging"),
        ];
        for (done, seconds, expected) in cases {
            let now = 1_796_040_000_000 + 1_000 * seconds;
            let step = how_far(Kind::Analysis, &analysis(done), now);
            assert_eq!(step.to_string(), expected, "{done}");
        }
        let waits = json!({"status": "not_started", "complete": false});
        let step = how_far(Kind::Analysis, &waits, 0);
        assert_eq!(step.to_string(), "waiting for its turn");
    }

    #[test]
    fn a_log_is_not_told_again_that_time_passes() {
        let at = |seconds: i64| {
            how_far(
                Kind::Analysis,
                &analysis(0),
                1_796_040_000_000 + 1_000 * seconds,
            )
        };
        assert!(at(1).is_like(&at(2)) && at(1) != at(2));
        assert!(!at(1).is_like(&at(1_300)));
    }

    #[test]
    fn a_time_of_another_day_has_its_date() {
        let cases = [
            (DAY - 1_000, 0, "23:59:59 UTC"),
            (DAY, DAY - 1, "1970-01-02 00:00:00 UTC"),
        ];
        for (millis, now, expected) in cases {
            assert_eq!(clock(millis, now), expected);
        }
        for (millis, expected) in [(1, "1 s"), (60_000, "1 min 0 s"), (7_500_000, "2 h 5 min")] {
            assert_eq!(long(millis), expected);
        }
    }
}
