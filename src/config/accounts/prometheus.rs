//! Prometheus, and what speaks its language.

use std::path::PathBuf;
use std::time::Duration;

use ::config::{Map as Table, Value, ValueKind};
use indexmap::IndexMap;
use secrecy::SecretString;

use super::aws::{AwsIdentity, region_of};
use super::google::GoogleAccount;
use super::http::{CertificateFiles, Http, headers};
use super::oauth2::{OAuth2, Usual};
use super::{
    Account, Face, Kind, Source, Sources, TestControllerDefaults, add, enabled, list, name, source,
};
use crate::config::scalar::{self, MASK};
use crate::config::section::Section;
use crate::config::{Error, Result};

pub const KIND: Kind = Kind {
    section: "prometheus",
    switches: &[],
    read,
};

const FACE: Face = Face {
    section: KIND.section,
    word: "prometheus",
    title: "Prometheus",
    ..Face::NONE
};

/// What Amazon Managed Service for Prometheus is called in a signature.
const SERVICE: &str = "aps";

#[derive(Clone, Debug)]
pub struct PrometheusAccount {
    /// Without a trailing slash and without credentials; a path prefix is kept.
    pub base_url: String,
    /// Where people open it; without a trailing slash.
    pub public_url: String,
    pub username: Option<String>,
    pub password: Option<SecretString>,
    /// `user:password`, read again when it changes; wins over the others.
    pub username_password_file: Option<PathBuf>,
    /// Wins over user and password.
    pub bearer_token: Option<SecretString>,
    /// A token, read for every request.
    pub bearer_token_file: Option<PathBuf>,
    /// Tokens of Google's are sent instead of all these.
    pub google: Option<GoogleAccount>,
    /// Who pays for what Google is asked; else whose key it is.
    pub quota_project: Option<String>,
    /// Tokens of an authorization server are sent instead of all these.
    pub oauth2: Option<OAuth2>,
    /// Requests are signed for AWS instead of all these.
    pub sigv4: Option<Box<SigV4>>,
    /// Sent with every request, e.g. a tenant id.
    pub headers: IndexMap<String, SecretString>,
    /// What is shown to the server.
    pub certificate: Option<CertificateFiles>,
    pub thanos: Thanos,
    pub http: Http,
}

/// How requests are signed for AWS.
#[derive(Clone, Debug)]
pub struct SigV4 {
    pub identity: AwsIdentity,
    /// What the service is called in a signature.
    pub service: String,
}

/// What Thanos is told beside a query; nothing where it is not given.
#[derive(Clone, Debug, Default)]
pub struct Thanos {
    pub partial_response: Option<bool>,
    pub dedup: Option<bool>,
    /// `auto`, or a duration.
    pub max_source_resolution: Option<String>,
}

/// Whether a Loki is asked at that address: its API lies below a path of that name.
pub fn is_loki(base_url: &str) -> bool {
    base_url.trim_end_matches('/').ends_with("/loki")
}

/// What holds for all Prometheus accounts.
#[derive(Clone, Debug, Default)]
pub struct Prometheus {
    /// The label that names an instance, for `gce_instance`.
    pub scope_label: String,
    /// Whether values of a scope may end the quotes that they stand in.
    pub raw_values: bool,
    /// How long the list of metric names of an account is kept.
    pub metadata_caching_interval: Duration,
    /// Whether accounts that do not answer make `/health` DOWN.
    pub health_enabled: bool,
    pub test_controller_defaults: TestControllerDefaults,
    /// Total time for one query, retries included.
    pub query_deadline: Duration,
    pub reuse: Reuse,
}

/// Whether samples of earlier windows serve later ones.
#[derive(Clone, Debug, Default)]
pub struct Reuse {
    pub enabled: bool,
    /// How late samples may come: what is younger is asked for again.
    pub overlap: Duration,
    /// For all accounts together.
    pub max_bytes: usize,
}

fn read(kayenta: &mut Section<'_>, sources: &mut Sources) -> Result<Vec<Account>> {
    kayenta.section(KIND.section, |section| {
        let enabled = enabled(section)?;
        sources.prometheus = settings(section)?;
        list(section, enabled, |section| account(section).map(Some))
    })
}

fn settings(section: &mut Section<'_>) -> Result<Prometheus> {
    Ok(Prometheus {
        scope_label: section.parsed("scopeLabel", |text| Ok(text.to_owned()))?,
        raw_values: section.flag("rawValues")?,
        metadata_caching_interval: section
            .integer("metadataCachingIntervalMS", 1..=86_400_000)
            .map(Duration::from_millis)?,
        query_deadline: section.duration("queryDeadline", Duration::from_millis(1))?,
        reuse: section.section("reuse", |section| {
            Ok(Reuse {
                enabled: section.flag("enabled")?,
                overlap: section.duration("overlap", Duration::ZERO)?,
                max_bytes: section.size("maxBytes", 0)?,
            })
        })?,
        health_enabled: section.section("health", |section| {
            // serin looks when it is asked.
            section.ignore(&["initial-delay", "fixed-delay"]);
            section.flag("enabled")
        })?,
        test_controller_defaults: TestControllerDefaults::read(section)?,
    })
}

fn account(section: &mut Section<'_>) -> Result<Account> {
    let name = name(section)?;
    let (endpoint, public_url) = section.section("endpoint", |section| {
        let url = section.parsed("baseUrl", scalar::service_url)?;
        let public = section.parsed_if_given("publicUrl", scalar::service_url)?;
        let public = public.map_or_else(|| url.address.clone(), |public| public.address);
        for (key, address) in [("baseUrl", &url.address), ("publicUrl", &public)] {
            let address = address.clone().into();
            section.effective.insert(key.to_owned(), address);
        }
        Ok((url, public))
    })?;
    let mut username = section.text("username")?;
    let mut password = section.secret("password")?;
    if let (Some((user, secret)), None, None) = (endpoint.user, &username, &password) {
        let shown = secret.as_ref().map(|_| MASK);
        section
            .effective
            .insert("username".to_owned(), user.clone().into());
        section
            .effective
            .insert("password".to_owned(), shown.into());
        username = Some(user);
        password = secret.map(Into::into);
    }
    let base_url = endpoint.address;
    let username_password_file = section.text("usernamePasswordFile")?.map(PathBuf::from);
    let bearer_token = section.secret("bearerToken")?;
    let bearer_token_file = section.text("bearerTokenFile")?.map(PathBuf::from);
    let auth = section.parsed_if_given("auth", Auth::parse)?;
    let google = google(section, auth, &base_url)?;
    let usual = match auth {
        Some(Auth::Azure) => Usual::Azure,
        _ => Usual::Nobody,
    };
    let account = PrometheusAccount {
        base_url: base_url.clone(),
        public_url,
        username,
        password,
        username_password_file,
        bearer_token,
        bearer_token_file,
        quota_project: section.text("quotaProject")?,
        google,
        oauth2: OAuth2::read(section, usual)?,
        sigv4: sigv4(section, &base_url)?,
        headers: headers(section)?,
        certificate: CertificateFiles::read(section)?,
        thanos: thanos(section)?,
        http: Http::read(section)?,
    };
    check(section, &account)?;
    let face = Face {
        base_url: Some(account.base_url.clone()),
        ..FACE
    };
    source(section, name, Source::Prometheus(Box::new(account)), face)
}

/// Who gives the tokens.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Auth {
    Google,
    Azure,
}

impl Auth {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "google" => Ok(Self::Google),
            "azure" => Ok(Self::Azure),
            _ => Err("must be 'google' or 'azure', or not given".to_owned()),
        }
    }
}

/// `auth: google`, with the file of `jsonPath`.
fn google(
    section: &mut Section<'_>,
    auth: Option<Auth>,
    base_url: &str,
) -> Result<Option<GoogleAccount>> {
    let json_path = section.text("jsonPath")?.map(PathBuf::from);
    Ok(auth
        .filter(|auth| *auth == Auth::Google)
        .map(|_| GoogleAccount {
            project: None,
            json_path,
            endpoint: Some(base_url.to_owned()),
        }))
}

fn thanos(section: &mut Section<'_>) -> Result<Thanos> {
    let flag = |text: &str| scalar::flag(text);
    Ok(Thanos {
        partial_response: section.parsed_if_given("partialResponse", flag)?,
        dedup: section.parsed_if_given("dedup", flag)?,
        max_source_resolution: section.parsed_if_given("maxSourceResolution", resolution)?,
    })
}

/// As Thanos reads it: it has downsampled to 5m and 1h.
fn resolution(text: &str) -> Result<String, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_unit = ["ms", "s", "m", "h", "d"].contains(&&text[digits.len()..]);
    if text == "auto" || (is_number && is_unit) {
        return Ok(text.to_owned());
    }
    Err("must be 'auto', or a duration such as '0s', '5m' or '1h'".to_owned())
}

/// What cannot be meant together.
fn check(section: &Section<'_>, account: &PrometheusAccount) -> Result<()> {
    let refuse = |key: &str, why: &str| Err(Error(format!("{} {why}", section.path_of(key))));
    if account.google.is_some() && account.sigv4.is_some() {
        return refuse(
            "sigv4",
            "is given beside auth: a request has the token of one or the signature of the other",
        );
    }
    let tokens = [
        ("auth: google", account.google.is_some()),
        ("oauth2", account.oauth2.is_some()),
        ("bearerTokenFile", account.bearer_token_file.is_some()),
        ("sigv4", account.sigv4.is_some()),
    ];
    let mut tokens = tokens.into_iter().filter(|(_, is_given)| *is_given);
    if let (Some((one, _)), Some((other, _))) = (tokens.next(), tokens.next()) {
        return refuse(other, &format!("and {one} are both given; one is enough"));
    }
    if account.google.is_none() && account.quota_project.is_some() {
        return refuse("quotaProject", "wants 'auth: google'");
    }
    if account.certificate.is_some() && !account.base_url.starts_with("https:") {
        return refuse("certFile", "wants a baseUrl that begins with 'https://'");
    }
    Ok(())
}

/// For Amazon Managed Service for Prometheus, or what is asked as it is.
fn sigv4(section: &mut Section<'_>, base_url: &str) -> Result<Option<Box<SigV4>>> {
    let region = region_of(base_url);
    section.section_if_given("sigv4", |section| {
        Ok(Box::new(SigV4 {
            service: section.text_or("service", SERVICE)?,
            identity: AwsIdentity::read(section, region.as_deref())?,
        }))
    })
}

/// The account `prometheus` of `--prometheus`.
pub fn shorthand(kayenta: &mut Section<'_>, url: &str) -> Result<Account> {
    let place = "--prometheus, or SERIN_PROMETHEUS_URL".to_owned();
    let text = |text: &str| Value::new(Some(&place), text);
    let endpoint = Table::from_iter([("baseUrl".to_owned(), text(url))]);
    let given = Table::from_iter([
        ("name".to_owned(), text("prometheus")),
        (
            "endpoint".to_owned(),
            Value::new(None, ValueKind::Table(endpoint)),
        ),
    ]);
    add(kayenta, KIND.section, &given, account)
}
