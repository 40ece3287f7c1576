//! The list of runs, newest first.

use askama::Template;
use axum::extract::State;

use super::filter::{Filter, Form};
use super::page::Page;
use crate::app::App;
use crate::canary::{CanaryExecutionStatusResponse, Outcome};
use crate::error::Result;
use crate::report::view::{self, Moment, number_of_score};
use crate::storage::Line;

/// Lines of a page.
const LINES: usize = 50;

#[derive(Template)]
#[template(path = "runs.html", config = "src/ui/askama.toml")]
pub struct Runs {
    form: Form,
    lines: Vec<RunLine>,
    /// Something of it may change.
    is_live: bool,
    /// Where the list goes on.
    older: Option<String>,
    /// Not the newest ones.
    is_later: bool,
}

/// One run in the list.
struct RunLine {
    id: String,
    application: String,
    config_id: String,
    config_name: String,
    outcome: Outcome,
    score: Option<String>,
    /// What failed, or how far it is.
    note: String,
    sides: String,
    started: Option<Moment>,
    duration: Option<String>,
}

pub async fn show(State(app): State<App>, filter: Filter) -> Result<Page<Runs>> {
    let search = filter.search(app.stores(), LINES + 1);
    let mut lines = app
        .storage
        .search::<CanaryExecutionStatusResponse>(&search)
        .await?;
    let applications = app
        .storage
        .applications::<CanaryExecutionStatusResponse>(&search.accounts)
        .await?;
    let has_more = LINES < lines.len();
    lines.truncate(LINES);
    Ok(Page(Runs {
        older: lines
            .last()
            .filter(|_| has_more)
            .map(|last| filter.address_after("/ui/", last)),
        is_live: lines.iter().any(|line| !line.brief.outcome.is_final()),
        is_later: filter.is_later(),
        form: filter.form(applications),
        lines: lines.into_iter().map(run_line).collect(),
    }))
}

fn run_line(line: Line<CanaryExecutionStatusResponse>) -> RunLine {
    let brief = line.brief;
    let counted = |count: u64, what: &str| (0 < count).then(|| format!("{count} {what}"));
    let parts = [
        counted(brief.failed, "failed"),
        counted(brief.not_judged, "not judged"),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let note = match (&line.live, parts.is_empty()) {
        (Some(running), _) => progress(running),
        (None, false) => format!("{} of {}", parts.join(", "), brief.judged),
        (None, true) if 0 < brief.judged => format!("{} passed", brief.judged),
        (None, true) => String::new(),
    };
    let sides = match (brief.control.as_str(), brief.experiment.as_str()) {
        ("", "") => String::new(),
        (control, experiment) => format!("{control} → {experiment}"),
    };
    RunLine {
        id: line.id,
        application: line.application,
        config_id: view::stored_config(Some(&brief.config_id)).unwrap_or_default(),
        config_name: brief.config_name,
        outcome: brief.outcome,
        score: brief.score.map(number_of_score),
        note,
        sides,
        started: Moment::of_millis(brief.start_time.unwrap_or(line.build_time)),
        duration: view::duration(brief.start_time, brief.end_time),
    }
}

/// The step that is under way.
fn progress(run: &CanaryExecutionStatusResponse) -> String {
    let steps = view::steps(run);
    let running = steps.iter().find(|step| step.state == "running");
    match running {
        Some(step) if 1 < step.of => format!("{}: {} of {}", step.name, step.done, step.of),
        Some(step) => step.name.to_owned(),
        None => String::new(),
    }
}
