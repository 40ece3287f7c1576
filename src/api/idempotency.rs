//! `Idempotency-Key`: a POST that is sent again starts nothing new.

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::request::{parse, read};
use crate::app::App;
use crate::canary::Id;
use crate::error::{Error, Result};
use crate::storage::IdempotencyKey;

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
const MAX_BYTES: usize = 255;

/// A JSON body, with the key that came with it.
pub struct Keyed<T> {
    pub body: T,
    pub key: Option<IdempotencyKey>,
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
pub async fn before(app: &App, key: Option<&IdempotencyKey>) -> Result<Option<Id>> {
    match key {
        Some(key) => app.storage.started_with(key).await,
        None => Ok(None),
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Keyed<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let key = key(&request).map_err(IntoResponse::into_response)?;
        let target = format!("{} {}\n", request.method(), request.uri());
        let bytes = read(request, state).await?;
        let body = parse(&bytes).map_err(IntoResponse::into_response)?;
        let key = key.map(|key| key_of(key, &[target.as_bytes(), &bytes].concat()));
        Ok(Self { body, key })
    }
}

/// A key that came with that request.
pub fn key_of(key: String, request: &[u8]) -> IdempotencyKey {
    let fingerprint = Uuid::new_v5(&Uuid::NAMESPACE_OID, request).to_string();
    IdempotencyKey { key, fingerprint }
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
