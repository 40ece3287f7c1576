//! Who calls, by what it is known, and what it may do.

mod login;
mod rules;

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use reqwest::header::HeaderName;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::context::Context;
use super::layers::Layer;
use super::section::Section;
use super::{Error, Result, Server, scalar};
use crate::access::Rules;
pub use login::LoginOfPeople;
use rules::Shown;

/// How the name of a caller begins that no issuer gives.
const OWN_KINDS: [&str; 5] = ["token", "user", "certificate", "anonymous", "issuer"];

/// What the token that is given at the start is called.
pub const BREAK_GLASS: &str = "break-glass";

/// Characters of the shortest token that is believed: 15 random bytes.
pub const SHORTEST_TOKEN: usize = 20;

/// How far clocks of issuers may go wrong, at most.
const MOST_LEEWAY: Duration = Duration::from_mins(10);

/// Bytes of a file of tokens.
const MOST_FILE_BYTES: u64 = 1 << 20;

/// Without any of it, everybody may everything but `admin`.
#[derive(Clone, Debug, Default)]
pub struct Access {
    pub tokens: Vec<NamedToken>,
    /// More of them; read again when it changes.
    pub tokens_file: Option<PathBuf>,
    /// Of the token that may everything.
    pub break_glass: Option<TokenHash>,
    pub issuers: Vec<Issuer>,
    pub proxies: Vec<TrustedProxy>,
    /// Where people log in.
    pub login: Option<LoginOfPeople>,
    pub rules: Option<Arc<Rules>>,
    /// The file, or whatever else has them.
    pub rules_from: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedToken {
    pub name: String,
    pub hash: TokenHash,
    /// In epoch milliseconds.
    pub expires: Option<i64>,
}

/// The SHA-256 of a token, which is random: nobody finds it by its hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

impl TokenHash {
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// As `sha256sum` writes it.
    pub fn in_digits(&self) -> String {
        let digits = self.0.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let digits = digits.filter_map(|digit| char::from_digit(digit.into(), 16));
        digits.collect()
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

/// Who signs tokens that say who somebody is.
#[derive(Clone, Debug)]
pub struct Issuer {
    pub name: String,
    /// As `iss` of its tokens has it.
    pub url: String,
    /// One of these must be in `aud`.
    pub audience: Vec<String>,
    /// Where its keys are; without, its discovery document says so.
    pub jwks_uri: Option<String>,
    pub algorithms: Vec<SignedBy>,
    /// By how much its clock may differ from serin's.
    pub leeway: Duration,
    /// The claim that has the groups of a subject; without, it has none.
    pub groups_claim: Option<String>,
    /// PEM certificates to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// What is shown to it when it is asked for its keys.
    pub token_file: Option<PathBuf>,
}

/// A signature by a key that only the issuer has; never one by a secret that serin has too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedBy {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl SignedBy {
    pub const ALL: [(&'static str, Self); 9] = [
        ("RS256", Self::Rs256),
        ("RS384", Self::Rs384),
        ("RS512", Self::Rs512),
        ("PS256", Self::Ps256),
        ("PS384", Self::Ps384),
        ("PS512", Self::Ps512),
        ("ES256", Self::Es256),
        ("ES384", Self::Es384),
        ("EdDSA", Self::EdDsa),
    ];

    fn parse(text: &str) -> Result<Self, String> {
        let known = Self::ALL.iter().find(|(name, _)| *name == text);
        known.map(|(_, algorithm)| *algorithm).ok_or_else(|| {
            let names = Self::ALL.map(|(name, _)| name).join(", ");
            format!(
                "must be one of {names}: others are not signed by a key that the issuer alone has"
            )
        })
    }
}

/// A proxy whose word is believed.
#[derive(Clone, Debug)]
pub struct TrustedProxy {
    pub addresses: Vec<IpNet>,
    /// Where it names who has logged in; without, it says addresses only.
    pub user_header: Option<HeaderName>,
    pub groups_header: Option<HeaderName>,
}

pub fn read(section: &mut Section<'_>, server: &Server) -> Result<Access> {
    let tokens = tokens(section)?;
    let tokens_file = section.text("tokensFile")?.map(PathBuf::from);
    let break_glass = break_glass(section)?;
    let issuers = issuers(section)?;
    let proxies = section.list("proxies", |section| proxy(section).map(Some))?;
    let login = section.section("login", login::read)?;
    if login.is_some() && server.public_url.is_none() {
        let path = section.path_of("login");
        return Err(Error(format!(
            "{path} wants server.publicUrl, where the issuer sends people back to"
        )));
    }
    let shown = Shown {
        tokens: tokens.iter().map(|token| token.name.as_str()).collect(),
        more_tokens: tokens_file.is_some(),
        issuers: issuers.iter().map(|issuer| issuer.name.as_str()).collect(),
        people: login.is_some() || proxies.iter().any(|proxy| proxy.user_header.is_some()),
        certificates: server.tls.as_ref().is_some_and(|tls| tls.clients.is_some()),
        break_glass: break_glass.is_some(),
    };
    let rules_from = section.origin_of("rules").to_owned();
    let rules = rules::read(section, &shown)?;
    Ok(Access {
        rules_from,
        rules: rules.map(Arc::new),
        tokens,
        tokens_file,
        break_glass,
        issuers,
        proxies,
        login,
    })
}

/// The tokens of a file of its own, which has nothing but a list `tokens`.
///
/// # Errors
/// What is wrong with it, and where.
pub fn read_tokens(path: &Path) -> Result<Vec<NamedToken>> {
    let shown = path.display().to_string();
    let unread = |cause: &dyn fmt::Display| Error(format!("cannot read '{shown}': {cause}"));
    let length = std::fs::metadata(path)
        .map_err(|cause| unread(&cause))?
        .len();
    if MOST_FILE_BYTES < length {
        return Err(unread(&"it is larger than 1 MiB"));
    }
    let text = super::text::read(path).map_err(|cause| unread(&cause))?;
    let layer = Layer::from_yaml(&text, &shown)?;
    let context = Context::of_file(&layer.0);
    let mut section = Section::new(&context, "", Some(&layer.0))?;
    let tokens = tokens(&mut section)?;
    section.finish()?;
    Ok(tokens)
}

fn tokens(section: &mut Section<'_>) -> Result<Vec<NamedToken>> {
    let mut names = Vec::<String>::new();
    let mut hashes = Vec::<TokenHash>::new();
    section.list("tokens", |section| {
        let token = token(section)?;
        once(section, &mut names, &token.name)?;
        if hashes.contains(&token.hash) {
            let path = section.path_of("sha256");
            return Err(Error(format!("{path} is that of another token")));
        }
        hashes.push(token.hash);
        Ok(Some(token))
    })
}

fn token(section: &mut Section<'_>) -> Result<NamedToken> {
    let name = section.parsed("name", token_name)?;
    let path = section.path_of("sha256");
    let hash = section.secret("sha256")?;
    let hash = hash.ok_or_else(|| Error(format!("{path} must be given")))?;
    Ok(NamedToken {
        name,
        hash: hash_of(&hash).map_err(|why| Error(format!("{path} {why}")))?,
        expires: section.parsed_if_given("expires", moment)?,
    })
}

/// It may be the token itself, by mistake, and is not told.
fn hash_of(text: &SecretString) -> Result<TokenHash, String> {
    let text = text.expose_secret();
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    let is_hash = text.len() == 64 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    let bytes: Option<Vec<u8>> = (0..64).step_by(2).map(byte).collect();
    let hash = bytes
        .filter(|_| is_hash)
        .and_then(|bytes| bytes.try_into().ok());
    let hash = TokenHash(hash.ok_or(
        "must be the SHA-256 of the token, 64 hexadecimal digits: 'serin token new' prints both",
    )?);
    if hash == TokenHash::of("") {
        return Err("is the SHA-256 of nothing".to_owned());
    }
    Ok(hash)
}

fn break_glass(section: &mut Section<'_>) -> Result<Option<TokenHash>> {
    let path = section.path_of("breakGlassToken");
    let Some(token) = section.secret("breakGlassToken")? else {
        return Ok(None);
    };
    let token = token.expose_secret();
    if token.len() < SHORTEST_TOKEN {
        return Err(Error(format!(
            "{path} has {} characters, too few to be random: at least {SHORTEST_TOKEN} are wanted; \
             'serin token new' prints one",
            token.len()
        )));
    }
    Ok(Some(TokenHash::of(token)))
}

fn issuers(section: &mut Section<'_>) -> Result<Vec<Issuer>> {
    let (mut names, mut urls) = (Vec::<String>::new(), Vec::<String>::new());
    section.list("issuers", |section| {
        let issuer = issuer(section)?;
        once(section, &mut names, &issuer.name)?;
        if urls.contains(&issuer.url) {
            let path = section.path_of("issuer");
            return Err(Error(format!(
                "{path} '{}' stands twice; audience takes several",
                issuer.url
            )));
        }
        urls.push(issuer.url.clone());
        Ok(Some(issuer))
    })
}

fn issuer(section: &mut Section<'_>) -> Result<Issuer> {
    let name = section.parsed("name", |text| match name(text)? {
        name if OWN_KINDS.contains(&name.as_str()) => {
            Err("is how serin calls callers of another kind".to_owned())
        }
        name => Ok(name),
    })?;
    let issuer = Issuer {
        name,
        // A slash at its end belongs to it.
        url: section.parsed("issuer", |text| Ok(text.to_owned()))?,
        audience: section.texts("audience")?,
        jwks_uri: section.parsed_if_given("jwksUri", safe_url)?,
        algorithms: section.each("algorithms", SignedBy::parse)?,
        leeway: section.parsed_or("leeway", Some("60s"), |text| {
            let leeway = scalar::duration(text)?;
            let is_short = leeway <= MOST_LEEWAY;
            is_short
                .then_some(leeway)
                .ok_or_else(|| "must be 10m at most".to_owned())
        })?,
        groups_claim: section.text("groupsClaim")?,
        ca_file: section.text("caFile")?.map(PathBuf::from),
        token_file: section.text("tokenFile")?.map(PathBuf::from),
    };
    if issuer.jwks_uri.is_none() {
        let path = section.path_of("issuer");
        safe_url(&issuer.url).map_err(|why| {
            Error(format!(
                "{path} '{}' {why}; or give jwksUri",
                scalar::mask(&issuer.url)
            ))
        })?;
    }
    if issuer.audience.is_empty() {
        return Err(Error(format!(
            "{} must be given: what tokens for serin have as 'aud'; without it, a token for any other service would do",
            section.path_of("audience")
        )));
    }
    if issuer.algorithms.is_empty() {
        let all = SignedBy::ALL.map(|(_, algorithm)| algorithm);
        let names = SignedBy::ALL.map(|(name, _)| name);
        section
            .effective
            .insert("algorithms".to_owned(), names.as_slice().into());
        return Ok(Issuer {
            algorithms: all.to_vec(),
            ..issuer
        });
    }
    Ok(issuer)
}

fn proxy(section: &mut Section<'_>) -> Result<TrustedProxy> {
    let proxy = TrustedProxy {
        addresses: section.each("addresses", network)?,
        user_header: section.parsed_if_given("userHeader", header)?,
        groups_header: section.parsed_if_given("groupsHeader", header)?,
    };
    if proxy.addresses.is_empty() {
        return Err(Error(format!(
            "{} must be given: whose headers are believed, as in '10.0.0.0/8'",
            section.path_of("addresses")
        )));
    }
    if proxy.groups_header.is_some() && proxy.user_header.is_none() {
        return Err(Error(format!(
            "{} is for people: give userHeader too",
            section.path_of("groupsHeader")
        )));
    }
    Ok(proxy)
}

fn once(section: &Section<'_>, names: &mut Vec<String>, name: &str) -> Result<()> {
    if names.iter().any(|other| other == name) {
        let path = section.path_of("name");
        return Err(Error(format!("{path} '{name}' stands twice")));
    }
    names.push(name.to_owned());
    Ok(())
}

/// # Errors
/// What would be right.
pub fn token_name(text: &str) -> Result<String, String> {
    match name(text)? {
        name if name == BREAK_GLASS => Err("is the name of access.breakGlassToken".to_owned()),
        name => Ok(name),
    }
}

/// It stands before a colon, in URLs and in logs.
fn name(text: &str) -> Result<String, String> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if text.len() <= 64 && text.bytes().all(is_name) {
        return Ok(text.to_owned());
    }
    Err("must be letters, digits, '-', '_' and '.', 64 at most".to_owned())
}

/// What comes from there decides who is believed: nobody on the way may change it.
fn safe_url(text: &str) -> Result<String, String> {
    let url = scalar::without_credentials(text)?;
    let parsed = url::Url::parse(&url).map_err(|cause| cause.to_string())?;
    let is_loopback = match parsed.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if parsed.scheme() == "https" || is_loopback {
        return Ok(url);
    }
    Err("must begin with 'https://': who changes the answer says who is believed".to_owned())
}

/// `2027-03-01`, `2027-03-01T12:00:00Z`; in epoch milliseconds.
fn moment(text: &str) -> Result<i64, String> {
    let of_date = |date: Date| {
        date.to_zoned(TimeZone::UTC)
            .ok()
            .map(|time| time.timestamp())
    };
    let date = || text.parse::<Date>().ok().and_then(of_date);
    let time = text.parse::<Timestamp>().ok().or_else(date);
    time.map(Timestamp::as_millisecond).ok_or_else(|| {
        "must be a day or a time, as in '2027-03-01' or '2027-03-01T12:00:00Z'".to_owned()
    })
}

fn network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse()
        .ok()
        .or_else(address)
        .ok_or_else(|| "must be addresses, as in '10.0.0.0/8', '10.1.2.3' or 'fd00::/8'".to_owned())
}

fn header(text: &str) -> Result<HeaderName, String> {
    let header = HeaderName::try_from(text);
    header.map_err(|_| "must be the name of a header, as in 'X-Forwarded-User'".to_owned())
}
