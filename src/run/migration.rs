//! `kayenta.data-migration`: what one account has and another lacks is brought there, by one replica at a time.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::rounds;
use crate::app::App;
use crate::error::{Error, Result};
use crate::storage::import::{Event, Import, Outcome, Tally};

/// As Kayenta does.
const EVERY: Duration = Duration::from_mins(1);
/// How long one round keeps others from beginning the next.
const LONGEST: Duration = Duration::from_mins(10);
/// How often a round looks whether there is room for more.
const LOOK: Duration = Duration::from_secs(5);
/// Of one round: what cannot be brought fails in each.
const MOST_TOLD: usize = 10;

/// Until `stopping`; `to` is the account that `import` fills.
pub async fn work(app: App, import: Import, to: String, stopping: CancellationToken) {
    let failed = "kayenta.data-migration: a round failed";
    rounds::every(EVERY, &app, &stopping, failed, || bring(&app, &import, &to)).await;
}

async fn bring(app: &App, import: &Import, to: &str) -> Result<()> {
    let after = |wait| app.clock.now_millis().saturating_add(millis(wait));
    if !app
        .storage
        .take_migration(after(Duration::ZERO), after(LONGEST))
        .await?
    {
        return Ok(());
    }
    let brought = round(app, import, to).await;
    // A tick that comes a little early finds it due.
    app.storage.put_off_migration(after(EVERY / 2)).await?;
    let tally = brought?;
    if 0 < tally.copied || MOST_TOLD < tally.failed {
        tracing::info!(
            copied = tally.copied,
            failed = tally.failed,
            "kayenta.data-migration brought documents"
        );
    }
    Ok(())
}

/// Breaks off where a disk is nearly full: what runs needs what is left.
async fn round(app: &App, import: &Import, to: &str) -> Result<Tally> {
    app.storage.check_target(import, to).await?;
    let mut told = 0;
    let brought = import.run(move |event| {
        if told < MOST_TOLD && tell(&event) {
            told += 1;
        }
    });
    tokio::select! {
        brought = brought => brought,
        full = until_full(app, to) => Err(full),
    }
}

async fn until_full(app: &App, to: &str) -> Error {
    loop {
        tokio::time::sleep(LOOK).await;
        if let Err(full) = app.storage.check_room(to).await {
            return full;
        }
    }
}

/// Whether there was something to tell.
fn tell(event: &Event<'_>) -> bool {
    let Event::Document {
        key,
        outcome: Outcome::Failed(why),
    } = event
    else {
        return false;
    };
    tracing::warn!(key, why, "kayenta.data-migration cannot bring a document");
    true
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
