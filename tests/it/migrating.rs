//! Moving over from Kayenta, beside it, and back: on a bucket as Kayenta leaves it.

mod importing;
mod left_behind;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use axum::body::Bytes;
use serde_json::{Value, json};
use serin::config::{FileAccount, S3Account};
use serin::storage::file::FileStore;
use serin::storage::objects::ObjectStore;
use serin::storage::s3::S3Store;

use crate::command::text;
use crate::explained;
use crate::harness::{Client, Serin, service};
use crate::s3;
use crate::scripted_prometheus::{Reply, ScriptedPrometheus};

const ARCHIVED: &str = "01M7YG305ARK8ECTB8TPJXH2WJ";
const ARCHIVED_LATER: &str = "01M7YG31GRCRSFJNZNF2KENGAK";
const RENAMED: &str = "bf2b58da-d26d-4932-bb62-7ea2b003393d";
const PAIRS: &str = "2f479e60-9583-45f3-ba7e-4cd99087afbc";
const METRIC_SETS: &str = "0089fe64-1763-4632-bd55-3fbe344870c4";
const GROUPS: [&str; 5] = [
    "canary_config",
    "canary_archive",
    "standalone_canary_archive",
    "metric_pairs",
    "metrics",
];

/// Keys below the root folder and bodies of the objects that a Kayenta left.
pub fn left_by_kayenta() -> Vec<(String, Bytes)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/s3");
    let mut objects = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if let Some(key) = name.strip_prefix("kayenta__") {
            let body = Bytes::from(std::fs::read(&path).unwrap());
            objects.push((key.replace("__", "/"), body));
        }
    }
    assert_eq!(objects.len(), 9);
    objects.sort();
    objects
}

fn json_of(id: &str) -> Value {
    let mut found = left_by_kayenta();
    found.retain(|(key, _)| key.contains(&format!("/{id}/")));
    serde_json::from_slice(&found[0].1).unwrap()
}

async fn lay_out(store: &dyn ObjectStore) {
    for (key, body) in left_by_kayenta() {
        store.put(&key, body).await.unwrap();
    }
}

async fn objects(store: &dyn ObjectStore) -> Vec<(String, Bytes)> {
    let mut objects = Vec::new();
    for group in GROUPS {
        for entry in store.list(&format!("{group}/")).await.unwrap() {
            let body = store.get(&entry.key).await.unwrap().unwrap();
            objects.push((entry.key, body));
        }
    }
    objects.sort();
    objects
}

fn folder_store(directory: &Path) -> FileStore {
    FileStore::open(&FileAccount {
        directory: directory.to_owned(),
        root_folder: "kayenta".to_owned(),
    })
    .unwrap()
}

/// The `kayenta.yml` of someone who has a bucket, with a folder beside.
fn kayenta_yml(bucket: Option<&S3Account>, folder: Option<&Path>) -> String {
    let mut kayenta = json!({});
    if let Some(s3) = bucket {
        use secrecy::ExposeSecret;
        let credentials = s3.credentials.as_ref().unwrap();
        kayenta["aws"] = json!({"enabled": true, "accounts": [{
            "name": "my-s3-account", "bucket": s3.bucket, "rootFolder": "kayenta", "endpoint": s3.endpoint,
            "explicitCredentials": {
                "accessKey": credentials.access_key.expose_secret(),
                "secretKey": credentials.secret_key.expose_secret(),
            },
            "supportedTypes": ["OBJECT_STORE", "CONFIGURATION_STORE"],
        }]});
        kayenta["s3"] = json!({"enabled": true});
    }
    if let Some(folder) = folder {
        kayenta["file"] =
            json!({"enabled": true, "accounts": [{"name": "my-folder", "directory": folder}]});
    }
    json!({ "kayenta": kayenta }).to_string()
}

/// Kayenta's orchestrator wants `${` escaped; nobody else does.
fn unescaped(value: &Value) -> Value {
    serde_json::from_str(&value.to_string().replace(r"$\\{", "${")).unwrap()
}

#[tokio::test]
async fn a_folder_as_kayenta_leaves_it_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder_store(folder.path());
    lay_out(&store).await;
    is_served(&store, &kayenta_yml(None, Some(folder.path()))).await;
}

#[tokio::test]
async fn a_bucket_as_kayenta_leaves_it_is_served() {
    let Some(endpoint) = service("SERIN_TEST_S3_ENDPOINT") else {
        return;
    };
    let account = s3::account(&endpoint, "left-by-kayenta");
    let store = S3Store::new(account.clone());
    lay_out(&store).await;
    is_served(&store, &kayenta_yml(Some(&account), None)).await;
}

async fn is_served(store: &dyn ObjectStore, kayenta_yml: &str) {
    let answer = json!([{"metric": {}, "values": [[1_717_203_600, "1"], [1_717_203_660, "2"]]}]);
    let prometheus = ScriptedPrometheus::replying(vec![Reply::matrix(&answer)]).await;
    let serin = Serin::start_with(&prometheus.url, &[], Some(kayenta_yml)).await;
    let client = &serin.client;

    configs_are_found(client).await;
    reports_are_found(client).await;
    let before = objects(store).await;
    assert_eq!(before, left_by_kayenta(), "reading changes nothing");
    own_documents_lie_beside(client, store).await;
    serin.service.stop().await;
}

async fn configs_are_found(client: &Client) {
    let names = async |query: &str| {
        let (status, listed) = client.get(&format!("/canaryConfig{query}")).await;
        assert_eq!(status, 200, "{listed}");
        let mut names: Vec<String> = listed
            .as_array()
            .unwrap()
            .iter()
            .map(|summary| summary["name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names("").await, ["s3-one", "s3-renamed"]);
    assert_eq!(names("?application=web").await, ["s3-renamed"]);
    assert_eq!(names("?application=o").await, ["s3-one"]);
    let (status, config) = client.get(&format!("/canaryConfig/{RENAMED}")).await;
    assert_eq!((status, config), (200, json_of(RENAMED)));
}

async fn reports_are_found(client: &Client) {
    for id in [ARCHIVED, ARCHIVED_LATER] {
        let (status, report) = client.get(&format!("/canary/{id}")).await;
        assert_eq!(status, 200, "{report}");
        assert_eq!(unescaped(&report), unescaped(&json_of(id)));
    }
    let (_, listed) = client.get("/canary/executions?application=web").await;
    let ids: Vec<&Value> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|execution| &execution["pipelineId"])
        .collect();
    assert_eq!(ids, [ARCHIVED_LATER, ARCHIVED], "newest first");

    let (status, pairs) = client.get(&format!("/metricSetPairList/{PAIRS}")).await;
    assert_eq!((status, pairs), (200, json_of(PAIRS)));
    let (status, sets) = client.get(&format!("/metricSetList/{METRIC_SETS}")).await;
    assert_eq!((status, sets), (200, json_of(METRIC_SETS)));
}

async fn own_documents_lie_beside(client: &Client, store: &dyn ObjectStore) {
    let config = json!({
        "name": "of-serin", "applications": ["web"],
        "metrics": [{"name": "cpu", "scopeName": "default", "groups": ["g"], "query": {"type": "prometheus", "customInlineTemplate": "PromQL:cpu{version=\"${scope}\"}"}}],
        "classifier": {"groupWeights": {"g": 100}},
    });
    let (_, stored) = client.post("/canaryConfig", &config).await;
    let config_id = stored["canaryConfigId"].as_str().unwrap();
    let scope = json!({"scope": "s", "start": "2024-06-01T01:00:00Z", "end": "2024-06-01T02:00:00Z", "step": 60});
    let request = json!({
        "scopes": {"default": {"controlScope": scope, "experimentScope": scope}},
        "thresholds": {"pass": 95, "marginal": 75},
    });
    let path = format!("/canary/{config_id}?application=web");
    let id = client.start_canary(&path, &request).await;
    let report = client.poll(&id).await;
    assert_eq!(report["status"], "succeeded", "{report}");
    let pairs = report["metricSetPairListId"].as_str().unwrap();
    let expected = [
        format!("canary_config/{config_id}/of-serin.json"),
        format!("canary_archive/{id}/canary_archive.json"),
        format!("metric_pairs/{pairs}/metric_set_pairs.json"),
    ];
    let archived = wait_for(store, &expected[1]).await;
    for key in &expected {
        assert!(store.get(key).await.unwrap().is_some(), "{key}");
    }
    assert_eq!(objects(store).await.len(), 9 + expected.len());

    // Members that Kayenta writes into an archive, and its clients read.
    let archived: Value = serde_json::from_slice(&archived).unwrap();
    for member in json_of(ARCHIVED).as_object().unwrap().keys() {
        assert!(archived.get(member).is_some(), "{member}");
    }
}

/// The archive follows the end of a run.
async fn wait_for(store: &dyn ObjectStore, key: &str) -> Bytes {
    for _ in 0..500 {
        if let Some(body) = store.get(key).await.unwrap() {
            return body;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{key} does not come");
}

/// The text of the blocks that are to be run, one after the other.
fn commands(page: &str) -> String {
    let mut commands = String::new();
    for block in page.split("```sh\n").skip(1) {
        commands += block.split("```").next().unwrap();
    }
    commands
}

#[tokio::test]
async fn the_page_on_migrating_works_word_for_word() {
    let Some(endpoint) = service("SERIN_TEST_S3_ENDPOINT") else {
        return;
    };
    let account = s3::account(&endpoint, "migrating");
    let store = S3Store::new(account.clone());
    lay_out(&store).await;
    let report = unescaped(&json_of(ARCHIVED));
    let config = Bytes::from(report["config"].to_string());
    store
        .put("canary_config/s3flow/s3-flow.json", config)
        .await
        .unwrap();

    let yml = kayenta_yml(Some(&account), None);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("kayenta.yml"), &yml).unwrap();
    // It stands in for the Kayenta of the page: another one on the bucket, with an index of its own.
    let kayenta = Serin::start_with("", &[], Some(&yml)).await;
    let port = kayenta.client.url.rsplit_once(':').unwrap().1;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let own_port = free.local_addr().unwrap().port().to_string();
    drop(free);

    let page = include_str!("../../docs/migrating-from-kayenta.md");
    let script = format!(
        "set -euxo pipefail; trap 'kill $(jobs -p)' EXIT\n{}",
        commands(page)
            .replace("8091", &own_port)
            .replace("8090", port)
    );
    let binaries = Path::new(env!("CARGO_BIN_EXE_serin")).parent().unwrap();
    #[expect(
        clippy::disallowed_methods,
        reason = "the shell needs its own tools too"
    )]
    let path = format!("{}:{}", binaries.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("bash");
    shell.args(["-c", &script]).env("PATH", path);
    shell.env_remove("SERIN_CONFIG").current_dir(folder.path());
    let output = tokio::task::spawn_blocking(move || shell.output())
        .await
        .unwrap()
        .unwrap();
    let (told, traced) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{traced}");

    for part in [
        r#""name":"my-s3-account""#,
        r#""name":"s3-renamed""#,
        &format!(r#""pipelineId":"{ARCHIVED}""#),
        r#"{"canaryConfigId":"from-kayenta"}"#,
        r#"{"canaryConfigId":"from-serin"}"#,
        "10 copied, 0 replaced, 0 equal already",
        "0 copied, 0 replaced, 10 equal already",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    // The answer that follows the report: Kayenta's pairs, judged again.
    let (_, rest) = told.split_once(r#"}{"judgeName""#).unwrap();
    let judged = format!(r#"{{"judgeName"{rest}"#);
    let mut judged = serde_json::Deserializer::from_str(&judged).into_iter::<Value>();
    let mut judged = judged.next().unwrap().unwrap();
    explained::remove(&mut judged);
    assert_eq!(judged, report["result"]["judgeResult"]);
    kayenta.service.stop().await;
}
