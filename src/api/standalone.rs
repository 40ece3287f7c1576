//! `/standalone_canary_analysis`: canaries over one window after the other.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::canary::{cancel, json_list, outcomes, required, statuses};
use super::examples;
use super::idempotency::{Keyed, Notes, Replayed, before, replayed};
use super::problem::Problem;
use super::request::{PathId, Query};
use super::wait::{self, Preferred, Wait};
use crate::app::App;
use crate::canary::{
    CanaryAnalysisAdhocExecutionRequest, CanaryAnalysisExecutionRequest,
    CanaryAnalysisExecutionStatusResponse, Id, Kind, Outcome,
};
use crate::config::AccountType::{ConfigurationStore, MetricsStore, ObjectStore};
use crate::error::Result;
use crate::run::{AnalysisAdmission, admit_analysis, asked, judges};
use crate::storage::{Found, Wanted};

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
        Self {
            canary_analysis_execution_id: id.to_string(),
            warning: None,
        }
    }
}

/// Start an analysis with a stored config
///
/// It is accepted durably and goes on in the background: poll `GET /standalone_canary_analysis/{id}`.
#[utoipa::path(post, path = "/standalone_canary_analysis/{id}", tag = "analysis",
    params(
        ("id" = String, Path, description = "id of the canary config"),
        ("user" = Option<String>, Query, description = "`anonymous`, if not given"),
        ("application" = Option<String>, Query, description = "`ad-hoc`, if not given"),
        ("parentPipelineExecutionId" = Option<String>, Query),
        ("metricsAccountName" = Option<String>, Query),
        ("configurationAccountName" = Option<String>, Query),
        ("storageAccountName" = Option<String>, Query),
        ("Idempotency-Key" = Option<String>, Header, description = "the same request with the same key within 24 hours starts nothing new"),
    ),
    request_body(content = CanaryAnalysisExecutionRequest, example = json!(examples::analysis_request())),
    responses((status = 200, body = CanaryAnalysisExecutionResponse), (status = 400, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem, description = "the key came with another request"), (status = 503, body = Problem, description = "too many wait, a disk is nearly full, or serin is about to end; `Retry-After` says when to try again")))]
pub async fn initiate_analysis(
    State(app): State<App>,
    PathId(id): PathId,
    query: Query,
    Keyed {
        body: request,
        key,
        notes,
    }: Keyed<CanaryAnalysisExecutionRequest>,
) -> Result<Started> {
    if let Some(id) = before(&app, key.as_ref()).await? {
        return Ok(started(&id, false, &notes));
    }
    let mut admission = admission(&app, &query)?;
    let account = app.store(query.text("configurationAccountName"), ConfigurationStore)?;
    admission.config = app.storage.canary_config(account, &id).await?;
    admission.canary_config_id = Some(id.to_string());
    admission.request = request;
    admission.key = key;
    start(&app, admission, notes).await
}

/// Start an analysis with the config in the request
#[utoipa::path(post, path = "/standalone_canary_analysis", tag = "analysis",
    params(
        ("user" = Option<String>, Query, description = "`anonymous`, if not given"),
        ("application" = Option<String>, Query, description = "`ad-hoc`, if not given"),
        ("parentPipelineExecutionId" = Option<String>, Query),
        ("metricsAccountName" = Option<String>, Query),
        ("storageAccountName" = Option<String>, Query),
        ("Idempotency-Key" = Option<String>, Header, description = "the same request with the same key within 24 hours starts nothing new"),
    ),
    request_body(content = CanaryAnalysisAdhocExecutionRequest, example = json!(examples::adhoc_analysis_request())),
    responses((status = 200, body = CanaryAnalysisExecutionResponse), (status = 400, body = Problem), (status = 422, body = Problem, description = "the key came with another request"), (status = 503, body = Problem, description = "too many wait, a disk is nearly full, or serin is about to end; `Retry-After` says when to try again")))]
pub async fn initiate_adhoc_analysis(
    State(app): State<App>,
    query: Query,
    Keyed {
        body: request,
        key,
        notes,
    }: Keyed<CanaryAnalysisAdhocExecutionRequest>,
) -> Result<Started> {
    if let Some(id) = before(&app, key.as_ref()).await? {
        return Ok(started(&id, false, &notes));
    }
    let mut admission = admission(&app, &query)?;
    let explain = |error| notes.explain(error);
    admission.config = required(request.canary_config, "canaryConfig").map_err(explain)?;
    admission.request = required(request.execution_request, "executionRequest").map_err(explain)?;
    admission.config.drop_nulls();
    judges::check(&app.config, &admission.config)?;
    admission.key = key;
    start(&app, admission, notes).await
}

/// Find an analysis
///
/// As it stands while it goes on; its report once it is complete.
#[utoipa::path(get, path = "/standalone_canary_analysis/{id}", tag = "analysis",
    params(("id" = String, Path, description = "id of the analysis"), ("storageAccountName" = Option<String>, Query, description = "any, if not given"),
        ("wait" = Option<String>, Query, description = "how long to wait for the end, as in `30s`; `Prefer: wait=30` does the same")),
    responses((status = 200, body = CanaryAnalysisExecutionStatusResponse), (status = 404, body = Problem)))]
pub async fn find_analysis(
    State(app): State<App>,
    PathId(id): PathId,
    query: Query,
    preferred: Preferred,
) -> Result<Response> {
    let wait = Wait::of(&query, &preferred)?;
    let account = query.text("storageAccountName");
    let account = account.map(|name| app.store(Some(name), ObjectStore));
    let account = account.transpose()?;
    let look = || look_for(&app, account, &id);
    wait::answer(&app, Kind::Analysis, &id, wait, look).await
}

/// List analyses of an application, newest first
#[utoipa::path(get, path = "/standalone_canary_analysis", tag = "analysis",
    params(
        ("application" = Option<String>, Query, description = "`ad-hoc`, if not given"),
        ("limit" = Option<usize>, Query, description = "20, if not given"),
        ("page" = Option<usize>, Query, description = "from 1"),
        ("statuses" = Option<Vec<String>>, Query, description = "names of states, in any case; all, if not given"),
        ("outcome" = Option<Vec<Outcome>>, Query, description = "what came of it, in any case, one or many; all, if not given"),
        ("storageAccountName" = Option<String>, Query),
    ),
    responses((status = 200, body = Vec<CanaryAnalysisExecutionStatusResponse>), (status = 400, body = Problem)))]
pub async fn list_analyses(State(app): State<App>, query: Query) -> Result<Response> {
    let account = app.store(query.text("storageAccountName"), ObjectStore)?;
    let limit = query.number::<usize>("limit")?.unwrap_or(20);
    let page = query.number::<usize>("page")?.unwrap_or(1).max(1);
    let wanted = Wanted {
        statuses: &statuses(&query.list("statuses"))?,
        outcomes: &outcomes(&query.list("outcome"))?,
    };
    let application = query.text("application").unwrap_or("ad-hoc");
    let documents = app
        .storage
        .executions::<CanaryAnalysisExecutionStatusResponse>(
            account,
            application,
            wanted,
            limit,
            page,
        )
        .await?;
    Ok(json_list(&documents))
}

/// Cancel an analysis
///
/// The canary that it runs is canceled with it; it is archived as canceled.
#[utoipa::path(delete, path = "/standalone_canary_analysis/{id}", tag = "analysis",
    params(("id" = String, Path, description = "id of the analysis")),
    responses((status = 202), (status = 404, body = Problem)))]
pub async fn cancel_analysis(State(app): State<App>, PathId(id): PathId) -> Result<StatusCode> {
    cancel(&app, &id).await
}

/// Answered to a start, and to the same start sent again.
type Started = (Replayed, Json<CanaryAnalysisExecutionResponse>);

fn started(id: &Id, is_new: bool, notes: &Notes) -> Started {
    let answer = CanaryAnalysisExecutionResponse {
        warning: notes.warning(),
        ..CanaryAnalysisExecutionResponse::new(id)
    };
    (replayed(is_new), Json(answer))
}

async fn start(app: &App, mut admission: AnalysisAdmission, mut notes: Notes) -> Result<Started> {
    notes.add(asked::of_config(&admission.config));
    admission.warning = notes.warning();
    let admitted = admit_analysis(app, admission).await;
    let admitted = admitted.map_err(|error| notes.explain(error))?;
    Ok(started(&admitted.id, admitted.is_new, &notes))
}

/// The part of an admission that the query parameters give.
fn admission(app: &App, query: &Query) -> Result<AnalysisAdmission> {
    let metrics = query.text("metricsAccountName");
    if metrics.is_some() {
        app.account(metrics, MetricsStore)?;
    }
    let storage = app.store(query.text("storageAccountName"), ObjectStore)?;
    let text = |name| query.text(name).map(str::to_owned);
    Ok(AnalysisAdmission {
        application: text("application"),
        user: text("user"),
        parent_pipeline_execution_id: text("parentPipelineExecutionId"),
        metrics_account: metrics.map(str::to_owned),
        storage_account: storage.to_owned(),
        ..AnalysisAdmission::default()
    })
}

async fn look_for(app: &App, account: Option<&str>, id: &Id) -> Result<Found> {
    if let Some(account) = account {
        return find(app, account, id).await;
    }
    let storage = &app.storage;
    let stores = app.stores();
    storage
        .execution_of_any::<CanaryAnalysisExecutionStatusResponse>(&stores, id)
        .await
}

async fn find(app: &App, account: &str, id: &Id) -> Result<Found> {
    app.storage
        .execution::<CanaryAnalysisExecutionStatusResponse>(account, id)
        .await
}
