//! InfluxDB.

use std::time::Duration;

use secrecy::SecretString;

use super::http::{Http, Login, base_url_of};
use super::{
    Account, Face, Kind, Source, Sources, TestControllerDefaults, enabled, list, name, source,
};
use crate::config::Result;
use crate::config::section::Section;

pub const KIND: Kind = Kind {
    section: "influxdb",
    switches: &[],
    read,
};

const FACE: Face = Face {
    section: KIND.section,
    word: "influxdb",
    title: "InfluxDB",
    ..Face::NONE
};

#[derive(Clone, Debug)]
pub struct InfluxDbAccount {
    /// Without a trailing slash.
    pub base_url: String,
    /// Sent instead of what `login` has.
    pub token: Option<SecretString>,
    pub login: Login,
    /// That of queries that name none.
    pub database: Option<String>,
    pub retention_policy: Option<String>,
    /// Instead of both: `telegraf`, or `telegraf/autogen`.
    pub bucket: Option<String>,
    /// Of InfluxDB 2, for Flux.
    pub org: Option<String>,
    pub http: Http,
}

/// What holds for all InfluxDB accounts.
#[derive(Clone, Debug, Default)]
pub struct InfluxDb {
    /// Total time for one query, retries included.
    pub query_deadline: Duration,
    pub test_controller_defaults: TestControllerDefaults,
}

fn read(kayenta: &mut Section<'_>, sources: &mut Sources) -> Result<Vec<Account>> {
    kayenta.section(KIND.section, |section| {
        let enabled = enabled(section)?;
        sources.influxdb = InfluxDb {
            query_deadline: section.duration("queryDeadline", Duration::from_millis(1))?,
            test_controller_defaults: TestControllerDefaults::read(section)?,
        };
        list(section, enabled, |section| account(section).map(Some))
    })
}

fn account(section: &mut Section<'_>) -> Result<Account> {
    let name = name(section)?;
    // Kayenta reads and never sends them.
    section.ignore(&["apiKey", "applicationKey"]);
    let account = InfluxDbAccount {
        base_url: base_url_of(section)?,
        token: section.secret("token")?,
        login: Login::read(section)?,
        database: section.text("database")?,
        retention_policy: section.text("retentionPolicy")?,
        bucket: section.text("bucket")?,
        org: section.text("org")?,
        http: Http::read(section)?,
    };
    let face = Face {
        base_url: Some(account.base_url.clone()),
        ..FACE
    };
    source(section, name, Source::InfluxDb(account), face)
}
