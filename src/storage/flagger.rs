//! The analyses that Flagger's hooks ask for: one for every revision of a canary.

use super::acceptance::accepted;
use super::events::Change;
use super::index::{FlaggerKey, FlaggerRow, FlaggerStart, FlaggerState};
use super::{Begun, Storage};
use crate::audit::Entry;
use crate::canary::{Execution, Id};
use crate::error::Result;

/// How long a run stays known after it was closed.
const CLOSED_FOR: i64 = 24 * 60 * 60 * 1000;

/// The run of one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlaggerRun {
    pub id: Id,
    pub storage_account: String,
    pub state: FlaggerState,
    /// Epoch milliseconds.
    pub closed_at: Option<i64>,
}

impl Storage {
    pub async fn flagger_run(&self, key: &FlaggerKey) -> Result<Option<FlaggerRun>> {
        let row = self.index.flagger_run(key).await?;
        row.map(run).transpose()
    }

    /// Accepts an execution as the run of a revision, unless one is open that is not `gone`: then
    /// that is the answer. With the runs of other revisions, which nobody asks for any more.
    /// Durable after [`Storage::durable`].
    ///
    /// # Errors
    /// `Unavailable` when enough wait already.
    pub async fn begin_for_flagger<R: Execution>(
        &self,
        document: &R,
        key: &FlaggerKey,
        gone: Option<&Id>,
        record: Option<Entry>,
    ) -> Result<(Begun, Vec<Id>)> {
        let row = accepted(document, None)?;
        self.check_room(&row.storage_account).await?;
        self.admit(R::KIND, row.document.len()).await?;
        let gone = gone.map(Id::as_str);
        let record = record.map(|record| self.now(record));
        let started = self
            .index
            .start_flagger_run(key, &row, gone, record.as_ref());
        let others = match Box::pin(started).await? {
            FlaggerStart::Before(before) => {
                return run(before).map(|run| (Begun::Before(run.id), Vec::new()));
            }
            FlaggerStart::Here(others) => others,
        };
        self.events.tell(Change::Due, &row.id);
        let others = others.iter().map(|other| Id::parse(other));
        Ok((Begun::Here(None), others.collect::<Result<_>>()?))
    }

    /// Closes a run: the next hook of its revision starts anew. One that goes on is to be
    /// canceled.
    pub async fn close_flagger_run(
        &self,
        key: &FlaggerKey,
        run: &FlaggerRun,
        state: FlaggerState,
    ) -> Result<()> {
        let now = self.clock.now_millis();
        let closed = self
            .index
            .close_flagger_run(key, run.id.as_str(), state, now);
        closed.await?;
        self.index.durable().await
    }

    pub(super) async fn forget_flagger_runs(&self) -> Result<u64> {
        let until = self.clock.now_millis() - CLOSED_FOR;
        self.index.forget_flagger_runs(until).await
    }
}

fn run(row: FlaggerRow) -> Result<FlaggerRun> {
    Ok(FlaggerRun {
        id: Id::parse(&row.execution_id)?,
        storage_account: row.storage_account,
        state: row.state,
        closed_at: row.closed_at,
    })
}
