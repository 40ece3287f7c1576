//! `/judges`: judge what has been fetched.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Problem;
use super::request::Query;
use crate::app::App;
use crate::canary::{CanaryClassifierThresholdsConfig, CanaryJudgeResult, Id};
use crate::config::AccountType::{ConfigurationStore, ObjectStore};
use crate::error::Result;
use crate::{judge as judges, run};

/// A judge, and whether people should be offered it.
#[derive(Debug, Serialize, ToSchema)]
pub struct JudgeSummary {
    #[schema(example = "NetflixACAJudge-v1.0")]
    name: &'static str,
    visible: bool,
}

/// List judges
#[utoipa::path(get, path = "/judges", tag = "judges", responses((status = 200, body = Vec<JudgeSummary>)))]
pub async fn list_judges() -> Json<Vec<JudgeSummary>> {
    let summary = |judge: &&dyn judges::Judge| JudgeSummary {
        name: judge.name(),
        visible: judge.is_visible(),
    };
    Json(judges::all().iter().map(summary).collect())
}

/// Judge a stored metric set pair list
#[utoipa::path(post, path = "/judges/judge", tag = "judges",
    params(
        ("canaryConfigId" = String, Query),
        ("metricSetPairListId" = String, Query),
        ("passThreshold" = f64, Query),
        ("marginalThreshold" = f64, Query),
        ("configurationAccountName" = Option<String>, Query),
        ("storageAccountName" = Option<String>, Query),
    ),
    responses((status = 200, body = CanaryJudgeResult), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn judge(State(app): State<App>, query: Query) -> Result<Json<CanaryJudgeResult>> {
    let config_id = Id::parse(query.required("canaryConfigId")?)?;
    let list_id = Id::parse(query.required("metricSetPairListId")?)?;
    query.required("passThreshold")?;
    query.required("marginalThreshold")?;
    let thresholds = CanaryClassifierThresholdsConfig {
        pass: query.number("passThreshold")?,
        marginal: query.number("marginalThreshold")?,
    };
    let configs = app.store(query.text("configurationAccountName"), ConfigurationStore)?;
    let objects = app.store(query.text("storageAccountName"), ObjectStore)?;
    let mut config = app.storage.canary_config(configs, &config_id).await?;
    config.prepare();
    let pairs = app.storage.metric_set_pairs(objects, &list_id).await?;
    Ok(Json(
        run::judge(Arc::new(config), Some(thresholds), Arc::new(pairs)).await?,
    ))
}
