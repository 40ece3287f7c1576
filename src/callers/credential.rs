//! What a request shows: a token, with or without the name of whose it is.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use secrecy::{ExposeSecret, SecretString};

use super::Refused;
use crate::config::SHORTEST_TOKEN;

/// Characters of the longest token; those of issuers have a few thousand.
const LONGEST_TOKEN: usize = 16 << 10;

#[derive(Debug)]
pub struct Credential {
    /// Of Basic.
    user: Option<String>,
    token: SecretString,
}

impl Credential {
    /// None where nothing is shown.
    ///
    /// # Errors
    /// `Refused` when what is shown is no token.
    pub fn of(headers: &HeaderMap) -> Result<Option<Self>, Refused> {
        let mut shown = headers.get_all(AUTHORIZATION).into_iter();
        let (Some(shown), second) = (shown.next(), shown.next()) else {
            return Ok(None);
        };
        if second.is_some() {
            let told = "the request has two headers 'Authorization'";
            return Err(Refused::new("malformed", told));
        }
        let shown = shown.to_str().unwrap_or_default();
        let (scheme, rest) = shown.split_once(' ').unwrap_or((shown, ""));
        let credential = match scheme.to_ascii_lowercase().as_str() {
            "bearer" => Self {
                user: None,
                token: rest.trim().into(),
            },
            "basic" => Self::of_basic(rest.trim()).ok_or_else(|| {
                let told = "the header 'Authorization' is not Basic with a name and a token";
                Refused::new("malformed", told)
            })?,
            _ => {
                let told = "the header 'Authorization' must be 'Bearer <token>', or Basic with the token as password";
                return Err(Refused::new("scheme", told));
            }
        };
        credential.check_length()?;
        Ok(Some(credential))
    }

    fn of_basic(text: &str) -> Option<Self> {
        let decoded = String::from_utf8(BASE64_STANDARD.decode(text).ok()?).ok()?;
        let (user, token) = decoded.split_once(':')?;
        Some(Self {
            user: Some(user.to_owned()),
            token: token.into(),
        })
    }

    fn check_length(&self) -> Result<(), Refused> {
        match self.token().len() {
            // Who gives somebody a word as token is told at once, and not by who guesses it.
            short if short < SHORTEST_TOKEN => Err(Refused::new(
                "malformed",
                format!("the token has fewer than {SHORTEST_TOKEN} characters, and so is none"),
            )),
            long if LONGEST_TOKEN < long => Err(Refused::new(
                "malformed",
                format!("the token has more than {LONGEST_TOKEN} characters"),
            )),
            _ => Ok(()),
        }
    }

    pub fn token(&self) -> &str {
        self.token.expose_secret()
    }

    /// # Errors
    /// `Refused` when a user is named that is not the one whose token it is.
    pub fn check_user(&self, name: &str) -> Result<(), Refused> {
        match &self.user {
            Some(user) if user != name => Err(Refused::new(
                "user",
                format!("the token is not that of the user that is named, but of '{name}'"),
            )),
            _ => Ok(()),
        }
    }
}
