//! Who may work on an execution: claims, and the leases that they hold.

use std::time::Duration;

use sqlx::Row;
use sqlx::any::AnyRow;

use super::Index;
use super::executions::millis;
use crate::canary::Kind;
use crate::error::Result;

/// The right to work on an execution while its lease lasts.
#[derive(Clone, Debug)]
pub struct Claim {
    pub kind: Kind,
    pub id: String,
    /// Which attempt this is, from 1; every write is refused once there has been another.
    pub attempt: i64,
    /// How often its process died while it worked on this one alone, since it last came forward.
    pub failures: i64,
    pub storage_account: String,
    /// Ended already; only the archive is to be written.
    pub complete: bool,
    /// The analysis that waits for this canary.
    pub parent: Option<String>,
    pub document: String,
}

impl Claim {
    /// Whether it was started as often as it may be, and never came to an end: the first time beside
    /// others, and then alone.
    pub fn is_hopeless(&self, max_attempts: i64) -> bool {
        (max_attempts - 1).max(1) <= self.failures
    }
}

/// With whom an execution runs that was under way when its process died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    /// Should the process die again, it was this one.
    Alone,
    Others,
}

impl Company {
    /// As the owner of a lease is written.
    fn owner(self, owner: &str) -> String {
        match self {
            Self::Alone => format!("{ALONE}{owner}"),
            Self::Others => owner.to_owned(),
        }
    }
}

/// Begins the owner of a lease that is held for an execution that runs alone. There is no column of its own
/// for it: replicas of the version before read all of the row.
const ALONE: &str = "alone:";

/// Their lease ended, and nobody gave it back: their process died, or lost the database.
const SUSPECT: &str = "complete = 0 AND lease_owner IS NOT NULL";

/// Those that it was not are waited for by their clients: who was alone when its process died comes last.
const SUSPECTS: &str =
    "CASE WHEN lease_owner LIKE 'alone:%' THEN 1 ELSE 0 END, failures, due_at, id";

const CLAIMED: &str =
    "RETURNING kind, id, attempt, failures, storage_account, complete, parent, document";

impl Index {
    /// The executions that have been due for longest, `most` at most; they are nobody else's until
    /// the lease ends. Those whose process died are not among them.
    pub async fn claim(
        &self,
        owner: &str,
        now: i64,
        lease: Duration,
        most: usize,
    ) -> Result<Vec<Claim>> {
        // As an expression, lest the kind be looked up in an index of all that ever ran.
        let sql = format!(
            "WITH due AS MATERIALIZED (SELECT id FROM execution WHERE due_at <= $3 \
             AND kind || '' IN ({}) AND NOT ({SUSPECT}) ORDER BY due_at, id LIMIT $4 {}) \
             UPDATE execution SET lease_owner = $1, due_at = $2, attempt = attempt + 1 \
             WHERE id IN (SELECT id FROM due) {CLAIMED}",
            known_kinds(),
            self.skip_locked()
        );
        let claimed = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(owner)
            .bind(now.saturating_add(millis(lease)))
            .bind(now)
            .bind(i64::try_from(most).unwrap_or(i64::MAX));
        let rows = self
            .tell("claim an execution", claimed.fetch_all(&self.write))
            .await?;
        Ok(rows.iter().filter_map(claim).collect())
    }

    /// How often the next of those was claimed that were under way when their process died.
    pub async fn next_suspect(&self, now: i64) -> Result<Option<i64>> {
        let found = sqlx::query(sqlx::AssertSqlSafe(next_suspect()))
            .bind(now)
            .fetch_optional(&self.read);
        let found = self.ask("look for executions", found).await?;
        Ok(found.map(|row| row.get(0)))
    }

    /// The next of those; it counts as its failure if its process died while it ran alone.
    pub async fn claim_suspect(
        &self,
        owner: &str,
        now: i64,
        lease: Duration,
        company: Company,
    ) -> Result<Option<Claim>> {
        let sql = format!(
            "WITH due AS MATERIALIZED (SELECT id FROM execution WHERE due_at <= $3 \
             AND kind || '' IN ({}) AND {SUSPECT} ORDER BY {SUSPECTS} LIMIT 1 {}) \
             UPDATE execution SET lease_owner = $1, due_at = $2, attempt = attempt + 1, \
             failures = failures + CASE WHEN lease_owner LIKE '{ALONE}%' THEN 1 ELSE 0 END \
             WHERE id IN (SELECT id FROM due) {CLAIMED}",
            known_kinds(),
            self.skip_locked()
        );
        let claimed = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(company.owner(owner))
            .bind(now.saturating_add(millis(lease)))
            .bind(now)
            .fetch_optional(&self.write);
        let row = self.tell("claim an execution", claimed).await?;
        Ok(row.as_ref().and_then(claim))
    }

    /// Others run beside it from now on.
    pub async fn joined_by_others(&self, id: &str, attempt: i64, owner: &str) -> Result<()> {
        let noted = sqlx::query(
            "UPDATE execution SET lease_owner = $1 WHERE id = $2 AND attempt = $3 AND complete = 0",
        )
        .bind(Company::Others.owner(owner))
        .bind(id)
        .bind(attempt);
        let noted = noted.execute(&self.write);
        self.tell("note who runs", noted).await.map(|_| ())
    }

    /// Whether the claim still holds; if so, for another lease.
    pub async fn renew(&self, claim: &Claim, now: i64, lease: Duration) -> Result<bool> {
        let renewed = self.tell("renew a lease", sqlx::query(
            "UPDATE execution SET due_at = $1 WHERE id = $2 AND attempt = $3 AND complete = 0",
        )
        .bind(now + millis(lease))
        .bind(&claim.id)
        .bind(claim.attempt)
        .execute(&self.write)).await?;
        Ok(renewed.rows_affected() == 1)
    }

    /// Makes due what an owner has claimed and not ended; its writes are refused from then on.
    pub async fn give_back(&self, owner: &str, now: i64) -> Result<u64> {
        let given = sqlx::query(
            "UPDATE execution SET due_at = $1, lease_owner = NULL, attempt = attempt + 1 \
             WHERE lease_owner IN ($2, $3) AND complete = 0 AND due_at IS NOT NULL",
        )
        .bind(now)
        .bind(Company::Others.owner(owner))
        .bind(Company::Alone.owner(owner));
        let given = self.tell("give executions back", given.execute(&self.write));
        given.await.map(|given| given.rows_affected())
    }
}

/// Every replica asks each second, and all that waits is due: it is found in an index of its own.
fn next_suspect() -> String {
    format!(
        "SELECT attempt FROM execution WHERE due_at <= $1 AND kind || '' IN ({}) AND {SUSPECT} \
         ORDER BY {SUSPECTS} LIMIT 1",
        known_kinds()
    )
}

/// What only a newer version knows is left to it.
fn known_kinds() -> String {
    let kinds = Kind::ALL.map(|kind| format!("'{}'", kind.as_str()));
    kinds.join(", ")
}

fn claim(row: &AnyRow) -> Option<Claim> {
    Some(Claim {
        kind: Kind::parse(row.get("kind"))?,
        id: row.get("id"),
        attempt: row.get("attempt"),
        failures: row.get("failures"),
        storage_account: row.get("storage_account"),
        complete: row.get::<i64, _>("complete") != 0,
        parent: row.get("parent"),
        document: row.get("document"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::index::tests::on_each;

    #[tokio::test]
    async fn looking_for_suspects_reads_nothing_of_what_waits() {
        on_each(async |index| {
            let shared = index.is_shared();
            let explain = if shared {
                "EXPLAIN"
            } else {
                "EXPLAIN QUERY PLAN"
            };
            let mut connection = index.read.acquire().await.unwrap();
            if shared {
                // Of an empty table it would read all.
                let indexes = sqlx::query("SET enable_seqscan = off");
                indexes.execute(&mut *connection).await.unwrap();
            }
            let plan = sqlx::query(sqlx::AssertSqlSafe(format!("{explain} {}", next_suspect())))
                .bind(1_i64)
                .fetch_all(&mut *connection)
                .await
                .unwrap();
            let column = if shared { 0 } else { 3 };
            let plan: Vec<String> = plan.iter().map(|row| row.get(column)).collect();
            let plan = plan.join("\n");
            assert!(plan.contains("execution_by_lease"), "{plan}");
        })
        .await;
    }
}
