//! What a replica does now and then, as long as it takes work.

use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::error::Result;

/// Until `stopping`; `failed` begins the line of a round that fails.
pub async fn every<F: Future<Output = Result<()>>>(
    pause: Duration,
    app: &App,
    stopping: &CancellationToken,
    failed: &str,
    mut round: impl FnMut() -> F,
) {
    let mut asking = tokio::time::interval(pause);
    asking.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = asking.tick() => {}
            () = stopping.cancelled() => return,
        }
        if !app.takes_work() {
            continue;
        }
        tokio::select! {
            done = round() => if let Err(error) = done {
                tracing::warn!(%error, "{failed}; trying again later");
            },
            () = stopping.cancelled() => return,
        }
    }
}
