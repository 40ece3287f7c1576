//! Canaries and analyses alike: started, found, listed and canceled.

use axum::Json;
use axum::body::Bytes;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::idempotency::{Keyed, Notes, Replayed, before, replayed};
use super::request::Query;
use super::wait::{self, Preferred, Wait};
use crate::access::Caller;
use crate::app::{App, Seen};
use crate::canary::{CanaryConfig, Execution, ExecutionStatus, Id, Outcome};
use crate::config::AccountType::{ConfigurationStore, MetricsStore, ObjectStore};
use crate::error::{Error, Result};
use crate::run::{self, Admission, Startable, asked, judges, start};
use crate::storage::{Found, IdempotencyKey, Wanted};

/// What a kind of execution has of its own.
pub trait Served: Execution {
    type Request: Startable;
    /// To a start, and to the same start sent again.
    type Answer: Serialize;

    fn answer(id: &Id, warning: Option<String>) -> Self::Answer;

    /// Whether it is found by its id alone, whichever account has it.
    const IS_ANYWHERE: bool;
}

pub type Started<R> = (Replayed, Json<<R as Served>::Answer>);

/// By a stored config.
pub async fn start_stored<R: Served>(
    app: &App,
    caller: &Caller,
    config: &Id,
    query: &Query,
    Keyed { body, key, notes }: Keyed<R::Request>,
) -> Result<Started<R>> {
    let mut admission = admission(app, caller, query)?;
    if let Some(id) = before(app, caller, key.as_ref()).await? {
        return Ok(started::<R>(&id, false, &notes));
    }
    let account = app.store(query.text("configurationAccountName"), ConfigurationStore)?;
    let seen = app.seen_by(caller);
    admission.config = seen.config_to_start(account, config).await?;
    admission.configuration_account = Some(account.to_owned());
    admission.canary_config_id = Some(config.to_string());
    admission.request = body;
    begin::<R>(app, admission, key, notes).await
}

/// By the config in the request.
pub async fn start_adhoc<R: Served>(
    app: &App,
    caller: &Caller,
    query: &Query,
    keyed: Keyed<(Option<CanaryConfig>, Option<R::Request>)>,
) -> Result<Started<R>> {
    let Keyed { body, key, notes } = keyed;
    let mut admission = admission(app, caller, query)?;
    if let Some(id) = before(app, caller, key.as_ref()).await? {
        return Ok(started::<R>(&id, false, &notes));
    }
    let explain = |error| notes.explain(error);
    let (config, request) = body;
    admission.config = required(config, "canaryConfig").map_err(explain)?;
    admission.request = required(request, "executionRequest").map_err(explain)?;
    admission.config.drop_nulls();
    judges::check(&app.config, &admission.config)?;
    begin::<R>(app, admission, key, notes).await
}

async fn begin<R: Served>(
    app: &App,
    mut admission: Admission<R::Request>,
    key: Option<IdempotencyKey>,
    mut notes: Notes,
) -> Result<Started<R>> {
    notes.add(asked::of_config(&admission.config));
    admission.warning = notes.warning();
    admission.key = key;
    let admitted = start(app, admission).await;
    let admitted = admitted.map_err(|error| notes.explain(error))?;
    Ok(started::<R>(&admitted.id, admitted.is_new, &notes))
}

fn started<R: Served>(id: &Id, is_new: bool, notes: &Notes) -> Started<R> {
    (replayed(is_new), Json(R::answer(id, notes.warning())))
}

/// The part of an admission that the query parameters give.
pub fn admission<R: Startable>(app: &App, caller: &Caller, query: &Query) -> Result<Admission<R>> {
    let text = |name| query.text(name).map(str::to_owned);
    let mut admission = Admission::asked_by(app, caller, text("application"))?;
    let metrics = query.text("metricsAccountName");
    if metrics.is_some() {
        app.account(metrics, MetricsStore)?;
    }
    let storage = app.store(query.text("storageAccountName"), ObjectStore)?;
    admission.user = text("user");
    admission.parent_pipeline_execution_id = text("parentPipelineExecutionId");
    admission.metrics_account = metrics.map(str::to_owned);
    storage.clone_into(&mut admission.storage_account);
    Ok(admission)
}

fn required<T>(value: Option<T>, name: &str) -> Result<T> {
    value.ok_or_else(|| Error::Invalid(format!("{name} must be provided for ad-hoc requests")))
}

/// As it stands, or once it has ended.
pub async fn find<R: Served>(
    app: &App,
    caller: &Caller,
    id: &Id,
    query: &Query,
    preferred: &Preferred,
) -> Result<Response> {
    let account = query.text("storageAccountName");
    let account = if account.is_none() && R::IS_ANYWHERE {
        None
    } else {
        Some(app.store(account, ObjectStore)?)
    };
    let wait = Wait::of(query, preferred)?;
    let seen = app.seen_by(caller);
    let stores = app.stores();
    let look = || look_for::<R>(seen, account, &stores, id);
    // Nobody waits for the end of what may not be seen: that would tell that it runs.
    if caller.is_ruled() && wait.is_any() {
        look().await?;
    }
    wait::answer(app, seen, R::KIND, id, wait, look).await
}

/// In that account, or whichever has it.
pub async fn look_for<R: Execution>(
    seen: Seen<'_>,
    account: Option<&str>,
    stores: &[String],
    id: &Id,
) -> Result<Found> {
    match account {
        Some(account) => seen.execution::<R>(account, id).await,
        None => seen.execution_of_any::<R>(stores, id).await,
    }
}

/// Those of an application, newest first.
pub async fn list<R: Served>(app: &App, caller: &Caller, query: &Query) -> Result<Response> {
    let account = app.store(query.text("storageAccountName"), ObjectStore)?;
    let limit = query.number::<usize>("limit")?.unwrap_or(20);
    let page = query.number::<usize>("page")?.unwrap_or(1).max(1);
    let wanted = Wanted {
        statuses: &statuses(&query.list("statuses"))?,
        outcomes: &outcomes(&query.list("outcome"))?,
    };
    let application = query.text("application").unwrap_or("ad-hoc");
    let documents = app
        .seen_by(caller)
        .executions::<R>(account, application, wanted, limit, page)
        .await?;
    Ok(json_list(&documents))
}

/// Ends an execution of any kind.
pub async fn cancel(app: &App, caller: &Caller, id: &Id) -> Result<StatusCode> {
    app.seen_by(caller).may_cancel(id).await?;
    run::cancel(app, &caller.into(), id).await?;
    Ok(StatusCode::ACCEPTED)
}

/// A list of documents that are JSON already.
fn json_list(documents: &[Bytes]) -> Response {
    let mut body = Vec::with_capacity(documents.iter().map(|text| text.len() + 1).sum());
    body.push(b'[');
    body.extend(documents.join(&b","[..]));
    body.push(b']');
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn outcomes(names: &[String]) -> Result<Vec<Outcome>> {
    let outcome = |name: &String| {
        Outcome::parse(name).ok_or_else(|| {
            let all = Outcome::ALL.map(Outcome::as_str).join(", ");
            Error::Invalid(format!("'{name}' is no outcome: there are {all}"))
        })
    };
    names.iter().map(outcome).collect()
}

fn statuses(names: &[String]) -> Result<Vec<ExecutionStatus>> {
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
