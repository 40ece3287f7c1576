//! `access.login`: where people log in, and how long that lasts.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::safe_url;
use crate::config::section::Section;
use crate::config::{Error, Result};

/// Characters of the shortest key: 16 random bytes in hexadecimal digits.
const SHORTEST_KEY: usize = 32;

#[derive(Clone, Debug)]
pub struct LoginOfPeople {
    /// As its discovery document has it.
    pub issuer: String,
    pub client_id: String,
    /// None of a client that has no secret.
    pub client_secret: Option<SecretString>,
    pub scopes: Vec<String>,
    /// The claims that have the name of a person, and the groups.
    pub name_claim: String,
    pub groups_claim: String,
    /// How long a login lasts.
    pub session: Duration,
    /// The first seals sessions, all of them open some; without, one is made up at the start.
    pub session_keys: Vec<SecretString>,
    /// PEM certificates to trust beside the system's.
    pub ca_file: Option<PathBuf>,
}

pub fn read(section: &mut Section<'_>) -> Result<Option<LoginOfPeople>> {
    let issuer = section.parsed_if_given("issuer", |text| {
        safe_url(text)?;
        Ok(text.to_owned())
    })?;
    let client_id = section.text("clientId")?;
    let client_secret = section.secret("clientSecret")?;
    let scopes = section.texts("scopes")?;
    let name_claim = section.text_or("nameClaim", "email")?;
    let groups_claim = section.text_or("groupsClaim", "groups")?;
    let session = section.duration("session", Duration::from_secs(1))?;
    let session_keys = [
        key(section, "sessionKey")?,
        key(section, "previousSessionKey")?,
    ];
    let ca_file = section.text("caFile")?.map(PathBuf::from);
    let missing = |key: &str| Error(format!("{} must be given", section.path_of(key)));
    let (issuer, client_id) = match (issuer, client_id) {
        (None, None) => return Ok(None),
        (None, Some(_)) => return Err(missing("issuer")),
        (Some(_), None) => return Err(missing("clientId")),
        (Some(issuer), Some(client_id)) => (issuer, client_id),
    };
    if !scopes.iter().any(|scope| scope == "openid") {
        return Err(Error(format!(
            "{} must have 'openid': without it nobody says who logged in",
            section.path_of("scopes")
        )));
    }
    if session_keys[0].is_none() {
        section.context().warn(format!(
            "{} is not given, so one is made up at each start: people log in again after it, and at each replica",
            section.path_of("sessionKey")
        ));
    }
    Ok(Some(LoginOfPeople {
        issuer,
        client_id,
        client_secret,
        scopes,
        name_claim,
        groups_claim,
        session,
        session_keys: session_keys.into_iter().flatten().collect(),
        ca_file,
    }))
}

fn key(section: &mut Section<'_>, key: &'static str) -> Result<Option<SecretString>> {
    let path = section.path_of(key);
    let given = section.secret(key)?;
    let length = given.as_ref().map(|given| given.expose_secret().len());
    match length {
        Some(length) if length < SHORTEST_KEY => Err(Error(format!(
            "{path} has {length} characters, too few to be random: at least {SHORTEST_KEY} are wanted, as \
             'openssl rand -hex 32' prints"
        ))),
        _ => Ok(given),
    }
}
