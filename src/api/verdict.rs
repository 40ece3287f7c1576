//! `/canary/verdict`: start a canary and wait for its verdict, told in one flat document that a
//! script or a gate of a deployment can read.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use indexmap::{IndexMap, IndexSet};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::accounts::{ConfigurationAccount, StorageAccount};
use super::examples;
use super::executions::{Starting, admission};
use super::idempotency::{self, Keyed, Replayed, before, replayed};
use super::problem::Problem;
use super::query::Parameters;
use super::sentence::short;
use super::stored_config::{self, Named};
use super::wait::{self, Preferred, Wait, Waiting};
use crate::access::Caller;
use crate::app::App;
use crate::canary::{
    CanaryConfig, CanaryExecutionRequest, CanaryExecutionStatusResponse, CanaryScope,
    CanaryScopePair, CanaryVerdictRequest, Execution, Id, Instant, Kind, Outcome, Told,
};
use crate::config::duration;
use crate::error::{Error, Result};
use crate::run::asked::names::OF_ADDRESS;
use crate::run::asked::{self, Asked};
use crate::run::{Admission, judges, start};
use crate::storage::IdempotencyKey;

const STEP: i64 = 60;

/// A canary in one flat document.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryVerdictResponse {
    /// Null unless there is a verdict that stands.
    #[schema(example = 97.5)]
    score: Option<f64>,
    /// `Pass`, `Marginal` or `Fail`; `Inconclusive` when what was measured cannot carry a verdict;
    /// `Error` or `Canceled` without one; `Waiting` or `Running` before it.
    #[schema(example = "Pass")]
    classification: &'static str,
    /// Never true before there is a verdict.
    pass: bool,
    /// Whether it has ended.
    complete: bool,
    /// One sentence.
    #[schema(example = "A score of 97.5 reaches the pass threshold of 95")]
    reason: String,
    /// With `server.publicUrl`.
    #[serde(skip_serializing_if = "Option::is_none")]
    report_url: Option<String>,
    /// `GET /canary/{id}` finds it.
    canary_execution_id: String,
}

/// Start a canary and wait for its verdict
///
/// 200 with the verdict; 202 while there is none after `wait`: the canary goes on, and the same
/// request with the same `key` asks for it again.
#[utoipa::path(post, path = "/canary/verdict", tag = "delivery",
    params(
        Starting, ConfigurationAccount, Waiting,
        ("Idempotency-Key" = Option<String>, Header, description = "as `key` in the body"),
    ),
    request_body(content = CanaryVerdictRequest, example = json!(examples::verdict_request())),
    responses(
        (status = 200, body = CanaryVerdictResponse),
        (status = 202, body = CanaryVerdictResponse, description = "no verdict yet"),
        (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem, description = "the key came with another request"),
        (status = 503, body = Problem, description = "too many wait, a disk is nearly full, or serin is about to end; `Retry-After` says when to try again"),
    ))]
pub async fn ask_for_verdict(
    State(app): State<App>,
    caller: Caller,
    query: Parameters,
    preferred: Preferred,
    Keyed {
        body: request,
        key,
        notes,
    }: Keyed<CanaryVerdictRequest>,
) -> Result<(StatusCode, Replayed, Json<CanaryVerdictResponse>)> {
    notes.refused()?;
    query.only(&OF_ADDRESS)?;
    let wait = waits(&request, &query, &preferred)?;
    let key = key_of(&caller, &request, &query, key)?;
    let mut admission = admission(&app, &caller, None, query.parsed()?)?;
    let known = before(&app, &caller, key.as_ref()).await?;
    let (id, is_new) = if let Some(id) = known {
        (id, false)
    } else {
        admission.key = key;
        begin(&app, &caller, &query, request, admission).await?
    };
    let account = query.parsed::<StorageAccount>()?.of(&app)?;
    let seen = app.seen_by(&caller);
    let find = || seen.started::<CanaryExecutionStatusResponse>(account, &id);
    let found = wait::until_ended(&app, seen, Kind::Canary, &id, wait, find).await?;
    let canary: CanaryExecutionStatusResponse = serde_json::from_slice(&found.body)
        .map_err(|cause| Error::Internal(format!("an execution cannot be read: {cause}")))?;
    let status = if found.is_complete {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    let public = app.config.server.public_url.as_deref();
    Ok((
        status,
        replayed(is_new),
        Json(flat(&id, &canary.told(), public)),
    ))
}

fn flat(id: &Id, told: &Told<'_>, public: Option<&str>) -> CanaryVerdictResponse {
    CanaryVerdictResponse {
        score: told.score,
        classification: told.outcome.word(),
        pass: told.outcome == Outcome::Pass,
        complete: told.outcome.is_final(),
        reason: short(&told.reason()),
        report_url: public.map(|serin| format!("{serin}{}/{id}", Kind::Canary.page())),
        canary_execution_id: id.to_string(),
    }
}

fn waits(
    request: &CanaryVerdictRequest,
    query: &Parameters,
    preferred: &Preferred,
) -> Result<Wait> {
    if let Some(text) = &request.wait {
        return Wait::parse(text);
    }
    let waiting: Waiting = query.parsed()?;
    if waiting.wait.is_some() || preferred.is_given() {
        return Wait::of(&waiting, preferred);
    }
    Ok(Wait::longest())
}

/// The key of the header, else that of the body. How long is waited makes no other request.
fn key_of(
    caller: &Caller,
    request: &CanaryVerdictRequest,
    query: &Parameters,
    header: Option<IdempotencyKey>,
) -> Result<Option<IdempotencyKey>> {
    let key = match (header, &request.key) {
        (Some(header), _) => header.told,
        (None, Some(key)) => idempotency::checked(key)?,
        (None, None) => return Ok(None),
    };
    let plain = CanaryVerdictRequest {
        wait: None,
        key: None,
        ..request.clone()
    };
    let parameters = [
        "application",
        "parentPipelineExecutionId",
        "metricsAccountName",
        "configurationAccountName",
        "storageAccountName",
    ]
    .map(|name| query.text(name));
    let request = serde_json::to_vec(&("verdict", parameters, plain))
        .map_err(|cause| Error::Internal(format!("cannot write a request: {cause}")))?;
    Ok(Some(idempotency::key_of(caller, key, &request)))
}

async fn begin(
    app: &App,
    caller: &Caller,
    query: &Parameters,
    mut request: CanaryVerdictRequest,
    mut admission: Admission<CanaryExecutionRequest>,
) -> Result<(Id, bool)> {
    match (named(&request), request.canary_config.take()) {
        (Some(named), None) => {
            let account = query.parsed::<ConfigurationAccount>()?.of(app)?;
            let application = query.text("application").unwrap_or_default();
            let seen = app.seen_by(caller);
            let (id, config) = stored_config::find(seen, account, &named, application).await?;
            admission.canary_config_id = Some(id.to_string());
            admission.configuration_account = Some(account.to_owned());
            admission.config = config;
        }
        (None, Some(config)) => {
            admission.config = config;
            admission.config.drop_nulls();
            judges::check(&app.config, &admission.config)?;
        }
        _ => {
            return Err(Error::Invalid(
                "one of canaryConfigId, canaryConfigName and canaryConfig must be given".to_owned(),
            ));
        }
    }
    let now = Timestamp::from_millisecond(app.clock.now_millis()).unwrap_or_default();
    admission.request = completed(request, &admission.config, now)?;
    refuse_doubtful(&admission.request, &admission.config, now)?;
    let admitted = start(app, admission).await?;
    Ok((admitted.id, admitted.is_new))
}

/// Kayenta would take it.
fn refuse_doubtful(
    request: &CanaryExecutionRequest,
    config: &CanaryConfig,
    now: Timestamp,
) -> Result<()> {
    let mut notes = request.notes(now.as_millisecond());
    notes.extend(asked::of_config(config));
    match notes.as_slice() {
        [] => Ok(()),
        notes => Err(Error::Invalid(notes.join("; "))),
    }
}

fn named(request: &CanaryVerdictRequest) -> Option<Named> {
    let id = request.canary_config_id.clone().map(Named::Id);
    id.or_else(|| request.canary_config_name.clone().map(Named::Name))
}

/// The request as `POST /canary` takes it: with both sides of every scope, their windows and steps.
fn completed(
    request: CanaryVerdictRequest,
    config: &CanaryConfig,
    now: Timestamp,
) -> Result<CanaryExecutionRequest> {
    let mut whole = request.execution_request.unwrap_or_default();
    whole.thresholds = whole.thresholds.or(request.thresholds);
    whole.metadata = whole.metadata.or(request.metadata);
    whole.site_local = whole.site_local.or(request.site_local);
    whole.actions = whole.actions.or(request.actions);
    whole.scopes = whole.scopes.or(request.scopes);
    let pair = CanaryScopePair {
        control_scope: request.control_scope,
        experiment_scope: request.experiment_scope,
    };
    if whole.scopes.is_none() && pair != CanaryScopePair::default() {
        whole.scopes = Some(for_all_scopes(config, &pair));
    }
    let window = match &request.lookback {
        Some(text) => (Some(Instant(before_now(text, now)?)), Some(Instant(now))),
        None => (request.start, request.end),
    };
    let pairs = whole.scopes.iter_mut().flat_map(IndexMap::values_mut);
    for pair in pairs {
        let CanaryScopePair {
            control_scope,
            experiment_scope,
        } = pair;
        for side in control_scope.iter_mut().chain(experiment_scope) {
            complete(side, window, request.step)?;
        }
    }
    Ok(whole)
}

fn for_all_scopes(
    config: &CanaryConfig,
    pair: &CanaryScopePair,
) -> IndexMap<String, CanaryScopePair> {
    let metrics = config.metrics.iter().flatten();
    let names = metrics.filter_map(|metric| metric.scope_name.clone());
    let names = names.collect::<IndexSet<String>>().into_iter();
    names.map(|name| (name, pair.clone())).collect()
}

fn complete(
    side: &mut CanaryScope,
    window: (Option<Instant>, Option<Instant>),
    step: Option<i64>,
) -> Result<()> {
    side.start = side.start.or(window.0);
    side.end = side.end.or(window.1);
    side.step = side.step.or(step).or(Some(STEP));
    if side.start.is_none() || side.end.is_none() {
        return Err(Error::Invalid(
            "when to look is missing: give lookback, as in '10m', or start and end".to_owned(),
        ));
    }
    Ok(())
}

fn before_now(text: &str, now: Timestamp) -> Result<Timestamp> {
    let duration = duration(text).ok().filter(|duration| !duration.is_zero());
    let start = duration.and_then(|duration| now.checked_sub(duration).ok());
    start.ok_or_else(|| {
        Error::Invalid(format!(
            "'{text}' is no value for 'lookback', which wants a time with its unit, as in '10m'"
        ))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// 2024-06-01T02:00:00Z
    const NOW: i64 = 1_717_207_200;

    fn completed_of(request: Value) -> Result<Value> {
        let config = json!({"metrics": [{"name": "a", "scopeName": "one"}, {"name": "b", "scopeName": "two"}]});
        let whole = completed(
            serde_json::from_value(request).unwrap(),
            &serde_json::from_value(config).unwrap(),
            Timestamp::from_second(NOW).unwrap(),
        )?;
        Ok(serde_json::to_value(whole).unwrap())
    }

    #[test]
    fn two_names_and_a_window_are_a_whole_request() {
        let request = json!({
            "controlScope": "v1", "experimentScope": {"scope": "v2", "location": "eu", "step": 15},
            "lookback": "10m", "thresholds": {"pass": 95, "marginal": 75},
        });
        let whole = completed_of(request).unwrap();
        let pair = json!({
            "controlScope": {"scope": "v1", "start": "2024-06-01T01:50:00Z", "end": "2024-06-01T02:00:00Z", "step": 60},
            "experimentScope": {"scope": "v2", "location": "eu", "start": "2024-06-01T01:50:00Z", "end": "2024-06-01T02:00:00Z", "step": 15},
        });
        assert_eq!(whole["scopes"], json!({"one": pair, "two": pair}));
        assert_eq!(whole["thresholds"], json!({"pass": 95.0, "marginal": 75.0}));
    }

    #[test]
    fn bodies_of_post_canary_stay_as_they_are() {
        let side = |name: &str| json!({"scope": name, "start": "2024-06-01T01:00:00Z", "end": "2024-06-01T01:05:00Z", "step": 30});
        let request = json!({
            "scopes": {"one": {"controlScope": side("v1"), "experimentScope": side("v2")}},
            "thresholds": {"pass": 95.0, "marginal": 75.0}, "siteLocal": {"a": 1},
            "actions": {"fail": []},
        });
        assert_eq!(completed_of(request.clone()).unwrap(), request);
        let inside = json!({"executionRequest": request});
        assert_eq!(completed_of(inside).unwrap(), request);
    }

    #[test]
    fn a_window_must_be_known() {
        let cases = [
            (json!({}), "lookback, as in '10m'"),
            (
                json!({"start": "2024-06-01T01:00:00Z"}),
                "lookback, as in '10m'",
            ),
            (
                json!({"lookback": "600"}),
                "'600' is no value for 'lookback'",
            ),
            (
                json!({"lookback": "-1h"}),
                "'-1h' is no value for 'lookback'",
            ),
        ];
        for (members, part) in cases {
            let mut request = json!({"controlScope": "v1", "experimentScope": 2});
            for (name, value) in members.as_object().unwrap() {
                request[name] = value.clone();
            }
            let error = completed_of(request).unwrap_err().to_string();
            assert!(error.contains(part), "{members}: {error}");
        }
    }

    #[test]
    fn only_a_pass_passes() {
        let judged = |classification: &str| {
            json!({"complete": true, "status": "succeeded", "result": {"judgeResult": {
                "judgeName": "j", "results": [],
                "score": {"score": 80.5, "classification": classification, "classificationReason": "because"},
            }}})
        };
        let failed = json!({"complete": true, "status": "terminal", "exception": {"details": {"errors": ["no data"]}}});
        let cases = [
            (judged("Pass"), "Pass", true, "because"),
            (judged("Marginal"), "Marginal", false, "because"),
            (judged("Fail"), "Fail", false, "because"),
            (judged("Nodata"), "Inconclusive", false, "because"),
            (judged("Error"), "Error", false, "because"),
            (failed, "Error", false, "No verdict: no data"),
            (
                json!({"complete": true, "status": "canceled"}),
                "Canceled",
                false,
                "Canceled before its end",
            ),
            (
                json!({"status": "running"}),
                "Running",
                false,
                "Its series are being fetched and judged",
            ),
            (
                json!({"status": "not_started"}),
                "Waiting",
                false,
                "It waits for its turn",
            ),
        ];
        let id = Id::parse("x").unwrap();
        for (canary, classification, pass, reason) in cases {
            let canary: CanaryExecutionStatusResponse = serde_json::from_value(canary).unwrap();
            let told = flat(&id, &canary.told(), Some("https://serin"));
            assert_eq!((told.classification, told.pass), (classification, pass));
            assert_eq!(told.reason, reason, "{classification}");
            let has_score = ["Pass", "Marginal", "Fail"].contains(&classification);
            assert_eq!(told.score.is_some(), has_score, "{classification}");
            assert_eq!(told.report_url.as_deref(), Some("https://serin/ui/runs/x"));
        }
    }
}
