//! Counts of what is still to be done.

use std::time::Duration;

use sqlx::Row;

use super::Index;
use crate::canary::Kind;
use crate::error::Result;
use crate::storage::backlog::{Queue, Unsent};

impl Index {
    /// Executions of a kind at a time.
    pub async fn queue(&self, kind: Kind, now: i64) -> Result<Queue> {
        let counted = sqlx::query(
            "SELECT count(*), \
             CAST(coalesce(sum(CASE WHEN lease_owner IS NOT NULL AND due_at > $2 THEN 1 ELSE 0 END), 0) AS bigint), \
             CAST(coalesce(sum(CASE WHEN due_at <= $2 THEN 1 ELSE 0 END), 0) AS bigint), \
             CAST(coalesce(min(CASE WHEN due_at <= $2 THEN due_at END), $2) AS bigint) \
             FROM execution WHERE complete = 0 AND kind = $1",
        )
        .bind(kind.as_str())
        .bind(now);
        let row = self.ask("count executions", counted.fetch_one(&self.read));
        let row = row.await?;
        Ok(Queue {
            kind: kind.as_str(),
            unended: number(row.get(0)),
            held: number(row.get(1)),
            due: number(row.get(2)),
            oldest: age(row.get(3), now),
        })
    }

    /// What lies in a table of the outbox and has not been settled.
    pub async fn unsent(&self, table: &'static str, now: i64) -> Result<Unsent> {
        let sql = format!(
            "SELECT count(*), CAST(coalesce(min(created_at), $1) AS bigint) FROM {table} \
             WHERE due_at IS NOT NULL"
        );
        let counted = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(now);
        let row = self.ask("count what is to be sent", counted.fetch_one(&self.read));
        let row = row.await?;
        Ok(Unsent {
            count: number(row.get(0)),
            oldest: age(row.get(1), now),
        })
    }

    /// Executions that have ended and are not in their store.
    pub async fn unarchived(&self) -> Result<u64> {
        let counted = sqlx::query(
            "SELECT count(*) FROM execution WHERE archived = 0 AND finished_at IS NOT NULL",
        );
        let row = self.ask("count archives", counted.fetch_one(&self.read));
        Ok(number(row.await?.get(0)))
    }
}

fn number(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}

fn age(since: i64, now: i64) -> Duration {
    Duration::from_millis(number(now.saturating_sub(since)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canary::{Event, ExecutionStatus};
    use crate::storage::index::tests::{on_each, waiting};
    use crate::storage::index::{Notice, Outbox};

    #[tokio::test]
    async fn what_is_held_is_not_due_until_its_lease_ends() {
        on_each(async |index| {
            for (id, at) in [("a", 1_000), ("b", 3_000)] {
                let row = waiting(Kind::Canary, id, at);
                index.insert_execution(&row, None).await.unwrap();
            }
            let analysis = waiting(Kind::Analysis, "other", 0);
            index.insert_execution(&analysis, None).await.unwrap();
            let lease = Duration::from_secs(30);
            let queue = async |now| {
                let queue = index.queue(Kind::Canary, now).await.unwrap();
                (queue.unended, queue.held, queue.due, queue.oldest.as_secs())
            };
            assert_eq!(queue(500).await, (2, 0, 0, 0));
            assert_eq!(queue(4_000).await, (2, 0, 2, 3));
            let claimed = index.claim("worker", 4_000, lease, 2).await.unwrap();
            assert_eq!(claimed.len(), 2);
            assert_eq!(queue(5_000).await, (2, 1, 1, 2));
            // The process died.
            assert_eq!(queue(36_000).await, (2, 0, 2, 33));
            assert_eq!(index.unarchived().await.unwrap(), 0);
            for table in ["notice", "action_call"] {
                let unsent = index.unsent(table, 5_000).await.unwrap();
                assert_eq!(unsent, Unsent::default(), "{table}");
            }
            let notice = Notice {
                channel: "team".to_owned(),
                event: Event::Pass,
                at: 3_000,
            };
            let outbox = Outbox {
                notices: vec![notice],
                ..Outbox::default()
            };
            let ended = ExecutionStatus::Succeeded;
            let finished = index.finish(&claimed[0], ended, "{}", 3_000, 9_000, &outbox);
            assert!(finished.await.unwrap());
            let told = Unsent {
                count: 1,
                oldest: Duration::from_secs(2),
            };
            assert_eq!(index.unsent("notice", 5_000).await.unwrap(), told);
            assert_eq!(index.unarchived().await.unwrap(), 1);
            index.archived(&[claimed[0].id.clone()]).await.unwrap();
            assert_eq!(index.unarchived().await.unwrap(), 0);
        })
        .await;
    }
}
