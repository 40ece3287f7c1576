//! SignalFx, which is Splunk Observability.

use std::time::Duration;

use secrecy::SecretString;

use super::http::{Http, base_url};
use super::{
    Account, Face, Kind, Source, Sources, add, by_word, enabled, list, name, secret_of, source,
};
use crate::config::Result;
use crate::config::section::Section;

pub const KIND: Kind = Kind {
    section: "signalfx",
    switches: &[],
    read,
};

const FACE: Face = Face {
    section: KIND.section,
    word: "signalfx",
    title: "SignalFx",
    ..Face::NONE
};

#[derive(Clone, Debug)]
pub struct SignalFxAccount {
    /// Without a trailing slash.
    pub base_url: String,
    /// Where people look at charts; none where the realm is not known.
    pub app_url: Option<String>,
    pub access_token: Option<SecretString>,
    /// The property that a scope is the value of, unless a request says another.
    pub default_scope_key: Option<String>,
    pub default_location_key: Option<String>,
    pub http: Http,
}

/// What holds for all SignalFx accounts.
#[derive(Clone, Debug, Default)]
pub struct SignalFx {
    /// Total time for one program, retries included.
    pub query_deadline: Duration,
}

fn read(kayenta: &mut Section<'_>, sources: &mut Sources) -> Result<Vec<Account>> {
    kayenta.section(KIND.section, |section| {
        let enabled = enabled(section)?;
        sources.signalfx = SignalFx {
            query_deadline: section.duration("queryDeadline", Duration::from_millis(1))?,
        };
        list(section, enabled, |section| account(section).map(Some))
    })
}

/// The account `signalfx` of `--signalfx`.
pub fn shorthand(kayenta: &mut Section<'_>, realm: &str) -> Result<Account> {
    let place = "--signalfx, or SERIN_SIGNALFX_REALM";
    let mut given = by_word(place, "signalfx", "realm", realm);
    let token = secret_of(kayenta.context(), place, "SFX_AUTH_TOKEN")?;
    given.insert("accessToken".to_owned(), token);
    add(kayenta, KIND.section, &given, account)
}

fn account(section: &mut Section<'_>) -> Result<Account> {
    let name = name(section)?;
    let realm = section.text("realm")?;
    // Without a realm Splunk means `us0`.
    let usual = match &realm {
        Some(realm) => format!("https://stream.{realm}.signalfx.com"),
        None => "https://stream.signalfx.com".to_owned(),
    };
    let account = SignalFxAccount {
        base_url: base_url(section, &usual)?,
        app_url: realm.map(|realm| format!("https://app.{realm}.signalfx.com")),
        access_token: section.secret("accessToken")?,
        default_scope_key: section.text("defaultScopeKey")?,
        default_location_key: section.text("defaultLocationKey")?,
        http: Http::read(section)?,
    };
    let face = Face {
        base_url: Some(account.base_url.clone()),
        ..FACE
    };
    source(section, name, Source::SignalFx(account), face)
}
