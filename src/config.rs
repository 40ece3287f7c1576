//! The configuration of one process: compiled-in defaults, a file, the environment.
//!
//! `load` puts the layers together, `section` reads one mapping of them strictly, `read` and `accounts`
//! say which keys there are; every key stands, explained, in `config/serin.yml`.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use tempfile::TempPath;
use url::Url;

mod access;
mod accounts;
mod actions;
mod context;
mod layers;
mod load;
mod migration;
mod notifications;
mod others;
mod placeholder;
mod read;
mod scalar;
mod secret;
mod section;
mod shorthands;
mod ssl;
#[cfg(test)]
mod tests;
pub mod text;
mod tls;

pub use access::{
    Access, BREAK_GLASS, Issuer, LoginOfPeople, NamedToken, SHORTEST_TOKEN, SignedBy, TokenHash,
    TrustedProxy, read_tokens, token_name,
};
pub use accounts::atlas::AtlasAccount;
pub use accounts::aws::{AwsIdentity, AwsRole};
pub use accounts::azure::{AzureAccount, AzureCredentials, AzureGiver, AzureIdentity, AzureProof};
pub use accounts::clickhouse::ClickHouseAccount;
pub use accounts::cloudwatch::CloudWatchAccount;
pub use accounts::datadog::DatadogAccount;
pub use accounts::file::{BUILT_IN, FileAccount, built_in};
pub use accounts::google::{GcsAccount, GoogleAccount, StackdriverAccount};
pub use accounts::graphite::GraphiteAccount;
pub use accounts::http::{CertificateFiles, Http, Login};
pub use accounts::influxdb::InfluxDbAccount;
pub use accounts::json_api::{JsonApiAccount, leads_elsewhere};
pub use accounts::newrelic::{NewRelicAccount, NewRelicKey};
pub use accounts::oauth2::{OAuth2, Proof};
pub use accounts::prometheus::{Prometheus, PrometheusAccount, Reuse, SigV4, Thanos, is_loki};
pub use accounts::s3::{S3Account, S3Credentials, S3Writing};
pub use accounts::signalfx::SignalFxAccount;
pub use accounts::sql::{SQL, SqlAccount, account as sql_account};
pub use accounts::wavefront::WavefrontAccount;
pub use accounts::{Account, AccountType, Face, Source, Sources, Store, TestControllerDefaults};
pub use actions::ActionHost;
pub use load::{DEFAULTS, LoadOptions, Loaded, environment, load, load_from, load_with, print};
pub use migration::Migration;
pub use notifications::{Channel, ChannelKind, Email, Given, SmtpTls, Webhook, check_url};
pub use scalar::{duration, nearest};
pub use secret::{Reference, SecretEngines, Unread};
pub use shorthands::Shorthands;
pub use tls::{ClientCertificates, Tls};

/// What is wrong with the configuration: the key, where it stands, what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub String);

type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can be configured, checked and in force.
#[derive(Clone, Debug)]
pub struct Config {
    pub server: Server,
    pub access: Access,
    pub database: Database,
    pub storage: Storage,
    pub executions: Executions,
    pub limits: Limits,
    pub retention: Retention,
    /// Who is told what, outside of serin.
    pub channels: Vec<Channel>,
    /// Where actions may go; the first that allows an address counts.
    pub action_hosts: Vec<ActionHost>,
    /// Whether doubtful metrics count as failed where a canary config does not say.
    pub fail_doubtful: bool,
    /// How old margins that stored configs name become before they are learned anew; never, without it.
    pub recalibrate_every: Option<Duration>,
    pub log: Log,
    /// The collector that traces are sent to.
    pub traces: Option<Url>,
    pub audit: Audit,
    /// In the order of the file; the first of a type is the default.
    pub accounts: Vec<Account>,
    pub sources: Sources,
    /// Kayenta's tables, for who brings what is in them.
    pub sql: Option<SqlAccount>,
    /// What is brought from one account into another as long as serin runs.
    pub migration: Option<Migration>,
    pub retry: Retry,
    /// When it is switched on.
    pub remote_judge: Option<RemoteJudge>,
    /// Whether a metric name may be empty or stand twice in a canary config.
    pub metric_name_validation: bool,
    /// Whether finished executions are archived.
    pub archive: bool,
    /// The files of secrets that keys want as files, for as long as somebody has this.
    pub secret_files: Arc<Vec<TempPath>>,
}

/// What agents are offered, which they do with the rights that they have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tools {
    None,
    Read,
    All,
}

impl Tools {
    /// # Errors
    /// In words, when it is none of the three.
    pub fn parse(word: &str) -> Result<Self, String> {
        match word {
            "none" => Ok(Self::None),
            "read" => Ok(Self::Read),
            "all" => Ok(Self::All),
            _ => Err("must be 'none', 'read' or 'all'".to_owned()),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Server {
    pub address: String,
    pub port: u16,
    /// Where operators alone reach what concerns the process, as host and port.
    pub admin_address: Option<String>,
    pub tls: Option<Tls>,
    /// Used for every link that leaves the service; without it, links are relative. Forms may come
    /// from there.
    pub public_url: Option<String>,
    /// Names under which serin is reached, beside that of `public_url`.
    pub hosts: Vec<String>,
    pub max_connections: usize,
    pub max_body_bytes: usize,
    /// Of all bodies that are under way.
    pub body_memory: usize,
    /// Of all large documents on their way to clients.
    pub answer_memory: usize,
    /// Until the answer begins.
    pub request_timeout: Duration,
    /// Bytes in a second that a client must send of a body, and take of an answer.
    pub least_rate: usize,
    /// Whether browsers may call from pages of any origin.
    pub cors: bool,
    /// Whether the paths of Spinnaker's Gate are understood.
    pub gate_aliases: bool,
    /// What agents are offered at `/mcp`.
    pub mcp: Tools,
    pub header_timeout: Duration,
    /// How long a connection stays that is asked nothing any more; HTTP/1 goes after `header_timeout`,
    /// if that is shorter.
    pub idle_timeout: Duration,
    /// How long a shutdown waits for running executions.
    pub shutdown_grace: Duration,
}

impl Server {
    /// The bytes that a client must send or take in that time.
    pub fn least_in(&self, time: Duration) -> usize {
        let millis = usize::try_from(time.as_millis()).unwrap_or(usize::MAX);
        self.least_rate.saturating_mul(millis) / 1_000
    }
}

#[derive(Clone)]
pub struct Database {
    /// `sqlite:<path>` or `postgres://…`; may hold a password.
    pub url: String,
    /// Of PostgreSQL, by this process.
    pub max_connections: u32,
    /// How long to wait for a connection.
    pub acquire_timeout: Duration,
    /// How long a statement may take.
    pub statement_timeout: Duration,
    /// Whether sessions last, so that replicas can tell each other what happened.
    pub notify: bool,
}

impl Database {
    /// With the defaults of everything else.
    pub fn at(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            max_connections: 10,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(10),
            notify: true,
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("url", &scalar::mask(&self.url))
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Debug)]
pub struct Storage {
    /// Where the account `local` and the embedded database lie.
    pub directory: PathBuf,
    /// How often the index is reconciled with the stores.
    pub refresh: Duration,
    /// Whether clients may replace the archive of a run.
    pub replace_archives: bool,
    /// How long that may take for one account.
    pub refresh_timeout: Duration,
    /// Of an object that is read.
    pub max_object_bytes: u64,
    /// Of the disks that serin writes to.
    pub min_free: Spare,
}

/// What of a disk stays free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spare {
    /// Of a large disk, as much as is needed.
    Percent(u8),
    Bytes(u64),
}

impl Spare {
    /// What executions that run are sure to find, however large the disk.
    const ENOUGH: u64 = 1 << 30;

    /// Bytes of a disk that has so many.
    pub fn of(self, disk: u64) -> u64 {
        match self {
            Self::Percent(percent) => (disk / 100 * u64::from(percent)).min(Self::ENOUGH),
            Self::Bytes(bytes) => bytes,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Executions {
    /// How many run at once.
    pub max_running: usize,
    /// How many metrics a canary may have.
    pub max_metrics: usize,
    /// How long an execution may run.
    pub deadline: Duration,
    /// How many of a kind may be accepted and not ended; beyond, nothing is accepted.
    pub max_waiting: u64,
    /// Of their documents, as they were accepted.
    pub max_waiting_bytes: u64,
    /// How long a worker that is not heard of keeps an execution.
    pub lease: Duration,
    /// How often an execution is started before it is given up.
    pub max_attempts: i64,
    /// How long a finished execution stays in the index after it has been archived.
    pub retention: Duration,
}

/// What one query, one execution and all of them together may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of all executions that run here; half of what the process may use, if it is not given.
    pub memory: Option<usize>,
    /// Of one execution.
    pub execution: usize,
    /// Bytes of the text of a query.
    pub query_text: usize,
    /// Of a query.
    pub series: usize,
    /// Of a series.
    pub labels: usize,
    /// Of a query.
    pub samples: usize,
}

/// Which archived executions are deleted for good, and when.
#[derive(Clone, Debug, Default)]
pub struct Retention {
    /// For every application that has no rule of its own.
    pub rule: RetentionRule,
    /// Rules of applications, which hold instead.
    pub applications: IndexMap<String, RetentionRule>,
    /// Of metric sets and pairs that no execution owns.
    pub unowned_max_age: Option<Duration>,
    /// Nothing is deleted; what would be is told.
    pub dry_run: bool,
    pub every: Duration,
}

/// What is beyond one of the two is deleted; without both, nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetentionRule {
    pub max_age: Option<Duration>,
    pub max_count: Option<u32>,
}

#[derive(Clone, Debug)]
pub struct Log {
    /// A filter as `RUST_LOG` has it: `info`, `serin=debug`.
    pub level: String,
    pub format: LogFormat,
}

/// The record of deeds.
#[derive(Clone, Debug)]
pub struct Audit {
    /// How long a deed stays in the database.
    pub keep: Duration,
    /// Whether the log tells each.
    pub log: bool,
    /// How often what is new is exported to the first account that keeps documents.
    pub export_every: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

impl Config {
    /// Whether there is an account that canaries can take their series from.
    pub fn gives_series(&self) -> bool {
        let mut accounts = self.accounts.iter();
        accounts.any(|account| account.serves(AccountType::MetricsStore))
    }
}

/// A judge over HTTP.
#[derive(Clone, Debug)]
pub struct RemoteJudge {
    /// Without a trailing slash.
    pub base_url: String,
}

/// When a query is sent again.
#[derive(Clone, Debug)]
pub struct Retry {
    /// All attempts together, the first included.
    pub attempts: usize,
    /// The wait before the second attempt; it doubles from there.
    pub backoff: Duration,
    /// Statuses that are retried.
    pub statuses: Vec<u16>,
    /// Hundreds of statuses that are retried: 5 for 5xx.
    pub series: Vec<u16>,
    /// What all waits may take together; for who runs a command.
    pub patience: Option<Duration>,
}
