//! `/retention` and pins: only what is due is deleted, whatever happens in between.

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

#[tokio::test]
async fn a_kill_while_many_are_deleted_harms_nothing() {
    const OLD: usize = 400;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for index in 0..OLD {
        put_canary(folder, "web", &format!("old{index:03}"), 10);
    }
    for id in ["new1", "new2"] {
        put_canary(folder, "web", id, 1);
    }
    let port = free_port();
    let given = [
        ("SERIN__RETENTION__MAX_AGE", "5d"),
        ("SERIN__RETENTION__EVERY", "1s"),
        ("SERIN__STORAGE__REFRESH", "1s"),
    ];
    let mut left = OLD;
    for wanted in [350, 250, 120] {
        let mut serin = Process::start_with(folder, NO_PROMETHEUS, port, &given).await;
        let start = Instant::now();
        while wanted < left {
            assert!(start.elapsed() < Duration::from_secs(30), "{left} are left");
            tokio::time::sleep(Duration::from_millis(1)).await;
            left = archives(folder).len() - 2;
        }
        serin.kill();
        let archives = archives(folder);
        let referred: BTreeSet<String> = archives.iter().map(|id| pairs_key(id)).collect();
        let orphans: Vec<String> = keys(folder)
            .into_iter()
            .filter(|key| key.starts_with("metric_pairs/") && !referred.contains(key))
            .collect();
        assert!(
            orphans.is_empty(),
            "pairs that nobody would delete: {orphans:?}"
        );
    }
    assert!(
        0 < left && left < OLD,
        "killed in the middle: {left} are left"
    );

    let serin = Process::start_with(folder, NO_PROMETHEUS, port, &given).await;
    let expected = keys_of(&["new1", "new2"], &[]);
    until_left(folder, &expected, Duration::from_secs(30)).await;
    let listed = ok(serin
        .client
        .get("/canary/executions?application=web&limit=1000"))
    .await;
    let ids: BTreeSet<&str> = (listed.as_array().unwrap().iter())
        .map(|run| run["pipelineId"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["new1", "new2"].into());
}

/// The ids of all archives.
fn archives(folder: &Path) -> BTreeSet<String> {
    let archives = folder.join("kayenta/canary_archive");
    let ids = std::fs::read_dir(archives).unwrap();
    ids.map(|id| id.unwrap().file_name().into_string().unwrap())
        .filter(|id| folder.join("kayenta").join(archive_key(id)).exists())
        .collect()
}

#[tokio::test]
async fn what_a_store_does_not_let_go_stays_due_and_keeps_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for id in ["stuck", "free"] {
        put_canary(folder, "web", id, 10);
    }
    // Files that not even root can delete.
    let pairs = folder.join("kayenta/metric_pairs/pairs-stuck");
    std::fs::remove_dir_all(&pairs).unwrap();
    std::os::unix::fs::symlink("/proc/sys/kernel/random", &pairs).unwrap();

    let serin = start(folder, &json!({"maxAge": "5d", "every": "7d"}), None).await;
    // The archive is the last to go, so the next pass finds it due again.
    for deleted in [1, 0, 0] {
        let done = retain(&serin.client).await;
        assert_eq!(
            (&done["deleted"], &done["failed"]),
            (&json!(deleted), &json!(1)),
            "{done}"
        );
        assert!(archives(folder).contains("stuck"));
    }
    std::fs::remove_file(&pairs).unwrap();
    write(folder, &pairs_key("stuck"), &json!([]));
    assert_eq!(
        due(&retain(&serin.client).await),
        [("stuck", "older than 5d")]
    );
    assert_eq!(keys(folder), BTreeSet::new());
    serin.service.stop().await;
}

#[tokio::test]
async fn many_replicas_at_once_delete_what_is_due_and_do_not_fail() {
    let Some(database) = new_database().await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let rules = json!({"maxAge": "5d", "every": "7d"});
    let (one, two) = (
        start(folder, &rules, Some(&database)).await,
        start(folder, &rules, Some(&database)).await,
    );
    for index in 0..200 {
        put_canary(folder, "web", &format!("old{index}"), 10);
    }
    let (first, second) = tokio::join!(retain(&one.client), retain(&two.client));
    // A reconciliation of one may find what the other has not quite deleted: done twice, it is harmless.
    let deleted: BTreeSet<&str> = [&first, &second]
        .into_iter()
        .flat_map(|report| due(report).into_iter().map(|(id, _)| id))
        .collect();
    assert_eq!(deleted.len(), 200);
    assert_eq!(
        (&first["failed"], &second["failed"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(keys(folder), BTreeSet::new());
    one.service.stop().await;
    two.service.stop().await;
}

#[tokio::test]
async fn an_account_whose_store_cannot_be_listed_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    put_canary(folder, "web", "old", 10);
    let serin = start(folder, &json!({"maxAge": "5d", "dryRun": true}), None).await;
    assert_eq!(retain(&serin.client).await["total"], 1);
    // A folder that is a file cannot be listed.
    write(folder, "pin", &json!({}));
    let told = retain(&serin.client).await;
    assert_eq!((&told["total"], &told["due"]), (&json!(0), &json!([])));
    assert_eq!(told["leftOut"][0]["account"], "runs", "{told}");
    serin.service.stop().await;
}

#[tokio::test]
async fn pairs_that_an_unreadable_canary_may_own_stay() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    put_canary(folder, "web", "read", 1);
    let (pairs, sets) = (
        "metric_pairs/posted/metric_set_pairs.json",
        "metrics/posted/metric_sets.json",
    );
    for key in [pairs, sets] {
        write(folder, key, &json!([]));
        age(folder, key, 8);
    }
    write(folder, &archive_key("unread"), &json!("not an execution"));
    let serin = start(folder, &json!({"unownedMaxAge": "7d"}), None).await;
    // What cannot be read is read once, and stays unread.
    for deleted in [1, 0] {
        let told = retain(&serin.client).await;
        assert_eq!(told["unowned"]["deleted"], deleted, "{told}");
        assert_eq!(told["leftOut"][0]["account"], "runs", "{told}");
        assert!(keys(folder).contains(pairs) && !keys(folder).contains(sets));
    }
    std::fs::remove_dir_all(folder.join("kayenta/canary_archive/unread")).unwrap();
    let told = retain(&serin.client).await;
    assert_eq!(told["unowned"]["deleted"], 1, "{told}");
    assert_eq!(told["leftOut"], json!([]));
    assert!(!keys(folder).contains(pairs));
    serin.service.stop().await;
}

/// As old as that, by its file.
fn age(folder: &Path, key: &str, days: i64) {
    let path = folder.join("kayenta").join(key);
    let file = std::fs::File::options().write(true).open(path).unwrap();
    let written = Duration::from_millis(u64::try_from(days_ago(days)).unwrap());
    file.set_modified(UNIX_EPOCH + written).unwrap();
}

#[tokio::test]
async fn metric_sets_and_pairs_that_no_execution_owns_go_when_they_are_old() {
    on_each_database(async |database| {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        put_canary(folder, "web", "of-kayenta", 1);
        let failed = json!({
            "pipelineId": "own", "application": "web", "status": "terminal", "complete": true,
            "buildTimeMillis": days_ago(1),
        });
        write(folder, &archive_key("own"), &failed);
        let own = serin::storage::pair_list_of_run("own").to_string();
        let lists = [
            // group      id                  file                     days  stays
            (
                "metric_pairs",
                "pairs-of-kayenta",
                "metric_set_pairs.json",
                100,
                true,
            ),
            ("metric_pairs", &own, "metric_set_pairs.json", 100, true),
            ("metric_pairs", "posted", "metric_set_pairs.json", 8, false),
            (
                "metric_pairs",
                "posted-lately",
                "metric_set_pairs.json",
                6,
                true,
            ),
            ("metrics", "posted", "metric_sets.json", 8, false),
            ("metrics", "posted-lately", "metric_sets.json", 6, true),
        ];
        for (group, id, file, days, _) in lists {
            let key = format!("{group}/{id}/{file}");
            write(folder, &key, &json!([]));
            age(folder, &key, days);
        }
        let before = keys(folder);
        let rules = json!({"unownedMaxAge": "7d"});
        let serin = start(folder, &rules, database.as_deref()).await;
        let client = &serin.client;
        let told = ok(client.get("/retention")).await;
        assert_eq!(told["rules"]["unownedMaxAge"], "7d");
        let due = json!({"total": 2, "deleted": 0, "failed": 0});
        assert_eq!((&told["unowned"], &told["total"]), (&due, &json!(0)));
        let dry = ok(client.post("/retention?dryRun=true", &Value::Null)).await;
        assert_eq!((&dry["unowned"], &keys(folder)), (&due, &before));
        let done = retain(client).await;
        let expected = json!({"total": 2, "deleted": 2, "failed": 0});
        assert_eq!((&done["unowned"], &done["deleted"]), (&expected, &json!(0)));
        let gone = lists.iter().filter(|(.., stays)| !stays);
        let gone: BTreeSet<_> = gone
            .map(|(group, id, file, ..)| format!("{group}/{id}/{file}"))
            .collect();
        assert_eq!(keys(folder), &before - &gone);
        // What owned them takes them with it.
        assert_eq!(
            client.delete("/canaryResultArchive/of-kayenta").await.0,
            204
        );
        assert_eq!(retain(client).await["unowned"]["deleted"], 1);
    })
    .await;
}
