//! `kayenta.data-migration`: what one account has and another lacks is brought there, by one replica at a time.

use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::error::Result;
use crate::storage::import::{Event, Import, Outcome};

/// As Kayenta does.
const EVERY: Duration = Duration::from_mins(1);
/// How long one round keeps others from beginning the next.
const LONGEST: Duration = Duration::from_mins(10);

/// Until `stopping`.
pub async fn work(app: App, import: Import, stopping: CancellationToken) {
    let mut asking = tokio::time::interval(EVERY);
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
            brought = bring(&app, &import) => if let Err(error) = brought {
                tracing::warn!(%error, "kayenta.data-migration: a round failed; trying again later");
            },
            () = stopping.cancelled() => return,
        }
    }
}

async fn bring(app: &App, import: &Import) -> Result<()> {
    let after = |wait| app.clock.now_millis().saturating_add(millis(wait));
    if !app
        .storage
        .take_migration(after(Duration::ZERO), after(LONGEST))
        .await?
    {
        return Ok(());
    }
    let brought = import.run(|event| tell(&event)).await;
    // A tick that comes a little early finds it due.
    app.storage.put_off_migration(after(EVERY / 2)).await?;
    let tally = brought?;
    if 0 < tally.copied {
        tracing::info!(
            copied = tally.copied,
            failed = tally.failed,
            "kayenta.data-migration brought documents"
        );
    }
    Ok(())
}

fn tell(event: &Event<'_>) {
    if let Event::Document {
        key,
        outcome: Outcome::Failed(why),
    } = event
    {
        tracing::warn!(key, why, "kayenta.data-migration cannot bring a document");
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
