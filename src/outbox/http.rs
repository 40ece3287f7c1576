//! Sending over HTTP.

use std::path::Path;
use std::time::Duration;

use axum::http::{HeaderMap, Method};
use reqwest::Certificate;
use secrecy::SecretString;
use tokio::sync::OnceCell;
use url::Url;

use super::Failed;
use crate::config::{self, Given};
use crate::error::{Error, Result};
use crate::http::{self, Secrets, in_words};

const TIMEOUT: Duration = Duration::from_secs(15);

/// How long the rest of an answer is waited for, once its status is known.
const REST_WITHIN: Duration = Duration::from_secs(1);

/// How much of an answer is read.
const MOST_BYTES: usize = 16 * 1024;

/// The longest wait that a receiver may ask for.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// Clients, made when they are first needed.
#[derive(Default)]
pub struct Http {
    plain: OnceCell<reqwest::Client>,
    encrypted: OnceCell<reqwest::Client>,
    /// To trust beside the system's.
    certificates: Vec<Certificate>,
}

/// What was answered, whatever it was.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// As long as is asked to wait.
    pub wait: Option<Duration>,
    /// Its beginning, without the secrets that were sent.
    pub text: String,
}

impl Http {
    /// Trusts the PEM certificates of a file too.
    ///
    /// # Errors
    /// `Invalid` when the file cannot be read or holds none.
    pub fn trusting(ca_file: &Path) -> Result<Self> {
        let wrong = |why: &str| {
            let file = ca_file.display();
            Error::Invalid(format!("the caFile '{file}' {why}"))
        };
        let pem =
            std::fs::read(ca_file).map_err(|cause| wrong(&format!("cannot be read: {cause}")))?;
        let certificates = Certificate::from_pem_bundle(config::text::without_mark(&pem))
            .map_err(|cause| wrong(&format!("cannot be read: {}", in_words(&cause))))?;
        if certificates.is_empty() {
            return Err(wrong("holds no certificate"));
        }
        Ok(Self {
            certificates,
            ..Self::default()
        })
    }

    /// Sends a body. An error names the host alone: the rest of a URL may be a secret.
    pub async fn exchange(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: String,
    ) -> Result<Answer, Failed> {
        let client = self.client(url).await?;
        let secrets = Secrets::of(&headers);
        let request = client.request(method, url.clone()).headers(headers);
        let unreachable = |cause: reqwest::Error| {
            let host = url.host_str().unwrap_or_default();
            let cause = in_words(&cause.without_url());
            Failed::later(format!("'{host}' cannot be reached: {cause}"))
        };
        let mut answer = request.body(body).send().await.map_err(unreachable)?;
        let wait = answer.headers().get("retry-after");
        let wait = wait.and_then(|wait| wait.to_str().ok()?.parse().ok());
        let status = answer.status().as_u16();
        let mut text = Vec::new();
        // Its status counts, whether or not the rest of it comes.
        let read = async {
            while let Ok(Some(chunk)) = answer.chunk().await
                && text.len() < MOST_BYTES
            {
                text.extend_from_slice(&chunk);
            }
        };
        let _ = tokio::time::timeout(REST_WITHIN, read).await;
        let text = String::from_utf8_lossy(&text).into_owned();
        Ok(Answer {
            status,
            wait: wait.map(|seconds| Duration::from_secs(seconds).min(LONGEST_WAIT)),
            text: secrets.taken_out_of(text),
        })
    }

    async fn client(&self, url: &Url) -> Result<&reqwest::Client, Failed> {
        let builder = || {
            http::client()
                .timeout(TIMEOUT)
                // What is sent would not go with a redirect.
                .redirect(reqwest::redirect::Policy::none())
        };
        let (place, certificates) = match url.scheme() {
            "http" => (&self.plain, Vec::new()),
            _ => (&self.encrypted, self.certificates.clone()),
        };
        let build = async || http::trusting(builder(), url.scheme(), certificates).build();
        let client = place.get_or_try_init(build).await;
        client.map_err(|cause| Failed::later(format!("cannot send: {}", in_words(&cause))))
    }
}

/// A secret; one in a file is read whenever it is needed, so that it can be changed.
pub async fn reveal(given: &Given) -> Result<SecretString, Failed> {
    match given {
        Given::Here(secret) => Ok(secret.clone()),
        Given::File(path) => {
            let text = tokio::fs::read(path).await.and_then(config::text::of);
            let text = text.map_err(|cause| {
                Failed::later(format!(
                    "the file '{}' cannot be read: {cause}",
                    path.display()
                ))
            })?;
            Ok(SecretString::from(text.trim_end_matches(['\n', '\r'])))
        }
    }
}
