//! The list of runs.

use askama::Template;
use axum::extract::State;
use axum::http::HeaderMap;

use super::filter::Filter;
use super::list::{Last, List, Subject};
use super::page::Page;
use super::shell::{Shell, here};
use crate::access::{Caller, On, Role};
use crate::app::App;
use crate::canary::{CanaryExecutionStatusResponse, iso_from_millis};
use crate::error::Result;
use crate::report::view;
use crate::storage::Line;

#[derive(Template)]
#[template(path = "runs.html", config = "src/ui/askama.toml")]
pub struct Runs {
    shell: Shell,
    list: List,
    may_create: bool,
    /// For the lines that a newcomer can copy: where serin is, and the last hour.
    here: String,
    hour: (String, String),
}

const HOUR: i64 = 3_600_000;

pub async fn show(
    State(app): State<App>,
    caller: Caller,
    filter: Filter,
    headers: HeaderMap,
) -> Result<Page<Runs>> {
    let runs = Subject {
        noun: "run",
        newest: "/ui/",
        pages: "/ui/runs",
        notes: "Metrics",
        last: Last::Judged,
    };
    let list = List::of(&app, &caller, filter, runs, note).await?;
    let now = app.clock.now_millis() / 1_000 * 1_000;
    Ok(Page(Runs {
        here: here(&app, &headers),
        hour: (iso_from_millis(now - HOUR), iso_from_millis(now)),
        may_create: caller.can(Role::Config, On::NOTHING),
        shell: Shell::of(&caller),
        list,
    }))
}

const RECEIVED: &str = "posted, not run here";

/// What failed, or how far it is.
fn note(line: &Line<CanaryExecutionStatusResponse>) -> String {
    let brief = &line.brief;
    let counted = |count: u64, what: &str| (0 < count).then(|| format!("{count} {what}"));
    let parts = [
        counted(brief.failed, "failed"),
        counted(brief.not_judged, "not judged"),
        counted(brief.doubtful, "doubtful"),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let note = how_it_went(line, &parts);
    match (brief.received, note.is_empty()) {
        (false, _) => note,
        (true, true) => RECEIVED.to_owned(),
        (true, false) => format!("{note}; {RECEIVED}"),
    }
}

fn how_it_went(line: &Line<CanaryExecutionStatusResponse>, parts: &[String]) -> String {
    let brief = &line.brief;
    match (&line.live, parts.is_empty()) {
        (Some(running), _) => progress(running),
        (None, false) => format!("{} of {}", parts.join(", "), brief.judged),
        (None, true) if 0 < brief.judged => format!("{} passed", brief.judged),
        (None, true) => String::new(),
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
