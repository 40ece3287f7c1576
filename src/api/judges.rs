//! `/judges`: judge what has been fetched.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::accounts::{ConfigurationAccount, StorageAccount};
use super::canary::CanaryExecutionResponse;
use super::examples;
use super::problem::Problem;
use super::query::Query;
use super::request::PathId;
use crate::access::Caller;
use crate::app::App;
use crate::canary::{CanaryClassifierThresholdsConfig, CanaryJudgeResult, Id};
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

/// What both ways to judge ask for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    canary_config_id: String,
    metric_set_pair_list_id: String,
    pass_threshold: f64,
    marginal_threshold: f64,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub struct Judges {
    /// instead of the judge that the config names
    override_canary_judge1: Option<String>,
    /// instead of the judge that the config names
    override_canary_judge2: Option<String>,
}

/// Judge a stored metric set pair list
#[utoipa::path(post, path = "/judges/judge", tag = "judges",
    params(Asked, ConfigurationAccount, StorageAccount),
    responses((status = 200, body = CanaryJudgeResult, example = json!(examples::judge_result())), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn judge(
    State(app): State<App>,
    caller: Caller,
    Query(asked): Query<Asked>,
    Query(configs): Query<ConfigurationAccount>,
    Query(objects): Query<StorageAccount>,
) -> Result<Response> {
    let asked = asked.of(&app, &caller, &configs, &objects).await?;
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
    params(Asked, Judges, ConfigurationAccount, StorageAccount),
    responses((status = 200, body = CanaryExecutionResponse), (status = 400, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem, description = "nothing new is begun or stored just now; `Retry-After` says when to try again")))]
pub async fn initiate_judge_comparison(
    State(app): State<App>,
    caller: Caller,
    Query(asked): Query<Asked>,
    Query(judges): Query<Judges>,
    Query(configs): Query<ConfigurationAccount>,
    Query(objects): Query<StorageAccount>,
) -> Result<Json<CanaryExecutionResponse>> {
    let mut asked = asked.of(&app, &caller, &configs, &objects).await?;
    let seen = app.seen_by(&caller);
    let owner = seen.owner_of_pairs(&asked.storage_account, &asked.metric_set_pair_list_id);
    asked.application = owner.await?;
    asked.judges = [judges.override_canary_judge1, judges.override_canary_judge2];
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

impl Asked {
    async fn of(
        self,
        app: &App,
        caller: &Caller,
        configs: &ConfigurationAccount,
        objects: &StorageAccount,
    ) -> Result<Comparison> {
        let canary_config_id = Id::parse(&self.canary_config_id)?;
        let metric_set_pair_list_id = Id::parse(&self.metric_set_pair_list_id)?;
        let (configs, objects) = (configs.of(app)?, objects.of(app)?);
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
            thresholds: CanaryClassifierThresholdsConfig {
                pass: Some(self.pass_threshold),
                marginal: Some(self.marginal_threshold),
            },
            storage_account: objects.to_owned(),
            judges: [None, None],
        })
    }
}
