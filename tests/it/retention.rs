//! `/retention` and pins: only what is due is deleted, whatever happens in between.

mod trouble;
mod unowned;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, UNIX_EPOCH};

use serde_json::{Value, json};
use serin::clock::Clock;

use crate::crash::{Process, free_port};
use crate::executions::{adhoc, series};
use crate::harness::{Client, Serin, bucket_keys, new_database};
use crate::scripted_prometheus::ScriptedPrometheus;

const NO_PROMETHEUS: &str = "http://127.0.0.1:9";

/// Runs a test with the embedded database, and with PostgreSQL where there is one.
async fn on_each_database(test: impl AsyncFn(Option<String>)) {
    test(None).await;
    if let Some(url) = new_database().await {
        test(Some(url)).await;
    }
}

/// A service on a folder of documents, with rules that it only follows when asked.
async fn start(folder: &Path, rules: &Value, database: Option<&str>) -> Serin {
    start_with(folder, rules, database, &[]).await
}

async fn start_with(
    folder: &Path,
    rules: &Value,
    database: Option<&str>,
    keys: &[(&str, &str)],
) -> Serin {
    let yml = json!({
        "retention": rules,
        "kayenta": {"file": {"enabled": true, "accounts": [
            {"name": "runs", "directory": folder, "rootFolder": "kayenta"},
        ]}},
    });
    let mut keys = keys.to_vec();
    if let Some(url) = database {
        keys.push(("database.url", url));
    }
    Serin::start_with(NO_PROMETHEUS, &keys, Some(&yml.to_string())).await
}

fn days_ago(days: i64) -> i64 {
    Clock::System.now_millis() - days * 86_400_000
}

fn write(folder: &Path, key: &str, body: &Value) {
    let path = folder.join("kayenta").join(key);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, body.to_string()).unwrap();
}

/// A canary that ended, with its pairs, as a store has it.
fn put_canary(folder: &Path, application: &str, id: &str, days: i64) {
    let archive = json!({
        "pipelineId": id, "application": application, "storageAccountName": "runs",
        "status": "succeeded", "complete": true, "stageStatus": {"judge": "succeeded"},
        "buildTimeMillis": days_ago(days), "metricSetPairListId": format!("pairs-{id}"),
    });
    put_archive(folder, id, &archive);
}

fn put_archive(folder: &Path, id: &str, archive: &Value) {
    write(folder, &archive_key(id), archive);
    write(folder, &pairs_key(id), &json!([]));
}

fn put_analysis(folder: &Path, application: &str, id: &str, days: i64) {
    let archive = json!({
        "pipelineId": id, "application": application, "storageAccountName": "runs",
        "status": "succeeded", "executionStatus": "SUCCEEDED", "complete": true, "stageStatus": [],
        "buildTimeMillis": days_ago(days),
    });
    write(folder, &analysis_key(id), &archive);
}

fn archive_key(id: &str) -> String {
    format!("canary_archive/{id}/canary_archive.json")
}

fn pairs_key(id: &str) -> String {
    format!("metric_pairs/pairs-{id}/metric_set_pairs.json")
}

fn analysis_key(id: &str) -> String {
    format!("standalone_canary_archive/{id}/standalone_canary_archive.json")
}

/// All keys, while files may go.
fn keys(folder: &Path) -> BTreeSet<String> {
    let root = folder.join("kayenta");
    let (mut keys, mut folders) = (BTreeSet::new(), vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.exists() {
                keys.insert(
                    path.strip_prefix(&root)
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .to_owned(),
                );
            }
        }
    }
    keys
}

/// Keys of the canaries with their pairs, and others.
fn keys_of(canaries: &[&str], others: &[String]) -> BTreeSet<String> {
    let canaries = canaries
        .iter()
        .flat_map(|id| [archive_key(id), pairs_key(id)]);
    canaries.chain(others.iter().cloned()).collect()
}

/// Waits until these keys are left, and no others.
async fn until_left(folder: &Path, expected: &BTreeSet<String>, limit: Duration) {
    let start = Instant::now();
    while keys(folder) != *expected {
        assert!(start.elapsed() < limit, "{:?}", keys(folder));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Ids and reasons.
fn due(report: &Value) -> Vec<(&str, &str)> {
    report["due"]
        .as_array()
        .unwrap()
        .iter()
        .map(|due| (due["id"].as_str().unwrap(), due["why"].as_str().unwrap()))
        .collect()
}

async fn ok(answer: impl Future<Output = (u16, Value)>) -> Value {
    let (status, body) = answer.await;
    assert_eq!(status, 200, "{body}");
    body
}

async fn retain(client: &Client) -> Value {
    ok(client.post("/retention", &Value::Null)).await
}

/// Of three applications and both kinds, some of them odd.
fn put_runs_of_all_kinds(folder: &Path) {
    let days = [
        ("w1", 100),
        ("w2", 95),
        ("w3", 80),
        ("w4", 3),
        ("w5", 2),
        ("w6", 1),
    ];
    for (id, days) in days {
        put_canary(folder, "web", id, days);
    }
    put_canary(folder, "shop", "s1", 60);
    put_canary(folder, "shop", "s2", 1);
    put_canary(folder, "kept", "k1", 900);
    put_analysis(folder, "web", "a1", 101);
    put_analysis(folder, "web", "a2", 102);
    // It does not tell when it began; this one was put there before it ended.
    put_archive(
        folder,
        "undated",
        &json!({"application": "web", "status": "succeeded", "complete": true}),
    );
    put_archive(
        folder,
        "unfinished",
        &json!({
            "application": "web", "status": "running", "buildTimeMillis": days_ago(200),
        }),
    );
}

#[tokio::test]
async fn rules_and_pins_say_what_goes_and_a_dry_run_says_the_same() {
    on_each_database(async |database| {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        put_runs_of_all_kinds(folder);
        let rules = json!({
            "maxAge": "90d", "maxCount": 3,
            "applications": [{"name": "kept"}, {"name": "shop", "maxCount": 1}],
        });
        let serin = start(folder, &rules, database.as_deref()).await;
        let client = &serin.client;
        for path in ["/canary/w2/pin", "/standalone_canary_analysis/a2/pin"] {
            assert_eq!(client.put(path, &Value::Null).await.0, 204);
            assert_eq!(client.put(path, &Value::Null).await.0, 204, "twice is once");
        }
        let before = keys(folder);
        assert!(before.contains("pin/w2/canary.json") && before.contains("pin/a2/analysis.json"));

        let expected = [
            ("a1", "older than 90d"),
            ("w1", "older than 90d"),
            ("w3", "more than 3 of the application"),
            ("s1", "more than 1 of the application"),
        ];
        let told = ok(client.get("/retention")).await;
        assert_eq!(due(&told), expected);
        assert_eq!((&told["total"], &told["dryRun"]), (&json!(4), &json!(true)));
        assert_eq!(told["due"][0]["kind"], "analysis");
        assert_eq!(told["due"][1]["account"], "runs");
        assert_eq!(told["rules"]["maxAge"], "90d");
        assert_eq!(told["leftOut"], json!([]));
        let page = ok(client.get("/retention?limit=3&page=2")).await;
        assert_eq!(
            (due(&page), &page["total"]),
            (expected[3..].to_vec(), &json!(4))
        );
        let dry = ok(client.post("/retention?dryRun=true", &Value::Null)).await;
        assert_eq!((due(&dry), &dry["deleted"]), (expected.to_vec(), &json!(0)));
        assert_eq!(keys(folder), before);

        let done = retain(client).await;
        assert_eq!(due(&done), expected);
        assert_eq!((&done["deleted"], &done["failed"]), (&json!(4), &json!(0)));
        let others = [
            analysis_key("a2"),
            "pin/w2/canary.json".to_owned(),
            "pin/a2/analysis.json".to_owned(),
        ];
        let kept = ["w2", "w4", "w5", "w6", "s2", "k1", "undated", "unfinished"];
        assert_eq!(keys(folder), keys_of(&kept, &others));
        assert_eq!(client.get("/canary/w1").await.0, 404);
        assert_eq!(client.get("/standalone_canary_analysis/a1").await.0, 404);
        let listed = ok(client.get("/canary/executions?application=shop")).await;
        assert_eq!(listed.as_array().unwrap().len(), 1);
        assert_eq!(retain(client).await["total"], 0, "nothing is due any more");

        // What is unpinned is due as any other.
        for path in ["/canary/w2/pin", "/standalone_canary_analysis/a2/pin"] {
            assert_eq!(client.delete(path).await.0, 204);
            assert_eq!(
                client.delete(path).await.0,
                204,
                "nothing is as good as none"
            );
        }
        let done = retain(client).await;
        assert_eq!(
            due(&done),
            [("a2", "older than 90d"), ("w2", "older than 90d")]
        );
        assert_eq!(keys(folder), keys_of(&kept[1..], &[]));
        for path in [
            "/canary/w2/pin",
            "/standalone_canary_analysis/a2/pin",
            "/canary/k2/pin",
        ] {
            assert_eq!(client.put(path, &Value::Null).await.0, 404);
            assert_eq!(client.delete(path).await.0, 404);
        }
        serin.service.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_canary_that_runs_is_left_alone_and_one_that_ended_goes_with_its_row() {
    on_each_database(async |database| {
        let slow = Arc::new(AtomicBool::new(true));
        let is_slow = Arc::clone(&slow);
        let prometheus = ScriptedPrometheus::start(move |_| {
            let delay = if is_slow.load(Ordering::SeqCst) {
                2_500
            } else {
                0
            };
            series(1.0).after(Duration::from_millis(delay))
        })
        .await;
        let mut given = vec![("retention.maxAge", "1s"), ("retention.every", "7d")];
        if let Some(url) = &database {
            given.push(("database.url", url));
        }
        let serin = Serin::start_with(&prometheus.url, &given, None).await;
        let client = &serin.client;
        let id = client
            .start_canary("/canary?application=web", &adhoc(&["m"]))
            .await;
        let pinned = client
            .start_canary("/canary?application=web", &adhoc(&["m"]))
            .await;
        let pin = format!("/canary/{pinned}/pin");
        assert_eq!(client.put(&pin, &Value::Null).await.0, 204);
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        assert_eq!(retain(client).await["total"], 0);
        slow.store(false, Ordering::SeqCst);
        client.poll(&id).await;
        client.poll(&pinned).await;

        let start = Instant::now();
        while retain(client).await["deleted"] == 0 {
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "it was never archived"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(client.get(&format!("/canary/{id}")).await.0, 404);
        assert_eq!(client.get(&format!("/canary/{pinned}")).await.0, 200);
        let listed = ok(client.get("/canary/executions?application=web")).await;
        assert_eq!(listed.as_array().unwrap().len(), 1);
        let left = bucket_keys(&serin.data().join("kayenta"));
        assert_eq!(left.len(), 3, "archive, pairs and pin: {left:?}");
        assert_eq!(client.delete(&pin).await.0, 204);
        assert_eq!(retain(client).await["deleted"], 1);
        assert_eq!(bucket_keys(&serin.data().join("kayenta")), [""; 0]);
        serin.service.stop().await;
    })
    .await;
}

#[tokio::test]
async fn an_index_that_was_lost_keeps_pins() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for index in 0..10 {
        put_canary(folder, "web", &format!("old{index}"), 10);
    }
    put_canary(folder, "web", "pinned", 20);
    put_analysis(folder, "web", "pinned", 20);
    let serin = start(folder, &json!({}), None).await;
    for path in [
        "/canary/pinned/pin",
        "/standalone_canary_analysis/pinned/pin",
    ] {
        assert_eq!(serin.client.put(path, &Value::Null).await.0, 204);
    }
    serin.service.stop().await;

    // Another index; it deletes by itself, and soon.
    on_each_database(async |database| {
        put_canary(folder, "web", "old10", 10);
        let soon = [("storage.refresh", "1s")];
        let rules = json!({"maxAge": "5d", "every": "1s"});
        let serin = start_with(folder, &rules, database.as_deref(), &soon).await;
        let others = ["pin/pinned/canary.json", "pin/pinned/analysis.json"].map(str::to_owned);
        let others = [&others[..], &[analysis_key("pinned")]].concat();
        let expected = keys_of(&["pinned"], &others);
        until_left(folder, &expected, Duration::from_secs(20)).await;
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert_eq!(keys(folder), expected);
        assert_eq!(ok(serin.client.get("/retention")).await["total"], 0);
        serin.service.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_dry_run_of_the_configuration_never_deletes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    put_canary(folder, "web", "old", 10);
    let soon = [("storage.refresh", "1s")];
    let rules = json!({"maxAge": "5d", "every": "1s", "dryRun": true});
    let serin = start_with(folder, &rules, None, &soon).await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let told = retain(&serin.client).await;
    assert_eq!((&told["total"], &told["deleted"]), (&json!(1), &json!(0)));
    assert_eq!(told["dryRun"], true);
    assert_eq!(keys(folder), keys_of(&["old"], &[]));
    serin.service.stop().await;
}
