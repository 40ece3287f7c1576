//! serin on several stores at once, and on one that is full.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::executions::{adhoc, config, request, series};
use crate::harness::{Client, Serin};
use crate::scripted_prometheus::ScriptedPrometheus;
use crate::scripted_s3::ScriptedS3;

pub fn bucket(server: &ScriptedS3, name: &str, types: &[&str]) -> Value {
    json!({
        "name": name, "bucket": name, "endpoint": server.url, "timeout": "6s", "supportedTypes": types,
        "explicitCredentials": {"accessKey": "key", "secretKey": "secret"},
    })
}

fn file(kayenta: &Value) -> String {
    let mut kayenta = kayenta.clone();
    kayenta["s3"] = json!({"enabled": true});
    json!({ "kayenta": kayenta }).to_string()
}

pub fn on_buckets(accounts: &[Value]) -> String {
    file(&json!({"aws": {"enabled": true, "accounts": accounts}}))
}

pub fn stored(id: &str, name: &str) -> Value {
    let mut config = config(&["latency"]);
    config["id"] = id.into();
    config["name"] = name.into();
    config["applications"] = json!(["web"]);
    config
}

pub async fn store(client: &Client, id: &str, name: &str) {
    let config = stored(id, name);
    assert_eq!(client.post("/canaryConfig", &config).await.0, 200);
}

pub async fn until(limit: Duration, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < limit, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
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
    assert_eq!(status, 503);
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
