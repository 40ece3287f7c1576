//! A steady load without faults: what grows that should not.

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};

use crate::World;

const EVERY: Duration = Duration::from_secs(10);

/// Seconds since the begin, and what was measured.
type Points = Vec<(f64, f64)>;

/// Prints memory and open files until the time is over, then their slopes.
pub async fn watch(world: &Arc<World>, time: Duration) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut points: Vec<[Points; 2]> = vec![Default::default(); world.replicas.len()];
    let mut every = interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while begun.elapsed() < time {
        every.tick().await;
        let at = begun.elapsed().as_secs_f64();
        let mut line = format!("{at:6.0} s");
        for (replica, [memory, files]) in world.replicas.iter().zip(&mut points) {
            let (resident, open) = replica.weight()?;
            write!(line, "   {:7.1} MiB {open:4} files", mib(resident))?;
            memory.push((at, mib(resident)));
            #[expect(clippy::cast_precision_loss, reason = "a count of files")]
            files.push((at, open as f64));
        }
        println!("{line}   {} executions", world.history.executions().len());
    }
    // The first fifth fills caches and pools; what levels out grows less after the half.
    for part in [0.2, 0.5] {
        let from = time.as_secs_f64() * part;
        for (number, [memory, files]) in points.iter().enumerate() {
            println!(
                "replica {number}: {:+.2} MiB an hour, {:+.2} files an hour after {from:.0} s",
                slope_an_hour(memory, from),
                slope_an_hour(files, from)
            );
        }
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "memory of a process")]
fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

/// Least squares.
#[expect(clippy::cast_precision_loss, reason = "a count of points")]
fn slope_an_hour(points: &Points, from: f64) -> f64 {
    let points = points.iter().filter(|(at, _)| from <= *at);
    let count = points.clone().count() as f64;
    let mean_x = points.clone().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.clone().map(|(_, y)| y).sum::<f64>() / count;
    let over: f64 = points
        .clone()
        .map(|(x, y)| (x - mean_x) * (y - mean_y))
        .sum();
    let under: f64 = points.map(|(x, _)| (x - mean_x).powi(2)).sum();
    over / under * 3600.0
}
