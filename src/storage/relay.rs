//! What keeps replicas on one database together: events go round, and all follow one clock.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Storage;
use super::events::{self, Change, Event};
use super::index::{Listener, NOTIFICATION_BYTES};
use crate::error::Result;

/// How often the clock of the database is asked, and how often a listener hears of its own.
const EVERY: Duration = Duration::from_secs(10);

/// A listener that has heard nothing for so long listens to a connection that is gone.
const SILENCE: Duration = Duration::from_secs(25);

/// Farther from the database's clock than this, a clock is worth a word.
const WRONG_MILLIS: i64 = 2_000;

/// Keeps a listener in touch; nobody acts on it.
const BEAT: &str = "beat";

impl Storage {
    /// Passes events between this process and the others, for ever. Alone, it has nothing to do.
    pub async fn relay(&self) {
        if !self.index.is_shared() {
            return std::future::pending().await;
        }
        tokio::join!(self.follow_clock(), self.send(), self.listen());
    }

    /// Asks the database for the time. What it does not answer, is asked again soon.
    pub(super) async fn ask_time(&self) -> Result<()> {
        let asked = Instant::now();
        if let Some(millis) = self.index.time().await? {
            let ahead = self.clock.follow(millis, asked);
            let is_wrong = ahead.abs() > WRONG_MILLIS;
            if self.clock_was_wrong.swap(is_wrong, Ordering::Relaxed) != is_wrong && is_wrong {
                tracing::warn!(
                    ahead_ms = ahead,
                    "the clock of this machine differs from that of the database, which counts"
                );
            }
        }
        Ok(())
    }

    async fn follow_clock(&self) {
        loop {
            tokio::time::sleep(EVERY).await;
            if let Err(error) = self.ask_time().await {
                tracing::debug!(%error, "the clock goes on by itself");
            }
        }
    }

    async fn send(&self) {
        let Some(mut unsent) = self.events.take_unsent().await else {
            return;
        };
        let mut batch = Vec::new();
        while unsent.recv_many(&mut batch, 1_000).await > 0 {
            for text in events::write(&batch, NOTIFICATION_BYTES) {
                self.notify(&text).await;
            }
            batch.clear();
        }
    }

    pub(super) async fn notify(&self, text: &str) {
        if !self.notifies {
            return;
        }
        if let Err(error) = self.index.notify(text).await {
            tracing::debug!(%error, "other replicas find out by themselves");
        }
    }

    async fn listen(&self) {
        if !self.notifies {
            return;
        }
        loop {
            match Listener::open(&self.database).await {
                Ok(listener) => self.hear(listener).await,
                Err(error) => tracing::debug!(%error, "cannot listen to other replicas"),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Until the connection is lost, or has been silent for too long.
    async fn hear(&self, mut listener: Listener) {
        let mut beat = tokio::time::interval(EVERY);
        let mut heard_at = Instant::now();
        while heard_at.elapsed() < SILENCE {
            tokio::select! {
                heard = listener.next() => {
                    heard_at = Instant::now();
                    match heard {
                        Ok(Some(text)) => self.hear_all(&events::read(&text)).await,
                        // Whatever happened meanwhile may have been anything.
                        Ok(None) => self.hear_anything(),
                        Err(error) => {
                            tracing::debug!(%error, "cannot listen to other replicas");
                            return;
                        }
                    }
                }
                _ = beat.tick() => self.notify(BEAT).await,
            }
        }
    }

    async fn hear_all(&self, events: &[Event]) {
        for event in events {
            if event.change == Change::Amended {
                self.forget_everywhere(&event.id).await;
            }
            self.events.hear(event);
        }
    }

    fn hear_anything(&self) {
        self.finished.invalidate_all();
        for change in [Change::Due, Change::Canceled, Change::Ended] {
            let id = String::new();
            self.events.hear(&Event { change, id });
        }
    }
}
