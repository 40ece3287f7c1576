//! Sending over HTTP; a URL is a secret, only its host is ever told.

use std::time::Duration;

use axum::http::{HeaderMap, Method};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::OnceCell;
use url::Url;

use super::Failed;
use super::message::shortened;
use crate::config::{Given, check_url};
use crate::error::with_causes;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(15);

/// How much of an answer is told.
const TOLD_CHARACTERS: usize = 200;

/// The longest wait that a receiver may ask for.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// Clients, made when they are first needed.
#[derive(Default)]
pub struct Http {
    plain: OnceCell<reqwest::Client>,
    encrypted: OnceCell<reqwest::Client>,
}

impl Http {
    /// Sends a body; it was taken if this returns.
    pub async fn send(
        &self,
        method: Method,
        address: &Given,
        headers: HeaderMap,
        body: String,
    ) -> Result<(), Failed> {
        let url = check_url(reveal(address).await?.expose_secret())
            .map_err(|why| Failed::later(format!("the URL {why}")))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let client = self.client(&url).await?;
        let request = client.request(method, url.clone()).headers(headers);
        let answer = request.body(body).send().await.map_err(|cause| {
            let cause = with_causes(&cause.without_url());
            Failed::later(format!("'{host}' cannot be reached: {cause}"))
        })?;
        let status = answer.status().as_u16();
        if (200..300).contains(&status) {
            return Ok(());
        }
        let wait = answer.headers().get("retry-after");
        let wait = wait.and_then(|wait| wait.to_str().ok()?.parse().ok());
        let wait = wait.map(|seconds| Duration::from_secs(seconds).min(LONGEST_WAIT));
        let text = answer.text().await.unwrap_or_default();
        // It may say the address again.
        let text = text.replace(url.path(), "…");
        let text = url
            .query()
            .map_or(text.clone(), |secret| text.replace(secret, "…"));
        let text = shortened(&text, TOLD_CHARACTERS);
        let why = format!("'{host}' answered {status}: {text}");
        Err(match status {
            // The message is wrong, and would be the next time.
            400 | 413 | 415 | 422 => Failed::never(why),
            _ => Failed {
                wait,
                ..Failed::later(why)
            },
        })
    }

    async fn client(&self, url: &Url) -> Result<&reqwest::Client, Failed> {
        let builder = || {
            reqwest::Client::builder()
                .user_agent(concat!("serin/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT_TIMEOUT)
                .timeout(TIMEOUT)
                // A message would not go with a redirect.
                .redirect(reqwest::redirect::Policy::none())
        };
        let client = if url.scheme() == "http" {
            // Without TLS the system's certificates are not needed, and images without any will do.
            let build = async || builder().tls_certs_only([]).build();
            self.plain.get_or_try_init(build).await
        } else {
            let build = async || builder().build();
            self.encrypted.get_or_try_init(build).await
        };
        client.map_err(|cause| Failed::later(format!("cannot send: {}", with_causes(&cause))))
    }
}

/// A secret; one in a file is read whenever it is needed, so that it can be changed.
pub async fn reveal(given: &Given) -> Result<SecretString, Failed> {
    match given {
        Given::Here(secret) => Ok(secret.clone()),
        Given::File(path) => {
            let text = tokio::fs::read_to_string(path).await.map_err(|cause| {
                Failed::later(format!(
                    "the file '{}' cannot be read: {cause}",
                    path.display()
                ))
            })?;
            Ok(SecretString::from(text.trim_end_matches(['\n', '\r'])))
        }
    }
}
