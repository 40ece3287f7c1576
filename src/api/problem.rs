//! Errors as clients see them.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::canary::date_from_millis;
use crate::clock::Clock;
use crate::error::Error;

/// The body of every error: Kayenta's `message`, and RFC 9457's members beside it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    pub message: String,
    title: &'static str,
    #[schema(example = 400)]
    status: u16,
    detail: String,
    /// Only where Kayenta's answer comes from its framework.
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
    /// Only where Kayenta's answer comes from its framework.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    /// A credential would help.
    #[serde(skip)]
    asks_who: bool,
}

impl Problem {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            detail: message.clone(),
            message,
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            timestamp: None,
            error: None,
            asks_who: false,
        }
    }

    /// With the members that Kayenta's framework adds to what it answers by itself.
    pub fn spring(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            timestamp: Some(date_from_millis(Clock::System.now_millis())),
            error: status.canonical_reason(),
            ..Self::new(status, message)
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let asks_who = self.asks_who;
        let mut response = (status, Json(self)).into_response();
        if asks_who {
            for challenge in ["Bearer", "Basic realm=\"serin\""] {
                let headers = response.headers_mut();
                headers.append(
                    header::WWW_AUTHENTICATE,
                    HeaderValue::from_static(challenge),
                );
            }
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        response
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match &error {
            // Kayenta answers 400 to a duplicate id and to a PUT of an absent config, and its
            // clients only know that.
            Error::Invalid(message) => Self::new(StatusCode::BAD_REQUEST, message),
            Error::NotFound(message) => Self::new(StatusCode::NOT_FOUND, message),
            Error::Unknown(message) => Self {
                asks_who: true,
                ..Self::new(StatusCode::UNAUTHORIZED, message)
            },
            Error::Forbidden(message) => Self::new(StatusCode::FORBIDDEN, message),
            Error::Reused(message) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, message),
            Error::Changed(message) => Self::new(StatusCode::CONFLICT, message),
            Error::Unavailable(message) => Self::new(StatusCode::SERVICE_UNAVAILABLE, message),
            Error::Fetch(fetch) => Self::spring(upstream_status(fetch.status), fetch.to_string()),
            Error::Storage { what, cause } => {
                tracing::error!(
                    what,
                    cause = cause.as_ref().map(tracing::field::display),
                    "a store failed"
                );
                Self::spring(StatusCode::INTERNAL_SERVER_ERROR, what)
            }
            Error::Internal(message) => {
                tracing::error!(message, "a defect");
                Self::spring(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "serin met a defect of its own; the log has it under this x-request-id",
                )
            }
        }
    }
}

/// Kayenta passes the status of a metric source on; without one it is a 500.
fn upstream_status(status: Option<u16>) -> StatusCode {
    status
        .and_then(|status| StatusCode::from_u16(status).ok())
        .filter(|status| status.is_client_error() || status.is_server_error())
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
