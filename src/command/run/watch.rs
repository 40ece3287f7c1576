//! Looks at an execution until it has ended, and tells how far it is.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::canary::{
    AnalysisRun, CanaryAnalysisExecutionStatusResponse, CanaryExecutionStatusResponse, Execution,
    ExecutionStatus, Kind,
};
use crate::command::client::{Client, Failure};
use crate::command::tell::note;
use crate::escape::line;
use crate::report::{closing, forest, view};

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
        let mut text = how_far(kind, &document);
        if let Some(more) = needed.of(client, kind, &document).await {
            text = format!("{text}; {more}");
        }
        progress.tell(&text);
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

fn how_far(kind: Kind, document: &Value) -> String {
    let text = match kind {
        Kind::Canary | Kind::Comparison => serde_json::from_value(document.clone())
            .ok()
            .and_then(|canary| step_of_canary(&canary)),
        Kind::Analysis => serde_json::from_value(document.clone())
            .ok()
            .and_then(|analysis| step_of_analysis(&analysis)),
    };
    text.unwrap_or_else(|| "waiting for its turn".to_owned())
}

fn step_of_canary(canary: &CanaryExecutionStatusResponse) -> Option<String> {
    let steps = view::steps(canary);
    let step = steps
        .iter()
        .find(|step| step.state == "running")
        .or_else(|| steps.iter().find(|step| step.state == "waiting"))?;
    Some(match step.of {
        0 | 1 => step.name.to_lowercase(),
        of => format!("{}: {} of {of}", step.name.to_lowercase(), step.done),
    })
}

fn step_of_analysis(analysis: &CanaryAnalysisExecutionStatusResponse) -> Option<String> {
    let told = analysis.told();
    let (done, all) = (told.done(), told.looks.len());
    Some(format!("{} ({done} of {all} judged)", told.stage?))
}

/// A line that moves on a terminal; in a log, a line whenever something has changed.
struct Progress {
    bar: ProgressBar,
    is_terminal: bool,
    last: std::cell::RefCell<String>,
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
            last: std::cell::RefCell::default(),
        }
    }

    fn tell(&self, text: &str) {
        if self.last.replace(text.to_owned()) == text {
            return;
        }
        let text = line(text);
        if self.is_terminal {
            self.bar.set_message(text.into_owned());
        } else {
            note(&text);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
