//! `/canaryConfig/lint`: what is wrong with a config and what is doubtful.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::examples;
use super::problem::Problem;
use super::query::Query;
use super::request;
use crate::access::Caller;
use crate::app::App;
use crate::canary::{
    CanaryClassifierThresholdsConfig, CanaryScope, CanaryScopePair, Instant, Pair,
};
use crate::config::AccountType::MetricsStore;
use crate::error::{Error, Result};
use crate::lint::{self, Finding, Format, Given, Severity};
use crate::run::learned;

/// A config, and what is known of the canaries that it is for. A bare config will do, too.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LintRequest {
    /// The config; lines and columns count from its beginning.
    #[schema(value_type = Option<crate::canary::CanaryConfig>)]
    canary_config: Option<Box<RawValue>>,
    /// Instead: the config as a text, JSON or YAML.
    text: Option<String>,
    /// Seconds between two points; 60, if not given.
    step: Option<i64>,
    duration_minutes: Option<i64>,
    /// How often the client asks for a canary meanwhile, as stages of Orca and measurements of Argo do.
    interval_minutes: Option<i64>,
    #[serde(default)]
    #[schema(value_type = Option<CanaryClassifierThresholdsConfig>)]
    thresholds: CanaryClassifierThresholdsConfig,
    /// To fill in templates with; with a `metricsAccountName`, both are asked for their series.
    scopes: Option<CanaryScopePair>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Linted {
    /// In the order of the text.
    findings: Vec<Finding>,
    errors: usize,
    warnings: usize,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// ask it whether both scopes have series now
    metrics_account_name: Option<String>,
}

/// Lint a canary config
///
/// Finds what would be refused, and what is accepted and does not mean what its author thinks.
/// Nothing is stored.
#[utoipa::path(post, path = "/canaryConfig/lint", tag = "canary-config",
    params(Asked),
    request_body(content = LintRequest, example = json!({"canaryConfig": examples::canary_config(), "step": 60, "durationMinutes": 60})),
    responses((status = 200, body = Linted), (status = 400, body = Problem)))]
pub async fn lint_canary_config(
    State(app): State<App>,
    caller: Caller,
    Query(asked): Query<Asked>,
    body: LintBody,
) -> Result<Json<Linted>> {
    let seen = app.seen_by(&caller);
    seen.reads()?;
    let mut body = body;
    if let Some(config) = lint::config(&body.text, body.format) {
        body.given.calibrated = learned::look_up(&app, &caller, &config).await;
    }
    let (text, format) = (&body.text, body.format);
    let findings = match asked.metrics_account_name.as_deref() {
        None => lint::lint(&app.config, text, format, &body.given),
        Some(_) if body.given.scopes.is_none() => {
            let told = "with a metricsAccountName, scopes with controlScope and experimentScope are wanted";
            return Err(Error::Invalid(told.to_owned()));
        }
        account => {
            let account = app.account(account, MetricsStore)?;
            seen.may_ask(&account.name)?;
            let given = at(body.given, app.clock.now_millis());
            let source = app.metric_source(Some(&account.name))?;
            lint::lint_with_series(
                &app.config,
                text,
                format,
                &given,
                source.as_ref(),
                &app.budget,
            )
            .await?
        }
    };
    let is_error = |finding: &&Finding| finding.severity == Severity::Error;
    let errors = findings.iter().filter(is_error).count();
    Ok(Json(Linted {
        warnings: findings.len() - errors,
        errors,
        findings,
    }))
}

/// Both scopes at that time.
fn at(given: Given, millis: i64) -> Given {
    let step = given.step;
    let now = Instant::from_millis(millis);
    let scopes = given.scopes.map(|scopes| {
        scopes.map(|scope| CanaryScope {
            start: now,
            end: now,
            step: Some(step),
            ..scope
        })
    });
    Given { scopes, ..given }
}

/// The text to lint.
pub struct LintBody {
    text: String,
    format: Format,
    given: Given,
}

impl<S: Send + Sync> FromRequest<S> for LintBody {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> std::result::Result<Self, Response> {
        let bytes = request::read(request, state).await?;
        Self::of(&bytes).map_err(IntoResponse::into_response)
    }
}

impl LintBody {
    /// What is no request to lint is a config, or has one in it, or was meant to be: its lint says
    /// why it is none.
    fn of(bytes: &[u8]) -> Result<Self> {
        let members: HashMap<String, &RawValue> = serde_json::from_slice(bytes).unwrap_or_default();
        let is_start = members.contains_key("executionRequest");
        let has_config = members.contains_key("canaryConfig") && !is_start;
        if !has_config && !members.contains_key("text") {
            return Ok(Self {
                text: String::from_utf8_lossy(bytes).into_owned(),
                format: Format::Json,
                given: Given::default(),
            });
        }
        let request: LintRequest = request::parse(bytes)?;
        let (text, format) = match (request.canary_config, request.text) {
            (Some(config), None) => (config.get().to_owned(), Format::Json),
            (None, Some(text)) => {
                let format = Format::of(&text);
                (text, format)
            }
            _ => {
                let told = "either canaryConfig or text is wanted, and not both";
                return Err(Error::Invalid(told.to_owned()));
            }
        };
        let step = request.step.unwrap_or(Given::default().step);
        if step < 1 {
            let told = format!("step is {step}, a number of seconds from 1 is wanted");
            return Err(Error::Invalid(told));
        }
        Ok(Self {
            text,
            format,
            given: Given {
                step,
                duration_minutes: request.duration_minutes,
                interval_minutes: request.interval_minutes,
                thresholds: request.thresholds,
                scopes: request.scopes.and_then(both),
                calibrated: None,
            },
        })
    }
}

fn both(scopes: CanaryScopePair) -> Option<Pair<CanaryScope>> {
    Some(Pair {
        control: scopes.control_scope?,
        experiment: scopes.experiment_scope?,
    })
}
