//! Datadog.

use std::time::Duration;

use secrecy::SecretString;

use super::http::{Http, base_url};
use super::{
    Account, Face, Kind, Source, Sources, TestControllerDefaults, add, by_word, enabled, list,
    name, secret_of, source,
};
use crate::config::Result;
use crate::config::section::Section;

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
    let place = "--datadog, or SERIN_DATADOG_SITE";
    let mut given = by_word(place, "datadog", "site", site);
    for (key, variable) in [("apiKey", "DD_API_KEY"), ("applicationKey", "DD_APP_KEY")] {
        given.insert(
            key.to_owned(),
            secret_of(kayenta.context(), place, variable)?,
        );
    }
    add(kayenta, KIND.section, &given, account)
}

fn account(section: &mut Section<'_>) -> Result<Account> {
    let name = name(section)?;
    let site = section.text("site")?;
    let site = site.as_deref().unwrap_or(SITE);
    let base_url = base_url(section, &format!("https://api.{site}"))?;
    let account = DatadogAccount {
        app_url: pages(&base_url),
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

/// Where the pages of a site are: regions have theirs at the site itself, as in us3.datadoghq.com.
fn pages(base_url: &str) -> String {
    match base_url.strip_prefix("https://api.") {
        Some(site) if site.matches('.').count() == 1 => format!("https://app.{site}"),
        Some(site) => format!("https://{site}"),
        None => base_url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_site_has_its_pages() {
        let cases = [
            ("https://api.datadoghq.com", "https://app.datadoghq.com"),
            ("https://api.datadoghq.eu", "https://app.datadoghq.eu"),
            ("https://api.ddog-gov.com", "https://app.ddog-gov.com"),
            ("https://api.us3.datadoghq.com", "https://us3.datadoghq.com"),
            ("https://api.ap1.datadoghq.com", "https://ap1.datadoghq.com"),
            ("https://app.datadoghq.com", "https://app.datadoghq.com"),
            ("http://localhost:8080/dd", "http://localhost:8080/dd"),
        ];
        for (base_url, expected) in cases {
            assert_eq!(pages(base_url), expected, "{base_url}");
        }
    }
}
