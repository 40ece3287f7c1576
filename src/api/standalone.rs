//! `/standalone_canary_analysis`: canaries over one window after the other.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::accounts::{AnyStorageAccount, ConfigurationAccount, StorageAccount};
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
    CanaryAnalysisAdhocExecutionRequest, CanaryAnalysisExecutionRequest,
    CanaryAnalysisExecutionStatusResponse, Id,
};
use crate::error::Result;

type Analysis = CanaryAnalysisExecutionStatusResponse;

/// The id under which an analysis can be polled.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryAnalysisExecutionResponse {
    canary_analysis_execution_id: String,
    /// serin's own: what of the request is passed over, or can hardly be meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

impl CanaryAnalysisExecutionResponse {
    pub fn new(id: &Id) -> Self {
        Analysis::answer(id, None)
    }
}

impl Served for Analysis {
    type Request = CanaryAnalysisExecutionRequest;
    type Answer = CanaryAnalysisExecutionResponse;

    fn answer(id: &Id, warning: Option<String>) -> CanaryAnalysisExecutionResponse {
        CanaryAnalysisExecutionResponse {
            canary_analysis_execution_id: id.to_string(),
            warning,
        }
    }
}

/// Start an analysis with a stored config
///
/// It is accepted durably and goes on in the background: poll `GET /standalone_canary_analysis/{id}`.
#[utoipa::path(post, path = "/standalone_canary_analysis/{id}", tag = "analysis",
    params(
        ("id" = String, Path, description = "id of the canary config"),
        User, Starting, ConfigurationAccount,
        ("Idempotency-Key" = Option<String>, Header, description = "the same request with the same key within 24 hours starts nothing new"),
    ),
    request_body(content = CanaryAnalysisExecutionRequest, example = json!(examples::analysis_request())),
    responses((status = 200, body = CanaryAnalysisExecutionResponse), (status = 400, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem, description = "the key came with another request"), (status = 503, body = Problem, description = "too many wait, a disk is nearly full, or serin is about to end; `Retry-After` says when to try again")))]
pub async fn initiate_analysis(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Query(user): Query<User>,
    Query(starting): Query<Starting>,
    Query(configs): Query<ConfigurationAccount>,
    keyed: Keyed<CanaryAnalysisExecutionRequest>,
) -> Result<Started<Analysis>> {
    executions::start_stored::<Analysis>(&app, &caller, &id, (user, starting), &configs, keyed)
        .await
}

/// Start an analysis with the config in the request
#[utoipa::path(post, path = "/standalone_canary_analysis", tag = "analysis",
    params(
        User, Starting,
        ("Idempotency-Key" = Option<String>, Header, description = "the same request with the same key within 24 hours starts nothing new"),
    ),
    request_body(content = CanaryAnalysisAdhocExecutionRequest, example = json!(examples::adhoc_analysis_request())),
    responses((status = 200, body = CanaryAnalysisExecutionResponse), (status = 400, body = Problem), (status = 422, body = Problem, description = "the key came with another request"), (status = 503, body = Problem, description = "too many wait, a disk is nearly full, or serin is about to end; `Retry-After` says when to try again")))]
pub async fn initiate_adhoc_analysis(
    State(app): State<App>,
    caller: Caller,
    Query(user): Query<User>,
    Query(starting): Query<Starting>,
    keyed: Keyed<CanaryAnalysisAdhocExecutionRequest>,
) -> Result<Started<Analysis>> {
    let keyed = keyed.map(|body| (body.canary_config, body.execution_request));
    executions::start_adhoc::<Analysis>(&app, &caller, (user, starting), keyed).await
}

/// Find an analysis
///
/// As it stands while it goes on; its report once it is complete.
#[utoipa::path(get, path = "/standalone_canary_analysis/{id}", tag = "analysis",
    params(("id" = String, Path, description = "id of the analysis"), AnyStorageAccount, Waiting),
    responses((status = 200, body = CanaryAnalysisExecutionStatusResponse), (status = 404, body = Problem)))]
pub async fn find_analysis(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Query(account): Query<AnyStorageAccount>,
    Query(waiting): Query<Waiting>,
    preferred: Preferred,
) -> Result<Response> {
    let account = account.of(&app)?;
    let wait = Wait::of(&waiting, &preferred)?;
    executions::find::<Analysis>(&app, &caller, &id, account, wait).await
}

/// List analyses of an application, newest first
///
/// Without `application`, as in Kayenta, those that were started without one, under `ad-hoc`: of no
/// other application anything is listed then.
#[utoipa::path(get, path = "/standalone_canary_analysis", tag = "analysis",
    params(Listing, StorageAccount),
    responses((status = 200, body = Vec<CanaryAnalysisExecutionStatusResponse>), (status = 400, body = Problem)))]
pub async fn list_analyses(
    State(app): State<App>,
    caller: Caller,
    Query(listing): Query<Listing>,
    Query(account): Query<StorageAccount>,
) -> Result<Response> {
    executions::list::<Analysis>(&app, &caller, &listing, &account).await
}

/// Cancel an analysis
///
/// The canary that it runs is canceled with it; it is archived as canceled.
#[utoipa::path(delete, path = "/standalone_canary_analysis/{id}", tag = "analysis",
    params(("id" = String, Path, description = "id of the analysis")),
    responses((status = 202), (status = 404, body = Problem)))]
pub async fn cancel_analysis(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<StatusCode> {
    executions::cancel(&app, &caller, &id).await
}
