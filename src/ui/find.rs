//! Finding what a page is about.

use crate::app::App;
use crate::canary::{ActionRecord, CanaryExecutionStatusResponse, Execution, Id, MetricSetPair};
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

/// The series of a run; `None` when there are none, or none any more.
pub async fn pairs(
    app: &App,
    canary: &CanaryExecutionStatusResponse,
) -> Result<Option<Vec<MetricSetPair>>> {
    let list = canary.metric_set_pair_list_id.as_deref();
    let Some(list) = list.and_then(|list| Id::parse(list).ok()) else {
        return Ok(None);
    };
    // The account may have had another name where the run was judged.
    let own = canary.storage_account_name.clone();
    let others = app
        .stores()
        .into_iter()
        .filter(|name| own.as_ref() != Some(name));
    for account in own.iter().cloned().chain(others) {
        match app.storage.metric_set_pairs(&account, &list).await {
            Ok(pairs) => return Ok(Some(pairs)),
            Err(Error::NotFound(_) | Error::Invalid(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}
