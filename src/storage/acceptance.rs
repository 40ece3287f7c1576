//! Accepting an execution: once, within what may wait, and durably.

use std::time::Duration;

use super::Storage;
use super::events::Change;
use super::executions::to_text;
use super::index::{Claim, ExecutionRow, KeyRow, Lease};
use super::outbox::millis;
use crate::audit::Entry;
use crate::canary::{Execution, Id};
use crate::error::{Error, Result};

/// How long a key stands for what it started.
const KEY_LIFE: i64 = 24 * 60 * 60 * 1000;

/// What a client sends with a request, so that sending it again starts nothing new.
#[derive(Clone, Debug)]
pub struct IdempotencyKey {
    /// As it is kept.
    pub key: String,
    /// As the client wrote it.
    pub told: String,
    /// Tells whether the request is the same.
    pub fingerprint: String,
}

impl IdempotencyKey {
    fn check(&self, before: &KeyRow) -> Result<Id> {
        if before.fingerprint == self.fingerprint {
            return Id::parse(&before.execution_id);
        }
        Err(Error::Reused(format!(
            "the Idempotency-Key '{}' came with another request before; a new request wants a new key",
            self.told
        )))
    }
}

/// How an acceptance ended.
#[derive(Clone, Debug)]
pub enum Begun {
    /// With the right to work on it, if that was asked for.
    Here(Option<Claim>),
    /// The same request had started this one.
    Before(Id),
}

impl Storage {
    /// Accepts an execution, and records it: durable after [`Storage::durable`]. One that is there already stays as
    /// it is. With a lease the caller works on it from here on, and nobody has to claim it.
    ///
    /// # Errors
    /// `Unavailable` when enough wait already, `Reused` when the key came with another request.
    pub async fn begin<R: Execution>(
        &self,
        document: &R,
        key: Option<&IdempotencyKey>,
        lease: Option<Duration>,
        record: Option<Entry>,
    ) -> Result<Begun> {
        let row = accepted(document, None)?;
        self.check_room(&row.storage_account).await?;
        self.admit(R::KIND, row.document.len()).await?;
        let lease = self.lease(lease);
        let record = record.map(|record| self.now(record));
        let record = record.as_ref();
        let is_new = match (key, record) {
            (Some(key), record) => {
                let since = self.keys_since();
                let before = self.index.insert_execution_with_key(
                    &row,
                    lease,
                    &key.key,
                    &key.fingerprint,
                    since,
                    record,
                );
                if let Some(before) = Box::pin(before).await? {
                    return key.check(&before).map(Begun::Before);
                }
                true
            }
            (None, Some(record)) => {
                Box::pin(self.index.insert_recorded(&row, lease, record)).await?
            }
            (None, None) => self.index.insert_execution(&row, lease).await?,
        };
        Ok(Begun::Here(self.begun(row, lease, is_new)))
    }

    /// The execution that a key stands for already.
    ///
    /// # Errors
    /// `Reused` when the key came with another request.
    pub async fn started_with(&self, key: &IdempotencyKey) -> Result<Option<Id>> {
        let before = self.index.key(&key.key, self.keys_since()).await?;
        before.map(|before| key.check(&before)).transpose()
    }

    pub(super) fn keys_since(&self) -> i64 {
        self.clock.now_millis() - KEY_LIFE
    }

    /// Accepts a canary for which an analysis waits; the analysis was admitted with it.
    pub async fn begin_for<R: Execution>(
        &self,
        document: &R,
        parent: &str,
        lease: Option<Duration>,
    ) -> Result<Option<Claim>> {
        let row = accepted(document, Some(parent))?;
        let lease = self.lease(lease);
        let is_new = self.index.insert_execution(&row, lease).await?;
        Ok(self.begun(row, lease, is_new))
    }

    /// Returns once all that was accepted before is on the disk. Work has begun meanwhile; the
    /// answer waits for it.
    pub async fn durable(&self) -> Result<()> {
        self.index.durable().await
    }

    fn lease(&self, lasts: Option<Duration>) -> Option<Lease<'_>> {
        lasts.map(|lasts| Lease {
            owner: &self.owner,
            until: self.clock.now_millis().saturating_add(millis(lasts)),
        })
    }

    /// The claim of who accepted it, else somebody has to be told that it can be claimed.
    fn begun(&self, row: ExecutionRow, lease: Option<Lease<'_>>, is_new: bool) -> Option<Claim> {
        if lease.is_none() || !is_new {
            self.events.tell(Change::Due, &row.id);
            return None;
        }
        Some(Claim {
            kind: row.kind,
            id: row.id,
            attempt: 1,
            failures: 0,
            storage_account: row.storage_account,
            complete: false,
            parent: row.parent,
            document: row.document,
        })
    }
}

/// The row of an execution that is about to be accepted.
pub(super) fn accepted<R: Execution>(document: &R, parent: Option<&str>) -> Result<ExecutionRow> {
    Ok(ExecutionRow {
        kind: R::KIND,
        id: document.id().to_owned(),
        application: document.application().to_owned(),
        canary_config_id: document.canary_config_id().to_owned(),
        storage_account: document.storage_account().to_owned(),
        status: document.status(),
        complete: false,
        archived: false,
        build_time: document.build_time(),
        attempt: 0,
        parent: parent.map(str::to_owned),
        document: to_text(document)?,
    })
}
