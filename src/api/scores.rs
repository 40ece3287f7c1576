//! `/prometheus/api/v1`: scores, for whom asks a Prometheus, as Flagger's metric templates, Argo
//! Rollouts and Grafana do.

mod answer;
mod course;
pub mod series;
mod times;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;

use super::problem::Problem;
use super::query::Parameters;
use crate::access::Caller;
use crate::app::{Anybody, App};
use crate::canary::CanaryExecutionStatusResponse;
use crate::error::{Error, Result};
use crate::metrics::selection::{Query, Selection};
use crate::storage::{Line, Search};
use answer::{Scores, ScoresResponse};
use times::{Span, Times};

/// How many of the newest canaries are looked at.
const LOOKED_AT: i64 = 1000;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    // Without it, what there is to ask for is told.
    #[serde(default)]
    #[param(
        required = true,
        example = "serin_canary_score{application=\"checkout\"}"
    )]
    query: String,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Moment {
    /// seconds or RFC 3339; now, if not given
    time: Option<String>,
}

/// Query scores as in Prometheus
///
/// `serin_canary_score` of the newest canary of an application and a config that had ended at `time`,
/// with the labels `application`, `config`, `config_id`, `classification`, `control`, `experiment` and
/// `execution_id`; nothing when that one has no score. `last_over_time(serin_canary_score[30m])`
/// leaves out what ended longer ago. Numbers, such as `vector(1)` and `1+1`, are answered as they are.
#[utoipa::path(get, path = "/prometheus/api/v1/query", tag = "delivery",
    params(Asked, Moment),
    responses((status = 200, body = ScoresResponse), (status = 400, description = "the error of Prometheus, with what is understood")))]
pub async fn query_scores(
    State(app): State<App>,
    caller: Caller,
    parameters: Parameters,
) -> Response {
    answered(at_once(&app, &caller, &parameters).await)
}

/// Query scores as in Prometheus, with a form
///
/// As `GET` does.
#[utoipa::path(post, path = "/prometheus/api/v1/query", tag = "delivery",
    request_body(content = String, content_type = "application/x-www-form-urlencoded", example = "query=vector(1)"),
    responses((status = 200, body = ScoresResponse), (status = 400, description = "the error of Prometheus, with what is understood")))]
pub async fn query_scores_by_form(
    State(app): State<App>,
    caller: Caller,
    parameters: Parameters,
    form: Bytes,
) -> Response {
    answered(at_once(&app, &caller, &Parameters::read(&form).or(parameters)).await)
}

/// Query the course of scores as in Prometheus
///
/// At each time what `query` answers there, in one series for every application and config.
#[utoipa::path(get, path = "/prometheus/api/v1/query_range", tag = "delivery",
    params(Asked, Span),
    responses((status = 200, body = ScoresResponse), (status = 400, description = "the error of Prometheus, with what is understood")))]
pub async fn query_course(
    State(app): State<App>,
    caller: Caller,
    parameters: Parameters,
) -> Response {
    answered(over_time(&app, &caller, &parameters).await)
}

/// Query the course of scores as in Prometheus, with a form
///
/// As `GET` does.
#[utoipa::path(post, path = "/prometheus/api/v1/query_range", tag = "delivery",
    request_body(content = String, content_type = "application/x-www-form-urlencoded", example = "query=serin_canary_score&start=1714561200&end=1714564800&step=60"),
    responses((status = 200, body = ScoresResponse), (status = 400, description = "the error of Prometheus, with what is understood")))]
pub async fn query_course_by_form(
    State(app): State<App>,
    caller: Caller,
    parameters: Parameters,
    form: Bytes,
) -> Response {
    answered(over_time(&app, &caller, &Parameters::read(&form).or(parameters)).await)
}

/// Say what answers as a Prometheus
///
/// Grafana asks before it asks for anything else.
#[utoipa::path(get, path = "/prometheus/api/v1/status/buildinfo", tag = "delivery",
    responses((status = 200, body = Object)))]
pub async fn tell_build(_: Anybody) -> Json<Value> {
    let version = env!("CARGO_PKG_VERSION");
    Json(json!({"status": "success", "data": {
        "application": "serin", "version": version, "revision": "", "branch": "", "buildUser": "",
        "buildDate": "", "goVersion": "",
    }}))
}

/// Whatever else there is in a Prometheus.
pub async fn refuse_rest(_: Anybody, uri: Uri) -> Response {
    in_prometheus_words(Error::Invalid(format!(
        "'{}' is not served here: serin answers query, query_range, labels, series, metadata and \
         status/buildinfo, for {} and numbers",
        uri.path(),
        crate::metrics::selection::SCORE
    )))
}

fn answered(scores: Result<Scores>) -> Response {
    match scores {
        Ok(scores) => Json(ScoresResponse::new(scores)).into_response(),
        Err(error) => in_prometheus_words(error),
    }
}

fn in_prometheus_words(error: Error) -> Response {
    let kind = match &error {
        Error::Invalid(_) => "bad_data",
        Error::Unavailable(_) => "unavailable",
        Error::Unknown(_) | Error::Forbidden(_) => "execution",
        _ => "internal",
    };
    let problem = Problem::from(error);
    let body = json!({"status": "error", "errorType": kind, "error": &problem.message});
    let told = problem.into_response();
    let mut response = (told.status(), Json(body)).into_response();
    for challenge in told.headers().get_all(header::WWW_AUTHENTICATE) {
        let headers = response.headers_mut();
        headers.append(header::WWW_AUTHENTICATE, challenge.clone());
    }
    response
}

async fn at_once(app: &App, caller: &Caller, asked: &Parameters) -> Result<Scores> {
    app.seen_by(caller).reads()?;
    let now = app.clock.now_millis();
    let query = Query::parse(&asked.parsed::<Asked>()?.query)?;
    let Moment { time } = asked.parsed()?;
    let (shown, time) = times::instant("time", time.as_deref(), now)?;
    Ok(match query {
        Query::Number(number) => Scores::Scalar(answer::value(shown, number)),
        Query::Vector(number) => Scores::number(shown, number),
        Query::Scores(selection) => {
            let lines = lines(app, caller, &selection, time).await?;
            let samples = course::at(&lines, &selection, time);
            Scores::Vector(samples.map(|found| found.sample(shown)).collect())
        }
    })
}

async fn over_time(app: &App, caller: &Caller, asked: &Parameters) -> Result<Scores> {
    app.seen_by(caller).reads()?;
    let query = Query::parse(&asked.parsed::<Asked>()?.query)?;
    let times = Times::read(&asked.parsed()?, app.clock.now_millis())?;
    Ok(match query {
        Query::Number(number) | Query::Vector(number) => Scores::constant(&times, number),
        Query::Scores(selection) => {
            let lines = lines(app, caller, &selection, times.end).await?;
            Scores::Matrix(course::over(&lines, &selection, &times)?)
        }
    })
}

/// Canaries that may have ended by then, the newest first.
async fn lines(
    app: &App,
    caller: &Caller,
    selection: &Selection,
    time: i64,
) -> Result<Vec<Line<CanaryExecutionStatusResponse>>> {
    let only = |label| selection.only(label).map(str::to_owned);
    let search = Search {
        accounts: app.stores(),
        application: only("application"),
        config: only("config").or_else(|| only("config_id")),
        until: Some(time.saturating_add(1)),
        limit: LOOKED_AT,
        ..Search::default()
    };
    app.seen_by(caller).search(&search).await
}
