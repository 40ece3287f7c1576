//! The store itself.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::Method;
use futures::StreamExt;
use jiff::Timestamp;
use serin::clock::Clock;
use serin::config::{AzureAccount, AzureCredentials};
use serin::error::Error;
use serin::storage::azure::AzureStore;
use serin::storage::objects::ObjectStore;

use super::{ACCOUNT, account, create, signature};
use crate::front::{Fault, Front, fault};
use crate::harness::service;

const NAME: &str = "metrics/a/m.json";

/// What stands in front of a container, and its account.
async fn in_front_of(container: &str, timeout: Duration) -> Option<(Front, AzureAccount)> {
    let behind = service("SERIN_TEST_AZURE_URL")?;
    let (host, path) = behind.rsplit_once('/').unwrap();
    let (front, url) = Front::of(host).await;
    let account = AzureAccount {
        timeout,
        ..account(&format!("{url}/{path}"), container)
    };
    Some((front, account))
}

#[tokio::test]
async fn a_listing_has_all_pages() {
    let Some((front, account)) = in_front_of("pages", Duration::from_secs(45)).await else {
        return;
    };
    let store = AzureStore::open(&account).unwrap();
    let put = async |index: usize| {
        let key = format!("metrics/{index:04}/m.json");
        store.put(&key, Bytes::from_static(b"[]")).await.unwrap();
    };
    put(0).await;
    let rest = futures::stream::iter((1..1010).map(put));
    rest.buffer_unordered(16).collect::<Vec<()>>().await;
    let before = front.came.lock().unwrap().len();
    assert_eq!(store.list("metrics/").await.unwrap().len(), 1010);
    assert_eq!(front.came.lock().unwrap().len() - before, 2, "pages");
}

#[tokio::test]
async fn what_fails_for_a_moment_is_asked_again_and_what_is_refused_is_not() {
    let limit = Duration::from_secs(3);
    let Some((front, account)) = in_front_of("faults", limit).await else {
        return;
    };
    let store = AzureStore::open(&account).unwrap();
    store.put(NAME, Bytes::from_static(b"[1]")).await.unwrap();

    let below = format!("/{ACCOUNT}/faults/");
    let whole = below.trim_end_matches('/');
    let paths = [
        (Method::GET, below.as_str()),
        (Method::GET, whole),
        (Method::PUT, &below),
        (Method::DELETE, &below),
    ];
    let all = |status: u16, times: usize| {
        let words =
            "<Error><Code>SomeCode</Code><Message>in its own words\nTime:1</Message></Error>";
        let faults = paths.clone().map(|(method, path)| Fault {
            times,
            ..fault(method, path, status, words)
        });
        faults.to_vec()
    };
    let ask = async || {
        [
            store.get(NAME).await.map(|_| ()),
            store.list("metrics/").await.map(|_| ()),
            store
                .put(NAME, Bytes::from_static(b"[1]"))
                .await
                .map(|_| ()),
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
    for status in [400, 403, 404, 409] {
        front.fail(all(status, 1));
        for done in ask().await {
            let error = done.unwrap_err();
            let told = error.to_string();
            assert!(matches!(error, Error::Storage { .. }), "{error:?}");
            assert!(told.ends_with(": SomeCode: in its own words"), "{told}");
            assert!(told.contains(&status.to_string()), "{told}");
        }
    }
}

#[tokio::test]
async fn a_key_that_is_wrong_is_told_and_not_shown() {
    let Some(url) = service("SERIN_TEST_AZURE_URL") else {
        return;
    };
    let wrong = AzureAccount {
        credentials: AzureCredentials::Key {
            account: ACCOUNT.to_owned(),
            key: "bm90LXRoZS1rZXk=".into(),
        },
        ..account(&url, "refused")
    };
    let error = AzureStore::open(&wrong).unwrap().get(NAME).await;
    let error = error.unwrap_err();
    let told = error.to_string();
    assert!(told.contains("'refused'"), "{told}");
    assert!(
        told.contains("403 Forbidden: AuthorizationFailure: "),
        "{told}"
    );
    assert!(
        !format!("{error:?}").contains("bm90LXRoZS1rZXk"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_shared_access_signature_does_as_well_and_is_not_shown() {
    let Some(url) = service("SERIN_TEST_AZURE_URL") else {
        return;
    };
    create(&url, "shared").await;
    let later = Clock::System.now_millis() + 3_600_000;
    let later = Timestamp::from_second(later / 1000).unwrap().to_string();
    let sas = |rights: &str, later: &str| {
        let text = format!(
            "{rights}\n\n{later}\n/blob/{ACCOUNT}/shared\n\n\n\n2021-12-02\nc\n\n\n\n\n\n\n"
        );
        let signature = signature(&text);
        let escaped = serin::http::escaped(&signature).to_string();
        let later = serin::http::escaped(later);
        let token = format!("sv=2021-12-02&sr=c&sp={rights}&se={later}&sig={escaped}");
        (token, signature, escaped)
    };
    let open = |token: &str| {
        let account = AzureAccount {
            credentials: AzureCredentials::Sas(token.into()),
            ..account(&url, "shared")
        };
        AzureStore::open(&account).unwrap()
    };
    let (token, ..) = sas("rwdl", &later);
    crate::contract::contract(&open(&token)).await;

    for (token, signature, escaped) in [sas("r", &later), sas("rwdl", "2020-01-01T00:00:00Z")] {
        let store = open(&token);
        let error = store.put(NAME, Bytes::new()).await.unwrap_err();
        let told = format!("{error} {error:?}");
        assert!(told.contains("403"), "{told}");
        for secret in [&signature, &escaped, &token] {
            assert!(!told.contains(secret.trim_end_matches('=')), "{told}");
        }
    }
    // Nobody answers: the address is not told, as it holds the signature.
    let nobody = AzureAccount {
        credentials: AzureCredentials::Sas(token.as_str().into()),
        timeout: Duration::from_secs(1),
        ..account("http://127.0.0.1:9", "shared")
    };
    let error = AzureStore::open(&nobody).unwrap().get(NAME).await;
    let told = format!("{:?}", error.unwrap_err());
    assert!(told.contains("refused") && !told.contains("sig="), "{told}");
}

#[tokio::test]
async fn an_object_that_is_too_large_is_not_read() {
    let Some(url) = service("SERIN_TEST_AZURE_URL") else {
        return;
    };
    let store = AzureStore::open(&account(&url, "large"))
        .unwrap()
        .reading(4);
    for (body, fits) in [(&b"1234"[..], true), (b"12345", false)] {
        store.put(NAME, Bytes::from_static(body)).await.unwrap();
        let read = store.get(NAME).await;
        assert_eq!(read.is_ok(), fits, "{read:?}");
    }
}
