//! `/retention`: what is due for deletion; and pins, which keep executions from it.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use super::accounts::{AnyStorageAccount, StorageAccount};
use super::problem::Problem;
use super::query::Query;
use super::request::PathId;
use crate::access::Caller;
use crate::app::App;
use crate::canary::{
    CanaryAnalysisExecutionStatusResponse, CanaryExecutionStatusResponse, Execution, Id,
};
use crate::error::{Error, Result};
use crate::storage::{RETENTION_BATCH, RetentionReport};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// 100, if not given; 1,000 at most
    limit: Option<usize>,
    /// from 1
    page: Option<usize>,
}

/// Tell what is due for deletion
///
/// By the rules of the configuration, oldest first; nothing is deleted.
#[utoipa::path(get, path = "/retention", tag = "operations",
    params(Page),
    responses((status = 200, body = RetentionReport), (status = 400, body = Problem)))]
pub async fn show_retention(
    State(app): State<App>,
    caller: Caller,
    Query(Page { limit, page }): Query<Page>,
) -> Result<Json<RetentionReport>> {
    let page = page.unwrap_or(1).max(1);
    let limit = limit.unwrap_or(100).min(RETENTION_BATCH);
    Ok(Json(app.seen_by(&caller).due(limit, page).await?))
}

/// Delete what is due, now
///
/// The oldest 1,000 at most: repeat it while `total` is above `deleted`. Where
/// `retention.dryRun` is set, and with `dryRun=true`, nothing is deleted.
#[utoipa::path(post, path = "/retention", tag = "operations",
    params(("dryRun" = Option<bool>, Query)),
    responses((status = 200, body = RetentionReport), (status = 400, body = Problem), (status = 503, body = Problem, description = "serin is shutting down")))]
pub async fn run_retention(
    State(app): State<App>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<RetentionReport>> {
    let is_dry = is_dry(query.as_deref().unwrap_or_default())?;
    let seen = app.seen_by(&caller);
    seen.retain_now(is_dry).await.map(Json)
}

/// A mistyped `dryRun` must not delete anything, so this query is read strictly.
fn is_dry(query: &str) -> Result<bool> {
    let mut is_dry = false;
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        is_dry = match (name.as_ref(), value.to_ascii_lowercase().as_str()) {
            ("dryRun", "true" | "") => true,
            ("dryRun", "false") => false,
            _ => {
                return Err(Error::Invalid(format!(
                    "'{name}={value}' is not understood here; 'dryRun' can be 'true' or 'false'"
                )));
            }
        };
    }
    Ok(is_dry)
}

/// Pin a canary
///
/// It stays whatever the rules of retention say, until it is unpinned. It may still run.
#[utoipa::path(put, path = "/canary/{id}/pin", tag = "canary",
    params(("id" = String, Path, description = "id of the execution"), StorageAccount),
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn pin_canary(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Query(account): Query<StorageAccount>,
) -> Result<StatusCode> {
    pin::<CanaryExecutionStatusResponse>(&app, &caller, &id, vec![account.of(&app)?.to_owned()])
        .await
}

/// Unpin a canary
///
/// Without effect on one that is not pinned.
#[utoipa::path(delete, path = "/canary/{id}/pin", tag = "canary",
    params(("id" = String, Path, description = "id of the execution"), StorageAccount),
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn unpin_canary(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Query(account): Query<StorageAccount>,
) -> Result<StatusCode> {
    unpin::<CanaryExecutionStatusResponse>(&app, &caller, &id, vec![account.of(&app)?.to_owned()])
        .await
}

/// Pin an analysis
///
/// Its own report stays whatever the rules of retention say; its canaries are pinned one by one.
#[utoipa::path(put, path = "/standalone_canary_analysis/{id}/pin", tag = "analysis",
    params(("id" = String, Path, description = "id of the analysis"), AnyStorageAccount),
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn pin_analysis(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Query(account): Query<AnyStorageAccount>,
) -> Result<StatusCode> {
    pin::<CanaryAnalysisExecutionStatusResponse>(&app, &caller, &id, accounts(&app, &account)?)
        .await
}

/// Unpin an analysis
///
/// Without effect on one that is not pinned.
#[utoipa::path(delete, path = "/standalone_canary_analysis/{id}/pin", tag = "analysis",
    params(("id" = String, Path, description = "id of the analysis"), AnyStorageAccount),
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn unpin_analysis(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Query(account): Query<AnyStorageAccount>,
) -> Result<StatusCode> {
    unpin::<CanaryAnalysisExecutionStatusResponse>(&app, &caller, &id, accounts(&app, &account)?)
        .await
}

async fn pin<R: Execution>(
    app: &App,
    caller: &Caller,
    id: &Id,
    accounts: Vec<String>,
) -> Result<StatusCode> {
    app.seen_by(caller).pin::<R>(&accounts, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn unpin<R: Execution>(
    app: &App,
    caller: &Caller,
    id: &Id,
    accounts: Vec<String>,
) -> Result<StatusCode> {
    app.seen_by(caller).unpin::<R>(&accounts, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// An analysis is found by its id alone.
fn accounts(app: &App, account: &AnyStorageAccount) -> Result<Vec<String>> {
    let named = account.of(app)?;
    Ok(named.map_or_else(|| app.all_stores(), |name| vec![name.to_owned()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dry_run_that_is_mistyped_is_refused() {
        for (query, expected) in [
            ("", false),
            ("dryRun=false", false),
            ("dryRun=True", true),
            ("dryRun", true),
        ] {
            assert_eq!(is_dry(query).ok(), Some(expected), "{query}");
        }
        for query in ["dryrun=true", "dryRun=ture", "dry-run=true"] {
            assert!(is_dry(query).is_err(), "{query}");
        }
    }
}
