//! What channels outside of serin are to be told, and who tells it; and the charts they show.

use std::time::Duration;

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, Row};

use super::Index;
use super::executions::millis;
use super::outbox::Whose;
use crate::canary::{Event, Kind};
use crate::error::Result;

/// One event of an execution that a channel is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub channel: String,
    pub event: Event,
    pub at: i64,
}

/// The right to tell it while the lease lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueNotice {
    pub kind: Kind,
    pub execution_id: String,
    pub storage_account: String,
    pub channel: String,
    pub event: Event,
    pub created_at: i64,
    /// From 1.
    pub attempt: i64,
}

/// A chart that a link leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChartRow {
    pub kind: Kind,
    pub execution_id: String,
    pub storage_account: String,
    pub list_id: String,
    pub pair_id: String,
    /// Of the metric.
    pub label: String,
}

impl Index {
    /// What has been due for longest, `most` at most; it is nobody else's until the lease ends.
    /// No channel hears of an end before it has heard of the start.
    pub async fn claim_notices(
        &self,
        owner: &str,
        now: i64,
        lease: Duration,
        most: usize,
    ) -> Result<Vec<DueNotice>> {
        let sql = format!(
            "WITH due AS MATERIALIZED (SELECT execution_id, channel, event FROM notice AS n \
             WHERE due_at <= $3 AND (event = '{start}' OR NOT EXISTS (SELECT 1 FROM notice s \
             WHERE s.execution_id = n.execution_id AND s.channel = n.channel \
             AND s.event = '{start}' AND s.due_at IS NOT NULL)) \
             ORDER BY due_at, execution_id LIMIT $4 {}) \
             UPDATE notice SET lease_owner = $1, due_at = $2, attempt = attempt + 1 \
             WHERE (execution_id, channel, event) IN (SELECT execution_id, channel, event FROM due) \
             RETURNING kind, execution_id, storage_account, channel, event, created_at, attempt",
            self.skip_locked(),
            start = Event::Start.as_str(),
        );
        let claimed = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(owner)
            .bind(now.saturating_add(millis(lease)))
            .bind(now)
            .bind(i64::try_from(most).unwrap_or(i64::MAX));
        let rows = self
            .tell("claim a notification", claimed.fetch_all(&self.write))
            .await?;
        Ok(rows.iter().filter_map(due_notice).collect())
    }

    /// Notes that a notice was told, or that it never will be.
    pub async fn settle_notice(&self, notice: &DueNotice) -> Result<()> {
        let settled = sqlx::query(
            "UPDATE notice SET due_at = NULL, lease_owner = NULL \
             WHERE execution_id = $1 AND channel = $2 AND event = $3 AND attempt = $4",
        )
        .bind(&notice.execution_id)
        .bind(&notice.channel)
        .bind(notice.event.as_str())
        .bind(notice.attempt);
        self.tell("note a notification", settled.execute(&self.write))
            .await
            .map(|_| ())
    }

    /// Puts a notice off until `due_at`; the claim is given back.
    pub async fn put_off_notice(&self, notice: &DueNotice, due_at: i64) -> Result<()> {
        let put_off = sqlx::query(
            "UPDATE notice SET due_at = $5, lease_owner = NULL \
             WHERE execution_id = $1 AND channel = $2 AND event = $3 AND attempt = $4",
        )
        .bind(&notice.execution_id)
        .bind(&notice.channel)
        .bind(notice.event.as_str())
        .bind(notice.attempt)
        .bind(due_at);
        self.tell("put off a notification", put_off.execute(&self.write))
            .await
            .map(|_| ())
    }

    /// Makes due what an owner has claimed and not told.
    pub async fn give_back_notices(&self, owner: &str, now: i64) -> Result<u64> {
        let given = sqlx::query(
            "UPDATE notice SET due_at = $1, lease_owner = NULL \
             WHERE lease_owner = $2 AND due_at IS NOT NULL",
        )
        .bind(now)
        .bind(owner);
        self.tell("give notifications back", given.execute(&self.write))
            .await
            .map(|given| given.rows_affected())
    }

    /// The token of a chart: the one it has already, else this one.
    pub async fn keep_chart(&self, chart: &ChartRow, token: &str, now: i64) -> Result<String> {
        let kept = sqlx::query(
            "INSERT INTO chart (execution_id, pair_id, token, kind, storage_account, list_id, \
             label, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
             ON CONFLICT (execution_id, pair_id) DO UPDATE SET label = excluded.label \
             RETURNING token",
        )
        .bind(&chart.execution_id)
        .bind(&chart.pair_id)
        .bind(token)
        .bind(chart.kind.as_str())
        .bind(&chart.storage_account)
        .bind(&chart.list_id)
        .bind(&chart.label)
        .bind(now);
        let row = self.tell("keep a chart", kept.fetch_one(&self.write));
        Ok(row.await?.get(0))
    }

    pub async fn chart(&self, token: &str) -> Result<Option<ChartRow>> {
        let found = sqlx::query(
            "SELECT kind, execution_id, storage_account, list_id, pair_id, label \
             FROM chart WHERE token = $1",
        )
        .bind(token);
        let row = self
            .ask("find a chart", found.fetch_optional(&self.read))
            .await?;
        let chart = |row: AnyRow| {
            Some(ChartRow {
                kind: Kind::parse(row.get("kind"))?,
                execution_id: row.get("execution_id"),
                storage_account: row.get("storage_account"),
                list_id: row.get("list_id"),
                pair_id: row.get("pair_id"),
                label: row.get("label"),
            })
        };
        Ok(row.and_then(chart))
    }

    /// Forgets notices that were made before `until`, of executions that do not run any more; and
    /// charts of that age whose execution has neither a row nor an archive.
    pub async fn forget_notices(&self, until: i64) -> Result<u64> {
        let notices = sqlx::query(
            "DELETE FROM notice AS n WHERE created_at < $1 AND NOT EXISTS (\
             SELECT 1 FROM execution e WHERE e.id = n.execution_id AND e.complete = 0)",
        )
        .bind(until);
        let notices = self.tell("forget notifications", notices.execute(&self.write));
        let notices = notices.await?.rows_affected();
        let charts = sqlx::query(
            "DELETE FROM chart AS c WHERE created_at < $1 AND NOT EXISTS (\
             SELECT 1 FROM execution e WHERE e.id = c.execution_id) AND NOT EXISTS (\
             SELECT 1 FROM archive a WHERE a.account = c.storage_account AND a.kind = c.kind \
             AND a.id = c.execution_id)",
        )
        .bind(until);
        let charts = self.tell("forget charts", charts.execute(&self.write));
        Ok(notices + charts.await?.rows_affected())
    }
}

pub(super) fn insert<'q>(whose: Whose<'q>, notice: &'q Notice) -> Query<'q, Any, AnyArguments> {
    sqlx::query(
        "INSERT INTO notice (execution_id, channel, event, kind, storage_account, created_at, \
         due_at, attempt) VALUES ($1, $2, $3, $4, $5, $6, $6, 0) \
         ON CONFLICT (execution_id, channel, event) DO NOTHING",
    )
    .bind(whose.id)
    .bind(&notice.channel)
    .bind(notice.event.as_str())
    .bind(whose.kind.as_str())
    .bind(whose.storage_account)
    .bind(notice.at)
}

/// `None` for a kind or an event that only a newer version knows; its lease ends some time.
fn due_notice(row: &AnyRow) -> Option<DueNotice> {
    Some(DueNotice {
        kind: Kind::parse(row.get("kind"))?,
        execution_id: row.get("execution_id"),
        storage_account: row.get("storage_account"),
        channel: row.get("channel"),
        event: Event::parse(row.get("event"))?,
        created_at: row.get("created_at"),
        attempt: row.get("attempt"),
    })
}

#[cfg(test)]
mod tests;
