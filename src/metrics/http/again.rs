//! When a call that failed is sent again.

use std::time::Duration;

use backon::ExponentialBuilder;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, RETRY_AFTER};

use crate::config::Retry;
use crate::http::Again;

/// The longest wait between two attempts, unless the server names a time.
const MAX_BACKOFF: Duration = Duration::from_secs(5);
const RATE_LIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// What the configuration says of an answer that is an error.
pub fn again_after(status: StatusCode, headers: &HeaderMap, retry: &Retry) -> Again {
    let limited = status == StatusCode::TOO_MANY_REQUESTS;
    let status = status.as_u16();
    if !retry.statuses.contains(&status) && !retry.series.contains(&(status / 100)) {
        return Again::Never;
    }
    let again = Again::after(headers);
    if headers.contains_key(RETRY_AFTER) || !limited {
        return again;
    }
    // Where a limit was met, Datadog says in how many seconds it is as it was.
    let reset = headers.get(RATE_LIMIT_RESET);
    let reset = reset.and_then(|reset| reset.to_str().ok()?.trim().parse().ok());
    reset.map_or(again, |seconds| Again::After(Duration::from_secs(seconds)))
}

pub fn backoff(retry: &Retry) -> ExponentialBuilder {
    // The wait is doubled at most by the jitter, which keeps queries that failed together apart.
    let longest = MAX_BACKOFF / 2;
    let seed = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0);
    ExponentialBuilder::new()
        .with_min_delay(retry.backoff.min(longest))
        .with_max_delay(longest)
        .with_max_times(retry.attempts.saturating_sub(1))
        .with_total_delay(retry.patience)
        .with_jitter()
        .with_jitter_seed(seed)
}
