//! `/judges`: judge what has been fetched.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::canary::CanaryExecutionResponse;
use super::examples;
use super::problem::Problem;
use super::request::{PathId, Query};
use crate::access::Caller;
use crate::app::App;
use crate::canary::{CanaryClassifierThresholdsConfig, CanaryJudgeResult, Id};
use crate::config::AccountType::{ConfigurationStore, ObjectStore};
use crate::error::Result;
use crate::metrics;
use crate::run::{self, Comparison, Question};

/// A judge, and whether people should be offered it.
#[derive(Debug, Serialize, ToSchema)]
pub struct JudgeSummary {
    #[schema(example = "NetflixACAJudge-v1.0")]
    name: &'static str,
    visible: bool,
}

/// List judges
#[utoipa::path(get, path = "/judges", tag = "judges", responses((status = 200, body = Vec<JudgeSummary>)))]
pub async fn list_judges(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<Vec<JudgeSummary>>> {
    app.seen_by(&caller).reads()?;
    let judges = run::judges::all(&app.config);
    let summary = |judge: run::judges::AnyJudge<'_>| JudgeSummary {
        name: judge.name(),
        visible: judge.is_visible(),
    };
    Ok(Json(judges.map(summary).collect()))
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
    responses((status = 200, body = CanaryJudgeResult, example = json!(examples::judge_result())), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn judge(State(app): State<App>, caller: Caller, query: Query) -> Result<Response> {
    let asked = asked(&app, &caller, &query).await?;
    let pairs = app
        .seen_by(&caller)
        .pairs_to_judge(&asked.storage_account, &asked.metric_set_pair_list_id)
        .await?;
    let (mut pairs, _room) = pairs.into_parts();
    let learned = run::learned::of(&app, &caller, &asked.config).await?;
    metrics::tell_looks_back(&mut pairs);
    let question = Question {
        config: Arc::new(asked.config),
        thresholds: asked.thresholds,
        pairs: Arc::new(pairs),
        look: None,
        learned: learned.map(Arc::new),
    };
    Ok(Json(run::judge(&app, question).await?).into_response())
}

/// Judge a stored metric set pair list with two judges
///
/// Both have judged when this answers; `GET /judges/comparison/{executionId}` has their results.
#[utoipa::path(post, path = "/judges/comparison", tag = "judges",
    params(
        ("canaryConfigId" = String, Query),
        ("metricSetPairListId" = String, Query),
        ("passThreshold" = f64, Query),
        ("marginalThreshold" = f64, Query),
        ("overrideCanaryJudge1" = Option<String>, Query, description = "instead of the judge that the config names"),
        ("overrideCanaryJudge2" = Option<String>, Query, description = "instead of the judge that the config names"),
        ("configurationAccountName" = Option<String>, Query),
        ("storageAccountName" = Option<String>, Query),
    ),
    responses((status = 200, body = CanaryExecutionResponse), (status = 400, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem, description = "nothing new is begun or stored just now; `Retry-After` says when to try again")))]
pub async fn initiate_judge_comparison(
    State(app): State<App>,
    caller: Caller,
    query: Query,
) -> Result<Json<CanaryExecutionResponse>> {
    let mut asked = asked(&app, &caller, &query).await?;
    let seen = app.seen_by(&caller);
    let owner = seen.owner_of_pairs(&asked.storage_account, &asked.metric_set_pair_list_id);
    asked.application = owner.await?;
    asked.judges = ["overrideCanaryJudge1", "overrideCanaryJudge2"]
        .map(|name| query.text(name).map(str::to_owned));
    let id = run::compare(&app, &caller, asked).await?;
    Ok(Json(CanaryExecutionResponse::new(&id)))
}

/// Find the results of two judges
///
/// `comparisonResult` with `judge1Result` and `judge2Result`, or `exceptions` by stage.
#[utoipa::path(get, path = "/judges/comparison/{executionId}", tag = "judges",
    params(("executionId" = String, Path)),
    responses((status = 200, body = Object), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn find_judge_comparison(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Response> {
    let document = app.seen_by(&caller).comparison(&id).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], document).into_response())
}

/// What the parameters of both ways to judge ask for.
async fn asked(app: &App, caller: &Caller, query: &Query) -> Result<Comparison> {
    let canary_config_id = Id::parse(query.required("canaryConfigId")?)?;
    let metric_set_pair_list_id = Id::parse(query.required("metricSetPairListId")?)?;
    query.required("passThreshold")?;
    query.required("marginalThreshold")?;
    let thresholds = CanaryClassifierThresholdsConfig {
        pass: query.number("passThreshold")?,
        marginal: query.number("marginalThreshold")?,
    };
    let configs = app.store(query.text("configurationAccountName"), ConfigurationStore)?;
    let objects = app.store(query.text("storageAccountName"), ObjectStore)?;
    let seen = app.seen_by(caller);
    seen.may_judge()?;
    let mut config = seen.config_to_start(configs, &canary_config_id).await?;
    config.prepare();
    Ok(Comparison {
        // Known where something is kept of it.
        application: String::new(),
        canary_config_id,
        config,
        metric_set_pair_list_id,
        thresholds,
        storage_account: objects.to_owned(),
        judges: [None, None],
    })
}
