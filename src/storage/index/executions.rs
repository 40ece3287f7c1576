//! Rows of executions.

use std::time::Duration;

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, Row};

use super::{Claim, Index, Outbox};
use crate::audit::Entry;
use crate::canary::{ExecutionStatus, Kind, Outcome};
use crate::error::Result;

/// An execution as its row has it.
#[derive(Clone, Debug)]
pub struct ExecutionRow {
    pub kind: Kind,
    pub id: String,
    pub application: String,
    pub canary_config_id: String,
    pub storage_account: String,
    pub status: ExecutionStatus,
    pub complete: bool,
    /// Nothing is to be done any more: the archive is written, or there is none to write.
    pub archived: bool,
    pub build_time: i64,
    pub attempt: i64,
    /// The analysis that waits for this canary.
    pub parent: Option<String>,
    pub document: String,
}

/// Who works on an execution from its first moment on.
#[derive(Clone, Copy, Debug)]
pub struct Lease<'a> {
    pub owner: &'a str,
    /// Epoch milliseconds.
    pub until: i64,
}

/// One entry of a list of executions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub id: String,
    /// The document of a row; without it, the archive has it.
    pub document: Option<String>,
}

/// Which executions a list is to hold; of an empty list, any.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    pub statuses: &'a [ExecutionStatus],
    pub outcomes: &'a [Outcome],
}

/// How many rows one statement changes at most.
const AT_ONCE: usize = 32;

impl Index {
    /// Accepts an execution, due at once, or when its lease ends; one that is there already stays
    /// as it is, which is `false`.
    pub async fn insert_execution(
        &self,
        row: &ExecutionRow,
        lease: Option<Lease<'_>>,
    ) -> Result<bool> {
        let inserted = insert(row, lease).execute(&self.write);
        let inserted = self.tell("accept an execution", inserted).await?;
        Ok(inserted.rows_affected() == 1)
    }

    /// The same, with what the record says of it: both, or none.
    pub async fn insert_recorded(
        &self,
        row: &ExecutionRow,
        lease: Option<Lease<'_>>,
        record: &Entry,
    ) -> Result<bool> {
        self.tell("accept an execution", async {
            let mut recording = self.recording(Some(record)).await;
            let mut transaction = self.write.begin().await?;
            let inserted = insert(row, lease).execute(&mut *transaction).await?;
            if inserted.rows_affected() == 0 {
                return Ok(false);
            }
            recording.write(&mut transaction).await?;
            transaction.commit().await?;
            recording.committed();
            Ok(true)
        })
        .await
    }

    /// How many of a kind have not ended, and their bytes as they were accepted.
    pub async fn waiting(&self, kind: Kind) -> Result<(u64, u64)> {
        let counted = sqlx::query(
            "SELECT count(*), CAST(coalesce(sum(size), 0) AS bigint) FROM execution \
             WHERE complete = 0 AND kind = $1",
        )
        .bind(kind.as_str());
        let row = self
            .ask("count executions", counted.fetch_one(&self.read))
            .await?;
        let number = |at: usize| u64::try_from(row.get::<i64, _>(at)).unwrap_or(0);
        Ok((number(0), number(1)))
    }

    /// Keeps an execution that has ended already; it is never due. One that is there stays as it is.
    pub async fn insert_finished(&self, row: &ExecutionRow, now: i64) -> Result<()> {
        self.tell(
            "keep an execution",
            of_row(
                "INSERT INTO execution (id, kind, application, canary_config_id, storage_account, \
             status, complete, build_time, finished_at, archived, attempt, failures, document) \
             VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8, 1, 0, 0, $9) ON CONFLICT (id) DO NOTHING",
                row,
            )
            .bind(now)
            .bind(&row.document)
            .execute(&self.write),
        )
        .await
        .map(|_| ())
    }

    /// The ids of all rows with their applications, newest first.
    pub async fn execution_ids(&self) -> Result<Vec<(String, String)>> {
        let rows = self
            .ask(
                "list executions",
                sqlx::query(
                    "SELECT id, application FROM execution ORDER BY build_time DESC, id DESC",
                )
                .fetch_all(&self.read),
            )
            .await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Forgets an execution that has ended.
    pub async fn remove_execution(&self, id: &str) -> Result<()> {
        self.tell(
            "forget an execution",
            sqlx::query("DELETE FROM execution WHERE id = $1 AND complete = 1")
                .bind(id)
                .execute(&self.write),
        )
        .await
        .map(|_| ())
    }

    pub async fn execution(&self, id: &str) -> Result<Option<ExecutionRow>> {
        let row = self
            .ask(
                "find an execution",
                // By name: a prepared `*` fails on PostgreSQL once a newer replica adds a column.
                sqlx::query(
                    "SELECT id, kind, application, canary_config_id, storage_account, status, \
                     complete, archived, build_time, attempt, parent, document \
                     FROM execution WHERE id = $1",
                )
                .bind(id)
                .fetch_optional(&self.read),
            )
            .await?;
        Ok(row.as_ref().and_then(execution_row))
    }

    /// Reads no document.
    pub async fn is_under_way(&self, kind: Kind, id: &str) -> Result<bool> {
        let found =
            sqlx::query("SELECT 1 FROM execution WHERE id = $1 AND kind = $2 AND complete = 0")
                .bind(id)
                .bind(kind.as_str())
                .fetch_optional(&self.read);
        let found = self.ask("find an execution", found).await?;
        Ok(found.is_some())
    }

    /// Writes how far an execution is, and what is to be sent because of it. `false`: the claim does not
    /// hold any more.
    pub async fn progress(
        &self,
        claim: &Claim,
        status: ExecutionStatus,
        document: &str,
        outbox: &Outbox,
    ) -> Result<bool> {
        let written = sqlx::query(
            "UPDATE execution SET status = $1, document = $2 \
             WHERE id = $3 AND attempt = $4 AND complete = 0",
        )
        .bind(status.as_str())
        .bind(document)
        .bind(&claim.id)
        .bind(claim.attempt);
        let what = "write the progress of an execution";
        self.write_with(what, claim.into(), written, outbox).await
    }

    /// Ends an execution; its archive is due at `archive_at`. `false`: the claim does not hold.
    pub async fn finish(
        &self,
        claim: &Claim,
        status: ExecutionStatus,
        document: &str,
        now: i64,
        archive_at: i64,
        outbox: &Outbox,
    ) -> Result<bool> {
        let ended = sqlx::query(
            "UPDATE execution SET status = $1, document = $2, complete = 1, finished_at = $3, \
             due_at = $4 WHERE id = $5 AND attempt = $6 AND complete = 0",
        )
        .bind(status.as_str())
        .bind(document)
        .bind(now)
        .bind(archive_at)
        .bind(&claim.id)
        .bind(claim.attempt);
        self.write_with("end an execution", claim.into(), ended, outbox)
            .await
    }

    /// Ends an execution from outside, if it still stands as `row` has it. Its worker loses its
    /// claim; the archive is due at once.
    pub async fn end(
        &self,
        row: &ExecutionRow,
        status: ExecutionStatus,
        document: &str,
        now: i64,
        outbox: &Outbox,
    ) -> Result<bool> {
        let ended = sqlx::query(
            "UPDATE execution SET status = $1, document = $2, complete = 1, finished_at = $3, \
             due_at = $3, attempt = attempt + 1 \
             WHERE id = $4 AND attempt = $5 AND complete = 0 AND document = $6",
        )
        .bind(status.as_str())
        .bind(document)
        .bind(now)
        .bind(&row.id)
        .bind(row.attempt)
        .bind(&row.document);
        self.write_with("end an execution", row.into(), ended, outbox)
            .await
    }

    /// Changes the document of an execution that has ended, if it still stands as `row` has it and
    /// nobody is about to archive it: from then on that is to be done anew, by `archive_at` at the
    /// latest.
    pub async fn amend(&self, row: &ExecutionRow, document: &str, archive_at: i64) -> Result<bool> {
        let amended = sqlx::query(
            "UPDATE execution SET document = $1, archived = 0, due_at = $2, lease_owner = NULL, \
             attempt = attempt + 1, failures = 0 \
             WHERE id = $3 AND complete = 1 AND archived = 1 AND attempt = $4 AND document = $5",
        )
        .bind(document)
        .bind(archive_at)
        .bind(&row.id)
        .bind(row.attempt)
        .bind(&row.document);
        let amended = self.tell("amend an execution", amended.execute(&self.write));
        Ok(amended.await?.rows_affected() == 1)
    }

    /// Notes that their archives are written; nothing is due any more.
    pub async fn archived(&self, ids: &[String]) -> Result<()> {
        for ids in ids.chunks(AT_ONCE) {
            // Two statements for any number, so that each is prepared once.
            let places = if ids.len() == 1 { 1 } else { AT_ONCE };
            let numbers: Vec<String> = (1..=places).map(|place| format!("${place}")).collect();
            let sql = format!(
                "UPDATE execution SET archived = 1, due_at = NULL, lease_owner = NULL \
                 WHERE id IN ({})",
                numbers.join(", ")
            );
            let mut noted = sqlx::query(sqlx::AssertSqlSafe(sql));
            for place in 0..places {
                noted = noted.bind(&ids[place.min(ids.len() - 1)]);
            }
            let noted = noted.execute(&self.write);
            self.tell("note archives", noted).await?;
        }
        Ok(())
    }

    /// Brings an execution forward and puts it off until `due_at`; the claim is given back.
    /// `false`: the claim does not hold any more.
    pub async fn step(
        &self,
        claim: &Claim,
        status: ExecutionStatus,
        document: &str,
        due_at: i64,
        outbox: &Outbox,
    ) -> Result<bool> {
        let stepped = sqlx::query(
            "UPDATE execution SET status = $1, document = $2, due_at = $3, lease_owner = NULL, \
             failures = 0 WHERE id = $4 AND attempt = $5 AND complete = 0",
        )
        .bind(status.as_str())
        .bind(document)
        .bind(due_at)
        .bind(&claim.id)
        .bind(claim.attempt);
        let what = "bring an execution forward";
        self.write_with(what, claim.into(), stepped, outbox).await
    }

    /// Makes the analysis due that waits for this canary, unless it is being worked on.
    pub async fn wake_parent(&self, id: &str, now: i64) -> Result<bool> {
        let woken = self
            .tell(
                "wake an analysis",
                sqlx::query(
                    "UPDATE execution SET due_at = $1 WHERE complete = 0 AND lease_owner IS NULL \
             AND due_at > $1 AND id = (SELECT parent FROM execution WHERE id = $2)",
                )
                .bind(now)
                .bind(id)
                .execute(&self.write),
            )
            .await?;
        Ok(woken.rows_affected() == 1)
    }

    /// Puts an execution off until `due_at`; the claim is given back.
    pub async fn postpone(&self, claim: &Claim, due_at: i64) -> Result<()> {
        self.tell("postpone an execution", sqlx::query(
            "UPDATE execution SET due_at = $1, lease_owner = NULL WHERE id = $2 AND attempt = $3",
        )
        .bind(due_at)
        .bind(&claim.id)
        .bind(claim.attempt)
        .execute(&self.write)).await.map(|_| ())
    }

    /// Executions of an application, newest first: rows, then what only the archive has.
    pub async fn list_executions(
        &self,
        kind: Kind,
        account: &str,
        application: &str,
        wanted: Wanted<'_>,
        limit: i64,
        offset: i64,
    ) -> Result<Vec<Listed>> {
        let [live, ended] = wanted.conditions();
        // The page is found in indexes alone, and no further than it reaches; only its own
        // documents are read.
        let sql = format!(
            "SELECT page.id, page.build_time, \
             (SELECT e.document FROM execution e WHERE e.id = page.id) FROM (\
             SELECT id, build_time FROM (SELECT id, build_time FROM execution \
             WHERE kind = $5 AND application = $1 {live} \
             ORDER BY build_time DESC, id DESC LIMIT $6) AS live \
             UNION ALL \
             SELECT id, build_time FROM (SELECT id, build_time FROM archive \
             WHERE account = $2 AND kind = $5 AND application = $1 {ended} \
             AND NOT EXISTS (SELECT 1 FROM execution e WHERE e.id = archive.id) \
             ORDER BY build_time DESC, id DESC LIMIT $6) AS ended \
             ORDER BY 2 DESC, 1 DESC LIMIT $3 OFFSET $4) AS page ORDER BY 2 DESC, 1 DESC"
        );
        let rows = self
            .ask(
                "list executions",
                sqlx::query(sqlx::AssertSqlSafe(sql))
                    .bind(application)
                    .bind(account)
                    .bind(limit)
                    .bind(offset)
                    .bind(kind.as_str())
                    .bind(offset.saturating_add(limit))
                    .fetch_all(&self.read),
            )
            .await?;
        Ok(rows
            .iter()
            .map(|row| Listed {
                id: row.get(0),
                document: row.get(2),
            })
            .collect())
    }

    /// Forgets executions that were archived and ended before `until`.
    pub async fn forget_archived(&self, until: i64) -> Result<u64> {
        self.tell(
            "forget executions",
            sqlx::query("DELETE FROM execution WHERE archived = 1 AND finished_at < $1")
                .bind(until)
                .execute(&self.write),
        )
        .await
        .map(|removed| removed.rows_affected())
    }
}

impl Wanted<'_> {
    /// On rows of `execution`, and on those of `archive`.
    fn conditions(self) -> [String; 2] {
        let state = match self.statuses {
            [] => String::new(),
            statuses => format!(
                "AND status IN ({})",
                words(statuses, ExecutionStatus::as_str)
            ),
        };
        let (ended, under_way): (Vec<Outcome>, Vec<Outcome>) =
            self.outcomes.iter().partition(|outcome| outcome.is_final());
        if self.outcomes.is_empty() {
            return [state.clone(), state];
        }
        let mut ended = words(&ended, Outcome::as_str);
        if self.outcomes.contains(&Outcome::Inconclusive) {
            // As versions before this one wrote it.
            ended.push_str(", 'nodata'");
        }
        let is_under_way = |status: &ExecutionStatus| {
            !status.is_complete() && under_way.contains(&Outcome::of_status(*status))
        };
        let under_way = ExecutionStatus::ALL.into_iter().filter(is_under_way);
        let under_way = words(&under_way.collect::<Vec<_>>(), ExecutionStatus::as_str);
        [
            format!(
                "{state} AND (complete = 0 AND status IN ({under_way}) OR complete = 1 AND coalesce(\
                 (SELECT a.outcome FROM archive a WHERE a.account = execution.storage_account \
                 AND a.kind = execution.kind AND a.id = execution.id), \
                 (SELECT l.outcome FROM execution_listing l WHERE l.execution_id = execution.id)\
                 ) IN ({ended}))"
            ),
            format!("{state} AND outcome IN ({ended})"),
        ]
    }
}

/// Names of letters and '_' only, so that they can stand in the text. Never none: PostgreSQL takes
/// no empty list.
fn words<T: Copy>(all: &[T], name: impl Fn(T) -> &'static str) -> String {
    let names = all.iter().map(|it| format!("'{}'", name(*it)));
    names
        .chain(["''".to_owned()])
        .collect::<Vec<_>>()
        .join(", ")
}

pub(super) fn insert<'q>(
    row: &'q ExecutionRow,
    lease: Option<Lease<'q>>,
) -> Query<'q, Any, AnyArguments> {
    let claims = i64::from(lease.is_some());
    of_row(
        "INSERT INTO execution (id, kind, application, canary_config_id, storage_account, \
         status, complete, build_time, archived, parent, document, size, due_at, lease_owner, \
         attempt, failures) \
         VALUES ($1, $2, $3, $4, $5, $6, 0, $7, 0, $8, $9, $10, $11, $12, $13, 0) \
         ON CONFLICT (id) DO NOTHING",
        row,
    )
    .bind(&row.parent)
    .bind(&row.document)
    .bind(i64::try_from(row.document.len()).unwrap_or(i64::MAX))
    .bind(lease.map_or(row.build_time, |lease| lease.until))
    .bind(lease.map(|lease| lease.owner))
    .bind(claims)
}

/// Binds what every new row has: `$1` to `$7`, from the id to the build time.
fn of_row<'q>(sql: &'static str, row: &'q ExecutionRow) -> Query<'q, Any, AnyArguments> {
    sqlx::query(sql)
        .bind(&row.id)
        .bind(row.kind.as_str())
        .bind(&row.application)
        .bind(&row.canary_config_id)
        .bind(&row.storage_account)
        .bind(row.status.as_str())
        .bind(row.build_time)
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// `None` for a kind that only a newer version knows.
fn execution_row(row: &AnyRow) -> Option<ExecutionRow> {
    let status: String = row.get("status");
    Some(ExecutionRow {
        kind: Kind::parse(row.get("kind"))?,
        id: row.get("id"),
        application: row.get("application"),
        canary_config_id: row.get("canary_config_id"),
        storage_account: row.get("storage_account"),
        status: ExecutionStatus::parse(&status).unwrap_or_default(),
        complete: row.get::<i64, _>("complete") != 0,
        archived: row.get::<i64, _>("archived") != 0,
        build_time: row.get("build_time"),
        attempt: row.get("attempt"),
        parent: row.get("parent"),
        document: row.get("document"),
    })
}

#[cfg(test)]
mod tests;
