//! The only place that asks the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

/// Tells the time, in epoch milliseconds.
#[derive(Clone, Debug)]
pub enum Clock {
    System,
    /// Stands still until it is set; for tests.
    Settable(Arc<AtomicI64>),
}

impl Clock {
    pub fn settable(millis: i64) -> Self {
        Self::Settable(Arc::new(AtomicI64::new(millis)))
    }

    pub fn now_millis(&self) -> i64 {
        match self {
            #[expect(clippy::disallowed_methods, reason = "this is the clock")]
            Self::System => Timestamp::now().as_millisecond(),
            Self::Settable(millis) => millis.load(Ordering::SeqCst),
        }
    }

    /// Sets a settable clock; the system's cannot be set.
    pub fn set(&self, millis: i64) {
        if let Self::Settable(clock) = self {
            clock.store(millis, Ordering::SeqCst);
        }
    }
}
