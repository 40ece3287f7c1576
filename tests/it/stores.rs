//! serin on stores that vanish, rotate their keys, were left half-written, or are several.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use serin::canary::Id;
use serin::clock::Clock;
use serin::config::{LoadOptions, load_from};
use serin::storage::Storage;

use crate::crash::{Process, free_port};
use crate::executions::{adhoc, config, request, series};
use crate::harness::{Client, Serin};
use crate::scripted_prometheus::ScriptedPrometheus;
use crate::scripted_s3::{Asked, Fate, ScriptedS3};

fn bucket(server: &ScriptedS3, name: &str, types: &[&str]) -> Value {
    json!({
        "name": name, "bucket": name, "endpoint": server.url, "timeout": "6s", "supportedTypes": types,
        "explicitCredentials": {"accessKey": "key", "secretKey": "secret"},
    })
}

const BOTH: &[&str] = &["OBJECT_STORE", "CONFIGURATION_STORE"];

fn file(kayenta: &Value) -> String {
    let mut kayenta = kayenta.clone();
    kayenta["s3"] = json!({"enabled": true});
    json!({ "kayenta": kayenta }).to_string()
}

fn on_buckets(accounts: &[Value]) -> String {
    file(&json!({"aws": {"enabled": true, "accounts": accounts}}))
}

fn stored(id: &str, name: &str) -> Value {
    let mut config = config(&["latency"]);
    config["id"] = id.into();
    config["name"] = name.into();
    config["applications"] = json!(["web"]);
    config
}

async fn store(client: &Client, id: &str, name: &str) {
    let config = stored(id, name);
    assert_eq!(client.post("/canaryConfig", &config).await.0, 200);
}

/// As it lies in a bucket: the version that was written at a time.
fn lying(id: &str, name: &str, written_at: i64) -> String {
    let mut config = stored(id, name);
    config["updatedTimestamp"] = written_at.into();
    config.to_string()
}

async fn names(client: &Client) -> Vec<String> {
    let (_, listed) = client.get("/canaryConfig").await;
    let listed = listed.as_array().unwrap();
    let name = |row: &Value| row["name"].as_str().unwrap().to_owned();
    listed.iter().map(name).collect()
}

async fn until(limit: Duration, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < limit, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_bucket_that_vanishes_costs_no_report_and_no_row() {
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    // The bucket goes with the first archive that is put.
    let s3 = ScriptedS3::start(|asked| {
        let archive = asked.method == "PUT" && asked.key.contains("canary_archive/");
        match asked.earlier {
            0 if archive => Fate::Vanish,
            _ => Fate::Serve,
        }
    })
    .await;
    let text = on_buckets(&[bucket(&s3, "reports", BOTH)]);
    let serin = Serin::start_with(&prometheus.url, &[], Some(&text)).await;
    let client = &serin.client;
    store(client, "kept", "kept").await;
    let lost = s3
        .object("reports", "kayenta/canary_config/kept/kept.json")
        .unwrap();

    let id = client
        .start_canary("/canary/kept?application=web", &request())
        .await;
    let done = client.poll(&id).await;
    assert_eq!(done["status"], "succeeded", "{done}");
    until(Duration::from_secs(5), "the archive is tried", async || {
        s3.count("PUT", "canary_archive/") > 0
    })
    .await;
    assert_eq!(
        client.get(&format!("/canary/{id}")).await,
        (200, done.clone())
    );
    let (status, body) = client.get("/canaryConfig/kept").await;
    assert_eq!(status, 500, "{body}");
    let told = body["message"].as_str().unwrap();
    assert!(
        told.contains("'reports': NoSuchBucket; it was there before"),
        "{told}"
    );
    let (status, body) = client.get("/health").await;
    assert_eq!(status, 503, "{body}");
    assert!(
        serin
            .service
            .app
            .storage
            .reconcile("reports")
            .await
            .is_err()
    );
    assert_eq!(names(client).await, ["kept"]);

    // Another process finds the rows, and no bucket.
    let index = format!("sqlite:{}", serin.data().join("serin.db").display());
    serin.service.stop().await;
    let keys = [("database.url", index.as_str())];
    let again = Serin::start_with(&prometheus.url, &keys, Some(&text)).await;
    assert_eq!(names(&again.client).await, ["kept"]);
    let (status, body) = again
        .client
        .post("/canaryConfig", &stored("new", "new"))
        .await;
    assert_eq!(status, 500, "{body}");
    let listed = again
        .client
        .get("/canary/executions?application=web")
        .await
        .1;
    assert_eq!(listed[0]["pipelineId"], id.as_str());
    let made = |asked: &Asked| asked.method == "PUT" && asked.key.is_empty();
    assert_eq!(s3.asked().iter().filter(|asked| made(asked)).count(), 1);

    s3.put("reports", "kayenta/canary_config/kept/kept.json", lost);
    let archive = format!("kayenta/canary_archive/{id}/canary_archive.json");
    until(
        Duration::from_secs(40),
        "the archive is written",
        async || s3.object("reports", &archive).is_some(),
    )
    .await;
    let archived: Value = serde_json::from_slice(&s3.object("reports", &archive).unwrap()).unwrap();
    assert_eq!(archived, done);
    assert_eq!(again.client.get("/canaryConfig/kept").await.0, 200);
}

#[tokio::test]
async fn what_cannot_be_listed_to_its_end_removes_no_row() {
    let failing = Arc::new(AtomicBool::new(false));
    let fails = Arc::clone(&failing);
    let s3 = ScriptedS3::start(move |asked| {
        let is_later_page = asked.params.contains_key("continuation-token");
        if fails.load(Ordering::SeqCst) && is_later_page {
            Fate::Refuse(403, "AccessDenied")
        } else {
            Fate::Serve
        }
    })
    .await;
    s3.set_page(1);
    let folder = tempfile::tempdir().unwrap();
    let yml = folder.path().join("serin.yml");
    std::fs::write(&yml, on_buckets(&[bucket(&s3, "reports", BOTH)])).unwrap();
    let data = folder.path().join("data").display().to_string();
    let options = LoadOptions {
        file: Some(yml),
        prometheus_url: None,
        overrides: vec![("storage.directory".to_owned(), data)],
    };
    let config = load_from(&options, &BTreeMap::new()).unwrap().config;
    let clock = Clock::settable(1_800_000_000_000);
    let open = || Storage::open(&config, clock.clone());
    let listed = async |storage: &Storage| {
        let configs = storage.canary_configs("reports", &[]).await.unwrap();
        configs
            .into_iter()
            .map(|config| config.id)
            .collect::<Vec<_>>()
    };

    for id in ["a", "b", "c"] {
        s3.put(
            "reports",
            &format!("kayenta/canary_config/{id}/{id}.json"),
            lying(id, id, 1),
        );
    }
    let storage = open().await.unwrap();
    assert_eq!(listed(&storage).await, ["a", "b", "c"]);
    // Long enough ago that a listing without them would remove the rows.
    clock.set(1_800_000_000_000 + 3_600_000);
    failing.store(true, Ordering::SeqCst);
    assert!(storage.reconcile("reports").await.is_err());
    assert_eq!(listed(&storage).await, ["a", "b", "c"]);
    failing.store(false, Ordering::SeqCst);
    storage.close().await;

    // The bucket vanishes while serin is down.
    s3.remove("reports");
    let put = async |storage: &Storage| {
        let id = Id::parse("list").unwrap();
        storage.put_metric_set_pairs("reports", &id, &[]).await
    };
    let storage = open().await.unwrap();
    assert!(put(&storage).await.is_err(), "the first thing that is done");
    storage.close().await;
    let storage = open().await.unwrap();
    assert!(storage.reconcile("reports").await.is_err());
    assert_eq!(listed(&storage).await, ["a", "b", "c"]);
    assert_eq!(
        s3.count("PUT", ""),
        s3.count("PUT", "/"),
        "no bucket was made"
    );

    // One that is made again by hand is taken at its word.
    s3.create("reports");
    storage.reconcile("reports").await.unwrap();
    assert_eq!(listed(&storage).await, [""; 0]);
    put(&storage).await.unwrap();
}

fn credentials_file(path: &Path, key: &str) {
    let text = format!("[rotating]\naws_access_key_id = {key}\naws_secret_access_key = secret\n");
    // As careful tools do it, so that no reader sees half a file.
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(beside, path).unwrap();
}

#[tokio::test]
async fn credentials_that_rotate_are_read_again_without_a_restart() {
    let accepted = Arc::new(Mutex::new("first".to_owned()));
    let now = Arc::clone(&accepted);
    let s3 = ScriptedS3::start(
        move |asked| match *now.lock().unwrap() == asked.access_key {
            true => Fate::Serve,
            false if asked.access_key == "expired" => Fate::Refuse(400, "ExpiredToken"),
            false => Fate::Refuse(403, "InvalidAccessKeyId"),
        },
    )
    .await;
    let folder = tempfile::tempdir().unwrap();
    let (keys, yml) = (
        folder.path().join("credentials"),
        folder.path().join("serin.yml"),
    );
    let mut account = bucket(&s3, "reports", BOTH);
    account
        .as_object_mut()
        .unwrap()
        .remove("explicitCredentials");
    account["profileName"] = "rotating".into();
    std::fs::write(&yml, on_buckets(&[account])).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_serin"));
    command
        .args(["serve", "--config"])
        .arg(&yml)
        .env("SERIN__STORAGE__DIRECTORY", folder.path().join("data"))
        .env("AWS_SHARED_CREDENTIALS_FILE", &keys)
        .env("AWS_CONFIG_FILE", folder.path().join("none"))
        .env("AWS_EC2_METADATA_DISABLED", "true");
    let serin = Process::spawn(command, free_port()).await;
    let client = &serin.client;
    // A config that was read is answered for a second without asking again.
    let get = async || {
        tokio::time::sleep(Duration::from_millis(1100)).await;
        client.get("/canaryConfig/c").await
    };
    let reads = async || get().await.0 == 200;

    // Nothing there yet, and it is told.
    let (status, body) = client.post("/canaryConfig", &stored("c", "c")).await;
    assert_eq!(status, 500, "{body}");
    let told = body["message"].as_str().unwrap().to_lowercase();
    assert!(
        told.contains("profile") || told.contains("credentials"),
        "{told}"
    );
    let limit = Duration::from_secs(15);
    for key in ["first", "second", "expired"] {
        accepted.lock().unwrap().replace_range(.., key);
        credentials_file(&keys, key);
        if key == "first" {
            until(limit, "the first key is found", async || {
                client.post("/canaryConfig", &stored("c", "c")).await.0 == 200
            })
            .await;
        }
        until(limit, key, reads).await;
    }
    // The server knows a new key, and the file does not yet.
    accepted.lock().unwrap().replace_range(.., "third");
    let (status, body) = get().await;
    assert_eq!(status, 500);
    assert!(
        body["message"].as_str().unwrap().contains("ExpiredToken"),
        "{body}"
    );
    credentials_file(&keys, "third");
    until(limit, "third", reads).await;
}

#[tokio::test]
async fn a_rename_that_was_cut_short_is_one_config_and_the_next_write_ends_it() {
    let s3 = ScriptedS3::faithful().await;
    let key = |id: &str, name: &str| format!("kayenta/canary_config/{id}/{name}.json");
    let put = |id: &str, name: &str, at| s3.put("reports", &key(id, name), lying(id, name, at));
    // In one second, the old name after the new one in a listing, and before it; in two seconds.
    for (id, old, new) in [
        ("one", "z-old", "a-new"),
        ("two", "a-old", "z-new"),
        ("late", "z-o", "a-n"),
    ] {
        put(id, old, 1_000);
        if id == "late" {
            s3.tick();
        }
        put(id, new, 2_000);
    }
    let text = on_buckets(&[bucket(&s3, "reports", BOTH)]);
    let serin = Serin::start_with("", &[], Some(&text)).await;
    let client = &serin.client;
    for (id, name) in [("one", "a-new"), ("two", "z-new"), ("late", "a-n")] {
        let (_, before) = client.get(&format!("/canaryConfig/{id}")).await;
        assert_eq!(before["name"], name, "before anything is listed");
    }
    let expected = ["a-n", "a-new", "z-new"];
    for _ in 0..3 {
        assert_eq!(names(client).await, expected);
        serin
            .service
            .app
            .storage
            .reconcile("reports")
            .await
            .unwrap();
        let (_, got) = client.get("/canaryConfig/one").await;
        assert_eq!(got["name"], "a-new");
    }
    // What serin itself wrote stays, when the old one could not be deleted in the same second.
    let (status, body) = client
        .put("/canaryConfig/one", &stored("one", "a-newest"))
        .await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(
        s3.keys("reports")
            .iter()
            .filter(|key| key.contains("/one/"))
            .count(),
        1
    );
    put("one", "z-old", 1_000);
    for _ in 0..2 {
        serin
            .service
            .app
            .storage
            .reconcile("reports")
            .await
            .unwrap();
        assert_eq!(names(client).await, ["a-n", "a-newest", "z-new"]);
    }
    // The old name is free again, and a delete leaves nothing.
    store(client, "other", "a-new").await;
    assert_eq!(client.delete("/canaryConfig/one").await.0, 204);
    assert_eq!(client.delete("/canaryConfig/two").await.0, 204);
    assert_eq!(
        s3.keys("reports")
            .iter()
            .filter(|key| key.contains("/one/") || key.contains("/two/"))
            .count(),
        0
    );
    assert_eq!(client.get("/canaryConfig/one").await.0, 404);
}

#[tokio::test]
async fn configs_and_reports_may_lie_in_different_accounts() {
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let s3 = ScriptedS3::faithful().await;
    let folder = tempfile::tempdir().unwrap();
    let configs = bucket(&s3, "configs", &["CONFIGURATION_STORE"]);
    let reports = bucket(&s3, "reports", &["OBJECT_STORE"]);
    let kept = |types: &str| json!({"enabled": true, "accounts": [{"name": "folder", "directory": folder.path(), "supportedTypes": [types]}]});
    let aws = |accounts: Value| json!({"enabled": true, "accounts": accounts});
    let cases = [
        (
            on_buckets(&[reports.clone(), configs.clone()]),
            "configs",
            "reports",
        ),
        (
            file(&json!({"aws": aws(json!([configs])), "file": kept("OBJECT_STORE")})),
            "configs",
            "folder",
        ),
        (
            file(&json!({"aws": aws(json!([reports])), "file": kept("CONFIGURATION_STORE")})),
            "folder",
            "reports",
        ),
    ];
    let lying = |place: &str| match place {
        "folder" => crate::harness::bucket_keys(&folder.path().join("kayenta")),
        bucket => s3
            .keys(bucket)
            .iter()
            .map(|key| key.replace("kayenta/", ""))
            .collect(),
    };
    for (index, (text, configs, reports)) in cases.into_iter().enumerate() {
        let serin = Serin::start_with(&prometheus.url, &[], Some(&text)).await;
        let client = &serin.client;
        let id = format!("c{index}");
        store(client, &id, &id).await;
        let path = format!("/canary/{id}?application=web");
        let run = client.start_canary(&path, &request()).await;
        let done = client.poll(&run).await;
        assert_eq!(done["status"], "succeeded", "{done}");
        assert_eq!(
            (
                &done["configurationAccountName"],
                &done["storageAccountName"]
            ),
            (&json!(configs), &json!(reports))
        );
        let pairs = done["metricSetPairListId"].as_str().unwrap();
        assert_eq!(
            client.get(&format!("/metricSetPairList/{pairs}")).await.0,
            200
        );
        let archive = format!("canary_archive/{run}/canary_archive.json");
        until(Duration::from_secs(5), "the archive", async || {
            lying(reports).contains(&archive)
        })
        .await;
        let (there, elsewhere) = (lying(reports), lying(configs));
        assert!(
            there.contains(&format!("metric_pairs/{pairs}/metric_set_pairs.json")),
            "{there:?}"
        );
        assert!(
            elsewhere.contains(&format!("canary_config/{id}/{id}.json")),
            "{elsewhere:?}"
        );
        assert!(
            !there
                .iter()
                .any(|key| key.contains(&format!("canary_config/{id}/"))),
            "{there:?}"
        );
        assert!(
            !elsewhere
                .iter()
                .any(|key| key.contains(&run) || key.contains(pairs)),
            "{elsewhere:?}"
        );
        let (_, listed) = client
            .get("/canary/executions?application=web&limit=1")
            .await;
        assert_eq!(listed[0]["pipelineId"], run.as_str());
    }
}

/// A small disk, unmounted when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None`, with a line, where nothing can be mounted.
    fn mount(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "none"])
            .arg(folder.path())
            .output();
        if !mounted.is_ok_and(|mounted| mounted.status.success()) {
            println!("skipped: a small disk cannot be mounted by this user");
            return None;
        }
        Some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_told_leaves_nothing_half_and_delays_the_archive() {
    let Some(disk) = SmallDisk::mount("1m") else {
        return;
    };
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let text = file(
        &json!({"file": {"enabled": true, "accounts": [{"name": "small", "directory": disk.0.path()}]}}),
    );
    let serin = Serin::start_with(&prometheus.url, &[], Some(&text)).await;
    let client = &serin.client;
    store(client, "kept", "kept").await;
    // Room for the pairs, and none for the archive with its large config.
    let filler = disk.0.path().join("filler");
    std::fs::write(&filler, vec![b'x'; 800 * 1024]).unwrap();
    let mut large = adhoc(&["latency"]);
    large["canaryConfig"]["description"] = "x".repeat(400 * 1024).into();
    let id = client.start_canary("/canary?application=web", &large).await;
    let done = client.poll(&id).await;
    assert_eq!(done["status"], "succeeded", "{}", done["exception"]);

    let mut config = stored("large", "large");
    config["description"] = "x".repeat(400 * 1024).into();
    let (status, body) = client.post("/canaryConfig", &config).await;
    assert_eq!(status, 500);
    let told = body["message"].as_str().unwrap();
    for part in [
        "'canary_config/large/large.json'",
        "No space left on device",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert_eq!(client.get("/canaryConfig/kept").await.0, 200);
    let archive = disk
        .0
        .path()
        .join(format!("kayenta/canary_archive/{id}/canary_archive.json"));
    assert!(!archive.exists());
    until(Duration::from_secs(5), "unfinished files go", async || {
        std::fs::read_dir(disk.0.path().join(".unfinished"))
            .unwrap()
            .count()
            == 0
    })
    .await;

    std::fs::remove_file(&filler).unwrap();
    until(
        Duration::from_secs(40),
        "the archive is written",
        async || archive.exists(),
    )
    .await;
    let archived: Value = serde_json::from_slice(&std::fs::read(&archive).unwrap()).unwrap();
    assert_eq!(archived, done);
    assert_eq!(client.post("/canaryConfig", &config).await.0, 200);
}
