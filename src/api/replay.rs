//! `/replay`: stored runs judged once more, by other rules.

use axum::Json;
use axum::extract::State;

use super::examples;
use super::problem::Problem;
use super::request::Body;
use crate::access::Caller;
use crate::app::App;
use crate::canary::{Replay, ReplayRequest};
use crate::error::Result;
use crate::run::replay;

/// Judge stored runs once more
///
/// From their stored series, without a query, and without a trace: nothing is kept of it. `whatIf` says
/// what is to be otherwise. A run that cannot be judged once more is told with the reason.
#[utoipa::path(post, path = "/replay", tag = "judges",
    request_body(content = ReplayRequest, example = json!(examples::replay_request())),
    responses((status = 200, body = Replay), (status = 400, body = Problem, description = "no runs are named, more than 100 are, or none could be judged like that"), (status = 404, body = Problem, description = "the stored config is not there"), (status = 503, body = Problem, description = "too many ask at once; `Retry-After` says when to try again")))]
pub async fn replay_runs(
    State(app): State<App>,
    caller: Caller,
    Body(request): Body<ReplayRequest>,
) -> Result<Json<Replay>> {
    Ok(Json(replay::replay(&app, &caller, &request).await?))
}
