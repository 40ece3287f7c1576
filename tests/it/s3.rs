//! The S3 store, against a real server.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use serin::config::S3Account;
use serin::config::S3Credentials;
use serin::config::S3Writing;
use serin::storage::objects::ObjectStore;
use serin::storage::s3::S3Store;

use crate::harness::service;

/// An account on a bucket of its own.
pub fn account(endpoint: &str, bucket: &str) -> S3Account {
    let secret = |name| service(name).unwrap_or_default().into();
    S3Account {
        bucket: bucket.to_owned(),
        region: None,
        root_folder: "kayenta".to_owned(),
        profile_name: None,
        endpoint: Some(endpoint.to_owned()),
        credentials: Some(S3Credentials {
            access_key: secret("SERIN_TEST_S3_ACCESS_KEY"),
            secret_key: secret("SERIN_TEST_S3_SECRET_KEY"),
            session_token: None,
        }),
        writing: S3Writing::default(),
        timeout: Duration::from_secs(45),
    }
}

#[tokio::test]
async fn a_bucket_that_is_missing_is_empty_until_the_first_put_makes_it() {
    let Some(endpoint) = service("SERIN_TEST_S3_ENDPOINT") else {
        return;
    };
    let store = S3Store::new(account(&endpoint, "made-by-put"));
    assert_eq!(store.list("canary_config/").await.unwrap(), []);
    assert_eq!(store.get("canary_config/a/a.json").await.unwrap(), None);
    store
        .put("canary_config/a/a.json", Bytes::from_static(b"{}"))
        .await
        .unwrap();
    assert_eq!(store.list("canary_config/").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_listing_has_all_pages() {
    let Some(endpoint) = service("SERIN_TEST_S3_ENDPOINT") else {
        return;
    };
    let store = S3Store::new(account(&endpoint, "pages"));
    store
        .put("metrics/0000/m.json", Bytes::from_static(b"[]"))
        .await
        .unwrap();
    let puts = (1..1010).map(|index| {
        let store = &store;
        async move {
            let key = format!("metrics/{index:04}/m.json");
            store.put(&key, Bytes::from_static(b"[]")).await.unwrap();
        }
    });
    futures::stream::iter(puts)
        .buffer_unordered(16)
        .collect::<Vec<()>>()
        .await;
    assert_eq!(store.list("metrics/").await.unwrap().len(), 1010);
}

#[tokio::test]
async fn a_refused_key_and_a_silent_server_are_errors_that_name_the_bucket() {
    let Some(endpoint) = service("SERIN_TEST_S3_ENDPOINT") else {
        return;
    };
    let mut wrong = account(&endpoint, "contract-none");
    if let Some(credentials) = &mut wrong.credentials {
        credentials.secret_key = "not-the-secret".to_owned().into();
    }
    let error = S3Store::new(wrong)
        .put("g/a/a.json", Bytes::new())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("contract-none"), "{error}");
    assert!(!format!("{error:?}").contains("not-the-secret"));

    let silent = S3Store::new(account("http://127.0.0.1:9", "silent"));
    let error = silent.get("g/a/a.json").await.unwrap_err();
    assert!(error.to_string().contains("'silent'"), "{error}");
}
