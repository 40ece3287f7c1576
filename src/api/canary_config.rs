//! `/canaryConfig`: how to judge.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::accounts::ConfigurationAccount;
use super::examples;
use super::problem::Problem;
use super::query::{self, Query};
use super::refusal::About;
use super::request::{Body, PathId};
use crate::access::Caller;
use crate::app::{App, Seen};
use crate::canary::{CanaryConfig, CanaryConfigSummary};
use crate::config::AccountType::ConfigurationStore;
use crate::error::Result;
use crate::run::configs;

/// The id under which a canary config was stored.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryConfigUpdateResponse {
    canary_config_id: String,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Applications {
    /// repeat it, or separate with commas
    #[serde(default, deserialize_with = "query::list")]
    application: Vec<String>,
}

/// List canary configs
///
/// Of all applications, or of those that are named. An account that is no configuration store and
/// has none stands for the first one.
#[utoipa::path(get, path = "/canaryConfig", tag = "canary-config",
    params(Applications, ConfigurationAccount),
    responses((status = 200, body = Vec<CanaryConfigSummary>, example = json!(examples::canary_config_list())), (status = 400, body = Problem)))]
pub async fn list_canary_configs(
    State(app): State<App>,
    caller: Caller,
    Query(of): Query<Applications>,
    Query(account): Query<ConfigurationAccount>,
) -> Result<Json<Vec<CanaryConfigSummary>>> {
    let account = account.of(&app)?;
    let seen = app.seen_by(&caller);
    let account = if app.keeps(account, ConfigurationStore) {
        account
    } else {
        that_has_configs(seen, &app, account).await?
    };
    Ok(Json(seen.canary_configs(account, &of.application).await?))
}

/// Argo Rollouts looks for configs in the account of its reports, which may have none.
async fn that_has_configs<'a>(seen: Seen<'_>, app: &'a App, account: &'a str) -> Result<&'a str> {
    let has_none = seen.canary_configs(account, &[]).await?.is_empty();
    let first = app.store(None, ConfigurationStore).ok();
    Ok(first.filter(|_| has_none).unwrap_or(account))
}

/// Find a canary config
#[utoipa::path(get, path = "/canaryConfig/{canaryConfigId}", tag = "canary-config",
    params(("canaryConfigId" = String, Path), ConfigurationAccount),
    responses((status = 200, body = CanaryConfig, example = json!(examples::canary_config())), (status = 404, body = Problem)))]
pub async fn find_canary_config(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Query(account): Query<ConfigurationAccount>,
) -> Result<Response> {
    let account = account.of(&app)?;
    let body = app
        .seen_by(&caller)
        .canary_config_body(account, &id)
        .await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// Store a new canary config
///
/// An id that is given is kept; else one is made. Members that serin does not know are kept.
#[utoipa::path(post, path = "/canaryConfig", tag = "canary-config",
    params(ConfigurationAccount),
    request_body(content = CanaryConfig, example = json!(examples::canary_config())),
    responses((status = 200, body = CanaryConfigUpdateResponse), (status = 400, body = Problem)))]
pub async fn store_canary_config(
    State(app): State<App>,
    caller: Caller,
    Query(account): Query<ConfigurationAccount>,
    about: About,
    Body(config): Body<CanaryConfig>,
) -> Result<Json<CanaryConfigUpdateResponse>> {
    about.tell(config.name.as_deref().unwrap_or_default());
    let account = account.of(&app)?;
    let id = configs::create(&app, &caller, account, config).await?;
    Ok(Json(CanaryConfigUpdateResponse {
        canary_config_id: id.to_string(),
    }))
}

/// Replace a canary config
///
/// `createdTimestamp` is kept from the stored config when the body has none.
#[utoipa::path(put, path = "/canaryConfig/{canaryConfigId}", tag = "canary-config",
    params(("canaryConfigId" = String, Path), ConfigurationAccount),
    request_body(content = CanaryConfig, example = json!(examples::canary_config())),
    responses((status = 200, body = CanaryConfigUpdateResponse), (status = 400, body = Problem)))]
pub async fn update_canary_config(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Query(account): Query<ConfigurationAccount>,
    Body(config): Body<CanaryConfig>,
) -> Result<Json<CanaryConfigUpdateResponse>> {
    let account = account.of(&app)?;
    configs::replace(&app, &caller, account, &id, config).await?;
    Ok(Json(CanaryConfigUpdateResponse {
        canary_config_id: id.to_string(),
    }))
}

/// Delete a canary config
#[utoipa::path(delete, path = "/canaryConfig/{canaryConfigId}", tag = "canary-config",
    params(("canaryConfigId" = String, Path), ConfigurationAccount),
    responses((status = 204), (status = 400, body = Problem)))]
pub async fn delete_canary_config(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId,
    Query(account): Query<ConfigurationAccount>,
) -> Result<StatusCode> {
    let account = account.of(&app)?;
    let seen = app.seen_by(&caller);
    seen.delete_canary_config(account, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
