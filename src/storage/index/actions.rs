//! What executions call outside of serin, in which order, and what became of it.

use std::time::Duration;

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, Row};

use super::Index;
use super::executions::millis;
use super::outbox::Whose;
use crate::canary::{ActionCall, ActionOutcome, Event};
use crate::error::Result;

/// What is called at one turn of an execution.
#[derive(Clone, Debug)]
pub struct Turn {
    /// What has an earlier place and was not done is not done any more.
    pub place: i64,
    pub at: i64,
    pub actions: Vec<NewAction>,
}

/// An action whose event has come.
#[derive(Clone, Debug)]
pub struct NewAction {
    /// Actions of one execution are taken in the order of their places.
    pub place: i64,
    pub event: Event,
    /// Of an interval.
    pub number: Option<i64>,
    /// Or why it cannot be written.
    pub call: Result<ActionCall, String>,
    /// For how long it is tried.
    pub patience: Duration,
    pub at: i64,
}

/// The right to take an action while the lease lasts.
#[derive(Clone, Debug)]
pub struct DueAction {
    pub execution_id: String,
    pub place: i64,
    pub event: Event,
    /// None, when no version of serin that this one knows wrote it.
    pub call: Option<ActionCall>,
    pub patience: Duration,
    /// When its event came.
    pub created_at: i64,
    /// When it was first claimed to be sent.
    pub begun_at: Option<i64>,
    /// When another may claim it; counted from before it was claimed.
    pub leased_until: i64,
    /// From 1.
    pub attempt: i64,
    /// A later event came; whoever had claimed it before is not heard of.
    pub is_superseded: bool,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempted {
    /// Of an answer.
    pub status: Option<u16>,
    /// What kept it from being done.
    pub message: Option<String>,
}

/// An action as its row has it.
#[derive(Clone, Debug)]
pub struct ActionRow {
    pub place: i64,
    pub event: Event,
    pub number: Option<i64>,
    pub call: Option<ActionCall>,
    pub outcome: ActionOutcome,
    pub attempts: i64,
    pub status: Option<i64>,
    pub message: Option<String>,
    pub created_at: i64,
    pub begun_at: Option<i64>,
    pub ended_at: Option<i64>,
}

impl Index {
    /// What has been due for longest, `most` at most; it is nobody else's until the lease ends. Of
    /// an execution it is the first that is not settled: the next one waits even for an attempt of
    /// which nobody knows whether it is still under way.
    pub async fn claim_actions(
        &self,
        owner: &str,
        now: i64,
        lease: Duration,
        most: usize,
    ) -> Result<Vec<DueAction>> {
        let sql = format!(
            "WITH due AS MATERIALIZED (SELECT execution_id, place FROM action_call AS a \
             WHERE due_at <= $3 AND NOT EXISTS (SELECT 1 FROM action_call b \
             WHERE b.execution_id = a.execution_id AND b.place < a.place \
             AND b.due_at IS NOT NULL) ORDER BY due_at, execution_id LIMIT $4 {}) \
             UPDATE action_call SET lease_owner = $1, due_at = $2, \
             attempt = attempt + 1 - superseded, \
             begun_at = CASE superseded WHEN 0 THEN coalesce(begun_at, $3) ELSE begun_at END \
             WHERE (execution_id, place) IN (SELECT execution_id, place FROM due) \
             RETURNING execution_id, place, event, call, patience, created_at, begun_at, due_at, \
             attempt, superseded",
            self.skip_locked(),
        );
        let claimed = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(owner)
            .bind(now.saturating_add(millis(lease)))
            .bind(now)
            .bind(i64::try_from(most).unwrap_or(i64::MAX));
        let rows = self
            .tell("claim an action", claimed.fetch_all(&self.write))
            .await?;
        Ok(rows.iter().filter_map(due_action).collect())
    }

    /// Notes what became of an action; it is never due again.
    pub async fn settle_action(
        &self,
        action: &DueAction,
        outcome: ActionOutcome,
        attempted: &Attempted,
        now: i64,
    ) -> Result<()> {
        let settled = sqlx::query(
            "UPDATE action_call SET due_at = NULL, lease_owner = NULL, outcome = $4, \
             status = $5, message = $6, ended_at = $7 \
             WHERE execution_id = $1 AND place = $2 AND attempt = $3 AND due_at IS NOT NULL",
        )
        .bind(&action.execution_id)
        .bind(action.place)
        .bind(action.attempt)
        .bind(outcome.as_str())
        .bind(attempted.status.map(i64::from))
        .bind(attempted.message.as_deref().map(storable))
        .bind(now);
        self.tell("note an action", settled.execute(&self.write))
            .await
            .map(|_| ())
    }

    /// Puts an action off until `due_at`, unless a later event has come: then it is superseded.
    pub async fn put_off_action(
        &self,
        action: &DueAction,
        attempted: &Attempted,
        due_at: i64,
        now: i64,
    ) -> Result<()> {
        let put_off = sqlx::query(
            "UPDATE action_call SET lease_owner = NULL, status = $4, message = $5, \
             due_at = CASE superseded WHEN 0 THEN CAST($6 AS bigint) END, \
             ended_at = CASE superseded WHEN 0 THEN NULL ELSE CAST($7 AS bigint) END, \
             outcome = CASE superseded WHEN 0 THEN outcome ELSE 'superseded' END \
             WHERE execution_id = $1 AND place = $2 AND attempt = $3 AND due_at IS NOT NULL",
        )
        .bind(&action.execution_id)
        .bind(action.place)
        .bind(action.attempt)
        .bind(attempted.status.map(i64::from))
        .bind(attempted.message.as_deref().map(storable))
        .bind(due_at)
        .bind(now);
        self.tell("put off an action", put_off.execute(&self.write))
            .await
            .map(|_| ())
    }

    /// The actions of an execution, in their order.
    pub async fn actions(&self, execution_id: &str) -> Result<Vec<ActionRow>> {
        let found = sqlx::query(
            "SELECT place, event, number, call, outcome, attempt, status, message, \
             created_at, begun_at, ended_at FROM action_call WHERE execution_id = $1 \
             ORDER BY place",
        )
        .bind(execution_id);
        let rows = self
            .ask("read actions", found.fetch_all(&self.read))
            .await?;
        Ok(rows.iter().filter_map(action_row).collect())
    }

    /// Forgets actions that were made before `until` and whose execution has neither a row nor an
    /// archive.
    pub async fn forget_actions(&self, until: i64) -> Result<u64> {
        let forgotten = sqlx::query(
            "DELETE FROM action_call AS c WHERE created_at < $1 AND NOT EXISTS (\
             SELECT 1 FROM execution e WHERE e.id = c.execution_id) AND NOT EXISTS (\
             SELECT 1 FROM archive a WHERE a.account = c.storage_account AND a.kind = c.kind \
             AND a.id = c.execution_id)",
        )
        .bind(until);
        self.tell("forget actions", forgotten.execute(&self.write))
            .await
            .map(|forgotten| forgotten.rows_affected())
    }
}

/// What waits is over; what is being sent ends by itself, and the next one waits for it.
pub(super) fn supersede<'q>(whose: Whose<'q>, turn: &Turn) -> Query<'q, Any, AnyArguments> {
    sqlx::query(
        "UPDATE action_call SET superseded = 1, \
         outcome = CASE WHEN lease_owner IS NULL THEN 'superseded' ELSE outcome END, \
         ended_at = CASE WHEN lease_owner IS NULL THEN CAST($3 AS bigint) ELSE ended_at END, \
         due_at = CASE WHEN lease_owner IS NULL THEN NULL ELSE due_at END \
         WHERE execution_id = $1 AND place < $2 AND due_at IS NOT NULL",
    )
    .bind(whose.id)
    .bind(turn.place)
    .bind(turn.at)
}

pub(super) fn insert<'q>(whose: Whose<'q>, action: &'q NewAction) -> Query<'q, Any, AnyArguments> {
    let (call, message, outcome) = match &action.call {
        // A call has texts and JSON only, which can be written.
        Ok(call) => (
            serde_json::to_string(call).ok(),
            None,
            ActionOutcome::Waiting,
        ),
        Err(why) => (None, Some(storable(why)), ActionOutcome::Failed),
    };
    let due_at = call.is_some().then_some(action.at);
    let ended_at = call.is_none().then_some(action.at);
    sqlx::query(
        "INSERT INTO action_call (execution_id, place, kind, storage_account, event, number, \
         call, patience, created_at, ended_at, due_at, attempt, superseded, outcome, message) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, 0, $12, $13) \
         ON CONFLICT (execution_id, place) DO NOTHING",
    )
    .bind(whose.id)
    .bind(action.place)
    .bind(whose.kind.as_str())
    .bind(whose.storage_account)
    .bind(action.event.as_str())
    .bind(action.number)
    .bind(call)
    .bind(millis(action.patience))
    .bind(action.at)
    .bind(ended_at)
    .bind(due_at)
    .bind(outcome.as_str())
    .bind(message)
}

/// PostgreSQL keeps no NUL in a text, and a receiver may answer with one.
fn storable(message: &str) -> String {
    message.replace(char::is_control, " ")
}

/// `None` for an event that only a newer version knows; its lease ends some time.
fn due_action(row: &AnyRow) -> Option<DueAction> {
    let patience: i64 = row.get("patience");
    Some(DueAction {
        execution_id: row.get("execution_id"),
        place: row.get("place"),
        event: Event::parse(row.get("event"))?,
        call: call(row),
        patience: Duration::from_millis(u64::try_from(patience).unwrap_or(0)),
        created_at: row.get("created_at"),
        begun_at: row.get("begun_at"),
        leased_until: row.get("due_at"),
        attempt: row.get("attempt"),
        is_superseded: row.get::<i64, _>("superseded") != 0,
    })
}

fn action_row(row: &AnyRow) -> Option<ActionRow> {
    Some(ActionRow {
        place: row.get("place"),
        event: Event::parse(row.get("event"))?,
        number: row.get("number"),
        call: call(row),
        outcome: ActionOutcome::parse(row.get("outcome"))?,
        attempts: row.get("attempt"),
        status: row.get("status"),
        message: row.get("message"),
        created_at: row.get("created_at"),
        begun_at: row.get("begun_at"),
        ended_at: row.get("ended_at"),
    })
}

fn call(row: &AnyRow) -> Option<ActionCall> {
    let text: Option<String> = row.get("call");
    serde_json::from_str(&text?).ok()
}

#[cfg(test)]
mod tests;
