//! Executions: accepted once, ended once, archived in the end.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::events::Change;
use super::index::{ExecutionRow, Outbox, Wanted};
use super::{Storage, no_pipeline, not_found, to_bytes};
use crate::canary::{
    CanaryAnalysisExecutionStatusResponse, CanaryExecutionStatusResponse, Execution,
    ExecutionStatus, Id, Kind,
};
use crate::error::{Error, Result};

/// A comparison that has ended.
#[derive(Clone, Debug)]
pub struct NewComparison {
    pub id: Id,
    /// Whose series were judged.
    pub application: String,
    pub canary_config_id: Id,
    pub storage_account: String,
    pub status: ExecutionStatus,
    pub build_time: i64,
    /// What is answered: `comparisonResult` or `exceptions`.
    pub document: Value,
}

/// An execution as it is answered.
#[derive(Clone, Debug)]
pub struct Found {
    pub body: Bytes,
    /// It will not change any more.
    pub is_complete: bool,
    pub application: Arc<str>,
}

impl Found {
    pub(super) fn complete(body: Bytes, application: &str) -> Self {
        Self {
            body,
            is_complete: true,
            application: application.into(),
        }
    }
}

/// Whether an execution was forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    Gone,
    StillRunning,
}

impl Storage {
    /// Ends an execution as canceled, whoever works on it, with what is to be sent because of it. The
    /// document as it was before, unless it was complete.
    pub async fn cancel<R: Execution>(
        &self,
        id: &Id,
        outbox: impl Fn(&ExecutionRow, &R) -> Outbox,
    ) -> Result<Option<R>> {
        // A step forward of its worker may come between; it cannot do so for ever.
        for _ in 0..20 {
            let Some(row) = self.index.execution(id.as_str()).await? else {
                return Ok(None);
            };
            if row.complete {
                return Ok(None);
            }
            let now = self.clock.now_millis();
            let mut document: R = from_text(&row.document)?;
            document.end_canceled(now);
            let text = to_text(&document)?;
            let status = ExecutionStatus::Canceled;
            let mut outbox = outbox(&row, &document);
            outbox.record = outbox.record.map(|record| self.now(record));
            let ended = self.index.end(&row, status, &text, now, &outbox);
            if ended.await? {
                self.index.durable().await?;
                self.announce(&outbox);
                self.events.tell(Change::Canceled, id.as_str());
                self.events.tell(Change::Ended, id.as_str());
                self.events.tell(Change::Due, id.as_str());
                return from_text(&row.document).map(Some);
            }
        }
        Err(Error::Unavailable(format!(
            "the execution '{id}' changes too fast to be canceled"
        )))
    }

    /// Whether there is an execution of that kind that has not ended.
    pub async fn is_under_way(&self, kind: Kind, id: &Id) -> Result<bool> {
        self.index.is_under_way(kind, id.as_str()).await
    }

    /// Whether an execution does not go on; one that is not there does not.
    pub async fn has_ended(&self, id: &Id) -> Result<bool> {
        let row = self.index.execution(id.as_str()).await?;
        Ok(row.is_none_or(|row| row.complete))
    }

    /// The document of an execution, while it is in the index.
    pub async fn live<R: Execution>(&self, id: &Id) -> Result<Option<R>> {
        let row = self.index.execution(id.as_str()).await?;
        row.filter(|row| row.kind == R::KIND)
            .map(|row| from_text(&row.document))
            .transpose()
    }

    /// The document of an execution as it is answered: from its row, else from the archive.
    ///
    /// # Errors
    /// `NotFound` when there is neither; `Invalid` when the id is of an execution of another kind.
    pub async fn execution<R: Execution>(&self, account: &str, id: &Id) -> Result<Found> {
        let cached = (R::KIND, account.to_owned(), id.to_string());
        if let Some(found) = self.finished.get(&cached).await {
            return Ok(found);
        }
        if let Some(row) = self.index.execution(id.as_str()).await? {
            if row.kind != R::KIND {
                return Err(wrong_kind(R::KIND, row.kind, id));
            }
            let found = Found {
                body: Bytes::from(row.document),
                is_complete: row.complete,
                application: row.application.into(),
            };
            if row.complete {
                // What has been told as ended must not run again after a loss of power.
                self.index.durable().await?;
                self.finished.insert(cached, found.clone()).await;
            }
            return Ok(found);
        }
        let found = self.archived_execution::<R>(account, id).await?;
        self.finished.insert(cached, found.clone()).await;
        Ok(found)
    }

    /// By id alone: the row, else the archive in whichever of the accounts has it.
    ///
    /// # Errors
    /// `NotFound` when there is none; `Invalid` when the id is of an execution of another kind.
    pub async fn execution_of_any<R: Execution>(
        &self,
        accounts: &[String],
        id: &Id,
    ) -> Result<Found> {
        let known = self.index.archive_accounts(R::KIND, id.as_str()).await?;
        for account in known.iter().chain(accounts) {
            match self.execution::<R>(account, id).await {
                Err(Error::NotFound(_)) => {}
                found => return found,
            }
        }
        Err(no_pipeline(id.as_str()))
    }

    /// Whose an execution is, wherever among the accounts it is; none when there is none.
    pub async fn application_of<R: Execution>(
        &self,
        accounts: &[String],
        id: &Id,
    ) -> Result<Option<String>> {
        let row = self.index.execution(id.as_str()).await?;
        if let Some(row) = row.filter(|row| row.kind == R::KIND) {
            return Ok(Some(row.application));
        }
        for account in accounts {
            match self.archived_execution::<R>(account, id).await {
                Err(Error::NotFound(_)) => {}
                found => return Ok(Some(found?.application.to_string())),
            }
        }
        Ok(None)
    }

    async fn archived_execution<R: Execution>(&self, account: &str, id: &Id) -> Result<Found> {
        let (key, body) = self
            .newest(account, R::KIND.group(), id)
            .await?
            .ok_or_else(|| not_found(id.as_str()))?;
        // What Kayenta wrote is told as serin tells it.
        let document: R = serde_json::from_slice(&body).map_err(|cause| {
            Error::storage(format!("the document '{key}' cannot be read"), cause)
        })?;
        Ok(Found::complete(
            to_bytes(&document)?,
            document.application(),
        ))
    }

    /// Keeps the end of a comparison: it is found by its id until its row is forgotten.
    pub async fn keep_comparison(&self, comparison: &NewComparison) -> Result<()> {
        let now = self.clock.now_millis();
        let row = ExecutionRow {
            id: comparison.id.to_string(),
            kind: Kind::Comparison,
            application: comparison.application.clone(),
            canary_config_id: comparison.canary_config_id.to_string(),
            storage_account: comparison.storage_account.clone(),
            status: comparison.status,
            complete: true,
            archived: true,
            build_time: comparison.build_time,
            attempt: 0,
            parent: None,
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

    /// The ids of all executions that have a row, each with its application, newest first.
    pub async fn pipelines(&self) -> Result<Vec<(String, String)>> {
        self.index.execution_ids().await
    }

    /// An execution as its row has it.
    ///
    /// # Errors
    /// `NotFound` when there is no such execution among those that have not been archived for long.
    pub async fn pipeline(&self, id: &Id) -> Result<ExecutionRow> {
        let row = self.index.execution(id.as_str()).await?;
        row.ok_or_else(|| no_pipeline(id.as_str()))
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
            match row.kind {
                Kind::Canary => {
                    let document: CanaryExecutionStatusResponse = from_text(&row.document)?;
                    self.put_archive(&row.storage_account, id, &document)
                        .await?;
                }
                Kind::Analysis => {
                    let document: CanaryAnalysisExecutionStatusResponse = from_text(&row.document)?;
                    self.put_archive(&row.storage_account, id, &document)
                        .await?;
                }
                Kind::Comparison => {}
            }
        }
        self.index.remove_execution(id.as_str()).await?;
        self.forget_everywhere(id.as_str()).await;
        Ok(Deleted::Gone)
    }

    /// Documents of an application's executions, newest first; one that cannot be read is left out.
    pub async fn executions<R: Execution>(
        &self,
        account: &str,
        application: &str,
        wanted: Wanted<'_>,
        limit: usize,
        page: usize,
    ) -> Result<Vec<Bytes>> {
        self.reconcile_once(account).await?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let offset = limit.saturating_mul(i64::try_from(page - 1).unwrap_or(i64::MAX));
        let listed = self
            .index
            .list_executions(R::KIND, account, application, wanted, limit, offset)
            .await?;
        let read = listed.into_iter().map(|listed| async move {
            if let Some(document) = listed.document {
                return Some(Bytes::from(document));
            }
            let id = Id::parse(&listed.id).ok()?;
            let read = self.execution::<R>(account, &id).await;
            read.inspect_err(
                |error| tracing::warn!(execution.id = %id, %error, "left out of a list"),
            )
            .ok()
            .map(|found| found.body)
        });
        let read = futures::future::join_all(read).await;
        Ok(read.into_iter().flatten().collect())
    }

    /// Forgets rows whose archive has been there for the time of retention.
    pub(super) async fn sweep(&self) -> Result<u64> {
        self.index.forget_keys(self.keys_since()).await?;
        self.forget_flagger_runs().await?;
        self.forget_sent().await?;
        let retention = i64::try_from(self.limits.retention.as_millis()).unwrap_or(i64::MAX);
        let until = self.clock.now_millis().saturating_sub(retention);
        self.index.forget_archived(until).await
    }
}

/// Kayenta's words for an execution of another kind, to the letter.
pub(super) fn wrong_kind(wanted: Kind, got: Kind, id: &Id) -> Error {
    if got == Kind::Comparison {
        return without_stage("mixMetrics", id);
    }
    let (wanted, response, got) = (wanted.pipeline(), wanted.response(), got.pipeline());
    Error::Invalid(format!(
        "Only named pipelines of '{wanted}' can be converted to a {response} object, '{got}' received"
    ))
}

/// Kayenta's words for an execution without that stage.
fn without_stage(stage: &str, id: &Id) -> Error {
    Error::Invalid(format!(
        "Unable to find StageExecution '{stage}' in pipeline ID '{id}'"
    ))
}

pub(super) fn to_text<R: Execution>(document: &R) -> Result<String> {
    serde_json::to_string(document)
        .map_err(|cause| Error::Internal(format!("cannot write a document: {cause}")))
}

pub(super) fn from_text<R: Execution>(text: &str) -> Result<R> {
    serde_json::from_str(text)
        .map_err(|cause| Error::Internal(format!("cannot read an execution: {cause}")))
}
