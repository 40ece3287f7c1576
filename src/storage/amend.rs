//! What an execution says of itself after its end, because people did something about it.
//!
//! It is decided in the row, where only one of many who come at once can write; then it is archived
//! anew, by whoever wrote it, or by whoever finds that it was not.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::events::Change;
use super::executions::{from_text, to_text, wrong_kind};
use super::index::{Claim, ExecutionRow};
use super::work::ARCHIVE_LEASE;
use super::{Storage, not_found};
use crate::canary::{Amendment, Execution, Id};
use crate::error::{Error, Result};

/// How long one waits for an archive that is being written.
const PATIENCE: u32 = 30;
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl Storage {
    /// Notes something in the document of an execution that has ended, wherever among the accounts it
    /// is. `amendment` is asked with the document and its analysis; `None` is nothing to note.
    ///
    /// # Errors
    /// `NotFound` when there is none, `Invalid` when it is of another kind or has not ended,
    /// `Unavailable` while its archive cannot be written, and those of `amendment`.
    pub async fn amend<R: Execution>(
        &self,
        accounts: &[String],
        id: &Id,
        amendment: impl Fn(&R, Option<&str>) -> Result<Option<Amendment>>,
    ) -> Result<()> {
        for _ in 0..PATIENCE {
            let Some(row) = self.index.execution(id.as_str()).await? else {
                self.bring_back::<R>(accounts, id).await?;
                continue;
            };
            if row.kind != R::KIND {
                return Err(wrong_kind(R::KIND, row.kind, id));
            }
            if !row.complete {
                return Err(Error::Invalid(format!("'{id}' has not ended yet")));
            }
            let document: R = from_text(&row.document)?;
            let Some(amendment) = amendment(&document, row.parent.as_deref())? else {
                return Ok(());
            };
            // Who archives it has read it as it is now, and must not be the last to write.
            if row.archived && self.note::<R>(&row, &amendment).await? {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(Error::Unavailable(format!(
            "the archive of '{id}' is being written, or cannot be: nothing was noted, try again later"
        )))
    }

    async fn note<R: Execution>(&self, row: &ExecutionRow, amendment: &Amendment) -> Result<bool> {
        let text = amendment
            .noted_in(&row.document)
            .map_err(|cause| Error::Internal(format!("an execution cannot be amended: {cause}")))?;
        let archive_at = self.clock.now_millis() + ARCHIVE_LEASE;
        let noted = self.index.amend(row, &text, archive_at);
        if !noted.await? {
            return Ok(false);
        }
        self.index.durable().await?;
        self.forget_everywhere(&row.id).await;
        self.events.tell(Change::Amended, &row.id);
        let claim = Claim {
            kind: row.kind,
            id: row.id.clone(),
            attempt: row.attempt + 1,
            failures: 0,
            storage_account: row.storage_account.clone(),
            complete: true,
            parent: row.parent.clone(),
            document: text,
        };
        let document: R = from_text(&claim.document)?;
        let body = Bytes::from(claim.document.clone());
        if let Err(error) = self.write_archive(&claim, &document, body).await {
            tracing::warn!(execution.id = claim.id, %error, "what was amended is archived later");
        }
        Ok(true)
    }

    /// What was archived long ago has no row any more; here it gets one for as long as any other.
    async fn bring_back<R: Execution>(&self, accounts: &[String], id: &Id) -> Result<()> {
        let known = self.index.archive_accounts(R::KIND, id.as_str()).await?;
        for account in known.iter().chain(accounts) {
            let Some((key, body)) = self.newest(account, R::KIND.group(), id).await? else {
                continue;
            };
            let unreadable =
                |cause| Error::storage(format!("the document '{key}' cannot be read"), cause);
            let archive: R = serde_json::from_slice(&body).map_err(unreadable)?;
            let members: Map<String, Value> = serde_json::from_slice(&body).map_err(unreadable)?;
            let row = ExecutionRow {
                kind: R::KIND,
                id: id.to_string(),
                application: archive.application().to_owned(),
                canary_config_id: archive.canary_config_id().to_owned(),
                storage_account: account.clone(),
                status: archive.status(),
                complete: true,
                archived: true,
                build_time: archive.build_time(),
                attempt: 0,
                parent: None,
                document: with_members(&archive, members)?,
            };
            return self
                .index
                .insert_finished(&row, self.clock.now_millis())
                .await;
        }
        Err(not_found(id.as_str()))
    }
}

/// A document as serin tells it, with what of it only a newer version knows.
fn with_members<R: Execution>(document: &R, members: Map<String, Value>) -> Result<String> {
    let own = to_text(document)?;
    let mut told: Map<String, Value> = serde_json::from_str(&own)
        .map_err(|cause| Error::Internal(format!("cannot read a document: {cause}")))?;
    for (name, member) in members {
        if !member.is_null() && !told.contains_key(&name) {
            told.insert(name, member);
        }
    }
    Ok(Value::Object(told).to_string())
}
