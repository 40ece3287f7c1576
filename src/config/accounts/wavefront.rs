//! Wavefront, as Aria Operations for Applications was called before.

use std::time::Duration;

use secrecy::SecretString;

use super::http::{Http, base_url_of};
use super::{
    Account, Face, Kind, Source, Sources, TestControllerDefaults, enabled, list, name, source,
};
use crate::config::section::Section;
use crate::config::{Error, Result};

pub const KIND: Kind = Kind {
    section: "wavefront",
    switches: &[],
    read,
};

const FACE: Face = Face {
    section: KIND.section,
    word: "wavefront",
    title: "Wavefront",
    ..Face::NONE
};

#[derive(Clone, Debug)]
pub struct WavefrontAccount {
    /// Without a trailing slash.
    pub base_url: String,
    pub api_token: SecretString,
    pub http: Http,
}

/// What holds for all Wavefront accounts.
#[derive(Clone, Debug, Default)]
pub struct Wavefront {
    /// Total time for one query, retries included.
    pub query_deadline: Duration,
    pub test_controller_defaults: TestControllerDefaults,
}

fn read(kayenta: &mut Section<'_>, sources: &mut Sources) -> Result<Vec<Account>> {
    kayenta.section(KIND.section, |section| {
        let enabled = enabled(section)?;
        sources.wavefront = Wavefront {
            query_deadline: section.duration("queryDeadline", Duration::from_millis(1))?,
            test_controller_defaults: TestControllerDefaults::read(section)?,
        };
        list(section, enabled, |section| account(section).map(Some))
    })
}

fn account(section: &mut Section<'_>) -> Result<Account> {
    let name = name(section)?;
    let token = section.secret("apiToken")?;
    let account = WavefrontAccount {
        base_url: base_url_of(section)?,
        api_token: token
            .ok_or_else(|| Error(format!("{} must be given", section.path_of("apiToken"))))?,
        http: Http::read(section)?,
    };
    let face = Face {
        base_url: Some(account.base_url.clone()),
        ..FACE
    };
    source(section, name, Source::Wavefront(account), face)
}
