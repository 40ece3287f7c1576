//! Rows of the analyses that Flagger's hooks ask for.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::{ExecutionRow, Index, executions};
use crate::audit::Entry;
use crate::error::Result;

/// One revision of a Flagger canary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlaggerKey {
    pub namespace: String,
    pub name: String,
    pub checksum: String,
}

/// Whether hooks still ask for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlaggerState {
    Open,
    /// Flagger was told to roll back.
    RolledBack,
    Closed,
}

/// The run of one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlaggerRow {
    pub execution_id: String,
    pub storage_account: String,
    pub state: FlaggerState,
    /// Epoch milliseconds.
    pub closed_at: Option<i64>,
}

/// What came of a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlaggerStart {
    /// With the executions of other revisions, for which nobody asks any more.
    Here(Vec<String>),
    /// Another hook was first.
    Before(FlaggerRow),
}

impl FlaggerState {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::RolledBack => "rolled_back",
            Self::Closed => "closed",
        }
    }

    fn parse(name: &str) -> Self {
        match name {
            "open" => Self::Open,
            "rolled_back" => Self::RolledBack,
            _ => Self::Closed,
        }
    }
}

impl Index {
    pub async fn flagger_run(&self, key: &FlaggerKey) -> Result<Option<FlaggerRow>> {
        let found = sqlx::query(FIND)
            .bind(&key.namespace)
            .bind(&key.name)
            .bind(&key.checksum)
            .fetch_optional(&self.read);
        let found = self.ask("find a run of Flagger", found).await?;
        Ok(found.as_ref().map(flagger_row))
    }

    /// Accepts an execution as the run of a revision, both or none, unless an open run is there
    /// which is not `gone`. Runs of other revisions of the same canary are closed: Flagger has one
    /// under way.
    pub async fn start_flagger_run(
        &self,
        key: &FlaggerKey,
        row: &ExecutionRow,
        gone: Option<&str>,
        record: Option<&Entry>,
    ) -> Result<FlaggerStart> {
        let start = async {
            let mut recording = self.recording(record).await;
            let mut transaction = self.write.begin().await?;
            let taken = sqlx::query(
                "INSERT INTO flagger_run (namespace, name, checksum, kind, execution_id, \
                 storage_account, state, created_at) VALUES ($1, $2, $3, $4, $5, $6, 'open', $7) \
                 ON CONFLICT (namespace, name, checksum) DO UPDATE SET kind = excluded.kind, \
                 execution_id = excluded.execution_id, \
                 storage_account = excluded.storage_account, state = excluded.state, \
                 created_at = excluded.created_at, closed_at = NULL \
                 WHERE flagger_run.state <> 'open' OR flagger_run.execution_id = $8",
            )
            .bind(&key.namespace)
            .bind(&key.name)
            .bind(&key.checksum)
            .bind(row.kind.as_str())
            .bind(&row.id)
            .bind(&row.storage_account)
            .bind(row.build_time)
            .bind(gone)
            .execute(&mut *transaction)
            .await?;
            if taken.rows_affected() == 0 {
                let before = sqlx::query(FIND)
                    .bind(&key.namespace)
                    .bind(&key.name)
                    .bind(&key.checksum)
                    .fetch_one(&mut *transaction)
                    .await?;
                return Ok(FlaggerStart::Before(flagger_row(&before)));
            }
            let others = sqlx::query(
                "UPDATE flagger_run SET state = 'closed', closed_at = $4 WHERE namespace = $1 \
                 AND name = $2 AND checksum <> $3 AND state <> 'closed' \
                 RETURNING execution_id",
            )
            .bind(&key.namespace)
            .bind(&key.name)
            .bind(&key.checksum)
            .bind(row.build_time)
            .fetch_all(&mut *transaction)
            .await?;
            executions::insert(row, None)
                .execute(&mut *transaction)
                .await?;
            recording.write(&mut transaction).await?;
            transaction.commit().await?;
            recording.committed();
            let others = others.iter().map(|other| other.get(0)).collect();
            Ok(FlaggerStart::Here(others))
        };
        self.tell("accept a run of Flagger", start).await
    }

    /// Closes a run, if that execution still is the run of its revision.
    pub async fn close_flagger_run(
        &self,
        key: &FlaggerKey,
        execution_id: &str,
        state: FlaggerState,
        now: i64,
    ) -> Result<()> {
        let closed = sqlx::query(
            "UPDATE flagger_run SET state = $5, closed_at = $6 WHERE namespace = $1 \
             AND name = $2 AND checksum = $3 AND execution_id = $4",
        )
        .bind(&key.namespace)
        .bind(&key.name)
        .bind(&key.checksum)
        .bind(execution_id)
        .bind(state.as_str())
        .bind(now);
        self.tell("close a run of Flagger", closed.execute(&self.write))
            .await
            .map(|_| ())
    }

    /// Forgets runs that were closed before `until`, and older ones whose execution is gone.
    pub async fn forget_flagger_runs(&self, until: i64) -> Result<u64> {
        let forgotten = sqlx::query(
            "DELETE FROM flagger_run WHERE created_at < $1 AND (closed_at < $1 OR (\
             NOT EXISTS (SELECT 1 FROM execution e WHERE e.id = flagger_run.execution_id) \
             AND NOT EXISTS (SELECT 1 FROM archive a WHERE a.account = flagger_run.storage_account \
             AND a.kind = flagger_run.kind AND a.id = flagger_run.execution_id)))",
        )
        .bind(until);
        self.tell("forget runs of Flagger", forgotten.execute(&self.write))
            .await
            .map(|forgotten| forgotten.rows_affected())
    }
}

const FIND: &str = "SELECT execution_id, storage_account, state, closed_at FROM flagger_run \
                    WHERE namespace = $1 AND name = $2 AND checksum = $3";

fn flagger_row(row: &AnyRow) -> FlaggerRow {
    FlaggerRow {
        execution_id: row.get(0),
        storage_account: row.get(1),
        state: FlaggerState::parse(row.get(2)),
        closed_at: row.get(3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canary::{ExecutionStatus, Kind};
    use crate::storage::index::Outbox;
    use crate::storage::index::tests::{on_each, waiting};

    fn key(checksum: &str) -> FlaggerKey {
        FlaggerKey {
            namespace: "test".to_owned(),
            name: "podinfo".to_owned(),
            checksum: checksum.to_owned(),
        }
    }

    fn row(id: &str, build_time: i64) -> ExecutionRow {
        waiting(Kind::Analysis, id, build_time)
    }

    fn here(others: &[&str]) -> FlaggerStart {
        FlaggerStart::Here(others.iter().map(|id| (*id).to_owned()).collect())
    }

    #[tokio::test]
    async fn a_revision_has_one_run_until_it_is_closed() {
        on_each(async |index| {
            let (one, two) = (row("one", 1), row("two", 2));
            let start = async |row| {
                index
                    .start_flagger_run(&key("a"), row, None, None)
                    .await
                    .unwrap()
            };
            assert_eq!(start(&one).await, here(&[]));
            let FlaggerStart::Before(before) = start(&two).await else {
                panic!("a second run of an open revision");
            };
            assert_eq!(before.execution_id, "one");
            // What did not start left nothing.
            assert!(index.execution("two").await.unwrap().is_none());

            let close = async |id, state| {
                let closed = index.close_flagger_run(&key("a"), id, state, 5).await;
                closed.unwrap();
                index.flagger_run(&key("a")).await.unwrap().unwrap().state
            };
            // Of another execution: a late word.
            assert_eq!(
                close("zero", FlaggerState::Closed).await,
                FlaggerState::Open
            );
            let state = FlaggerState::RolledBack;
            assert_eq!(close("one", state).await, state);
            assert_eq!(start(&two).await, here(&[]));
            let found = index.flagger_run(&key("a")).await.unwrap().unwrap();
            assert_eq!((found.state, found.closed_at), (FlaggerState::Open, None));
        })
        .await;
    }

    #[tokio::test]
    async fn another_revision_takes_over_and_what_is_gone_is_replaced() {
        on_each(async |index| {
            let start = async |checksum, id, gone| {
                let row = row(id, 1);
                let started = index
                    .start_flagger_run(&key(checksum), &row, gone, None)
                    .await;
                started.unwrap()
            };
            assert_eq!(start("a", "one", None).await, here(&[]));
            assert_eq!(start("b", "two", None).await, here(&["one"]));
            assert_eq!(start("b", "three", Some("two")).await, here(&[]));
            let found = index.flagger_run(&key("a")).await.unwrap().unwrap();
            assert_eq!(found.state, FlaggerState::Closed);
        })
        .await;
    }

    #[tokio::test]
    async fn closed_runs_and_those_without_an_execution_are_forgotten() {
        on_each(async |index| {
            for (checksum, id) in [("a", "one"), ("b", "two")] {
                let row = row(id, 10);
                index
                    .start_flagger_run(&key(checksum), &row, None, None)
                    .await
                    .unwrap();
            }
            assert_eq!(index.forget_flagger_runs(10).await.unwrap(), 0);
            // The one that the other closed.
            assert_eq!(index.forget_flagger_runs(20).await.unwrap(), 1);
            let open = index.execution("two").await.unwrap().unwrap();
            let status = ExecutionStatus::Canceled;
            let nothing = Outbox::default();
            assert!(index.end(&open, status, "{}", 15, &nothing).await.unwrap());
            index.remove_execution("two").await.unwrap();
            assert_eq!(index.forget_flagger_runs(20).await.unwrap(), 1);
        })
        .await;
    }
}
