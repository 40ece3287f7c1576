//! What must hold in the end, whatever happened.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use futures::StreamExt;
use serde_json::Value;
use serin::storage::objects::ObjectStore;
use serin::storage::s3::S3Store;
use tokio::time::sleep;

use crate::World;
use crate::canaries::{Kind, verdict};
use crate::client::look;
use crate::history::{Execution, Wrong};

/// How long everything may take to end, once nothing disturbs any more.
const LIMIT: Duration = Duration::from_mins(1);

/// How long an archive may take: its lease, and one more try.
const ARCHIVE_LIMIT: Duration = Duration::from_secs(100);

/// What is counted when an execution is there that no client knows.
pub const EXTRA: &str = "executions that nobody was told of";

/// Waits for the ends; how long it took.
pub async fn wait(world: &World) -> Duration {
    let begun = Instant::now();
    while world.history.open() > 0 && begun.elapsed() < LIMIT {
        for execution in world.history.executions() {
            if execution.end.is_none() {
                look(world, execution.canary, &execution.id, 0).await;
            }
        }
        sleep(Duration::from_millis(250)).await;
    }
    let took = begun.elapsed();
    for execution in world.history.executions() {
        if execution.end.is_none() {
            let text = format!("{} has not ended after {took:?}", execution.id);
            world.history.wrong(Wrong::Stuck, text);
        }
    }
    took
}

/// Compares every end with what every replica tells, with the bucket, and with what must be.
pub async fn check(world: &World) -> anyhow::Result<()> {
    let executions = world.history.executions();
    for replica in &world.replicas {
        if replica.ended() {
            let text = format!("replica {} ended by itself", replica.number);
            world.history.wrong(Wrong::Odd, text);
        }
        let reads = executions
            .iter()
            .map(|one| look(world, one.canary, &one.id, replica.number));
        futures::stream::iter(reads)
            .buffer_unordered(8)
            .collect::<Vec<bool>>()
            .await;
    }
    if let Some(database) = &world.postgres {
        for (id, row) in world.services.rows(database).await? {
            world.history.read(&id, &row, "its row");
        }
    }
    for execution in &executions {
        if let Some(end) = &execution.end {
            check_end(world, execution, end);
        }
    }
    check_bucket(world, &executions).await
}

/// Where only the newest stay: what clients saw of all ends, and whether what is left is whole and
/// not too much.
pub async fn check_kept(world: &World, keep: usize) -> anyhow::Result<()> {
    for execution in world.history.executions() {
        if let Some(end) = &execution.end {
            check_end(world, &execution, end);
        }
    }
    let store = world.services.store();
    let begun = Instant::now();
    // As many canaries as analyses; what ended last goes with the next round.
    while 2 * keep < archives(&store).await?.len() {
        if begun.elapsed() > ARCHIVE_LIMIT {
            let text = format!("more than {keep} executions of a kind are left");
            world.history.wrong(Wrong::Odd, text);
            break;
        }
        sleep(Duration::from_secs(1)).await;
    }
    for key in archives(&store).await?.values() {
        world.history.count("archives that are left");
        if let Err(why) = whole(&store, key).await {
            world.history.wrong(Wrong::Half, format!("{key}: {why}"));
        }
    }
    Ok(())
}

fn check_end(world: &World, execution: &Execution, end: &Value) {
    let history = &world.history;
    let status = status(end);
    history.count(format!("ended: {status}"));
    match status.as_str() {
        "succeeded" => {
            let expected = world
                .expected
                .iter()
                .find(|(canary, _)| *canary == execution.canary);
            if expected.is_none_or(|(_, verdict_)| *verdict_ != verdict(end)) {
                let text = format!("{} came to another verdict: {end}", execution.id);
                history.wrong(Wrong::Double, text);
            }
        }
        "canceled" if execution.cancel_asked => {}
        "terminal" => {
            let why = why(end);
            let operation = end["exception"]["operation"].as_str().unwrap_or_default();
            let class = class(&why, operation);
            history.count(format!("terminal: {class}"));
            let refused = execution.canary.kind == Kind::Refused;
            let poison = execution.canary.kind == Kind::Poison;
            // Who runs beside a poison is not given up with it.
            if poison != (class == GIVEN_UP) {
                let kind = execution.canary.kind;
                let text = format!("{} ({kind:?}) failed: {why}", execution.id);
                history.wrong(Wrong::Odd, text);
            }
            if class == "other" && !refused {
                let text = format!("{} failed: {why}", execution.id);
                history.wrong(Wrong::Odd, text);
            }
        }
        _ => {
            let text = format!("{} ended as {status}", execution.id);
            history.wrong(Wrong::Odd, text);
        }
    }
}

fn status(end: &Value) -> String {
    let status = end["status"].as_str().or(end["executionStatus"].as_str());
    status.unwrap_or("none").to_lowercase()
}

fn why(end: &Value) -> String {
    end["exception"]["details"]["errors"].to_string()
}

const GIVEN_UP: &str = "given up after five starts";

/// Ends that are no verdict: a query whose retries did not help may be one of them.
fn class(why: &str, operation: &str) -> &'static str {
    if why.contains("came to an end") {
        GIVEN_UP
    } else if why.contains("no_such_function") || why.contains("unknown function") {
        "a query that is refused"
    } else if operation.contains("etch") {
        // What fails later than that is not the fault of Prometheus, and no fault lasts as long as a
        // canary waits for its store.
        "a query that failed"
    } else {
        "other"
    }
}

/// Every object is whole, every end is archived as it was told, and nothing is there twice.
async fn check_bucket(world: &World, executions: &[Execution]) -> anyhow::Result<()> {
    let store = world.services.store();
    let begun = Instant::now();
    let missing = loop {
        let there = archives(&store).await?;
        let missing: Vec<&Execution> = executions
            .iter()
            .filter(|one| one.end.is_some() && !there.contains_key(&one.id))
            .collect();
        if missing.is_empty() || begun.elapsed() > ARCHIVE_LIMIT {
            break missing;
        }
        sleep(Duration::from_secs(1)).await;
    };
    for execution in missing {
        let text = format!("{} has no archive", execution.id);
        world.history.wrong(Wrong::Lost, text);
    }

    let archives = archives(&store).await?;
    let mut keys: Vec<String> = archives.values().cloned().collect();
    for entry in store.list("metric_pairs/").await? {
        keys.push(entry.key);
    }
    let mut objects = BTreeMap::new();
    for key in keys {
        match whole(&store, &key).await {
            Ok(document) => {
                objects.insert(key, document);
            }
            Err(why) => world.history.wrong(Wrong::Half, format!("{key}: {why}")),
        }
    }
    for execution in executions {
        let (Some(end), Some(key)) = (&execution.end, archives.get(&execution.id)) else {
            continue;
        };
        let Some(stored) = objects.get(key) else {
            continue;
        };
        world.history.read(&execution.id, stored, "the archive");
        if let Some(list) = end["metricSetPairListId"].as_str() {
            let key = format!("metric_pairs/{list}/metric_set_pairs.json");
            check_pairs(world, execution, end, objects.get(&key));
        }
    }
    check_extra(world, executions, &archives, &objects);
    Ok(())
}

/// The pairs behind a verdict are there, with the ids that it names.
fn check_pairs(world: &World, execution: &Execution, end: &Value, pairs: Option<&Value>) {
    let ids = |list: &Value| {
        let list = list.as_array().into_iter().flatten();
        list.map(|one| one["id"].to_string())
            .collect::<HashSet<_>>()
    };
    let named = ids(&end["result"]["judgeResult"]["results"]);
    let there = pairs.map(ids).unwrap_or_default();
    if named != there {
        let text = format!("the pairs of {} are not there, or others", execution.id);
        world.history.wrong(Wrong::Half, text);
    }
}

/// Executions that nobody was told of can come only from a POST whose answer was lost.
fn check_extra(
    world: &World,
    executions: &[Execution],
    archives: &BTreeMap<String, String>,
    objects: &BTreeMap<String, Value>,
) {
    let mut known: HashSet<&str> = executions.iter().map(|one| one.id.as_str()).collect();
    for analysis in objects.values() {
        for stage in analysis["stageStatus"].as_array().into_iter().flatten() {
            known.extend(stage["executionId"].as_str());
        }
    }
    for (id, key) in archives {
        if !known.contains(id.as_str()) {
            println!("nobody was told of {key}");
            world.history.count(EXTRA);
        }
    }
}

/// Ids of archived executions, with their keys.
pub async fn archives(store: &S3Store) -> anyhow::Result<BTreeMap<String, String>> {
    let mut archives = BTreeMap::new();
    for group in ["canary_archive/", "standalone_canary_archive/"] {
        for entry in store.list(group).await? {
            if let Some(id) = entry.key.split('/').nth(1) {
                archives.insert(id.to_owned(), entry.key.clone());
            }
        }
    }
    Ok(archives)
}

async fn whole(store: &S3Store, key: &str) -> Result<Value, String> {
    let body = store.get(key).await.map_err(|error| error.to_string())?;
    let body = body.ok_or("it is listed and not there")?;
    serde_json::from_slice(&body).map_err(|error| error.to_string())
}
