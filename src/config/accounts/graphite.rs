//! Graphite, and what speaks its render API.

use std::time::Duration;

use super::http::{Http, Login, base_url_of};
use super::{
    Account, Face, Kind, Source, Sources, TestControllerDefaults, enabled, list, name, source,
};
use crate::config::Result;
use crate::config::section::Section;

pub const KIND: Kind = Kind {
    section: "graphite",
    switches: &[],
    read,
};

const FACE: Face = Face {
    section: KIND.section,
    word: "graphite",
    title: "Graphite",
    ..Face::NONE
};

#[derive(Clone, Debug)]
pub struct GraphiteAccount {
    /// Without a trailing slash.
    pub base_url: String,
    pub login: Login,
    pub http: Http,
}

/// What holds for all Graphite accounts.
#[derive(Clone, Debug, Default)]
pub struct Graphite {
    /// Total time for one query, retries included.
    pub query_deadline: Duration,
    pub test_controller_defaults: TestControllerDefaults,
}

fn read(kayenta: &mut Section<'_>, sources: &mut Sources) -> Result<Vec<Account>> {
    kayenta.section(KIND.section, |section| {
        let enabled = enabled(section)?;
        sources.graphite = Graphite {
            query_deadline: section.duration("queryDeadline", Duration::from_millis(1))?,
            test_controller_defaults: TestControllerDefaults::read(section)?,
        };
        list(section, enabled, |section| account(section).map(Some))
    })
}

fn account(section: &mut Section<'_>) -> Result<Account> {
    let name = name(section)?;
    let account = GraphiteAccount {
        base_url: base_url_of(section)?,
        login: Login::read(section)?,
        http: Http::read(section)?,
    };
    let face = Face {
        base_url: Some(account.base_url.clone()),
        ..FACE
    };
    source(section, name, Source::Graphite(account), face)
}
