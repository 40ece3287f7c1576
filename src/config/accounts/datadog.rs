//! Datadog.

use std::time::Duration;

use ::config::{Map as Table, Value, ValueKind};
use secrecy::SecretString;

use super::http::{Http, base_url};
use super::{
    Account, Face, Kind, Source, Sources, TestControllerDefaults, add, enabled, list, name, source,
};
use crate::config::section::Section;
use crate::config::{Error, Result};

/// Where an account is whose `site` is not given.
const SITE: &str = "datadoghq.com";

pub const KIND: Kind = Kind {
    section: "datadog",
    switches: &[],
    read,
};

const FACE: Face = Face {
    section: KIND.section,
    word: "datadog",
    title: "Datadog",
    ..Face::NONE
};

#[derive(Clone, Debug)]
pub struct DatadogAccount {
    /// Without a trailing slash.
    pub base_url: String,
    /// Where people look at metrics.
    pub app_url: String,
    pub api_key: Option<SecretString>,
    pub application_key: Option<SecretString>,
    pub http: Http,
}

/// What holds for all Datadog accounts.
#[derive(Clone, Debug, Default)]
pub struct Datadog {
    /// How long the list of metric names of an account is kept.
    pub metadata_caching_interval: Duration,
    /// Total time for one query, retries included.
    pub query_deadline: Duration,
    pub test_controller_defaults: TestControllerDefaults,
}

fn read(kayenta: &mut Section<'_>, sources: &mut Sources) -> Result<Vec<Account>> {
    kayenta.section(KIND.section, |section| {
        let enabled = enabled(section)?;
        sources.datadog = Datadog {
            metadata_caching_interval: section
                .integer("metadataCachingIntervalMS", 1..=86_400_000)
                .map(Duration::from_millis)?,
            query_deadline: section.duration("queryDeadline", Duration::from_millis(1))?,
            test_controller_defaults: TestControllerDefaults::read(section)?,
        };
        list(section, enabled, |section| account(section).map(Some))
    })
}

/// The account `datadog` of `--datadog`: a site, or an address. Its keys are in the variables that
/// Datadog's own tools read.
pub fn shorthand(kayenta: &mut Section<'_>, site: &str) -> Result<Account> {
    let place = "--datadog, or SERIN_DATADOG_SITE".to_owned();
    let text = |text: &str| Value::new(Some(&place), text);
    let (key, value) = if site.contains("://") {
        let endpoint = Table::from_iter([("baseUrl".to_owned(), text(site))]);
        ("endpoint", Value::new(None, ValueKind::Table(endpoint)))
    } else {
        ("site", text(site))
    };
    let environment = kayenta.context().environment;
    let secret = |name: &str| {
        let secret = environment.get(name).filter(|secret| !secret.is_empty());
        secret.map(|secret| text(secret)).ok_or_else(|| {
            Error(format!(
                "Datadog ({place}) wants a key in the environment variable {name}"
            ))
        })
    };
    let given = Table::from_iter([
        ("name".to_owned(), text("datadog")),
        (key.to_owned(), value),
        ("apiKey".to_owned(), secret("DD_API_KEY")?),
        ("applicationKey".to_owned(), secret("DD_APP_KEY")?),
    ]);
    add(kayenta, KIND.section, &given, account)
}

fn account(section: &mut Section<'_>) -> Result<Account> {
    let name = name(section)?;
    let site = section.text("site")?;
    let site = site.as_deref().unwrap_or(SITE);
    let base_url = base_url(section, &format!("https://api.{site}"))?;
    let account = DatadogAccount {
        app_url: match base_url.strip_prefix("https://api.") {
            Some(site) => format!("https://app.{site}"),
            None => base_url.clone(),
        },
        api_key: section.secret("apiKey")?,
        application_key: section.secret("applicationKey")?,
        http: Http::read(section)?,
        base_url,
    };
    let face = Face {
        base_url: Some(account.base_url.clone()),
        ..FACE
    };
    source(section, name, Source::Datadog(account), face)
}
