//! When a call that failed is sent again.

use std::time::Duration;

use backon::ExponentialBuilder;
use jiff::fmt::rfc2822;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use reqwest::{Response, StatusCode};

use crate::config::Retry;

/// The longest wait between two attempts, unless the server names a time.
const MAX_BACKOFF: Duration = Duration::from_secs(5);
const RATE_LIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

pub enum Again {
    Never,
    Later,
    After(Duration),
}

impl Again {
    /// What the configuration says of an answer that is an error.
    pub fn after(response: &Response, retry: &Retry) -> Self {
        let status = response.status().as_u16();
        if !retry.statuses.contains(&status) && !retry.series.contains(&(status / 100)) {
            return Self::Never;
        }
        let limited = response.status() == StatusCode::TOO_MANY_REQUESTS;
        retry_after(response.headers(), limited).map_or(Self::Later, Self::After)
    }

    /// How long to wait, where the waits of the configuration say so long.
    pub fn wait(&self, backoff: Option<Duration>) -> Option<Duration> {
        match self {
            Self::After(wait) => backoff.map(|_| *wait),
            Self::Never | Self::Later => backoff.map(|wait| wait.min(MAX_BACKOFF)),
        }
    }
}

pub fn backoff(retry: &Retry) -> ExponentialBuilder {
    // The wait is doubled at most by the jitter, which keeps queries that failed together apart.
    let longest = MAX_BACKOFF / 2;
    let seed = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0);
    ExponentialBuilder::new()
        .with_min_delay(retry.backoff.min(longest))
        .with_max_delay(longest)
        .with_max_times(retry.attempts.saturating_sub(1))
        .with_jitter()
        .with_jitter_seed(seed)
}

/// Seconds, or a date: counted from that of the answer, so that clocks need not agree. Where a
/// limit was met, Datadog says in how many seconds it is as it was.
fn retry_after(headers: &HeaderMap, limited: bool) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok();
    let reset = || text(RATE_LIMIT_RESET)?.trim().parse().ok();
    if !headers.contains_key(RETRY_AFTER) {
        return reset().filter(|_| limited).map(Duration::from_secs);
    }
    let wanted = text(RETRY_AFTER)?.trim();
    if let Ok(seconds) = wanted.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let wanted = rfc2822::parse(wanted).ok()?;
    let now = rfc2822::parse(text(DATE)?).ok()?;
    Some(Duration::try_from(wanted.duration_since(&now)).unwrap_or_default())
}
