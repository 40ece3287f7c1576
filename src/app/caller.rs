//! Who calls, as an argument of every door.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::App;
use crate::access::Caller;

impl FromRequestParts<App> for Caller {
    type Rejection = Infallible;

    /// As whoever learned it before the doors says; without its word, the caller shows nothing.
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let known = parts.extensions.get::<Self>().cloned();
        Ok(known.unwrap_or_else(|| app.callers.nobody()))
    }
}
