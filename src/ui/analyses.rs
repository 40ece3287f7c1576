//! Standalone analyses: their list, and one of them on a line of time.

use askama::Template;
use axum::extract::{Path, State};
use futures::future::join_all;

use super::filter::{Filter, Form};
use super::find;
use super::page::Page;
use crate::app::App;
use crate::canary::{
    CanaryAnalysisExecutionStatusResponse, CanaryExecutionStatusResponse, Outcome,
};
use crate::error::Result;
use crate::report::analysis::{AnalysisView, analysis};
use crate::report::view::{self, Moment, number_of_score};
use crate::storage::Line;

/// Lines of a page.
const LINES: usize = 50;

#[derive(Template)]
#[template(path = "analyses.html", config = "src/ui/askama.toml")]
pub struct Analyses {
    form: Form,
    lines: Vec<AnalysisLine>,
    /// Something of it may change.
    is_live: bool,
    /// Where the list goes on.
    older: Option<String>,
    /// Not the newest ones.
    is_later: bool,
}

/// One analysis in the list.
struct AnalysisLine {
    id: String,
    application: String,
    config_id: String,
    config_name: String,
    outcome: Outcome,
    score: Option<String>,
    /// How many judgements, or what is under way.
    note: String,
    sides: String,
    started: Option<Moment>,
    duration: Option<String>,
}

pub async fn list(State(app): State<App>, filter: Filter) -> Result<Page<Analyses>> {
    let search = filter.search(app.stores(), LINES + 1);
    let mut lines = app
        .storage
        .search::<CanaryAnalysisExecutionStatusResponse>(&search)
        .await?;
    let applications = app
        .storage
        .applications::<CanaryAnalysisExecutionStatusResponse>(&search.accounts)
        .await?;
    let has_more = LINES < lines.len();
    lines.truncate(LINES);
    Ok(Page(Analyses {
        older: lines
            .last()
            .filter(|_| has_more)
            .map(|last| filter.address_after("/ui/analyses", last)),
        is_live: lines.iter().any(|line| !line.brief.outcome.is_final()),
        is_later: filter.is_later(),
        form: filter.form(applications),
        lines: lines.into_iter().map(analysis_line).collect(),
    }))
}

fn analysis_line(line: Line<CanaryAnalysisExecutionStatusResponse>) -> AnalysisLine {
    let brief = line.brief;
    let note = match (&line.live, brief.judged) {
        (Some(analysis), _) => {
            let mut stages = analysis.stage_status.iter();
            let running = stages.find(|stage| stage.is_running());
            running.map_or_else(String::new, |stage| stage.name.clone())
        }
        (None, 0) => String::new(),
        (None, 1) => "1 judgement".to_owned(),
        (None, judged) => format!("{judged} judgements"),
    };
    let sides = match (brief.control.as_str(), brief.experiment.as_str()) {
        ("", "") => String::new(),
        (control, experiment) => format!("{control} → {experiment}"),
    };
    AnalysisLine {
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

#[derive(Template)]
#[template(path = "analysis.html", config = "src/ui/askama.toml")]
pub struct AnalysisPage {
    analysis: AnalysisView,
}

pub async fn show(State(app): State<App>, Path(id): Path<String>) -> Result<Page<AnalysisPage>> {
    let document: CanaryAnalysisExecutionStatusResponse =
        find::execution(&app, &id, "analysis").await?;
    let ids = document
        .stage_status
        .iter()
        .filter_map(|stage| stage.execution_id.as_deref());
    // One that is gone, or not there now, is told by the analysis itself.
    let canaries = ids.map(|id| find::execution::<CanaryExecutionStatusResponse>(&app, id, "run"));
    let canaries = join_all(canaries).await;
    let canaries: Vec<_> = canaries.into_iter().filter_map(Result::ok).collect();
    Ok(Page(AnalysisPage {
        analysis: analysis(&document, &canaries),
    }))
}
