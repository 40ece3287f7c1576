//! Whether the disks that serin writes to have room for more than what runs already.

use std::path::{Path, PathBuf};
use std::time::Duration;

use indexmap::IndexMap;
use moka::future::Cache;
use rustix::fs::statvfs;

use super::Storage;
use crate::config::{Account, Spare, Store};
use crate::error::{Error, Result};

/// How long a disk may take to tell its room.
const MEASURED_IN: Duration = Duration::from_secs(1);

/// How long what it told is taken for true: a look at a disk takes longer than what asks for one.
const MEASURED_FOR: Duration = Duration::from_secs(1);

/// Folders on disks of this machine.
pub struct Disks {
    min_free: Spare,
    /// Where the embedded database lies.
    database: Option<PathBuf>,
    /// Of accounts.
    accounts: IndexMap<String, PathBuf>,
    measured: Cache<PathBuf, Measured>,
}

/// Bytes of a disk.
#[derive(Clone, Copy)]
struct Measured {
    free: u64,
    all: u64,
}

impl Measured {
    async fn of(folder: PathBuf) -> Option<Self> {
        let measured = tokio::task::spawn_blocking(move || statvfs(&folder));
        // A disk of another machine may hang.
        let measured = tokio::time::timeout(MEASURED_IN, measured).await;
        let disk = measured.ok()?.ok()?.ok()?;
        Some(Self {
            free: disk.f_bavail.saturating_mul(disk.f_frsize),
            all: disk.f_blocks.saturating_mul(disk.f_frsize),
        })
    }
}

/// Bytes that are left on the disk of a folder, or where it would be made; and below how many nothing new is begun.
pub async fn left(folder: &Path, min_free: Spare) -> Option<(u64, u64)> {
    let there = folder.ancestors().find(|it| it.is_dir());
    let there = there.unwrap_or_else(|| Path::new(".")).to_owned();
    let Measured { free, all } = Measured::of(there).await?;
    Some((free, min_free.of(all)))
}

impl Disks {
    pub fn of(accounts: &[Account], database: Option<&Path>, min_free: Spare) -> Self {
        let folders = accounts.iter().filter_map(|account| {
            let folder = account.store.as_ref().and_then(Store::folder)?;
            Some((account.name.clone(), folder.to_owned()))
        });
        Self {
            min_free,
            database: database.map(Path::to_owned),
            accounts: folders.collect(),
            measured: Cache::builder().time_to_live(MEASURED_FOR).build(),
        }
    }
}

impl Storage {
    /// Whether something new may be put into an account, and its row beside it.
    ///
    /// # Errors
    /// `Unavailable` when a disk is nearly full: what runs needs what is left.
    pub async fn check_room(&self, account: &str) -> Result<()> {
        self.check_database_room().await?;
        match self.disks.accounts.get(account) {
            Some(folder) => self.check_disk(&of_account(account), folder).await,
            None => Ok(()),
        }
    }

    /// By account, and of the database; none that is not on a disk of this machine.
    pub async fn check_disks(&self) -> Vec<(String, Result<()>)> {
        let mut checked = Vec::new();
        if self.disks.database.is_some() {
            checked.push(("database".to_owned(), self.check_database_room().await));
        }
        for (account, folder) in &self.disks.accounts {
            let disk = self.check_disk(&of_account(account), folder).await;
            checked.push((account.clone(), disk));
        }
        checked
    }

    async fn check_database_room(&self) -> Result<()> {
        match &self.disks.database {
            Some(folder) => self.check_disk("the database", folder).await,
            None => Ok(()),
        }
    }

    /// What cannot be measured is not refused: the store tells what is wrong with it.
    async fn check_disk(&self, of: &str, folder: &Path) -> Result<()> {
        let measured = Measured::of(folder.to_owned());
        let measured = self
            .disks
            .measured
            .optionally_get_with_by_ref(folder, measured);
        let Some(Measured { free, all }) = measured.await else {
            return Ok(());
        };
        let least = self.disks.min_free.of(all);
        if least <= free {
            return Ok(());
        }
        Err(Error::Unavailable(format!(
            "the disk of {of} is nearly full: {} are free, and {} are kept for what runs already \
             (storage.minFree); the same call goes through once there is room",
            shown(free),
            shown(least)
        )))
    }
}

fn of_account(name: &str) -> String {
    format!("the account '{name}'")
}

fn shown(bytes: u64) -> String {
    match bytes >> 20 {
        0 => format!("{} KiB", bytes >> 10),
        mebibytes => format!("{mebibytes} MiB"),
    }
}
