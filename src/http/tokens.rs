//! Tokens that services are asked with, each kept until it is about to end.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::ask::{Failed, Token};

/// A token is renewed so long before its end, or at three quarters of its time.
const AHEAD: Duration = Duration::from_secs(225);

/// For so long a failure is told again: all who wait would ask one after the other.
const FAILED_FOR: Duration = Duration::from_secs(1);

/// Who gives tokens.
#[async_trait]
pub trait Giver: Send + Sync {
    /// Whose tokens these are, for the log.
    const WHOSE: &'static str;

    /// # Errors
    /// Why there is none, and whether there may be one later.
    async fn ask(&self) -> Result<Token, Failed>;
}

/// The tokens of one account.
pub struct Tokens<G> {
    giver: G,
    known: Mutex<Known>,
    /// Held by who gets another one; others go on with the old one, as long as it is good.
    renewal: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    token: Option<Kept>,
    failed: Option<(Instant, Failed)>,
}

struct Kept {
    bearer: SecretString,
    renewed_at: Instant,
    ends_at: Instant,
}

impl<G: Giver> Tokens<G> {
    pub fn of(giver: G) -> Self {
        Self {
            giver,
            known: Mutex::default(),
            renewal: tokio::sync::Mutex::default(),
        }
    }

    /// A token that is good yet; where another one is wanted already, one of those who ask gets it.
    ///
    /// # Errors
    /// Why there is none, and whether there may be one later.
    pub async fn bearer(&self) -> Result<SecretString, Failed> {
        if let Some(fresh) = self.known().fresh() {
            return Ok(fresh);
        }
        let good = self.known().still_good();
        let _turn = match (self.renewal.try_lock(), good) {
            (Ok(turn), _) => turn,
            (Err(_), Some(good)) => return Ok(good),
            (Err(_), None) => self.renewal.lock().await,
        };
        // Somebody may have asked meanwhile.
        let told = self.known().told();
        match told {
            Some(told) => told,
            None => self.renew().await,
        }
    }

    async fn renew(&self) -> Result<SecretString, Failed> {
        let asked_at = Instant::now();
        match self.giver.ask().await {
            Ok(token) => {
                let ahead = AHEAD.min(token.lasts / 4);
                *self.known() = Known {
                    token: Some(Kept {
                        bearer: token.bearer.clone(),
                        renewed_at: asked_at + token.lasts - ahead,
                        ends_at: asked_at + token.lasts,
                    }),
                    failed: None,
                };
                Ok(token.bearer)
            }
            Err(failed) => {
                tracing::warn!("cannot renew a token of {}: {failed}", G::WHOSE);
                let mut known = self.known();
                known.failed = Some((Instant::now(), failed.clone()));
                known.still_good().ok_or(failed)
            }
        }
    }

    /// Keeps that token no longer: it was refused before its end.
    pub fn forget(&self, bearer: &SecretString) {
        let mut known = self.known();
        let is_kept = known
            .token
            .as_ref()
            .is_some_and(|kept| kept.bearer.expose_secret() == bearer.expose_secret());
        if is_kept {
            known.token = None;
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn fresh(&self) -> Option<SecretString> {
        let kept = self.token.as_ref();
        let fresh = kept.filter(|kept| Instant::now() < kept.renewed_at);
        fresh.map(|kept| kept.bearer.clone())
    }

    fn still_good(&self) -> Option<SecretString> {
        let kept = self.token.as_ref();
        let good = kept.filter(|kept| Instant::now() < kept.ends_at);
        good.map(|kept| kept.bearer.clone())
    }

    /// What there is to say without asking anybody.
    fn told(&self) -> Option<Result<SecretString, Failed>> {
        if let Some(fresh) = self.fresh() {
            return Some(Ok(fresh));
        }
        let failed = self.failed.as_ref();
        let (_, failed) = failed.filter(|(at, _)| at.elapsed() < FAILED_FOR)?;
        Some(self.still_good().ok_or_else(|| failed.clone()))
    }
}
