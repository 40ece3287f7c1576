//! What a fleet has still to do, for those who watch it.

use std::time::Duration;

use super::Storage;
use crate::canary::Kind;
use crate::error::Result;

#[derive(Clone, Debug)]
pub struct Backlog {
    /// A queue for every kind that waits in one.
    pub queues: Vec<Queue>,
    /// What is to be sent, by its word.
    pub outbox: [(&'static str, Unsent); 2],
    /// Executions that have ended and are not in their store.
    pub archives: u64,
}

/// Executions of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    pub kind: &'static str,
    pub unended: u64,
    /// By a lease that holds.
    pub held: u64,
    /// And held by nobody.
    pub due: u64,
    /// For how long the first of these has been due.
    pub oldest: Duration,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unsent {
    pub count: u64,
    /// Since the first of these came up.
    pub oldest: Duration,
}

impl Storage {
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn backlog(&self) -> Result<Backlog> {
        let now = self.clock.now_millis();
        let mut queues = Vec::new();
        for kind in [Kind::Canary, Kind::Analysis] {
            queues.push(self.index.queue(kind, now).await?);
        }
        Ok(Backlog {
            queues,
            outbox: [
                ("notification", self.index.unsent("notice", now).await?),
                ("action", self.index.unsent("action_call", now).await?),
            ],
            archives: self.index.unarchived().await?,
        })
    }
}
