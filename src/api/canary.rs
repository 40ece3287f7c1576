//! `/canary`: start an execution and read its result.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::examples;
use super::executions::{self, Served, Started};
use super::idempotency::Keyed;
use super::problem::Problem;
use super::request::{PathId, Query};
use super::wait::Preferred;
use crate::access::Caller;
use crate::app::App;
use crate::canary::{
    CanaryAdhocExecutionRequest, CanaryExecutionRequest, CanaryExecutionStatusResponse, Id, Outcome,
};
use crate::error::Result;

type Canary = CanaryExecutionStatusResponse;

/// The id under which an execution can be polled.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryExecutionResponse {
    canary_execution_id: String,
    /// serin's own: what of the request is passed over, or can hardly be meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

impl CanaryExecutionResponse {
    pub fn new(id: &Id) -> Self {
        Canary::answer(id, None)
    }
}

impl Served for Canary {
    type Request = CanaryExecutionRequest;
    type Answer = CanaryExecutionResponse;

    const IS_ANYWHERE: bool = false;

    fn answer(id: &Id, warning: Option<String>) -> CanaryExecutionResponse {
        CanaryExecutionResponse {
            canary_execution_id: id.to_string(),
            warning,
        }
    }
}

/// Start a canary with a stored config
///
/// The execution is accepted durably and runs in the background: poll `GET /canary/{id}`.
#[utoipa::path(post, path = "/canary/{id}", tag = "canary",
    params(
        ("id" = String, Path, description = "id of the canary config"),
        ("application" = Option<String>, Query, description = "`ad-hoc`, if not given"),
        ("parentPipelineExecutionId" = Option<String>, Query),
        ("metricsAccountName" = Option<String>, Query),
        ("configurationAccountName" = Option<String>, Query),
        ("storageAccountName" = Option<String>, Query),
        ("Idempotency-Key" = Option<String>, Header, description = "the same request with the same key within 24 hours starts nothing new"),
    ),
    request_body(content = CanaryExecutionRequest, example = json!(examples::execution_request())),
    responses((status = 200, body = CanaryExecutionResponse), (status = 400, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem, description = "the key came with another request"), (status = 503, body = Problem, description = "too many wait, a disk is nearly full, or serin is about to end; `Retry-After` says when to try again")))]
pub async fn initiate_canary(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    query: Query,
    keyed: Keyed<CanaryExecutionRequest>,
) -> Result<Started<Canary>> {
    executions::start_stored::<Canary>(&app, &caller, &id, &query, keyed).await
}

/// Start a canary with the config in the request
#[utoipa::path(post, path = "/canary", tag = "canary",
    params(
        ("application" = Option<String>, Query, description = "`ad-hoc`, if not given"),
        ("parentPipelineExecutionId" = Option<String>, Query),
        ("metricsAccountName" = Option<String>, Query),
        ("storageAccountName" = Option<String>, Query),
        ("Idempotency-Key" = Option<String>, Header, description = "the same request with the same key within 24 hours starts nothing new"),
    ),
    request_body(content = CanaryAdhocExecutionRequest, example = json!(examples::adhoc_execution_request())),
    responses((status = 200, body = CanaryExecutionResponse), (status = 400, body = Problem), (status = 422, body = Problem, description = "the key came with another request"), (status = 503, body = Problem, description = "too many wait, a disk is nearly full, or serin is about to end; `Retry-After` says when to try again")))]
pub async fn initiate_adhoc_canary(
    State(app): State<App>,
    caller: Caller,
    query: Query,
    keyed: Keyed<CanaryAdhocExecutionRequest>,
) -> Result<Started<Canary>> {
    let keyed = keyed.map(|body| (body.canary_config, body.execution_request));
    executions::start_adhoc::<Canary>(&app, &caller, &query, keyed).await
}

/// Find an execution
///
/// As it stands while it runs; its report once it is complete.
#[utoipa::path(get, path = "/canary/{id}", tag = "canary",
    params(("id" = String, Path, description = "id of the execution"), ("storageAccountName" = Option<String>, Query),
        ("wait" = Option<String>, Query, description = "how long to wait for the end, as in `30s`; `Prefer: wait=30` does the same")),
    responses((status = 200, body = CanaryExecutionStatusResponse, example = json!(examples::execution())), (status = 404, body = Problem)))]
pub async fn find_canary_execution(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    query: Query,
    preferred: Preferred,
) -> Result<Response> {
    executions::find::<Canary>(&app, &caller, &id, &query, &preferred).await
}

/// List executions of an application, newest first
///
/// Those that run, and those that are archived. Without `application`, as in Kayenta, those that were
/// started without one, under `ad-hoc`: of no other application anything is listed then.
#[utoipa::path(get, path = "/canary/executions", tag = "canary",
    params(
        ("application" = Option<String>, Query, description = "`ad-hoc`, if not given"),
        ("limit" = Option<usize>, Query, description = "20, if not given"),
        ("page" = Option<usize>, Query, description = "from 1"),
        ("statuses" = Option<Vec<String>>, Query, description = "names of states, in any case; all, if not given"),
        ("outcome" = Option<Vec<Outcome>>, Query, description = "what came of it, in any case, one or many; all, if not given"),
        ("storageAccountName" = Option<String>, Query),
    ),
    responses((status = 200, body = Vec<CanaryExecutionStatusResponse>, example = json!(examples::executions())), (status = 400, body = Problem)))]
pub async fn list_canary_executions(
    State(app): State<App>,
    caller: Caller,
    query: Query,
) -> Result<Response> {
    executions::list::<Canary>(&app, &caller, &query).await
}

/// Cancel an execution
///
/// As `PUT /pipelines/{id}/cancel` does: its queries stop, and it is archived as canceled.
#[utoipa::path(delete, path = "/canary/{id}", tag = "canary",
    params(("id" = String, Path, description = "id of the execution")),
    responses((status = 202), (status = 404, body = Problem)))]
pub async fn cancel_canary_execution(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<StatusCode> {
    executions::cancel(&app, &caller, &id).await
}
