//! Rows of pins: what stays whatever the rules of retention say.

use std::collections::HashSet;

use sqlx::Row;

use super::Index;
use crate::canary::Kind;
use crate::error::Result;

impl Index {
    /// Pins an execution that the index knows. `false`: there is none.
    pub async fn pin(&self, account: &str, kind: Kind, id: &str, now: i64) -> Result<bool> {
        self.tell("pin an execution", async {
            let mut transaction = self.write.begin().await?;
            self.lock_archive(&mut transaction, account, kind, id)
                .await?;
            let known = sqlx::query(
                "SELECT 1 FROM archive WHERE account = $1 AND kind = $2 AND id = $3 UNION ALL \
                 SELECT 1 FROM execution WHERE storage_account = $1 AND kind = $2 AND id = $3",
            )
            .bind(account)
            .bind(kind.as_str())
            .bind(id)
            .fetch_optional(&mut *transaction)
            .await?;
            if known.is_none() {
                return Ok(false);
            }
            sqlx::query(PUT)
                .bind(account)
                .bind(kind.as_str())
                .bind(id)
                .bind(now)
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(true)
        })
        .await
    }

    /// Notes a pin that the store has.
    pub async fn note_pin(&self, account: &str, kind: Kind, id: &str, now: i64) -> Result<()> {
        let put = sqlx::query(PUT)
            .bind(account)
            .bind(kind.as_str())
            .bind(id)
            .bind(now);
        let put = self.tell("note a pin", put.execute(&self.write));
        put.await.map(|_| ())
    }

    /// Removes a pin, unless it was set after `until`. Whether there was one.
    pub async fn unpin(&self, account: &str, kind: Kind, id: &str, until: i64) -> Result<bool> {
        let removed = sqlx::query(
            "DELETE FROM pin WHERE account = $1 AND kind = $2 AND id = $3 AND pinned_at <= $4",
        )
        .bind(account)
        .bind(kind.as_str())
        .bind(id)
        .bind(until);
        let removed = self.tell("unpin an execution", removed.execute(&self.write));
        Ok(removed.await?.rows_affected() == 1)
    }

    /// Whether any account has a pin of it.
    pub async fn is_pinned(&self, kind: Kind, id: &str) -> Result<bool> {
        let asked = sqlx::query("SELECT 1 FROM pin WHERE kind = $1 AND id = $2")
            .bind(kind.as_str())
            .bind(id);
        let row = self.ask("look up a pin", asked.fetch_optional(&self.read));
        Ok(row.await?.is_some())
    }

    /// All pins of an account.
    pub async fn pins(&self, account: &str) -> Result<HashSet<(Kind, String)>> {
        let asked = sqlx::query("SELECT kind, id FROM pin WHERE account = $1").bind(account);
        let rows = self.ask("list pins", asked.fetch_all(&self.read)).await?;
        let pin = |row: &sqlx::any::AnyRow| Some((Kind::parse(row.get(0))?, row.get(1)));
        Ok(rows.iter().filter_map(pin).collect())
    }
}

const PUT: &str = "INSERT INTO pin (account, kind, id, pinned_at) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (account, kind, id) DO UPDATE SET pinned_at = excluded.pinned_at";
