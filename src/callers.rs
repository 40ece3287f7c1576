//! How it is learned who calls.
//!
//! What a request shows is looked at in one place, in this order: a credential, the word of a proxy, the
//! session of a browser, a certificate. A credential that does not hold is refused, and never taken for none.

pub mod certificate;
mod cookies;
mod credential;
mod issuers;
mod keys;
pub mod login;
mod proxies;
mod signatures;
mod tokens;

use std::sync::Arc;

use reqwest::header::HeaderMap;

use crate::access::{Caller, Identity, Peer, Rules};
use crate::clock::Clock;
use crate::config::{Access, TrustedProxy};
use crate::error::{Error, Result};
use credential::Credential;
use issuers::Issuers;
use login::Login;
use tokens::Tokens;

/// All by which callers are known.
pub struct Callers {
    rules: Option<Arc<Rules>>,
    /// Without, what is shown is for a proxy that stands before serin.
    takes_credentials: bool,
    tokens: Tokens,
    issuers: Issuers,
    proxies: Vec<TrustedProxy>,
    login: Option<Login>,
    clock: Clock,
}

/// Whether a browser's session says who calls. A page of another site may send it along, so it does
/// not where that could change something.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sessions {
    Count,
    DoNot,
}

/// Why nobody is believed to be who it says.
#[derive(Debug)]
pub struct Refused {
    /// One word, for a metric.
    pub reason: &'static str,
    pub error: Error,
}

impl Refused {
    fn new(reason: &'static str, told: impl Into<String>) -> Self {
        Self {
            reason,
            error: Error::Unknown(told.into()),
        }
    }
}

impl Callers {
    /// # Errors
    /// When the file of tokens or a certificate cannot be read.
    pub fn open(access: &Access, public_url: Option<&str>, clock: Clock) -> Result<Self> {
        Ok(Self {
            rules: access.rules.clone(),
            takes_credentials: access.rules.is_some() || access.break_glass.is_some(),
            tokens: Tokens::open(access)?,
            issuers: Issuers::open(access)?,
            proxies: access.proxies.clone(),
            login: Login::open(access, public_url, clock.clone())?,
            clock,
        })
    }

    /// Where people log in.
    pub fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }

    /// Who shows nothing.
    pub fn nobody(&self) -> Caller {
        Caller::new(Identity::default(), self.rules.clone())
    }

    /// Who sends a request.
    ///
    /// # Errors
    /// `Refused` when a credential does not hold, or cannot be checked now.
    pub async fn learn(
        &self,
        headers: &HeaderMap,
        peer: Option<&Peer>,
        sessions: Sessions,
    ) -> Result<Caller, Refused> {
        let identity = Identity {
            address: peer.and_then(|peer| proxies::address(&self.proxies, headers, peer.address)),
            ..self.identity(headers, peer, sessions).await?
        };
        Ok(Caller::new(identity, self.rules.clone()))
    }

    async fn identity(
        &self,
        headers: &HeaderMap,
        peer: Option<&Peer>,
        sessions: Sessions,
    ) -> Result<Identity, Refused> {
        if self.takes_credentials
            && let Some(credential) = Credential::of(headers)?
        {
            return self.shown(&credential).await;
        }
        let named = peer.map(|peer| proxies::person(&self.proxies, headers, peer.address));
        let named = named.transpose()?.flatten();
        let login = self.login.as_ref().filter(|_| sessions == Sessions::Count);
        let person = named.or_else(|| login?.person(headers));
        let certificate = || peer?.certificate.as_deref().cloned();
        Ok(person.or_else(certificate).unwrap_or_default())
    }

    async fn shown(&self, credential: &Credential) -> Result<Identity, Refused> {
        let (token, now) = (credential.token(), self.clock.now_millis());
        let identity = match self.tokens.find(token, now).await? {
            Some(identity) => identity,
            None if self.issuers.may_know(token) => self.issuers.check(token, now).await?,
            None => return Err(Refused::new("unknown", "nobody has this token")),
        };
        credential.check_user(identity.issuer.as_ref().unwrap_or(&identity.name))?;
        Ok(identity)
    }
}
