//! Cloud Storage and Secret Manager, with the credentials that Google's own tools find.

use reqwest::Client;
use secrecy::ExposeSecret;
use serde_json::Value;

use super::decoded;
use crate::google::{self, Tokens};
use crate::http::escaped;
use crate::{config, http};

const STORAGE: &str = "https://storage.googleapis.com";

pub async fn object(bucket: &str, file: &str) -> Result<Vec<u8>, String> {
    let url = endpoint("STORAGE_EMULATOR_HOST", STORAGE);
    // What stands in for Google is sent no token.
    let with_token = url == STORAGE;
    let (bucket, file) = (escaped(bucket), escaped(file));
    ask(
        &format!("{url}/storage/v1/b/{bucket}/o/{file}?alt=media"),
        with_token,
    )
    .await
}

pub async fn secret(project: &str, secret: &str, version: &str) -> Result<Vec<u8>, String> {
    let url = endpoint(
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER",
        "https://secretmanager.googleapis.com",
    );
    let [project, secret, version] = [project, secret, version].map(escaped);
    let place = format!("projects/{project}/secrets/{secret}/versions/{version}:access");
    let with_token = url.starts_with("https:");
    let answer = ask(&format!("{url}/v1/{place}"), with_token).await?;
    let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
    match answer["payload"]["data"].as_str() {
        Some(data) => decoded(data.as_bytes()),
        None => Err("Secret Manager answers without a secret".to_owned()),
    }
}

async fn ask(url: &str, with_token: bool) -> Result<Vec<u8>, String> {
    let scheme = url.split(':').next().unwrap_or_default();
    let client: Client = http::trusting(http::client(), scheme, Vec::new())
        .build()
        .map_err(|cause| http::in_words(&cause))?;
    let mut request = client.get(url);
    if with_token {
        let tokens = Tokens::open(None, &config::environment())?;
        let bearer = tokens.bearer().await.map_err(|failed| failed.why)?;
        request = request.bearer_auth(bearer.expose_secret());
    }
    google::answer(request, &[])
        .await
        .map_err(|failed| failed.why)
}

/// A service of one's own, as Google's own tools are told of it.
fn endpoint(variable: &str, usual: &str) -> String {
    let environment = config::environment();
    let given = environment.get(variable).filter(|url| !url.is_empty());
    let url = given.map_or(usual, String::as_str).trim_end_matches('/');
    if url.contains("://") {
        url.to_owned()
    } else {
        format!("http://{url}")
    }
}
