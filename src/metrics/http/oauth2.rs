//! Tokens of an authorization server, by the grant of client credentials (RFC 6749, 4.4).

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::RequestBuilder;
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret, SecretString};
use url::Url;
use url::form_urlencoded::byte_serialize;

use super::connect::{content, own_of, trusted};
use crate::config::{OAuth2, Proof};
use crate::http::ask::{Failed, Token, form, token};
use crate::http::{self, Giver, Rotating, Tokens};

/// For one request of those that a token takes.
const ATTEMPT: Duration = Duration::from_secs(5);
/// RFC 7523, 2.2.
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Those of one account.
pub struct ClientCredentials(Tokens<Grant>);

struct Grant {
    settings: OAuth2,
    http: Rotating,
    /// Whether the server was heard to want the secret in the form: all should take it in the head.
    is_in_form: AtomicBool,
}

/// Where the proof of a client stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Head,
    Form,
}

impl ClientCredentials {
    /// # Errors
    /// Why its certificates can never do.
    pub fn open(settings: &OAuth2) -> Result<Self, String> {
        let url = Url::parse(&settings.token_url).map_err(|cause| cause.to_string())?;
        let trusted = settings
            .ca_file
            .as_deref()
            .map_or_else(|| Ok(Vec::new()), trusted)?;
        let scheme = url.scheme().to_owned();
        let builder = move || {
            let builder = http::client()
                .timeout(ATTEMPT)
                .redirect(Policy::none())
                .referer(false);
            http::trusting(builder, &scheme, trusted.clone())
        };
        Ok(Self(Tokens::of(Grant {
            http: Rotating::open(settings.certificate.as_ref().map(own_of), builder)?,
            settings: settings.clone(),
            is_in_form: AtomicBool::new(false),
        })))
    }

    pub async fn bearer(&self) -> Result<SecretString, Failed> {
        let bearer = self.0.bearer().await;
        bearer.map_err(|failed| Failed {
            why: format!("no token of oauth2: {failed}"),
            ..failed
        })
    }

    pub fn forget(&self, bearer: &SecretString) {
        self.0.forget(bearer);
    }
}

#[async_trait]
impl Giver for Grant {
    const WHOSE: &'static str = "OAuth 2";

    async fn ask(&self) -> Result<Token, Failed> {
        let proof = match &self.settings.proof {
            Proof::Secret(secret) => secret.clone(),
            Proof::SecretFile(path) => content("oauth2.clientSecretFile", path)
                .await?
                .trim()
                .into(),
            Proof::AssertionFile(path) => content("oauth2.clientAssertionFile", path)
                .await?
                .trim()
                .into(),
        };
        let first = match &self.settings.proof {
            Proof::AssertionFile(_) => Place::Form,
            _ if self.is_in_form.load(Ordering::Relaxed) => Place::Form,
            _ => Place::Head,
        };
        match self.ask_with(&proof, first).await {
            Err(refused) if first == Place::Head && !refused.may_pass => {
                match self.ask_with(&proof, Place::Form).await {
                    Ok(token) => {
                        self.is_in_form.store(true, Ordering::Relaxed);
                        Ok(token)
                    }
                    Err(again) if again.may_pass || again.why == refused.why => Err(again),
                    Err(again) => Err(Failed::for_good(format!(
                        "{refused}; with the secret in the form: {again}"
                    ))),
                }
            }
            answer => answer,
        }
    }
}

impl Grant {
    async fn ask_with(&self, proof: &SecretString, place: Place) -> Result<Token, Failed> {
        let settings = &self.settings;
        let proof = proof.expose_secret();
        let scopes = settings.scopes.join(" ");
        let mut members = vec![("grant_type", "client_credentials")];
        if !scopes.is_empty() {
            members.push(("scope", &scopes));
        }
        members.extend(settings.audience.as_deref().map(|it| ("audience", it)));
        let params = settings.endpoint_params.iter();
        let params = params.map(|(name, value)| (name.as_str(), value.expose_secret()));
        members.extend(params.clone());
        if place == Place::Form {
            members.push(("client_id", &settings.client_id));
            match settings.proof {
                Proof::AssertionFile(_) => {
                    members.push(("client_assertion_type", ASSERTION));
                    members.push(("client_assertion", proof));
                }
                Proof::Secret(_) | Proof::SecretFile(_) => members.push(("client_secret", proof)),
            }
        }
        let client = self.http.client().await;
        let mut request = form(&client, &settings.token_url, &members);
        if place == Place::Head {
            request = in_head(request, &settings.client_id, proof);
        }
        let secrets: Vec<&str> = params.map(|(_, value)| value).chain([proof]).collect();
        token(request, &secrets).await
    }
}

/// Encoded before that (RFC 6749, 2.3.1).
fn in_head(request: RequestBuilder, id: &str, secret: &str) -> RequestBuilder {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    request.basic_auth(encoded(id), Some(encoded(secret)))
}
