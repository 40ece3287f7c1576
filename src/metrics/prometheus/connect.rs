//! How a Prometheus is reached: address, certificates, headers, credentials.

use std::path::PathBuf;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Certificate, RequestBuilder, Response};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::client::told;
use crate::config::{PrometheusAccount, text};
use crate::error::{Error, Result};
use crate::http;

pub const MAX_REDIRECTS: usize = 5;

pub fn base_url(name: &str, account: &PrometheusAccount) -> Result<Url> {
    let base = Url::parse(&account.base_url).ok();
    let base = base.filter(|url| matches!(url.scheme(), "http" | "https"));
    let mut base = base.ok_or_else(|| {
        refused(
            name,
            "its baseUrl is not an address such as 'http://prometheus:9090'",
        )
    })?;
    base.set_query(None);
    base.set_fragment(None);
    // The client would send both, these and those of the address.
    if !matches!(Credentials::of(account), Credentials::None) {
        base = without_credentials(base);
    }
    Ok(base)
}

/// The address as it may be shown.
pub fn without_credentials(mut base: Url) -> Url {
    // Only addresses without a host refuse these.
    let _ = base.set_username("");
    let _ = base.set_password(None);
    base
}

/// Where something is asked for, or came from: without the query.
pub fn place(url: &Url) -> String {
    let mut place = without_credentials(url.clone());
    place.set_query(None);
    place.set_fragment(None);
    place.into()
}

/// One client, so one pool of connections, an account.
pub fn client(name: &str, base: &Url, account: &PrometheusAccount) -> Result<reqwest::Client> {
    let builder = http::client()
        .gzip(account.compression)
        .default_headers(headers(name, account)?)
        // A client would make a GET without a body of a POST.
        .redirect(Policy::none())
        .referer(false);
    let certificates = match &account.ca_file {
        Some(path) => {
            let pem = std::fs::read(path);
            let certificates = pem
                .map_err(|cause| cause.to_string())
                .and_then(|pem| {
                    Certificate::from_pem_bundle(text::without_mark(&pem))
                        .map_err(|e| e.to_string())
                })
                .map_err(|cause| {
                    let path = path.display();
                    refused(name, &format!("cannot read caFile '{path}': {cause}"))
                })?;
            if certificates.is_empty() {
                let path = path.display();
                return Err(refused(name, &format!("no certificate in caFile '{path}'")));
            }
            certificates
        }
        None => Vec::new(),
    };
    http::trusting(builder, base.scheme(), certificates)
        .build()
        .map_err(|cause| refused(name, &told(&cause)))
}

pub fn headers(name: &str, account: &PrometheusAccount) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (header, value) in &account.headers {
        let invalid = |what| {
            refused(
                name,
                &format!("the {what} of header '{header}' is not valid"),
            )
        };
        let key: HeaderName = header.parse().map_err(|_| invalid("name"))?;
        let mut value =
            HeaderValue::from_str(value.expose_secret()).map_err(|_| invalid("value"))?;
        value.set_sensitive(true);
        headers.append(key, value);
    }
    Ok(headers)
}

/// Where the same is to be asked for on the same server: headers may be secrets, and they would go
/// with the request.
pub fn redirected_within(response: &Response, base: &Url) -> Option<Url> {
    if !response.status().is_redirection() {
        return None;
    }
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let mut there = response.url().join(location).ok()?;
    if there.origin() != base.origin() {
        return None;
    }
    // Only addresses without a host refuse these.
    let _ = there.set_username(base.username());
    let _ = there.set_password(base.password());
    Some(there)
}

/// What to do about a redirect that was not followed.
pub fn redirected_to(response: &Response) -> Option<String> {
    if !response.status().is_redirection() {
        return None;
    }
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let location = response.url().join(location).ok()?;
    let mut there = location.origin().ascii_serialization();
    // Elsewhere, a path may be a secret.
    if location.origin() == response.url().origin() {
        there += location.path();
    }
    Some(format!(
        "'{}' redirected to '{there}', which is not followed: the account's baseUrl should lead there",
        place(response.url())
    ))
}

/// Sent with every request, unasked.
pub enum Credentials {
    None,
    Basic {
        username: String,
        password: SecretString,
    },
    Bearer(SecretString),
    /// `user:password`, read for every request: it may change at any time.
    File(PathBuf),
}

impl Credentials {
    /// A file wins over a token, a token over user and password, they over
    /// those in the address, which the client takes by itself.
    pub fn of(account: &PrometheusAccount) -> Self {
        if let Some(path) = &account.username_password_file {
            return Self::File(path.clone());
        }
        if let Some(token) = &account.bearer_token {
            return Self::Bearer(token.clone());
        }
        if account.username.is_some() || account.password.is_some() {
            return Self::Basic {
                username: account.username.clone().unwrap_or_default(),
                password: account.password.clone().unwrap_or_default(),
            };
        }
        Self::None
    }

    pub async fn authorize(&self, request: RequestBuilder) -> Result<RequestBuilder, String> {
        Ok(match self {
            Self::None => request,
            Self::Basic { username, password } => {
                request.basic_auth(username, Some(password.expose_secret()))
            }
            Self::Bearer(token) => request.bearer_auth(token.expose_secret()),
            Self::File(path) => {
                let content = tokio::fs::read(path).await.and_then(text::of);
                let content = content.map_err(|cause| {
                    format!(
                        "cannot read usernamePasswordFile '{}': {cause}",
                        path.display()
                    )
                })?;
                let (username, password) = content.trim().split_once(':').ok_or_else(|| {
                    let path = path.display();
                    format!("usernamePasswordFile '{path}' does not hold 'user:password'")
                })?;
                request.basic_auth(username, Some(password))
            }
        })
    }
}

fn refused(account: &str, why: &str) -> Error {
    Error::Invalid(format!("account '{account}': {why}"))
}
