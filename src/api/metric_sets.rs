//! `/metricSetList` and `/metricSetPairList`: series as they were fetched and mixed.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::examples;
use super::problem::Problem;
use super::query::Query;
use super::request::{Body, PathId};
use crate::access::Caller;
use crate::app::App;
use crate::canary::{Id, MetricSet, MetricSetPair};
use crate::config::AccountType::ObjectStore;
use crate::error::Result;
use crate::storage::ObjectSummary;

/// The id of a list of metric sets.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricSetListResponse {
    pub metric_set_list_id: String,
}

/// The id of a list of metric set pairs.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricSetPairListResponse {
    metric_set_pair_list_id: String,
}

/// As Kayenta calls it here.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub struct Store {
    /// the first object store, if not given
    account_name: Option<String>,
}

impl Store {
    fn of<'a>(&self, app: &'a App) -> Result<&'a str> {
        app.store(self.account_name.as_deref(), ObjectStore)
    }
}

/// List metric set lists
#[utoipa::path(get, path = "/metricSetList", tag = "documents",
    params(Store),
    responses((status = 200, body = Vec<ObjectSummary>), (status = 400, body = Problem)))]
pub async fn list_metric_set_lists(
    State(app): State<App>,
    caller: Caller,
    Query(store): Query<Store>,
) -> Result<Json<Vec<ObjectSummary>>> {
    Ok(Json(
        app.seen_by(&caller)
            .metric_set_lists(store.of(&app)?)
            .await?,
    ))
}

/// Find a metric set list
#[utoipa::path(get, path = "/metricSetList/{metricSetListId}", tag = "documents",
    params(("metricSetListId" = String, Path), Store),
    responses((status = 200, body = Vec<MetricSet>, example = json!(examples::metric_sets())), (status = 404, body = Problem)))]
pub async fn find_metric_set_list(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Query(store): Query<Store>,
) -> Result<Response> {
    let sets = app
        .seen_by(&caller)
        .metric_sets(store.of(&app)?, &id)
        .await?;
    Ok(Json(&*sets).into_response())
}

/// Store a metric set list
#[utoipa::path(post, path = "/metricSetList", tag = "documents",
    params(Store),
    request_body(content = Vec<MetricSet>, example = json!(examples::metric_sets())),
    responses((status = 200, body = MetricSetListResponse), (status = 400, body = Problem), (status = 503, body = Problem, description = "a disk is nearly full; `Retry-After` says when to try again")))]
pub async fn store_metric_set_list(
    State(app): State<App>,
    caller: Caller,
    Query(store): Query<Store>,
    Body(sets): Body<Vec<MetricSet>>,
) -> Result<Json<MetricSetListResponse>> {
    let id = Id::parse(&Uuid::new_v4().to_string())?;
    app.seen_by(&caller)
        .put_metric_sets(store.of(&app)?, &id, &sets)
        .await?;
    Ok(Json(MetricSetListResponse {
        metric_set_list_id: id.to_string(),
    }))
}

/// Delete a metric set list
#[utoipa::path(delete, path = "/metricSetList/{metricSetListId}", tag = "documents",
    params(("metricSetListId" = String, Path), Store),
    responses((status = 204), (status = 400, body = Problem)))]
pub async fn delete_metric_set_list(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Query(store): Query<Store>,
) -> Result<StatusCode> {
    app.seen_by(&caller)
        .delete_metric_sets(store.of(&app)?, &id)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List metric set pair lists
#[utoipa::path(get, path = "/metricSetPairList", tag = "documents",
    params(Store),
    responses((status = 200, body = Vec<ObjectSummary>), (status = 400, body = Problem)))]
pub async fn list_metric_set_pair_lists(
    State(app): State<App>,
    caller: Caller,
    Query(store): Query<Store>,
) -> Result<Json<Vec<ObjectSummary>>> {
    Ok(Json(
        app.seen_by(&caller)
            .metric_set_pair_lists(store.of(&app)?)
            .await?,
    ))
}

/// Find a metric set pair list
#[utoipa::path(get, path = "/metricSetPairList/{metricSetPairListId}", tag = "documents",
    params(("metricSetPairListId" = String, Path), Store),
    responses((status = 200, body = Vec<MetricSetPair>, example = json!(examples::metric_set_pairs())), (status = 404, body = Problem)))]
pub async fn find_metric_set_pair_list(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Query(store): Query<Store>,
) -> Result<Response> {
    let store = store.of(&app)?;
    let pairs = app.seen_by(&caller).metric_set_pairs(store, &id).await?;
    Ok(Json(&*pairs).into_response())
}

/// Find one pair of a list
#[utoipa::path(get, path = "/metricSetPairList/{metricSetPairListId}/{metricSetPairId}", tag = "documents",
    params(("metricSetPairListId" = String, Path), ("metricSetPairId" = String, Path), Store),
    responses((status = 200, body = MetricSetPair), (status = 404, description = "no such list (with a body), or no such pair in it (without)")))]
pub async fn find_metric_set_pair(
    State(app): State<App>,
    caller: Caller,
    Path((list, pair)): Path<(String, String)>,
    Query(store): Query<Store>,
) -> Result<Response> {
    let list = Id::parse(&list)?;
    let pairs = app
        .seen_by(&caller)
        .metric_set_pairs(store.of(&app)?, &list)
        .await?;
    Ok(match pairs.iter().find(|candidate| candidate.id == pair) {
        Some(pair) => Json(pair).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    })
}

/// Store a metric set pair list
#[utoipa::path(post, path = "/metricSetPairList", tag = "documents",
    params(Store),
    request_body(content = Vec<MetricSetPair>, example = json!(examples::metric_set_pairs())),
    responses((status = 200, body = MetricSetPairListResponse), (status = 400, body = Problem), (status = 503, body = Problem, description = "a disk is nearly full; `Retry-After` says when to try again")))]
pub async fn store_metric_set_pair_list(
    State(app): State<App>,
    caller: Caller,
    Query(store): Query<Store>,
    Body(pairs): Body<Vec<MetricSetPair>>,
) -> Result<Json<MetricSetPairListResponse>> {
    let store = store.of(&app)?;
    let id = Id::parse(&Uuid::new_v4().to_string())?;
    let seen = app.seen_by(&caller);
    seen.put_metric_set_pairs(store, &id, &pairs).await?;
    Ok(Json(MetricSetPairListResponse {
        metric_set_pair_list_id: id.to_string(),
    }))
}

/// Delete a metric set pair list
#[utoipa::path(delete, path = "/metricSetPairList/{metricSetPairListId}", tag = "documents",
    params(("metricSetPairListId" = String, Path), Store),
    responses((status = 204), (status = 400, body = Problem)))]
pub async fn delete_metric_set_pair_list(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Query(store): Query<Store>,
) -> Result<StatusCode> {
    app.seen_by(&caller)
        .delete_metric_set_pairs(store.of(&app)?, &id)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
