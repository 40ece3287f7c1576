//! Documents that a version of serin wrote are served by every later one: `tests/stored/<version>`
//! is a root folder as that version left it. It is never written again; a version that writes
//! otherwise gets a folder of its own.

use std::path::Path;

use serde_json::{Value, json};

use crate::explained;
use crate::harness::{Serin, bucket_keys};

#[tokio::test]
async fn what_the_first_version_stored_is_served() {
    let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stored/v1");
    let keys = bucket_keys(&stored);
    // A copy, as serving must not be able to touch the original.
    let folder = tempfile::tempdir().unwrap();
    for key in &keys {
        let copy = folder.path().join("v1").join(key);
        std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
        std::fs::copy(stored.join(key), copy).unwrap();
    }
    let yml = json!({"kayenta": {"file": {"enabled": true, "accounts": [
        {"name": "old", "directory": folder.path(), "rootFolder": "v1"},
    ]}}});
    let prometheus = "http://127.0.0.1:9";
    let serin = Serin::start_with(prometheus, &[], Some(&yml.to_string())).await;

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
            "metric_pairs" => vec![format!("/metricSetPairList/{id}")],
            "metrics" => vec![format!("/metricSetList/{id}")],
            other => panic!("'{other}' is served nowhere"),
        };
        let text = std::fs::read(stored.join(key)).unwrap();
        let document: Value = serde_json::from_slice(&text).unwrap();
        for path in paths {
            assert_eq!(serin.client.get(&path).await, (200, document.clone()));
        }
        served += 1;
    }
    assert_eq!(served, 4);
    for (path, member, expected) in [
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
    ] {
        let (status, listed) = serin.client.get(path).await;
        assert_eq!(
            (status, &listed[0][member]),
            (200, &json!(expected)),
            "{path}"
        );
    }
    the_verdict_is_the_same(&serin, &keys).await;
    assert_eq!(bucket_keys(&folder.path().join("v1")), keys);
    serin.service.stop().await;
}

/// The stored pairs, judged again by the stored config.
async fn the_verdict_is_the_same(serin: &Serin, keys: &[String]) {
    let id_in = |group: &str| {
        let key = keys.iter().find(|key| key.starts_with(group)).unwrap();
        key.split('/').nth(1).unwrap().to_owned()
    };
    let pairs = id_in("metric_pairs/");
    let path = format!(
        "/judges/judge?canaryConfigId=checkout&metricSetPairListId={pairs}&passThreshold=95&marginalThreshold=75"
    );
    let (status, mut judged) = serin.client.post(&path, &Value::Null).await;
    // The first version did not explain itself.
    explained::remove(&mut judged);
    let (_, report) = serin
        .client
        .get(&format!("/canary/{}", id_in("canary_archive/")))
        .await;
    assert_eq!((status, &judged), (200, &report["result"]["judgeResult"]));
}
