//! The login of people at an issuer (OIDC), by its code flow: with PKCE, a state and a nonce.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::header::HeaderMap;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use url::Url;

use super::cookies::{Cookies, random};
use super::issuers;
use super::keys::Keys;
use crate::access::{Identity, Proof, glob};
use crate::clock::Clock;
use crate::config::{Access, Issuer, LoginOfPeople, SignedBy};
use crate::error::{Error, Result};
use crate::http::{self, Failed, ask};

/// How long somebody may take at the issuer.
const UNDER_WAY: Duration = Duration::from_mins(10);

/// How long the discovery document is believed.
const FRESH: Duration = Duration::from_mins(10);

/// Of an address within serin that somebody wanted to see, and of a code.
const MOST_ADDRESS: usize = 1_000;
const MOST_CODE: usize = 4_000;

/// Where one begins who wants to see nothing else.
const START: &str = "/ui/";

const CALLBACK: &str = "/ui/login/callback";

/// The cookies, by what they are for.
const SESSION: &str = "serin-session";
const BEGUN: &str = "serin-login";

pub struct Login {
    settings: LoginOfPeople,
    /// Where people come back to.
    callback: String,
    /// Patterns of the groups that count.
    groups: Vec<String>,
    cookies: Cookies,
    keys: Arc<Keys>,
    clock: Clock,
    known: Mutex<Option<(Instant, Arc<Endpoints>)>>,
}

/// Where a browser is sent, and what it is to keep: values of `Set-Cookie`.
#[derive(Debug)]
pub struct Sent {
    pub to: String,
    pub cookies: Vec<String>,
}

/// What the issuer answers to the browser.
#[derive(Debug, Default, Deserialize)]
pub struct Answer {
    pub code: Option<String>,
    pub state: Option<String>,
    pub iss: Option<String>,
    pub error: Option<String>,
    pub error_description: Option<String>,
}

/// What is used of a discovery document.
#[derive(Deserialize)]
struct Endpoints {
    authorization_endpoint: String,
    token_endpoint: String,
    userinfo_endpoint: Option<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

/// A login that has begun.
#[derive(Serialize, Deserialize)]
struct Begun {
    state: String,
    nonce: String,
    verifier: String,
    to: String,
    /// In epoch milliseconds.
    until: i64,
}

#[derive(Serialize, Deserialize)]
struct Session {
    name: String,
    groups: Vec<String>,
    /// In epoch milliseconds.
    until: i64,
}

impl Login {
    /// None where nobody logs in.
    ///
    /// # Errors
    /// When a file of certificates cannot be read, or the system has no randomness.
    pub fn open(access: &Access, public_url: Option<&str>, clock: Clock) -> Result<Option<Self>> {
        let Some((settings, base)) = access.login.clone().zip(public_url) else {
            return Ok(None);
        };
        let keys = Keys::open(Issuer {
            name: "login".to_owned(),
            url: settings.issuer.clone(),
            audience: vec![settings.client_id.clone()],
            jwks_uri: None,
            algorithms: SignedBy::ALL.map(|(_, algorithm)| algorithm).to_vec(),
            leeway: Duration::from_mins(1),
            groups_claim: None,
            ca_file: settings.ca_file.clone(),
            token_file: None,
        })?;
        let rules = access.rules.iter().flat_map(|rules| &rules.0);
        Ok(Some(Self {
            callback: format!("{base}{CALLBACK}"),
            groups: rules.filter_map(|rule| rule.who.group.clone()).collect(),
            cookies: Cookies::open(&settings.session_keys, base.starts_with("https://"))?,
            keys: Arc::new(keys),
            settings,
            clock,
            known: Mutex::default(),
        }))
    }

    /// Begins one, for who wanted to see that address.
    ///
    /// # Errors
    /// `Unavailable` when the issuer does not answer.
    pub async fn begin(&self, to: &str) -> Result<Sent> {
        let endpoints = self.endpoints().await?;
        let word = || random::<32>().map(|random| BASE64_URL_SAFE_NO_PAD.encode(random));
        let begun = Begun {
            state: word()?,
            nonce: word()?,
            verifier: word()?,
            to: own(to).to_owned(),
            until: self.after(UNDER_WAY),
        };
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&begun.verifier));
        let mut address = Url::parse(&endpoints.authorization_endpoint).map_err(|cause| {
            self.unavailable(&format!("its authorization_endpoint is no URL: {cause}"))
        })?;
        let scopes = self.settings.scopes.join(" ");
        let parameters: [(&str, &str); 8] = [
            ("response_type", "code"),
            ("client_id", &self.settings.client_id),
            ("redirect_uri", &self.callback),
            ("scope", &scopes),
            ("state", &begun.state),
            ("nonce", &begun.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        address.query_pairs_mut().extend_pairs(parameters);
        Ok(Sent {
            to: address.into(),
            cookies: vec![self.cookies.seal(BEGUN, &begun, UNDER_WAY)?],
        })
    }

    /// Ends one, with what the issuer answered to the browser.
    ///
    /// # Errors
    /// `Invalid` when it is no answer to a login of this browser, `Forbidden` when the issuer or serin
    /// does not let it pass, `Unavailable` when the issuer does not answer.
    pub async fn end(&self, headers: &HeaderMap, answer: &Answer) -> Result<Sent> {
        let begun: Option<Begun> = self.cookies.open_one(BEGUN, headers);
        let begun = begun.filter(|begun| self.clock.now_millis() < begun.until);
        let begun = begun.filter(|begun| answer.state.as_ref() == Some(&begun.state));
        let begun = begun.ok_or_else(|| {
            Error::Invalid(
                "this login was not begun in this browser, or more than ten minutes ago; \
                 /ui/login begins another"
                    .to_owned(),
            )
        })?;
        let code = self.code(answer)?;
        let session = self.session(code, &begun).await?;
        let lasts = self.settings.session;
        Ok(Sent {
            to: begun.to,
            cookies: vec![
                self.cookies.seal(SESSION, &session, lasts)?,
                self.cookies.without(BEGUN),
            ],
        })
    }

    /// Who logged in in that browser, as long as it lasts.
    pub fn person(&self, headers: &HeaderMap) -> Option<Identity> {
        let session: Session = self.cookies.open_one(SESSION, headers)?;
        (self.clock.now_millis() < session.until).then(|| Identity {
            proof: Proof::Login,
            name: session.name,
            groups: session.groups,
            ..Identity::default()
        })
    }

    /// The value of `Set-Cookie` that ends it.
    pub fn forget(&self) -> String {
        self.cookies.without(SESSION)
    }

    fn code<'a>(&self, answer: &'a Answer) -> Result<&'a str> {
        if let Some(error) = &answer.error {
            let described = answer.error_description.as_deref().unwrap_or_default();
            let mut told = format!("the issuer does not let this login pass: {error} {described}");
            http::cut(&mut told, 300);
            return Err(Error::Forbidden(told.trim_end().to_owned()));
        }
        let issuer = answer.iss.as_ref();
        if issuer.is_some_and(|issuer| *issuer != self.settings.issuer) {
            let told = "this is the answer of another issuer";
            return Err(Error::Invalid(told.to_owned()));
        }
        let code = answer.code.as_deref();
        let code = code.filter(|code| code.len() <= MOST_CODE);
        code.ok_or_else(|| {
            let told = "the issuer answers without a code, or with a very long one";
            Error::Invalid(told.to_owned())
        })
    }

    async fn session(&self, code: &str, begun: &Begun) -> Result<Session> {
        let endpoints = self.endpoints().await?;
        let tokens = self.exchange(&endpoints, code, begun).await;
        let tokens = tokens.map_err(|failed| {
            if failed.may_pass {
                self.unavailable(&failed.why)
            } else {
                refused(&failed.why)
            }
        })?;
        let token = tokens["id_token"].as_str();
        let token = token.ok_or_else(|| refused("it has no id_token"))?;
        let claims = issuers::claims(&self.keys, token, self.clock.now_millis()).await;
        let mut claims = claims.map_err(|wrong| match wrong.error {
            Error::Unknown(why) => refused(&why),
            other => other,
        })?;
        if claims.get("nonce").and_then(Value::as_str) != Some(&begun.nonce) {
            return Err(refused("it is that of another login (nonce)"));
        }
        let party = claims.get("azp").map(Value::as_str);
        if party.is_some_and(|party| party != Some(&self.settings.client_id)) {
            return Err(refused("it is for another client (azp)"));
        }
        if issuers::claim(&claims, &self.settings.name_claim).is_none() {
            self.ask_more(&endpoints, &tokens, &mut claims).await?;
        }
        self.of_claims(&claims)
    }

    async fn exchange(
        &self,
        endpoints: &Endpoints,
        code: &str,
        begun: &Begun,
    ) -> Result<Value, Failed> {
        let id = self.settings.client_id.as_str();
        let secret = self.settings.client_secret.as_ref();
        let secret = secret.map(ExposeSecret::expose_secret);
        let mut members = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.callback.as_str()),
            ("code_verifier", begun.verifier.as_str()),
        ];
        // Basic is what an issuer takes that does not say what it takes.
        let by_form =
            endpoints.takes("client_secret_post") && !endpoints.takes("client_secret_basic");
        if secret.is_none() || by_form {
            members.push(("client_id", id));
        }
        if let Some(secret) = secret.filter(|_| by_form) {
            members.push(("client_secret", secret));
        }
        let request = ask::form(&self.keys.client, &endpoints.token_endpoint, &members);
        let request = match secret.filter(|_| !by_form) {
            Some(secret) => request.basic_auth(http::escaped(id), Some(http::escaped(secret))),
            None => request,
        };
        let secrets = [code, &begun.verifier, secret.unwrap_or_default()];
        ask::json(request, &secrets).await
    }

    /// Some issuers say who somebody is only where they are asked for it.
    async fn ask_more(
        &self,
        endpoints: &Endpoints,
        tokens: &Value,
        claims: &mut Map<String, Value>,
    ) -> Result<()> {
        let token = tokens["access_token"].as_str();
        let Some((place, token)) = endpoints.userinfo_endpoint.as_ref().zip(token) else {
            return Ok(());
        };
        let asked = ask::json(self.keys.client.get(place).bearer_auth(token), &[]).await;
        let told = asked.map_err(|failed| self.unavailable(&failed.why))?;
        // It may be that of somebody else.
        if let Value::Object(told) = told
            && told.get("sub") == claims.get("sub")
        {
            for (name, value) in told {
                claims.entry(name).or_insert(value);
            }
        }
        Ok(())
    }

    fn of_claims(&self, claims: &Map<String, Value>) -> Result<Session> {
        let claim = &self.settings.name_claim;
        let name = issuers::claim(claims, claim).and_then(Value::as_str);
        let name = name.filter(|name| !name.is_empty() && !name.chars().any(char::is_control));
        let name = name.ok_or_else(|| {
            refused(&format!(
                "it has no claim '{claim}' (access.login.nameClaim and scopes), which says who this is"
            ))
        })?;
        // Somebody may call himself as he likes where nobody looks.
        let verified = claims.get("email_verified");
        let is_unverified = verified.is_some_and(|it| *it == false || *it == "false");
        if claim == "email" && is_unverified {
            return Err(refused("nobody has verified this e-mail address"));
        }
        let groups = issuers::claim(claims, &self.settings.groups_claim);
        let groups = groups.map(issuers::texts).unwrap_or_default().into_iter();
        let counts = |group: &String| self.groups.iter().any(|pattern| glob(pattern, group));
        Ok(Session {
            name: name.to_owned(),
            groups: groups.filter(counts).collect(),
            until: self.after(self.settings.session),
        })
    }

    async fn endpoints(&self) -> Result<Arc<Endpoints>> {
        let known = self.known().clone();
        let fresh = known
            .as_ref()
            .filter(|(read_at, _)| read_at.elapsed() < FRESH);
        if let Some((_, endpoints)) = fresh {
            return Ok(Arc::clone(endpoints));
        }
        match (self.discover().await, known) {
            (Ok(endpoints), _) => {
                let endpoints = Arc::new(endpoints);
                *self.known() = Some((Instant::now(), Arc::clone(&endpoints)));
                Ok(endpoints)
            }
            // They hardly ever change.
            (Err(_), Some((_, endpoints))) => Ok(endpoints),
            (Err(failed), None) => Err(self.unavailable(&failed.why)),
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Option<(Instant, Arc<Endpoints>)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn discover(&self) -> Result<Endpoints, Failed> {
        let document = self.keys.document().await?;
        let endpoints: Endpoints = serde_json::from_value(document)
            .map_err(|cause| Failed::for_good(format!("its discovery document: {cause}")))?;
        if let Some(place) = endpoints.unsafe_one() {
            let told = format!("'{place}' does not begin with 'https://'");
            return Err(Failed::for_good(told));
        }
        Ok(endpoints)
    }

    fn unavailable(&self, why: &str) -> Error {
        let issuer = &self.settings.issuer;
        tracing::warn!("nobody can log in at '{issuer}': {why}");
        Error::Unavailable(format!("nobody can log in at '{issuer}' now: {why}"))
    }

    fn after(&self, time: Duration) -> i64 {
        let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        self.clock.now_millis().saturating_add(millis)
    }
}

impl Endpoints {
    /// One that others could read.
    fn unsafe_one(&self) -> Option<&String> {
        let asked = [&self.authorization_endpoint, &self.token_endpoint];
        let mut asked = asked.into_iter().chain(&self.userinfo_endpoint);
        asked.find(|place| !http::is_safe(place))
    }

    fn takes(&self, method: &str) -> bool {
        let methods = &self.token_endpoint_auth_methods_supported;
        methods.iter().any(|known| known == method)
    }
}

fn refused(why: &str) -> Error {
    Error::Forbidden(format!(
        "the issuer's answer to this login does not hold: {why}"
    ))
}

/// An address of serin's own pages, so that a login leads nowhere else.
fn own(to: &str) -> &str {
    let is_page = to.starts_with("/ui") && to.len() <= MOST_ADDRESS;
    let leads_round = to.starts_with("/ui/login") || to.starts_with("/ui/logout");
    let is_plain = to
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_page && is_plain && !leads_round {
        to
    } else {
        START
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_to_pages_of_serin_only() {
        let cases = [
            ("/ui/runs/01?metric=a%20b", "/ui/runs/01?metric=a%20b"),
            ("/ui", "/ui"),
            ("", START),
            ("/", START),
            ("//evil.example/ui", START),
            ("https://evil.example/ui", START),
            ("/\\evil.example", START),
            ("/ui/\\evil.example", START),
            ("/ui/a\r\nb: c", START),
            ("/ui/ä", START),
            ("/ui/login?to=/ui", START),
            ("/ui/logout", START),
        ];
        for (to, expected) in cases {
            assert_eq!(own(to), expected, "{to}");
        }
        assert_eq!(own(&format!("/ui/{}", "a".repeat(MOST_ADDRESS))), START);
    }
}
