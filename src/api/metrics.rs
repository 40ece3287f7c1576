//! `/metricsServices`, `/metadata/metricsService` and `/fetch`: what can be measured.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::metric_sets::MetricSetListResponse;
use super::problem::Problem;
use super::request::Query;
use crate::app::App;
use crate::canary::{
    CanaryConfig, CanaryMetricConfig, CanaryMetricSetQueryConfig, CanaryScope, Id, Instant,
};
use crate::config::AccountType::{MetricsStore, ObjectStore};
use crate::error::{Error, Result};
use crate::metrics::MetricRequest;
use crate::run::asked;

/// A metrics account.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricsServiceDetail {
    name: String,
    #[serde(rename = "type")]
    #[schema(example = "prometheus")]
    kind: &'static str,
    locations: Vec<String>,
    recommended_locations: Vec<String>,
}

/// A metric that can be asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct MetricDescriptor {
    name: String,
}

/// List metrics accounts
#[utoipa::path(get, path = "/metricsServices", tag = "accounts", responses((status = 200, body = Vec<MetricsServiceDetail>)))]
pub async fn list_metrics_services(State(app): State<App>) -> Json<Vec<MetricsServiceDetail>> {
    let accounts = app.accounts();
    let metrics = accounts
        .into_iter()
        .filter(|account| account.supported_types.contains(&MetricsStore));
    Json(
        metrics
            .map(|account| MetricsServiceDetail {
                name: account.name.clone(),
                kind: account.face.word,
                locations: account.locations.clone(),
                recommended_locations: account.recommended_locations.clone(),
            })
            .collect(),
    )
}

/// List the metrics of an account
///
/// Names that hold the text of `filter`, whatever its case. An account that does not answer has none.
#[utoipa::path(get, path = "/metadata/metricsService", tag = "accounts",
    params(("metricsAccountName" = Option<String>, Query), ("filter" = Option<String>, Query)),
    responses((status = 200, body = Vec<MetricDescriptor>), (status = 400, body = Problem)))]
pub async fn list_metrics_service_metadata(
    State(app): State<App>,
    query: Query,
) -> Result<Json<Vec<MetricDescriptor>>> {
    let source = app.metric_source(query.text("metricsAccountName"))?;
    let filter = query.text("filter").unwrap_or("").to_lowercase();
    let names = match source.metric_names().await {
        Ok(names) => names,
        Err(error) => {
            tracing::warn!(%error, "cannot list metric names");
            return Ok(Json(Vec::new()));
        }
    };
    Ok(Json(
        names
            .iter()
            .filter(|name| name.to_lowercase().contains(&filter))
            .map(|name| MetricDescriptor { name: name.clone() })
            .collect(),
    ))
}

/// Try a Prometheus query
///
/// Fetches as an execution would and stores the metric sets; with `dryRun=true` answers the text
/// of the query instead, or why it would be refused.
#[utoipa::path(post, path = "/fetch/prometheus/query", tag = "accounts",
    params(
        ("metricSetName" = String, Query), ("metricName" = String, Query),
        ("step" = i64, Query, description = "seconds"),
        ("start" = Option<String>, Query, description = "an ISO 8601 instant"),
        ("end" = Option<String>, Query, description = "an ISO 8601 instant"),
        ("customFilter" = Option<String>, Query, description = "an inline template, `PromQL:` allowed"),
        ("labelBindings" = Option<Vec<String>>, Query), ("groupByFields" = Option<Vec<String>>, Query),
        ("resourceType" = Option<String>, Query), ("project" = Option<String>, Query),
        ("location" = Option<String>, Query), ("scope" = Option<String>, Query),
        ("dryRun" = Option<bool>, Query),
        ("metricsAccountName" = Option<String>, Query), ("storageAccountName" = Option<String>, Query),
    ),
    responses((status = 200, body = MetricSetListResponse), (status = 400, body = Problem), (status = 503, body = Problem, description = "nothing new is begun or stored just now; `Retry-After` says when to try again")))]
pub async fn query_prometheus(State(app): State<App>, query: Query) -> Result<Response> {
    let metric = metric(&query)?;
    let source = app.metric_source(query.text("metricsAccountName"))?;
    let store = app.store(query.text("storageAccountName"), ObjectStore)?;
    let scope = scope(&app, &query)?;
    let request = MetricRequest {
        config: &CanaryConfig::default(),
        metric: &metric,
        scope: &scope,
    };
    if query.is_true("dryRun") {
        return Ok(Json(json!({"query": source.query(&request)?})).into_response());
    }
    app.check_open()?;
    app.storage.check_room(store).await?;
    let sets = source.fetch(&request, &app.budget.share()).await?;
    let id = Id::parse(&Uuid::new_v4().to_string())?;
    app.storage.put_metric_sets(store, &id, &sets).await?;
    Ok(Json(MetricSetListResponse {
        metric_set_list_id: id.to_string(),
    })
    .into_response())
}

fn metric(query: &Query) -> Result<CanaryMetricConfig> {
    let mut members = Map::new();
    members.insert(
        "metricName".to_owned(),
        query.required("metricName")?.into(),
    );
    for list in ["labelBindings", "groupByFields"] {
        members.insert(list.to_owned(), query.list(list).into());
    }
    if let Some(template) = query.text("customFilter") {
        members.insert("customInlineTemplate".to_owned(), template.into());
    }
    Ok(CanaryMetricConfig {
        name: Some(query.required("metricSetName")?.to_owned()),
        query: Some(CanaryMetricSetQueryConfig::new("prometheus", members)),
        ..CanaryMetricConfig::default()
    })
}

fn scope(app: &App, query: &Query) -> Result<CanaryScope> {
    query.required("step")?;
    let now = app.clock.now_millis();
    let defaults = &app.config.sources.prometheus.test_controller_defaults;
    let or = |name: &str, default: &Option<String>| {
        query
            .text(name)
            .map(str::to_owned)
            .or_else(|| default.clone())
    };
    let params = [
        ("project", or("project", &defaults.project)),
        ("resourceType", or("resourceType", &defaults.resource_type)),
    ];
    Ok(CanaryScope {
        scope: or("scope", &defaults.scope),
        location: or("location", &defaults.location),
        start: instant("start", or("start", &defaults.start), now)?,
        end: instant("end", or("end", &defaults.end), now)?,
        step: query.number("step")?,
        extended_scope_params: Some(
            params
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value?)))
                .collect(),
        ),
    })
}

fn instant(name: &str, text: Option<String>, now: i64) -> Result<Option<Instant>> {
    text.map(|text| {
        // A '+' in a query is a blank; an offset such as '+02:00' may come unescaped.
        asked::instant(&text.replace(' ', "+"), now).ok_or_else(|| {
            Error::Invalid(format!(
                "'{text}' is not an instant; '{name}' wants one like 2024-05-01T10:00:00Z or now-1h"
            ))
        })
    })
    .transpose()
}
