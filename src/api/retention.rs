//! `/retention`: what is due for deletion; and pins, which keep executions from it.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;

use super::problem::Problem;
use super::request::{PathId, Query};
use crate::access::Caller;
use crate::app::App;
use crate::canary::{
    CanaryAnalysisExecutionStatusResponse, CanaryExecutionStatusResponse, Execution, Id,
};
use crate::config::AccountType::ObjectStore;
use crate::error::{Error, Result};
use crate::storage::{RETENTION_BATCH, RetentionReport};

/// Tell what is due for deletion
///
/// By the rules of the configuration, oldest first; nothing is deleted.
#[utoipa::path(get, path = "/retention", tag = "operations",
    params(
        ("limit" = Option<usize>, Query, description = "100, if not given; 1,000 at most"),
        ("page" = Option<usize>, Query, description = "from 1"),
    ),
    responses((status = 200, body = RetentionReport), (status = 400, body = Problem)))]
pub async fn show_retention(
    State(app): State<App>,
    caller: Caller,
    query: Query,
) -> Result<Json<RetentionReport>> {
    let limit = query.number("limit")?.unwrap_or(100);
    let page = query.number("page")?.unwrap_or(1).max(1);
    let limit = limit.min(RETENTION_BATCH);
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
    params(("id" = String, Path, description = "id of the execution"), ("storageAccountName" = Option<String>, Query)),
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn pin_canary(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    query: Query,
) -> Result<StatusCode> {
    pin::<CanaryExecutionStatusResponse>(&app, &caller, &id, vec![account(&app, &query)?]).await
}

/// Unpin a canary
///
/// Without effect on one that is not pinned.
#[utoipa::path(delete, path = "/canary/{id}/pin", tag = "canary",
    params(("id" = String, Path, description = "id of the execution"), ("storageAccountName" = Option<String>, Query)),
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn unpin_canary(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    query: Query,
) -> Result<StatusCode> {
    unpin::<CanaryExecutionStatusResponse>(&app, &caller, &id, vec![account(&app, &query)?]).await
}

/// Pin an analysis
///
/// Its own report stays whatever the rules of retention say; its canaries are pinned one by one.
#[utoipa::path(put, path = "/standalone_canary_analysis/{id}/pin", tag = "analysis",
    params(("id" = String, Path, description = "id of the analysis"), ("storageAccountName" = Option<String>, Query, description = "any, if not given")),
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn pin_analysis(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    query: Query,
) -> Result<StatusCode> {
    pin::<CanaryAnalysisExecutionStatusResponse>(&app, &caller, &id, accounts(&app, &query)?).await
}

/// Unpin an analysis
///
/// Without effect on one that is not pinned.
#[utoipa::path(delete, path = "/standalone_canary_analysis/{id}/pin", tag = "analysis",
    params(("id" = String, Path, description = "id of the analysis"), ("storageAccountName" = Option<String>, Query, description = "any, if not given")),
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn unpin_analysis(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    query: Query,
) -> Result<StatusCode> {
    unpin::<CanaryAnalysisExecutionStatusResponse>(&app, &caller, &id, accounts(&app, &query)?)
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

fn account(app: &App, query: &Query) -> Result<String> {
    let named = query.text("storageAccountName");
    app.store(named, ObjectStore).map(str::to_owned)
}

/// An analysis is found by its id alone.
fn accounts(app: &App, query: &Query) -> Result<Vec<String>> {
    match query.text("storageAccountName") {
        Some(_) => Ok(vec![account(app, query)?]),
        None => Ok(app.all_stores()),
    }
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
