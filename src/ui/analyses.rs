//! Standalone analyses: their list, and one of them on a line of time.

use askama::Template;
use axum::extract::{Path, State};
use futures::stream::{self, StreamExt};

use super::filter::Filter;
use super::find;
use super::list::{List, Subject};
use super::page::Page;
use super::shell::Shell;
use crate::access::Caller;
use crate::app::App;
use crate::canary::{
    ActionRecord, CanaryAnalysisExecutionStatusResponse, CanaryExecutionStatusResponse, Execution,
};
use crate::error::Result;
use crate::report::analysis::{AnalysisView, analysis};
use crate::storage::Line;

/// Canaries of an analysis that are read at once.
const READS: usize = 8;

#[derive(Template)]
#[template(path = "analyses.html", config = "src/ui/askama.toml")]
pub struct Analyses {
    shell: Shell,
    list: List,
}

pub async fn list(
    State(app): State<App>,
    caller: Caller,
    filter: Filter,
) -> Result<Page<Analyses>> {
    let analyses = Subject {
        noun: "analysis",
        newest: "/ui/analyses",
        pages: "/ui/analyses",
        notes: "Judgements",
    };
    let list = List::of(&app, &caller, filter, analyses, note).await?;
    Ok(Page(Analyses {
        shell: Shell::of(&caller),
        list,
    }))
}

/// How many judgements, or what is under way.
fn note(line: &Line<CanaryAnalysisExecutionStatusResponse>) -> String {
    match (&line.live, line.brief.judged) {
        (Some(analysis), _) => analysis.told().stage.unwrap_or_default().to_owned(),
        (None, 0) => String::new(),
        (None, 1) => "1 judgement".to_owned(),
        (None, judged) => format!("{judged} judgements"),
    }
}

#[derive(Template)]
#[template(path = "analysis.html", config = "src/ui/askama.toml")]
pub struct AnalysisPage {
    shell: Shell,
    actions: Vec<ActionRecord>,
    analysis: AnalysisView,
}

pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Page<AnalysisPage>> {
    let document: CanaryAnalysisExecutionStatusResponse =
        find::execution(&app, &caller, &id, "analysis").await?;
    let ids = document
        .stage_status
        .iter()
        .filter_map(|stage| stage.execution_id.as_deref());
    // One that is gone, or not there now, is told by the analysis itself.
    let canaries =
        ids.map(|id| find::execution::<CanaryExecutionStatusResponse>(&app, &caller, id, "run"));
    let canaries: Vec<_> = canaries.collect();
    let canaries: Vec<_> = stream::iter(canaries).buffered(READS).collect().await;
    let canaries: Vec<_> = canaries.into_iter().filter_map(Result::ok).collect();
    let analysis = analysis(&document, &canaries);
    Ok(Page(AnalysisPage {
        shell: Shell::of(&caller),
        actions: find::actions::<CanaryAnalysisExecutionStatusResponse>(&app, &caller, &id).await?,
        analysis: AnalysisView {
            by_hand: find::allowed(&app, &caller, &analysis.application, analysis.by_hand),
            ..analysis
        },
    }))
}
