//! What the accounts of all services that are asked over HTTP have.

use std::path::PathBuf;

use indexmap::IndexMap;
use secrecy::SecretString;

use crate::config::section::Section;
use crate::config::{Result, scalar};

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
            headers: section.secrets_by_name("headers")?,
        })
    }
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
