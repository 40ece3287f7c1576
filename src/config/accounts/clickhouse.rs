//! ClickHouse.

use std::time::Duration;

use super::http::{Http, Login};
use super::{
    Account, Face, Kind, Source, Sources, TestControllerDefaults, enabled, list, name, source,
};
use crate::config::section::Section;
use crate::config::{Result, scalar};

pub const KIND: Kind = Kind {
    section: "clickhouse",
    switches: &[],
    read,
};

const FACE: Face = Face {
    section: KIND.section,
    word: "clickhouse",
    title: "ClickHouse",
    ..Face::NONE
};

#[derive(Clone, Debug)]
pub struct ClickHouseAccount {
    /// Without a trailing slash.
    pub endpoint_url: String,
    pub login: Login,
    /// That of tables whose name has none.
    pub database: Option<String>,
    /// Whether limits and formats go with a query; a user with `readonly = 1` may set none.
    pub send_settings: bool,
    pub http: Http,
}

/// What holds for all ClickHouse accounts.
#[derive(Clone, Debug, Default)]
pub struct ClickHouse {
    /// Total time for one query, retries included.
    pub query_deadline: Duration,
    /// Values of a scope are pasted into statements as they are, as Kayenta does.
    pub raw_values: bool,
    pub test_controller_defaults: TestControllerDefaults,
}

fn read(kayenta: &mut Section<'_>, sources: &mut Sources) -> Result<Vec<Account>> {
    kayenta.section(KIND.section, |section| {
        let enabled = enabled(section)?;
        sources.clickhouse = ClickHouse {
            query_deadline: section.duration("queryDeadline", Duration::from_millis(1))?,
            raw_values: section.flag("rawValues")?,
            test_controller_defaults: TestControllerDefaults::read(section)?,
        };
        list(section, enabled, |section| account(section).map(Some))
    })
}

fn account(section: &mut Section<'_>) -> Result<Account> {
    let name = name(section)?;
    let endpoint_url = section.parsed("endpointUrl", scalar::without_credentials)?;
    section
        .effective
        .insert("endpointUrl".to_owned(), endpoint_url.clone().into());
    let account = ClickHouseAccount {
        endpoint_url,
        login: Login::read(section)?,
        database: section.text("database")?,
        send_settings: section.flag_or("sendSettings", true)?,
        http: Http::read(section)?,
    };
    let face = Face {
        base_url: Some(account.endpoint_url.clone()),
        ..FACE
    };
    source(section, name, Source::ClickHouse(account), face)
}
