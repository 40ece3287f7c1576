//! Who calls, as an argument of every door: one of these three, so that none forgets to say who may.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::App;
use crate::access::{Caller, On, Role};
use crate::error::Error;

impl FromRequestParts<App> for Caller {
    type Rejection = Infallible;

    /// As whoever learned it before the doors says; without its word, the caller shows nothing.
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let known = parts.extensions.get::<Self>().cloned();
        Ok(known.unwrap_or_else(|| app.callers.nobody()))
    }
}

/// A caller who may do what concerns the process itself: others are refused.
pub struct Operator(pub Caller);

impl FromRequestParts<App> for Operator {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let Ok(caller) = Caller::from_request_parts(parts, app).await;
        if !caller.is_ruled() && app.config.server.admin {
            return Ok(Self(caller));
        }
        caller.check(Role::Admin, On::EVERYTHING)?;
        Ok(Self(caller))
    }
}

/// Whoever it is: nothing of anybody is told.
pub struct Anybody;

impl FromRequestParts<App> for Anybody {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, _: &App) -> Result<Self, Infallible> {
        Ok(Self)
    }
}
