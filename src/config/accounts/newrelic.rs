//! New Relic.

use std::time::Duration;

use secrecy::SecretString;

use super::http::{Http, base_url};
use super::{
    Account, Face, Kind, Source, Sources, TestControllerDefaults, enabled, list, name, source,
};
use crate::config::Result;
use crate::config::section::Section;

pub const KIND: Kind = Kind {
    section: "newrelic",
    switches: &[],
    read,
};

const FACE: Face = Face {
    section: KIND.section,
    word: "newrelic",
    title: "New Relic",
    ..Face::NONE
};

#[derive(Clone, Debug)]
pub struct NewRelicAccount {
    /// Without a trailing slash.
    pub base_url: String,
    /// Where people look at charts; none of a server that is not New Relic's own.
    pub app_url: Option<String>,
    /// Without one nothing is sent, as in Kayenta.
    pub key: Option<NewRelicKey>,
    /// Of New Relic: a number.
    pub account_id: u64,
    /// The attribute that a scope is the value of, unless a request says another.
    pub default_scope_key: Option<String>,
    pub default_location_key: Option<String>,
    pub http: Http,
}

/// Which API an account is asked by.
#[derive(Clone, Debug)]
pub enum NewRelicKey {
    /// The Insights query API, as Kayenta asks it.
    Query(SecretString),
    /// NerdGraph.
    User(SecretString),
}

/// What holds for all New Relic accounts.
#[derive(Clone, Debug, Default)]
pub struct NewRelic {
    /// Total time for one query, retries included.
    pub query_deadline: Duration,
    pub test_controller_defaults: TestControllerDefaults,
}

fn read(kayenta: &mut Section<'_>, sources: &mut Sources) -> Result<Vec<Account>> {
    kayenta.section(KIND.section, |section| {
        let enabled = enabled(section)?;
        sources.newrelic = NewRelic {
            query_deadline: section.duration("queryDeadline", Duration::from_millis(1))?,
            test_controller_defaults: TestControllerDefaults::read(section)?,
        };
        list(section, enabled, |section| account(section).map(Some))
    })
}

fn account(section: &mut Section<'_>) -> Result<Account> {
    let name = name(section)?;
    let is_european = section.parsed_if_given("region", |text| match text {
        "us" | "US" => Ok(false),
        "eu" | "EU" => Ok(true),
        _ => Err("must be 'us' or 'eu'".to_owned()),
    })?;
    let eu = if is_european == Some(true) { "eu." } else { "" };
    let (query, user) = (section.secret("apiKey")?, section.secret("userKey")?);
    let api = if user.is_some() {
        "api"
    } else {
        "insights-api"
    };
    let usual = format!("https://{api}.{eu}newrelic.com");
    let user = user.map(NewRelicKey::User);
    let key = user.or_else(|| query.map(NewRelicKey::Query));
    let base_url = base_url(section, &usual)?;
    let account = NewRelicAccount {
        app_url: (base_url == usual).then(|| format!("https://one.{eu}newrelic.com")),
        key,
        account_id: section.parsed("applicationKey", |text| {
            let id = text.trim().parse().ok();
            id.ok_or_else(|| "must be the number of the account at New Relic".to_owned())
        })?,
        default_scope_key: section.text("defaultScopeKey")?,
        default_location_key: section.text("defaultLocationKey")?,
        http: Http::read(section)?,
        base_url,
    };
    let face = Face {
        base_url: Some(account.base_url.clone()),
        ..FACE
    };
    source(section, name, Source::NewRelic(account), face)
}
