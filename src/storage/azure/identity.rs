//! Who serin runs as, in the eyes of Azure: who has a secret, a pod with workload identity, an app, or a machine.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Client, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};

use crate::clock::Clock;
use crate::config::{AzureGiver, AzureIdentity, AzureProof};
use crate::http::ask::{self, Failed, Token};
use crate::http::{self, Giver};

/// Of storage, in every cloud.
const RESOURCE: &str = "https://storage.azure.com/";
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// For one request of those that a token takes.
const ATTEMPT: Duration = Duration::from_secs(5);

pub struct Identity {
    identity: AzureIdentity,
    client: Client,
}

impl Identity {
    /// # Errors
    /// Why there is no client.
    pub fn open(identity: &AzureIdentity) -> Result<Self, String> {
        let client = http::client()
            .timeout(ATTEMPT)
            .redirect(reqwest::redirect::Policy::none());
        let client = match &identity.giver {
            AzureGiver::Directory { authority, .. } if !http::is_safe(authority) => {
                return Err("AZURE_AUTHORITY_HOST must begin with 'https://'".to_owned());
            }
            AzureGiver::Directory { .. } => client,
            // No proxy of the environment reaches this machine's own.
            AzureGiver::App { .. } | AzureGiver::Machine { .. } => client.no_proxy(),
        };
        Ok(Self {
            identity: identity.clone(),
            client: client.build().map_err(|cause| http::in_words(&cause))?,
        })
    }

    /// Of this machine or app; which of its identities, if it has several.
    fn own(&self, url: &str, version: &str) -> RequestBuilder {
        let mut query = vec![("api-version", version), ("resource", RESOURCE)];
        let client = self.identity.client_id.as_deref();
        query.extend(client.map(|client| ("client_id", client)));
        self.client.get(url).query(&query)
    }
}

#[async_trait]
impl Giver for Identity {
    const WHOSE: &'static str = "Azure";

    async fn ask(&self) -> Result<Token, Failed> {
        match &self.identity.giver {
            AzureGiver::Directory {
                authority,
                tenant,
                proof,
            } => {
                let proved = proved(proof)?;
                let proved = proved.expose_secret();
                let client = self.identity.client_id.as_deref().unwrap_or_default();
                let scope = format!("{RESOURCE}.default");
                let mut form = vec![
                    ("grant_type", "client_credentials"),
                    ("client_id", client),
                    ("scope", &scope),
                ];
                match proof {
                    AzureProof::File(_) => form.extend([
                        ("client_assertion_type", ASSERTION),
                        ("client_assertion", proved),
                    ]),
                    AzureProof::Secret(_) => form.push(("client_secret", proved)),
                }
                let tenant = http::escaped(tenant);
                let url = format!("{authority}/{tenant}/oauth2/v2.0/token");
                ask::token(ask::form(&self.client, &url, &form), &[proved]).await
            }
            AzureGiver::App { endpoint, header } => {
                let header = header.expose_secret();
                let request = self
                    .own(endpoint, "2019-08-01")
                    .header("x-identity-header", header);
                let answer = ask::json(request, &[header]).await?;
                let ends = &answer["expires_on"];
                let ends = ends.as_i64().or_else(|| ends.as_str()?.parse().ok());
                let (Some(bearer), Some(ends)) = (answer["access_token"].as_str(), ends) else {
                    return Err(Failed::for_good("an answer without a token"));
                };
                let left = ends.saturating_mul(1000) - Clock::System.now_millis();
                let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
                Ok(Token {
                    bearer: bearer.into(),
                    lasts: left.min(ask::LONGEST),
                })
            }
            AzureGiver::Machine { url } => {
                let request = self.own(url, "2018-02-01").header("metadata", "true");
                let token = ask::token(request, &[]).await;
                token.map_err(|failed| Failed {
                    why: format!(
                        "no credentials are given, and this machine does not answer with a token: {failed}"
                    ),
                    ..failed
                })
            }
        }
    }
}

/// What is sent; a file is read at each renewal, as it is changed.
fn proved(proof: &AzureProof) -> Result<SecretString, Failed> {
    match proof {
        AzureProof::Secret(secret) => Ok(secret.clone()),
        AzureProof::File(file) => {
            let read = std::fs::read_to_string(file).map_err(|cause| Failed {
                why: format!("cannot read '{}': {cause}", file.display()),
                may_pass: true,
            })?;
            Ok(read.trim().into())
        }
    }
}
