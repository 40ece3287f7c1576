//! Finding what a page is about.

use crate::access::Caller;
use crate::app::App;
use crate::canary::{ActionRecord, CanaryExecutionStatusResponse, Execution, Id, MetricSetPair};
use crate::error::{Error, Result};
use crate::report::view::ByHandView;
use crate::run::kept_pairs;
use crate::storage::Large;

/// An execution by its id alone, whichever account has it.
pub async fn execution<R: Execution>(
    app: &App,
    caller: &Caller,
    id: &str,
    what: &str,
) -> Result<R> {
    let none = || Error::NotFound(format!("no {what} with id '{id}'"));
    let id = Id::parse(id).map_err(|_| none())?;
    let seen = app.seen_by(caller);
    let found = seen.execution_of_any::<R>(&app.stores(), &id).await;
    let found = found.map_err(|error| match error {
        Error::NotFound(_) | Error::Invalid(_) => none(),
        error => error,
    })?;
    serde_json::from_slice(&found.body)
        .map_err(|cause| Error::Internal(format!("the {what} '{id}' cannot be read: {cause}")))
}

/// The series of a run. A store that is away takes them from a page, and not the verdict.
pub async fn pairs(
    app: &App,
    run: &CanaryExecutionStatusResponse,
) -> Option<Large<Vec<MetricSetPair>>> {
    kept_pairs(app, run, None).await.unwrap_or_else(|error| {
        let id = run.id();
        tracing::warn!(execution.id = id, %error, "a run is shown without its series");
        None
    })
}

/// What an execution called outside of serin.
pub async fn actions<R: Execution>(
    app: &App,
    caller: &Caller,
    id: &str,
) -> Result<Vec<ActionRecord>> {
    let seen = app.seen_by(caller);
    seen.actions::<R>(&app.stores(), &Id::parse(id)?).await
}

/// Without what the caller may not do about it.
pub fn allowed(app: &App, caller: &Caller, application: &str, by_hand: ByHandView) -> ByHandView {
    let may = app.seen_by(caller).may_start(Some(application), []).is_ok();
    ByHandView {
        can_be_repeated: by_hand.can_be_repeated && may,
        can_be_accepted: by_hand.can_be_accepted && may,
        ..by_hand
    }
}
