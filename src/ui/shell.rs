//! What all pages have around them: who looks at them.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use crate::access::{Caller, On, Proof, Role};
use crate::app::App;
use crate::error::Error;
use crate::escape;

pub struct Shell(Caller);

impl Shell {
    pub fn of(caller: &Caller) -> Self {
        Self(caller.clone())
    }

    /// Who is logged in, in words; none where nobody is told from anybody else.
    pub fn who(&self) -> Option<String> {
        let identity = self.0.identity();
        let kind = match identity.proof {
            Proof::None if self.0.is_ruled() => return Some("not logged in".to_owned()),
            Proof::None => return None,
            Proof::Token => "token",
            Proof::Issuer => identity.issuer.as_deref().unwrap_or("issuer"),
            Proof::Login | Proof::Proxy => return Some(escape::name(&identity.name)),
            Proof::Certificate => "certificate",
        };
        Some(format!("{kind} {}", escape::name(&identity.name)))
    }

    /// Whether there is a login that a page can end.
    pub fn is_login(&self) -> bool {
        self.0.identity().proof == Proof::Login
    }

    pub fn is_admin(&self) -> bool {
        self.0.can(Role::Admin, On::NOTHING)
    }
}

/// The address of this serin, as who asks knows it.
pub fn here(app: &App, headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok());
    let seen = format!("http://{}", host.unwrap_or("localhost:8090"));
    app.config.server.public_url.clone().unwrap_or(seen)
}

/// Whoever may see something of some application: nobody else is shown a page.
pub struct Reader;

impl FromRequestParts<App> for Reader {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let caller = Caller::from_request_parts(parts, app).await?;
        app.seen_by(&caller).reads().map(|()| Self)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::access::{Identity, Rules};

    #[test]
    fn who_is_logged_in_is_said_in_words_where_rules_are() {
        let cases = [
            (Proof::None, "", None, Some("not logged in")),
            (Proof::Token, "ci", None, Some("token ci")),
            (
                Proof::Issuer,
                "repo:a/b",
                Some("github"),
                Some("github repo:a/b"),
            ),
            (
                Proof::Login,
                "ada@example.com",
                None,
                Some("ada@example.com"),
            ),
            (Proof::Proxy, "a\u{202e}b", None, Some("a\\u202eb")),
            (
                Proof::Certificate,
                "CN=orca",
                None,
                Some("certificate CN=orca"),
            ),
        ];
        for (proof, name, issuer, expected) in cases {
            let identity = Identity {
                proof,
                name: name.to_owned(),
                issuer: issuer.map(str::to_owned),
                ..Identity::default()
            };
            let caller = Caller::new(identity, Some(Arc::new(Rules::default())));
            assert_eq!(Shell::of(&caller).who().as_deref(), expected, "{name}");
        }
        assert_eq!(Shell::of(&Caller::anyone()).who(), None);
    }
}
