//! Faults, done to the world and taken back.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::time::sleep;

use crate::World;
use crate::arguments::Database;
use crate::client;
use crate::history::Wrong;
use crate::plan::{Fault, Planned};
use crate::proxies::{Service, Toxic};

/// How long a replica may take to end: the grace of its shutdown, and what its database lets it wait.
const LONGEST_END: Duration = Duration::from_mins(1);

/// All faults of a plan; returns when the last one is over.
pub async fn inject(world: &Arc<World>, plan: Vec<Planned>) {
    let start = tokio::time::Instant::now();
    let mut under_way = tokio::task::JoinSet::new();
    for planned in plan {
        tokio::time::sleep_until(start + planned.at).await;
        let world = Arc::clone(world);
        under_way.spawn(async move {
            let name = planned.fault.name();
            match one(&world, &planned.fault, planned.lasts).await {
                Ok(true) => world.history.count(format!("fault: {name}")),
                Ok(false) => world.history.count("fault: left out"),
                Err(error) => {
                    let text = format!("the fault '{name}' cannot be done: {error:#}");
                    world.history.wrong(Wrong::Odd, text);
                }
            }
        });
    }
    while under_way.join_next().await.is_some() {}
}

/// Starts replicas again as an orchestrator does. One that cannot reach its database may give up
/// its start; none may end later.
pub async fn supervise(world: Arc<World>) {
    loop {
        sleep(Duration::from_secs(1)).await;
        for replica in &world.replicas {
            let Ok(_busy) = replica.busy.try_lock() else {
                continue;
            };
            if !replica.ended() {
                continue;
            }
            let words = replica.last_words();
            // It was not there, or the connection broke while the start used it.
            let is_without = words.starts_with("serin: the database of database.url")
                || words
                    .starts_with("serin: cannot open the index: the database cannot be reached");
            if is_without {
                world.history.count("a start without database");
            } else {
                let text = format!("replica {} ended by itself: {words}", replica.number);
                world.history.wrong(Wrong::Odd, text);
            }
            if let Err(error) = replica.start() {
                world.history.wrong(Wrong::Odd, error.to_string());
            }
        }
    }
}

/// Kills every replica that asks for a poison, as one does that takes more memory than there is.
pub async fn poison(world: Arc<World>) {
    loop {
        while let Some((number, at)) = world.prometheus.poisoned() {
            let replica = &world.replicas[number];
            let _busy = replica.busy.lock().await;
            // Of several queries the first one has killed it already.
            if at < replica.started() {
                continue;
            }
            replica.kill();
            world.history.count("killed by a poison");
            sleep(Duration::from_millis(300)).await;
            if let Err(error) = replica.start() {
                world.history.wrong(Wrong::Odd, error.to_string());
            }
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// `false`: it does not apply, or what it is about suffers from another one.
async fn one(world: &World, fault: &Fault, lasts: Duration) -> anyhow::Result<bool> {
    match fault {
        Fault::Kill { replica } => {
            let replica = &world.replicas[*replica];
            let Ok(_busy) = replica.busy.try_lock() else {
                return Ok(false);
            };
            replica.kill();
            sleep(lasts).await;
            replica.start()?;
        }
        Fault::Terminate { replica } => {
            let replica = &world.replicas[*replica];
            // An update comes to every replica, whatever else happened to it.
            let _busy = replica.busy.lock().await;
            replica.signal("TERM")?;
            let start = tokio::time::Instant::now();
            while !replica.ended() {
                ensure!(start.elapsed() < LONGEST_END, "it does not end");
                sleep(Duration::from_millis(50)).await;
            }
            sleep(lasts).await;
            replica.start()?;
        }
        Fault::Poison => client::poison(world).await,
        Fault::Pause { replica } => {
            let replica = &world.replicas[*replica];
            let Ok(_busy) = replica.busy.try_lock() else {
                return Ok(false);
            };
            replica.signal("STOP")?;
            sleep(lasts).await;
            replica.signal("CONT")?;
        }
        Fault::Clock { replica, seconds } => {
            let replica = &world.replicas[*replica];
            let Ok(_busy) = replica.clock_busy.try_lock() else {
                return Ok(false);
            };
            if world.services.faketime.is_none() {
                return Ok(false);
            }
            replica.set_clock(*seconds)?;
            sleep(lasts).await;
            replica.set_clock(0)?;
        }
        Fault::RestartPostgres { immediate } => {
            let Ok(_busy) = world.postgres_busy.try_lock() else {
                return Ok(false);
            };
            if world.database == Database::Sqlite {
                return Ok(false);
            }
            let mode = if *immediate { "immediate" } else { "fast" };
            control_postgres(world, mode).await?;
            sleep(lasts).await;
            control_postgres(world, "start").await?;
        }
        Fault::Network {
            service,
            replica,
            toxic,
        } => return network(world, *service, *replica, *toxic, lasts).await,
        Fault::Http { service, mood } => {
            let (middleman, busy) = match service {
                Service::Store => (&world.store, &world.store_busy),
                _ => (&world.prometheus, &world.prometheus_busy),
            };
            let Ok(_busy) = busy.try_lock() else {
                return Ok(false);
            };
            middleman.set(Some(*mood));
            sleep(lasts).await;
            middleman.set(None);
        }
    }
    Ok(true)
}

async fn network(
    world: &World,
    service: Service,
    replica: Option<usize>,
    toxic: Toxic,
    lasts: Duration,
) -> anyhow::Result<bool> {
    if service == Service::Database && world.database == Database::Sqlite {
        return Ok(false);
    }
    let all = 0..world.replicas.len();
    let whom: Vec<usize> = all
        .filter(|number| replica.is_none_or(|one| one == *number))
        .collect();
    let mut busy = Vec::new();
    for number in &whom {
        let Ok(lock) = world.network_busy[&service][*number].try_lock() else {
            return Ok(false);
        };
        busy.push(lock);
    }
    for number in &whom {
        world.toxiproxy.add(service, *number, toxic).await?;
    }
    sleep(lasts).await;
    for number in &whom {
        world.toxiproxy.remove(service, *number, toxic).await?;
    }
    Ok(true)
}

async fn control_postgres(world: &World, what: &'static str) -> anyhow::Result<()> {
    let services = world.services.clone();
    tokio::task::spawn_blocking(move || services.control_postgres(what))
        .await
        .context("the control of PostgreSQL did not come back")?
}
