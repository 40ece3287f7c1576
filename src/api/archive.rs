//! `/canaryResultArchive`: reports of executions that have ended.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::accounts::StorageAccount;
use super::examples;
use super::problem::Problem;
use super::query::Query;
use super::request::{Body, PathId};
use crate::access::Caller;
use crate::app::App;
use crate::canary::names::name_fault;
use crate::canary::{CanaryExecutionStatusResponse, Id, Path};
use crate::error::Result;
use crate::storage::ObjectSummary;

/// The id of an archived report.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryArchiveResponse {
    pipeline_id: String,
}

/// List archived results
#[utoipa::path(get, path = "/canaryResultArchive", tag = "documents",
    params(StorageAccount),
    responses((status = 200, body = Vec<ObjectSummary>), (status = 400, body = Problem)))]
pub async fn list_archives(
    State(app): State<App>,
    caller: Caller,
    Query(account): Query<StorageAccount>,
) -> Result<Json<Vec<ObjectSummary>>> {
    let account = account.of(&app)?;
    Ok(Json(app.seen_by(&caller).archives(account).await?))
}

/// Find an archived result
#[utoipa::path(get, path = "/canaryResultArchive/{pipelineId}", tag = "documents",
    params(("pipelineId" = String, Path), StorageAccount),
    responses((status = 200, body = CanaryExecutionStatusResponse, example = json!(examples::execution())), (status = 404, body = Problem)))]
pub async fn find_archive(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Query(account): Query<StorageAccount>,
) -> Result<Response> {
    let account = account.of(&app)?;
    let archive = app.seen_by(&caller).archive(account, &id).await?;
    Ok(Json(&*archive).into_response())
}

/// What comes from outside is known for it.
fn received(result: CanaryExecutionStatusResponse) -> Result<CanaryExecutionStatusResponse> {
    let config = result.config.as_ref();
    let long = config.and_then(|config| config.name_faults().into_iter().next());
    let name = result.application.as_deref();
    let application = name.and_then(|name| name_fault(&Path::of("application"), name));
    match application.or(long) {
        Some(fault) => Err(fault.into()),
        None => Ok(CanaryExecutionStatusResponse {
            received: true,
            // Only who runs it knows.
            caller: None,
            ..result
        }),
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub struct New {
    /// made, if not given
    pipeline_id: Option<String>,
}

/// Archive a result
///
/// Lists and pages say of it that it was received, and not run here.
#[utoipa::path(post, path = "/canaryResultArchive", tag = "documents",
    params(StorageAccount, New),
    request_body(content = CanaryExecutionStatusResponse, example = json!(examples::execution())),
    responses((status = 200, body = CanaryArchiveResponse), (status = 400, body = Problem), (status = 503, body = Problem, description = "a disk is nearly full; `Retry-After` says when to try again")))]
pub async fn create_archive(
    State(app): State<App>,
    caller: Caller,
    Query(account): Query<StorageAccount>,
    Query(new): Query<New>,
    Body(result): Body<CanaryExecutionStatusResponse>,
) -> Result<Json<CanaryArchiveResponse>> {
    let result = received(result)?;
    let account = account.of(&app)?;
    let id = match new.pipeline_id {
        Some(id) => Id::parse(&id)?,
        None => Id::parse(&Uuid::new_v4().to_string())?,
    };
    app.seen_by(&caller)
        .create_archive(account, &id, &result)
        .await?;
    Ok(Json(CanaryArchiveResponse {
        pipeline_id: id.to_string(),
    }))
}

/// Replace an archived result
///
/// One that was received; that of a run only with `storage.replaceArchives`.
#[utoipa::path(put, path = "/canaryResultArchive/{pipelineId}", tag = "documents",
    params(("pipelineId" = String, Path), StorageAccount),
    request_body(content = CanaryExecutionStatusResponse, example = json!(examples::execution())),
    responses((status = 200, body = CanaryArchiveResponse), (status = 400, body = Problem), (status = 409, body = Problem), (status = 503, body = Problem, description = "a disk is nearly full; `Retry-After` says when to try again")))]
pub async fn update_archive(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Query(account): Query<StorageAccount>,
    Body(result): Body<CanaryExecutionStatusResponse>,
) -> Result<Json<CanaryArchiveResponse>> {
    let result = received(result)?;
    let account = account.of(&app)?;
    app.seen_by(&caller)
        .update_archive(account, &id, &result)
        .await?;
    Ok(Json(CanaryArchiveResponse {
        pipeline_id: id.to_string(),
    }))
}

/// Delete an archived result
#[utoipa::path(delete, path = "/canaryResultArchive/{pipelineId}", tag = "documents",
    params(("pipelineId" = String, Path), StorageAccount),
    responses((status = 204), (status = 400, body = Problem)))]
pub async fn delete_archive(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Query(account): Query<StorageAccount>,
) -> Result<StatusCode> {
    let account = account.of(&app)?;
    app.seen_by(&caller).delete_archive(account, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
