//! Atlas, which tells itself where its clusters are.

use std::time::Duration;

use super::http::Http;
use super::{
    Account, Face, Kind, Source, Sources, TestControllerDefaults, enabled, list, name, source,
};
use crate::config::section::Section;
use crate::config::{Result, scalar};

pub const KIND: Kind = Kind {
    section: "atlas",
    switches: &[],
    read,
};

const FACE: Face = Face {
    section: KIND.section,
    word: "atlas",
    title: "Atlas",
    ..Face::NONE
};

#[derive(Clone, Debug)]
pub struct AtlasAccount {
    /// Where the lists of its clusters are; without a trailing slash.
    pub backends_url: String,
    /// Sent with every query, so that Atlas knows who asks.
    pub fetch_id: Option<String>,
    pub http: Http,
}

/// What holds for all Atlas accounts.
#[derive(Clone, Debug, Default)]
pub struct Atlas {
    /// Total time for one query, retries included.
    pub query_deadline: Duration,
    pub test_controller_defaults: TestControllerDefaults,
}

fn read(kayenta: &mut Section<'_>, sources: &mut Sources) -> Result<Vec<Account>> {
    kayenta.section(KIND.section, |section| {
        let enabled = enabled(section)?;
        // They are Kayenta's own, of stages that serin does not have.
        section.ignore(&["stageTimeoutMinutes", "maxBackoffPeriodSeconds"]);
        sources.atlas = Atlas {
            query_deadline: section.duration("queryDeadline", Duration::from_millis(1))?,
            test_controller_defaults: TestControllerDefaults::read(section)?,
        };
        list(section, enabled, |section| account(section).map(Some))
    })
}

fn account(section: &mut Section<'_>) -> Result<Account> {
    let name = name(section)?;
    // Kayenta reads and never asks it: the lists say where the clusters are.
    section.ignore(&["endpoint"]);
    let backends_url = section.parsed("backendsJsonBaseUrl", scalar::without_credentials)?;
    section.effective.insert(
        "backendsJsonBaseUrl".to_owned(),
        backends_url.clone().into(),
    );
    let account = AtlasAccount {
        backends_url,
        fetch_id: section.text("fetchId")?,
        http: Http::read(section)?,
    };
    let face = Face {
        base_url: Some(account.backends_url.clone()),
        ..FACE
    };
    source(section, name, Source::Atlas(account), face)
}
