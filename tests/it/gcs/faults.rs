//! What the store does about a service that is slow, has too much to do, or says too much.

use std::time::{Duration, Instant};

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

const KEY: &str = "g/a/a.json";
const OBJECT: &str = "/storage/v1/b/b/o/";
const UPLOADS: &str = "/upload/storage/v1/b/b/o";

/// A store with that time limit, and what is in front of it.
async fn store(timeout: Duration) -> (GcsStore, Front) {
    let (front, url) = Front::of("http://127.0.0.1:9").await;
    let hasty = GcsAccount {
        timeout,
        ..account(&url, "b")
    };
    (GcsStore::open(&hasty).unwrap(), front)
}

#[tokio::test]
async fn an_upload_has_all_of_the_time_limit() {
    let (store, front) = store(Duration::from_secs(3)).await;
    front.fail(vec![Fault {
        after: Duration::from_millis(1_500),
        ..fault(Method::POST, UPLOADS, 200, r#"{"generation": "7"}"#)
    }]);
    let body = Bytes::from_static(b"[]");
    assert_eq!(store.put(KEY, body).await.unwrap(), "7");
    assert_eq!(front.came.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn who_has_too_much_to_do_is_asked_when_it_says() {
    let ok = fault(Method::GET, OBJECT, 200, "[]");
    for status in [429, 503] {
        let (store, front) = store(Duration::from_secs(6)).await;
        let busy = |seconds| Fault {
            times: 1,
            retry_after: Some(seconds),
            ..fault(Method::GET, OBJECT, status, "")
        };
        front.fail(vec![busy(1), ok.clone()]);
        assert!(store.get(KEY).await.is_ok());
        let came = front.came.lock().unwrap().clone();
        let [first, second] = came[..] else {
            panic!("{came:?}")
        };
        let waited = second - first;
        assert!(Duration::from_secs(1) <= waited, "{status}: {waited:?}");

        // Nobody waits for a time after the limit.
        front.fail(vec![busy(60), ok.clone()]);
        let began = Instant::now();
        let error = store.get(KEY).await.unwrap_err();
        assert!(
            matches!(&error, Error::Unavailable(told) if told.contains(&status.to_string())),
            "{error:?}"
        );
        assert!(began.elapsed() < Duration::from_secs(1));
    }
}

#[tokio::test]
async fn a_refusal_is_told_without_the_token_that_it_repeats() {
    let google = Google::start(|_, _| token("top-secret-token")).await;
    let person = json!({
        "type": "authorized_user", "client_id": "id", "client_secret": "s", "refresh_token": "r",
        "token_uri": google.url,
    });
    let (front, url) = Front::of("http://127.0.0.1:9").await;
    let mut account = account(&url, "b");
    account.google.json_path = Some(google.write("person.json", person.to_string()));
    let store = GcsStore::open(&account).unwrap();
    let body = json!({"error": {"message": "top-secret-token may not"}}).to_string();
    front.fail(vec![fault(Method::GET, OBJECT, 403, &body)]);
    let told = store.get(KEY).await.unwrap_err().to_string();
    assert!(told.ends_with("403 Forbidden: … may not"), "{told}");
}

#[tokio::test]
async fn what_a_service_says_is_read_to_a_bound() {
    let (store, front) = store(Duration::from_secs(20)).await;
    let long = json!({"error": {"message": "no ".repeat(2_000)}}).to_string();
    front.fail(vec![fault(Method::GET, OBJECT, 403, &long)]);
    let told = store.get(KEY).await.unwrap_err().to_string();
    assert!(told.len() < 2_000, "{told}");

    let endless = |method, path, status| Fault {
        is_endless: true,
        ..fault(method, path, status, &" ".repeat(64 << 10))
    };
    front.fail(vec![
        endless(Method::GET, OBJECT, 403),
        endless(Method::POST, UPLOADS, 200),
        endless(Method::GET, OBJECT.trim_end_matches('/'), 200),
    ]);
    let began = Instant::now();
    let error = store.get(KEY).await.unwrap_err();
    assert!(error.to_string().contains("403"), "{error}");
    assert!(store.put(KEY, Bytes::new()).await.is_err());
    assert!(store.list("g/").await.is_err());
    assert!(began.elapsed() < Duration::from_secs(10));
}
