//! Documents and the index over them: the verbs that the rest of serin knows.

pub mod azure;
pub mod backup;
pub mod events;
pub mod file;
pub mod gcs;
mod guarded;
pub mod import;
pub mod index;
mod memory;
pub mod objects;
mod over_http;
mod paged;
mod reconcile;
mod relay;
pub mod s3;
mod sql;

mod acceptance;
mod actions;
mod amend;
mod audit;
mod backlog;
mod brief;
mod calibrations;
mod config_lock;
mod configs;
mod documents;
mod executions;
mod flagger;
mod large;
mod listing;
mod notices;
mod outbox;
mod pins;
mod retention;
pub mod room;
mod unowned;
mod waiting;
mod work;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use indexmap::IndexMap;
use moka::future::Cache;
use tokio::sync::{Mutex, Notify, OnceCell};

pub use acceptance::{Begun, IdempotencyKey};
pub use actions::action_id;
pub use audit::CheckedChain;
pub use backlog::Backlog;
pub use brief::Brief;
pub use configs::FoundConfig;
pub use documents::ObjectSummary;
pub use executions::{Deleted, Found, NewComparison};
pub use flagger::FlaggerRun;
pub use index::{
    Attempted, ChainRow, ChartRow, Claim, Company, DeedPlace, DeedSearch, DueAction, DueNotice,
    ExecutionRow, FlaggerKey, FlaggerState, NewAction, Notice, Outbox, Place, Search, Turn, Wanted,
};
pub use large::Large;
pub use listing::Line;
pub use retention::{BATCH as RETENTION_BATCH, DueExecution, RetentionReport};
pub use unowned::pair_list_of_run;
pub use work::Ended;

use crate::canary::{Id, Kind};
use crate::clock::Clock;
use crate::config::{AccountType, Audit, Config, Database, Executions, Retention};
use crate::error::{Error, Result};
use events::Events;
use index::Index;
use large::Reading;
use objects::ObjectStore;
use room::Disks;
use waiting::Waiting;

/// Groups of objects: the first part of every key.
pub mod group {
    pub const CANARY_CONFIG: &str = "canary_config";
    pub const CANARY_ARCHIVE: &str = crate::canary::Kind::Canary.group();
    pub const STANDALONE_CANARY_ARCHIVE: &str = crate::canary::Kind::Analysis.group();
    pub const METRIC_SETS: &str = "metrics";
    pub const METRIC_SET_PAIRS: &str = "metric_pairs";
    pub const PINS: &str = "pin";
    pub const CALIBRATION: &str = "calibration";
    pub const LEARNED: &str = "learned_margins";
    /// By day, and not by id.
    pub const AUDIT: &str = "audit";
}

/// How much finished documents may take in memory.
const CACHED_BYTES: u64 = 8 * 1024 * 1024;

/// What the cache needs for an entry beside the document, about.
const ENTRY_BYTES: usize = 500;

/// A finished document is read again after this long, should another replica have amended it and
/// not been heard.
const FINISHED_FOR: Duration = Duration::from_secs(30);

/// Configs share locks; with more of them, fewer wait for each other.
const CONFIG_LOCKS: usize = 64;

/// All stores and the index.
pub struct Storage {
    accounts: IndexMap<String, Account>,
    default_account: Option<String>,
    index: Index,
    database: Database,
    /// What happens to executions.
    pub events: Events,
    /// Something is to be told outside of serin.
    pub noticed: Notify,
    /// Something is to be called outside of serin.
    pub turned: Notify,
    /// Whether replicas tell each other at once.
    notifies: bool,
    /// Whether this machine's clock differed from the database's when it was last compared.
    clock_was_wrong: AtomicBool,
    /// This process among the replicas.
    owner: String,
    clock: Clock,
    archive: bool,
    disks: Disks,
    /// Whether clients may replace the archive of a run.
    replaces_archives: bool,
    limits: Executions,
    /// Executions whose archives are written, until their rows say so.
    archived: std::sync::Mutex<Vec<String>>,
    /// What has been accepted and not ended.
    waiting: std::sync::Mutex<HashMap<Kind, Waiting>>,
    retention: Retention,
    audit: Audit,
    /// How long a reconciliation may take.
    refresh_timeout: Duration,
    max_object_bytes: u64,
    reading: Reading,
    /// Finished executions by account and id, as they are answered.
    finished: Cache<(Kind, String, String), Found>,
    /// Canary configs by account and id, for a moment.
    configs: Cache<(String, String), CachedConfig>,
    /// Counts writes of configs, by which a reader sees that it was overtaken.
    configs_written: AtomicU64,
    /// A config is written, deleted or taken from its store by one task at a time.
    config_locks: Vec<Mutex<()>>,
}

/// A config as it is answered.
#[derive(Clone)]
struct CachedConfig {
    /// When its row was written that was seen before it was read, in a fleet.
    noted_at: Option<i64>,
    found: FoundConfig,
}

/// One account that keeps documents.
struct Account {
    objects: Arc<dyn ObjectStore>,
    /// Set once the index knows what the store had at the start.
    reconciled: OnceCell<()>,
    /// Set once the store knows whether the index has rows of it.
    expected: OnceCell<()>,
    /// What cannot become a row, by key and version: it is told and read once.
    unusable: std::sync::Mutex<HashSet<u128>>,
    /// Whether the last reconciliation left no archived canary out.
    all_canaries_read: AtomicBool,
    /// Why the last reconciliation did not come to its end.
    behind: std::sync::Mutex<Option<String>>,
}

impl Storage {
    /// Opens the index and the local directories; a bucket is first asked when it is needed.
    ///
    /// # Errors
    /// When the index or a directory cannot be opened.
    pub async fn open(config: &Config, clock: Clock) -> Result<Self> {
        let mut accounts = IndexMap::new();
        for account in &config.accounts {
            if let Some(objects) = objects::open(account, config.storage.max_object_bytes)? {
                let store = Account {
                    objects,
                    reconciled: OnceCell::new(),
                    expected: OnceCell::new(),
                    unusable: std::sync::Mutex::default(),
                    all_canaries_read: AtomicBool::new(false),
                    behind: std::sync::Mutex::default(),
                };
                accounts.insert(account.name.clone(), store);
            }
        }
        let default_account = config.accounts.iter().find(|account| {
            account.supported_types.contains(&AccountType::ObjectStore)
                && accounts.contains_key(&account.name)
        });
        let index = Index::open(&config.database).await?;
        let index = if config.audit.log {
            index.telling()
        } else {
            index
        };
        let storage = Self {
            default_account: default_account.map(|account| account.name.clone()),
            accounts,
            events: Events::new(index.is_shared()),
            noticed: Notify::new(),
            turned: Notify::new(),
            clock_was_wrong: AtomicBool::new(false),
            notifies: index.is_shared() && config.database.notify,
            disks: Disks::of(&config.accounts, index.folder(), config.storage.min_free),
            owner: index.chain().id().to_owned(),
            index,
            database: config.database.clone(),
            clock,
            archive: config.archive,
            replaces_archives: config.storage.replace_archives,
            limits: config.executions.clone(),
            archived: std::sync::Mutex::default(),
            waiting: std::sync::Mutex::default(),
            retention: config.retention.clone(),
            audit: config.audit.clone(),
            refresh_timeout: config.storage.refresh_timeout,
            max_object_bytes: config.storage.max_object_bytes,
            reading: Reading::default(),
            finished: Cache::builder()
                .max_capacity(CACHED_BYTES)
                .weigher(|_, found: &Found| weight(&found.body))
                .time_to_live(FINISHED_FOR)
                .build(),
            configs: Cache::builder()
                .max_capacity(CACHED_BYTES)
                .weigher(|_, config: &CachedConfig| weight(&config.found.body))
                .time_to_live(Duration::from_secs(1))
                .build(),
            configs_written: AtomicU64::new(0),
            config_locks: (0..CONFIG_LOCKS).map(|_| Mutex::default()).collect(),
        };
        storage.ask_time().await?;
        Ok(storage)
    }

    fn account(&self, name: &str) -> Result<&Account> {
        self.accounts
            .get(name)
            .ok_or_else(|| Error::Invalid(format!("Unable to resolve storage service {name}.")))
    }

    fn objects(&self, name: &str) -> Result<&dyn ObjectStore> {
        Ok(self.account(name)?.objects.as_ref())
    }

    async fn put(&self, name: &str, key: &str, body: Bytes) -> Result<String> {
        let account = self.account(name)?;
        let expected = account.expected.get_or_try_init(|| self.expect_known(name));
        expected.await?;
        account.objects.put(key, body).await
    }

    /// What the index lists was there: a store that lost it must not begin anew as an empty one.
    async fn expect_known(&self, account: &str) -> Result<()> {
        let is_known = self.index.knows_objects(account).await?;
        if is_known {
            self.objects(account)?.expect_objects();
        }
        Ok(())
    }

    /// Whether the index answers.
    pub async fn check_index(&self) -> Result<()> {
        self.index.check().await
    }

    /// The names of all accounts that keep documents, in the order of the configuration.
    pub fn stores(&self) -> impl Iterator<Item = &str> {
        self.accounts.keys().map(String::as_str)
    }

    /// The account that keeps objects when none is named.
    pub fn default_store(&self) -> Option<&str> {
        self.default_account.as_deref()
    }

    /// Whether the store of an account answers.
    pub async fn check_store(&self, account: &str) -> Result<()> {
        let asked = self.objects(account)?.get("health/check/none.json");
        asked.await.map(|_| ())
    }

    /// Whether the index knows what the store of an account had lately.
    pub fn check_reconciled(&self, account: &str) -> Result<()> {
        let behind = &self.account(account)?.behind;
        let behind = behind
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        behind.map_or(Ok(()), |why| Err(Error::Unavailable(why)))
    }

    /// How often to look for what a replica may not have been told.
    pub const fn look_every(&self) -> Duration {
        if self.index.is_shared() && !self.notifies {
            Duration::from_secs(1)
        } else {
            Duration::from_secs(5)
        }
    }

    pub async fn close(&self) {
        self.index.close().await;
    }
}

fn weight(body: &Bytes) -> u32 {
    u32::try_from(body.len() + ENTRY_BYTES).unwrap_or(u32::MAX)
}

/// JSON bytes of a document; all of ours can be written.
fn to_bytes<T: serde::Serialize>(document: &T) -> Result<Bytes> {
    serde_json::to_vec(document)
        .map(Bytes::from)
        .map_err(|cause| Error::Internal(format!("cannot write a document: {cause}")))
}

/// There is no object under an id, in Kayenta's words.
pub fn not_found(id: &str) -> Error {
    Error::NotFound(format!("No such object named {id}"))
}

/// There is no execution of an id, in Kayenta's words.
pub fn no_pipeline(id: &str) -> Error {
    Error::NotFound(format!("No pipeline found for {id}"))
}

pub fn no_calibration(id: &Id) -> Error {
    Error::NotFound(format!("there is no calibration '{id}'"))
}

pub fn nothing_learned(id: &Id) -> Error {
    Error::NotFound(format!("nothing was learned under '{id}'"))
}

/// There is nothing to delete, in Kayenta's words.
pub fn does_not_exist() -> Error {
    Error::Invalid("Does not exist".to_owned())
}
