//! What a caller started itself, and hears of again by its key or from Flagger's hooks.

use super::Seen;
use crate::canary::{Id, Kind};
use crate::error::Result;
use crate::storage::events::Events;
use crate::storage::{FlaggerKey, FlaggerRun, FlaggerState, IdempotencyKey};

impl Seen<'_> {
    /// The execution that a key of this caller stands for already.
    ///
    /// # Errors
    /// `Reused` when the key came with another request.
    pub async fn started_with(&self, key: &IdempotencyKey) -> Result<Option<Id>> {
        self.app.storage.started_with(key).await
    }

    /// The run of a revision, by a key of this caller.
    pub async fn flagger_run(&self, key: &FlaggerKey) -> Result<Option<FlaggerRun>> {
        self.app.storage.flagger_run(key).await
    }

    /// Closes a run: the next hook of its revision starts anew.
    pub async fn close_flagger_run(
        &self,
        key: &FlaggerKey,
        run: &FlaggerRun,
        state: FlaggerState,
    ) -> Result<()> {
        self.app.storage.close_flagger_run(key, run, state).await
    }

    /// Whether there is an execution of that kind that has not ended: for who has seen it.
    pub async fn is_under_way(&self, kind: Kind, id: &Id) -> Result<bool> {
        self.app.storage.is_under_way(kind, id).await
    }

    /// What happens to executions: for who has seen them.
    pub fn events(&self) -> &Events {
        &self.app.storage.events
    }

    /// How often to look for what a replica may not have been told.
    pub fn look_every(&self) -> std::time::Duration {
        self.app.storage.look_every()
    }

    /// Whether there is room for something new.
    ///
    /// # Errors
    /// `Unavailable` when a disk is nearly full.
    pub async fn check_room(&self, account: &str) -> Result<()> {
        self.app.storage.check_room(account).await
    }
}
