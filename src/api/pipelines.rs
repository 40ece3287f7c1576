//! `/pipelines` and `/admin/orca`: the part of Orca's API that canary clients and operators use.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::problem::Problem;
use super::request::{Body, PathId};
use crate::access::Caller;
use crate::app::{Anybody, App, Operator};
use crate::audit::{Deed, What};
use crate::error::Result;
use crate::run;
use crate::storage::Deleted;

/// Whether this process takes up work.
#[derive(Debug, Deserialize, ToSchema)]
pub struct InstanceEnabled {
    #[serde(default)]
    #[schema(value_type = bool)]
    enabled: Value,
}

/// List the ids of executions, newest first
///
/// Those that run, and those that ended lately.
#[utoipa::path(get, path = "/pipelines", tag = "canary", responses((status = 200, body = Vec<String>)))]
pub async fn list_pipelines(State(app): State<App>, caller: Caller) -> Result<Json<Vec<String>>> {
    Ok(Json(app.seen_by(&caller).pipelines().await?))
}

/// Find an execution in Orca's shape
#[utoipa::path(get, path = "/pipelines/{executionId}", tag = "canary",
    params(("executionId" = String, Path)),
    responses((status = 200, body = Object), (status = 404, body = Problem)))]
pub async fn find_pipeline(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Json<Value>> {
    let row = app.seen_by(&caller).pipeline(&id).await?;
    run::pipeline(&row).map(Json)
}

/// Forget an execution that is complete
///
/// Its archive stays, and is written first if it is not there yet.
#[utoipa::path(delete, path = "/pipelines/{executionId}", tag = "canary",
    params(("executionId" = String, Path)),
    responses((status = 200), (status = 401, description = "it is not complete", body = Problem), (status = 404, body = Problem)))]
pub async fn delete_pipeline(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Response> {
    Ok(match app.seen_by(&caller).delete_pipeline(&id).await? {
        Deleted::Gone => StatusCode::OK.into_response(),
        // Orca's status for it.
        Deleted::StillRunning => Problem::new(
            StatusCode::UNAUTHORIZED,
            format!("the execution '{id}' is not complete; cancel it first"),
        )
        .into_response(),
    })
}

/// Cancel an execution
///
/// Its queries stop. Without effect on an execution that is complete.
#[utoipa::path(put, path = "/pipelines/{executionId}/cancel", tag = "canary",
    params(("executionId" = String, Path)),
    responses((status = 202), (status = 404, body = Problem)))]
pub async fn cancel_pipeline(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<StatusCode> {
    super::executions::cancel(&app, &caller, &id).await
}

/// Start a pipeline of Orca
///
/// Never done: serin runs canaries, and no other stages.
#[utoipa::path(post, path = "/pipelines/start", tag = "canary", responses((status = 501, body = Problem)))]
pub async fn start_pipeline(_: Anybody) -> Response {
    Problem::new(
        StatusCode::NOT_IMPLEMENTED,
        "serin runs no pipelines of Orca; start a canary with POST /canary/{canaryConfigId}",
    )
    .into_response()
}

/// Let this process take up work, or not
///
/// What runs goes on; what is accepted meanwhile waits, or runs in another process.
#[utoipa::path(post, path = "/admin/orca/instance/enabled", tag = "operations",
    request_body = InstanceEnabled,
    responses((status = 200), (status = 400, body = Problem), (status = 403, description = "without the role `admin`", body = Problem)))]
pub async fn enable_instance(
    State(app): State<App>,
    Operator(caller): Operator,
    Body(instance): Body<InstanceEnabled>,
) -> Result<Response> {
    let enabled = match &instance.enabled {
        Value::Bool(enabled) => Ok(*enabled),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        Value::Null => Err("The field 'enabled' must be set."),
        _ => Err("The field 'enabled' must be true or false."),
    };
    let enabled = match enabled {
        Ok(enabled) => enabled,
        Err(message) => {
            return Ok(Problem::spring(StatusCode::BAD_REQUEST, message).into_response());
        }
    };
    app.set_claiming(enabled);
    tracing::info!(enabled, "the work of this process was switched");
    let deed = if enabled {
        Deed::WorkResumed
    } else {
        Deed::WorkStopped
    };
    let seen = app.seen_by(&caller);
    seen.did(deed, What::Replica, "", "").await?;
    Ok(StatusCode::OK.into_response())
}
