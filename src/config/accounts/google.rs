//! Google Cloud: one section of accounts that are a store (Cloud Storage) and a source (Cloud
//! Monitoring) at once.

use std::path::PathBuf;
use std::time::Duration;

use ::config::Value;

use super::http::{Http, other_url};
use super::{
    Account, AccountType, Face, Kind, ROOT_FOLDER, STORES, Source, Sources, Store,
    TestControllerDefaults, account_type, add, by_word, enabled, list, name, show_types,
};
use crate::config::section::Section;
use crate::config::{Error, Result};

/// Where Google's own tools look for a stand-in of Cloud Storage.
const EMULATOR: &str = "STORAGE_EMULATOR_HOST";
const MONITORING: &str = "https://monitoring.googleapis.com";
const STORAGE: &str = "https://storage.googleapis.com";
const TIMEOUT: &str = "45s";

pub const KIND: Kind = Kind {
    section: "google",
    switches: &["gcs", "stackdriver"],
    read,
};

const FACE: Face = Face {
    section: KIND.section,
    word: "google",
    title: "Google Cloud",
    ..Face::NONE
};

/// Who asks Google.
#[derive(Clone, Debug)]
pub struct GoogleAccount {
    pub project: Option<String>,
    /// With credentials; without it, those that Google's own tools find.
    pub json_path: Option<PathBuf>,
    /// Asked instead of Google's services; without a trailing slash.
    pub endpoint: Option<String>,
}

/// A bucket of Cloud Storage.
#[derive(Clone, Debug)]
pub struct GcsAccount {
    pub google: GoogleAccount,
    pub bucket: String,
    /// Where the bucket is made, if it is not there.
    pub bucket_location: Option<String>,
    pub root_folder: String,
    /// Of Cloud Storage, or what stands in for it; without a trailing slash.
    pub url: String,
    /// Total time for one request, retries included.
    pub timeout: Duration,
}

/// A project of Cloud Monitoring.
#[derive(Clone, Debug)]
pub struct StackdriverAccount {
    pub google: GoogleAccount,
    pub project: String,
    /// Without a trailing slash.
    pub url: String,
    pub http: Http,
}

/// What holds for all accounts of Cloud Monitoring.
#[derive(Clone, Debug, Default)]
pub struct Stackdriver {
    /// How long the list of metrics of a project is kept.
    pub metadata_caching_interval: Duration,
    /// Total time for one query with all its pages, retries included.
    pub query_deadline: Duration,
    pub test_controller_defaults: TestControllerDefaults,
}

impl GoogleAccount {
    /// Whether requests to that address carry a token: what the environment names instead of Google
    /// wants none, nor does a stand-in over plain HTTP, unless the account has a key for it.
    pub fn is_asked_with_tokens(&self, url: &str) -> bool {
        if self.endpoint.as_deref() == Some(url) {
            return url.starts_with("https:") || self.json_path.is_some();
        }
        [STORAGE, MONITORING].contains(&url)
    }
}

/// Which of Google's services are switched on.
#[derive(Clone, Copy)]
struct Services {
    gcs: bool,
    stackdriver: bool,
}

fn read(kayenta: &mut Section<'_>, sources: &mut Sources) -> Result<Vec<Account>> {
    let services = Services {
        gcs: kayenta.section("gcs", |section| section.flag("enabled"))?,
        stackdriver: kayenta.section("stackdriver", |section| {
            let is_on = section.flag("enabled")?;
            sources.stackdriver = Stackdriver {
                metadata_caching_interval: section
                    .integer("metadataCachingIntervalMS", 1..=86_400_000)
                    .map(Duration::from_millis)?,
                query_deadline: section.duration("queryDeadline", Duration::from_millis(1))?,
                test_controller_defaults: TestControllerDefaults::read(section)?,
            };
            Ok(is_on)
        })?,
    };
    kayenta.section(KIND.section, |section| {
        let enabled = enabled(section)?;
        list(section, enabled, |section| account(section, services))
    })
}

/// The account `google` of `--google`: its word is a project, or an address that ends in one.
pub fn shorthand(kayenta: &mut Section<'_>, word: &str) -> Result<Account> {
    let place = "--google, or SERIN_GOOGLE_PROJECT";
    let (address, project) = match word.rsplit_once('/') {
        Some((address, project)) if address.contains("://") => (address, project),
        None => (word, word),
        Some(_) => {
            return Err(Error(format!(
                "{place} is '{word}': must be a project, or an address that ends in one, as in \
                 'https://monitoring.googleapis.com/my-project'"
            )));
        }
    };
    let mut given = by_word(place, "google", "project", address);
    let project = Value::new(Some(&place.to_owned()), project);
    given.insert("project".to_owned(), project);
    kayenta.effective["stackdriver"]["enabled"] = true.into();
    let services = Services {
        gcs: false,
        stackdriver: true,
    };
    add(kayenta, KIND.section, &given, |section| {
        let account = account(section, services)?;
        account.ok_or_else(|| Error(format!("no account can be made of {place}")))
    })
}

/// `None` without what it needs: Kayenta logs such an account and leaves it out.
fn account(section: &mut Section<'_>, services: Services) -> Result<Option<Account>> {
    let name = name(section)?;
    let google = GoogleAccount {
        project: section.text("project")?,
        json_path: section.text("jsonPath")?.map(PathBuf::from),
        endpoint: other_url(section)?,
    };
    let bucket = section.text("bucket")?;
    let bucket_location = section.text("bucketLocation")?;
    let root_folder = section.text_or("rootFolder", ROOT_FOLDER)?;
    let timeout = section.duration_or("timeout", TIMEOUT, Duration::from_secs(1))?;
    let http = Http::read(section)?;
    let types = types(section, &name, services)?;
    let is_store = types.iter().any(|wanted| STORES.contains(wanted));
    let is_source = types.contains(&AccountType::MetricsStore);
    let missing = missing(section, &google, is_store && bucket.is_none(), is_source);
    if let Some(why) = &missing {
        section
            .context()
            .warn(format!("{why}: the account '{name}' is left out"));
    }
    if missing.is_some() || types.is_empty() {
        section.ignore(&["locations", "recommendedLocations"]);
        return Ok(None);
    }
    let face = Face {
        project: google.project.clone(),
        bucket: bucket.clone(),
        bucket_location: bucket_location.clone(),
        server: google.endpoint.clone(),
        root_folder: Some(root_folder.clone()),
        metrics_store_type: is_source.then_some("stackdriver"),
        ..FACE
    };
    let emulator = section.context().environment.get(EMULATOR);
    let emulator = emulator.filter(|host| !host.is_empty()).map(|host| {
        let host = host.trim_end_matches('/');
        if host.contains("://") {
            host.to_owned()
        } else {
            format!("http://{host}")
        }
    });
    let project = google.project.clone().filter(|_| is_source);
    let source = project.map(|project| StackdriverAccount {
        project,
        url: google
            .endpoint
            .clone()
            .unwrap_or_else(|| MONITORING.to_owned()),
        google: google.clone(),
        http,
    });
    let url = google.endpoint.clone().or(emulator);
    let store = bucket.filter(|_| is_store).map(|bucket| GcsAccount {
        google,
        bucket,
        bucket_location,
        root_folder,
        url: url.unwrap_or_else(|| STORAGE.to_owned()),
        timeout,
    });
    Ok(Some(Account {
        source: source.map(Source::Stackdriver),
        store: store.map(Store::Gcs),
        ..super::account(section, name, types, face)?
    }))
}

/// What the account lacks.
fn missing(
    section: &Section<'_>,
    google: &GoogleAccount,
    bucket: bool,
    is_source: bool,
) -> Option<String> {
    if bucket {
        return Some(format!("{} is not given", section.path_of("bucket")));
    }
    if is_source && google.project.is_none() {
        return Some(format!("{} is not given", section.path_of("project")));
    }
    let path = google.json_path.as_ref()?;
    let is_there = path.is_file();
    (!is_there).then(|| {
        let key = section.path_of("jsonPath");
        format!("{key}: there is no file '{}'", path.display())
    })
}

/// As given, but for what is not switched on.
fn types(section: &mut Section<'_>, name: &str, services: Services) -> Result<Vec<AccountType>> {
    let given = match section.each("supportedTypes", account_type)? {
        types if types.is_empty() => vec![AccountType::MetricsStore],
        types => types,
    };
    let mut types = Vec::new();
    for wanted in given {
        let (is_on, switch) = match wanted {
            AccountType::MetricsStore => (services.stackdriver, "kayenta.stackdriver.enabled"),
            AccountType::ObjectStore | AccountType::ConfigurationStore => {
                (services.gcs, "kayenta.gcs.enabled")
            }
            AccountType::RemoteJudge => continue,
        };
        if is_on {
            types.push(wanted);
        } else {
            let wanted = wanted.as_str();
            section.context().warn(format!(
                "{switch} is not true: the account '{name}' is no {wanted}"
            ));
        }
    }
    show_types(section, &types);
    Ok(types)
}
