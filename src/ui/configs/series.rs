//! `/ui/configs/series`: what a metric of a text would have fetched of late, drawn, with its judgement.

use axum::extract::State;
use axum::{Form, Json};
use indexmap::IndexMap;
use serde::Serialize;

use super::{check_start, text};
use crate::access::Caller;
use crate::app::App;
use crate::canary::{CanaryConfig, CanaryScope, Instant, MetricSetPair, Pair};
use crate::error::{Error, Result};
use crate::report::chart;
use crate::report::view::{self, Fact, MetricView};
use crate::run::{Preview, preview};
use crate::ui::forms::Fields;

const MINUTE: i64 = 60_000;

/// A day, with a point a minute.
const MOST_MINUTES: i64 = 24 * 60;

/// More are told in number.
const MOST_DRAWN: usize = 6;

#[derive(Debug, Serialize)]
pub struct Series {
    /// The worst first.
    series: Vec<Drawn>,
    /// So many are not drawn.
    more: usize,
}

#[derive(Debug, Serialize)]
struct Drawn {
    /// The labels that tell it from others.
    of: String,
    label: &'static str,
    class: &'static str,
    sentence: String,
    warnings: Vec<String>,
    svg: String,
}

pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Form(fields): Form<Fields>,
) -> Result<Json<Series>> {
    check_start(&caller, &[])?;
    let config = text::readable(&app.config, &fields.lines("config"))?;
    let asked = Preview {
        config: of_one(config, fields.text("metric"))?,
        scopes: scopes(&fields, app.clock.now_millis())?,
        account: fields.given("account").map(str::to_owned),
    };
    let found = preview(&app, &caller, asked).await?;
    let views = view::metrics(&found.judged, None, Some(&found.pairs));
    Ok(Json(Series {
        more: views.len().saturating_sub(MOST_DRAWN),
        series: views
            .into_iter()
            .take(MOST_DRAWN)
            .map(|view| drawn(view, &found.pairs))
            .collect(),
    }))
}

/// The config with that metric alone; what the others weigh does not matter.
fn of_one(mut config: CanaryConfig, index: &str) -> Result<CanaryConfig> {
    let metrics = config.metrics.take().unwrap_or_default();
    let count = metrics.len();
    let at: Option<usize> = index.parse().ok();
    let metric = at.and_then(|at| metrics.into_iter().nth(at));
    let metric = metric.ok_or_else(|| {
        Error::Invalid(format!(
            "metric is '{index}', and the config has {count} metrics: a number from 0 and below that is wanted"
        ))
    })?;
    config.metrics = Some(vec![metric]);
    let classifier = config.classifier.get_or_insert_default();
    classifier.group_weights.get_or_insert_default();
    Ok(config)
}

/// Both sides over the same time, up to now.
fn scopes(fields: &Fields, now: i64) -> Result<Pair<CanaryScope>> {
    let minutes = fields.text("minutes");
    let window = minutes.parse().ok();
    let window = window.filter(|minutes| (1..=MOST_MINUTES).contains(minutes));
    let window = window.ok_or_else(|| {
        Error::Invalid(format!(
            "minutes is '{minutes}', a number from 1 to {MOST_MINUTES} is wanted"
        ))
    })?;
    let end = now / MINUTE * MINUTE;
    let parameters = parameters(&fields.lines("parameters"))?;
    let side = |name: &str| CanaryScope {
        scope: fields.given(name).map(str::to_owned),
        location: fields.given("location").map(str::to_owned),
        start: Instant::from_millis(end - window * MINUTE),
        end: Instant::from_millis(end),
        step: Some(60),
        extended_scope_params: Some(parameters.clone()),
    };
    Ok(Pair {
        control: side("control"),
        experiment: side("experiment"),
    })
}

/// A `name=value` on every line.
fn parameters(text: &str) -> Result<IndexMap<String, String>> {
    super::trial::parameters(text).map_err(Error::Invalid)
}

fn drawn(view: MetricView, pairs: &[MetricSetPair]) -> Drawn {
    let pair = pairs.iter().find(|pair| pair.id == view.pair_id);
    let of = view.tags.iter().map(label).collect::<Vec<_>>().join(", ");
    Drawn {
        svg: pair.map_or_else(String::new, |pair| chart::svg(pair, view.label)),
        of,
        label: view.label,
        class: view.class,
        sentence: view.sentence,
        warnings: view.warnings,
    }
}

fn label(fact: &Fact) -> String {
    format!("{}={}", fact.name, fact.value)
}
