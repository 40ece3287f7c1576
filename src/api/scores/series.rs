//! What there is to ask for, told as a Prometheus tells it: Grafana offers it to whoever writes a query.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;

use super::{course, in_prometheus_words, lines, times};
use crate::access::Caller;
use crate::api::query::{Parameters, Query};
use crate::app::{Anybody, App};
use crate::error::{Error, Result};
use crate::metrics::selection::{NAME, SCORE, Selection};

/// For each of them, canaries are looked for.
const MOST_SELECTORS: usize = 20;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Matched {
    #[serde(rename = "match[]", default)]
    #[param(example = json!(["serin_canary_score"]))]
    selectors: Vec<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Between {
    /// seconds or RFC 3339
    start: Option<String>,
    end: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Named {
    metric: Option<String>,
}

/// List labels as in Prometheus
///
/// Those of scores that count between `start` and `end`.
#[utoipa::path(get, path = "/prometheus/api/v1/labels", tag = "delivery",
    params(Matched, Between),
    responses((status = 200, body = Object), (status = 400, description = "the error of Prometheus")))]
pub async fn list_labels(State(app): State<App>, caller: Caller, asked: Parameters) -> Response {
    told(labels(&app, &caller, &asked).await)
}

/// List labels as in Prometheus, with a form
///
/// As `GET` does.
#[utoipa::path(post, path = "/prometheus/api/v1/labels", tag = "delivery",
    request_body(content = String, content_type = "application/x-www-form-urlencoded", example = "match[]=serin_canary_score"),
    responses((status = 200, body = Object), (status = 400, description = "the error of Prometheus")))]
pub async fn list_labels_by_form(
    State(app): State<App>,
    caller: Caller,
    asked: Parameters,
    form: Bytes,
) -> Response {
    told(labels(&app, &caller, &Parameters::read(&form).or(asked)).await)
}

/// List the values of a label as in Prometheus
///
/// Those of scores that count between `start` and `end`.
#[utoipa::path(get, path = "/prometheus/api/v1/label/{label}/values", tag = "delivery",
    params(("label" = String, Path, example = "application"), Matched, Between),
    responses((status = 200, body = Object), (status = 400, description = "the error of Prometheus")))]
pub async fn list_label_values(
    State(app): State<App>,
    caller: Caller,
    Path(label): Path<String>,
    asked: Parameters,
) -> Response {
    told(values(&app, &caller, &label, &asked).await)
}

/// List series as in Prometheus
///
/// Scores that count between `start` and `end`, each with the labels that `query` gives it.
#[utoipa::path(get, path = "/prometheus/api/v1/series", tag = "delivery",
    params(("match[]" = Vec<String>, Query, example = json!(["serin_canary_score"])), Between),
    responses((status = 200, body = Object), (status = 400, description = "the error of Prometheus")))]
pub async fn list_series(State(app): State<App>, caller: Caller, asked: Parameters) -> Response {
    told(series(&app, &caller, &asked).await)
}

/// List series as in Prometheus, with a form
///
/// As `GET` does.
#[utoipa::path(post, path = "/prometheus/api/v1/series", tag = "delivery",
    request_body(content = String, content_type = "application/x-www-form-urlencoded", example = "match[]=serin_canary_score"),
    responses((status = 200, body = Object), (status = 400, description = "the error of Prometheus")))]
pub async fn list_series_by_form(
    State(app): State<App>,
    caller: Caller,
    asked: Parameters,
    form: Bytes,
) -> Response {
    told(series(&app, &caller, &Parameters::read(&form).or(asked)).await)
}

/// Describe the metrics that there are, as in Prometheus
///
/// There is one.
#[utoipa::path(get, path = "/prometheus/api/v1/metadata", tag = "delivery",
    params(Named),
    responses((status = 200, body = Object)))]
pub async fn describe_metrics(_: Anybody, Query(named): Query<Named>) -> Response {
    let is_asked_for = named.metric.is_none_or(|name| name == SCORE);
    let help = "The score of the newest canary of an application and a config that has ended.";
    let all = json!({SCORE: [{"type": "gauge", "unit": "", "help": help}]});
    told(Ok(if is_asked_for { all } else { json!({}) }))
}

/// List rules as in Prometheus
///
/// There are none; Grafana asks.
#[utoipa::path(get, path = "/prometheus/api/v1/rules", tag = "delivery",
    responses((status = 200, body = Object)))]
pub async fn list_rules(_: Anybody) -> Response {
    told(Ok(json!({"groups": []})))
}

fn told(data: Result<Value>) -> Response {
    match data {
        Ok(data) => Json(json!({"status": "success", "data": data})).into_response(),
        Err(error) => in_prometheus_words(error),
    }
}

async fn labels(app: &App, caller: &Caller, asked: &Parameters) -> Result<Value> {
    let all = found(app, caller, asked, |labels| labels.into_keys().collect());
    Ok(json!(all.await?))
}

async fn values(app: &App, caller: &Caller, label: &str, asked: &Parameters) -> Result<Value> {
    let all = found(app, caller, asked, |mut labels| {
        labels.remove(label).into_iter().collect()
    });
    Ok(json!(all.await?))
}

async fn series(app: &App, caller: &Caller, asked: &Parameters) -> Result<Value> {
    if asked.text("match[]").is_none() {
        let told = "the parameter 'match[]' must be given, as in match[]=serin_canary_score";
        return Err(Error::Invalid(told.to_owned()));
    }
    Ok(json!(
        found(app, caller, asked, |labels| vec![labels]).await?
    ))
}

type Labels = BTreeMap<&'static str, String>;

/// What is read of the labels of each score that is asked for, in order and once.
async fn found<T: Ord>(
    app: &App,
    caller: &Caller,
    asked: &Parameters,
    read: impl Fn(Labels) -> Vec<T>,
) -> Result<Vec<T>> {
    app.seen_by(caller).reads()?;
    let Matched { selectors } = asked.parsed()?;
    let Between { start, end, limit } = asked.parsed()?;
    if MOST_SELECTORS < selectors.len() {
        let told = format!("more than {MOST_SELECTORS} selectors are asked for in 'match[]'");
        return Err(Error::Invalid(told));
    }
    let texts = selectors.iter().map(String::as_str);
    let every = selectors.is_empty().then_some(SCORE);
    let selections: Result<Vec<_>> = texts.chain(every).map(Selection::parse).collect();
    let selections = selections?;
    let now = app.clock.now_millis();
    let start = times::optional("start", start.as_deref(), now)?.unwrap_or(0);
    let (_, end) = times::instant("end", end.as_deref(), now)?;
    let mut all = BTreeSet::new();
    for selection in &selections {
        let lines = lines(app, caller, selection, end).await?;
        for found in course::since(&lines, selection, start) {
            let labels = found.labels().into_iter().chain([(NAME, SCORE)]);
            let labels = labels.filter(|(_, value)| !value.is_empty());
            all.extend(read(
                labels
                    .map(|(label, value)| (label, value.to_owned()))
                    .collect(),
            ));
        }
    }
    let limit = limit.filter(|limit| 0 < *limit);
    Ok(all.into_iter().take(limit.unwrap_or(usize::MAX)).collect())
}
