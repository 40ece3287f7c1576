//! The only place that asks the time.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Tells the time, in epoch milliseconds.
#[derive(Clone, Debug)]
pub enum Clock {
    System,
    /// That of a database which many replicas share, from the first time it is told.
    Shared(Arc<RwLock<Option<Told>>>),
    /// Stands still until it is set; for tests.
    Settable(Arc<AtomicI64>),
}

/// What a shared clock showed, and when: from there on the time is measured and not asked, so that
/// a clock of this machine which is set or wrong changes nothing.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    millis: i64,
    at: Instant,
}

impl Clock {
    pub fn shared() -> Self {
        Self::Shared(Arc::default())
    }

    pub fn settable(millis: i64) -> Self {
        Self::Settable(Arc::new(AtomicI64::new(millis)))
    }

    pub fn now_millis(&self) -> i64 {
        match self {
            #[expect(clippy::disallowed_methods, reason = "this is the clock")]
            Self::System => Timestamp::now().as_millisecond(),
            Self::Shared(told) => match *told.read().unwrap_or_else(PoisonError::into_inner) {
                Some(told) => told.millis.saturating_add(millis(told.at.elapsed())),
                None => Self::System.now_millis(),
            },
            Self::Settable(millis) => millis.load(Ordering::SeqCst),
        }
    }

    /// Sets a settable clock; the system's cannot be set.
    pub fn set(&self, millis: i64) {
        if let Self::Settable(clock) = self {
            clock.store(millis, Ordering::SeqCst);
        }
    }

    /// Follows the shared clock, which showed `millis` within the time since `asked`. How far this
    /// machine's clock is ahead of it, in milliseconds; others are not moved by it.
    pub fn follow(&self, millis: i64, asked: Instant) -> i64 {
        let Self::Shared(told) = self else {
            return 0;
        };
        let halfway = asked.elapsed() / 2;
        let millis = millis.saturating_sub(self::millis(halfway));
        let showed = Told { millis, at: asked };
        *told.write().unwrap_or_else(PoisonError::into_inner) = Some(showed);
        Self::System.now_millis() - self.now_millis()
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_clock_goes_on_from_what_it_was_told() {
        let clock = Clock::shared();
        let before = clock.now_millis();
        assert!((Clock::System.now_millis() - before).abs() < 1_000);
        let hour = 3_600_000;
        let ahead = clock.follow(before + hour, Instant::now());
        assert!((ahead + hour).abs() < 1_000, "{ahead}");
        let later = clock.now_millis();
        assert!((before + hour..before + hour + 1_000).contains(&later));
    }
}
