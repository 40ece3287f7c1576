//! What is sent outside of serin because of what happened, and recorded: all is written, or nothing.

use sqlx::Any;
use sqlx::any::AnyArguments;
use sqlx::query::Query;

use super::{Claim, ExecutionRow, Index, Notice, Turn, actions, notices};
use crate::audit::Entry;
use crate::canary::Kind;
use crate::error::Result;

/// Written in the transaction of what happened.
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    pub notices: Vec<Notice>,
    pub turn: Option<Turn>,
    /// What the record says of it.
    pub record: Option<Entry>,
}

impl Outbox {
    pub const fn is_empty(&self) -> bool {
        self.notices.is_empty() && self.turn.is_none() && self.record.is_none()
    }
}

/// Of which execution it is.
#[derive(Clone, Copy)]
pub struct Whose<'a> {
    pub kind: Kind,
    pub id: &'a str,
    pub storage_account: &'a str,
}

impl<'a> From<&'a Claim> for Whose<'a> {
    fn from(claim: &'a Claim) -> Self {
        Self {
            kind: claim.kind,
            id: &claim.id,
            storage_account: &claim.storage_account,
        }
    }
}

impl<'a> From<&'a ExecutionRow> for Whose<'a> {
    fn from(row: &'a ExecutionRow) -> Self {
        Self {
            kind: row.kind,
            id: &row.id,
            storage_account: &row.storage_account,
        }
    }
}

impl Index {
    /// Writes to an execution, and what is to be sent because of it: both, or none when the update
    /// finds nothing any more. What is there already stays as it is.
    pub(super) async fn write_with(
        &self,
        what: &'static str,
        whose: Whose<'_>,
        update: Query<'_, Any, AnyArguments>,
        outbox: &Outbox,
    ) -> Result<bool> {
        if outbox.is_empty() {
            let written = self.tell(what, update.execute(&self.write)).await?;
            return Ok(written.rows_affected() == 1);
        }
        self.tell(what, async {
            let mut recording = self.recording(outbox.record.as_ref()).await;
            let mut transaction = self.write.begin().await?;
            let written = update.execute(&mut *transaction).await?;
            if written.rows_affected() == 0 {
                return Ok(false);
            }
            for notice in &outbox.notices {
                notices::insert(whose, notice)
                    .execute(&mut *transaction)
                    .await?;
            }
            if let Some(turn) = &outbox.turn {
                actions::supersede(whose, turn)
                    .execute(&mut *transaction)
                    .await?;
                for action in &turn.actions {
                    actions::insert(whose, action)
                        .execute(&mut *transaction)
                        .await?;
                }
            }
            recording.write(&mut transaction).await?;
            transaction.commit().await?;
            recording.committed();
            Ok(true)
        })
        .await
    }
}
