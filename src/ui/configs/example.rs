//! What a new config begins as: golden signals, asked of a source that there is.

use serde_json::{Value, json};

use crate::app::App;
use crate::config::AccountType::MetricsStore;
use crate::error::{Error, Result};
use crate::metrics::library::{Signal, Template};
use crate::metrics::{self, Language, promql};

/// Of Prometheus: one metric, in the words that the form can change.
const PROMETHEUS: &str = include_str!("example.json");

const WEIGHTS: [(Signal, u32); 3] = [
    (Signal::Errors, 50),
    (Signal::Latency, 30),
    (Signal::Saturation, 20),
];

/// With queries of that type, else of the type that the first metrics account answers.
///
/// # Errors
/// `Invalid` when serin reads no queries of that type.
pub fn of(app: &App, kind: Option<&str>) -> Result<String> {
    let first = || app.account(None, MetricsStore).ok();
    let first = || Some(app.metric_sources.get(&first()?.name)?.language().kind());
    let kind = kind.or_else(first).unwrap_or(promql::KIND);
    if kind == promql::KIND {
        return Ok(PROMETHEUS.to_owned());
    }
    let language = metrics::language(kind).ok_or_else(|| {
        let kinds = metrics::kinds().join("', '");
        Error::Invalid(format!(
            "'{kind}' is no type of queries: there are '{kinds}'"
        ))
    })?;
    let text = serde_json::to_string_pretty(&made(language));
    text.map_err(|cause| Error::storage("a canary config cannot be written", cause))
}

/// The first example of each signal.
fn made(language: &dyn Language) -> Value {
    let templates = language.examples();
    let of_signal = |signal| templates.iter().find(|template| template.signal == signal);
    let metrics = WEIGHTS.iter().filter_map(|(signal, _)| of_signal(*signal));
    let metrics: Vec<Value> = metrics.map(Template::metric).collect();
    let weights = metrics.iter().zip(WEIGHTS);
    let weights: serde_json::Map<String, Value> = weights
        .filter_map(|(metric, (_, weight))| {
            Some((metric["groups"][0].as_str()?.to_owned(), weight.into()))
        })
        .collect();
    json!({
        "name": "my-service",
        "description": "Errors, latency and load of my service",
        "applications": ["my-service"],
        "judge": {"name": "NetflixACAJudge-v1.0", "judgeConfigurations": {}},
        "metrics": metrics,
        "classifier": {"groupWeights": weights},
    })
}
