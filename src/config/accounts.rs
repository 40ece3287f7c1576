//! The accounts, in Kayenta's sections: which there are, in which order, and what each is used for.
//!
//! A kind of account is one file here (its settings, its reading, its face) and one line of `KINDS`.

pub mod atlas;
pub mod aws;
pub mod azure;
pub mod clickhouse;
pub mod cloudwatch;
pub mod datadog;
pub mod file;
pub mod google;
pub mod graphite;
pub mod http;
pub mod influxdb;
pub mod json_api;
pub mod memory;
pub mod newrelic;
pub mod oauth2;
pub mod prometheus;
mod reading;
pub mod s3;
pub mod signalfx;
pub mod sql;
pub mod wavefront;

use std::mem::take;
use std::path::Path;

use serde_json::Value as Json;

use super::scalar::relax;
use super::section::Section;
use super::shorthands::Shorthands;
use super::{Error, Result, Storage};
use atlas::{Atlas, AtlasAccount};
use azure::AzureAccount;
use clickhouse::{ClickHouse, ClickHouseAccount};
use cloudwatch::{CloudWatch, CloudWatchAccount};
use datadog::{Datadog, DatadogAccount};
use file::FileAccount;
use google::{GcsAccount, Stackdriver, StackdriverAccount};
use graphite::{Graphite, GraphiteAccount};
use influxdb::{InfluxDb, InfluxDbAccount};
use json_api::{JsonApi, JsonApiAccount};
use newrelic::{NewRelic, NewRelicAccount};
use prometheus::{Prometheus, PrometheusAccount};
use reading::{
    account, account_type, add, by_word, enabled, list, name, of_two_switches, secret_of,
    show_types, source, store_type, store_types,
};
use s3::S3Account;
use signalfx::{SignalFx, SignalFxAccount};
use sql::SqlAccount;
use wavefront::{Wavefront, WavefrontAccount};

/// A kind of account, as the configuration has it.
pub struct Kind {
    /// The section of `kayenta` with its accounts.
    section: &'static str,
    /// Sections without accounts, with a switch that it wants as well.
    switches: &'static [&'static str],
    read: fn(&mut Section<'_>, &mut Sources) -> Result<Vec<Account>>,
}

const KINDS: [Kind; 16] = [
    prometheus::KIND,
    datadog::KIND,
    signalfx::KIND,
    newrelic::KIND,
    graphite::KIND,
    influxdb::KIND,
    clickhouse::KIND,
    wavefront::KIND,
    atlas::KIND,
    cloudwatch::KIND,
    json_api::KIND,
    s3::KIND,
    google::KIND,
    azure::KIND,
    memory::KIND,
    file::KIND,
];

/// Where series may come from.
#[derive(Clone, Debug)]
pub enum Source {
    Prometheus(Box<PrometheusAccount>),
    Datadog(DatadogAccount),
    SignalFx(SignalFxAccount),
    Stackdriver(StackdriverAccount),
    NewRelic(NewRelicAccount),
    Graphite(GraphiteAccount),
    InfluxDb(InfluxDbAccount),
    CloudWatch(CloudWatchAccount),
    ClickHouse(ClickHouseAccount),
    Wavefront(WavefrontAccount),
    Atlas(AtlasAccount),
    JsonApi(JsonApiAccount),
}

/// Where documents may lie.
#[derive(Clone, Debug)]
pub enum Store {
    S3(S3Account),
    Gcs(GcsAccount),
    Azure(AzureAccount),
    File(FileAccount),
    Sql(SqlAccount),
    Memory,
}

/// What holds for all accounts of a kind of source.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    pub prometheus: Prometheus,
    pub datadog: Datadog,
    pub signalfx: SignalFx,
    pub stackdriver: Stackdriver,
    pub newrelic: NewRelic,
    pub graphite: Graphite,
    pub influxdb: InfluxDb,
    pub cloudwatch: CloudWatch,
    pub clickhouse: ClickHouse,
    pub wavefront: Wavefront,
    pub atlas: Atlas,
    pub json_api: JsonApi,
}

/// What `/fetch/<kind>/query` assumes for parameters that are not given.
#[derive(Clone, Debug, Default)]
pub struct TestControllerDefaults {
    pub project: Option<String>,
    pub resource_type: Option<String>,
    pub location: Option<String>,
    pub scope: Option<String>,
    pub start: Option<String>,
    pub end: Option<String>,
}

impl TestControllerDefaults {
    fn read(section: &mut Section<'_>) -> Result<Self> {
        section.section("testControllerDefaults", |section| {
            Ok(Self {
                project: section.text("project")?,
                resource_type: section.text("resourceType")?,
                location: section.text("location")?,
                scope: section.text("scope")?,
                start: section.text("start")?,
                end: section.text("end")?,
            })
        })
    }
}

/// One account of any kind.
#[derive(Clone, Debug)]
pub struct Account {
    pub name: String,
    pub supported_types: Vec<AccountType>,
    pub locations: Vec<String>,
    pub recommended_locations: Vec<String>,
    pub source: Option<Source>,
    pub store: Option<Store>,
    pub face: Face,
}

/// How an account shows itself: where it is, and nothing that is secret.
#[derive(Clone, Debug)]
pub struct Face {
    /// The section of `kayenta` where it stands.
    pub section: &'static str,
    /// The `type` of the account on the wire.
    pub word: &'static str,
    /// The kind, for people.
    pub title: &'static str,
    /// Of the service that series come from.
    pub base_url: Option<String>,
    pub project: Option<String>,
    pub bucket: Option<String>,
    /// Where the bucket lies.
    pub bucket_location: Option<String>,
    /// Of a store that is not where its kind is usually.
    pub server: Option<String>,
    pub region: Option<String>,
    pub root_folder: Option<String>,
    /// Which of several sources an account is, for who must tell by it.
    pub metrics_store_type: Option<&'static str>,
}

/// What an account can be used for; Kayenta's names on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccountType {
    MetricsStore,
    ObjectStore,
    ConfigurationStore,
    RemoteJudge,
}

impl AccountType {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MetricsStore => "METRICS_STORE",
            Self::ObjectStore => "OBJECT_STORE",
            Self::ConfigurationStore => "CONFIGURATION_STORE",
            Self::RemoteJudge => "REMOTE_JUDGE",
        }
    }

    /// What it is for, for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::MetricsStore => "metrics",
            Self::ObjectStore => "reports",
            Self::ConfigurationStore => "configs",
            Self::RemoteJudge => "a judge",
        }
    }
}

impl Face {
    /// What kinds do not say.
    pub const NONE: Self = Self {
        section: "",
        word: "",
        title: "",
        base_url: None,
        project: None,
        bucket: None,
        bucket_location: None,
        server: None,
        region: None,
        root_folder: None,
        metrics_store_type: None,
    };
}

impl Account {
    /// Whether it can be used as one of that type.
    pub fn serves(&self, wanted: AccountType) -> bool {
        let can = match wanted {
            AccountType::MetricsStore => self.source.is_some(),
            AccountType::ObjectStore | AccountType::ConfigurationStore => self.store.is_some(),
            AccountType::RemoteJudge => false,
        };
        can && self.supported_types.contains(&wanted)
    }
}

impl Source {
    /// The type of the queries that it answers.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Prometheus(_) => "prometheus",
            Self::Datadog(_) => "datadog",
            Self::SignalFx(_) => "signalfx",
            Self::Stackdriver(_) => "stackdriver",
            Self::NewRelic(_) => "newrelic",
            Self::Graphite(_) => "graphite",
            Self::InfluxDb(_) => "influxdb",
            Self::CloudWatch(_) => "cloudwatch",
            Self::ClickHouse(_) => "clickhouse",
            Self::Wavefront(_) => "wavefront",
            Self::Atlas(_) => "atlas",
            Self::JsonApi(_) => "http",
        }
    }
}

impl Store {
    /// On a disk of this machine, its folder.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::File(file) => Some(&file.directory),
            Self::S3(_) | Self::Gcs(_) | Self::Azure(_) | Self::Sql(_) | Self::Memory => None,
        }
    }

    /// Whether documents outlive the process.
    pub const fn is_lasting(&self) -> bool {
        !matches!(self, Self::Memory)
    }

    /// Whether serin puts nothing there.
    pub const fn is_only_read(&self) -> bool {
        matches!(self, Self::Sql(_))
    }
}

impl Sources {
    /// What `/fetch/<kind>/query` assumes.
    pub fn defaults(&self, kind: &str) -> TestControllerDefaults {
        match kind {
            "prometheus" => self.prometheus.test_controller_defaults.clone(),
            "datadog" => self.datadog.test_controller_defaults.clone(),
            "stackdriver" => self.stackdriver.test_controller_defaults.clone(),
            "newrelic" => self.newrelic.test_controller_defaults.clone(),
            "graphite" => self.graphite.test_controller_defaults.clone(),
            "influxdb" => self.influxdb.test_controller_defaults.clone(),
            "cloudwatch" => self.cloudwatch.test_controller_defaults.clone(),
            "clickhouse" => self.clickhouse.test_controller_defaults.clone(),
            "wavefront" => self.wavefront.test_controller_defaults.clone(),
            "atlas" => self.atlas.test_controller_defaults.clone(),
            "http" => self.json_api.test_controller_defaults.clone(),
            _ => TestControllerDefaults::default(),
        }
    }

    /// Whether a source that does not answer makes `/health` DOWN.
    pub const fn are_vital(&self, source: &Source) -> bool {
        match source {
            Source::Prometheus(_) => self.prometheus.health_enabled,
            _ => false,
        }
    }
}

const STORES: [AccountType; 2] = [AccountType::ObjectStore, AccountType::ConfigurationStore];
const ROOT_FOLDER: &str = "kayenta";

/// What may be added to the accounts of the file.
pub struct Additions<'a> {
    pub shorthands: &'a Shorthands,
    /// For the account `local`, where the others do not store everything.
    pub storage: &'a Storage,
}

/// The sections that belong to kinds of accounts.
pub fn sections() -> impl Iterator<Item = &'static str> {
    let of_kind = |kind: &Kind| {
        [kind.section]
            .into_iter()
            .chain(kind.switches.iter().copied())
    };
    KINDS.iter().flat_map(of_kind)
}

/// All accounts: the sections as the file has them, then their lists, then the additions.
pub fn read(
    kayenta: &mut Section<'_>,
    file_order: &[String],
    additions: &Additions<'_>,
) -> Result<(Sources, Vec<Account>)> {
    let mut sources = Sources::default();
    let mut sections = Vec::new();
    for kind in &KINDS {
        sections.push((kind, (kind.read)(kayenta, &mut sources)?));
    }
    let file_is_empty = sections
        .iter()
        .any(|(kind, accounts)| kind.section == file::KIND.section && accounts.is_empty());
    let rank = |kind: &Kind| {
        let place = file_order
            .iter()
            .position(|key| relax(key) == relax(kind.section));
        place.unwrap_or(usize::MAX)
    };
    sections.sort_by_key(|(kind, _)| rank(kind));
    let kinds: Vec<&Kind> = sections.iter().map(|(kind, _)| *kind).collect();
    let mut accounts: Vec<Account> = sections.into_iter().flat_map(|(_, list)| list).collect();

    let words = additions.shorthands;
    if let Some(url) = &words.prometheus {
        accounts.push(prometheus::shorthand(kayenta, url)?);
    }
    if let Some(site) = &words.datadog {
        accounts.push(datadog::shorthand(kayenta, site)?);
    }
    if let Some(realm) = &words.signalfx {
        accounts.push(signalfx::shorthand(kayenta, realm)?);
    }
    if let Some(project) = &words.google {
        accounts.push(google::shorthand(kayenta, project)?);
    }
    let is_stored = |wanted| accounts.iter().any(|account| account.serves(wanted));
    let mut last = None;
    if !STORES.into_iter().all(is_stored) {
        accounts.push(file::local(kayenta, additions.storage)?);
        // Read again, `local` must not come before the accounts that it stands behind now.
        last = file_is_empty.then_some(file::KIND.section);
    }
    refuse_duplicates(&accounts)?;

    sort_sections(kayenta, &kinds, last);
    Ok((sources, accounts))
}

/// Shows the sections of accounts first, in the order in which their accounts stand; a switch stays
/// with its accounts.
fn sort_sections(kayenta: &mut Section<'_>, kinds: &[&Kind], last: Option<&str>) {
    let mut shown: Vec<(String, Json)> = take(&mut kayenta.effective).into_iter().collect();
    shown.sort_by_key(|(key, _)| {
        let place = kinds
            .iter()
            .position(|kind| kind.section == key || kind.switches.contains(&key.as_str()));
        match place {
            Some(place) if last == Some(kinds[place].section) => (kinds.len(), false),
            Some(place) => (place, kinds[place].section != key),
            None => (kinds.len() + 1, false),
        }
    });
    kayenta.effective = shown.into_iter().collect();
}

fn refuse_duplicates(accounts: &[Account]) -> Result<()> {
    for (index, account) in accounts.iter().enumerate() {
        let name = &account.name;
        if let Some(other) = accounts[..index].iter().find(|other| other.name == *name) {
            let (one, two) = (other.face.section, account.face.section);
            return Err(Error(format!(
                "two accounts are named '{name}', in kayenta.{one} and in kayenta.{two}; names are unique over all kinds, \
                 and '--prometheus' and its like, and missing stores, add 'prometheus' and 'local'"
            )));
        }
    }
    Ok(())
}
