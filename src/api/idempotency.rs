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
        let key = key.map(|key| {
            let request = [target.as_bytes(), &bytes].concat();
            IdempotencyKey {
                key,
                fingerprint: Uuid::new_v5(&Uuid::NAMESPACE_OID, &request).to_string(),
            }
        });
        Ok(Self { body, key })
    }
}

fn key(request: &Request) -> Result<Option<String>> {
    let Some(value) = request.headers().get(HEADER) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text.is_empty() || MAX_BYTES < text.len() {
        return Err(Error::Invalid(format!(
            "the header Idempotency-Key must be 1 to {MAX_BYTES} characters of ASCII, a UUID for example"
        )));
    }
    Ok(Some(text.to_owned()))
}
