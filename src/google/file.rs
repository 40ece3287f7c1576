//! A file with credentials, of each of the types that Google writes.

use std::path::Path;

use reqwest::Client;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::form_urlencoded::Serializer;

use super::SCOPE;
use super::ask::{self, Failed, Token};
use super::federated::{Federated, Impersonated};
use super::service_account::ServiceAccount;

/// Where tokens are to be had when a file does not say so.
const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";

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
    // The words of the parser could quote what is secret.
    let parsed: Result<Credentials, _> = serde_json::from_slice(&text);
    let credentials = parsed.map_err(|cause| {
        let (line, column) = (cause.line(), cause.column());
        Failed::for_good(format!(
            "'{shown}' holds no credentials of a type that serin knows (line {line}, column {column}): \
             service_account, external_account, impersonated_service_account and authorized_user"
        ))
    })?;
    let checked = match &credentials {
        Credentials::ServiceAccount(account) => account.check(),
        Credentials::ExternalAccount(federated) => federated.check(),
        Credentials::ImpersonatedServiceAccount(_) | Credentials::AuthorizedUser(_) => Ok(()),
    };
    checked.map_err(|why| Failed::for_good(format!("'{shown}': {why}")))?;
    Ok(credentials)
}

impl Credentials {
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
        ask::token(form(client, url, &members), &[secret, refresh]).await
    }
}

/// A POST as OAuth wants it.
pub fn form(client: &Client, url: &str, members: &[(&str, &str)]) -> reqwest::RequestBuilder {
    let body = Serializer::new(String::new())
        .extend_pairs(members)
        .finish();
    client
        .post(url)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body)
}
