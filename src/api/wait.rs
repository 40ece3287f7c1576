//! `?wait=30s` and `Prefer: wait=30`: an answer when the execution has ended, or after that time.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use jiff::SignedDuration;
use serde::Deserialize;
use tokio::time::{Instant, sleep_until};
use utoipa::IntoParams;

use crate::app::{App, Seen};
use crate::canary::{Id, Kind};
use crate::error::{Error, Result};
use crate::storage::Found;
use crate::storage::events::Change;

const PREFER: HeaderName = HeaderName::from_static("prefer");
const APPLIED: HeaderName = HeaderName::from_static("preference-applied");

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Waiting {
    /// how long to wait for the end, as in `30s`; `Prefer: wait=30` does the same
    pub wait: Option<String>,
}

/// How long the client wants to wait.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wait {
    duration: Duration,
    is_preference: bool,
}

/// The header `Prefer`, as far as it says how long.
pub struct Preferred(Option<Duration>);

impl<S: Send + Sync> FromRequestParts<S> for Preferred {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(preference(&parts.headers)))
    }
}

impl Preferred {
    pub const fn is_given(&self) -> bool {
        self.0.is_some()
    }
}

/// RFC 7240: what is not understood is passed over.
fn preference(headers: &HeaderMap) -> Option<Duration> {
    let texts = headers.get_all(PREFER).into_iter();
    let texts = texts.filter_map(|value| value.to_str().ok());
    let mut preferences = texts.flat_map(|text| text.split([',', ';']));
    preferences.find_map(|one| {
        let (name, value) = one.split_once('=')?;
        let is_wait = name.trim().eq_ignore_ascii_case("wait");
        let seconds = value.trim().trim_matches('"').parse().ok();
        seconds.filter(|_| is_wait).map(Duration::from_secs)
    })
}

impl Wait {
    /// # Errors
    /// `Invalid` when the parameter is no duration.
    pub fn of(waiting: &Waiting, preferred: &Preferred) -> Result<Self> {
        let Some(text) = &waiting.wait else {
            return Ok(Self {
                duration: preferred.0.unwrap_or_default(),
                is_preference: preferred.0.is_some(),
            });
        };
        Self::parse(text)
    }

    /// Whether anything is waited for.
    pub const fn is_any(&self) -> bool {
        !self.duration.is_zero()
    }

    /// As long as it takes, and a request may.
    pub const fn longest() -> Self {
        Self {
            duration: Duration::MAX,
            is_preference: false,
        }
    }

    /// # Errors
    /// `Invalid` when the text is no duration.
    pub fn parse(text: &str) -> Result<Self> {
        let seconds = text.parse().ok().map(Duration::from_secs);
        let duration = || {
            let duration = text.parse::<SignedDuration>().ok()?;
            Duration::try_from(duration).ok()
        };
        let duration = seconds.or_else(duration).ok_or_else(|| {
            Error::Invalid(format!(
                "'{text}' is no value for 'wait', which wants a time, as in '30s'"
            ))
        })?;
        Ok(Self {
            duration,
            is_preference: false,
        })
    }
}

/// The answer to a GET of an execution.
pub async fn answer<F: Future<Output = Result<Found>>>(
    app: &App,
    seen: Seen<'_>,
    kind: Kind,
    id: &Id,
    wait: Wait,
    find: impl Fn() -> F,
) -> Result<Response> {
    let found = until_ended(app, seen, kind, id, wait, find).await?;
    let json = HeaderValue::from_static("application/json");
    let applied = wait
        .is_preference
        .then(|| [(APPLIED, HeaderValue::from_static("wait"))]);
    let body: Bytes = found.body;
    Ok(([(header::CONTENT_TYPE, json)], applied, body).into_response())
}

/// An execution at once if it has ended, else when it ends or the time is over. A tenth of the time
/// that a request may take is left for the answer.
pub async fn until_ended<F: Future<Output = Result<Found>>>(
    app: &App,
    seen: Seen<'_>,
    kind: Kind,
    id: &Id,
    wait: Wait,
    find: impl Fn() -> F,
) -> Result<Found> {
    let most = app.config.server.request_timeout * 9 / 10;
    let until = Instant::now() + wait.duration.min(most);
    if Instant::now() < until {
        // Before it is looked for, so that no end is missed.
        let events = seen.events();
        let mut changes = events.subscribe(id.as_str());
        // Its document is read when there is an end to tell.
        while seen.is_under_way(kind, id).await? && Instant::now() < until && !events.is_closed() {
            // Should nobody tell, it is found out by looking.
            let look = Instant::now() + seen.look_every();
            tokio::select! {
                () = changes.until(Change::Ended) => {}
                () = sleep_until(look.min(until)) => {}
                () = events.closed() => {}
            }
        }
    }
    find().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preference_is_found_among_others() {
        let cases = [
            ("wait=30", Some(30)),
            ("respond-async, WAIT=10", Some(10)),
            ("respond-async; wait=\"5\"", Some(5)),
            ("wait=soon", None),
            ("handling=lenient", None),
        ];
        for (text, expected) in cases {
            let headers = HeaderMap::from_iter([(PREFER, text.parse().unwrap())]);
            let expected = expected.map(Duration::from_secs);
            assert_eq!(preference(&headers), expected, "{text}");
        }
    }
}
