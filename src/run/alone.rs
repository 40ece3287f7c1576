//! Executions that were under way when their process died: each runs alone, so that the one that killed it is
//! known, and those beside it are not blamed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{execute, in_place, spawn};
use crate::app::App;
use crate::error::Error;
use crate::storage::{Claim, Company};

/// How often to look for them.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long others wait for those that run one after the other, before they come to their turn.
const PHASE: Duration = Duration::from_secs(5);
/// How long what runs is waited for, before one runs beside it: this the first time, twice as long the next.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long one runs alone before others may begin: this the first time, twice as long the next.
const ALONE: Duration = Duration::from_secs(30);
/// As often it is doubled at most.
const MOST_DOUBLINGS: u32 = 10;
/// Nothing begins while what runs is waited for, so that is doubled less often: an analysis is claimed
/// for each of its steps.
const MOST_PATIENCE: i64 = 4;

#[derive(Default)]
pub struct Suspects {
    looked: Option<Instant>,
}

impl Suspects {
    /// Runs those that are due, for a while.
    pub async fn look(&mut self, app: &App, shutdown: &CancellationToken) {
        let is_recent = |looked: Instant| looked.elapsed() < LOOK_EVERY;
        if self.looked.is_some_and(is_recent) || !app.is_claiming() {
            return;
        }
        let suspect = app.storage.next_suspect().await;
        if let Ok(Some(attempt)) = suspect {
            tokio::select! {
                () = run(app, attempt) => {}
                () = app.heartbeat.beat_on() => {}
                () = shutdown.cancelled() => {}
            }
        }
        self.looked = Some(Instant::now());
    }
}

/// Why what never comes to an end is not begun again.
pub fn given_up(app: &App, claim: &Claim, what: &str) -> Option<Error> {
    let is_hopeless = claim.is_hopeless(app.config.executions.max_attempts);
    is_hopeless.then(|| {
        // The first time beside others, and then alone.
        let starts = claim.failures + 1;
        Error::Invalid(format!(
            "{what} was started {starts} times and never came to an end; it is given up"
        ))
    })
}

async fn run(app: &App, attempt: i64) {
    let places = u32::try_from(app.config.executions.max_running).unwrap_or(u32::MAX);
    let all = Arc::clone(&app.places).acquire_many_owned(places);
    match timeout(longer(PATIENCE, attempt.min(MOST_PATIENCE)), all).await {
        Ok(Ok(all)) => one_by_one(app, all).await,
        // Nobody is told from others, so nothing is counted; the next time this is waited for longer.
        Err(_) => {
            let place = Arc::clone(&app.places).acquire_owned().await;
            if let (Ok(place), Some(claim)) = (place, next(app, Company::Others).await) {
                in_place(app, place, claim, execute);
            }
        }
        // The process ends.
        Ok(Err(_)) => {}
    }
}

/// Nothing else begins here while all places are held.
async fn one_by_one(app: &App, _all: OwnedSemaphorePermit) {
    let begun = Instant::now();
    while begun.elapsed() < PHASE {
        let Some(claim) = next(app, Company::Alone).await else {
            return;
        };
        let (id, attempt) = (claim.id.clone(), claim.attempt);
        tracing::warn!(
            execution.id = id,
            attempt,
            "an execution whose process died runs alone"
        );
        let mut running = spawn(app, &id, attempt, execute(app.clone(), claim));
        tokio::select! {
            _ = &mut running => {}
            () = sleep(longer(ALONE, attempt - 1)) => {
                if let Err(error) = app.storage.joined_by_others(&id, attempt).await {
                    tracing::warn!(%error, "it will be taken for alone");
                }
                return;
            }
        }
    }
}

async fn next(app: &App, company: Company) -> Option<Claim> {
    let lease = app.config.executions.lease;
    match app.storage.claim_suspect(lease, company).await {
        Ok(claim) => claim,
        Err(error) => {
            tracing::error!(%error, "cannot claim an execution; trying again");
            None
        }
    }
}

/// `attempt` is how often it was claimed before.
fn longer(first: Duration, attempt: i64) -> Duration {
    let doublings = u32::try_from((attempt - 1).max(0)).unwrap_or(MOST_DOUBLINGS);
    first * 2_u32.pow(doublings.min(MOST_DOUBLINGS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_twice_as_long_up_to_a_bound() {
        let second = Duration::from_secs(1);
        let cases = [
            (0, 1),
            (1, 1),
            (2, 2),
            (3, 4),
            (11, 1_024),
            (i64::MAX, 1_024),
        ];
        for (attempt, expected) in cases {
            assert_eq!(longer(second, attempt), expected * second, "{attempt}");
        }
    }
}
