//! Moving over from Kayenta, beside it, and back: on a bucket as Kayenta leaves it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use axum::body::Bytes;
use serde_json::{Value, json};
use serin::config::{FileAccount, S3Account};
use serin::storage::file::FileStore;
use serin::storage::objects::ObjectStore;
use serin::storage::s3::S3Store;

use crate::command::{serin, text};
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

/// Runs `serin import` with that configuration: exit code, standard output, standard error.
async fn import(yml: &Path, from: &str, to: &str, more: &[&str]) -> (i32, String, String) {
    let config = yml.to_str().unwrap();
    let mut arguments = vec!["import", "--config", config, "--from", from, "--to", to];
    arguments.extend(more);
    let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
    let run = move || {
        serin(
            &arguments.iter().map(String::as_str).collect::<Vec<_>>(),
            "",
        )
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let code = output.status.code().unwrap();
    (code, text(&output.stdout), text(&output.stderr))
}

/// Two folder accounts, `old` as Kayenta leaves it and `new`, and a configuration with both.
struct TwoFolders {
    folder: tempfile::TempDir,
    old: FileStore,
    new: FileStore,
}

impl TwoFolders {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        let yml = json!({"kayenta": {
            "memory": {"enabled": true, "accounts": [{"name": "scratch"}]},
            "prometheus": {"enabled": true, "accounts": [{"name": "prom", "endpoint": {"baseUrl": "http://p"}}]},
            "file": {"enabled": true, "accounts": [{"name": "old", "directory": old}, {"name": "new", "directory": new}]},
        }});
        std::fs::write(folder.path().join("serin.yml"), yml.to_string()).unwrap();
        let two = Self {
            old: folder_store(&old),
            new: folder_store(&new),
            folder,
        };
        lay_out(&two.old).await;
        two
    }

    async fn import(&self, more: &[&str]) -> (i32, String, String) {
        let yml = self.folder.path().join("serin.yml");
        import(&yml, "old", "new", more).await
    }
}

/// Without the metric sets, which no report needs.
fn imported(mut objects: Vec<(String, Bytes)>) -> Vec<(String, Bytes)> {
    objects.retain(|(key, _)| !key.starts_with("metrics/"));
    objects
}

#[tokio::test]
async fn an_import_from_a_bucket_to_a_folder_and_back_is_equal_byte_for_byte() {
    let Some(endpoint) = service("SERIN_TEST_S3_ENDPOINT") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let yml = folder.path().join("kayenta.yml");
    let (first, second) = (
        s3::account(&endpoint, "import-from"),
        s3::account(&endpoint, "import-back"),
    );
    lay_out(&S3Store::new(first.clone())).await;

    std::fs::write(&yml, kayenta_yml(Some(&first), Some(folder.path()))).unwrap();
    let (code, told, warned) = import(&yml, "my-s3-account", "my-folder", &[]).await;
    assert_eq!(code, 0, "{warned}");
    assert!(
        told.contains("7 copied") && told.contains("1 missing"),
        "{told}"
    );
    let there = objects(&folder_store(folder.path())).await;
    assert_eq!(there, imported(left_by_kayenta()));

    std::fs::write(&yml, kayenta_yml(Some(&second), Some(folder.path()))).unwrap();
    let (code, told, warned) = import(&yml, "my-folder", "my-s3-account", &[]).await;
    assert_eq!(code, 0, "{warned}");
    assert!(told.contains("7 copied"), "{told}");
    let back = S3Store::new(second);
    assert_eq!(objects(&back).await, imported(left_by_kayenta()));

    let written = back.list("canary_config/").await.unwrap();
    let (_, told, _) = import(&yml, "my-folder", "my-s3-account", &[]).await;
    assert!(told.contains(" 0 copied, 0 replaced, 7 equal"), "{told}");
    assert_eq!(back.list("canary_config/").await.unwrap(), written);
}

#[tokio::test]
async fn an_import_tells_what_it_does_and_a_dry_one_does_nothing() {
    let two = TwoFolders::new().await;
    let (code, told, _) = two.import(&["--dry-run"]).await;
    assert_eq!(code, 0);
    assert_eq!(
        told,
        "an import would go from 'old' to 'new': 7 copied, 0 replaced, 0 equal already, \
         0 kept that differ and are newer, 1 missing in the source, 0 failed\n"
    );
    assert_eq!(objects(&two.new).await, []);

    let (code, told, lines) = two.import(&[]).await;
    assert_eq!(code, 0);
    assert!(
        told.starts_with("imported from 'old' to 'new': 7 copied"),
        "{told}"
    );
    for part in [
        "canary_config: 2 documents",
        "canary_archive: 2 documents",
        "standalone_canary_archive: 1 documents",
        "missing: metric_pairs/6d9abaa2-9898-4315-b241-53cb12ac995a is not in the source",
        "metric_pairs: 2 documents",
    ] {
        assert!(lines.contains(part), "{part} in {lines}");
    }
    assert_eq!(objects(&two.new).await, imported(left_by_kayenta()));
}

#[tokio::test]
async fn pins_come_along_and_ahead_of_what_they_keep() {
    let two = TwoFolders::new().await;
    let (key, pin) = ("pin/x/canary.json", Bytes::from_static(b"{}"));
    two.old.put(key, pin.clone()).await.unwrap();
    let (code, _, lines) = two.import(&[]).await;
    assert_eq!(code, 0);
    assert_eq!(two.new.get(key).await.unwrap(), Some(pin));
    let (pins, archives) = lines.split_once("canary_archive: ").unwrap();
    assert!(pins.contains("pin: 1 documents"), "{pins} / {archives}");
}

#[tokio::test]
async fn what_differs_is_replaced_by_the_newer_one_only() {
    let two = TwoFolders::new().await;
    two.import(&[]).await;
    let key = format!("canary_config/{RENAMED}/s3-renamed.json");
    let put = async |store: &FileStore, key: &str, body: &'static str| {
        // Times of files have to differ.
        tokio::time::sleep(Duration::from_millis(30)).await;
        store
            .put(key, Bytes::from_static(body.as_bytes()))
            .await
            .unwrap();
    };

    put(&two.new, &key, "edited in the target").await;
    let (code, told, lines) = two.import(&[]).await;
    assert_eq!(code, 0);
    assert!(told.contains("6 equal already, 1 kept"), "{told}");
    assert!(lines.contains(&format!("kept: {key}")), "{lines}");
    let kept = two.new.get(&key).await.unwrap().unwrap();
    assert_eq!(kept, "edited in the target");

    put(&two.old, &key, "edited in the source").await;
    let (_, told, _) = two.import(&[]).await;
    assert!(told.contains("0 copied, 1 replaced, 6 equal"), "{told}");
    let replaced = two.new.get(&key).await.unwrap().unwrap();
    assert_eq!(replaced, "edited in the source");

    // A rename: the id has one file again, or Kayenta would not find it.
    let renamed = format!("canary_config/{RENAMED}/once-more.json");
    put(&two.old, &renamed, "{}").await;
    two.old.delete(&key).await.unwrap();
    let (_, told, _) = two.import(&[]).await;
    assert!(told.contains("0 copied, 1 replaced, 6 equal"), "{told}");
    let folder = format!("canary_config/{RENAMED}/");
    let left = two.new.list(&folder).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].key, renamed);
}

#[tokio::test]
async fn what_cannot_be_copied_is_named_and_keeps_nothing_else() {
    let two = TwoFolders::new().await;
    // A file where a folder should be, and an archive that is none.
    let blocked = format!("canary_config/{RENAMED}");
    let in_the_way = two.folder.path().join("new/kayenta").join(&blocked);
    std::fs::create_dir_all(in_the_way.parent().unwrap()).unwrap();
    std::fs::write(&in_the_way, "").unwrap();
    let torn = "canary_archive/torn/canary_archive.json";
    two.old
        .put(torn, Bytes::from_static(b"{\"a"))
        .await
        .unwrap();

    let (code, told, lines) = two.import(&[]).await;
    assert_eq!(code, 1);
    assert!(
        told.contains("6 copied") && told.contains("2 failed"),
        "{told}"
    );
    assert!(
        lines.contains(&format!("failed: {blocked}/s3-renamed.json: cannot")),
        "{lines}"
    );
    assert!(
        lines.contains(&format!("failed: {torn}: it was copied, but")),
        "{lines}"
    );
    assert_eq!(two.new.get(torn).await.unwrap().unwrap(), "{\"a");
}

#[tokio::test]
async fn an_import_between_what_are_not_two_stores_is_refused() {
    let two = TwoFolders::new().await;
    let yml = two.folder.path().join("serin.yml");
    for (from, to, why) in [
        ("old", "old", "'old' cannot be imported into itself"),
        ("old", "none", "'none' is not in the configuration"),
        (
            "scratch",
            "new",
            "'scratch' is kept in the memory of a running serin",
        ),
        ("old", "prom", "'prom' keeps no documents"),
        ("new", "old", "'new' holds no documents"),
    ] {
        let (code, told, lines) = import(&yml, from, to, &[]).await;
        assert_eq!((code, told.as_str()), (1, ""), "{lines}");
        assert!(lines.contains(why), "{lines}");
        let accounts = lines.contains("known are 'old', 'new'") || from == "new";
        assert!(accounts, "{lines}");
    }
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
