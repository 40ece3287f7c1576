//! Finding what a page is about.

use crate::app::App;
use crate::canary::{ActionRecord, Execution, Id};
use crate::error::{Error, Result};

/// An execution by its id alone, whichever account has it.
pub async fn execution<R: Execution>(app: &App, id: &str, what: &str) -> Result<R> {
    let none = || Error::NotFound(format!("no {what} with id '{id}'"));
    let id = Id::parse(id).map_err(|_| none())?;
    let found = app.storage.execution_of_any::<R>(&app.stores(), &id).await;
    let found = found.map_err(|error| match error {
        Error::NotFound(_) | Error::Invalid(_) => none(),
        error => error,
    })?;
    serde_json::from_slice(&found.body)
        .map_err(|cause| Error::Internal(format!("the {what} '{id}' cannot be read: {cause}")))
}

/// What an execution called outside of serin.
pub async fn actions(app: &App, id: &str) -> Result<Vec<ActionRecord>> {
    app.storage.actions(&Id::parse(id)?).await
}
