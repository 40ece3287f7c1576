//! The loop that claims the next execution and does what it waits for.

mod admission;
mod again;
mod alone;
mod analysis;
pub mod asked;
mod by_hand;
pub mod calibration;
mod canary;
mod cancel;
mod comparison;
pub mod configs;
mod ends;
pub mod gauges;
pub mod judges;
mod kept;
pub mod learned;
pub mod migration;
mod pipeline;
mod plan;
mod preview;
pub mod relearn;
mod remote_judge;
pub mod replay;
mod rounds;
mod sources;
mod stages;
mod start;

use std::sync::Arc;
use std::time::Duration;

use backon::{ConstantBuilder, Retryable};
use indexmap::IndexSet;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

pub use again::{judge_analysis_again, judge_canary_again};
pub use analysis::{Course, check_analysis, course};
pub use by_hand::accept;
pub use cancel::{cancel, cancel_unasked};
pub use comparison::{Comparison, compare};
pub use judges::{Question, judge};
pub use kept::kept_pairs;
pub use pipeline::pipeline;
pub use preview::{Preview, Previewed, preview};
pub use start::{Admission, Admitted, ForFlagger, Startable, start};

use stages::Stages;

use crate::actions::{self, Happened};
use crate::app::App;
use crate::audit::{By, Deed, Entry};
use crate::canary::{
    CanaryAnalysisExecutionStatusResponse, CanaryExecutionStatusResponse, Event, Execution,
    ExecutionStatus, Id, Kind,
};
use crate::error::{Error, Result};
use crate::notify;
use crate::storage::events::Change;
use crate::storage::{Claim, Ended, Outbox, Turn};

/// How often the state of a running execution is written for those who poll it.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// How often to look for executions that are due, should nobody tell.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Their documents are in memory before any of them has begun.
const MOST_CLAIMED: usize = 32;

/// Claims and runs executions until `shutdown`, then waits for those that run. What is accepted
/// here meanwhile begins at once, if there is a place for it.
pub async fn work(app: App, shutdown: CancellationToken) {
    let places = &app.places;
    places.add_permits(app.config.executions.max_running);
    let mut suspects = alone::Suspects::default();
    while !shutdown.is_cancelled() {
        suspects.look(&app, &shutdown).await;
        let woken = app.storage.events.due.notified();
        app.heartbeat.beat();
        let free = tokio::select! {
            free = free_places(places) => free,
            () = tokio::time::sleep(LOOK_EVERY) => continue,
            () = shutdown.cancelled() => break,
        };
        let Some(mut free) = free else {
            break;
        };
        let claims = next(&app, free.num_permits().min(MOST_CLAIMED)).await;
        if claims.is_empty() {
            drop(free);
            tokio::select! {
                () = woken => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = shutdown.cancelled() => {}
            }
            continue;
        }
        for claim in claims {
            if let Some(place) = free.split(1) {
                in_place(&app, place, claim, execute);
            }
        }
    }
    app.heartbeat.rest();
    places.close();
    app.running.close();
    app.running.wait().await;
}

/// All that are free, once there is one; none after the end.
async fn free_places(places: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    let mut free = Arc::clone(places).acquire_owned().await.ok()?;
    let others = u32::try_from(places.available_permits()).unwrap_or(0);
    if let Ok(others) = Arc::clone(places).try_acquire_many_owned(others) {
        free.merge(others);
    }
    Some(free)
}

/// Runs a claimed execution, then gives its place back.
fn in_place<F: Future<Output = ()> + Send + 'static>(
    app: &App,
    place: OwnedSemaphorePermit,
    claim: Claim,
    run: impl FnOnce(App, Claim) -> F,
) {
    let (id, attempt) = (claim.id.clone(), claim.attempt);
    let run = run(app.clone(), claim);
    spawn(app, &id, attempt, async move {
        run.await;
        drop(place);
    });
}

/// Runs a claimed execution.
fn spawn(
    app: &App,
    id: &str,
    attempt: i64,
    run: impl Future<Output = ()> + Send + 'static,
) -> JoinHandle<()> {
    let span = tracing::info_span!("execution", "execution.id" = id, attempt);
    app.running.spawn(Box::pin(run).instrument(span))
}

async fn next(app: &App, most: usize) -> Vec<Claim> {
    if !app.is_claiming() {
        return Vec::new();
    }
    match app.storage.claim(app.config.executions.lease, most).await {
        Ok(claims) => claims,
        Err(error) => {
            tracing::error!(%error, "cannot claim an execution; trying again");
            Vec::new()
        }
    }
}

/// Does what a claimed execution waits for.
async fn execute(app: App, claim: Claim) {
    match claim.kind {
        Kind::Canary => {
            if let Some(document) = unfinished(&app, &claim).await {
                Box::pin(run_canary(&app, claim, document)).await;
            }
        }
        Kind::Analysis => {
            if let Some(document) = unfinished(&app, &claim).await {
                step_analysis(&app, &claim, document).await;
            }
        }
        // Its row is written when both judges have judged; nothing is ever due.
        Kind::Comparison => {}
    }
}

/// The document of an execution; of one that has ended, only the archive is written.
async fn unfinished<R: Execution>(app: &App, claim: &Claim) -> Option<R> {
    let document: R = match serde_json::from_str(&claim.document) {
        Ok(document) => document,
        Err(error) => {
            // No version of serin wrote this row; perhaps a newer one can go on with it.
            tracing::error!(%error, "an execution cannot be read");
            if claim.is_hopeless(app.config.executions.max_attempts)
                && let Err(error) = app.storage.give_up(claim).await
            {
                tracing::error!(%error, "cannot give an execution up");
            }
            return None;
        }
    };
    if !claim.complete {
        return Some(document);
    }
    let body = claim.document.clone().into();
    if let Err(error) = app.storage.write_archive(claim, &document, body).await {
        tracing::error!(%error, "cannot note an archive");
    }
    None
}

/// Brings an analysis forward as far as it can go now.
async fn step_analysis(
    app: &App,
    claim: &Claim,
    mut document: CanaryAnalysisExecutionStatusResponse,
) {
    let was_new = document.status == ExecutionStatus::NotStarted;
    let mut passed = None;
    let span = ends::span(claim, &document, document.traceparent.as_deref());
    let advance = analysis::advance(app, claim, &mut document, &mut passed);
    let advanced = tokio::select! {
        advanced = advance.instrument(span.clone()) => advanced,
        why = hold(app, claim) => {
            tracing::info!(why, "step of an analysis stopped");
            leave(app, claim, &document).await;
            return;
        }
    };
    let started = was_new && document.start_time_millis.is_some();
    let started = started.then_some(Happened::of(Event::Start));
    let mut happened: Vec<Happened> = started
        .into_iter()
        .chain(passed.map(Happened::passed))
        .collect();
    let has_ended = matches!(advanced, Ok(None));
    let written = match advanced {
        Ok(Some(due_at)) => {
            let outbox = outbox(app, claim, &document, &happened);
            app.storage.step(claim, &document, due_at, &outbox).await
        }
        Ok(None) => {
            let status = document.status.as_str();
            ::metrics::counter!("serin_analyses_total", "status" => status).increment(1);
            happened.extend(actions::end(&document));
            let outbox = outbox(app, claim, &document, &happened);
            finish(app, claim, &document, &outbox).await
        }
        Err(error) => Err(error),
    };
    match written {
        Ok(Ended::Here) if has_ended => ends::tell(app, &document, &span, "analysis ended"),
        Ok(Ended::Here) => {}
        Ok(Ended::Elsewhere) => leave(app, claim, &document).await,
        Err(error) => {
            tracing::error!(%error, "cannot bring an analysis forward; it will be tried again");
        }
    }
}

/// An analysis that was canceled just when it started a canary does not know of it.
async fn leave(app: &App, claim: &Claim, document: &CanaryAnalysisExecutionStatusResponse) {
    let canary = analysis::canary_under_way(document);
    if let Some(canary) = canary.and_then(|id| Id::parse(&id).ok())
        && let Ok(analysis) = Id::parse(&claim.id)
        && let Err(error) = cancel::cancel_orphan(app, &analysis, &canary).await
    {
        tracing::warn!(%error, canary = %canary, "a canary may run for an analysis that was canceled");
    }
}

/// Runs a canary while its lease is renewed; a lost lease or a cancel drops it where it stands,
/// queries included.
async fn run_canary(app: &App, claim: Claim, mut document: CanaryExecutionStatusResponse) {
    let share = app.budget.share();
    canary::start(app, &mut document);
    let outbox_of_start = outbox(app, &claim, &document, &[Happened::of(Event::Start)]);
    if !outbox_of_start.is_empty() {
        Box::pin(tell_start(app, &claim, &document, &outbox_of_start)).await;
    }
    let shown = document.clone();
    let span = ends::span(&claim, &document, document.traceparent.as_deref());
    let (progress, seen) = watch::channel(None);
    let run = canary::run(app, &claim, document, &share, |stages| {
        progress.send_replace(Some(stages.clone()));
    });
    let document = tokio::select! {
        document = run.instrument(span.clone()) => document,
        why = hold(app, &claim) => {
            tracing::info!(why, "execution stopped");
            return;
        }
        () = show(app, &claim, shown, seen) => return,
    };
    ::metrics::counter!("serin_executions_total", "status" => document.status.as_str())
        .increment(1);
    let happened: Vec<Happened> = actions::end(&document).into_iter().collect();
    let outbox_of_end = outbox(app, &claim, &document, &happened);
    match finish(app, &claim, &document, &outbox_of_end).await {
        Ok(Ended::Here) => ends::tell(app, &document, &span, "execution ended"),
        Ok(Ended::Elsewhere) => tracing::info!("execution had ended elsewhere"),
        Err(error) => {
            tracing::error!(%error, "cannot write the end of an execution; it will run again");
        }
    }
    if claim.parent.is_some()
        && let Err(error) = app.storage.wake_parent(&claim).await
    {
        tracing::warn!(%error, "an analysis finds out by itself");
    }
}

/// Writes that a canary runs, for those who are to be told.
async fn tell_start(
    app: &App,
    claim: &Claim,
    document: &CanaryExecutionStatusResponse,
    outbox: &Outbox,
) {
    let told = patiently(|| app.storage.progress(claim, document, outbox)).await;
    if let Err(error) = told {
        tracing::error!(%error, "nobody is told that an execution started");
    }
}

/// What is sent outside of serin because of what happened.
fn outbox<S: Execution>(app: &App, claim: &Claim, subject: &S, happened: &[Happened]) -> Outbox {
    let notices = happened.iter();
    let notices = notices.flat_map(|happened| notify::of(app, claim, subject, happened.event));
    let turn = actions::turn(app, claim.parent.as_deref(), subject, happened);
    Outbox {
        notices: notices.collect(),
        record: turn.as_ref().and_then(|turn| recorded(app, subject, turn)),
        turn,
    }
}

/// What an execution has others called is a deed too.
fn recorded<S: Execution>(app: &App, subject: &S, turn: &Turn) -> Option<Entry> {
    let events: IndexSet<&str> = turn.actions.iter().map(|it| it.event.as_str()).collect();
    if events.is_empty() {
        return None;
    }
    let entry = Entry::new(By::serin(), Deed::ActionsSet, S::KIND.into(), subject.id());
    let details = json!({"events": events, "calls": turn.actions.len()});
    Some(Entry {
        at: app.clock.now_millis(),
        ..entry.of(subject.application()).with(&details)
    })
}

/// Writes an end. While the database does not take it, nobody else can take the execution either.
async fn finish<R: Execution>(
    app: &App,
    claim: &Claim,
    document: &R,
    outbox: &Outbox,
) -> Result<Ended> {
    patiently(|| app.storage.finish(claim, document, outbox)).await
}

/// Tries until the database is there, for a minute.
async fn patiently<T, F: Future<Output = Result<T>>>(call: impl FnMut() -> F) -> Result<T> {
    let again = ConstantBuilder::new()
        .with_delay(Duration::from_millis(500))
        .with_max_times(120);
    call.retry(again)
        .when(|error| matches!(error, Error::Unavailable(_)))
        .await
}

/// Renews the lease until the claim is lost.
async fn hold(app: &App, claim: &Claim) -> &'static str {
    let lease = app.config.executions.lease;
    let mut renew = tokio::time::interval(lease / 3);
    let mut canceled = app.storage.events.subscribe(&claim.id);
    renew.tick().await;
    loop {
        tokio::select! {
            _ = renew.tick() => {}
            () = canceled.until(Change::Canceled) => {}
        }
        match app.storage.renew(claim, lease).await {
            Ok(true) => {}
            Ok(false) => return "it was canceled, or its lease was lost",
            Err(error) => tracing::warn!(%error, "cannot renew a lease"),
        }
    }
}

/// Writes the progress for those who poll, for ever.
async fn show(
    app: &App,
    claim: &Claim,
    mut shown: CanaryExecutionStatusResponse,
    mut seen: watch::Receiver<Option<Stages>>,
) {
    loop {
        tokio::time::sleep(PROGRESS_EVERY).await;
        if seen.has_changed().unwrap_or(false) {
            if let Some(stages) = seen.borrow_and_update().as_ref() {
                shown.stage_status = stages.status();
            }
            let nothing = Outbox::default();
            if let Err(error) = app.storage.progress(claim, &shown, &nothing).await {
                tracing::warn!(%error, "cannot write the progress");
            }
        }
    }
}
