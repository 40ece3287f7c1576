//! How long it takes until another replica goes on with what a dead one held.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;
use tokio::time::sleep;

use crate::World;
use crate::canaries::{Canary, Kind, marked};
use crate::history::Wrong;

/// The lease is 10 s.
const LIMIT: Duration = Duration::from_secs(15);

/// Kills the replica that fetches a canary, and waits until another one fetches it.
pub async fn measure(world: &World, mark: &str) -> anyhow::Result<Duration> {
    let first = &world.replicas[0];
    let answer: Value = world
        .http
        .post(format!("{}/canary?application=faults", first.url))
        .json(&marked(mark))
        .send()
        .await?
        .error_for_status()?
        .json()
        .await?;
    let id = answer["canaryExecutionId"]
        .as_str()
        .context("a POST gives an id")?;
    let canary = Canary {
        kind: Kind::AdHoc,
        hour: 0,
    };
    world.history.acknowledge(canary, id);

    let begun = Instant::now();
    let owner = loop {
        if let Some(asked) = world.prometheus.asked(mark).first() {
            break &world.replicas[asked.replica];
        }
        ensure!(begun.elapsed() < LIMIT, "nobody works on {id}");
        sleep(Duration::from_millis(10)).await;
    };
    let _busy = owner.busy.lock().await;
    owner.kill();
    let killed = Instant::now();
    let taken = loop {
        let asked = world.prometheus.asked(mark);
        if let Some(other) = asked.iter().find(|asked| asked.replica != owner.number) {
            break other.at.duration_since(killed);
        }
        if killed.elapsed() > 2 * LIMIT {
            break killed.elapsed();
        }
        sleep(Duration::from_millis(10)).await;
    };
    if taken > LIMIT {
        let text = format!("{id} was taken over after {taken:?}");
        world.history.wrong(Wrong::Slow, text);
    }
    owner.start()?;
    owner.ready(&world.http).await?;
    world.history.count("fault: kill -9 of an owner");
    while !crate::client::look(world, canary, id, first.number).await {
        ensure!(begun.elapsed() < 4 * LIMIT, "{id} does not end");
        sleep(Duration::from_millis(100)).await;
    }
    Ok(taken)
}
