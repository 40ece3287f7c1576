//! What the accounts of all services that are asked over HTTP have.

use std::path::PathBuf;

use indexmap::IndexMap;
use secrecy::SecretString;

use super::Source;
use crate::config::section::Section;
use crate::config::{Error, Result, scalar};

const MAX_CONCURRENT_QUERIES: usize = 16;

#[derive(Clone, Debug)]
pub struct Http {
    /// PEM certificates to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    pub max_concurrent_queries: usize,
    /// Whether answers are asked for compressed.
    pub compression: bool,
}

impl Http {
    pub fn read(section: &mut Section<'_>) -> Result<Self> {
        Ok(Self {
            ca_file: section.text("caFile")?.map(PathBuf::from),
            max_concurrent_queries: section.integer_or(
                "maxConcurrentQueries",
                MAX_CONCURRENT_QUERIES,
                1..=1_000,
            )?,
            compression: section.flag_or("compression", false)?,
        })
    }
}

impl Source {
    /// How it is asked, whatever its kind.
    pub fn http(&self) -> &Http {
        match self {
            Self::Prometheus(account) => &account.http,
            Self::Datadog(account) => &account.http,
            Self::SignalFx(account) => &account.http,
            Self::Stackdriver(account) => &account.http,
            Self::NewRelic(account) => &account.http,
            Self::Graphite(account) => &account.http,
            Self::InfluxDb(account) => &account.http,
            Self::CloudWatch(account) => &account.http,
            Self::ClickHouse(account) => &account.http,
            Self::Wavefront(account) => &account.http,
            Self::Atlas(account) => &account.http,
            Self::JsonApi(account) => &account.http,
        }
    }
}

/// What is shown to a server that wants to know who asks: both are read again when they change.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl CertificateFiles {
    pub fn read(section: &mut Section<'_>) -> Result<Option<Self>> {
        let (certificate, key) = (section.text("certFile")?, section.text("keyFile")?);
        match (certificate, key) {
            (Some(certificate), Some(key)) => Ok(Some(Self {
                certificate: certificate.into(),
                key: key.into(),
            })),
            (None, None) => Ok(None),
            _ => Err(Error(format!(
                "{} and keyFile go together: give both or none",
                section.path_of("certFile")
            ))),
        }
    }
}

/// Who asks, where a service has no way of its own to be told.
#[derive(Clone, Debug)]
pub struct Login {
    pub username: Option<String>,
    pub password: Option<SecretString>,
    /// Wins over user and password.
    pub bearer_token: Option<SecretString>,
    /// Sent with every request, e.g. a tenant id.
    pub headers: IndexMap<String, SecretString>,
}

impl Login {
    pub fn read(section: &mut Section<'_>) -> Result<Self> {
        Ok(Self {
            username: section.text("username")?,
            password: section.secret("password")?,
            bearer_token: section.secret("bearerToken")?,
            headers: headers(section)?,
        })
    }
}

/// Those that the connection, the body or the credentials of a request have already.
const NEVER_HEADERS: [&str; 14] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
const MOST_HEADERS: usize = 50;

/// What is sent with every request, by the name of its header.
pub fn headers(section: &mut Section<'_>) -> Result<IndexMap<String, SecretString>> {
    let path = section.path_of("headers");
    let headers = section.secrets_by_name("headers")?;
    let mut names = headers.keys().map(|name| name.to_lowercase());
    if let Some(name) = names.find(|name| NEVER_HEADERS.contains(&name.as_str())) {
        return Err(Error(format!(
            "{path}: serin sets the header '{name}' itself, or leaves it out"
        )));
    }
    if MOST_HEADERS < headers.len() {
        return Err(Error(format!(
            "{path}: more than {MOST_HEADERS} headers are not sent"
        )));
    }
    Ok(headers)
}

/// `endpoint.baseUrl` of a service that has no usual one; without a trailing slash.
pub fn base_url_of(section: &mut Section<'_>) -> Result<String> {
    section.section("endpoint", |section| {
        let address = section.parsed("baseUrl", scalar::without_credentials)?;
        section
            .effective
            .insert("baseUrl".to_owned(), address.clone().into());
        Ok(address)
    })
}

/// `endpoint.baseUrl`, or what is usual where it is not given; without a trailing slash.
pub fn base_url(section: &mut Section<'_>, usual: &str) -> Result<String> {
    section.section("endpoint", |section| {
        let given = section.parsed_if_given("baseUrl", scalar::without_credentials)?;
        let address = given.unwrap_or_else(|| usual.to_owned());
        section
            .effective
            .insert("baseUrl".to_owned(), address.clone().into());
        Ok(address)
    })
}

/// `endpoint.baseUrl`, if it is given; without a trailing slash.
pub fn other_url(section: &mut Section<'_>) -> Result<Option<String>> {
    section.section("endpoint", |section| {
        section.parsed_if_given("baseUrl", scalar::without_credentials)
    })
}
