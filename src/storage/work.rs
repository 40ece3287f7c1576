//! What a worker does with an execution: claims it, brings it forward, ends it, archives it.

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::Storage;
use super::documents::listing;
use super::events::{self, Change, Event};
use super::executions::{Found, to_text};
use super::index::{Claim, Company, NOTIFICATION_BYTES, Outbox};
use crate::canary::{Execution, Id};
use crate::error::Result;

/// How long a worker has to write an archive before another one tries.
pub(super) const ARCHIVE_LEASE: i64 = 60_000;

/// How long an archive waits after its store did not take it.
const ARCHIVE_RETRY: i64 = 15_000;

/// Whether an end was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Here,
    /// The claim had been lost: the execution ended, or goes on, elsewhere.
    Elsewhere,
}

impl Storage {
    /// The next executions that are due, `most` at most; they are this process's while the lease
    /// is renewed.
    pub async fn claim(&self, lease: Duration, most: usize) -> Result<Vec<Claim>> {
        self.index
            .claim(&self.owner, self.clock.now_millis(), lease, most)
            .await
    }

    /// How often the next of those was claimed that were under way when their process died.
    pub async fn next_suspect(&self) -> Result<Option<i64>> {
        self.index.next_suspect(self.clock.now_millis()).await
    }

    /// The next of those.
    pub async fn claim_suspect(&self, lease: Duration, company: Company) -> Result<Option<Claim>> {
        let now = self.clock.now_millis();
        self.index
            .claim_suspect(&self.owner, now, lease, company)
            .await
    }

    /// Notes that others run beside what ran alone.
    pub async fn joined_by_others(&self, id: &str, attempt: i64) -> Result<()> {
        self.index.joined_by_others(id, attempt, &self.owner).await
    }

    /// Whether the claim still holds; if so, for another lease.
    pub async fn renew(&self, claim: &Claim, lease: Duration) -> Result<bool> {
        self.index
            .renew(claim, self.clock.now_millis(), lease)
            .await
    }

    /// Shows how far an execution is, and tells it; without effect when the claim is lost.
    pub async fn progress<R: Execution>(
        &self,
        claim: &Claim,
        document: &R,
        outbox: &Outbox,
    ) -> Result<()> {
        let text = to_text(document)?;
        let written = self.index.progress(claim, document.status(), &text, outbox);
        if written.await? {
            self.announce(outbox);
        }
        Ok(())
    }

    /// Brings an execution forward and gives it back until `due_at`, in epoch milliseconds.
    pub async fn step<R: Execution>(
        &self,
        claim: &Claim,
        document: &R,
        due_at: i64,
        outbox: &Outbox,
    ) -> Result<Ended> {
        let text = to_text(document)?;
        let written = self
            .index
            .step(claim, document.status(), &text, due_at, outbox)
            .await?;
        if !written {
            return Ok(Ended::Elsewhere);
        }
        self.index.durable().await?;
        self.announce(outbox);
        Ok(Ended::Here)
    }

    /// Ends an execution, then archives it. A store that does not take the archive is asked again
    /// later; the end stands all the same.
    pub async fn finish<R: Execution>(
        &self,
        claim: &Claim,
        document: &R,
        outbox: &Outbox,
    ) -> Result<Ended> {
        let now = self.clock.now_millis();
        let text = to_text(document)?;
        let archive_at = now + ARCHIVE_LEASE;
        let written = self
            .index
            .finish(claim, document.status(), &text, now, archive_at, outbox)
            .await?;
        if !written {
            return Ok(Ended::Elsewhere);
        }
        self.index.durable().await?;
        // Who waits for the end reads it at once.
        let cached = (R::KIND, claim.storage_account.clone(), claim.id.clone());
        let body = Bytes::from(text);
        let found = Found::complete(body.clone(), document.application());
        self.finished.insert(cached, found).await;
        self.announce(outbox);
        self.events.tell(Change::Ended, &claim.id);
        self.write_archive(claim, document, body).await?;
        Ok(Ended::Here)
    }

    /// Archives an execution that has ended, `body` being its document; later, when its store does
    /// not take it.
    pub async fn write_archive<R: Execution>(
        &self,
        claim: &Claim,
        document: &R,
        body: Bytes,
    ) -> Result<()> {
        if self.archive {
            let id = Id::parse(&claim.id)?;
            let account = &claim.storage_account;
            let archived = self.put_archive_body(account, &id, document, body).await;
            if let Err(error) = archived {
                tracing::warn!(execution.id = claim.id, %error, "cannot archive an execution; trying again");
                self.index.describe(&claim.id, &listing(document)).await?;
                let later = self.clock.now_millis() + ARCHIVE_RETRY;
                return self.index.postpone(claim, later).await;
            }
        } else {
            self.index.describe(&claim.id, &listing(document)).await?;
        }
        self.lock_archived().push(claim.id.clone());
        Ok(())
    }

    /// Notes in the rows of executions that their archives are written. Many at once: should it not
    /// come to that, their leases end, and they are archived once more.
    pub async fn note_archived(&self) -> Result<()> {
        let ids = std::mem::take(&mut *self.lock_archived());
        self.index.archived(&ids).await
    }

    fn lock_archived(&self) -> MutexGuard<'_, Vec<String>> {
        self.archived.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends an execution whose row cannot be read; the row stays as it is for who can read it.
    pub async fn give_up(&self, claim: &Claim) -> Result<()> {
        self.index.archived(std::slice::from_ref(&claim.id)).await
    }

    /// Gives back what this process has claimed and not ended: others go on with it at once. A call
    /// of an action may be under way: it is left to its lease.
    pub async fn give_back(&self) -> Result<u64> {
        let now = self.clock.now_millis();
        self.index.give_back_notices(&self.owner, now).await?;
        let given = self.index.give_back(&self.owner, now).await?;
        if given > 0 {
            // At once, and not by way of the events: the process ends.
            let due = Event {
                change: Change::Due,
                id: String::new(),
            };
            for text in events::write(&[due], NOTIFICATION_BYTES) {
                self.notify(&text).await;
            }
        }
        Ok(given)
    }

    /// Makes the analysis due that waits for this canary. Whether there is one.
    pub async fn wake_parent(&self, claim: &Claim) -> Result<bool> {
        let woken = self
            .index
            .wake_parent(&claim.id, self.clock.now_millis())
            .await?;
        if woken {
            self.events.tell(Change::Due, "");
        }
        Ok(woken)
    }
}
