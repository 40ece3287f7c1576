//! One request for a token or to who gives some, its answer, and what is said when there is none.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use reqwest::{Client, Request, RequestBuilder, StatusCode};
use secrecy::SecretString;
use serde_json::Value;
use tokio::time::Instant;
use url::Url;
use url::form_urlencoded::Serializer;

pub use super::Failed;
use super::{Again, Secrets, Unread};

/// All attempts of one request, the first included.
const ATTEMPTS: usize = 3;

/// No attempt begins so long after the first, whatever the server says.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is read of an answer; a secret is the longest of them.
const MOST_BYTES: usize = 4 << 20;

/// What a service says is wrong.
const TOLD_BYTES: usize = 1 << 10;

/// No token is believed to last longer.
pub const LONGEST: Duration = Duration::from_hours(24);

/// How long a token is kept of which nobody says how long it lasts: who refuses it before gets another.
const UNSAID: Duration = Duration::from_hours(1);

const BEARER: &str = "Bearer";
/// No header takes more.
const LONGEST_BEARER: usize = 64 << 10;

pub struct Token {
    pub bearer: SecretString,
    pub lasts: Duration,
}

/// One attempt that did not work, and when there may be another one.
struct Missed {
    failed: Failed,
    again: Again,
}

/// What answers, as it is. What is secret is told by nobody: that in headers is known, that within a
/// body is given here.
///
/// # Errors
/// Why there is no answer, and whether there may be one later.
pub async fn answer(request: RequestBuilder, secrets: &[&str]) -> Result<Vec<u8>, Failed> {
    let (client, request) = request.build_split();
    let request =
        request.map_err(|cause| Failed::for_good(super::in_words(&cause.without_url())))?;
    let secrets = Secrets::new(secrets.iter().copied()).and(&Secrets::of(request.headers()));
    let latest = Instant::now() + PATIENCE;
    let pauses = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_times(ATTEMPTS - 1);
    let answer = (|| attempt(&client, &request, &secrets))
        .retry(pauses)
        .when(|missed: &Missed| missed.again.may_be())
        .adjust(|missed, backoff| missed.again.wait(backoff, latest))
        .await;
    answer.map_err(|missed| missed.failed)
}

async fn attempt(client: &Client, request: &Request, secrets: &Secrets) -> Result<Vec<u8>, Missed> {
    let request = request.try_clone();
    let request = request.ok_or_else(|| Failed::for_good("a request cannot be repeated"))?;
    let mut answer = client.execute(request).await.map_err(lost)?;
    let (status, place) = (answer.status(), answer.url().clone());
    let host = place.host_str().unwrap_or_default();
    if status.is_success() {
        let body = super::read(&mut answer, MOST_BYTES).await;
        return body.map_err(|unread| match unread {
            Unread::Broken(cause) => lost(cause),
            Unread::TooLong(_) => {
                let most = MOST_BYTES >> 20;
                Failed::for_good(format!("{host} answers with more than {most} MiB")).into()
            }
        });
    }
    let told = told(&super::beginning(&mut answer).await, secrets);
    let failed = Failed {
        why: match told {
            Some(told) => format!("{host} answers {status}: {told}"),
            None => format!("{host} answers {status}"),
        },
        may_pass: may_pass(status),
    };
    Err(if failed.may_pass {
        let again = Again::after(answer.headers());
        Missed { failed, again }
    } else {
        failed.into()
    })
}

/// Of an address, the host alone is told: the rest may be a secret.
fn lost(cause: reqwest::Error) -> Missed {
    let host = cause.url().and_then(Url::host_str).unwrap_or_default();
    let host = host.to_owned();
    Missed {
        failed: Failed {
            why: format!(
                "no answer of '{host}': {}",
                super::in_words(&cause.without_url())
            ),
            may_pass: true,
        },
        again: Again::Later,
    }
}

impl From<Failed> for Missed {
    fn from(failed: Failed) -> Self {
        let again = Again::Never;
        Self { failed, again }
    }
}

/// The JSON that answers.
pub async fn json(request: RequestBuilder, secrets: &[&str]) -> Result<Value, Failed> {
    let answer = answer(request, secrets).await?;
    serde_json::from_slice(&answer).map_err(|_| Failed::for_good("an answer that is no JSON"))
}

/// A token as OAuth answers it; some write numbers as texts.
pub async fn token(request: RequestBuilder, secrets: &[&str]) -> Result<Token, Failed> {
    let answer = json(request, secrets).await?;
    let without = || Failed::for_good("an answer without a token");
    let bearer = answer["access_token"].as_str().ok_or_else(without)?;
    if LONGEST_BEARER < bearer.len() {
        let most = LONGEST_BEARER >> 10;
        return Err(Failed::for_good(format!("a token of more than {most} KiB")));
    }
    let kind = answer["token_type"].as_str().unwrap_or(BEARER);
    if !kind.eq_ignore_ascii_case(BEARER) {
        return Err(Failed::for_good("a token that is no bearer's"));
    }
    let seconds = match &answer["expires_in"] {
        Value::Null => Some(UNSAID.as_secs()),
        // Some write it so.
        Value::String(text) => text.trim().parse().ok(),
        number => number.as_u64(),
    };
    Ok(Token {
        bearer: bearer.into(),
        lasts: Duration::from_secs(seconds.ok_or_else(without)?).min(LONGEST),
    })
}

/// A POST as OAuth wants it.
pub fn form(client: &Client, url: &str, members: &[(&str, &str)]) -> RequestBuilder {
    let body = Serializer::new(String::new())
        .extend_pairs(members)
        .finish();
    client
        .post(url)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body)
}

/// Whether the same request may well be answered later.
pub fn may_pass(status: StatusCode) -> bool {
    status.is_server_error() || [408, 429].contains(&status.as_u16())
}

/// What an answer says of what went wrong, as OAuth or as Google's services say it; no secret that was
/// sent, and no more than somebody reads.
pub fn told(body: &[u8], secrets: &Secrets) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let error = &body["error"];
    let message = error["message"].as_str();
    let described = body["error_description"].as_str();
    let told = message.or(described).or_else(|| error.as_str())?;
    let mut told = secrets.taken_out_of(told.trim().to_owned());
    super::cut(&mut told, TOLD_BYTES);
    Some(told).filter(|told| !told.is_empty())
}
