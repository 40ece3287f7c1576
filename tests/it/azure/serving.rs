//! Whole services on a container, and the way out of one.

use std::path::PathBuf;

use axum::body::Bytes;
use serde_json::{Value, json};
use serin::config::{LoadOptions, load_from};
use serin::storage::azure::AzureStore;
use serin::storage::import::{Import, Mode};
use serin::storage::objects::ObjectStore;

use super::{ACCOUNT, KEY, account};
use crate::harness::{Serin, service};

fn azure(url: &str, container: &str) -> Value {
    json!({
        "name": "my-azure", "storageAccountName": ACCOUNT, "accountAccessKey": KEY,
        "container": container, "endpoint": {"baseUrl": url}, "timeout": "1s",
        "supportedTypes": ["OBJECT_STORE", "CONFIGURATION_STORE"],
    })
}

#[tokio::test]
async fn an_account_is_told_as_kayenta_tells_it_and_is_down_while_nobody_answers() {
    let file = json!({"kayenta": {
        "azure": {"enabled": true, "accounts": [azure("http://127.0.0.1:9", "canaries")]},
        "blobs": {"enabled": true},
    }});
    let serin = Serin::start_with("", &[], Some(&file.to_string())).await;
    let (_, credentials) = serin.client.get("/credentials").await;
    let expected = json!([{
        "name": "my-azure", "type": "azure", "bucket": "canaries", "rootFolder": "kayenta",
        "supportedTypes": ["OBJECT_STORE", "CONFIGURATION_STORE"],
        "locations": [], "recommendedLocations": [],
    }]);
    assert_eq!(credentials, expected);
    let (status, health) = serin.client.get("/health").await;
    let found = &health["components"]["storage"]["details"]["my-azure"];
    assert_eq!(
        (status, &found["status"]),
        (503, &json!("DOWN")),
        "{health}"
    );
    let told = found["error"].as_str().unwrap();
    assert!(
        told.contains("canaries") && told.contains("Connection refused"),
        "{told}"
    );
    assert!(!health.to_string().contains(KEY));
}

#[tokio::test]
async fn an_import_brings_what_a_kayenta_left_in_a_container() {
    let Some(url) = service("SERIN_TEST_AZURE_URL") else {
        return;
    };
    let store = AzureStore::open(&account(&url, "left-behind")).unwrap();
    let documents = [
        ("canary_config/a b/a b.json", "{\"name\": \"a b\"}"),
        (
            "canary_archive/x/canary_archive.json",
            "{\"pipelineId\": \"x\"}",
        ),
    ];
    for (key, body) in documents {
        store.put(key, Bytes::from(body)).await.unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let file = json!({"kayenta": {
        "azure": {"enabled": true, "accounts": [azure(&url, "left-behind")]},
        "blobs": {"enabled": true},
        "file": {"enabled": true, "accounts": [{"name": "my-files", "directory": folder.path()}]},
    }});
    let path: PathBuf = folder.path().join("kayenta.yml");
    std::fs::write(&path, file.to_string()).unwrap();
    let options = LoadOptions {
        file: Some(path),
        ..LoadOptions::default()
    };
    let config = load_from(&options, &std::collections::BTreeMap::new())
        .unwrap()
        .config;
    for (copied, equal) in [(2, 0), (0, 2)] {
        let import = Import::open(&config, "my-azure", "my-files", Mode::Copy).unwrap();
        let tally = import.run(|_| {}).await.unwrap();
        assert_eq!((tally.copied, tally.equal), (copied, equal), "{tally:?}");
    }
    for (key, body) in documents {
        let copied = std::fs::read_to_string(folder.path().join("kayenta").join(key)).unwrap();
        assert_eq!(copied, body);
    }
}
