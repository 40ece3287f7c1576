//! `/health` and `/metrics`: how serin itself is.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::error::Result;

/// Health in detail
///
/// DOWN (503) only when serin itself cannot work: its index or its default store does not answer.
/// Prometheus accounts are details, unless `kayenta.prometheus.health.enabled` makes them count.
#[utoipa::path(get, path = "/health", tag = "operations",
    responses((status = 200, description = "UP"), (status = 503, description = "DOWN")))]
pub async fn health(State(app): State<App>) -> Response {
    let mut components = Map::new();
    let mut up = true;
    for (name, checked) in [
        ("index", app.storage.check_index().await),
        ("storage", app.storage.check_default_store().await),
    ] {
        up &= checked.is_ok();
        components.insert(name.to_owned(), component(checked));
    }
    if !app.metric_sources.is_empty() {
        let accounts = app
            .metric_sources
            .iter()
            .map(|(name, source)| async move { (name.clone(), source.health().await) });
        let mut details = Map::new();
        let mut all_up = true;
        for (name, checked) in futures::future::join_all(accounts).await {
            all_up &= checked.is_ok();
            details.insert(name, component(checked));
        }
        let counts = app.config.prometheus.health_enabled;
        up &= all_up || !counts;
        let status = if all_up { "UP" } else { "DOWN" };
        components.insert(
            "prometheus".to_owned(),
            json!({"status": if counts { status } else { "UP" }, "details": details}),
        );
    }
    let (code, status) = if up {
        (StatusCode::OK, "UP")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "DOWN")
    };
    (
        code,
        Json(json!({"status": status, "components": components})),
    )
        .into_response()
}

/// Whether the process answers
#[utoipa::path(get, path = "/health/liveness", tag = "operations", responses((status = 200)))]
pub async fn liveness() -> Json<Value> {
    Json(json!({"status": "UP"}))
}

/// Whether requests can be served
#[utoipa::path(get, path = "/health/readiness", tag = "operations",
    responses((status = 200, description = "UP"), (status = 503, description = "DOWN")))]
pub async fn readiness(State(app): State<App>) -> Response {
    let checked = app.storage.check_index().await;
    let code = match checked {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    (code, Json(component(checked))).into_response()
}

/// Metrics of serin in Prometheus's text format
#[utoipa::path(get, path = "/metrics", tag = "operations", responses((status = 200, content_type = "text/plain")))]
pub async fn metrics(State(app): State<App>) -> Response {
    let text = app.telemetry.render();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

fn component(checked: Result<()>) -> Value {
    match checked {
        Ok(()) => json!({"status": "UP"}),
        Err(error) => json!({"status": "DOWN", "error": error.to_string()}),
    }
}
