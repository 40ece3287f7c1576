//! Finding what a page is about.

use crate::access::Caller;
use crate::app::App;
use crate::canary::{ActionRecord, Execution, Id};
use crate::error::{Error, Result};
use crate::report::view::ByHandView;

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
