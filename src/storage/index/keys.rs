//! Idempotency keys: what a repeated POST is answered with.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::{ExecutionRow, Index, Lease, executions};
use crate::audit::Entry;
use crate::error::Result;

/// The request that came with a key first, and what it started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    pub fingerprint: String,
    pub execution_id: String,
}

impl Index {
    pub async fn key(&self, key: &str, since: i64) -> Result<Option<KeyRow>> {
        let found = sqlx::query(
            "SELECT fingerprint, execution_id FROM idempotency_key WHERE id = $1 AND created_at >= $2",
        )
        .bind(key)
        .bind(since);
        let found = self
            .ask("find an idempotency key", found.fetch_optional(&self.read))
            .await?;
        Ok(found.as_ref().map(key_row))
    }

    /// Accepts an execution with a key that nobody has used since `since`, both or none. What the
    /// key stands for, if somebody has.
    pub async fn insert_execution_with_key(
        &self,
        row: &ExecutionRow,
        lease: Option<Lease<'_>>,
        key: &str,
        fingerprint: &str,
        since: i64,
        record: Option<&Entry>,
    ) -> Result<Option<KeyRow>> {
        let insert = async {
            let mut recording = self.recording(record).await;
            let mut transaction = self.write.begin().await?;
            let taken = sqlx::query(
                "INSERT INTO idempotency_key (id, fingerprint, execution_id, created_at) \
                 VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO UPDATE SET \
                 fingerprint = excluded.fingerprint, execution_id = excluded.execution_id, \
                 created_at = excluded.created_at WHERE idempotency_key.created_at < $5",
            )
            .bind(key)
            .bind(fingerprint)
            .bind(&row.id)
            .bind(row.build_time)
            .bind(since)
            .execute(&mut *transaction)
            .await?;
            if taken.rows_affected() == 0 {
                let before = sqlx::query(
                    "SELECT fingerprint, execution_id FROM idempotency_key WHERE id = $1",
                )
                .bind(key)
                .fetch_one(&mut *transaction)
                .await?;
                return Ok(Some(key_row(&before)));
            }
            executions::insert(row, lease)
                .execute(&mut *transaction)
                .await?;
            recording.write(&mut transaction).await?;
            transaction.commit().await?;
            recording.committed();
            Ok(None)
        };
        self.tell("accept an execution", insert).await
    }

    /// Forgets keys that were first used before `until`.
    pub async fn forget_keys(&self, until: i64) -> Result<u64> {
        let forgotten =
            sqlx::query("DELETE FROM idempotency_key WHERE created_at < $1").bind(until);
        self.tell("forget idempotency keys", forgotten.execute(&self.write))
            .await
            .map(|forgotten| forgotten.rows_affected())
    }
}

fn key_row(row: &AnyRow) -> KeyRow {
    KeyRow {
        fingerprint: row.get("fingerprint"),
        execution_id: row.get("execution_id"),
    }
}
