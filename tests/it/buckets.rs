//! serin on buckets that vanish, rotate their keys or were left half-written.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use serin::canary::Id;
use serin::clock::Clock;
use serin::config::{LoadOptions, Shorthands, load_from};
use serin::storage::Storage;

use crate::crash::{Process, free_port};
use crate::executions::{request, series};
use crate::harness::{Client, Serin};
use crate::scripted_prometheus::ScriptedPrometheus;
use crate::scripted_s3::{Asked, Fate, ScriptedS3};
use crate::stores::{bucket, on_buckets, store, stored, until};

const BOTH: &[&str] = &["OBJECT_STORE", "CONFIGURATION_STORE"];

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
        shorthands: Shorthands::default(),
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
