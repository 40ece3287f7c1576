//! `…/events`: how an execution stands, told as it changes, until it has ended.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::accounts::AnyStorageAccount;
use super::executions::look_for;
use super::problem::Problem;
use super::query::Query;
use super::request::PathId;
use crate::access::Caller;
use crate::app::App;
use crate::canary::{
    CanaryAnalysisExecutionStatusResponse, CanaryExecutionStatusResponse, Execution,
    ExecutionStatus, Id, Kind,
};
use crate::error::{Error, Result};
use crate::storage::events::{Change, Waiting};

/// Progress is told by nobody: it is found out by looking. An analysis takes its steps in minutes,
/// and its document grows with each.
const fn look_every(kind: Kind) -> Duration {
    match kind {
        Kind::Canary | Kind::Comparison => Duration::from_millis(500),
        Kind::Analysis => Duration::from_secs(2),
    }
}

/// How long a stream lasts where rules say who may see what: what was shown for it may have ended meanwhile.
/// Browsers begin another by themselves.
const BELIEVED: Duration = Duration::from_mins(5);

/// The data of an event `status`, and of the event `end` after the last of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    status: ExecutionStatus,
    complete: bool,
    /// As in the execution: by stage for a canary, a list for an analysis.
    #[serde(default)]
    #[schema(value_type = Value)]
    stage_status: Value,
}

/// Watch an execution
///
/// An event `status` at once and whenever it changes, then `end`.
#[utoipa::path(get, path = "/canary/{id}/events", tag = "canary",
    params(("id" = String, Path, description = "id of the execution"), AnyStorageAccount),
    responses((status = 200, content_type = "text/event-stream", body = Standing), (status = 404, body = Problem)))]
pub async fn watch_canary(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Query(account): Query<AnyStorageAccount>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    watch::<CanaryExecutionStatusResponse>(app, caller, id, &account).await
}

/// Watch an analysis
///
/// An event `status` at once and whenever it changes, then `end`.
#[utoipa::path(get, path = "/standalone_canary_analysis/{id}/events", tag = "analysis",
    params(("id" = String, Path, description = "id of the analysis"), AnyStorageAccount),
    responses((status = 200, content_type = "text/event-stream", body = Standing), (status = 404, body = Problem)))]
pub async fn watch_analysis(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Query(account): Query<AnyStorageAccount>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    watch::<CanaryAnalysisExecutionStatusResponse>(app, caller, id, &account).await
}

async fn watch<R: Execution>(
    app: App,
    caller: Caller,
    id: Id,
    account: &AnyStorageAccount,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>> + use<R>>> {
    let account = account.of(&app)?.map(str::to_owned);
    // Before it is looked for, so that no end is missed.
    let changes = app.seen_by(&caller).events().subscribe(id.as_str());
    let watched = Watched {
        account,
        app,
        caller,
        id,
        changes,
        told: None,
        phase: Phase::Watching,
    };
    // What is not there is no stream.
    let first = watched.look::<R>().await?;
    let until = over(&watched.caller, BELIEVED);
    let events = stream::unfold((watched, Some(first)), |(mut watched, first)| async move {
        let event = watched.next::<R>(first).await?;
        Some((Ok(event), (watched, None)))
    });
    Ok(Sse::new(events.take_until(until)).keep_alive(KeepAlive::default()))
}

/// When who watches is to show anew who it is.
fn over(caller: &Caller, after: Duration) -> impl Future<Output = ()> + use<> {
    let is_ruled = caller.is_ruled();
    async move {
        if is_ruled {
            tokio::time::sleep(after).await;
        } else {
            std::future::pending::<()>().await;
        }
    }
}

/// One who watches an execution.
struct Watched {
    app: App,
    caller: Caller,
    /// Else whichever has it.
    account: Option<String>,
    id: Id,
    changes: Waiting,
    told: Option<Standing>,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Watching,
    /// The last standing is told.
    Ended,
    /// So is the end.
    Closed,
}

impl Watched {
    /// The next event; `None` when the stream ends.
    async fn next<R: Execution>(&mut self, mut found: Option<Standing>) -> Option<Event> {
        match self.phase {
            Phase::Closed => return None,
            Phase::Ended => {
                self.phase = Phase::Closed;
                return self.told.as_ref().and_then(|told| event("end", told));
            }
            Phase::Watching => {}
        }
        loop {
            let standing = match found.take() {
                Some(standing) => Some(standing),
                None => self.later::<R>().await?,
            };
            if let Some(standing) = standing
                && self.told.as_ref() != Some(&standing)
            {
                if standing.complete {
                    self.phase = Phase::Ended;
                }
                let event = event("status", &standing);
                self.told = Some(standing);
                return event;
            }
        }
    }

    /// How it stands after a while; the outer `None` when the process ends or it is gone.
    async fn later<R: Execution>(&mut self) -> Option<Option<Standing>> {
        let seen = self.app.seen_by(&self.caller);
        let closed = seen.events().closed();
        tokio::select! {
            () = self.changes.until(Change::Ended) => {}
            () = tokio::time::sleep(look_every(R::KIND)) => {}
            () = closed => return None,
        }
        match self.look::<R>().await {
            Ok(standing) => Some(Some(standing)),
            Err(Error::NotFound(_)) => None,
            // A database that is away for a moment has not ended anything.
            Err(error) => {
                tracing::debug!(execution.id = %self.id, %error, "cannot look at what is watched");
                Some(None)
            }
        }
    }

    async fn look<R: Execution>(&self) -> Result<Standing> {
        let seen = self.app.seen_by(&self.caller);
        let (account, stores) = (self.account.as_deref(), self.app.stores());
        let found = look_for::<R>(seen, account, &stores, &self.id).await?;
        serde_json::from_slice(&found.body)
            .map_err(|cause| Error::Internal(format!("an execution cannot be read: {cause}")))
    }
}

fn event(name: &str, standing: &Standing) -> Option<Event> {
    Event::default().event(name).json_data(standing).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::access::Identity;

    #[tokio::test]
    async fn who_watches_is_asked_again_where_rules_are() {
        for (rules, ends) in [(Some(Arc::default()), true), (None, false)] {
            let caller = Caller::new(Identity::default(), rules);
            let until = over(&caller, Duration::from_millis(1));
            let mut events = Box::pin(stream::pending::<()>().take_until(until));
            let ended = tokio::time::timeout(Duration::from_millis(200), events.next());
            assert_eq!(ended.await.ok(), ends.then_some(None), "{ends}");
        }
    }
}
