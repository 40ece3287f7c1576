//! How much may wait: beyond it nothing is accepted, so that what was accepted is reached.

use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

use super::Storage;
use crate::canary::Kind;
use crate::error::{Error, Result};

/// How old a count may be. Replicas count for themselves between, so that a fleet may accept a
/// little more than it says.
const COUNTED_FOR: Duration = Duration::from_millis(250);

/// Executions of a kind that have not ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct Waiting {
    count: u64,
    bytes: u64,
    counted_at: Option<Instant>,
}

impl Waiting {
    /// Whether who asks should count. Meanwhile the others go by the last count: a slow database
    /// must not queue them up.
    fn wants_count(&mut self) -> bool {
        let is_old = self.counted_at.is_none_or(|at| COUNTED_FOR < at.elapsed());
        if is_old {
            self.counted_at = Some(Instant::now());
        }
        is_old
    }
}

impl Storage {
    /// Whether one more of `bytes` may wait.
    ///
    /// # Errors
    /// `Unavailable` when enough wait already.
    pub(super) async fn admit(&self, kind: Kind, bytes: usize) -> Result<()> {
        if self.lock_waiting(kind, Waiting::wants_count) {
            let (count, bytes) = self.index.waiting(kind).await?;
            self.lock_waiting(kind, |waiting| {
                *waiting = Waiting {
                    count,
                    bytes,
                    counted_at: Some(Instant::now()),
                };
            });
        }
        self.lock_waiting(kind, |waiting| self.count_in(waiting, kind, bytes as u64))
    }

    fn lock_waiting<T>(&self, kind: Kind, work: impl FnOnce(&mut Waiting) -> T) -> T {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        work(waiting.entry(kind).or_default())
    }

    fn count_in(&self, waiting: &mut Waiting, kind: Kind, bytes: u64) -> Result<()> {
        let limits = &self.limits;
        let refused = if limits.max_waiting <= waiting.count {
            Some(format!("{} executions", waiting.count))
        } else if limits.max_waiting_bytes < waiting.bytes.saturating_add(bytes) {
            Some(format!("executions of {} bytes", waiting.bytes))
        } else {
            None
        };
        if let Some(waiting) = refused {
            ::metrics::counter!("serin_executions_refused_total", "kind" => kind.as_str())
                .increment(1);
            return Err(Error::Unavailable(format!(
                "{waiting} have not ended yet, which is as much as serin takes; \
                 nothing was started, try again later"
            )));
        }
        waiting.count += 1;
        waiting.bytes += bytes;
        Ok(())
    }
}
