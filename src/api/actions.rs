//! `/canary/{id}/actions`: what an execution called outside of serin.

use axum::Json;
use axum::extract::State;

use super::problem::Problem;
use super::request::PathId;
use crate::access::Caller;
use crate::app::App;
use crate::canary::{
    ActionRecord, CanaryAnalysisExecutionStatusResponse, CanaryExecutionStatusResponse, Execution,
    Id,
};
use crate::error::Result;

/// List the actions of a canary
///
/// Those that were taken and those that wait, in their order, with what was sent and what came of it.
#[utoipa::path(get, path = "/canary/{id}/actions", tag = "canary",
    params(("id" = String, Path, description = "id of the execution")),
    responses((status = 200, body = Vec<ActionRecord>), (status = 404, body = Problem)))]
pub async fn list_canary_actions(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Json<Vec<ActionRecord>>> {
    list::<CanaryExecutionStatusResponse>(&app, &caller, &id).await
}

/// List the actions of an analysis
///
/// Those that were taken and those that wait, in their order, with what was sent and what came of it.
#[utoipa::path(get, path = "/standalone_canary_analysis/{id}/actions", tag = "analysis",
    params(("id" = String, Path, description = "id of the analysis")),
    responses((status = 200, body = Vec<ActionRecord>), (status = 404, body = Problem)))]
pub async fn list_analysis_actions(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Json<Vec<ActionRecord>>> {
    list::<CanaryAnalysisExecutionStatusResponse>(&app, &caller, &id).await
}

async fn list<R: Execution>(
    app: &App,
    caller: &Caller,
    id: &Id,
) -> Result<Json<Vec<ActionRecord>>> {
    // An execution that is not there, or of another kind, is told as everywhere.
    let (seen, stores) = (app.seen_by(caller), app.stores());
    seen.actions::<R>(&stores, id).await.map(Json)
}
