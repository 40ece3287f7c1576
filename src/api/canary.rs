//! `/canary`: start an execution and read its result.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::accounts::{ConfigurationAccount, StorageAccount};
use super::examples;
use super::executions::{self, Listing, Served, Started, Starting, User};
use super::idempotency::Keyed;
use super::problem::Problem;
use super::query::Query;
use super::request::PathId;
use super::wait::{Preferred, Wait, Waiting};
use crate::access::Caller;
use crate::app::App;
use crate::canary::{
    CanaryAdhocExecutionRequest, CanaryExecutionRequest, CanaryExecutionStatusResponse, Id,
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
        Starting, ConfigurationAccount,
        ("Idempotency-Key" = Option<String>, Header, description = "the same request with the same key within 24 hours starts nothing new"),
    ),
    request_body(content = CanaryExecutionRequest, example = json!(examples::execution_request())),
    responses((status = 200, body = CanaryExecutionResponse), (status = 400, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem, description = "the key came with another request"), (status = 503, body = Problem, description = "too many wait, a disk is nearly full, or serin is about to end; `Retry-After` says when to try again")))]
pub async fn initiate_canary(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Query(user): Query<User>,
    Query(starting): Query<Starting>,
    Query(configs): Query<ConfigurationAccount>,
    keyed: Keyed<CanaryExecutionRequest>,
) -> Result<Started<Canary>> {
    executions::start_stored::<Canary>(&app, &caller, &id, (user, starting), &configs, keyed).await
}

/// Start a canary with the config in the request
#[utoipa::path(post, path = "/canary", tag = "canary",
    params(
        Starting,
        ("Idempotency-Key" = Option<String>, Header, description = "the same request with the same key within 24 hours starts nothing new"),
    ),
    request_body(content = CanaryAdhocExecutionRequest, example = json!(examples::adhoc_execution_request())),
    responses((status = 200, body = CanaryExecutionResponse), (status = 400, body = Problem), (status = 422, body = Problem, description = "the key came with another request"), (status = 503, body = Problem, description = "too many wait, a disk is nearly full, or serin is about to end; `Retry-After` says when to try again")))]
pub async fn initiate_adhoc_canary(
    State(app): State<App>,
    caller: Caller,
    Query(user): Query<User>,
    Query(starting): Query<Starting>,
    keyed: Keyed<CanaryAdhocExecutionRequest>,
) -> Result<Started<Canary>> {
    let keyed = keyed.map(|body| (body.canary_config, body.execution_request));
    executions::start_adhoc::<Canary>(&app, &caller, (user, starting), keyed).await
}

/// Find an execution
///
/// As it stands while it runs; its report once it is complete.
#[utoipa::path(get, path = "/canary/{id}", tag = "canary",
    params(("id" = String, Path, description = "id of the execution"), StorageAccount, Waiting),
    responses((status = 200, body = CanaryExecutionStatusResponse, example = json!(examples::execution())), (status = 404, body = Problem)))]
pub async fn find_canary_execution(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Query(account): Query<StorageAccount>,
    Query(waiting): Query<Waiting>,
    preferred: Preferred,
) -> Result<Response> {
    let account = Some(account.of(&app)?);
    let wait = Wait::of(&waiting, &preferred)?;
    executions::find::<Canary>(&app, &caller, &id, account, wait).await
}

/// List executions of an application, newest first
///
/// Those that run, and those that are archived. Without `application`, as in Kayenta, those that were
/// started without one, under `ad-hoc`: of no other application anything is listed then.
#[utoipa::path(get, path = "/canary/executions", tag = "canary",
    params(Listing, StorageAccount),
    responses((status = 200, body = Vec<CanaryExecutionStatusResponse>, example = json!(examples::executions())), (status = 400, body = Problem)))]
pub async fn list_canary_executions(
    State(app): State<App>,
    caller: Caller,
    Query(listing): Query<Listing>,
    Query(account): Query<StorageAccount>,
) -> Result<Response> {
    executions::list::<Canary>(&app, &caller, &listing, &account).await
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
