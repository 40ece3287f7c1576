//! What executions call outside of serin: written with what happened, claimed, settled, told.

use std::time::Duration;

use uuid::Uuid;

use super::Storage;
use super::index::{ActionRow, Attempted, DueAction};
use super::outbox::millis;
use crate::canary::{ActionOutcome, ActionRecord, Id, iso_from_millis};
use crate::error::Result;

impl Storage {
    /// What is to be called next, `most` at most; it is this process's until the lease ends.
    pub async fn claim_actions(&self, lease: Duration, most: usize) -> Result<Vec<DueAction>> {
        let now = self.clock.now_millis();
        self.index
            .claim_actions(&self.owner, now, lease, most)
            .await
    }

    /// Notes what became of an action.
    pub async fn settle_action(
        &self,
        action: &DueAction,
        outcome: ActionOutcome,
        attempted: &Attempted,
    ) -> Result<()> {
        let now = self.clock.now_millis();
        self.index
            .settle_action(action, outcome, attempted, now)
            .await
    }

    /// Gives an action back, to be tried after `wait`.
    pub async fn put_off_action(
        &self,
        action: &DueAction,
        attempted: &Attempted,
        wait: Duration,
    ) -> Result<()> {
        let now = self.clock.now_millis();
        let due_at = now.saturating_add(millis(wait));
        self.index
            .put_off_action(action, attempted, due_at, now)
            .await
    }

    /// What an execution has called and will call, in its order.
    pub async fn actions(&self, id: &Id) -> Result<Vec<ActionRecord>> {
        let rows = self.index.actions(id.as_str()).await?;
        let record = |row| record(id.as_str(), row);
        Ok(rows.into_iter().map(record).collect())
    }
}

/// By which a receiver knows an action again: the same for every replica and every attempt.
pub fn action_id(execution_id: &str, place: i64) -> String {
    let name = format!("{execution_id}/action/{place}");
    Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).to_string()
}

fn record(execution_id: &str, row: ActionRow) -> ActionRecord {
    ActionRecord {
        event: row.event,
        number: row.number,
        outcome: row.outcome,
        call: row.call,
        attempts: row.attempts,
        status: row.status,
        message: row.message,
        idempotency_key: action_id(execution_id, row.place),
        created_time_iso: iso_from_millis(row.created_at),
        start_time_iso: row.begun_at.map(iso_from_millis),
        end_time_iso: row.ended_at.map(iso_from_millis),
    }
}
