//! `Idempotency-Key`: a POST that is sent again starts nothing new.

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::refusal::About;
use super::request::{parse, read};
use crate::access::Caller;
use crate::app::App;
use crate::canary::Id;
use crate::error::{Error, Result};
use crate::run::asked::{Asked, Sent};
use crate::storage::IdempotencyKey;

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
const MAX_BYTES: usize = 255;

/// A JSON body that starts something, with the key that came with it.
pub struct Keyed<T> {
    pub body: T,
    pub key: Option<IdempotencyKey>,
    pub notes: Notes,
}

/// What a client should know of its request.
#[derive(Debug, Default)]
pub struct Notes {
    misnamed: Vec<String>,
    doubtful: Vec<String>,
}

impl<T> Keyed<T> {
    pub fn map<U>(self, read: impl FnOnce(T) -> U) -> Keyed<U> {
        Keyed {
            body: read(self.body),
            key: self.key,
            notes: self.notes,
        }
    }
}

impl Notes {
    /// All of them in one text, for whoever takes the request all the same.
    pub fn warning(&self) -> Option<String> {
        let all: Vec<&str> = self.all().collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    pub fn add(&mut self, more: Vec<String>) {
        self.doubtful.extend(more);
    }

    /// # Errors
    /// `Invalid` when there are any, for whoever does not take such a request.
    pub fn refused(&self) -> Result<()> {
        self.warning()
            .map_or(Ok(()), |told| Err(Error::Invalid(told)))
    }

    /// A refusal, with the members that were meant for what it misses.
    pub fn explain(&self, error: Error) -> Error {
        explained(error, &self.misnamed)
    }

    fn all(&self) -> impl Iterator<Item = &str> {
        let all = self.misnamed.iter().chain(&self.doubtful);
        all.map(String::as_str)
    }
}

fn explained(error: Error, hints: &[String]) -> Error {
    match error {
        Error::Invalid(message) if !hints.is_empty() => {
            Error::Invalid(format!("{}: {message}", hints.join("; ")))
        }
        other => other,
    }
}

/// Told with the answer to a request that had been answered before.
pub type Replayed = Option<[(HeaderName, HeaderValue); 1]>;

pub fn replayed(is_new: bool) -> Replayed {
    let header = HeaderName::from_static("idempotency-replayed");
    (!is_new).then(|| [(header, HeaderValue::from_static("true"))])
}

/// What the key stands for already.
///
/// # Errors
/// `Reused` when it came with another request.
pub async fn before(
    app: &App,
    caller: &Caller,
    key: Option<&IdempotencyKey>,
) -> Result<Option<Id>> {
    match key {
        Some(key) => app.seen_by(caller).started_with(key).await,
        None => Ok(None),
    }
}

impl<T: DeserializeOwned + Asked> FromRequest<App> for Keyed<T> {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let key = key(&request).map_err(IntoResponse::into_response)?;
        let target = format!("{} {}\n", request.method(), request.uri());
        let about = About::of(request.extensions());
        let caller = request.extensions().get::<Caller>().cloned();
        let bytes = read(request, app).await?;
        let (body, notes) =
            asked(&bytes, app.clock.now_millis(), &about).map_err(IntoResponse::into_response)?;
        let key = key.map(|key| {
            let caller = caller.unwrap_or_else(|| app.callers.nobody());
            key_of(&caller, key, &[target.as_bytes(), &bytes].concat())
        });
        Ok(Self { body, key, notes })
    }
}

/// What a body asks for. Times may be told as `now`, which the types of the wire do not know.
fn asked<T: DeserializeOwned + Asked>(bytes: &[u8], now: i64, about: &About) -> Result<(T, Notes)> {
    let Ok(value) = parse::<Value>(bytes) else {
        return Ok((parse(bytes)?, Notes::default()));
    };
    about.read(&value);
    let sent = Sent::read::<T>(value, now);
    let body: Result<T> = if sent.is_changed {
        parse(sent.value.to_string().as_bytes())
    } else {
        parse(bytes)
    };
    let hints = || [&sent.misnamed[..], &sent.unread].concat();
    let body = body.map_err(|error| explained(error, &hints()))?;
    let notes = Notes {
        doubtful: body.notes(now),
        misnamed: hints(),
    };
    Ok((body, notes))
}

/// A key that came with that request. Where callers are told from each other, each has keys of its own.
pub fn key_of(caller: &Caller, told: String, request: &[u8]) -> IdempotencyKey {
    let hash = |bytes: &[u8]| Uuid::new_v5(&Uuid::NAMESPACE_OID, bytes).to_string();
    let key = if caller.is_ruled() {
        hash(format!("{}\0{told}", caller.name()).as_bytes())
    } else {
        told.clone()
    };
    IdempotencyKey {
        key,
        told,
        fingerprint: hash(request),
    }
}

fn key(request: &Request) -> Result<Option<String>> {
    let value = request.headers().get(HEADER);
    let text = value.map(|value| value.to_str().unwrap_or_default());
    text.map(checked).transpose()
}

/// # Errors
/// `Invalid` when it cannot be a key.
pub fn checked(text: &str) -> Result<String> {
    let text = text.trim();
    if text.is_empty() || MAX_BYTES < text.len() || !text.is_ascii() {
        return Err(Error::Invalid(format!(
            "an Idempotency-Key must be 1 to {MAX_BYTES} characters of ASCII, a UUID for example"
        )));
    }
    Ok(text.to_owned())
}
