//! Accepting an execution: once, within what may wait, and durably.

use super::Storage;
use super::events::Change;
use super::executions::to_text;
use super::index::{ExecutionRow, KeyRow};
use crate::canary::{Execution, Id};
use crate::error::{Error, Result};

/// How long a key stands for what it started.
const KEY_LIFE: i64 = 24 * 60 * 60 * 1000;

/// What a client sends with a request, so that sending it again starts nothing new.
#[derive(Clone, Debug)]
pub struct IdempotencyKey {
    pub key: String,
    /// Tells whether the request is the same.
    pub fingerprint: String,
}

impl IdempotencyKey {
    fn check(&self, before: &KeyRow) -> Result<Id> {
        if before.fingerprint == self.fingerprint {
            return Id::parse(&before.execution_id);
        }
        Err(Error::Reused(format!(
            "the Idempotency-Key '{}' came with another request before, which started '{}'; \
             a new request wants a new key",
            self.key, before.execution_id
        )))
    }
}

/// How an acceptance ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    Here,
    /// The same request had started this one.
    Before(Id),
}

impl Storage {
    /// Accepts an execution: durable when this returns. One that is there already stays as it is.
    ///
    /// # Errors
    /// `Unavailable` when enough wait already, `Reused` when the key came with another request.
    pub async fn begin<R: Execution>(
        &self,
        document: &R,
        key: Option<&IdempotencyKey>,
    ) -> Result<Begun> {
        let row = accepted(document, None)?;
        self.admit(R::KIND, row.document.len()).await?;
        match key {
            Some(key) => {
                let since = self.keys_since();
                let before = self
                    .index
                    .insert_execution_with_key(&row, &key.key, &key.fingerprint, since)
                    .await?;
                if let Some(before) = before {
                    return key.check(&before).map(Begun::Before);
                }
            }
            None => self.index.insert_execution(&row).await?,
        }
        self.accept(&row.id).await?;
        Ok(Begun::Here)
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
    pub async fn begin_for<R: Execution>(&self, document: &R, parent: &str) -> Result<()> {
        let row = accepted(document, Some(parent))?;
        self.index.insert_execution(&row).await?;
        self.accept(&row.id).await
    }

    /// Work begins while the row is on its way to the disk; the answer waits for it.
    pub(super) async fn accept(&self, id: &str) -> Result<()> {
        self.events.tell(Change::Due, id);
        self.index.durable().await
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
