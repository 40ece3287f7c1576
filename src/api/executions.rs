//! Canaries and analyses alike: started, found, listed and canceled.

use axum::Json;
use axum::body::Bytes;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::accounts::{ConfigurationAccount, StorageAccount};
use super::idempotency::{Keyed, Notes, Replayed, before, replayed};
use super::query;
use super::wait::{self, Wait};
use crate::access::Caller;
use crate::app::{App, Seen};
use crate::canary::{CanaryConfig, Execution, ExecutionStatus, Id, Outcome};
use crate::config::AccountType::{MetricsStore, ObjectStore};
use crate::error::{Error, Result};
use crate::run::{self, Admission, Startable, asked, judges, start};
use crate::storage::{Found, IdempotencyKey, Wanted};

/// What a kind of execution has of its own.
pub trait Served: Execution {
    type Request: Startable;
    /// To a start, and to the same start sent again.
    type Answer: Serialize;

    fn answer(id: &Id, warning: Option<String>) -> Self::Answer;
}

/// What is said of an execution beside its request.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub struct Starting {
    /// `ad-hoc`, if not given
    application: Option<String>,
    parent_pipeline_execution_id: Option<String>,
    metrics_account_name: Option<String>,
    /// the first object store, if not given
    storage_account_name: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct User {
    /// `anonymous`, if not given
    pub user: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Listing {
    /// `ad-hoc`, if not given
    application: Option<String>,
    /// 20, if not given
    limit: Option<usize>,
    /// from 1
    page: Option<usize>,
    /// names of states, in any case; all, if not given
    #[serde(default, deserialize_with = "query::list")]
    statuses: Vec<String>,
    /// what came of it, in any case, one or many; all, if not given
    #[serde(default, deserialize_with = "query::list")]
    #[param(value_type = Option<Vec<Outcome>>)]
    outcome: Vec<String>,
}

pub type Started<R> = (Replayed, Json<<R as Served>::Answer>);

/// By a stored config.
pub async fn start_stored<R: Served>(
    app: &App,
    caller: &Caller,
    config: &Id,
    (User { user }, starting): (User, Starting),
    configs: &ConfigurationAccount,
    Keyed { body, key, notes }: Keyed<R::Request>,
) -> Result<Started<R>> {
    let mut admission = admission(app, caller, user, starting)?;
    if let Some(id) = before(app, caller, key.as_ref()).await? {
        return Ok(started::<R>(&id, false, &notes));
    }
    let account = configs.of(app)?;
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
    (User { user }, starting): (User, Starting),
    keyed: Keyed<(Option<CanaryConfig>, Option<R::Request>)>,
) -> Result<Started<R>> {
    let Keyed { body, key, notes } = keyed;
    let mut admission = admission(app, caller, user, starting)?;
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
pub fn admission<R: Startable>(
    app: &App,
    caller: &Caller,
    user: Option<String>,
    starting: Starting,
) -> Result<Admission<R>> {
    let mut admission = Admission::asked_by(app, caller, starting.application)?;
    let metrics = starting.metrics_account_name;
    if metrics.is_some() {
        app.account(metrics.as_deref(), MetricsStore)?;
    }
    let storage = app.store(starting.storage_account_name.as_deref(), ObjectStore)?;
    admission.user = user;
    admission.parent_pipeline_execution_id = starting.parent_pipeline_execution_id;
    admission.metrics_account = metrics;
    storage.clone_into(&mut admission.storage_account);
    Ok(admission)
}

fn required<T>(value: Option<T>, name: &str) -> Result<T> {
    value.ok_or_else(|| Error::Invalid(format!("{name} must be provided for ad-hoc requests")))
}

/// As it stands, or once it has ended; in that account, or whichever has it.
pub async fn find<R: Served>(
    app: &App,
    caller: &Caller,
    id: &Id,
    account: Option<&str>,
    wait: Wait,
) -> Result<Response> {
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
pub async fn list<R: Served>(
    app: &App,
    caller: &Caller,
    listing: &Listing,
    account: &StorageAccount,
) -> Result<Response> {
    let account = account.of(app)?;
    let limit = listing.limit.unwrap_or(20);
    let page = listing.page.unwrap_or(1).max(1);
    let wanted = Wanted {
        statuses: &statuses(&listing.statuses)?,
        outcomes: &outcomes(&listing.outcome)?,
    };
    let application = listing.application.as_deref().unwrap_or("ad-hoc");
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
