//! Executions: accepted once, ended once, archived in the end.

use std::time::Duration;

use axum::body::Bytes;
use serde_json::Value;

use super::index::{Claim, ExecutionRow, Kind};
use super::{Storage, group, not_found};
use crate::canary::{CanaryExecutionStatusResponse, ExecutionStatus, Id, iso_from_millis};
use crate::error::{Error, Result};

/// How long a worker has to write an archive before another one tries.
const ARCHIVE_LEASE: i64 = 60_000;

/// How long an archive waits after its store did not take it.
const ARCHIVE_RETRY: i64 = 15_000;

/// An execution to accept; accounts and id stand in the document.
#[derive(Clone, Debug)]
pub struct NewExecution {
    pub id: Id,
    pub document: CanaryExecutionStatusResponse,
}

/// A comparison that has ended.
#[derive(Clone, Debug)]
pub struct NewComparison {
    pub id: Id,
    pub canary_config_id: Id,
    pub storage_account: String,
    pub status: ExecutionStatus,
    pub build_time: i64,
    /// What is answered: `comparisonResult` or `exceptions`.
    pub document: Value,
}

/// Whether an execution was forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    Gone,
    StillRunning,
}

/// Whether an end was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Here,
    /// The claim had been lost: the execution ended, or goes on, elsewhere.
    Elsewhere,
}

impl Storage {
    /// Accepts an execution: durable when this returns.
    pub async fn begin(&self, execution: &NewExecution) -> Result<()> {
        let document = &execution.document;
        let row = ExecutionRow {
            id: execution.id.to_string(),
            kind: Kind::Canary,
            application: document.application.clone().unwrap_or_default(),
            canary_config_id: document.canary_config_id.clone().unwrap_or_default(),
            storage_account: document.storage_account_name.clone().unwrap_or_default(),
            status: document.status,
            complete: false,
            archived: false,
            build_time: document.build_time_millis.unwrap_or(0),
            attempt: 0,
            document: to_text(document)?,
        };
        self.index.insert_execution(&row).await
    }

    /// The next execution that is due; it is the owner's while the lease is renewed.
    pub async fn claim(&self, owner: &str, lease: Duration) -> Result<Option<Claim>> {
        self.index
            .claim(owner, self.clock.now_millis(), lease)
            .await
    }

    /// Whether the claim still holds; if so, for another lease.
    pub async fn renew(&self, claim: &Claim, lease: Duration) -> Result<bool> {
        self.index
            .renew(claim, self.clock.now_millis(), lease)
            .await
    }

    /// Shows how far an execution is; without effect when the claim is lost.
    pub async fn progress(
        &self,
        claim: &Claim,
        document: &CanaryExecutionStatusResponse,
    ) -> Result<()> {
        self.index
            .progress(claim, document.status, &to_text(document)?)
            .await
            .map(|_| ())
    }

    /// Ends an execution, then archives it. A store that does not take the archive is asked again
    /// later; the end stands all the same.
    pub async fn finish(
        &self,
        claim: &Claim,
        document: &CanaryExecutionStatusResponse,
    ) -> Result<Ended> {
        let now = self.clock.now_millis();
        let text = to_text(document)?;
        let archive_at = now + ARCHIVE_LEASE;
        let written = self
            .index
            .finish(claim, document.status, &text, now, archive_at)
            .await?;
        if !written {
            return Ok(Ended::Elsewhere);
        }
        self.write_archive(claim, document).await?;
        Ok(Ended::Here)
    }

    /// Archives an execution that has ended; later, when its store does not take it.
    pub async fn write_archive(
        &self,
        claim: &Claim,
        document: &CanaryExecutionStatusResponse,
    ) -> Result<()> {
        if self.archive {
            let id = Id::parse(&claim.id)?;
            if let Err(error) = self
                .put_archive(&claim.storage_account, &id, document)
                .await
            {
                tracing::warn!(execution.id = claim.id, %error, "cannot archive an execution; trying again");
                let later = self.clock.now_millis() + ARCHIVE_RETRY;
                return self.index.postpone(claim, later).await;
            }
        }
        self.index.archived(&claim.id).await
    }

    /// Ends an execution as canceled, whoever works on it.
    ///
    /// # Errors
    /// `NotFound` when there is no such execution among those that have not been archived for long.
    pub async fn cancel(&self, id: &Id) -> Result<()> {
        // A step forward of its worker may come between; it cannot do so for ever.
        for _ in 0..20 {
            let row = self.pipeline(id).await?;
            if row.complete {
                return Ok(());
            }
            let now = self.clock.now_millis();
            let mut document = from_text(&row.document)?;
            end_canceled(&mut document, now);
            let text = to_text(&document)?;
            if self
                .index
                .end(&row, ExecutionStatus::Canceled, &text, now)
                .await?
            {
                return Ok(());
            }
        }
        Err(Error::Unavailable(format!(
            "the execution '{id}' changes too fast to be canceled"
        )))
    }

    /// The document of an execution as it is answered: from its row, else from the archive.
    ///
    /// # Errors
    /// `NotFound` when there is neither.
    pub async fn execution(&self, account: &str, id: &Id) -> Result<Bytes> {
        let cached = (account.to_owned(), id.to_string());
        if let Some(body) = self.finished.get(&cached).await {
            return Ok(body);
        }
        if let Some(row) = self.index.execution(id.as_str()).await? {
            if row.kind != Kind::Canary {
                return Err(without_stage("mixMetrics", id));
            }
            let body = Bytes::from(row.document);
            if row.complete {
                self.finished.insert(cached, body.clone()).await;
            }
            return Ok(body);
        }
        let body = self.archived_execution(account, id).await?;
        self.finished.insert(cached, body.clone()).await;
        Ok(body)
    }

    async fn archived_execution(&self, account: &str, id: &Id) -> Result<Bytes> {
        let (key, body) = self
            .newest(account, group::CANARY_ARCHIVE, id)
            .await?
            .ok_or_else(|| not_found(id.as_str()))?;
        // What Kayenta wrote is told as serin tells it.
        let document: CanaryExecutionStatusResponse =
            serde_json::from_slice(&body).map_err(|cause| {
                Error::storage(format!("the document '{key}' cannot be read"), cause)
            })?;
        super::to_bytes(&document)
    }

    /// Keeps the end of a comparison: it is found by its id until its row is forgotten.
    pub async fn keep_comparison(&self, comparison: &NewComparison) -> Result<()> {
        let now = self.clock.now_millis();
        let row = ExecutionRow {
            id: comparison.id.to_string(),
            kind: Kind::Comparison,
            application: "ad-hoc".to_owned(),
            canary_config_id: comparison.canary_config_id.to_string(),
            storage_account: comparison.storage_account.clone(),
            status: comparison.status,
            complete: true,
            archived: true,
            build_time: comparison.build_time,
            attempt: 0,
            document: comparison.document.to_string(),
        };
        self.index.insert_finished(&row, now).await
    }

    /// What a comparison found.
    ///
    /// # Errors
    /// `NotFound` when there is no such execution, `Invalid` when it is no comparison.
    pub async fn comparison(&self, id: &Id) -> Result<Bytes> {
        let row = self.pipeline(id).await?;
        if row.kind != Kind::Comparison {
            return Err(without_stage("compareJudgeResults", id));
        }
        Ok(Bytes::from(row.document))
    }

    /// The ids of all executions that have a row, newest first.
    pub async fn pipelines(&self) -> Result<Vec<String>> {
        self.index.execution_ids().await
    }

    /// An execution as its row has it.
    ///
    /// # Errors
    /// `NotFound` when there is no such execution among those that have not been archived for long.
    pub async fn pipeline(&self, id: &Id) -> Result<ExecutionRow> {
        let row = self.index.execution(id.as_str()).await?;
        row.ok_or_else(|| Error::NotFound(format!("No pipeline found for {id}")))
    }

    /// Forgets an execution that has ended; its archive stays, and is written first if need be.
    ///
    /// # Errors
    /// `NotFound` when there is no such execution, `Storage` when its archive cannot be written.
    pub async fn delete_pipeline(&self, id: &Id) -> Result<Deleted> {
        let row = self.pipeline(id).await?;
        if !row.complete {
            return Ok(Deleted::StillRunning);
        }
        if self.archive && !row.archived {
            let document = from_text(&row.document)?;
            self.put_archive(&row.storage_account, id, &document)
                .await?;
        }
        self.index.remove_execution(id.as_str()).await?;
        // It may have been asked for with any account.
        for account in self.accounts.keys() {
            self.forget(account, id.as_str()).await;
        }
        Ok(Deleted::Gone)
    }

    /// Documents of an application's executions, newest first; one that cannot be read is left out.
    pub async fn executions(
        &self,
        account: &str,
        application: &str,
        statuses: &[ExecutionStatus],
        limit: usize,
        page: usize,
    ) -> Result<Vec<Bytes>> {
        self.reconcile_once(account).await?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let offset = limit.saturating_mul(i64::try_from(page - 1).unwrap_or(i64::MAX));
        let listed = self
            .index
            .list_executions(account, application, statuses, limit, offset)
            .await?;
        let read = listed.into_iter().map(|listed| async move {
            if let Some(document) = listed.document {
                Some(Bytes::from(document))
            } else {
                let id = Id::parse(&listed.id).ok()?;
                self.execution(account, &id)
                    .await
                    .inspect_err(|error| {
                        tracing::warn!(execution.id = %id, %error, "left out of a list");
                    })
                    .ok()
            }
        });
        Ok(futures::future::join_all(read)
            .await
            .into_iter()
            .flatten()
            .collect())
    }

    /// Forgets rows whose archive has been there for the time of retention.
    pub(super) async fn sweep(&self) -> Result<u64> {
        let retention = i64::try_from(self.retention.as_millis()).unwrap_or(i64::MAX);
        let until = self.clock.now_millis().saturating_sub(retention);
        self.index.forget_archived(until).await
    }
}

/// Kayenta's words for an execution of another kind.
fn without_stage(stage: &str, id: &Id) -> Error {
    Error::Invalid(format!(
        "Unable to find StageExecution '{stage}' in pipeline ID '{id}'"
    ))
}

fn end_canceled(document: &mut CanaryExecutionStatusResponse, now: i64) {
    document.status = ExecutionStatus::Canceled;
    document.complete = true;
    for state in document.stage_status.values_mut() {
        if state == "running" {
            "canceled".clone_into(state);
        }
    }
    if document.start_time_millis.is_some() {
        document.end_time_millis = Some(now);
        document.end_time_iso = Some(iso_from_millis(now));
    }
}

fn to_text(document: &CanaryExecutionStatusResponse) -> Result<String> {
    serde_json::to_string(document)
        .map_err(|cause| Error::Internal(format!("cannot write a document: {cause}")))
}

fn from_text(text: &str) -> Result<CanaryExecutionStatusResponse> {
    serde_json::from_str(text)
        .map_err(|cause| Error::Internal(format!("cannot read an execution: {cause}")))
}
