//! Finding what a page is about.

use serde::de::DeserializeOwned;

use crate::app::App;
use crate::canary::{CanaryExecutionStatusResponse, Id, MetricSetPair};
use crate::error::{Error, Result};
use crate::storage::Record;

/// An execution by its id alone, whichever account has it.
pub async fn execution<R: Record + DeserializeOwned>(app: &App, id: &str, what: &str) -> Result<R> {
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

/// The series of a run; `None` when there are none, or none any more.
pub async fn pairs(
    app: &App,
    canary: &CanaryExecutionStatusResponse,
) -> Result<Option<Vec<MetricSetPair>>> {
    let (Some(list), Some(account)) = (
        &canary.metric_set_pair_list_id,
        &canary.storage_account_name,
    ) else {
        return Ok(None);
    };
    let Ok(list) = Id::parse(list) else {
        return Ok(None);
    };
    match app.storage.metric_set_pairs(account, &list).await {
        Ok(pairs) => Ok(Some(pairs)),
        // Deleted, or of an account that this serin does not have.
        Err(Error::NotFound(_) | Error::Invalid(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
