//! The keys of an issuer: read when they are wanted, kept, and read again now and then.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client};
use serde_json::Value;
use url::Url;

use crate::config::Issuer;
use crate::error::{Error, Result};
use crate::http::{self, Failed, ask};

/// How long keys are used without a look for others.
const FRESH: Duration = Duration::from_mins(10);

/// How long they are used while the issuer is away: nobody could say meanwhile that one of them leaked.
const KEPT: Duration = Duration::from_hours(6);

/// How long the issuer is left alone after it was asked, whoever sends keys that it does not have.
const AGAIN: Duration = Duration::from_secs(10);

const TIME_LIMIT: Duration = Duration::from_secs(5);

/// Issuers have two or three.
const MOST_KEYS: usize = 100;

pub struct Keys {
    pub issuer: Issuer,
    pub client: Client,
    known: Mutex<Known>,
    /// Held by who waits for the issuer.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    keys: Vec<Key>,
    read_at: Option<Instant>,
    asked_at: Option<Instant>,
    /// The last time that it was asked.
    failed: Option<Failed>,
}

#[derive(Clone)]
struct Key {
    id: Option<String>,
    algorithm: Option<String>,
    decoding: DecodingKey,
}

impl Keys {
    /// # Errors
    /// When a certificate cannot be read.
    pub fn open(issuer: Issuer) -> Result<Self> {
        let mut certificates = Vec::new();
        if let Some(file) = &issuer.ca_file {
            let wrong = |cause: &dyn std::fmt::Display| {
                let (name, file) = (&issuer.name, file.display());
                Error::Invalid(format!(
                    "access.issuers '{name}': caFile '{file}' holds no certificates: {cause}"
                ))
            };
            let pem = std::fs::read(file).map_err(|cause| wrong(&cause))?;
            certificates = Certificate::from_pem_bundle(&pem).map_err(|cause| wrong(&cause))?;
        }
        let asked = issuer.jwks_uri.as_ref().unwrap_or(&issuer.url);
        let scheme = asked.split(':').next().unwrap_or_default();
        let client = http::client().timeout(TIME_LIMIT).redirect(Policy::none());
        let client = http::trusting(client, scheme, certificates).build();
        let client = client.map_err(|cause| Error::Internal(http::in_words(&cause)))?;
        Ok(Self {
            issuer,
            client,
            known: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        })
    }

    /// Those by which a token may be signed that names this key; of one that names none, all.
    ///
    /// # Errors
    /// Why nobody knows the keys.
    pub async fn find(
        self: &Arc<Self>,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Vec<DecodingKey>, Failed> {
        let found = self.known().fitting(id, algorithm);
        if found.is_empty() {
            self.read().await;
        } else if self.known().is_old() {
            let keys = Arc::clone(self);
            tokio::spawn(async move { keys.read().await });
        } else {
            return Ok(found);
        }
        let known = self.known();
        match &known.failed {
            Some(failed) if known.is_gone() => Err(failed.clone()),
            _ => Ok(known.fitting(id, algorithm)),
        }
    }

    /// Asks the issuer, unless somebody did so just now.
    async fn read(self: &Arc<Self>) {
        let _turn = self.turn.lock().await;
        {
            let mut known = self.known();
            let asked = known.asked_at.map(|asked_at| asked_at.elapsed());
            if asked.is_some_and(|ago| ago < AGAIN) {
                return;
            }
            known.asked_at = Some(Instant::now());
        }
        // Who goes away meanwhile does not keep others from the answer.
        let keys = Arc::clone(self);
        let asking = tokio::spawn(async move {
            let read = keys.ask().await;
            keys.keep(read);
        });
        let _ = asking.await;
    }

    fn keep(&self, read: Result<Vec<Key>, Failed>) {
        let mut known = self.known();
        match read {
            Ok(keys) => {
                known.keys = keys;
                known.read_at = Some(Instant::now());
                known.failed = None;
            }
            Err(failed) => {
                let name = &self.issuer.name;
                tracing::warn!("the keys of the issuer '{name}' cannot be read: {failed}");
                known.failed = Some(failed);
                if known
                    .read_at
                    .is_some_and(|read_at| KEPT < read_at.elapsed())
                {
                    known.keys.clear();
                }
            }
        }
    }

    async fn ask(&self) -> Result<Vec<Key>, Failed> {
        let uri = match &self.issuer.jwks_uri {
            Some(uri) => uri.clone(),
            None => self.discover().await?,
        };
        let set = self.get(&uri).await?;
        let listed = set["keys"].as_array().map(Vec::as_slice);
        let listed = listed.unwrap_or_default().iter().take(MOST_KEYS);
        let keys: Vec<Key> = listed.filter_map(Key::read).collect();
        if keys.is_empty() {
            return Err(Failed::for_good("it lists no key that serin can use"));
        }
        Ok(keys)
    }

    /// What the issuer says of itself.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub async fn document(&self) -> Result<Value, Failed> {
        let issuer = &self.issuer.url;
        let place = issuer.trim_end_matches('/');
        let document = self
            .get(&format!("{place}/.well-known/openid-configuration"))
            .await?;
        if document["issuer"].as_str() != Some(issuer) {
            let told = "its discovery document is that of another issuer";
            return Err(Failed::for_good(told));
        }
        Ok(document)
    }

    /// Where the keys are, as the issuer itself says.
    async fn discover(&self) -> Result<String, Failed> {
        let document = self.document().await?;
        let uri = document["jwks_uri"]
            .as_str()
            .filter(|uri| http::is_safe(uri));
        uri.map(str::to_owned).ok_or_else(|| {
            Failed::for_good("its discovery document has no 'jwks_uri' that begins with 'https://'")
        })
    }

    async fn get(&self, url: &str) -> Result<Value, Failed> {
        let mut request = self.client.get(url);
        if let Some(file) = self.issuer.token_file.as_ref().filter(|_| self.is_own(url)) {
            let token = tokio::fs::read_to_string(file).await;
            let token = token.map_err(|cause| {
                let file = file.display();
                Failed::for_good(format!("its tokenFile '{file}' cannot be read: {cause}"))
            })?;
            request = request.bearer_auth(token.trim());
        }
        ask::json(request, &[]).await
    }

    /// Whether the configuration names that host: no other is shown the token.
    fn is_own(&self, url: &str) -> bool {
        let origin = |url: &str| Url::parse(url).ok().map(|url| url.origin());
        let own = [Some(&self.issuer.url), self.issuer.jwks_uri.as_ref()];
        let mut own = own.into_iter().flatten();
        own.any(|own| origin(own).is_some_and(|own| Some(own) == origin(url)))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn is_old(&self) -> bool {
        let is_recent = |at: Option<Instant>, time| at.is_some_and(|at| at.elapsed() < time);
        !is_recent(self.read_at, FRESH) && !is_recent(self.asked_at, AGAIN)
    }

    fn is_gone(&self) -> bool {
        self.keys.is_empty()
    }

    fn fitting(&self, id: Option<&str>, algorithm: Algorithm) -> Vec<DecodingKey> {
        let is_kept = self.read_at.is_some_and(|read_at| read_at.elapsed() < KEPT);
        let keys = self
            .keys
            .iter()
            .filter(|key| is_kept && key.fits(id, algorithm));
        keys.map(|key| key.decoding.clone()).collect()
    }
}

impl Key {
    /// None for what is no key for signatures that only the issuer makes.
    fn read(listed: &Value) -> Option<Self> {
        let key: Jwk = serde_json::from_value(listed.clone()).ok()?;
        let uses = key.common.public_key_use.as_ref();
        if uses.is_some_and(|uses| *uses != PublicKeyUse::Signature) {
            return None;
        }
        let decoding = DecodingKey::from_jwk(&key).ok()?;
        (decoding.family() != AlgorithmFamily::Hmac).then(|| Self {
            id: key.common.key_id,
            algorithm: listed["alg"].as_str().map(str::to_owned),
            decoding,
        })
    }

    fn fits(&self, id: Option<&str>, algorithm: Algorithm) -> bool {
        let named = self.algorithm.as_ref();
        let is_its = named.is_none_or(|named| named.parse() == Ok(algorithm));
        let is_named = id.is_none_or(|id| self.id.as_deref() == Some(id));
        is_named && is_its && self.decoding.family() == algorithm.family()
    }
}
