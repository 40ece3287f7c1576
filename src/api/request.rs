//! What comes in: bodies and ids, read as leniently as Kayenta's clients need.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

use super::problem::Problem;
use crate::canary::{Id, fault};
use crate::error::{Error, Result};

/// A JSON body. A missing content type is JSON; another one is refused.
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> std::result::Result<Self, Response> {
        let bytes = read(request, state).await?;
        parse(&bytes).map(Self).map_err(IntoResponse::into_response)
    }
}

/// A body that does not say that it is anything else than JSON.
pub async fn read<S: Send + Sync>(
    request: Request,
    state: &S,
) -> std::result::Result<Bytes, Response> {
    if !is_json(request.headers()) {
        let told = "the body must be JSON: send 'Content-Type: application/json'";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, told).into_response());
    }
    Bytes::from_request(request, state)
        .await
        .map_err(|rejection| {
            Problem::new(rejection.status(), rejection.body_text()).into_response()
        })
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(header::CONTENT_TYPE) else {
        return true;
    };
    let kind = kind.to_str().unwrap_or("").split(';').next().unwrap_or("");
    let kind = kind.trim().to_ascii_lowercase();
    kind.is_empty() || kind == "application/json" || kind == "application/*+json"
}

/// JSON with the path of what is wrong in the error.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    // serde takes a list for a struct, too: one of its members in their order.
    let begins = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    if begins == Some(&b'[') && !is_list::<T>() {
        let told = "the body cannot be read: it is a list, where an object is wanted";
        return Err(Error::Invalid(told.to_owned()));
    }
    fault::read(bytes).map_err(|wrong| {
        // JSON has none.
        if bytes.contains(&0) {
            let told = "the body cannot be read: it holds zeros, as UTF-16 does; send UTF-8";
            return Error::Invalid(told.to_owned());
        }
        wrong.into()
    })
}

fn is_list<T: DeserializeOwned>() -> bool {
    let of_object = serde_json::from_str::<T>("{}");
    of_object.is_err_and(|error| error.to_string().starts_with("invalid type: map"))
}

/// An id in the path.
pub struct PathId(pub Id);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &S,
    ) -> std::result::Result<Self, Response> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| {
                Problem::new(StatusCode::BAD_REQUEST, rejection.body_text()).into_response()
            })?;
        Id::parse(&text)
            .map(Self)
            .map_err(IntoResponse::into_response)
    }
}
