//! What is to be sent outside of serin: who sends it is woken, and what was sent long ago forgotten.

use std::time::Duration;

use super::Storage;
use super::index::Outbox;
use crate::error::Result;

/// How long what is settled, and what belongs to nothing, stays at least.
const KEPT: Duration = Duration::from_hours(48);

/// How often it is looked for.
const FORGET_EVERY: Duration = Duration::from_hours(1);

/// The name of this work among the chores of the fleet.
const CHORE: &str = "notices";

impl Storage {
    /// Wakes who sends it, in this process; others look after a while.
    pub(super) fn announce(&self, outbox: &Outbox) {
        if !outbox.notices.is_empty() {
            self.noticed.notify_one();
        }
        if outbox.turn.is_some() {
            self.turned.notify_one();
        }
    }

    /// One replica's pass over what was sent long ago, once in a while.
    pub(super) async fn forget_sent(&self) -> Result<()> {
        let now = self.clock.now_millis();
        let next = now.saturating_add(millis(FORGET_EVERY));
        if self.index.take_chore(CHORE, now, next).await? {
            let until = now.saturating_sub(millis(KEPT));
            self.index.forget_notices(until).await?;
            self.index.forget_actions(until).await?;
        }
        Ok(())
    }
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
