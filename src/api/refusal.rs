//! A POST that is refused leaves a line in the log: its client may throw the answer away.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{Method, header, response};
use axum::middleware::Next;
use axum::response::Response;
use serde_json::Value;

use super::query::Parameters;
use super::sentence::short;
use crate::ui::Told;

/// So many lines at once, and then as many as a second allows.
const BURST: f64 = 20.0;
const A_SECOND: f64 = 1.0;

/// Refusals are short; more is no sentence.
const MOST_BYTES: usize = 1 << 16;

/// Members of a request that tell what it is about, the nearest to its author first.
const NAMES: [&[&str]; 6] = [
    &["canaryConfigName"],
    &["canaryConfigId"],
    &["canaryConfig", "name"],
    &["canaryConfig", "id"],
    &["name"],
    &["id"],
];

/// Which canary a request is about, filled in by who reads its body.
#[derive(Clone, Debug, Default)]
pub struct About(Arc<OnceLock<String>>);

impl About {
    pub fn read(&self, request: &Value) {
        let text = |names: &&[&str]| {
            let value = names
                .iter()
                .try_fold(request, |value, name| value.get(name));
            value?.as_str().filter(|text| !text.is_empty())
        };
        if let Some(name) = NAMES.iter().find_map(text) {
            self.tell(name);
        }
    }

    /// The first who tells is heard.
    pub fn tell(&self, canary: &str) {
        self.0.get_or_init(|| short(canary));
    }
}

impl<S: Send + Sync> FromRequestParts<S> for About {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions))
    }
}

impl About {
    pub fn of(extensions: &axum::http::Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_default()
    }
}

/// On an answer: the log has a line of its own for it.
#[derive(Clone, Copy, Debug)]
pub struct Logged;

pub async fn log(lines: Arc<Lines>, mut request: Request, next: Next) -> Response {
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    let about = About::default();
    request.extensions_mut().insert(about.clone());
    let path = short(request.uri().path());
    let query = Parameters::read(request.uri().query().unwrap_or_default().as_bytes());
    let application = query.text("application").map(short);
    let response = next.run(request).await;
    let status = response.status();
    let is_refusal = status.is_client_error() || status.is_server_error();
    if !is_refusal || response.extensions().get::<Logged>().is_some() {
        return response;
    }
    let Some(left_out) = lines.take(Instant::now()) else {
        return response;
    };
    let (parts, body) = response.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MOST_BYTES).await else {
        return Response::from_parts(parts, Body::empty());
    };
    // As values and not in words, so that the log escapes what others wrote.
    tracing::warn!(
        path,
        application,
        canary = about.0.get().map(String::as_str),
        status = status.as_u16(),
        told = sentence(&parts, &body),
        left_out = (0 < left_out).then_some(left_out),
        "refused a POST"
    );
    Response::from_parts(parts, Body::from(body))
}

/// What a client is told, if it is told in words.
pub fn sentence(parts: &response::Parts, body: &Bytes) -> Option<String> {
    if let Some(Told(message)) = parts.extensions.get() {
        return Some(short(message));
    }
    let kind = parts.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let text = std::str::from_utf8(body).ok()?;
    if kind.starts_with("text/plain") {
        return Some(short(text));
    }
    let told: Value = serde_json::from_str(text).ok()?;
    let told = told.get("message").or_else(|| told.get("error"))?;
    told.as_str().map(short)
}

/// How many lines may be written: a client that tries again and again fills no disk.
#[derive(Debug)]
pub struct Lines(Mutex<Room>);

#[derive(Debug)]
struct Room {
    lines: f64,
    /// None before the first line.
    at: Option<Instant>,
    left_out: u64,
}

impl Default for Lines {
    fn default() -> Self {
        Self(Mutex::new(Room {
            lines: BURST,
            at: None,
            left_out: 0,
        }))
    }
}

impl Lines {
    /// Whether there is room for one, and then how many had none before it.
    fn take(&self, now: Instant) -> Option<u64> {
        let mut room = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = room.at.map(|at| now.saturating_duration_since(at));
        let grown = since.map_or(0.0, |since| since.as_secs_f64() * A_SECOND);
        room.lines = (room.lines + grown).min(BURST);
        room.at = Some(now);
        if room.lines < 1.0 {
            room.left_out += 1;
            return None;
        }
        room.lines -= 1.0;
        Some(std::mem::take(&mut room.left_out))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    #[test]
    fn lines_are_bounded_and_what_is_left_out_is_counted() {
        let (lines, start) = (Lines::default(), Instant::now());
        let taken = (0..100).filter_map(|_| lines.take(start)).count();
        assert_eq!(taken, 20);
        assert_eq!(lines.take(start + Duration::from_millis(500)), None);
        assert_eq!(lines.take(start + Duration::from_secs(2)), Some(81));
        assert_eq!(lines.take(start + Duration::from_secs(2)), Some(0));
        assert_eq!(lines.take(start + Duration::from_secs(2)), None);
        let later = start + Duration::from_hours(1);
        assert_eq!((0..100).filter_map(|_| lines.take(later)).count(), 20);
    }

    #[test]
    fn a_request_tells_what_it_is_about() {
        let cases = [
            (json!({"canaryConfigName": "a", "name": "b"}), Some("a")),
            (
                json!({"canaryConfig": {"name": "c"}, "executionRequest": {}}),
                Some("c"),
            ),
            (json!({"canaryConfig": 5, "id": "d"}), Some("d")),
            (json!({"name": "two\nlines"}), Some("two lines")),
            (json!({"name": ""}), None),
            (json!([1]), None),
        ];
        for (request, expected) in cases {
            let about = About::default();
            about.read(&request);
            assert_eq!(about.0.get().map(String::as_str), expected, "{request}");
        }
    }
}
