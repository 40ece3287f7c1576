//! What stores that are asked over HTTP have in common: when a request is sent again, how much of an
//! answer is read, and how both fail.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use reqwest::{Client, Response};
use tokio::time::Instant;

use super::guarded::Failure;
use crate::http::{self, Again, Unread};

/// All attempts of one request, the first included.
const ATTEMPTS: usize = 8;

/// The most that the pause before the second attempt takes; it doubles from there.
const PAUSE: Duration = Duration::from_millis(100);

/// What is read of all that is no object: a page of a listing is the longest.
pub const MOST_BYTES: u64 = 16 << 20;

/// One attempt that did not work, and when there may be another one.
pub struct Missed {
    pub failure: Failure,
    pub again: Again,
}

pub struct Clients {
    /// An answer may be long; what counts is that it comes on.
    pub asking: Client,
    /// Nothing comes while a body is sent, so that only the time of the whole call counts.
    pub uploads: Client,
}

impl Clients {
    /// For calls of that address that take so long at most.
    ///
    /// # Errors
    /// Why there is no client.
    pub fn of(url: &str, timeout: Duration) -> Result<Self, String> {
        let scheme = url.split(':').next().unwrap_or_default();
        let client = || {
            http::trusting(http::client(), scheme, Vec::new())
                .redirect(reqwest::redirect::Policy::none())
        };
        let asking = client().read_timeout(stall(timeout));
        Ok(Self {
            asking: asking.build().map_err(|cause| http::in_words(&cause))?,
            uploads: client().build().map_err(|cause| http::in_words(&cause))?,
        })
    }
}

impl From<Failure> for Missed {
    fn from(failure: Failure) -> Self {
        let again = match failure {
            Failure::Away { .. } => Again::Later,
            _ => Again::Never,
        };
        Self { failure, again }
    }
}

/// Tries until it is done, or does no good any more.
pub async fn patiently<T, Trial>(
    timeout: Duration,
    attempt: impl FnMut() -> Trial,
) -> Result<T, Failure>
where
    Trial: Future<Output = Result<T, Missed>>,
{
    // What the server says in the end is worth more than that its time is over.
    let latest = Instant::now() + timeout - stall(timeout);
    let pauses = ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(PAUSE)
        .with_max_times(ATTEMPTS - 1);
    let done = attempt
        .retry(pauses)
        .when(|missed: &Missed| missed.again.may_be())
        .adjust(|missed, backoff| missed.again.wait(backoff, latest))
        .await;
    done.map_err(|missed| missed.failure)
}

/// How long an answer may stand still.
fn stall(timeout: Duration) -> Duration {
    timeout / 3
}

pub async fn collect(mut answer: Response, most: u64) -> Result<Bytes, Failure> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let body = http::read(&mut answer, most).await;
    let body = body.map_err(|unread| match unread {
        Unread::TooLong(bytes) => Failure::TooLarge(bytes),
        Unread::Broken(cause) => Failure::Away {
            why: "it breaks off".to_owned(),
            cause: http::in_words(&cause.without_url()),
        },
    })?;
    Ok(body.into())
}

pub fn wrong(why: &str) -> Failure {
    let (why, cause) = (why.to_owned(), why.to_owned());
    Failure::Wrong { why, cause }
}

/// The address is left out: it may hold a secret.
pub fn lost(cause: reqwest::Error) -> Failure {
    let is_late = cause.is_timeout();
    let words = http::in_words(&cause.without_url());
    let why = if is_late {
        "no answer in time".to_owned()
    } else {
        words.rsplit(": ").next().unwrap_or_default().to_owned()
    };
    Failure::Away { why, cause: words }
}
