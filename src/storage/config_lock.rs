//! A config is written, deleted or taken from its store by one task at a time, in all replicas.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use tokio::sync::MutexGuard;
use tokio::time::Instant;
use uuid::Uuid;

use super::index::Index;
use super::{CONFIG_LOCKS, Storage};
use crate::error::{Error, Result};

/// After this long the lock of a replica that died is another's.
const LEASE: Duration = Duration::from_secs(90);
/// How long a request waits for others.
const PATIENCE: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Given back when dropped.
pub struct ConfigLock<'a> {
    _here: MutexGuard<'a, ()>,
    /// In the database, where other processes see it.
    _everywhere: Option<Held>,
}

struct Held {
    index: Index,
    account: String,
    id: String,
    owner: String,
}

impl Storage {
    pub(super) async fn lock_config(&self, account: &str, id: &str) -> Result<ConfigLock<'_>> {
        let mut hasher = DefaultHasher::new();
        (account, id).hash(&mut hasher);
        let at = usize::try_from(hasher.finish() % CONFIG_LOCKS as u64).unwrap_or(0);
        let here = self.config_locks[at].lock().await;
        let everywhere = if self.index.is_shared() {
            Some(self.lock_everywhere(account, id).await?)
        } else {
            None
        };
        Ok(ConfigLock {
            _here: here,
            _everywhere: everywhere,
        })
    }

    async fn lock_everywhere(&self, account: &str, id: &str) -> Result<Held> {
        let held = Held {
            index: self.index.clone(),
            account: account.to_owned(),
            id: id.to_owned(),
            owner: Uuid::new_v4().to_string(),
        };
        let give_up = Instant::now() + PATIENCE;
        loop {
            let now = self.clock.now_millis();
            let locked = self.index.lock_config(account, id, &held.owner, now, LEASE);
            if locked.await? {
                return Ok(held);
            }
            if give_up < Instant::now() {
                return Err(Error::Unavailable(format!(
                    "the canary config '{id}' is being written by another replica"
                )));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let (index, account) = (self.index.clone(), std::mem::take(&mut self.account));
        let (id, owner) = (
            std::mem::take(&mut self.id),
            std::mem::take(&mut self.owner),
        );
        tokio::spawn(async move {
            if let Err(error) = index.unlock_config(&account, &id, &owner).await {
                tracing::warn!(%error, "a canary config stays locked for a while");
            }
        });
    }
}
