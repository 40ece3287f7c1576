//! Who calls, as an argument of every door: one of these four, so that none forgets to say who may.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::App;
use crate::access::{Caller, On, Role};
use crate::error::{Error, Result};

impl FromRequestParts<App> for Caller {
    type Rejection = Error;

    /// Who may nothing at all is refused before anything of its request is read.
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let caller = known(parts, app);
        let may = |role| caller.can(role, On::NOTHING);
        if !Role::ALL.into_iter().any(may) {
            caller.check(Role::Read, On::NOTHING)?;
        }
        Ok(caller)
    }
}

/// A caller who may do what concerns the process itself: others are refused.
pub struct Operator(pub Caller);

impl FromRequestParts<App> for Operator {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let caller = known(parts, app);
        caller.check(Role::Admin, On::EVERYTHING)?;
        Ok(Self(caller))
    }
}

/// Whoever it is, for doors that tell more to whom may see it.
pub struct Whoever(pub Caller);

impl FromRequestParts<App> for Whoever {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        Ok(Self(known(parts, app)))
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

/// As whoever learned it before the doors says; without its word, the caller shows nothing.
fn known(parts: &Parts, app: &App) -> Caller {
    let known = parts.extensions.get::<Caller>().cloned();
    known.unwrap_or_else(|| app.callers.nobody())
}
