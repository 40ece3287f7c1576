//! `/health` and `/metrics`: how serin itself is.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::access::{Caller, On, Role};
use crate::app::{Anybody, App, Checked, Whoever};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::run::gauges;

/// Health in detail
///
/// Without the role `read`, no more than whether it is UP.
/// DOWN (503) only when serin itself cannot work: its index or its default store does not answer.
/// Other stores are details, and so are disks that are nearly full (`disk`), lists that lag behind their stores (`reconciliation`) and Prometheus accounts, unless `kayenta.prometheus.health.enabled` makes them count.
#[utoipa::path(get, path = "/health", tag = "operations",
    responses((status = 200, description = "UP"), (status = 503, description = "DOWN")))]
pub async fn health(State(app): State<App>, Whoever(caller): Whoever) -> Response {
    let checked = app.check().await;
    let Checked {
        index,
        stores,
        sources,
        disks,
    } = &*checked;
    let default = app.default_store();
    let default_is_up = stores
        .iter()
        .any(|(name, checked)| default == Some(name.as_str()) && checked.is_ok());
    let kinds = by_kind(&app.config, sources);
    let up = index.is_ok() && default_is_up && kinds.values().all(Kind::is_up);

    let mut components = Map::new();
    components.insert("index".to_owned(), component(index));
    components.insert("storage".to_owned(), accounts(default_is_up, stores));
    for (name, kind) in &kinds {
        let component = accounts(kind.is_up(), kind.checked.iter().copied());
        components.insert((*name).to_owned(), component);
    }
    if !disks.is_empty() {
        let have_room = disks.iter().all(|(_, checked)| checked.is_ok());
        components.insert("disk".to_owned(), accounts(have_room, disks));
    }
    components.insert("work".to_owned(), json!({"status": working(&app)}));
    let reconciled = app.check_reconciled();
    let all = reconciled.iter().all(|(_, checked)| checked.is_ok());
    components.insert("reconciliation".to_owned(), accounts(all, &reconciled));
    let code = if up {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = if app.seen_by(&caller).reads().is_ok() {
        json!({"status": word(up), "components": components})
    } else {
        json!({"status": word(up)})
    };
    (code, Json(body)).into_response()
}

/// Whether the process answers, and its worker still works
#[utoipa::path(get, path = "/health/liveness", tag = "operations",
    responses((status = 200, description = "UP"), (status = 503, description = "DOWN")))]
pub async fn liveness(State(app): State<App>, _: Anybody) -> Response {
    let late = "the loop of the worker has not turned for a minute";
    let checked = if app.heartbeat.is_late() {
        Err(Error::Unavailable(late.to_owned()))
    } else {
        Ok(())
    };
    answered(&checked)
}

/// Whether requests can be served
#[utoipa::path(get, path = "/health/readiness", tag = "operations",
    responses((status = 200, description = "UP"), (status = 503, description = "DOWN")))]
pub async fn readiness(State(app): State<App>, _: Anybody) -> Response {
    let checked = match app.check_open() {
        Ok(()) => app.check_index().await,
        closing => closing,
    };
    answered(&checked)
}

/// Metrics of serin in Prometheus's text format
#[utoipa::path(get, path = "/metrics", tag = "operations", responses((status = 200, content_type = "text/plain")))]
pub async fn metrics(State(app): State<App>, caller: Caller) -> Result<Response> {
    caller.check(Role::Read, On::EVERYTHING)?;
    let text = app.telemetry.render() + &app.measure().await + &gauges::text();
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

/// It was switched off, or the process is about to end; requests are answered all the same.
fn working(app: &App) -> &'static str {
    if app.takes_work() {
        "UP"
    } else {
        "OUT_OF_SERVICE"
    }
}

fn answered(checked: &Result<()>) -> Response {
    let code = match checked {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    (code, Json(component(checked))).into_response()
}

/// The accounts of one kind of source.
#[derive(Default)]
struct Kind<'a> {
    is_vital: bool,
    checked: Vec<&'a (String, Result<()>)>,
}

impl Kind<'_> {
    fn is_up(&self) -> bool {
        !self.is_vital || self.checked.iter().all(|(_, checked)| checked.is_ok())
    }
}

fn by_kind<'a>(
    config: &Config,
    sources: &'a [(String, Result<()>)],
) -> IndexMap<&'static str, Kind<'a>> {
    let mut kinds = IndexMap::<_, Kind<'a>>::new();
    for checked in sources {
        let mut accounts = config.accounts.iter();
        let account = accounts.find(|account| account.name == checked.0);
        let Some(source) = account.and_then(|account| account.source.as_ref()) else {
            continue;
        };
        let kind = kinds.entry(source.kind()).or_default();
        kind.is_vital = config.sources.are_vital(source);
        kind.checked.push(checked);
    }
    kinds
}

fn accounts<'a>(up: bool, checked: impl IntoIterator<Item = &'a (String, Result<()>)>) -> Value {
    let details: Map<String, Value> = checked
        .into_iter()
        .map(|(name, checked)| (name.clone(), component(checked)))
        .collect();
    json!({"status": word(up), "details": details})
}

fn component(checked: &Result<()>) -> Value {
    match checked {
        Ok(()) => json!({"status": "UP"}),
        Err(error) => json!({"status": "DOWN", "error": error.to_string()}),
    }
}

const fn word(up: bool) -> &'static str {
    if up { "UP" } else { "DOWN" }
}
