//! Whether the loop that claims executions still turns.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a loop may take for a turn. The longest that it does by itself is a database that does
/// not answer, which it gives up after seconds.
const PATIENCE: Duration = Duration::from_mins(1);

const EVERY: Duration = Duration::from_secs(1);

/// Beats as long as the loop turns; silent before it begins and after it ends.
#[derive(Default)]
pub struct Heartbeat(Mutex<Option<Instant>>);

impl Heartbeat {
    pub fn beat(&self) {
        self.set(Some(Instant::now()));
    }

    /// Beats while something is waited for that takes its own time; never returns.
    pub async fn beat_on(&self) {
        loop {
            self.beat();
            tokio::time::sleep(EVERY).await;
        }
    }

    /// The loop ends as it was asked to.
    pub fn rest(&self) {
        self.set(None);
    }

    /// Whether the loop stands.
    pub fn is_late(&self) -> bool {
        self.is_late_at(Instant::now())
    }

    fn is_late_at(&self, now: Instant) -> bool {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|last| PATIENCE < now.duration_since(last))
    }

    fn set(&self, beat: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = beat;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_is_late_after_a_minute_and_not_before_its_start_or_after_its_end() {
        let heartbeat = Heartbeat::default();
        let after = |wait| Instant::now() + wait;
        assert!(!heartbeat.is_late_at(after(2 * PATIENCE)));
        heartbeat.beat();
        assert!(!heartbeat.is_late_at(after(PATIENCE / 2)));
        assert!(heartbeat.is_late_at(after(2 * PATIENCE)));
        heartbeat.rest();
        assert!(!heartbeat.is_late_at(after(2 * PATIENCE)));
    }
}
