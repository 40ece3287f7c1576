//! What a browser keeps for serin: nobody else can read it, or write it.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::header::{COOKIE, HeaderMap};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// No browser keeps a larger one.
const MOST_BYTES: usize = 3_800;

pub struct Cookies {
    seal: Seal,
    /// Whether browsers reach serin by HTTPS.
    is_secure: bool,
}

impl Cookies {
    /// Sealed by the first of these keys, which are random; by one that is made up, where there is none.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn open(keys: &[SecretString], is_secure: bool) -> Result<Self> {
        Ok(Self {
            seal: Seal::new(keys)?,
            is_secure,
        })
    }

    /// The value of `Set-Cookie` for what is kept under that name.
    ///
    /// # Errors
    /// `Forbidden` when it is too long for a browser.
    pub fn seal(&self, name: &str, kept: &impl Serialize, lasts: Duration) -> Result<String> {
        let text = serde_json::to_vec(kept).map_err(|_| defect())?;
        let sealed = self.seal.seal(name, &text)?;
        if MOST_BYTES < sealed.len() {
            let told = "no browser keeps what this login says: the rules name too many of the groups of this person";
            return Err(Error::Forbidden(told.to_owned()));
        }
        Ok(self.set(name, &sealed, lasts.as_secs()))
    }

    /// The value of `Set-Cookie` by which it is forgotten.
    pub fn without(&self, name: &str) -> String {
        self.set(name, "", 0)
    }

    /// What the browser kept under that name.
    pub fn open_one<T: DeserializeOwned>(&self, name: &str, headers: &HeaderMap) -> Option<T> {
        let wanted = self.named(name);
        let lines = headers.get_all(COOKIE).into_iter();
        let lines = lines.filter_map(|line| line.to_str().ok());
        let mut cookies = lines
            .flat_map(|line| line.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .filter(|(name, value)| *name == wanted && value.len() <= MOST_BYTES);
        cookies.find_map(|(_, value)| {
            let text = self.seal.open(name, value)?;
            serde_json::from_slice(&text).ok()
        })
    }

    fn set(&self, name: &str, value: &str, seconds: u64) -> String {
        let name = self.named(name);
        let secure = if self.is_secure { "; Secure" } else { "" };
        format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
    }

    /// With a prefix, no other host of the domain can set it.
    fn named(&self, name: &str) -> String {
        let prefix = if self.is_secure { "__Host-" } else { "" };
        format!("{prefix}{name}")
    }
}

struct Seal {
    /// The first seals, all open.
    keys: Vec<LessSafeKey>,
}

impl Seal {
    fn new(secrets: &[SecretString]) -> Result<Self> {
        let mut keys: Vec<[u8; 32]> = secrets
            .iter()
            .map(|secret| Sha256::digest(secret.expose_secret()).into())
            .collect();
        if keys.is_empty() {
            keys.push(random()?);
        }
        let keys = keys.iter().map(|key| {
            let key = UnboundKey::new(&AES_256_GCM, key);
            key.map(LessSafeKey::new).map_err(|_| defect())
        });
        Ok(Self {
            keys: keys.collect::<Result<_>>()?,
        })
    }

    /// What is sealed for one purpose is opened for no other.
    fn seal(&self, purpose: &str, text: &[u8]) -> Result<String> {
        let key = self.keys.first().ok_or_else(defect)?;
        let nonce: [u8; NONCE_LEN] = random()?;
        let mut sealed = text.to_vec();
        let aad = Aad::from(purpose.as_bytes());
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed)
            .map_err(|_| defect())?;
        Ok(BASE64_URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat()))
    }

    /// None for what was not sealed by one of the keys, for that purpose.
    fn open(&self, purpose: &str, sealed: &str) -> Option<Vec<u8>> {
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
        self.keys.iter().find_map(|key| {
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let aad = Aad::from(purpose.as_bytes());
            let mut text = sealed.to_vec();
            let opened = key.open_in_place(nonce, aad, &mut text).ok()?;
            Some(opened.to_vec())
        })
    }
}

/// # Errors
/// When the system has none.
pub fn random<const BYTES: usize>() -> Result<[u8; BYTES]> {
    let mut random = [0; BYTES];
    getrandom::fill(&mut random)
        .map_err(|cause| Error::Internal(format!("the system has no randomness: {cause}")))?;
    Ok(random)
}

fn defect() -> Error {
    Error::Internal("a cookie cannot be sealed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(keys: &[&str]) -> Seal {
        let keys: Vec<_> = keys.iter().map(|key| SecretString::from(*key)).collect();
        Seal::new(&keys).unwrap()
    }

    #[test]
    fn what_is_sealed_is_opened_by_its_keys_alone() {
        let sealed = seal(&["new", "old"]).seal("session", b"ada").unwrap();
        let by_old = seal(&["old"]).seal("session", b"ada").unwrap();
        let cases = [
            (&["new"][..], "session", sealed.clone(), true),
            (&["newest", "new"], "session", sealed.clone(), true),
            (&["new", "old"], "session", by_old.clone(), true),
            (&["new"], "session", by_old, false),
            (&[], "session", sealed.clone(), false),
            (&["new"], "login", sealed.clone(), false),
            (&["new"], "session", sealed[1..].to_owned(), false),
            (&["new"], "session", format!("{sealed}AAAA"), false),
            (&["new"], "session", String::new(), false),
            (&["new"], "session", "=ada".to_owned(), false),
        ];
        for (keys, purpose, sealed, expected) in cases {
            let opened = seal(keys).open(purpose, &sealed);
            assert_eq!(
                opened,
                expected.then(|| b"ada".to_vec()),
                "{keys:?} {purpose}"
            );
        }
        for at in 0..sealed.len() {
            let mut tampered = sealed.clone().into_bytes();
            tampered[at] = if tampered[at] == b'A' { b'B' } else { b'A' };
            let tampered = String::from_utf8(tampered).unwrap();
            // The last digit has bits that mean nothing, and others are refused by the encoding.
            let opened = seal(&["new"]).open("session", &tampered);
            assert!(opened.is_none(), "{at}");
        }
        let (one, other) = (seal(&["new"]), seal(&["new"]));
        assert_ne!(one.seal("a", b"b").unwrap(), other.seal("a", b"b").unwrap());
    }
}
