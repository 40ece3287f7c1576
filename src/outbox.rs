//! Sending what was written with the deed it tells of: claimed, sent, and sent again until it is taken.

mod http;
mod signature;
mod template;

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use backon::{ConstantBuilder, Retryable};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use http::{Answer, Http, reveal};
pub use signature::{SIGNATURE, signature};
pub use template::{TEMPLATE, strict};

use crate::app::App;
use crate::error::{Error, Result};

/// How many are sent at once, by this process.
const AT_ONCE: usize = 16;

/// How often to look for what is due, should nobody tell.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The wait before the second attempt; it doubles from there.
const FIRST_WAIT: Duration = Duration::from_secs(1);

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Who sends one kind of what is due.
pub trait Sender: Clone + Send + 'static {
    type Due: Send + 'static;

    fn app(&self) -> &App;
    /// Wakes when something may be due.
    fn woken(&self) -> &Notify;
    /// What is due, `most` at most; nobody else's for a while.
    fn claim(&self, most: usize) -> impl Future<Output = Result<Vec<Self::Due>>> + Send;
    /// Sends it, and notes what came of it.
    fn deliver(&self, due: Self::Due) -> impl Future<Output = ()> + Send;
}

/// Claims and sends until `shutdown`, then waits for what is being sent.
pub async fn work<S: Sender>(sender: S, shutdown: CancellationToken) {
    let mut sending = JoinSet::new();
    while !shutdown.is_cancelled() {
        while sending.try_join_next().is_some() {}
        for due in next(&sender, AT_ONCE - sending.len()).await {
            let sender = sender.clone();
            sending.spawn(async move { sender.deliver(due).await });
        }
        tokio::select! {
            () = sender.woken().notified() => {}
            Some(_) = sending.join_next() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = shutdown.cancelled() => {}
        }
    }
    while sending.join_next().await.is_some() {}
}

async fn next<S: Sender>(sender: &S, most: usize) -> Vec<S::Due> {
    if most == 0 || !sender.app().is_claiming() {
        return Vec::new();
    }
    match sender.claim(most).await {
        Ok(due) => due,
        Err(error) => {
            tracing::error!(%error, "cannot claim what is to be sent; trying again");
            Vec::new()
        }
    }
}

/// Notes what came of it, for some seconds; what was sent and not noted is sent again.
pub async fn note<F: Future<Output = Result<()>>>(noted: impl FnMut() -> F) {
    let again = ConstantBuilder::new()
        .with_delay(Duration::from_millis(500))
        .with_max_times(20);
    if let Err(error) = noted.retry(again).await {
        tracing::error!(%error, "cannot note what was sent; it will be sent again");
    }
}

/// The header by which a receiver knows what it has had already.
pub fn idempotency(id: &str) -> HeaderMap {
    let id = HeaderValue::try_from(id).ok();
    id.into_iter().map(|id| (IDEMPOTENCY_KEY, id)).collect()
}

/// Twice as long after every attempt, which count from 1.
pub fn wait_after(attempt: i64) -> Duration {
    let doublings = u32::try_from(attempt - 1).unwrap_or(0).min(20);
    FIRST_WAIT.saturating_mul(1 << doublings)
}

/// Why something was not taken, and what is to be done.
#[derive(Debug)]
pub struct Failed {
    pub why: String,
    pub again: bool,
    /// As long as the receiver asked to wait.
    pub wait: Option<Duration>,
}

impl Failed {
    pub const fn later(why: String) -> Self {
        Self {
            why,
            again: true,
            wait: None,
        }
    }

    /// It would be the same the next time.
    pub const fn never(why: String) -> Self {
        Self {
            why,
            again: false,
            wait: None,
        }
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound(_) | Error::Invalid(_) | Error::Internal(_) => {
                Self::never(error.to_string())
            }
            _ => Self::later(error.to_string()),
        }
    }
}
