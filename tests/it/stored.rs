//! Documents that a version of serin wrote are served by every later one: `tests/stored/<version>`
//! is a root folder as that version left it. It is never written again; a version that writes
//! otherwise gets a folder of its own. The newest is also what a replica of the version before reads
//! of today's, while a fleet is brought up to date: its members are all still written.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use serin::canary::{
    CanaryAnalysisExecutionStatusResponse, CanaryExecutionStatusResponse, Execution,
};
use serin::storage::Brief;
use tempfile::TempDir;

use crate::economy;
use crate::explained;
use crate::harness::{Serin, bucket_keys};
use crate::scripted_prometheus::ScriptedPrometheus;

fn folder_of(version: &str) -> PathBuf {
    let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stored");
    stored.join(version)
}

/// With a copy of what a version stored, as serving must not be able to touch the original.
async fn serin_with(version: &str) -> (Serin, TempDir, Vec<String>) {
    let stored = folder_of(version);
    let keys = bucket_keys(&stored);
    let folder = tempfile::tempdir().unwrap();
    for key in &keys {
        let copy = folder.path().join(version).join(key);
        std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
        std::fs::copy(stored.join(key), copy).unwrap();
    }
    let yml = json!({"kayenta": {"file": {"enabled": true, "accounts": [
        {"name": "old", "directory": folder.path(), "rootFolder": version},
    ]}}});
    let prometheus = "http://127.0.0.1:9";
    let serin = Serin::start_with(prometheus, &[], Some(&yml.to_string())).await;
    (serin, folder, keys)
}

fn document(version: &str, key: &str) -> Value {
    let text = std::fs::read(folder_of(version).join(key)).unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[tokio::test]
async fn what_earlier_versions_stored_is_served() {
    for (version, count) in [("v1", 4), ("v2", 6)] {
        let (serin, folder, keys) = serin_with(version).await;
        let mut served = 0;
        for key in &keys {
            let parts: Vec<&str> = key.split('/').collect();
            let id = parts[1];
            let paths = match parts[0] {
                "canary_config" => vec![format!("/canaryConfig/{id}")],
                "canary_archive" => vec![
                    format!("/canary/{id}"),
                    format!("/canaryResultArchive/{id}"),
                ],
                "standalone_canary_archive" => vec![format!("/standalone_canary_analysis/{id}")],
                "metric_pairs" => vec![format!("/metricSetPairList/{id}")],
                "metrics" => vec![format!("/metricSetList/{id}")],
                other => panic!("'{other}' is served nowhere"),
            };
            for path in paths {
                let expected = (200, document(version, key));
                assert_eq!(serin.client.get(&path).await, expected, "{version} {path}");
            }
            served += 1;
        }
        assert_eq!(served, count, "{version}");
        let lists = [
            (
                "/canaryConfig?application=checkout",
                "name",
                "checkout-errors",
            ),
            (
                "/canary/executions?application=checkout",
                "canaryConfigId",
                "checkout",
            ),
        ];
        for (path, member, expected) in lists {
            let (status, listed) = serin.client.get(path).await;
            let found = (status, &listed[0][member]);
            assert_eq!(found, (200, &json!(expected)), "{version} {path}");
        }
        the_verdict_is_the_same(&serin, version, &keys).await;
        assert_eq!(bucket_keys(&folder.path().join(version)), keys);
        serin.service.stop().await;
    }
}

/// The stored pairs, judged again by the stored config.
async fn the_verdict_is_the_same(serin: &Serin, version: &str, keys: &[String]) {
    for key in keys.iter().filter(|key| key.starts_with("canary_archive/")) {
        let mut report = document(version, key);
        let pairs = report["metricSetPairListId"].as_str().unwrap();
        let path = format!(
            "/judges/judge?canaryConfigId=checkout&metricSetPairListId={pairs}&passThreshold=95&marginalThreshold=75"
        );
        let (status, mut judged) = serin.client.post(&path, &Value::Null).await;
        let stored = &mut report["result"]["judgeResult"];
        if version == "v1" {
            // The first version did not explain itself.
            explained::remove(&mut judged);
        } else {
            let told = [&judged, stored].map(|it| it["summary"]["outcome"].clone());
            assert_eq!(told[0], told[1], "{key}");
            // Sentences may be put better.
            explained::remove(&mut judged);
            explained::remove(stored);
        }
        assert_eq!((status, &judged), (200, &*stored), "{key}");
    }
}

/// What the index of the version before has of its archives, which replicas share.
#[test]
fn rows_of_the_version_before_and_of_today_tell_the_same() {
    let rows: Vec<Value> = serde_json::from_str(include_str!("../golden/rows-v2.json")).unwrap();
    for row in &rows {
        let id = row["id"].as_str().unwrap();
        let (group, is_canary) = match row["kind"].as_str().unwrap() {
            "canary" => ("canary_archive", true),
            _ => ("standalone_canary_archive", false),
        };
        let document = document("v2", &format!("{group}/{id}/{group}.json"));
        let mut today = if is_canary {
            let read: CanaryExecutionStatusResponse = serde_json::from_value(document).unwrap();
            Brief::of(&read.told())
        } else {
            let read: CanaryAnalysisExecutionStatusResponse =
                serde_json::from_value(document).unwrap();
            Brief::of(&read.told())
        };
        let text = row["brief"].as_str().unwrap();
        let read: Brief = serde_json::from_str(text).unwrap();
        // The version before did not tell what was judged.
        (today.judged_from, today.judged_until) = (None, None);
        assert_eq!(read, today, "{id}");
        assert_eq!(row["outcome"], today.outcome.as_str(), "{id}");
        let recorded: Value = serde_json::from_str(text).unwrap();
        let written = members(&serde_json::to_value(&today).unwrap());
        let missing = &members(&recorded) - &written;
        assert!(missing.is_empty(), "{id}: {missing:?}");
    }
    assert_eq!(rows.len(), 3);
}

#[tokio::test]
async fn all_that_the_version_before_reads_is_still_written() {
    let prometheus = ScriptedPrometheus::start(|asked| {
        let query = &asked.params["query"];
        let is_there = !(query.contains("saturation") && query.contains("v1"));
        economy::answer(asked, &["a"], |_, time| {
            let value = time / economy::MINUTE * 7 % 11 + i64::from(query.contains("v2"));
            is_there.then(|| 10.0 + f64::from(i32::try_from(value).unwrap()))
        })
    })
    .await;
    let serin = Serin::start(&prometheus.url).await;
    let client = &serin.client;
    let config = document("v2", "canary_config/checkout/checkout-errors.json");
    let (status, told) = client.post("/canaryConfig", &config).await;
    assert_eq!(status, 200, "{told}");

    let keys = bucket_keys(&folder_of("v2"));
    let recorded = |group: &str| {
        let of_group = keys.iter().filter(|key| key.starts_with(group));
        of_group.map(|key| document("v2", key)).collect::<Vec<_>>()
    };
    let canaries = recorded("canary_archive/");
    let of_analysis = |canary: &Value| canary.get("configurationAccountName").is_none();
    let canary = canaries.iter().find(|canary| !of_analysis(canary)).unwrap();
    let start = "/canary/checkout?application=checkout";
    let id = client
        .start_canary(start, &canary["canaryExecutionRequest"])
        .await;
    let today = client.poll(&id).await;
    let analysis = &recorded("standalone_canary_archive/")[0];
    let path = "/standalone_canary_analysis";
    let (status, told) = client
        .post(
            &format!("{path}/checkout?application=checkout"),
            &analysis["canaryAnalysisExecutionRequest"],
        )
        .await;
    assert_eq!(status, 200, "{told}");
    let id = told["canaryAnalysisExecutionId"].as_str().unwrap();
    let begun = std::time::Instant::now();
    let analysis_of_today = loop {
        let (_, document) = client.get(&format!("{path}/{id}?wait=20s")).await;
        if document["complete"] == true {
            break document;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "{document}");
    };
    for (recorded, today) in [(canary, &today), (analysis, &analysis_of_today)] {
        assert_eq!(recorded["outcome"], today["outcome"], "{today}");
        let missing = &members(recorded) - &members(today);
        assert!(missing.is_empty(), "{missing:#?}");
    }
    serin.service.stop().await;
}

/// The paths of all members, whatever their places in lists.
fn members(document: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    gather(document, "", &mut found);
    found
}

fn gather(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, inner) in members {
                let path = format!("{path}.{name}");
                gather(inner, &path, found);
                found.insert(path);
            }
        }
        Value::Array(elements) => elements.iter().for_each(|inner| gather(inner, path, found)),
        _ => {}
    }
}
