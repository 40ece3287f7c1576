//! `/ui/configs/{id}/metrics`: which metrics of a config failed most in its last runs, and which never decided.

use askama::Template;
use axum::extract::{Path, Query, State};
use futures::stream::{self, StreamExt};

use super::{Store, newest_runs};
use crate::access::Caller;
use crate::app::App;
use crate::canary::{CanaryConfig, CanaryExecutionStatusResponse, Id};
use crate::error::{Error, Result};
use crate::report::often::{self, Often};
use crate::ui::forms::Fields;
use crate::ui::page::Page;
use crate::ui::shell::Shell;

/// Runs that are looked at.
const RUNS: usize = 30;

/// The newest ones among which they are found: some run, and some were never judged.
const LOOKED_AT: i64 = 100;

/// Documents that are read at once.
const READS: usize = 4;

/// Of the documents together. Those that would be more are left out.
const MOST_BYTES: usize = 32 << 20;

#[derive(Template)]
#[template(path = "config_metrics.html", config = "src/ui/askama.toml")]
pub struct Metrics {
    shell: Shell,
    store: Store,
    id: Id,
    config: CanaryConfig,
    often: Often,
    /// Runs that were to be read.
    wanted: usize,
}

pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(address): Query<Fields>,
) -> Result<Page<Metrics>> {
    let (store, id) = (Store::of(&app, &address)?, Id::parse(&id)?);
    let config = app.seen_by(&caller).canary_config(&store.name, &id).await?;
    let newest = newest_runs(&app, &caller, Some(id.as_str()), LOOKED_AT).await?;
    let judged = newest
        .into_iter()
        .filter(|line| line.brief.outcome.is_final() && 0 < line.brief.judged);
    let ids: Vec<String> = judged.take(RUNS).map(|line| line.id).collect();
    let mut runs = read(&app, &caller, &ids).await;
    runs.reverse();
    Ok(Page(Metrics {
        shell: Shell::of(&caller),
        store,
        id,
        config,
        often: often::draw(runs),
        wanted: ids.len(),
    }))
}

/// In their order. What is gone, or not there now, is left out.
async fn read(app: &App, caller: &Caller, ids: &[String]) -> Vec<often::Run> {
    let reading = ids.iter().map(|id| one(app, caller, id));
    let reading: Vec<_> = reading.collect();
    let mut reading = stream::iter(reading).buffered(READS);
    let (mut runs, mut bytes) = (Vec::new(), 0);
    while let Some(read) = reading.next().await {
        let Ok((run, size)) = read else { continue };
        runs.extend(run);
        bytes += size;
        if MOST_BYTES <= bytes {
            break;
        }
    }
    runs
}

/// What is kept of a run, and how large its document is.
async fn one(app: &App, caller: &Caller, id: &str) -> Result<(Option<often::Run>, usize)> {
    let id = Id::parse(id)?;
    let (seen, stores) = (app.seen_by(caller), app.stores());
    let found = seen.execution_of_any::<CanaryExecutionStatusResponse>(&stores, &id);
    let body = found.await?.body;
    let size = body.len();
    let read = tokio::task::spawn_blocking(move || {
        let canary = serde_json::from_slice::<CanaryExecutionStatusResponse>(&body);
        canary.ok().and_then(|canary| often::Run::of(&canary))
    });
    let run = read
        .await
        .map_err(|cause| Error::Internal(format!("a run cannot be read: {cause}")))?;
    Ok((run, size))
}
