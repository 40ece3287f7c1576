//! What every store does, asked of each kind.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::fs;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use serin::config::{Account, AzureAccount, Face, FileAccount, GcsAccount, S3Account, Store};
use serin::error::{Error, Result};
use serin::storage::objects::{self, ObjectStore};

use crate::azure;
use crate::gcs;
use crate::harness::service;
use crate::s3;
use crate::scripted_s3::ScriptedS3;

const KEY: &str = "group/id/a.json";

/// As the service opens it.
fn opened(store: Store) -> std::sync::Arc<dyn ObjectStore> {
    let account = Account {
        name: String::new(),
        supported_types: Vec::new(),
        locations: Vec::new(),
        recommended_locations: Vec::new(),
        source: None,
        store: Some(store),
        face: Face::NONE,
    };
    objects::open(&account, 1 << 20).unwrap().unwrap()
}

/// What every store does, asked of an empty one.
pub async fn contract(store: &dyn ObjectStore) {
    let get = |key: &'static str| async move { store.get(key).await.unwrap() };
    let put = |key: &'static str, text: &'static str| async move {
        store
            .put(key, Bytes::from_static(text.as_bytes()))
            .await
            .unwrap();
    };
    let keys = |prefix: &'static str| async move {
        let entries = store.list(prefix).await.unwrap();
        let mut keys: Vec<String> = entries.into_iter().map(|entry| entry.key).collect();
        keys.sort();
        keys
    };

    assert_eq!(get("group/none/a.json").await, None);
    assert_eq!(keys("group/").await, [""; 0]);
    store.delete("group/none/a.json").await.unwrap();

    put("group/one/a.json", "1").await;
    put("group/one/a.json", "2").await;
    assert_eq!(get("group/one/a.json").await.as_deref(), Some(&b"2"[..]));

    // A prefix ends in '/', so an id that begins like another is not found with it.
    put("group/one-more/a.json", "3").await;
    put("other/one/b.json", "4").await;
    put("group/ä b%2F+&=.v1/c,d.json", "5").await;
    assert_eq!(keys("group/one/").await, ["group/one/a.json"]);
    assert_eq!(
        keys("group/").await,
        [
            "group/one-more/a.json",
            "group/one/a.json",
            "group/ä b%2F+&=.v1/c,d.json"
        ]
    );
    assert_eq!(
        get("group/ä b%2F+&=.v1/c,d.json").await.as_deref(),
        Some(&b"5"[..])
    );

    let before = store.list("group/one/").await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let body = Bytes::from_static(b"other");
    let version = store.put("group/one/a.json", body).await.unwrap();
    let after = store.list("group/one/").await.unwrap();
    assert_ne!(before[0].version, after[0].version);
    assert_eq!(after[0].version, version);
    assert!(before[0].updated_millis <= after[0].updated_millis);
    assert!(after[0].updated_millis > 1_500_000_000_000);

    store.delete("group/one/a.json").await.unwrap();
    assert_eq!(get("group/one/a.json").await, None);
    assert_eq!(keys("group/one/").await, [""; 0]);

    // More than one page of S3.
    let large = Bytes::from(vec![b'x'; 300_000]);
    store
        .put("group/large/a.json", large.clone())
        .await
        .unwrap();
    assert_eq!(store.get("group/large/a.json").await.unwrap(), Some(large));

    // Writers of one key never leave half an object, and readers meanwhile see none.
    let writers = (0..8).map(|writer| {
        let body = Bytes::from(vec![b'a' + writer; 100_000]);
        store.put("group/race/a.json", body)
    });
    let written = join_all(writers);
    let read = async {
        for _ in 0..20 {
            if let Some(found) = get("group/race/a.json").await {
                assert_whole(&found);
            }
        }
    };
    let (written, ()) = futures::join!(written, read);
    for written in written {
        written.unwrap();
    }
    assert_whole(&get("group/race/a.json").await.unwrap());
}

fn assert_whole(body: &Bytes) {
    assert_eq!(body.len(), 100_000);
    assert!(body.iter().all(|byte| *byte == body[0]));
}

/// How each of the verbs fails.
async fn failures(store: &dyn ObjectStore) -> [Error; 4] {
    let fails = |done: Result<()>| done.unwrap_err();
    [
        fails(store.get(KEY).await.map(|_| ())),
        fails(store.put(KEY, Bytes::from_static(b"{}")).await.map(|_| ())),
        fails(store.delete(KEY).await),
        fails(store.list("group/").await.map(|_| ())),
    ]
}

/// A store that nobody answers for may answer later: nothing is taken for missing, and nothing for wrong.
pub async fn away(store: &dyn ObjectStore) {
    for error in failures(store).await {
        assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    }
}

/// A place that was there and is gone is no empty one, whether the store saw it or was told of it;
/// it is not made anew, and all is well once it is back.
pub async fn gone(
    open: impl Fn() -> std::sync::Arc<dyn ObjectStore>,
    remove: impl AsyncFnOnce(),
    bring_back: impl AsyncFnOnce(),
) {
    let seen = open();
    seen.put(KEY, Bytes::from_static(b"{}")).await.unwrap();
    remove().await;
    let told = open();
    told.expect_objects();
    for store in [&seen, &told] {
        for error in failures(store.as_ref()).await {
            let text = error.to_string();
            assert!(text.contains("it was there before"), "{text}");
        }
    }
    bring_back().await;
    for store in [&seen, &told] {
        store.list("group/").await.unwrap();
        store.put(KEY, Bytes::from_static(b"{}")).await.unwrap();
    }
}

#[tokio::test]
async fn the_memory_keeps_the_contract() {
    contract(opened(Store::Memory).as_ref()).await;
}

#[tokio::test]
async fn a_folder_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        opened(Store::File(FileAccount {
            directory: folder.path().to_owned(),
            root_folder: "kayenta".to_owned(),
        }))
    };
    contract(open().as_ref()).await;
    let unfinished = fs::read_dir(folder.path().join(".unfinished")).unwrap();
    assert_eq!(unfinished.count(), 0);

    let (root, elsewhere) = (
        folder.path().join("kayenta"),
        folder.path().join("elsewhere"),
    );
    let remove = async || fs::rename(&root, &elsewhere).unwrap();
    let bring_back = async || {
        assert!(!root.exists(), "it was made anew");
        fs::rename(&elsewhere, &root).unwrap();
    };
    gone(open, remove, bring_back).await;
}

#[tokio::test]
async fn s3_keeps_the_contract() {
    let Some(endpoint) = service("SERIN_TEST_S3_ENDPOINT") else {
        return;
    };
    contract(opened(Store::S3(s3::account(&endpoint, "contract"))).as_ref()).await;
}

#[tokio::test]
async fn gcs_keeps_the_contract_and_is_no_empty_store_when_it_is_away_or_gone() {
    let Some(url) = service("SERIN_TEST_GCS_URL") else {
        return;
    };
    let open = || opened(Store::Gcs(gcs::account(&url, "contract")));
    contract(open().as_ref()).await;
    let remove = async || gcs::remove(&url, "contract").await;
    let bring_back = async || gcs::create(&url, "contract").await;
    gone(open, remove, bring_back).await;

    let hasty = GcsAccount {
        timeout: Duration::from_secs(1),
        ..gcs::account("http://127.0.0.1:9", "away")
    };
    away(opened(Store::Gcs(hasty)).as_ref()).await;
}

#[tokio::test]
async fn azure_keeps_the_contract_and_is_no_empty_store_when_it_is_away_or_gone() {
    let Some(url) = service("SERIN_TEST_AZURE_URL") else {
        return;
    };
    let open = || opened(Store::Azure(azure::account(&url, "contract")));
    contract(open().as_ref()).await;
    let remove = async || azure::remove(&url, "contract").await;
    let bring_back = async || azure::create(&url, "contract").await;
    gone(open, remove, bring_back).await;

    let hasty = AzureAccount {
        timeout: Duration::from_secs(1),
        ..azure::account("http://127.0.0.1:9", "away")
    };
    away(opened(Store::Azure(hasty)).as_ref()).await;
}

#[tokio::test]
async fn s3_that_is_away_or_gone_is_no_empty_store() {
    let hasty = S3Account {
        timeout: Duration::from_secs(1),
        ..s3::account("http://127.0.0.1:9", "away")
    };
    away(opened(Store::S3(hasty)).as_ref()).await;

    let server = ScriptedS3::faithful().await;
    let open = || opened(Store::S3(s3::account(&server.url, "gone")));
    let remove = async || server.remove("gone");
    let bring_back = async || server.create("gone");
    gone(open, remove, bring_back).await;
}
