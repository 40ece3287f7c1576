//! The accounts, in Kayenta's sections: which there are, in which order, and what each is used for.

use std::mem::take;
use std::path::PathBuf;
use std::time::Duration;

use ::config::{Map as Table, Value, ValueKind};
use serde_json::Value as Json;

use super::read::prometheus;
use super::scalar::{self, MASK, relax};
use super::section::Section;
use super::{
    Account, AccountKind, AccountType, Error, FileAccount, Prometheus, PrometheusAccount, Result,
    S3Account, S3Credentials, Storage,
};

const STORES: [AccountType; 2] = [AccountType::ObjectStore, AccountType::ConfigurationStore];
const WRONG_TYPE: &str = "must be 'OBJECT_STORE' or 'CONFIGURATION_STORE'";
const ROOT_FOLDER: &str = "kayenta";
const S3_TIMEOUT: &str = "45s";
const MAX_CONCURRENT_QUERIES: usize = 16;

/// What may be added to the accounts of the file.
pub struct Additions<'a> {
    /// For one more account, `prometheus`.
    pub prometheus_url: Option<&'a str>,
    /// For the account `local`, where the others do not store everything.
    pub storage: &'a Storage,
}

/// All accounts: the sections as the file has them, then their lists, then the additions.
pub fn read(
    kayenta: &mut Section<'_>,
    file_order: &[String],
    additions: &Additions<'_>,
) -> Result<(Prometheus, Vec<Account>)> {
    let mut settings = None;
    let mut sections = Vec::new();

    let accounts = kayenta.section("prometheus", |section| {
        let enabled = enabled(section)?;
        settings = Some(prometheus(section)?);
        list(section, enabled, |account| {
            prometheus_account(account).map(Some)
        })
    })?;
    sections.push(("prometheus", accounts));

    // Kayenta wants both switches; the second has no accounts of its own.
    let s3 = kayenta.section("s3", |section| section.flag("enabled"))?;
    let accounts = kayenta.section("aws", |section| {
        let has_accounts = section.has_items("accounts");
        let is_forgotten = has_accounts && section.is_default("enabled");
        let aws = enabled(section)?;
        let off = match (aws, s3) {
            (true, false) if has_accounts => Some("kayenta.s3.enabled"),
            (false, true) if !is_forgotten => Some("kayenta.aws.enabled"),
            _ => None,
        };
        if let Some(off) = off {
            section.context().warn(format!(
                "{off} is not true: S3 needs both kayenta.aws.enabled and kayenta.s3.enabled"
            ));
        }
        list(section, aws && s3, s3_account)
    })?;
    sections.push(("aws", accounts));

    let accounts = kayenta.section("memory", |section| {
        let enabled = enabled(section)?;
        list(section, enabled, |account| {
            memory_account(account).map(Some)
        })
    })?;
    sections.push(("memory", accounts));

    let accounts = kayenta.section("file", |section| {
        let enabled = enabled(section)?;
        list(section, enabled, |account| file_account(account).map(Some))
    })?;
    let file_is_empty = accounts.is_empty();
    sections.push(("file", accounts));

    let rank = |name: &str| {
        let place = file_order.iter().position(|key| relax(key) == relax(name));
        place.unwrap_or(usize::MAX)
    };
    sections.sort_by_key(|(name, _)| rank(name));
    let names: Vec<&str> = sections.iter().map(|(name, _)| *name).collect();
    let mut accounts: Vec<Account> = sections.into_iter().flat_map(|(_, list)| list).collect();

    if let Some(url) = additions.prometheus_url {
        let account = shorthand(kayenta, url)?;
        accounts.push(account);
    }
    let is_stored = |kind| {
        let mut types = accounts.iter().flat_map(|account| &account.supported_types);
        types.any(|supported| *supported == kind)
    };
    let mut last = None;
    if !STORES.into_iter().all(is_stored) {
        accounts.push(local(kayenta, additions.storage)?);
        // Read again, `local` must not come before the accounts that it stands behind now.
        last = file_is_empty.then_some("file");
    }
    refuse_duplicates(&accounts)?;

    sort_sections(kayenta, &names, last);
    let settings = settings.expect("the section is always read, if only from the defaults");
    Ok((settings, accounts))
}

/// Shows the sections of accounts first, in the order in which their accounts stand.
fn sort_sections(kayenta: &mut Section<'_>, names: &[&str], last: Option<&str>) {
    let mut shown: Vec<(String, Json)> = take(&mut kayenta.effective).into_iter().collect();
    shown.sort_by_key(|(key, _)| {
        // The switch of S3 stays with its accounts.
        let name = if key == "s3" { "aws" } else { key };
        let place = names.iter().position(|other| *other == name);
        match place {
            Some(_) if last == Some(name) => (names.len(), false),
            Some(place) => (place, key == "s3"),
            None => (names.len() + 1, false),
        }
    });
    kayenta.effective = shown.into_iter().collect();
}

/// Whether a section of accounts is switched on; accounts that nobody switched on or off are worth a word.
fn enabled(section: &mut Section<'_>) -> Result<bool> {
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

fn list<'a>(
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

fn prometheus_account(section: &mut Section<'_>) -> Result<Account> {
    let name = name(section)?;
    let (endpoint, public_url) = section.section("endpoint", |section| {
        let url = section.parsed("baseUrl", scalar::web_url)?;
        let public = section.parsed_if_given("publicUrl", scalar::web_url)?;
        let public = public.map_or_else(|| url.address.clone(), |public| public.address);
        for (key, address) in [("baseUrl", &url.address), ("publicUrl", &public)] {
            let address = address.clone().into();
            section.effective.insert(key.to_owned(), address);
        }
        Ok((url, public))
    })?;
    let mut username = section.text("username")?;
    let mut password = section.secret("password")?;
    if let (Some((user, secret)), None, None) = (endpoint.user, &username, &password) {
        let shown = secret.as_ref().map(|_| MASK);
        section
            .effective
            .insert("username".to_owned(), user.clone().into());
        section
            .effective
            .insert("password".to_owned(), shown.into());
        username = Some(user);
        password = secret.map(Into::into);
    }
    let kind = PrometheusAccount {
        base_url: endpoint.address,
        public_url,
        username,
        password,
        username_password_file: section.text("usernamePasswordFile")?.map(PathBuf::from),
        bearer_token: section.secret("bearerToken")?,
        headers: section.secrets_by_name("headers")?,
        ca_file: section.text("caFile")?.map(PathBuf::from),
        max_concurrent_queries: section.integer_or(
            "maxConcurrentQueries",
            MAX_CONCURRENT_QUERIES,
            1..=1_000,
        )?,
        compression: section.flag_or("compression", false)?,
    };
    // Kayenta reports every Prometheus account as a metrics store, whatever is configured.
    section.ignore(&["supportedTypes"]);
    section
        .effective
        .insert("supportedTypes".to_owned(), vec!["METRICS_STORE"].into());
    account(
        section,
        name,
        vec![AccountType::MetricsStore],
        AccountKind::Prometheus(kind),
    )
}

/// `None` without a bucket: Kayenta logs such an account and leaves it out.
fn s3_account(section: &mut Section<'_>) -> Result<Option<Account>> {
    let name = name(section)?;
    let bucket = section.text("bucket")?;
    let region = section.text("region")?;
    let root_folder = section.text_or("rootFolder", ROOT_FOLDER)?;
    let profile_name = section.text("profileName")?;
    let endpoint = section.parsed_if_given("endpoint", |text| {
        // As the AWS SDK for Java has it.
        if text.contains("://") {
            scalar::without_credentials(text)
        } else {
            scalar::without_credentials(&format!("https://{text}"))
        }
    })?;
    let shown = endpoint.clone().into();
    section.effective.insert("endpoint".to_owned(), shown);
    let credentials = s3_credentials(section)?;
    let timeout = section.duration_or("timeout", S3_TIMEOUT, Duration::from_secs(1))?;
    let supported_types = store_types(section, &name)?;
    section.unserved(&["proxyHost", "proxyPort", "proxyProtocol"]);
    let Some(bucket) = bucket else {
        let path = section.path_of("bucket");
        section.context().warn(format!(
            "{path} is not given: the account '{name}' is left out"
        ));
        section.ignore(&["locations", "recommendedLocations"]);
        return Ok(None);
    };
    let kind = S3Account {
        bucket,
        region,
        root_folder,
        profile_name,
        endpoint,
        credentials,
        timeout,
    };
    account(section, name, supported_types, AccountKind::S3(kind)).map(Some)
}

/// Kayenta's spelling, or Halyard's flat one.
fn s3_credentials(section: &mut Section<'_>) -> Result<Option<S3Credentials>> {
    let path = section.path_of("explicitCredentials");
    let (access_key, secret_key, session_token) =
        section.section("explicitCredentials", |section| {
            Ok((
                section.secret("accessKey")?,
                section.secret("secretKey")?,
                section.secret("sessionToken")?,
            ))
        })?;
    let flat = (
        section.secret("accessKeyId")?,
        section.secret("secretAccessKey")?,
    );
    section.effective.shift_remove("accessKeyId");
    section.effective.shift_remove("secretAccessKey");
    match (access_key.or(flat.0), secret_key.or(flat.1)) {
        (None, None) => Ok(None),
        (Some(access_key), Some(secret_key)) => {
            let shown = session_token.as_ref().map(|_| MASK);
            let shown = serde_json::json!({
                "accessKey": MASK, "secretKey": MASK, "sessionToken": shown,
            });
            section
                .effective
                .insert("explicitCredentials".to_owned(), shown);
            Ok(Some(S3Credentials {
                access_key,
                secret_key,
                session_token,
            }))
        }
        (Some(_), None) => Err(Error(format!("{path} has an accessKey, but no secretKey"))),
        (None, Some(_)) => Err(Error(format!("{path} has a secretKey, but no accessKey"))),
    }
}

fn memory_account(section: &mut Section<'_>) -> Result<Account> {
    let name = name(section)?;
    let supported_types = store_types(section, &name)?;
    account(section, name, supported_types, AccountKind::Memory)
}

fn file_account(section: &mut Section<'_>) -> Result<Account> {
    let name = name(section)?;
    let kind = FileAccount {
        directory: section.parsed("directory", |text| Ok(PathBuf::from(text)))?,
        root_folder: section.text_or("rootFolder", ROOT_FOLDER)?,
    };
    let supported_types = match section.each("supportedTypes", store_type)? {
        types if types.is_empty() => STORES.to_vec(),
        types => types,
    };
    show_types(section, &supported_types);
    account(section, name, supported_types, AccountKind::File(kind))
}

fn name(section: &mut Section<'_>) -> Result<String> {
    section.parsed("name", |text| Ok(text.to_owned()))
}

fn store_types(section: &mut Section<'_>, name: &str) -> Result<Vec<AccountType>> {
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

fn store_type(text: &str) -> Result<AccountType, String> {
    let kind = account_type(text).ok().filter(|kind| STORES.contains(kind));
    kind.ok_or_else(|| WRONG_TYPE.to_owned())
}

/// Kayenta's name of an account type.
fn account_type(text: &str) -> Result<AccountType, String> {
    match relax(text).as_str() {
        "metricsstore" => Ok(AccountType::MetricsStore),
        "objectstore" => Ok(AccountType::ObjectStore),
        "configurationstore" => Ok(AccountType::ConfigurationStore),
        "remotejudge" => Ok(AccountType::RemoteJudge),
        _ => Err(WRONG_TYPE.to_owned()),
    }
}

fn show_types(section: &mut Section<'_>, types: &[AccountType]) {
    let shown: Vec<&str> = types.iter().map(|kind| kind.as_str()).collect();
    section
        .effective
        .insert("supportedTypes".to_owned(), shown.into());
}

fn account(
    section: &mut Section<'_>,
    name: String,
    supported_types: Vec<AccountType>,
    kind: AccountKind,
) -> Result<Account> {
    Ok(Account {
        name,
        supported_types,
        locations: section.texts("locations")?,
        recommended_locations: section.texts("recommendedLocations")?,
        kind,
    })
}

/// The account `prometheus` of `--prometheus`.
fn shorthand(kayenta: &mut Section<'_>, url: &str) -> Result<Account> {
    let place = "--prometheus, or SERIN_PROMETHEUS_URL".to_owned();
    let text = |text: &str| Value::new(Some(&place), text);
    let endpoint = Table::from_iter([("baseUrl".to_owned(), text(url))]);
    let given = Table::from_iter([
        ("name".to_owned(), text("prometheus")),
        (
            "endpoint".to_owned(),
            Value::new(None, ValueKind::Table(endpoint)),
        ),
    ]);
    add(kayenta, "prometheus", &given, prometheus_account)
}

/// The account for what no other account stores.
fn local(kayenta: &mut Section<'_>, storage: &Storage) -> Result<Account> {
    let place = "storage.directory".to_owned();
    let text = |text: &str| Value::new(Some(&place), text);
    let directory = storage.directory.to_string_lossy();
    let given = Table::from_iter([
        ("name".to_owned(), text("local")),
        ("directory".to_owned(), text(&directory)),
    ]);
    add(kayenta, "file", &given, file_account)
}

/// Reads an account as if it stood at the end of its section.
fn add(
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

fn refuse_duplicates(accounts: &[Account]) -> Result<()> {
    for (index, account) in accounts.iter().enumerate() {
        let name = &account.name;
        if let Some(other) = accounts[..index].iter().find(|other| other.name == *name) {
            let (one, two) = (section_of(other), section_of(account));
            return Err(Error(format!(
                "two accounts are named '{name}', in {one} and in {two}; names are unique over all kinds, \
                 and '--prometheus' and missing stores add 'prometheus' and 'local'"
            )));
        }
    }
    Ok(())
}

fn section_of(account: &Account) -> &'static str {
    match account.kind {
        AccountKind::Prometheus(_) => "kayenta.prometheus",
        AccountKind::S3(_) => "kayenta.aws",
        AccountKind::Memory => "kayenta.memory",
        AccountKind::File(_) => "kayenta.file",
    }
}
