//! Everything that is opened once, and the accounts by name.

mod calibrations;
mod caller;
mod health;
mod heartbeat;
mod measured;
mod open;
mod refusals;
mod seen;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use indexmap::IndexMap;
use moka::future::Cache;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::budget::Budget;
use crate::callers::Callers;
use crate::clock::Clock;
use crate::config::{Account, AccountType, Config};
use crate::error::{Error, Result};
use crate::metrics::{self, MetricSource};
use crate::storage::Storage;
use crate::telemetry::Telemetry;
use calibrations::Calibrations;
pub use calibrations::Live;
pub use caller::{Anybody, Operator, Whoever};
pub use health::Checked;
use health::LastChecked;
use heartbeat::Heartbeat;
use measured::LastMeasured;
use refusals::Refusals;
pub use refusals::Tried;
pub use seen::Seen;

/// How much the pictures of messages may take in memory, and how long: they go with their run.
const CHART_BYTES: u64 = 8 * 1024 * 1024;
const CHART_FOR: Duration = Duration::from_mins(5);

/// Each has several runs in memory, beside the executions.
const REPLAYS: usize = 2;

/// One running serin. Cheap to clone: all clones are the same.
#[derive(Clone)]
pub struct App(Arc<Parts>);

pub struct Parts {
    pub config: Config,
    pub clock: Clock,
    pub callers: Arc<Callers>,
    pub storage: Storage,
    pub metric_sources: IndexMap<String, Arc<dyn MetricSource>>,
    /// The memory of executions.
    pub budget: Budget,
    /// Of the judge over HTTP, made when it is first asked.
    pub judge_client: OnceCell<reqwest::Client>,
    /// Pictures for messages, by their token: each takes a second of work at most, and is asked for by
    /// all who read the message.
    pub charts: Cache<String, Bytes>,
    /// Requests that judge stored runs once more, at once.
    pub replays: Semaphore,
    /// The metrics of this process.
    pub telemetry: Telemetry,
    /// Where executions run in this process: none until its worker opens them.
    pub places: Arc<Semaphore>,
    /// The executions that run here.
    pub running: TaskTracker,
    /// Set once nothing new is begun: what runs here comes to its end.
    pub stopping: CancellationToken,
    /// Set once no request is waited for any more.
    pub closing: CancellationToken,
    pub calibrations: Calibrations,
    /// Of the loop that claims them.
    pub heartbeat: Heartbeat,
    /// Whether this process claims executions.
    claiming: AtomicBool,
    last_checked: LastChecked,
    last_measured: LastMeasured,
    refusals: Refusals,
    /// Accounts that were removed while running.
    removed: RwLock<HashSet<String>>,
}

impl std::ops::Deref for App {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    /// # Errors
    /// When the index, a directory or the file of tokens cannot be opened, or an account cannot work at all.
    pub async fn open(config: Config, clock: Clock) -> Result<Self> {
        // Another one that is installed already does as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let telemetry = Telemetry::open()?;
        let public_url = config.server.public_url.as_deref();
        let callers = Callers::open(&config.access, public_url, clock.clone())?;
        let storage = Box::pin(Storage::open(&config, clock.clone())).await?;
        let metric_sources = metrics::open(&config, &clock)?;
        let budget = Budget::new(config.limits.memory, config.limits.execution);
        Ok(Self(Arc::new(Parts {
            config,
            clock,
            callers: Arc::new(callers),
            storage,
            metric_sources,
            budget,
            judge_client: OnceCell::new(),
            charts: Cache::builder()
                .max_capacity(CHART_BYTES)
                .weigher(|_, png: &Bytes| u32::try_from(png.len()).unwrap_or(u32::MAX))
                .time_to_live(CHART_FOR)
                .build(),
            replays: Semaphore::new(REPLAYS),
            telemetry,
            places: Arc::new(Semaphore::new(0)),
            running: TaskTracker::new(),
            stopping: CancellationToken::new(),
            closing: CancellationToken::new(),
            calibrations: Calibrations::default(),
            heartbeat: Heartbeat::default(),
            claiming: AtomicBool::new(true),
            last_checked: LastChecked::default(),
            last_measured: LastMeasured::default(),
            refusals: Refusals::default(),
            removed: RwLock::default(),
        })))
    }

    /// Whether executions are begun here.
    pub fn takes_work(&self) -> bool {
        self.is_claiming() && !self.stopping.is_cancelled()
    }

    pub fn is_claiming(&self) -> bool {
        self.claiming.load(Ordering::Relaxed)
    }

    /// Whether something new may be started.
    ///
    /// # Errors
    /// `Unavailable` when this process is about to end.
    pub fn check_open(&self) -> Result<()> {
        if self.stopping.is_cancelled() {
            let told = "serin is shutting down; the same call goes through at the next one";
            return Err(Error::Unavailable(told.to_owned()));
        }
        Ok(())
    }

    /// A place for an execution that is about to be accepted, if there is one at once.
    pub fn free_place(&self) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok();
        place.filter(|_| self.is_claiming())
    }

    /// Starts or stops the work of this process; what runs goes on.
    pub fn set_claiming(&self, claiming: bool) {
        self.claiming.store(claiming, Ordering::Relaxed);
        self.storage.events.due.notify_waiters();
    }

    /// The accounts in the order of the configuration, without those removed.
    pub fn accounts(&self) -> Vec<&Account> {
        let removed = self.removed.read().unwrap_or_else(PoisonError::into_inner);
        self.config
            .accounts
            .iter()
            .filter(|account| !removed.contains(&account.name))
            .collect()
    }

    /// Removes an account until the next start; an unknown name is no error.
    pub fn remove_account(&self, name: &str) {
        self.removed
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.to_owned());
    }

    /// The account of that name, else the first of the type.
    ///
    /// # Errors
    /// `Invalid` when there is none.
    pub fn account(&self, name: Option<&str>, wanted: AccountType) -> Result<&Account> {
        let mut accounts = self.accounts().into_iter();
        match name {
            Some(name) => accounts
                .find(|account| account.name == name)
                .ok_or_else(|| Error::Invalid(format!("Unable to resolve account {name}."))),
            None => accounts
                .find(|account| account.serves(wanted))
                .ok_or_else(|| {
                    Error::Invalid(format!(
                        "Unable to resolve account of type {}.",
                        wanted.as_str()
                    ))
                }),
        }
    }

    /// The name of an account that keeps documents.
    ///
    /// # Errors
    /// `Invalid` when there is none, or when the account of that name keeps no documents.
    pub fn store(&self, name: Option<&str>, wanted: AccountType) -> Result<&str> {
        let account = self.account(name, wanted)?;
        match account.store {
            Some(_) => Ok(&account.name),
            None => Err(Error::Invalid(format!(
                "Unable to resolve storage service {}.",
                account.name
            ))),
        }
    }

    /// Whether the account of that name says so.
    pub fn keeps(&self, name: &str, wanted: AccountType) -> bool {
        let accounts = self.accounts();
        let mut named = accounts.iter().filter(|account| account.name == name);
        named.any(|account| account.supported_types.contains(&wanted))
    }

    /// The names of all accounts that keep documents, without those removed.
    pub fn stores(&self) -> Vec<String> {
        let accounts = self.accounts().into_iter();
        let stores = accounts.filter(|account| account.serves(AccountType::ObjectStore));
        stores.map(|account| account.name.clone()).collect()
    }

    /// The account of that name, or the first of that kind, and its source.
    ///
    /// # Errors
    /// `Invalid` when there is none, or when that of the name answers other queries.
    pub fn metric_source_of(
        &self,
        name: Option<&str>,
        kind: &str,
    ) -> Result<(&str, &Arc<dyn MetricSource>)> {
        if name.is_some() {
            let account = &self.account(name, AccountType::MetricsStore)?.name;
            let source = self.metric_source(name)?;
            let own = source.language().kind();
            if own != kind {
                return Err(Error::Invalid(format!(
                    "The account '{account}' answers queries of type '{own}', not of type '{kind}'."
                )));
            }
            return Ok((account, source));
        }
        let accounts = self.accounts().into_iter();
        let mut sources = accounts.filter(|account| account.serves(AccountType::MetricsStore));
        let source = sources.find_map(|account| {
            let source = self.metric_sources.get(&account.name)?;
            (source.language().kind() == kind).then_some((account.name.as_str(), source))
        });
        source.ok_or_else(|| {
            Error::Invalid(format!("There is no account for queries of type '{kind}'."))
        })
    }

    /// The metric source of an account.
    ///
    /// # Errors
    /// `Invalid` when the account is not there, or is no metric source.
    pub fn metric_source(&self, name: Option<&str>) -> Result<&Arc<dyn MetricSource>> {
        let account = self.account(name, AccountType::MetricsStore)?;
        self.metric_sources.get(&account.name).ok_or_else(|| {
            Error::Invalid(format!(
                "Unable to resolve metrics service {}.",
                account.name
            ))
        })
    }
}
