//! Standalone analyses: their list, and one of them on a line of time.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use futures::stream::{self, StreamExt};

use super::doing::Doing;
use super::filter::Filter;
use super::find;
use super::list::{Last, List, Subject};
use super::page::Page;
use super::shell::{Shell, here};
use crate::access::Caller;
use crate::app::App;
use crate::canary::{
    ActionRecord, CanaryAnalysisExecutionStatusResponse, CanaryExecutionStatusResponse, Execution,
};
use crate::error::Result;
use crate::report::analysis::{AnalysisView, Planned, analysis};
use crate::run;
use crate::storage::Line;

/// Canaries of an analysis that are read at once.
const READS: usize = 8;

#[derive(Template)]
#[template(path = "analyses.html", config = "src/ui/askama.toml")]
pub struct Analyses {
    shell: Shell,
    list: List,
    /// Where serin is, for the lines that a newcomer can copy.
    here: String,
}

pub async fn list(
    State(app): State<App>,
    caller: Caller,
    filter: Filter,
    headers: HeaderMap,
) -> Result<Page<Analyses>> {
    let analyses = Subject {
        noun: "analysis",
        newest: "/ui/analyses",
        pages: "/ui/analyses",
        notes: "Judgements",
        last: Last::Took,
    };
    let list = List::of(&app, &caller, filter, analyses, note).await?;
    Ok(Page(Analyses {
        here: here(&app, &headers),
        shell: Shell::of(&caller),
        list,
    }))
}

/// How many judgements, or what is under way.
fn note(line: &Line<CanaryAnalysisExecutionStatusResponse>) -> String {
    match (&line.live, line.brief.judged) {
        (Some(analysis), _) => {
            let told = analysis.told();
            format!("{} of {} judged", told.done(), told.looks.len())
        }
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
    doing: Doing,
    analysis: AnalysisView,
}

pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Page<AnalysisPage>> {
    let document: CanaryAnalysisExecutionStatusResponse =
        find::execution(&app, &caller, &id, "analysis").await?;
    let doing = Doing::of(&app, &caller, &document).await?;
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
    let now = app.clock.now_millis();
    let planned = run::course(&document).map(|course| Planned {
        start: course.start,
        end: course.end,
        next: course.next,
        now,
    });
    let analysis = analysis(&document, &canaries, planned);
    Ok(Page(AnalysisPage {
        shell: Shell::of(&caller),
        doing,
        actions: find::actions::<CanaryAnalysisExecutionStatusResponse>(&app, &caller, &id).await?,
        analysis: AnalysisView {
            by_hand: find::allowed(&app, &caller, &analysis.application, analysis.by_hand),
            ..analysis
        },
    }))
}
