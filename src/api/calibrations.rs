//! `/calibrations` and `/learnedMargins`: how often a config would stop a release in which nothing changed, and
//! the margins that were learned from it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::accounts::{ConfigurationAccount, MetricsAccount};
use super::examples;
use super::problem::Problem;
use super::query::Query;
use super::request::{Body, PathId};
use crate::access::Caller;
use crate::app::App;
use crate::canary::{Calibration, CalibrationRequest, CalibrationSummary, Id, Learned};
use crate::error::{Error, Result};
use crate::run::{calibration, learned};

/// The id under which a calibration can be polled.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CalibrationResponse {
    calibration_id: String,
}

/// What is to be kept: of a calibration that was made here, or what one elsewhere taught.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LearnedRequest {
    calibration_id: Option<String>,
    /// Of a calibration's document, its member of that name.
    learned: Option<Learned>,
}

/// Start a calibration
///
/// Both judges judge past windows in which nothing changed, as if each had been a canary. It is made in the
/// background: poll `GET /calibrations/{id}`.
#[utoipa::path(post, path = "/calibrations", tag = "calibration",
    params(MetricsAccount, ConfigurationAccount),
    request_body(content = CalibrationRequest, example = json!(examples::calibration_request())),
    responses((status = 202, body = CalibrationResponse), (status = 400, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem, description = "too many wait, a disk is nearly full, or serin is about to end")))]
pub async fn start_calibration(
    State(app): State<App>,
    caller: Caller,
    Query(metrics): Query<MetricsAccount>,
    Query(configs): Query<ConfigurationAccount>,
    Body(request): Body<CalibrationRequest>,
) -> Result<(StatusCode, Json<CalibrationResponse>)> {
    let metrics = metrics.metrics_account_name.as_deref();
    let configs = configs.configuration_account_name.as_deref();
    let id = calibration::admit_calibration(&app, &caller, request, metrics, configs).await?;
    let calibration_id = id.to_string();
    Ok((
        StatusCode::ACCEPTED,
        Json(CalibrationResponse { calibration_id }),
    ))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Limit {
    /// 20, if not given; 200 at most
    limit: Option<usize>,
}

/// List calibrations, newest first
#[utoipa::path(get, path = "/calibrations", tag = "calibration",
    params(Limit),
    responses((status = 200, body = Vec<CalibrationSummary>), (status = 400, body = Problem)))]
pub async fn list_calibrations(
    State(app): State<App>,
    caller: Caller,
    Query(Limit { limit }): Query<Limit>,
) -> Result<Json<Vec<CalibrationSummary>>> {
    calibration::calibrations(&app, &caller, limit.unwrap_or(20))
        .await
        .map(Json)
}

/// Find a calibration
///
/// As it stands while it is made; with its report once it is complete. The document can be passed on as it is.
#[utoipa::path(get, path = "/calibrations/{id}", tag = "calibration",
    params(("id" = String, Path)),
    responses((status = 200, body = Calibration), (status = 404, body = Problem)))]
pub async fn find_calibration(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Json<Calibration>> {
    calibration::calibration(&app, &caller, &id).await.map(Json)
}

/// Delete a calibration that has ended
///
/// What was learned from it stays.
#[utoipa::path(delete, path = "/calibrations/{id}", tag = "calibration",
    params(("id" = String, Path)),
    responses((status = 204), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn delete_calibration(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<StatusCode> {
    calibration::delete_calibration(&app, &caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Cancel a calibration
///
/// Whichever replica makes it stops within some seconds. Without effect on one that has ended.
#[utoipa::path(put, path = "/calibrations/{id}/cancel", tag = "calibration",
    params(("id" = String, Path)),
    responses((status = 202), (status = 404, body = Problem)))]
pub async fn cancel_calibration(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<StatusCode> {
    calibration::cancel_calibration(&app, &caller, &id).await?;
    Ok(StatusCode::ACCEPTED)
}

/// List what was learned
///
/// The ids that configs can name as `judge.judgeConfigurations.calibration`.
#[utoipa::path(get, path = "/learnedMargins", tag = "calibration",
    responses((status = 200, body = Vec<String>)))]
pub async fn list_learned(State(app): State<App>, caller: Caller) -> Result<Json<Vec<String>>> {
    learned::learned_ids(&app, &caller).await.map(Json)
}

/// Find what was learned
#[utoipa::path(get, path = "/learnedMargins/{id}", tag = "calibration",
    params(("id" = String, Path)),
    responses((status = 200, body = Learned), (status = 404, body = Problem)))]
pub async fn find_learned(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Json<Learned>> {
    learned::learned(&app, &caller, &id).await.map(Json)
}

/// Keep what a calibration taught
///
/// In place of what was learned under that id. Canaries that begin later are judged with it.
#[utoipa::path(put, path = "/learnedMargins/{id}", tag = "calibration",
    params(("id" = String, Path, description = "what configs name as `judge.judgeConfigurations.calibration`")),
    request_body(content = LearnedRequest, example = json!({"calibrationId": "01JDP9GZ5T3J6V5CT9W0A2YQ7M"})),
    responses((status = 200, body = Learned), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn store_learned(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Body(request): Body<LearnedRequest>,
) -> Result<Json<Learned>> {
    match (request.calibration_id, request.learned) {
        (Some(of), None) => learned::keep_of(&app, &caller, &Id::parse(&of)?, &id)
            .await
            .map(Json),
        (None, Some(learned)) => learned::keep_learned(&app, &caller, &id, learned)
            .await
            .map(Json),
        _ => {
            let told = "either 'calibrationId' or 'learned' says what to keep";
            Err(Error::Invalid(told.to_owned()))
        }
    }
}

/// Delete what was learned
///
/// Configs that name it are refused from then on.
#[utoipa::path(delete, path = "/learnedMargins/{id}", tag = "calibration",
    params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn delete_learned(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<StatusCode> {
    learned::delete_learned(&app, &caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
