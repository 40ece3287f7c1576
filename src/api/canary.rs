//! `/canary`: start an execution and read its result.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::examples;
use super::idempotency::{Keyed, Notes, Replayed, before, replayed};
use super::problem::Problem;
use super::request::{PathId, Query};
use super::wait::{self, Preferred, Wait};
use crate::app::App;
use crate::canary::{
    CanaryAdhocExecutionRequest, CanaryExecutionRequest, CanaryExecutionStatusResponse,
    ExecutionStatus, Id, Kind, Outcome,
};
use crate::config::AccountType::{ConfigurationStore, MetricsStore, ObjectStore};
use crate::error::{Error, Result};
use crate::run::{self, Admission, admit, asked, judges};
use crate::storage::Wanted;

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
        Self {
            canary_execution_id: id.to_string(),
            warning: None,
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
    PathId(id): PathId,
    query: Query,
    Keyed {
        body: request,
        key,
        notes,
    }: Keyed<CanaryExecutionRequest>,
) -> Result<Started> {
    if let Some(id) = before(&app, key.as_ref()).await? {
        return Ok(started(&id, false, &notes));
    }
    let mut admission = admission(&app, &query)?;
    let account = app.store(query.text("configurationAccountName"), ConfigurationStore)?;
    admission.config = app.storage.canary_config(account, &id).await?;
    admission.configuration_account = Some(account.to_owned());
    admission.canary_config_id = Some(id.to_string());
    admission.request = request;
    admission.key = key;
    start(&app, admission, notes).await
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
    query: Query,
    Keyed {
        body: request,
        key,
        notes,
    }: Keyed<CanaryAdhocExecutionRequest>,
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

/// Find an execution
///
/// As it stands while it runs; its report once it is complete.
#[utoipa::path(get, path = "/canary/{id}", tag = "canary",
    params(("id" = String, Path, description = "id of the execution"), ("storageAccountName" = Option<String>, Query),
        ("wait" = Option<String>, Query, description = "how long to wait for the end, as in `30s`; `Prefer: wait=30` does the same")),
    responses((status = 200, body = CanaryExecutionStatusResponse, example = json!(examples::execution())), (status = 404, body = Problem)))]
pub async fn find_canary_execution(
    State(app): State<App>,
    PathId(id): PathId,
    query: Query,
    preferred: Preferred,
) -> Result<Response> {
    let account = app.store(query.text("storageAccountName"), ObjectStore)?;
    let wait = Wait::of(&query, &preferred)?;
    let find = || {
        let storage = &app.storage;
        storage.execution::<CanaryExecutionStatusResponse>(account, &id)
    };
    wait::answer(&app, Kind::Canary, &id, wait, find).await
}

/// List executions of an application, newest first
///
/// Those that run, and those that are archived.
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
pub async fn list_canary_executions(State(app): State<App>, query: Query) -> Result<Response> {
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
        .executions::<CanaryExecutionStatusResponse>(account, application, wanted, limit, page)
        .await?;
    Ok(json_list(&documents))
}

/// Cancel an execution
///
/// As `PUT /pipelines/{id}/cancel` does: its queries stop, and it is archived as canceled.
#[utoipa::path(delete, path = "/canary/{id}", tag = "canary",
    params(("id" = String, Path, description = "id of the execution")),
    responses((status = 202), (status = 404, body = Problem)))]
pub async fn cancel_canary_execution(
    State(app): State<App>,
    PathId(id): PathId,
) -> Result<StatusCode> {
    cancel(&app, &id).await
}

/// Answered to a start, and to the same start sent again.
type Started = (Replayed, Json<CanaryExecutionResponse>);

fn started(id: &Id, is_new: bool, notes: &Notes) -> Started {
    let answer = CanaryExecutionResponse {
        warning: notes.warning(),
        ..CanaryExecutionResponse::new(id)
    };
    (replayed(is_new), Json(answer))
}

async fn start(app: &App, mut admission: Admission, mut notes: Notes) -> Result<Started> {
    notes.add(asked::of_config(&admission.config));
    admission.warning = notes.warning();
    let admitted = admit(app, admission).await;
    let admitted = admitted.map_err(|error| notes.explain(error))?;
    Ok(started(&admitted.id, admitted.is_new, &notes))
}

/// The part of an admission that the query parameters give.
pub fn admission(app: &App, query: &Query) -> Result<Admission> {
    let metrics = query.text("metricsAccountName");
    if metrics.is_some() {
        app.account(metrics, MetricsStore)?;
    }
    let storage = app.store(query.text("storageAccountName"), ObjectStore)?;
    Ok(Admission {
        application: query.text("application").map(str::to_owned),
        parent_pipeline_execution_id: query.text("parentPipelineExecutionId").map(str::to_owned),
        metrics_account: metrics.map(str::to_owned),
        storage_account: storage.to_owned(),
        ..Admission::default()
    })
}

pub fn required<T>(value: Option<T>, name: &str) -> Result<T> {
    value.ok_or_else(|| Error::Invalid(format!("{name} must be provided for ad-hoc requests")))
}

/// Ends an execution of any kind.
pub async fn cancel(app: &App, id: &Id) -> Result<StatusCode> {
    run::cancel(app, id).await?;
    Ok(StatusCode::ACCEPTED)
}

/// A list of documents that are JSON already.
pub fn json_list(documents: &[Bytes]) -> Response {
    let mut body = Vec::with_capacity(documents.iter().map(|text| text.len() + 1).sum());
    body.push(b'[');
    body.extend(documents.join(&b","[..]));
    body.push(b']');
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// # Errors
/// `Invalid` for a word that is none.
pub fn outcomes(names: &[String]) -> Result<Vec<Outcome>> {
    let outcome = |name: &String| {
        Outcome::parse(name).ok_or_else(|| {
            let all = Outcome::ALL.map(Outcome::as_str).join(", ");
            Error::Invalid(format!("'{name}' is no outcome: there are {all}"))
        })
    };
    names.iter().map(outcome).collect()
}

pub fn statuses(names: &[String]) -> Result<Vec<ExecutionStatus>> {
    names
        .iter()
        .map(|name| {
            ExecutionStatus::parse(name).ok_or_else(|| {
                // Kayenta's text, to the letter.
                Error::Invalid(format!(
                    "No enum constant com.netflix.spinnaker.orca.api.pipeline.models.ExecutionStatus.{}",
                    name.to_uppercase()
                ))
            })
        })
        .collect()
}
