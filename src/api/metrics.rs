//! `/metricsServices` and `/metadata/metricsService`: what can be measured.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::accounts::MetricsAccount;
use super::problem::Problem;
use super::query::Query;
use crate::access::Caller;
use crate::app::App;
use crate::config::AccountType::MetricsStore;
use crate::error::Result;
use crate::metrics::Descriptor;

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

/// List metrics accounts
#[utoipa::path(get, path = "/metricsServices", tag = "accounts", responses((status = 200, body = Vec<MetricsServiceDetail>)))]
pub async fn list_metrics_services(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<Vec<MetricsServiceDetail>>> {
    app.seen_by(&caller).reads()?;
    let accounts = app.accounts();
    let metrics = accounts
        .into_iter()
        .filter(|account| account.supported_types.contains(&MetricsStore));
    Ok(Json(
        metrics
            .map(|account| MetricsServiceDetail {
                name: account.name.clone(),
                kind: account.face.word,
                locations: account.locations.clone(),
                recommended_locations: account.recommended_locations.clone(),
            })
            .collect(),
    ))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    filter: Option<String>,
}

/// List the metrics of an account
///
/// Names that hold the text of `filter`, whatever its case. An account that does not answer has none.
#[utoipa::path(get, path = "/metadata/metricsService", tag = "accounts",
    params(MetricsAccount, Filter),
    responses((status = 200, body = Vec<Descriptor>), (status = 400, body = Problem)))]
pub async fn list_metrics_service_metadata(
    State(app): State<App>,
    caller: Caller,
    Query(asked): Query<MetricsAccount>,
    Query(filter): Query<Filter>,
) -> Result<Json<Vec<Descriptor>>> {
    let seen = app.seen_by(&caller);
    seen.may_judge()?;
    let account = app.account(asked.metrics_account_name.as_deref(), MetricsStore)?;
    seen.may_ask(&account.name)?;
    let source = app.metric_source(Some(&account.name))?;
    let filter = filter.filter.unwrap_or_default();
    let names = source.metric_names(&filter).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot list metric names");
        Vec::new()
    });
    Ok(Json(names))
}
