//! `/fetch`: a query tried by itself.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::IntoParams;
use uuid::Uuid;

use super::metric_sets::MetricSetListResponse;
use super::problem::Problem;
use super::query::{Parameters, number};
use super::request;
use crate::access::Caller;
use crate::app::{App, Seen};
use crate::canary::{
    CanaryConfig, CanaryMetricConfig, CanaryMetricSetQueryConfig, CanaryScope, Id, Instant,
};
use crate::config::AccountType::ObjectStore;
use crate::error::{Error, Result};
use crate::metrics::{Language, MetricRequest, Shape, language};
use crate::run::asked;

/// Parameters of a scope by themselves, where a body could hold them too.
const PARAMS: [&str; 2] = ["project", "resourceType"];

/// What there is beside the members of a query, which its language reads.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// an inline template; for Prometheus, `PromQL:` is allowed
    custom_filter: Option<String>,
    scope: Option<String>,
    location: Option<String>,
    /// an ISO 8601 instant; also `startTimeIso`
    start: Option<String>,
    #[param(ignore)]
    start_time_iso: Option<String>,
    /// an ISO 8601 instant; also `endTimeIso`
    end: Option<String>,
    #[param(ignore)]
    end_time_iso: Option<String>,
    #[serde(default)]
    dry_run: bool,
    metrics_account_name: Option<String>,
    /// the first object store, if not given
    storage_account_name: Option<String>,
}

/// Try a Prometheus query
///
/// Fetches as an execution would and stores the metric sets; with `dryRun=true` answers the text
/// of the query instead, or why it would be refused.
#[utoipa::path(post, path = "/fetch/prometheus/query", tag = "accounts",
    params(
        ("metricSetName" = String, Query), ("metricName" = String, Query),
        ("step" = i64, Query, description = "seconds"),
        ("labelBindings" = Option<Vec<String>>, Query), ("groupByFields" = Option<Vec<String>>, Query),
        ("resourceType" = Option<String>, Query), ("project" = Option<String>, Query),
        Asked,
    ),
    responses((status = 200, body = MetricSetListResponse), (status = 400, body = Problem), (status = 503, body = Problem, description = "nothing new is begun or stored just now; `Retry-After` says when to try again")))]
pub async fn query_prometheus(
    State(app): State<App>,
    caller: Caller,
    query: Parameters,
) -> Result<Response> {
    let seen = app.seen_by(&caller);
    seen.may_judge()?;
    let language = of_kind("prometheus")?;
    let asked: Asked = query.parsed()?;
    let metric = metric(&asked, &query, language)?;
    let params = Params::default();
    tried(&app, seen, asked, &query, language, metric, params).await
}

/// Try a query of any metric service
///
/// Members of its queries are parameters, as `metricName`; those that are no texts, as `queryPairs`, are
/// JSON. A body may hold parameters of the scope, or a metric of a canary config as `canaryMetricConfig` and
/// them as `extendedScopeParams`; the metric is then asked as it stands there.
/// Fetches as an execution would and stores the metric sets; with `dryRun=true` answers the text
/// of the query instead, or why it would be refused.
#[utoipa::path(post, path = "/fetch/{service}/query", tag = "accounts",
    params(
        ("service" = String, Path, description = "the type of the query, as `datadog`"),
        ("metricSetName" = Option<String>, Query, description = "needed, unless the body has the metric"),
        ("step" = Option<i64>, Query, description = "seconds"),
        Asked,
    ),
    request_body(content = Option<std::collections::BTreeMap<String, Value>>, description = "parameters of the scope, or `canaryMetricConfig` and `extendedScopeParams`"),
    responses((status = 200, body = MetricSetListResponse), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn query_service(
    State(app): State<App>,
    caller: Caller,
    Path(service): Path<String>,
    query: Parameters,
    body: Bytes,
) -> Result<Response> {
    let seen = app.seen_by(&caller);
    seen.may_judge()?;
    let language = of_kind(&service)?;
    let Body {
        canary_metric_config,
        extended_scope_params,
    } = Body::of(&body)?;
    let asked: Asked = query.parsed()?;
    let metric = match canary_metric_config {
        Some(metric) => metric,
        None => metric(&asked, &query, language)?,
    };
    let params = extended_scope_params;
    tried(&app, seen, asked, &query, language, metric, params).await
}

type Params = indexmap::IndexMap<String, String>;

/// Parameters of a scope, or a metric as it stands in a canary config, with them beside it.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    canary_metric_config: Option<CanaryMetricConfig>,
    #[serde(default)]
    extended_scope_params: Params,
}

impl Body {
    fn of(body: &Bytes) -> Result<Self> {
        if body.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        let members: Map<String, Value> = request::parse(body)?;
        let has_metric = members
            .get("canaryMetricConfig")
            .is_some_and(Value::is_object);
        if has_metric {
            return request::parse(body);
        }
        Ok(Self {
            extended_scope_params: request::parse(body)?,
            ..Self::default()
        })
    }
}

fn of_kind(kind: &str) -> Result<&'static dyn Language> {
    language(kind).ok_or_else(|| {
        let kinds = crate::metrics::kinds().join(", ");
        Error::NotFound(format!(
            "there is no metric service '{kind}' here; there are {kinds}"
        ))
    })
}

async fn tried(
    app: &App,
    seen: Seen<'_>,
    asked: Asked,
    query: &Parameters,
    language: &dyn Language,
    metric: CanaryMetricConfig,
    params: Params,
) -> Result<Response> {
    let kind = language.kind();
    let (account, source) = app.metric_source_of(asked.metrics_account_name.as_deref(), kind)?;
    seen.may_ask(account)?;
    let store = app.store(asked.storage_account_name.as_deref(), ObjectStore)?;
    let is_dry = asked.dry_run;
    let scope = scope(app, asked, query, language, params)?;
    let request = MetricRequest {
        config: &CanaryConfig::default(),
        metric: &metric,
        scope: &scope,
        longest: app.config.limits.query_text,
        is_reused: true,
    };
    if is_dry {
        return Ok(Json(json!({"query": source.query(&request)?})).into_response());
    }
    app.check_open()?;
    seen.check_room(store).await?;
    let sets = source.fetch(&request, &app.budget.share_by_hand()).await?;
    let id = Id::parse(&Uuid::new_v4().to_string())?;
    seen.put_fetched(account, store, &id, &sets).await?;
    Ok(Json(MetricSetListResponse {
        metric_set_list_id: id.to_string(),
    })
    .into_response())
}

fn metric(
    asked: &Asked,
    query: &Parameters,
    language: &dyn Language,
) -> Result<CanaryMetricConfig> {
    for parameter in language.needed_to_fetch() {
        query.required(parameter)?;
    }
    let mut members = Map::new();
    for member in language.members() {
        let name = member.name;
        if member.shape == Shape::Texts {
            members.insert(name.to_owned(), query.list(name).into());
        } else if let Some(text) = query.text(name) {
            let value = match member.shape {
                Shape::Text | Shape::Texts => text.into(),
                Shape::Pairs | Shape::Named => json_of(name, text)?,
            };
            members.insert(name.to_owned(), value);
        }
    }
    for (name, value) in language.fixed() {
        members.insert((*name).to_owned(), (*value).into());
    }
    if let Some(template) = &asked.custom_filter {
        members.insert("customInlineTemplate".to_owned(), template.as_str().into());
    }
    Ok(CanaryMetricConfig {
        name: Some(query.required("metricSetName")?.to_owned()),
        query: Some(CanaryMetricSetQueryConfig::new(language.kind(), members)),
        ..CanaryMetricConfig::default()
    })
}

fn json_of(member: &str, text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|cause| {
        Error::Invalid(format!(
            "'{member}' is to be JSON, as in a canary config, and cannot be read: {cause}"
        ))
    })
}

fn scope(
    app: &App,
    asked: Asked,
    query: &Parameters,
    language: &dyn Language,
    mut params: Params,
) -> Result<CanaryScope> {
    let now = app.clock.now_millis();
    let defaults = app.config.sources.defaults(language.kind());
    let usual = [&defaults.project, &defaults.resource_type];
    for name in language.scope_params() {
        if let Some(value) = query.text(name) {
            params.insert((*name).to_owned(), value.to_owned());
        }
    }
    for (name, usual) in PARAMS.into_iter().zip(usual) {
        if let Some(value) = query.text(name).or(usual.as_deref()) {
            params.insert(name.to_owned(), value.to_owned());
        }
    }
    let start = asked.start.or(asked.start_time_iso);
    let start = start.or_else(|| defaults.start.clone());
    let end = asked.end.or(asked.end_time_iso);
    let end = end.or_else(|| defaults.end.clone());
    let step = query.text("step").map(|text| match language.step(text) {
        Some(step) => Ok(step),
        None => number("step", text),
    });
    Ok(CanaryScope {
        scope: asked.scope.or_else(|| defaults.scope.clone()),
        location: asked.location.or_else(|| defaults.location.clone()),
        start: instant("start", start, now)?,
        end: instant("end", end, now)?,
        step: step.transpose()?,
        extended_scope_params: Some(params.into_iter().collect()),
    })
}

fn instant(name: &str, text: Option<String>, now: i64) -> Result<Option<Instant>> {
    text.map(|text| {
        // A '+' in a query is a blank; an offset such as '+02:00' may come unescaped.
        asked::instant(&text.replace(' ', "+"), now).ok_or_else(|| {
            Error::Invalid(format!(
                "'{text}' is not an instant; '{name}' wants one like 2024-05-01T10:00:00Z or now-1h"
            ))
        })
    })
    .transpose()
}
