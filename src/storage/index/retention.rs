//! Which rows the rules of retention make due, and their removal.

use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, Row};

use super::{Engine, Index};
use crate::canary::ExecutionStatus;
use crate::canary::Kind;
use crate::error::Result;

/// What the executions of one application may become before they are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// How many stay; `i64::MAX`: all.
    pub most: i64,
    /// Which stay, by the time of their start; `i64::MIN`: all.
    pub since: i64,
}

/// The limits of all applications.
#[derive(Clone, Debug)]
pub struct Limits {
    pub general: Limit,
    /// Of single applications, instead.
    pub applications: Vec<(String, Limit)>,
}

/// An archived execution that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueRow {
    pub account: String,
    pub kind: Kind,
    pub id: String,
    pub application: String,
    pub build_time: i64,
}

impl Limits {
    /// Whether nothing can ever be due.
    pub fn keep_all(&self) -> bool {
        let mut all = self.applications.iter().map(|(_, limit)| limit);
        self.general.keeps_all() && all.all(Limit::keeps_all)
    }

    pub fn of(&self, application: &str) -> Limit {
        let own = self
            .applications
            .iter()
            .find(|(name, _)| name == application);
        own.map_or(self.general, |(_, limit)| *limit)
    }
}

impl Limit {
    const fn keeps_all(&self) -> bool {
        self.most == i64::MAX && self.since == i64::MIN
    }
}

type AnyQuery<'q> = Query<'q, Any, AnyArguments>;

impl Index {
    /// What is due in these accounts, oldest first.
    pub async fn due(
        &self,
        accounts: &[String],
        limits: &Limits,
        most: i64,
        offset: i64,
    ) -> Result<Vec<DueRow>> {
        let (with_due, next) = due_sql(accounts.len(), limits.applications.len());
        let sql = format!(
            "{with_due} SELECT account, kind, id, application, build_time FROM due \
             ORDER BY build_time, account, kind, id LIMIT ${next} OFFSET ${}",
            next + 1
        );
        let asked = bind(sqlx::query(sqlx::AssertSqlSafe(sql)), accounts, limits);
        let asked = asked.bind(most).bind(offset).fetch_all(&self.read);
        let rows = self.ask("find what is due for deletion", asked).await?;
        let row = |row: &sqlx::any::AnyRow| {
            Some(DueRow {
                account: row.get(0),
                kind: Kind::parse(row.get(1))?,
                id: row.get(2),
                application: row.get(3),
                build_time: row.get(4),
            })
        };
        Ok(rows.iter().filter_map(row).collect())
    }

    pub async fn count_due(&self, accounts: &[String], limits: &Limits) -> Result<i64> {
        let (with_due, _) = due_sql(accounts.len(), limits.applications.len());
        let sql = format!("{with_due} SELECT count(*) FROM due");
        let asked = bind(sqlx::query(sqlx::AssertSqlSafe(sql)), accounts, limits);
        let counted = asked.fetch_one(&self.read);
        let row = self.ask("count what is due for deletion", counted).await?;
        Ok(row.get(0))
    }

    /// Removes the rows of an execution that is due, unless it was pinned or changed meanwhile.
    /// Whether this call removed them: of many replicas, one does.
    pub async fn take_out(&self, due: &DueRow) -> Result<bool> {
        self.tell("take an execution out of the index", async {
            let mut transaction = self.write.begin().await?;
            self.lock_archive(&mut transaction, &due.account, due.kind, &due.id)
                .await?;
            let sql = format!(
                "DELETE FROM archive AS a WHERE account = $1 AND kind = $2 AND id = $3 \
                 AND build_time = $4 AND {UNPINNED} AND {UNUSED}"
            );
            let removed = sqlx::query(sqlx::AssertSqlSafe(sql))
                .bind(&due.account)
                .bind(due.kind.as_str())
                .bind(&due.id)
                .bind(due.build_time)
                .execute(&mut *transaction)
                .await?;
            if removed.rows_affected() == 0 {
                return Ok(false);
            }
            sqlx::query(
                "DELETE FROM execution WHERE id = $1 AND kind = $2 AND storage_account = $3 \
                 AND complete = 1 AND archived = 1",
            )
            .bind(&due.id)
            .bind(due.kind.as_str())
            .bind(&due.account)
            .execute(&mut *transaction)
            .await?;
            transaction.commit().await?;
            Ok(true)
        })
        .await
    }

    /// Whoever pins an execution, and whoever takes it out, come one after the other.
    pub(super) async fn lock_archive(
        &self,
        transaction: &mut sqlx::AnyConnection,
        account: &str,
        kind: Kind,
        id: &str,
    ) -> sqlx::Result<()> {
        // SQLite has one writer.
        if let Engine::Postgres = self.engine {
            sqlx::query(
                "SELECT 1 FROM archive WHERE account = $1 AND kind = $2 AND id = $3 FOR UPDATE",
            )
            .bind(account)
            .bind(kind.as_str())
            .bind(id)
            .fetch_optional(transaction)
            .await?;
        }
        Ok(())
    }

    /// Makes a chore that nobody knows due at a time.
    pub async fn note_chore(&self, name: &str, due_at: i64) -> Result<()> {
        let noted = sqlx::query(
            "INSERT INTO chore (name, due_at) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
        )
        .bind(name)
        .bind(due_at);
        let noted = self.tell("note a chore", noted.execute(&self.write));
        noted.await.map(|_| ())
    }

    /// Whether a chore is due, and this replica's to do: the next time is `next`. One that was not
    /// known is due at `next` for the first time.
    pub async fn take_chore(&self, name: &str, now: i64, next: i64) -> Result<bool> {
        self.note_chore(name, next).await?;
        let taken = sqlx::query("UPDATE chore SET due_at = $2 WHERE name = $1 AND due_at <= $3")
            .bind(name)
            .bind(next)
            .bind(now);
        let taken = self.tell("take a chore", taken.execute(&self.write));
        Ok(taken.await?.rows_affected() == 1)
    }

    /// Makes a chore due at a time.
    pub async fn put_off_chore(&self, name: &str, due_at: i64) -> Result<()> {
        let put = sqlx::query("UPDATE chore SET due_at = $2 WHERE name = $1")
            .bind(name)
            .bind(due_at);
        let put = self.tell("put off a chore", put.execute(&self.write));
        put.await.map(|_| ())
    }
}

/// Of `archive AS a`: nobody has pinned it.
const UNPINNED: &str = "NOT EXISTS (SELECT 1 FROM pin p WHERE p.account = a.account \
                        AND p.kind = a.kind AND p.id = a.id)";

/// Of `archive AS a`: its row, if there is one, has ended, and no analysis waits for it.
const UNUSED: &str = "NOT EXISTS (SELECT 1 FROM execution e WHERE e.id = a.id \
                      AND (e.complete = 0 OR e.archived = 0 OR EXISTS (\
                      SELECT 1 FROM execution p WHERE p.id = e.parent AND p.complete = 0)))";

/// The clause that makes `due`, and the number of the next parameter.
///
/// What does not tell when it began, or that it has ended, is never due. Parameters are those of
/// [`bind`].
fn due_sql(accounts: usize, applications: usize) -> (String, usize) {
    // Three parameters an application: its name, how many, and since when.
    let next = 3 + 3 * applications;
    let by_application = |at: usize, general: &str| {
        let own = (0..applications).map(|index| {
            let first = 3 + 3 * index;
            format!("WHEN ${first} THEN CAST(${} AS bigint) ", first + at)
        });
        match own.collect::<String>().as_str() {
            "" => format!("CAST({general} AS bigint)"),
            own => format!("CASE application {own} ELSE CAST({general} AS bigint) END"),
        }
    };
    let names: Vec<String> = (next..next + accounts).map(|n| format!("${n}")).collect();
    // Names of states are letters and '_' only, so they can stand in the text.
    let ended: Vec<String> = ExecutionStatus::ALL
        .iter()
        .filter(|status| status.is_complete())
        .map(|status| format!("'{}'", status.as_str()))
        .collect();
    let sql = format!(
        "WITH placed AS (SELECT account, kind, id, application, build_time, \
         row_number() OVER (PARTITION BY account, kind, application \
         ORDER BY build_time DESC, id DESC) AS place FROM archive a \
         WHERE account IN ({}) AND 0 < build_time AND status IN ({}) AND {UNPINNED}), \
         due AS (SELECT account, kind, id, application, build_time FROM placed a \
         WHERE ({} < place OR build_time < {}) AND {UNUSED})",
        names.join(", "),
        ended.join(", "),
        by_application(1, "$1"),
        by_application(2, "$2"),
    );
    (sql, next + accounts)
}

fn bind<'q>(query: AnyQuery<'q>, accounts: &'q [String], limits: &'q Limits) -> AnyQuery<'q> {
    let mut query = query.bind(limits.general.most).bind(limits.general.since);
    for (application, limit) in &limits.applications {
        query = query.bind(application).bind(limit.most).bind(limit.since);
    }
    accounts.iter().fold(query, Query::bind)
}

#[cfg(test)]
mod tests;
