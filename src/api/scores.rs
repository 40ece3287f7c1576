//! `/prometheus/api/v1/query`: scores, for whom asks a Prometheus, as Flagger's metric templates do.

use std::collections::HashSet;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use indexmap::IndexMap;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::problem::Problem;
use super::request::Query as Parameters;
use crate::app::App;
use crate::canary::CanaryExecutionStatusResponse;
use crate::error::{Error, Result};
use crate::metrics::selection::{Query, SCORE, Selection};
use crate::storage::{Line, Search};

/// How many of the newest canaries are looked at.
const LOOKED_AT: i64 = 1000;

/// The answer of Prometheus to an instant query.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScoresResponse {
    #[schema(example = "success")]
    status: &'static str,
    data: Scores,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Scores {
    #[schema(example = "vector")]
    result_type: &'static str,
    result: Vec<Sample>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Sample {
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    metric: IndexMap<&'static str, String>,
    /// Seconds and the score as text.
    #[schema(value_type = Vec<serde_json::Value>, example = json!([1_714_561_260.0, "97.5"]))]
    value: (f64, String),
}

/// Query scores as in Prometheus
///
/// `serin_canary_score` of the newest canary of an application and a config that has ended, with
/// the labels `application`, `config`, `config_id`, `classification`, `control`, `experiment` and
/// `execution_id`; nothing when that one has no score. `last_over_time(serin_canary_score[30m])`
/// leaves out what ended longer ago. `vector(1)` is answered with 1.
#[utoipa::path(get, path = "/prometheus/api/v1/query", tag = "delivery",
    params(("query" = String, Query, example = "serin_canary_score{application=\"checkout\"}")),
    responses((status = 200, body = ScoresResponse), (status = 400, description = "the error of Prometheus, with what is understood")))]
pub async fn query_scores(State(app): State<App>, parameters: Parameters) -> Response {
    answer(&app, parameters.text("query")).await
}

/// Query scores as in Prometheus, with a form
///
/// As `GET` does.
#[utoipa::path(post, path = "/prometheus/api/v1/query", tag = "delivery",
    request_body(content = String, content_type = "application/x-www-form-urlencoded", example = "query=vector(1)"),
    responses((status = 200, body = ScoresResponse), (status = 400, description = "the error of Prometheus, with what is understood")))]
pub async fn query_scores_by_form(
    State(app): State<App>,
    parameters: Parameters,
    form: Bytes,
) -> Response {
    let form = Parameters::read(&form);
    answer(&app, form.text("query").or(parameters.text("query"))).await
}

async fn answer(app: &App, query: Option<&str>) -> Response {
    match samples(app, query.unwrap_or_default()).await {
        Ok(result) => Json(ScoresResponse {
            status: "success",
            data: Scores {
                result_type: "vector",
                result,
            },
        })
        .into_response(),
        Err(error) => in_prometheus_words(error),
    }
}

fn in_prometheus_words(error: Error) -> Response {
    let kind = match &error {
        Error::Invalid(_) => "bad_data",
        Error::Unavailable(_) => "unavailable",
        _ => "internal",
    };
    let problem = Problem::from(error);
    let body = json!({"status": "error", "errorType": kind, "error": &problem.message});
    (problem.into_response().status(), Json(body)).into_response()
}

async fn samples(app: &App, query: &str) -> Result<Vec<Sample>> {
    let now = app.clock.now_millis();
    match Query::parse(query)? {
        Query::Constant(number) => Ok(vec![Sample {
            metric: IndexMap::new(),
            value: value(now, number),
        }]),
        Query::Scores(selection) => scores(app, &selection, now).await,
    }
}

async fn scores(app: &App, selection: &Selection, now: i64) -> Result<Vec<Sample>> {
    let only = |label| selection.only(label).map(str::to_owned);
    let search = Search {
        accounts: app.stores(),
        application: only("application"),
        config: only("config").or_else(|| only("config_id")),
        limit: LOOKED_AT,
        ..Search::default()
    };
    let lines = app.storage.search(&search).await?;
    Ok(newest(&lines, selection, now))
}

/// Of lines with the newest first, one for every application and config.
fn newest(
    lines: &[Line<CanaryExecutionStatusResponse>],
    selection: &Selection,
    now: i64,
) -> Vec<Sample> {
    let mut seen = HashSet::new();
    let ended = lines.iter().filter(|line| line.brief.outcome.is_final());
    let newest = ended.filter(|line| {
        let Line {
            application, brief, ..
        } = line;
        seen.insert((application, &brief.config_id, &brief.config_name))
    });
    let samples = newest.filter_map(|line| {
        let brief = &line.brief;
        let ended = brief.end_time.unwrap_or(line.build_time);
        let is_old = |within: std::time::Duration| within.as_millis() < since(ended, now);
        // An older score would tell of a release that is not the one that ended last.
        let score = brief
            .score
            .filter(|_| !selection.within.is_some_and(is_old))?;
        let labels = [
            ("application", line.application.as_str()),
            ("config", brief.config_name.as_str()),
            ("config_id", brief.config_id.as_str()),
            ("classification", brief.outcome.word()),
            ("control", brief.control.as_str()),
            ("experiment", brief.experiment.as_str()),
            ("execution_id", line.id.as_str()),
        ];
        let name = ("__name__", SCORE.to_owned());
        selection.fits(&labels).then(|| Sample {
            metric: std::iter::once(name)
                .chain(labels.map(|(label, value)| (label, value.to_owned())))
                .collect(),
            value: value(now, score),
        })
    });
    samples.collect()
}

fn since(ended: i64, now: i64) -> u128 {
    u128::try_from(now.saturating_sub(ended)).unwrap_or(0)
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of our time fit")]
fn value(now: i64, number: f64) -> (f64, String) {
    (now as f64 / 1000.0, number.to_string())
}
