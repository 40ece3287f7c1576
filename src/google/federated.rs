//! Workload identity federation: who another provider says one is, exchanged for a token; and tokens
//! of a service account that one may act as.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::Client;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use super::SCOPE;
use super::file::{Credentials, address};
use crate::clock::Clock;
use crate::http::ask::{self, Failed, Token};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const SECONDS: u32 = 3600;

#[derive(Deserialize)]
pub struct Federated {
    audience: String,
    subject_token_type: String,
    token_url: String,
    credential_source: Subject,
    service_account_impersonation_url: Option<String>,
    #[serde(default)]
    service_account_impersonation: Lifetime,
    client_id: Option<String>,
    client_secret: Option<SecretString>,
    workforce_pool_user_project: Option<String>,
}

/// Where the token of the other provider lies: a file that it keeps fresh, or an address that answers
/// with it.
#[derive(Deserialize)]
struct Subject {
    file: Option<PathBuf>,
    url: Option<String>,
    /// Of AWS, whose requests are signed.
    environment_id: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, SecretString>,
    #[serde(default)]
    format: Format,
}

#[derive(Default, Deserialize)]
struct Format {
    subject_token_field_name: Option<String>,
}

#[derive(Default, Deserialize)]
struct Lifetime {
    token_lifetime_seconds: Option<u32>,
}

/// A service account that other credentials may act as.
#[derive(Deserialize)]
pub struct Impersonated {
    service_account_impersonation_url: String,
    #[serde(default)]
    delegates: Vec<String>,
    source_credentials: Box<Credentials>,
}

impl Federated {
    pub fn check(&self) -> Result<(), String> {
        let Subject {
            file,
            url,
            environment_id,
            ..
        } = &self.credential_source;
        if environment_id.is_some() || (file.is_none() && url.is_none()) {
            return Err(
                "its credential_source must be a file or a url; programs and AWS are not served"
                    .to_owned(),
            );
        }
        let acting = self.service_account_impersonation_url.as_deref();
        address("token_url", Some(&self.token_url))?;
        address("service_account_impersonation_url", acting)
    }

    pub async fn token(&self, client: &Client) -> Result<Token, Failed> {
        let subject = self.credential_source.token(client).await?;
        let subject = subject.expose_secret();
        let mut members = vec![
            ("grant_type", GRANT),
            ("audience", self.audience.as_str()),
            ("scope", SCOPE),
            ("requested_token_type", ACCESS_TOKEN),
            ("subject_token_type", self.subject_token_type.as_str()),
            ("subject_token", subject),
        ];
        let project = self.workforce_pool_user_project.as_ref();
        let options = project.map(|project| json!({"userProject": project}).to_string());
        members.extend(options.as_deref().map(|options| ("options", options)));
        let mut request = ask::form(client, &self.token_url, &members);
        if let (Some(id), Some(secret)) = (&self.client_id, &self.client_secret) {
            request = request.basic_auth(id, Some(secret.expose_secret()));
        }
        let token = ask::token(request, &[subject]).await?;
        match &self.service_account_impersonation_url {
            None => Ok(token),
            Some(url) => {
                let seconds = self.service_account_impersonation.token_lifetime_seconds;
                act_as(client, url, &token, &[], seconds.unwrap_or(SECONDS)).await
            }
        }
    }
}

impl Subject {
    async fn token(&self, client: &Client) -> Result<SecretString, Failed> {
        let text = match (&self.file, &self.url) {
            (Some(path), _) => std::fs::read_to_string(path).map_err(|cause| Failed {
                why: format!("cannot read '{}': {cause}", path.display()),
                // Who keeps it fresh may be late.
                may_pass: true,
            })?,
            (None, Some(url)) => self.asked_for(client, url).await?,
            (None, None) => return Err(Failed::for_good("there is no credential_source")),
        };
        let Some(field) = &self.format.subject_token_field_name else {
            return Ok(text.trim().into());
        };
        let json: Value = serde_json::from_str(&text).unwrap_or_default();
        let token = json[field].as_str().map(SecretString::from);
        token.ok_or_else(|| Failed::for_good(format!("the token of the provider has no '{field}'")))
    }

    async fn asked_for(&self, client: &Client, url: &str) -> Result<String, Failed> {
        let mut request = client.get(url);
        for (name, value) in &self.headers {
            let value = HeaderValue::from_str(value.expose_secret());
            let mut value = value.map_err(|_| {
                Failed::for_good(format!(
                    "the header '{name}' of its credential_source is none"
                ))
            })?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        let answer = ask::answer(request, &[]).await.map_err(|failed| Failed {
            why: format!("the provider of the workload's identity does not tell it: {failed}"),
            ..failed
        })?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

impl Impersonated {
    pub fn check(&self) -> Result<(), String> {
        let url = Some(self.service_account_impersonation_url.as_str());
        address("service_account_impersonation_url", url)?;
        let source = self.source_credentials.check();
        source.map_err(|why| format!("its source_credentials: {why}"))
    }

    pub async fn token(&self, client: &Client) -> Result<Token, Failed> {
        let own = Box::pin(self.source_credentials.token(client)).await?;
        let url = &self.service_account_impersonation_url;
        act_as(client, url, &own, &self.delegates, SECONDS).await
    }
}

async fn act_as(
    client: &Client,
    url: &str,
    own: &Token,
    delegates: &[String],
    seconds: u32,
) -> Result<Token, Failed> {
    let wanted =
        json!({"scope": [SCOPE], "lifetime": format!("{seconds}s"), "delegates": delegates});
    let bearer = own.bearer.expose_secret();
    let request = client.post(url).bearer_auth(bearer).json(&wanted);
    let answer = ask::json(request, &[]).await?;
    let ends = answer["expireTime"]
        .as_str()
        .and_then(|time| time.parse::<Timestamp>().ok());
    match (answer["accessToken"].as_str(), ends) {
        (Some(token), Some(ends)) => {
            let left = ends.as_millisecond() - Clock::System.now_millis();
            let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
            Ok(Token {
                bearer: token.into(),
                lasts: left.min(ask::LONGEST),
            })
        }
        _ => Err(Failed::for_good("an answer without a token")),
    }
}
