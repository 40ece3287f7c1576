//! Tokens that an issuer signed: who they are of, and what is said of whom.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header};
use moka::future::Cache;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Refused;
use super::keys::Keys;
use super::signatures;
use crate::access::{Identity, Proof};
use crate::config::{Access, Issuer, SignedBy, TokenHash};
use crate::error::{Error, Result};

/// How long a token is believed that was checked.
const BELIEVED: Duration = Duration::from_mins(1);

/// How many are remembered.
const MOST_REMEMBERED: u64 = 10_000;

/// How many groups somebody may have, and values a claim.
const MOST_VALUES: usize = 1_000;

pub struct Issuers {
    known: Vec<Arc<Keys>>,
    /// Those that rules ask for; others are left where they are.
    claims: BTreeSet<String>,
    checked: Cache<TokenHash, Arc<Checked>>,
}

struct Checked {
    identity: Identity,
    /// In epoch milliseconds.
    until: i64,
}

/// What is read before anything is believed: whom to ask.
#[derive(Deserialize)]
struct Claimed {
    iss: String,
}

impl Issuers {
    pub fn open(access: &Access) -> Result<Self> {
        signatures::install();
        let issuers = access.issuers.iter().cloned().map(Keys::open);
        let issuers = issuers.map(|keys| keys.map(Arc::new));
        let rules = access.rules.iter().flat_map(|rules| &rules.0);
        Ok(Self {
            known: issuers.collect::<Result<_>>()?,
            claims: rules
                .flat_map(|rule| rule.who.claims.keys().cloned())
                .collect(),
            checked: Cache::builder()
                .max_capacity(MOST_REMEMBERED)
                .time_to_live(BELIEVED)
                .build(),
        })
    }

    /// Whether it may be of one of them at all.
    pub fn may_know(&self, token: &str) -> bool {
        !self.known.is_empty() && token.split('.').count() == 3
    }

    /// Of whom it is, in epoch milliseconds `now`.
    ///
    /// # Errors
    /// `Refused` when it does not hold, or the keys of its issuer cannot be had.
    pub async fn check(&self, token: &str, now: i64) -> Result<Identity, Refused> {
        let hash = TokenHash::of(token);
        let checked = self.checked.get(&hash).await;
        if let Some(checked) = checked.filter(|checked| now < checked.until) {
            return Ok(checked.identity.clone());
        }
        let checked = Arc::new(self.look_at(token, now).await?);
        let identity = checked.identity.clone();
        self.checked.insert(hash, checked).await;
        Ok(identity)
    }

    async fn look_at(&self, token: &str, now: i64) -> Result<Checked, Refused> {
        let header = header(token)?;
        let claimed: Claimed = insecure_decode_claims(token).map_err(|_| none())?;
        let mut issuers = self.known.iter();
        let keys = issuers.find(|keys| keys.issuer.url == claimed.iss);
        let keys = keys.ok_or_else(|| {
            Refused::new(
                "issuer",
                "the issuer of the token is not one that serin knows",
            )
        })?;
        let (claims, ends) = checked(keys, &header, token, now).await?;
        let believed = i64::try_from(BELIEVED.as_millis()).unwrap_or(i64::MAX);
        Ok(Checked {
            identity: self.identity(&keys.issuer, &claims).ok_or_else(none)?,
            until: ends.min(now.saturating_add(believed)),
        })
    }

    fn identity(&self, issuer: &Issuer, claims: &Map<String, Value>) -> Option<Identity> {
        let named = self.claims.iter();
        let named = named.filter_map(|name| Some((name.clone(), texts(claim(claims, name)?))));
        let groups = issuer.groups_claim.as_deref();
        let groups = groups.and_then(|name| claim(claims, name));
        let name = claims.get("sub")?.as_str()?;
        if name.is_empty() || name.chars().any(char::is_control) {
            return None;
        }
        Some(Identity {
            proof: Proof::Issuer,
            name: name.to_owned(),
            issuer: Some(issuer.name.clone()),
            groups: groups.map(texts).unwrap_or_default(),
            claims: named.collect::<IndexMap<_, _>>(),
            ..Identity::default()
        })
    }
}

fn none() -> Refused {
    Refused::new("malformed", "the token is no JWT as serin knows them")
}

/// The crate knows no algorithm 'none', and so neither does serin.
fn header(token: &str) -> Result<Header, Refused> {
    decode_header(token).map_err(|_| none())
}

/// What a token of that issuer says, if it holds in epoch milliseconds `now`.
///
/// # Errors
/// `Refused` when it does not hold, or the keys of the issuer cannot be had.
pub async fn claims(
    keys: &Arc<Keys>,
    token: &str,
    now: i64,
) -> Result<Map<String, Value>, Refused> {
    let (claims, _) = checked(keys, &header(token)?, token, now).await?;
    Ok(claims)
}

/// The same, and until when.
async fn checked(
    keys: &Arc<Keys>,
    header: &Header,
    token: &str,
    now: i64,
) -> Result<(Map<String, Value>, i64), Refused> {
    let allowed = &keys.issuer.algorithms;
    if !allowed.iter().any(|allowed| crates(*allowed) == header.alg) {
        return Err(algorithm());
    }
    let id = header.kid.as_deref();
    let found = keys
        .find(id, header.alg)
        .await
        .map_err(|_| away(&keys.issuer))?;
    let claims = signed(token, &found, &validation(&keys.issuer, header.alg))?;
    let ends = check_time(&claims, &keys.issuer, now)?;
    Ok((claims, ends))
}

fn algorithm() -> Refused {
    let told = "the token is signed by an algorithm that serin does not take of its issuer";
    Refused::new("algorithm", told)
}

/// Not that the token is wrong: nobody can tell.
fn away(issuer: &Issuer) -> Refused {
    Refused {
        reason: "unavailable",
        error: Error::Unavailable(format!(
            "the keys of the issuer '{}' cannot be read, so its tokens cannot be checked; the same \
             call may go through later",
            issuer.name
        )),
    }
}

fn validation(issuer: &Issuer, algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    // By serin's own clock, below.
    validation.validate_exp = false;
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.set_issuer(&[&issuer.url]);
    validation.set_audience(&issuer.audience);
    validation
}

/// The claims, if one of the keys signed them.
fn signed(
    token: &str,
    keys: &[jsonwebtoken::DecodingKey],
    validation: &Validation,
) -> Result<Map<String, Value>, Refused> {
    let mut refused = Refused::new("key", "the issuer of the token has no key that signed it");
    for key in keys {
        match decode::<Map<String, Value>>(token, key, validation) {
            Ok(decoded) => return Ok(decoded.claims),
            Err(wrong) => match wrong.kind() {
                ErrorKind::InvalidSignature => {}
                ErrorKind::InvalidAudience => {
                    let told = "the token is for another audience (aud) than serin's";
                    refused = Refused::new("audience", told);
                }
                ErrorKind::MissingRequiredClaim(claim) => {
                    let told = format!("the token has no claim '{claim}'");
                    refused = Refused::new("malformed", told);
                }
                _ => refused = Refused::new("malformed", "the token is not as serin wants it"),
            },
        }
    }
    Err(refused)
}

/// When the token ends, in epoch milliseconds.
fn check_time(claims: &Map<String, Value>, issuer: &Issuer, now: i64) -> Result<i64, Refused> {
    let wrong =
        |claim: &str| Refused::new("malformed", format!("the token has no time as '{claim}'"));
    let leeway = i64::try_from(issuer.leeway.as_millis()).unwrap_or(0);
    let ends = millis(claims.get("exp")).ok_or_else(|| wrong("exp"))?;
    if ends.saturating_add(leeway) <= now {
        return Err(Refused::new("expired", "the token has expired"));
    }
    if let Some(begins) = claims.get("nbf") {
        let begins = millis(Some(begins)).ok_or_else(|| wrong("nbf"))?;
        if now.saturating_add(leeway) < begins {
            return Err(Refused::new("early", "the token does not hold yet"));
        }
    }
    Ok(ends)
}

/// Seconds, which may have a fraction.
#[expect(
    clippy::cast_possible_truncation,
    reason = "what is too large is the end of time"
)]
fn millis(seconds: Option<&Value>) -> Option<i64> {
    let seconds = seconds?.as_f64().filter(|seconds| seconds.is_finite())?;
    Some((seconds * 1_000.0) as i64)
}

/// A claim, or one within claims: names themselves may have dots.
pub fn claim<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    claims.get(name).or_else(|| {
        claims.iter().find_map(|(outer, within)| {
            let rest = name.strip_prefix(outer.as_str())?.strip_prefix('.')?;
            claim(within.as_object()?, rest)
        })
    })
}

pub fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => {
            let values = values.iter().take(MOST_VALUES);
            values.filter_map(text).collect()
        }
        value => text(value).into_iter().collect(),
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    }
}

fn crates(algorithm: SignedBy) -> Algorithm {
    match algorithm {
        SignedBy::Rs256 => Algorithm::RS256,
        SignedBy::Rs384 => Algorithm::RS384,
        SignedBy::Rs512 => Algorithm::RS512,
        SignedBy::Ps256 => Algorithm::PS256,
        SignedBy::Ps384 => Algorithm::PS384,
        SignedBy::Ps512 => Algorithm::PS512,
        SignedBy::Es256 => Algorithm::ES256,
        SignedBy::Es384 => Algorithm::ES384,
        SignedBy::EdDsa => Algorithm::EdDSA,
    }
}
