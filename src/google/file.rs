//! A file with credentials, of each of the types that Google writes.

use std::path::Path;

use reqwest::Client;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;

use super::SCOPE;
use super::federated::{Federated, Impersonated};
use super::service_account::ServiceAccount;
use crate::http;
use crate::http::ask::{self, Failed, Token};

/// Where tokens are to be had when a file does not say so.
const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";

/// As the files name them.
const TYPES: [&str; 4] = [
    "service_account",
    "external_account",
    "impersonated_service_account",
    "authorized_user",
];

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Credentials {
    ServiceAccount(ServiceAccount),
    /// Workload identity federation.
    ExternalAccount(Federated),
    ImpersonatedServiceAccount(Impersonated),
    /// Who is logged in with gcloud.
    AuthorizedUser(User),
}

#[derive(Deserialize)]
pub struct User {
    client_id: String,
    client_secret: SecretString,
    refresh_token: SecretString,
    token_uri: Option<String>,
}

/// The file, checked as far as it can be without asking anybody.
pub fn read(path: &Path) -> Result<Credentials, Failed> {
    let shown = path.display();
    let text = std::fs::read(path)
        .map_err(|cause| Failed::for_good(format!("cannot read '{shown}': {cause}")))?;
    let credentials = parsed(&text).and_then(|credentials| {
        credentials.check()?;
        Ok(credentials)
    });
    credentials.map_err(|why| Failed::for_good(format!("'{shown}': {why}")))
}

fn parsed(text: &[u8]) -> Result<Credentials, String> {
    // The words of the parser could quote what is secret.
    let json: Value = serde_json::from_slice(text).map_err(|cause| {
        let (line, column) = (cause.line(), cause.column());
        format!("it is no JSON (line {line}, column {column})")
    })?;
    has_known_type(&json)?;
    serde_json::from_value(json).map_err(|cause| {
        let cause = cause.to_string().replace('`', "'");
        match cause.strip_prefix("missing field ") {
            Some(field) => format!("there is no {field}"),
            None => "a member is not what its type has there".to_owned(),
        }
    })
}

/// Its own and those of the credentials within.
fn has_known_type(json: &Value) -> Result<(), String> {
    let known = TYPES.join(", ");
    match json["type"].as_str() {
        Some(kind) if TYPES.contains(&kind) => {}
        Some(kind) => {
            return Err(format!(
                "serin does not know its type '{kind}', but {known}"
            ));
        }
        None => return Err(format!("it has no type; serin knows {known}")),
    }
    let within = json.get("source_credentials").map(has_known_type);
    within
        .unwrap_or(Ok(()))
        .map_err(|why| format!("its source_credentials: {why}"))
}

/// What is secret is sent there: encrypted, or to a stand-in on this machine.
pub fn address(member: &str, url: Option<&str>) -> Result<(), String> {
    let Some(url) = url else { return Ok(()) };
    if http::is_safe(url) {
        Ok(())
    } else {
        Err(format!(
            "its {member} must be an address that begins with 'https://'"
        ))
    }
}

impl Credentials {
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::ServiceAccount(account) => account.check(),
            Self::ExternalAccount(federated) => federated.check(),
            Self::ImpersonatedServiceAccount(account) => account.check(),
            Self::AuthorizedUser(user) => address("token_uri", user.token_uri.as_deref()),
        }
    }

    pub async fn token(&self, client: &Client) -> Result<Token, Failed> {
        match self {
            Self::ServiceAccount(account) => account.token(client).await,
            Self::ExternalAccount(federated) => federated.token(client).await,
            Self::ImpersonatedServiceAccount(account) => account.token(client).await,
            Self::AuthorizedUser(user) => user.token(client).await,
        }
    }
}

impl User {
    async fn token(&self, client: &Client) -> Result<Token, Failed> {
        let (secret, refresh) = (
            self.client_secret.expose_secret(),
            self.refresh_token.expose_secret(),
        );
        let members = [
            ("grant_type", "refresh_token"),
            ("client_id", &self.client_id),
            ("client_secret", secret),
            ("refresh_token", refresh),
            ("scope", SCOPE),
        ];
        let url = self.token_uri.as_deref().unwrap_or(TOKEN_URL);
        ask::token(ask::form(client, url, &members), &[secret, refresh]).await
    }
}
