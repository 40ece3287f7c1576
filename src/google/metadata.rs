//! The metadata server of a machine of Google's, and of a pod with workload identity.

use std::collections::BTreeMap;

use reqwest::Client;

use super::SCOPE;
use crate::http::ask::{self, Failed, Token};

const USUAL: &str = "metadata.google.internal";

pub fn host(environment: &BTreeMap<String, String>) -> String {
    let host = environment.get("GCE_METADATA_HOST");
    let host = host.filter(|host| !host.is_empty());
    host.map_or(USUAL, String::as_str).to_owned()
}

pub async fn token(client: &Client, host: &str) -> Result<Token, Failed> {
    let account = format!("http://{host}/computeMetadata/v1/instance/service-accounts/default");
    let request = client
        .get(format!("{account}/token"))
        .query(&[("scopes", SCOPE)])
        .header("metadata-flavor", "Google");
    let token = ask::token(request, &[]).await;
    token.map_err(|failed| Failed {
        why: format!(
            "no file with credentials is given, and the metadata server does not answer with a token: {failed}"
        ),
        ..failed
    })
}
