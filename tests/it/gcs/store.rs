//! The store itself.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::Method;
use serde_json::json;
use serin::config::GcsAccount;
use serin::error::Error;
use serin::storage::gcs::GcsStore;
use serin::storage::objects::ObjectStore;

use super::account;
use crate::front::{Fault, Front, fault};
use crate::google::{Google, token};
use crate::harness::service;

#[tokio::test]
async fn a_listing_has_all_pages() {
    let Some(behind) = service("SERIN_TEST_GCS_URL") else {
        return;
    };
    let (front, url) = Front::of(&behind).await;
    let store = GcsStore::open(&account(&url, "pages")).unwrap();
    let keys = ["a", "b", "c", "d", "e"].map(|id| format!("metrics/{id}/m.json"));
    for key in &keys {
        store.put(key, Bytes::from_static(b"[]")).await.unwrap();
    }
    *front.pages.lock().unwrap() = (Some(2), 0);
    let listed = store.list("metrics/").await.unwrap();
    let listed: Vec<String> = listed.into_iter().map(|entry| entry.key).collect();
    assert_eq!(listed, keys);
    assert_eq!(front.pages.lock().unwrap().1, 3, "pages");
}

#[tokio::test]
async fn what_fails_for_a_moment_is_asked_again_and_what_is_refused_is_not() {
    let Some(behind) = service("SERIN_TEST_GCS_URL") else {
        return;
    };
    let (front, url) = Front::of(&behind).await;
    let key = "metrics/a/m.json";
    let hasty = GcsAccount {
        timeout: Duration::from_secs(2),
        ..account(&url, "faults")
    };
    let store = GcsStore::open(&hasty).unwrap();
    store.put(key, Bytes::from_static(b"[1]")).await.unwrap();

    let paths = [
        (Method::GET, "/storage/v1/b/faults/o/"),
        (Method::GET, "/storage/v1/b/faults/o"),
        (Method::POST, "/upload/storage/v1/b/faults/o"),
        (Method::DELETE, "/storage/v1/b/faults/o/"),
    ];
    let all = |status: u16, times: usize| {
        let faults = paths.clone().map(|(method, path)| Fault {
            times,
            ..fault(
                method,
                path,
                status,
                "{\"error\": {\"message\": \"in its own words\"}}",
            )
        });
        faults.to_vec()
    };
    let ask = async || {
        [
            store.get(key).await.map(|_| ()),
            store.list("metrics/").await.map(|_| ()),
            store.put(key, Bytes::from_static(b"[1]")).await.map(|_| ()),
            store.delete("metrics/none/m.json").await,
        ]
    };
    for status in [429, 500, 503, 0] {
        front.fail(all(status, 2));
        for done in ask().await {
            done.unwrap();
        }
    }
    front.fail(all(503, usize::MAX));
    for done in ask().await {
        assert!(
            matches!(&done, Err(Error::Unavailable(told)) if told.contains("'faults'")),
            "{done:?}"
        );
    }
    front.fail(all(403, 1));
    for done in ask().await {
        let error = done.unwrap_err();
        let told = error.to_string();
        assert!(matches!(error, Error::Storage { .. }), "{error:?}");
        assert!(told.contains("403 Forbidden: in its own words"), "{told}");
    }
}

#[tokio::test]
async fn requests_carry_a_token_and_another_one_when_it_is_refused() {
    let Some(behind) = service("SERIN_TEST_GCS_URL") else {
        return;
    };
    let (front, url) = Front::of(&behind).await;
    "Bearer token-0".clone_into(&mut front.refused.lock().unwrap());
    let google = Google::start(|_, earlier| token(&format!("token-{earlier}"))).await;
    let person = json!({
        "type": "authorized_user", "client_id": "id", "client_secret": "s", "refresh_token": "r",
        "token_uri": google.url,
    });
    let mut account = account(&url, "tokens");
    account.google.json_path = Some(google.write("person.json", person.to_string()));
    let store = GcsStore::open(&account).unwrap();
    assert_eq!(store.list("g/").await.unwrap(), []);
    assert_eq!(
        *front.bearers.lock().unwrap(),
        ["Bearer token-0", "Bearer token-1"]
    );

    // One that is refused again is not asked for a third time.
    "Bearer token-1".clone_into(&mut front.refused.lock().unwrap());
    google.refuse();
    let error = store.list("g/").await.unwrap_err();
    assert!(matches!(error, Error::Storage { .. }), "{error:?}");
    assert!(
        error.to_string().contains("there is no token for it"),
        "{error}"
    );
}

#[tokio::test]
async fn an_object_that_is_too_large_is_not_read() {
    let Some(url) = service("SERIN_TEST_GCS_URL") else {
        return;
    };
    let store = GcsStore::open(&account(&url, "large")).unwrap().reading(4);
    for (body, fits) in [(&b"1234"[..], true), (b"12345", false)] {
        store
            .put("g/a/a.json", Bytes::from_static(body))
            .await
            .unwrap();
        let read = store.get("g/a/a.json").await;
        assert_eq!(read.is_ok(), fits, "{read:?}");
    }
}
