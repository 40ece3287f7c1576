//! What people do about an execution that has ended: judge it again, or accept it by hand.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::canary::CanaryExecutionResponse;
use super::idempotency::{Replayed, replayed};
use super::problem::Problem;
use super::request::{Body, PathId};
use super::standalone::CanaryAnalysisExecutionResponse;
use crate::access::Caller;
use crate::app::App;
use crate::canary::{
    Acceptance, CanaryAnalysisExecutionStatusResponse, CanaryExecutionStatusResponse, Instant,
};
use crate::error::Result;
use crate::run::{accept, asked, judge_analysis_again, judge_canary_again};

/// Until when to judge.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Again {
    /// RFC 3339, or `now-5m`; `now`, if not given. Later than the end before, and not to come.
    #[schema(value_type = Option<String>, example = "now")]
    end: Option<Value>,
}

/// Judge a canary again
///
/// The same request from the same start to a later end, as an execution of its own that says which
/// it `repeats` and calls no actions. Asked again, it answers with the one that was begun before.
#[utoipa::path(post, path = "/canary/{id}/again", tag = "canary",
    params(("id" = String, Path, description = "id of an execution that has ended")),
    request_body = Again,
    responses((status = 200, body = CanaryExecutionResponse), (status = 400, body = Problem, description = "it has not ended, or the end is not later"), (status = 404, body = Problem), (status = 503, body = Problem, description = "too many wait, a disk is nearly full, or serin is about to end; `Retry-After` says when to try again")))]
pub async fn repeat_canary(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Body(again): Body<Again>,
) -> Result<(Replayed, Json<CanaryExecutionResponse>)> {
    let begun = judge_canary_again(&app, &caller, &id, again.end(&app)?).await?;
    let answer = CanaryExecutionResponse::new(&begun.id);
    Ok((replayed(begun.is_new), Json(answer)))
}

/// Judge an analysis again
///
/// As a canary is: all of its time up to a later end at once, by the same interval.
#[utoipa::path(post, path = "/standalone_canary_analysis/{id}/again", tag = "analysis",
    params(("id" = String, Path, description = "id of an analysis that has ended")),
    request_body = Again,
    responses((status = 200, body = CanaryAnalysisExecutionResponse), (status = 400, body = Problem, description = "it has not ended, or the end is not later"), (status = 404, body = Problem), (status = 503, body = Problem, description = "too many wait, a disk is nearly full, or serin is about to end; `Retry-After` says when to try again")))]
pub async fn repeat_analysis(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Body(again): Body<Again>,
) -> Result<(Replayed, Json<CanaryAnalysisExecutionResponse>)> {
    let begun = judge_analysis_again(&app, &caller, &id, again.end(&app)?).await?;
    let answer = CanaryAnalysisExecutionResponse::new(&begun.id);
    Ok((replayed(begun.is_new), Json(answer)))
}

/// Accept a canary by hand
///
/// Kept in its document with the reason (`acceptedByHand`). Its `outcome` stays what was measured.
#[utoipa::path(post, path = "/canary/{id}/accept", tag = "canary",
    params(("id" = String, Path, description = "id of an execution that has ended and did not pass")),
    request_body = Acceptance,
    responses((status = 204), (status = 400, body = Problem, description = "there is no reason, or nothing to accept"), (status = 404, body = Problem), (status = 409, body = Problem, description = "it was accepted before, for another reason"), (status = 503, body = Problem, description = "its archive cannot be written just now")))]
pub async fn accept_canary(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Body(acceptance): Body<Acceptance>,
) -> Result<StatusCode> {
    let accepted = accept::<CanaryExecutionStatusResponse>(&app, &caller, &id, acceptance);
    Box::pin(accepted).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Accept an analysis by hand
///
/// As a canary is; Flagger's hooks go on with it.
#[utoipa::path(post, path = "/standalone_canary_analysis/{id}/accept", tag = "analysis",
    params(("id" = String, Path, description = "id of an analysis that has ended and did not pass")),
    request_body = Acceptance,
    responses((status = 204), (status = 400, body = Problem, description = "there is no reason, or nothing to accept"), (status = 404, body = Problem), (status = 409, body = Problem, description = "it was accepted before, for another reason"), (status = 503, body = Problem, description = "its archive cannot be written just now")))]
pub async fn accept_analysis(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Body(acceptance): Body<Acceptance>,
) -> Result<StatusCode> {
    let accepted = accept::<CanaryAnalysisExecutionStatusResponse>(&app, &caller, &id, acceptance);
    Box::pin(accepted).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Again {
    fn end(&self, app: &App) -> Result<Option<Instant>> {
        let text = match &self.end {
            None => return Ok(None),
            Some(Value::String(text)) => text.as_str(),
            Some(_) => "",
        };
        asked::end(text, app.clock.now_millis()).map(Some)
    }
}
