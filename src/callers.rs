//! How it is learned who calls.
//!
//! What a request shows is looked at in one place, in this order: a credential, the word of a proxy, a
//! certificate. A credential that does not hold is refused, and never taken for none.

pub mod certificate;
mod credential;
mod issuers;
mod keys;
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
use tokens::Tokens;

/// All by which callers are known.
pub struct Callers {
    rules: Option<Arc<Rules>>,
    /// Without, what is shown is for a proxy that stands before serin.
    takes_credentials: bool,
    tokens: Tokens,
    issuers: Issuers,
    proxies: Vec<TrustedProxy>,
    clock: Clock,
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
    pub fn open(access: &Access, clock: Clock) -> Result<Self> {
        Ok(Self {
            rules: access.rules.clone(),
            takes_credentials: access.rules.is_some() || access.break_glass.is_some(),
            tokens: Tokens::open(access)?,
            issuers: Issuers::open(access)?,
            proxies: access.proxies.clone(),
            clock,
        })
    }

    /// Who shows nothing.
    pub fn nobody(&self) -> Caller {
        Caller::new(Identity::default(), self.rules.clone())
    }

    /// Who sends a request.
    ///
    /// # Errors
    /// `Refused` when a credential does not hold, or cannot be checked now.
    pub async fn learn(&self, headers: &HeaderMap, peer: Option<&Peer>) -> Result<Caller, Refused> {
        let identity = Identity {
            address: peer.and_then(|peer| proxies::address(&self.proxies, headers, peer.address)),
            ..self.identity(headers, peer).await?
        };
        Ok(Caller::new(identity, self.rules.clone()))
    }

    async fn identity(
        &self,
        headers: &HeaderMap,
        peer: Option<&Peer>,
    ) -> Result<Identity, Refused> {
        if self.takes_credentials
            && let Some(credential) = Credential::of(headers)?
        {
            return self.shown(&credential).await;
        }
        let Some(peer) = peer else {
            return Ok(Identity::default());
        };
        let person = proxies::person(&self.proxies, headers, peer.address)?;
        let certificate = || peer.certificate.as_deref().cloned();
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
