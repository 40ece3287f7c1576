//! Who was refused what: each is recorded, and what is tried again and again is counted.

use std::sync::{Mutex, PoisonError};

use indexmap::IndexMap;
use serde_json::json;

use super::App;
use crate::audit::{By, Deed, Entry, What};

/// How many different ones of a minute are recorded one by one.
const MOST: usize = 60;

const MINUTE: i64 = 60_000;

/// What was refused in the minute that runs.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<Minute>);

#[derive(Debug, Default)]
struct Minute {
    number: i64,
    /// How often, after the first time.
    again: IndexMap<Tried, u64>,
    /// Of others, when there were too many.
    beyond: u64,
}

/// By whom, and what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tried {
    pub by: By,
    /// A method and a path.
    pub asked: String,
    pub status: u16,
}

impl App {
    /// Records what was refused, or counts it when the same was refused in this minute.
    pub async fn refused(&self, tried: Tried, told: Option<&str>) {
        let minute = self.clock.now_millis() / MINUTE;
        self.tell_refusals().await;
        if self.refusals.count(minute, &tried) {
            let details = json!({"status": tried.status, "message": told});
            let entry = Entry::new(tried.by, Deed::Refused, What::Request, tried.asked);
            self.record_refused(entry.with(&details)).await;
        }
    }

    /// Records how often what was tried again in the minutes before.
    pub async fn tell_refusals(&self) {
        let minute = self.clock.now_millis() / MINUTE;
        let ended = self.refusals.end_before(minute);
        for (tried, times) in ended.again.into_iter().filter(|(_, times)| 0 < *times) {
            let details = json!({"status": tried.status, "timesAgain": times});
            let entry = Entry::new(tried.by, Deed::Refused, What::Request, tried.asked);
            self.record_refused(entry.with(&details)).await;
        }
        if 0 < ended.beyond {
            let entry = Entry::new(By::serin(), Deed::Refused, What::Request, "");
            let details = json!({"othersRefused": ended.beyond});
            self.record_refused(entry.with(&details)).await;
        }
    }

    /// Who was refused is told so, whether or not that can be written down.
    async fn record_refused(&self, entry: Entry) {
        if let Err(error) = self.storage.record(entry).await {
            tracing::error!(%error, "a refusal is not recorded");
        }
    }
}

impl Refusals {
    /// Whether it is the first of its kind in the minute, and one of few.
    fn count(&self, minute: i64, tried: &Tried) -> bool {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        now.number = minute;
        if let Some(again) = now.again.get_mut(tried) {
            *again += 1;
            return false;
        }
        if MOST <= now.again.len() {
            now.beyond += 1;
            return false;
        }
        now.again.insert(tried.clone(), 0);
        true
    }

    /// What was counted, if it was before that minute.
    fn end_before(&self, minute: i64) -> Minute {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now.number == minute {
            return Minute::default();
        }
        std::mem::take(&mut *now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(path: &str) -> Tried {
        Tried {
            by: By::serin(),
            asked: format!("GET {path}"),
            status: 403,
        }
    }

    #[test]
    fn who_tries_again_is_counted_and_too_many_are_counted_together() {
        let refusals = Refusals::default();
        let first = (0..100).filter(|_| refusals.count(7, &tried("/a"))).count();
        assert_eq!(first, 1);
        let others = (0..1_000).filter(|at| refusals.count(7, &tried(&format!("/{at}"))));
        assert_eq!(others.count(), MOST - 1);
        assert!(refusals.end_before(7).again.is_empty(), "it has not ended");
        let ended = refusals.end_before(8);
        assert_eq!(ended.again[&tried("/a")], 99);
        assert_eq!(ended.beyond, 1_000 - 59);
        assert!(refusals.count(8, &tried("/a")));
    }
}
