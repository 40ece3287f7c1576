//! One request to Google, its answer, and what is said when there is none.

use std::fmt;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use reqwest::{RequestBuilder, StatusCode};
use secrecy::SecretString;
use serde_json::Value;

use crate::http::{self, Secrets};

/// All attempts of one request, the first included.
const ATTEMPTS: usize = 3;

/// No token is believed to last longer.
pub const LONGEST: Duration = Duration::from_hours(24);

pub struct Token {
    pub bearer: SecretString,
    pub lasts: Duration,
}

/// Why Google does not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    pub why: String,
    /// Whether it may do so later.
    pub may_pass: bool,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl Failed {
    pub fn for_good(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            may_pass: false,
        }
    }
}

/// What answers, as it is; what was sent along and is secret is told by nobody.
///
/// # Errors
/// Why there is no answer, and whether there may be one later.
pub async fn answer(request: RequestBuilder, secrets: &[&str]) -> Result<Vec<u8>, Failed> {
    let secrets = Secrets::new(secrets.iter().copied());
    let ask = || async {
        let request = request.try_clone();
        let request = request.ok_or_else(|| Failed::for_good("a request cannot be repeated"))?;
        let lost = |cause: reqwest::Error| Failed {
            why: http::in_words(&cause),
            may_pass: true,
        };
        let answer = request.send().await.map_err(lost)?;
        let (status, place) = (answer.status(), answer.url().clone());
        let body = answer.bytes().await.map_err(lost)?;
        if status.is_success() {
            return Ok(body.to_vec());
        }
        let host = place.host_str().unwrap_or_default();
        let why = match told(&body) {
            Some(told) => format!("{host} answers {status}: {told}"),
            None => format!("{host} answers {status}"),
        };
        Err(Failed {
            why: secrets.taken_out_of(why),
            may_pass: may_pass(status),
        })
    };
    let pauses = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_times(ATTEMPTS - 1);
    ask.retry(pauses).when(|failed| failed.may_pass).await
}

/// The JSON that answers.
pub async fn json(request: RequestBuilder, secrets: &[&str]) -> Result<Value, Failed> {
    let answer = answer(request, secrets).await?;
    serde_json::from_slice(&answer).map_err(|_| Failed::for_good("an answer that is no JSON"))
}

/// A token as OAuth answers it.
pub async fn token(request: RequestBuilder, secrets: &[&str]) -> Result<Token, Failed> {
    let answer = json(request, secrets).await?;
    let bearer = answer["access_token"].as_str();
    let seconds = answer["expires_in"].as_u64();
    match (bearer, seconds) {
        (Some(bearer), Some(seconds)) => Ok(Token {
            bearer: bearer.into(),
            lasts: Duration::from_secs(seconds).min(LONGEST),
        }),
        _ => Err(Failed::for_good("an answer without a token")),
    }
}

/// Whether the same request may well be answered later.
pub fn may_pass(status: StatusCode) -> bool {
    status.is_server_error() || [408, 429].contains(&status.as_u16())
}

/// What an answer says of what went wrong, as OAuth or as Google's services say it.
pub fn told(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let error = &body["error"];
    let message = error["message"].as_str();
    let described = body["error_description"].as_str();
    let told = message.or(described).or_else(|| error.as_str())?;
    Some(told.trim().to_owned()).filter(|told| !told.is_empty())
}
