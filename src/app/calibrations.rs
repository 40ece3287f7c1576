//! The calibrations that are made in this process: how far they are, and who stops them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// More wait for their turn elsewhere, or later.
const MOST_WAITING: usize = 8;

pub struct Calibrations {
    live: Mutex<HashMap<String, Arc<Live>>>,
    /// One at a time: each keeps a core busy.
    pub turn: Semaphore,
}

/// One of them.
#[derive(Default)]
pub struct Live {
    pub fetched: AtomicU32,
    pub judged: AtomicU32,
    /// Nobody waits for it any more.
    pub canceled: CancellationToken,
}

impl Default for Calibrations {
    fn default() -> Self {
        Self {
            live: Mutex::default(),
            turn: Semaphore::new(1),
        }
    }
}

impl Calibrations {
    /// None where too many wait.
    pub fn enter(&self, id: &str) -> Option<Arc<Live>> {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if MOST_WAITING < live.len() {
            return None;
        }
        let entered = Arc::<Live>::default();
        live.insert(id.to_owned(), Arc::clone(&entered));
        Some(entered)
    }

    pub fn of(&self, id: &str) -> Option<Arc<Live>> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.get(id).cloned()
    }

    pub fn leave(&self, id: &str) {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.remove(id);
    }
}

impl Live {
    /// Series that were fetched, and windows that were judged.
    pub fn so_far(&self) -> (u32, u32) {
        let of = |count: &AtomicU32| count.load(Ordering::Relaxed);
        (of(&self.fetched), of(&self.judged))
    }
}
