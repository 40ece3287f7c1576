//! `/pipelines`: the part of Orca's API that canary clients use.

use axum::extract::State;
use axum::http::StatusCode;

use super::problem::Problem;
use super::request::PathId;
use crate::app::App;
use crate::error::Result;

/// Cancel an execution
///
/// Its queries stop. Without effect on an execution that is complete.
#[utoipa::path(put, path = "/pipelines/{executionId}/cancel", tag = "canary",
    params(("executionId" = String, Path)),
    responses((status = 202), (status = 404, body = Problem)))]
pub async fn cancel_pipeline(State(app): State<App>, PathId(id): PathId) -> Result<StatusCode> {
    super::canary::cancel(&app, &id).await
}
