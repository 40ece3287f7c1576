//! What the kinds of accounts share in their reading.

use ::config::{Map as Table, Value, ValueKind};
use serde_json::Value as Json;

use super::{Account, AccountType, Face, STORES, Source};
use crate::config::context::Context;
use crate::config::scalar::relax;
use crate::config::section::Section;
use crate::config::{Error, Result};

const WRONG_TYPE: &str = "must be 'OBJECT_STORE' or 'CONFIGURATION_STORE'";

/// Whether a section of accounts is switched on; accounts that nobody switched on or off are worth a word.
pub(super) fn enabled(section: &mut Section<'_>) -> Result<bool> {
    let forgotten = section.is_default("enabled") && section.has_items("accounts");
    let enabled = section.flag("enabled")?;
    if forgotten && !enabled {
        let key = section.path_of("enabled");
        let accounts = section.path_of("accounts");
        section
            .context()
            .warn(format!("{accounts} is ignored, as {key} is not true"));
    }
    Ok(enabled)
}

/// The accounts of a store that Kayenta wants switched on twice: in their section, and in one that has
/// no accounts of its own.
pub(super) fn of_two_switches<'a>(
    kayenta: &mut Section<'a>,
    of: &'static str,
    switch: &'static str,
    title: &str,
    account: impl FnMut(&mut Section<'a>) -> Result<Option<Account>>,
) -> Result<Vec<Account>> {
    let is_on = kayenta.section(switch, |section| section.flag("enabled"))?;
    kayenta.section(of, |section| {
        let has_accounts = section.has_items("accounts");
        let is_forgotten = has_accounts && section.is_default("enabled");
        let enabled = enabled(section)?;
        let off = match (enabled, is_on) {
            (true, false) if has_accounts => Some(switch),
            (false, true) if !is_forgotten => Some(of),
            _ => None,
        };
        if let Some(off) = off {
            section.context().warn(format!(
                "kayenta.{off}.enabled is not true: {title} needs both kayenta.{of}.enabled and \
                 kayenta.{switch}.enabled"
            ));
        }
        list(section, enabled && is_on, account)
    })
}

pub(super) fn list<'a>(
    section: &mut Section<'a>,
    enabled: bool,
    read: impl FnMut(&mut Section<'a>) -> Result<Option<Account>>,
) -> Result<Vec<Account>> {
    if enabled {
        return section.list("accounts", read);
    }
    section.ignore(&["accounts"]);
    section
        .effective
        .insert("accounts".to_owned(), Json::Array(Vec::new()));
    Ok(Vec::new())
}

pub(super) fn name(section: &mut Section<'_>) -> Result<String> {
    section.parsed("name", |text| Ok(text.to_owned()))
}

pub(super) fn store_types(section: &mut Section<'_>, name: &str) -> Result<Vec<AccountType>> {
    let given = section.each("supportedTypes", account_type)?;
    let mut types: Vec<AccountType> = given
        .iter()
        .copied()
        .filter(|kind| STORES.contains(kind))
        .collect();
    let path = section.path_of("supportedTypes");
    if types.len() < given.len() {
        section.context().warn(format!(
            "{path}: the account '{name}' is a store only, its other types are ignored"
        ));
    }
    if types.is_empty() {
        section.context().warn(format!(
            "{path} has no store: the account '{name}' is used as OBJECT_STORE and CONFIGURATION_STORE"
        ));
        types = STORES.to_vec();
    }
    show_types(section, &types);
    Ok(types)
}

pub(super) fn store_type(text: &str) -> Result<AccountType, String> {
    let kind = account_type(text).ok().filter(|kind| STORES.contains(kind));
    kind.ok_or_else(|| WRONG_TYPE.to_owned())
}

/// Kayenta's name of an account type.
pub(super) fn account_type(text: &str) -> Result<AccountType, String> {
    match relax(text).as_str() {
        "metricsstore" => Ok(AccountType::MetricsStore),
        "objectstore" => Ok(AccountType::ObjectStore),
        "configurationstore" => Ok(AccountType::ConfigurationStore),
        "remotejudge" => Ok(AccountType::RemoteJudge),
        _ => Err(WRONG_TYPE.to_owned()),
    }
}

pub(super) fn show_types(section: &mut Section<'_>, types: &[AccountType]) {
    let shown: Vec<&str> = types.iter().map(|kind| kind.as_str()).collect();
    section
        .effective
        .insert("supportedTypes".to_owned(), shown.into());
}

/// What all accounts have; what it is, its kind adds.
pub(super) fn account(
    section: &mut Section<'_>,
    name: String,
    supported_types: Vec<AccountType>,
    face: Face,
) -> Result<Account> {
    Ok(Account {
        name,
        supported_types,
        locations: section.texts("locations")?,
        recommended_locations: section.texts("recommendedLocations")?,
        source: None,
        store: None,
        face,
    })
}

/// An account that is a source and nothing else. Kayenta reports it as a metrics store, whatever is configured.
pub(super) fn source(
    section: &mut Section<'_>,
    name: String,
    source: Source,
    face: Face,
) -> Result<Account> {
    section.ignore(&["supportedTypes"]);
    let types = vec![AccountType::MetricsStore];
    show_types(section, &types);
    Ok(Account {
        source: Some(source),
        ..account(section, name, types, face)?
    })
}

/// Reads an account as if it stood at the end of its section.
pub(super) fn add(
    kayenta: &mut Section<'_>,
    key: &str,
    given: &Table<String, Value>,
    read: impl FnOnce(&mut Section<'_>) -> Result<Account>,
) -> Result<Account> {
    let context = kayenta.context();
    let shown = kayenta.effective[key]
        .as_object_mut()
        .expect("the section has been read");
    shown.insert("enabled".to_owned(), true.into());
    let shown = shown["accounts"]
        .as_array_mut()
        .expect("the accounts have been read");
    let path = format!("kayenta.{key}.accounts[{}]", shown.len());
    let mut section = Section::new(context, &path, Some(given))?;
    let account = read(&mut section)?;
    shown.push(Json::Object(section.finish()?));
    Ok(account)
}

/// The account of a shorthand: its word is an address, or the value of a key.
pub(super) fn by_word(place: &str, name: &str, key: &str, word: &str) -> Table<String, Value> {
    let place = place.to_owned();
    let text = |text: &str| Value::new(Some(&place), text);
    let (key, value) = if word.contains("://") {
        let endpoint = Table::from_iter([("baseUrl".to_owned(), text(word))]);
        ("endpoint", Value::new(None, ValueKind::Table(endpoint)))
    } else {
        (key, text(word))
    };
    Table::from_iter([("name".to_owned(), text(name)), (key.to_owned(), value)])
}

/// What a shorthand needs beside its word.
pub(super) fn secret_of(context: &Context<'_>, place: &str, variable: &str) -> Result<Value> {
    let secret = context.environment.get(variable);
    let secret = secret.filter(|secret| !secret.is_empty());
    let value = secret.map(|secret| Value::new(Some(&place.to_owned()), secret.as_str()));
    value.ok_or_else(|| {
        Error(format!(
            "{place} wants a key in the environment variable {variable}"
        ))
    })
}
