//! The plan in the words of the API.

use std::time::Duration;

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::plan::{Analysis, Plan, Side, Sides};
use super::times::{self, Window};
use crate::canary::{Kind, iso_from_millis};
use crate::command::client::{Client, Failure};
use crate::command::exit::Usage;
use crate::http::escaped;

const DEFAULT_STEP: i64 = 60;
const DEFAULT_PASS: f64 = 95.0;
const DEFAULT_MARGINAL: f64 = 75.0;
const DEFAULT_SCOPE: &str = "default";

/// A POST that starts what the plan says.
#[derive(Debug)]
pub struct Start {
    pub kind: Kind,
    pub path: String,
    pub body: Value,
    /// Of the config that the server is to have.
    pub config_id: Option<String>,
    /// One line for people: what is compared, and when.
    pub title: String,
}

impl Start {
    /// `config` comes with the run; without it, the server has the config.
    pub async fn of(
        plan: &Plan,
        config: Option<Value>,
        client: &Client,
        now: i64,
    ) -> anyhow::Result<Self> {
        let kind = match plan.analysis {
            Some(_) => Kind::Analysis,
            None => Kind::Canary,
        };
        let request = match &plan.analysis {
            Some(analysis) => analysis_request(plan, analysis, now)?,
            None => canary_request(plan, now)?,
        };
        let (path, body, config_id, of_config) = if let Some(config) = config {
            let of_config = only_application(&config);
            let body = json!({"canaryConfig": config, "executionRequest": request});
            (kind.path().to_owned(), body, None, of_config)
        } else {
            let (id, config) = stored_config(plan, client).await?;
            let path = format!("{}/{}", kind.path(), escaped(&id));
            (path, request, Some(id), only_application(&config))
        };
        let application = plan.application.as_deref().or(of_config.as_deref());
        Ok(Self {
            kind,
            path: path + &query(plan, application),
            body,
            config_id,
            title: title(plan, now)?,
        })
    }
}

/// Of a config that names one and no other.
fn only_application(config: &Value) -> Option<String> {
    match config["applications"].as_array()?.as_slice() {
        [Value::String(one)] if !one.is_empty() => Some(one.clone()),
        _ => None,
    }
}

fn query(plan: &Plan, application: Option<&str>) -> String {
    let accounts = &plan.accounts;
    let parameters = [
        ("application", application),
        ("metricsAccountName", accounts.metrics.as_deref()),
        ("storageAccountName", accounts.storage.as_deref()),
        (
            "configurationAccountName",
            accounts.configuration.as_deref(),
        ),
    ];
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in parameters {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    match query.finish() {
        query if query.is_empty() => query,
        query => format!("?{query}"),
    }
}

/// The id of the config that the server has, and what is known of it.
async fn stored_config(plan: &Plan, client: &Client) -> anyhow::Result<(String, Value)> {
    let query = query(plan, plan.application.as_deref());
    let Some(name) = &plan.canary_config_name else {
        let id = plan.canary_config_id.clone().unwrap_or_default();
        let config = match plan.application {
            Some(_) => Value::Null,
            None => config_of(client, &id, &query).await?,
        };
        return Ok((id, config));
    };
    let list = client.get(&format!("/canaryConfig{query}")).await?;
    let configs = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let of_name = configs
        .iter()
        .filter(|config| config["name"] == json!(name));
    let ids = of_name.filter_map(|config| Some((config["id"].as_str()?, config)));
    let ids: Vec<(&str, &Value)> = ids.collect();
    match ids.as_slice() {
        [(id, config)] => Ok(((*id).to_owned(), (*config).clone())),
        [] => {
            let names = configs.iter().filter_map(|config| config["name"].as_str());
            let names: Vec<&str> = names.take(20).collect();
            let known = match names.as_slice() {
                [] => "there are none".to_owned(),
                names => format!("there are {}", names.join(", ")),
            };
            Err(Usage(format!("no canary config has the name '{name}'; {known}")).into())
        }
        several => {
            let ids: Vec<&str> = several.iter().map(|(id, _)| *id).collect();
            Err(Usage(format!(
                "several canary configs have the name '{name}': {}; name one by canaryConfigId",
                ids.join(", ")
            ))
            .into())
        }
    }
}

/// Nothing where it may not be read: the start tells what is wrong with it.
async fn config_of(client: &Client, id: &str, query: &str) -> Result<Value, Failure> {
    let path = format!("/canaryConfig/{}{query}", escaped(id));
    match client.get(&path).await {
        Err(failure) if failure.is_clients_fault() => Ok(Value::Null),
        found => found,
    }
}

fn canary_request(plan: &Plan, now: i64) -> Result<Value, Usage> {
    let mut scopes = Map::new();
    for (name, sides) in sides(plan)? {
        let side = |side: &Side| -> Result<Value, Usage> {
            let window = window(plan, side, now)?;
            Ok(json!({
                "scope": side.scope,
                "location": location(plan, side),
                "start": window.start_iso(),
                "end": window.end_iso(),
                "step": step(plan, side),
                "extendedScopeParams": params(plan, side),
            }))
        };
        let pair = json!({
            "controlScope": side(&sides.control)?,
            "experimentScope": side(&sides.experiment)?,
        });
        scopes.insert(name, pair);
    }
    Ok(with_extras(
        plan,
        json!({"scopes": scopes, "thresholds": thresholds(plan)?}),
    ))
}

fn analysis_request(plan: &Plan, analysis: &Analysis, now: i64) -> Result<Value, Usage> {
    let is_past = plan.window.is_some() || plan.end.is_some();
    if is_past && analysis.lifetime.is_some() {
        let both =
            "lifetime is how long to analyse what comes, window and end are of the past; give one";
        return Err(Usage(both.to_owned()));
    }
    if analysis.lifetime.is_none() && !is_past {
        return Err(Usage(
            "how long is to be analysed? --lifetime 60m says it, or start and end of the past"
                .to_owned(),
        ));
    }
    let mut scopes = Vec::new();
    for (name, sides) in sides(plan)? {
        let (control, experiment) = (&sides.control, &sides.experiment);
        let differs = |what| {
            Usage(format!(
                "{what} of control and experiment differ; an analysis has one for both"
            ))
        };
        if params(plan, control) != params(plan, experiment) {
            return Err(differs("params"));
        }
        if step(plan, control) != step(plan, experiment) {
            return Err(differs("steps"));
        }
        let times = [
            &control.start,
            &control.end,
            &experiment.start,
            &experiment.end,
        ];
        if times.iter().any(|time| time.is_some()) {
            return Err(Usage(
                "an analysis has one window for both sides; controlOffset moves that of the control"
                    .to_owned(),
            ));
        }
        let mut scope = json!({
            "scopeName": name,
            "controlScope": control.scope,
            "controlLocation": location(plan, control),
            "controlOffsetInMinutes": minutes("controlOffset", analysis.control_offset)?.unwrap_or(0),
            "experimentScope": experiment.scope,
            "experimentLocation": location(plan, experiment),
            "step": step(plan, control),
            "extendedScopeParams": params(plan, control),
        });
        if is_past {
            let window = times::window(
                plan.window.as_deref(),
                plan.start.as_deref(),
                plan.end.as_deref(),
                now,
            )?;
            scope["startTimeIso"] = json!(window.start_iso());
            scope["endTimeIso"] = json!(window.end_iso());
        } else if let Some(start) = &plan.start {
            scope["startTimeIso"] = json!(iso_from_millis(times::instant("start", start, now)?));
        }
        scopes.push(scope);
    }
    let request = json!({
        "scopes": scopes,
        "thresholds": thresholds(plan)?,
        "lifetimeDurationMins": minutes("lifetime", analysis.lifetime)?,
        "analysisIntervalMins": minutes("interval", analysis.interval)?,
        "beginAfterMins": minutes("beginAfter", analysis.begin_after)?.unwrap_or(0),
        "lookbackMins": minutes("lookback", analysis.lookback)?.unwrap_or(0),
        "judgeRemainder": true,
    });
    Ok(with_extras(plan, request))
}

/// The API counts whole minutes.
fn minutes(name: &str, duration: Option<Duration>) -> Result<Option<u64>, Usage> {
    let Some(duration) = duration else {
        return Ok(None);
    };
    if duration.as_secs().is_multiple_of(60) && duration.subsec_nanos() == 0 {
        return Ok(Some(duration.as_secs() / 60));
    }
    Err(Usage(format!(
        "{name} is {} s; whole minutes are wanted",
        duration.as_secs_f64()
    )))
}

fn with_extras(plan: &Plan, mut request: Value) -> Value {
    for (name, value) in [("siteLocal", &plan.site_local), ("actions", &plan.actions)] {
        if let Some(value) = value {
            request[name] = value.clone();
        }
    }
    request
}

/// The named scopes, each with a control and an experiment that say what they select.
fn sides(plan: &Plan) -> Result<IndexMap<String, Sides>, Usage> {
    let mut all = plan.scopes.clone();
    match (&plan.control, &plan.experiment) {
        (None, None) => {}
        (Some(control), Some(experiment)) => {
            let sides = Sides {
                control: control.clone(),
                experiment: experiment.clone(),
            };
            if all.insert(DEFAULT_SCOPE.to_owned(), sides).is_some() {
                let twice = "scopes.default is there beside control and experiment; give one";
                return Err(Usage(twice.to_owned()));
            }
        }
        (None, Some(_)) => return Err(missing("control")),
        (Some(_), None) => return Err(missing("experiment")),
    }
    if all.is_empty() {
        return Err(Usage(
            "what is compared? --control v1 --experiment v2 are the scopes of both sides"
                .to_owned(),
        ));
    }
    Ok(all)
}

fn missing(side: &str) -> Usage {
    Usage(format!(
        "{side} is missing; --{side} NAME is its scope, what ${{scope}} stands for in the queries"
    ))
}

fn window(plan: &Plan, side: &Side, now: i64) -> Result<Window, Usage> {
    let end = side.end.as_deref().or(plan.end.as_deref());
    match &side.start {
        // A start of its own leaves the window of both to the other side.
        Some(start) => times::window(None, Some(start), end, now),
        None => times::window(plan.window.as_deref(), plan.start.as_deref(), end, now),
    }
}

fn location<'a>(plan: &'a Plan, side: &'a Side) -> Option<&'a str> {
    side.location.as_deref().or(plan.location.as_deref())
}

fn step(plan: &Plan, side: &Side) -> i64 {
    side.step.or(plan.step).unwrap_or(DEFAULT_STEP)
}

fn params(plan: &Plan, side: &Side) -> IndexMap<String, String> {
    let mut params = plan.params.clone();
    params.extend(side.params.clone());
    params
}

fn thresholds(plan: &Plan) -> Result<Value, Usage> {
    let given = plan.thresholds;
    let pass = given.pass.unwrap_or(DEFAULT_PASS);
    let marginal = given.marginal.unwrap_or(DEFAULT_MARGINAL.min(pass));
    if pass < marginal {
        return Err(Usage(format!(
            "marginal {marginal} lies above pass {pass}: let it be the lower one"
        )));
    }
    Ok(json!({"pass": pass, "marginal": marginal}))
}

fn title(plan: &Plan, now: i64) -> Result<String, Usage> {
    let mut parts = Vec::new();
    for (name, sides) in sides(plan)? {
        let scope = |side: &Side| side.scope.clone().unwrap_or_default();
        let pair = format!("{} → {}", scope(&sides.control), scope(&sides.experiment));
        parts.push(match name.as_str() {
            DEFAULT_SCOPE => pair,
            name => format!("{name}: {pair}"),
        });
    }
    if let Some(lifetime) = plan.analysis.and_then(|analysis| analysis.lifetime) {
        parts.push(format!("for {} min", lifetime.as_secs() / 60));
    } else if let Some((_, sides)) = sides(plan)?.first() {
        let window = window(plan, &sides.experiment, now)?;
        parts.push(format!("{} to {}", window.start_iso(), window.end_iso()));
    }
    Ok(parts.join(", "))
}
