//! `/credentials`: the accounts.

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Problem;
use crate::access::Caller;
use crate::app::{App, Operator};
use crate::audit::{Deed, What};
use crate::config::Account;
use crate::error::Result;

/// An account, without its secrets.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountCredentials {
    name: String,
    #[serde(rename = "type")]
    #[schema(example = "prometheus")]
    kind: &'static str,
    #[schema(example = json!(["METRICS_STORE"]))]
    supported_types: Vec<&'static str>,
    locations: Vec<String>,
    recommended_locations: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<Endpoint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket_location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    root_folder: Option<String>,
    /// Of an account that is one of several sources of its section.
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics_store_type: Option<&'static str>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    base_url: String,
}

/// List accounts
///
/// In the order of the configuration. User names and file names stay inside, unlike in Kayenta.
#[utoipa::path(get, path = "/credentials", tag = "accounts", responses((status = 200, body = Vec<AccountCredentials>)))]
pub async fn list_credentials(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<Vec<AccountCredentials>>> {
    let seen = app.seen_by(&caller);
    seen.reads()?;
    let told = |account| {
        let whole = describe(account);
        if seen.sees_places() {
            whole
        } else {
            whole.without_places()
        }
    };
    Ok(Json(app.accounts().into_iter().map(told).collect()))
}

/// Forget an account until the next start
///
/// An unknown name is no error.
#[utoipa::path(delete, path = "/credentials/{accountName}", tag = "accounts",
    params(("accountName" = String, Path)),
    responses((status = 200), (status = 403, description = "without the role `admin`", body = Problem)))]
pub async fn delete_credentials(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(name): Path<String>,
) -> Result<()> {
    app.remove_account(&name);
    let seen = app.seen_by(&caller);
    seen.did(Deed::AccountRemoved, What::Account, &name, "")
        .await
}

impl AccountCredentials {
    fn without_places(self) -> Self {
        Self {
            endpoint: None,
            project: None,
            bucket: None,
            bucket_location: None,
            region: None,
            root_folder: None,
            ..self
        }
    }
}

fn describe(account: &Account) -> AccountCredentials {
    let face = account.face.clone();
    let types = account.supported_types.iter();
    AccountCredentials {
        name: account.name.clone(),
        kind: face.word,
        supported_types: types.map(|supported| supported.as_str()).collect(),
        locations: account.locations.clone(),
        recommended_locations: account.recommended_locations.clone(),
        endpoint: face.base_url.map(|base_url| Endpoint { base_url }),
        project: face.project,
        bucket: face.bucket,
        bucket_location: face.bucket_location,
        region: face.region,
        root_folder: face.root_folder,
        metrics_store_type: face.metrics_store_type,
    }
}
