//! What the store does about a service that is slow, has too much to do, or says too much.

use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::Method;
use serin::config::AzureAccount;
use serin::error::Error;
use serin::storage::azure::AzureStore;
use serin::storage::objects::ObjectStore;

use super::account;
use crate::front::{Fault, Front, fault};

const NAME: &str = "g/a/a.json";
const BLOB: &str = "/box/";
const CONTAINER: &str = "/box";

/// A store with that time limit, and what is in front of it.
async fn store(timeout: Duration) -> (AzureStore, Front) {
    let (front, url) = Front::of("http://127.0.0.1:9").await;
    let hasty = AzureAccount {
        timeout,
        ..account(&url, "box")
    };
    (AzureStore::open(&hasty).unwrap(), front)
}

fn error(code: &str) -> String {
    format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>As it is.</Message></Error>")
}

#[tokio::test]
async fn an_upload_has_all_of_the_time_limit() {
    let (store, front) = store(Duration::from_secs(3)).await;
    front.fail(vec![Fault {
        after: Duration::from_millis(1_500),
        ..fault(Method::PUT, BLOB, 201, "")
    }]);
    store.put(NAME, Bytes::from_static(b"[]")).await.unwrap();
    assert_eq!(front.came.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn who_has_too_much_to_do_is_asked_when_it_says() {
    let ok = fault(Method::GET, BLOB, 200, "[]");
    let (store, front) = store(Duration::from_secs(6)).await;
    let busy = |seconds| Fault {
        times: 1,
        retry_after: Some(seconds),
        ..fault(Method::GET, BLOB, 503, &error("ServerBusy"))
    };
    front.fail(vec![busy(1), ok.clone()]);
    let read = store.get(NAME).await.unwrap();
    assert_eq!(read.as_deref(), Some(&b"[]"[..]));
    let came = front.came.lock().unwrap().clone();
    let waited = came[1] - came[0];
    assert!(Duration::from_secs(1) <= waited, "{waited:?}");

    // Nobody waits for a time after the limit.
    front.fail(vec![busy(60), ok]);
    let began = Instant::now();
    let told = store.get(NAME).await.unwrap_err();
    assert!(
        matches!(&told, Error::Unavailable(told) if told.contains("503 Service Unavailable: ServerBusy")),
        "{told:?}"
    );
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_container_that_is_being_deleted_is_gone_and_is_made_when_that_is_done() {
    let deleting = error("ContainerBeingDeleted");
    let all = [
        (Method::GET, BLOB),
        (Method::GET, CONTAINER),
        (Method::PUT, BLOB),
        (Method::PUT, CONTAINER),
        (Method::DELETE, BLOB),
    ];
    let all = all.map(|(method, path)| fault(method, path, 409, &deleting));

    // One that was never seen is made, which has to wait.
    let (new, front) = store(Duration::from_secs(5)).await;
    front.fail(all.to_vec());
    let told = new.put(NAME, Bytes::new()).await.unwrap_err();
    assert!(
        matches!(&told, Error::Unavailable(told) if told.contains("cannot create azure container 'box'")
            && told.contains("is being deleted")),
        "{told:?}"
    );
    let gone = error("ContainerNotFound");
    let once = |path, status, body: &str| Fault {
        times: 1,
        ..fault(Method::PUT, path, status, body)
    };
    for (status, body) in [(201, ""), (409, &error("ContainerAlreadyExists"))] {
        let (new, front) = store(Duration::from_secs(5)).await;
        front.fail(vec![
            once(BLOB, 404, &gone),
            once(CONTAINER, status, body),
            once(BLOB, 201, ""),
        ]);
        new.put(NAME, Bytes::new()).await.unwrap();
        assert_eq!(front.came.lock().unwrap().len(), 3);
    }

    // One that was there is missed.
    let (seen, front) = store(Duration::from_secs(5)).await;
    seen.expect_objects();
    front.fail(all.to_vec());
    let errors = [
        seen.get(NAME).await.map(|_| ()),
        seen.list("g/").await.map(|_| ()),
        seen.put(NAME, Bytes::new()).await.map(|_| ()),
        seen.delete(NAME).await,
    ];
    for told in errors {
        let told = told.unwrap_err().to_string();
        assert!(
            told.contains("is being deleted; it was there before"),
            "{told}"
        );
    }
}

#[tokio::test]
async fn a_clock_that_is_off_is_told() {
    let (store, front) = store(Duration::from_secs(5)).await;
    let refused = error("AuthenticationFailed");
    front.fail(vec![Fault {
        date: Some("Sat, 28 Nov 2020 13:10:34 GMT".to_owned()),
        ..fault(Method::GET, BLOB, 403, &refused)
    }]);
    let told = store.get(NAME).await.unwrap_err().to_string();
    assert!(told.contains("the clock of this machine is"), "{told}");
    assert!(
        told.contains("minutes ahead of that of the server"),
        "{told}"
    );

    front.fail(vec![fault(Method::GET, BLOB, 403, &refused)]);
    let told = store.get(NAME).await.unwrap_err().to_string();
    assert!(
        told.ends_with("403 Forbidden: AuthenticationFailed: As it is."),
        "{told}"
    );
}

#[tokio::test]
async fn a_listing_comes_whole_or_not_at_all() {
    let page = |blobs: &str, marker: &str| {
        format!(
            "<EnumerationResults><Blobs>{blobs}</Blobs><NextMarker>{marker}</NextMarker></EnumerationResults>"
        )
    };
    let blob = "<Blob><Name>kayenta/g/a/a.json</Name><Properties/></Blob>";
    let once = |status, body: &str| Fault {
        times: 1,
        ..fault(Method::GET, CONTAINER, status, body)
    };
    let cases = [
        (
            vec![once(200, &page(blob, "m")), once(200, &page("", ""))],
            Some(1),
        ),
        // An empty page is not the last one.
        (
            vec![once(200, &page("", "m")), once(200, &page(blob, ""))],
            Some(1),
        ),
        (
            vec![
                once(200, &page(blob, "m")),
                once(403, &error("AuthorizationFailure")),
            ],
            None,
        ),
        (
            vec![once(200, &page(blob, "m")), once(200, &page("", "m"))],
            None,
        ),
        (
            vec![once(200, &page(blob, "m")), once(200, "<html></html>")],
            None,
        ),
        (vec![once(200, &page(blob, "")[..60])], None),
        (vec![once(200, "")], None),
    ];
    for (answers, expected) in cases {
        let (store, front) = store(Duration::from_secs(5)).await;
        let text = answers[answers.len() - 1].body.clone();
        front.fail(answers);
        let listed = store.list("g/").await;
        if let Some(count) = expected {
            assert_eq!(listed.unwrap().len(), count, "{text}");
        } else {
            let told = listed.unwrap_err().to_string();
            assert!(told.contains("cannot list 'kayenta/g/'"), "{told}");
        }
    }
}

#[tokio::test]
async fn what_a_service_says_is_read_to_a_bound() {
    let (store, front) = store(Duration::from_secs(20)).await;
    let long = format!(
        "<Error><Code>No</Code><Message>{}</Message></Error>",
        "no ".repeat(2_000)
    );
    front.fail(vec![fault(Method::GET, BLOB, 403, &long)]);
    let told = store.get(NAME).await.unwrap_err().to_string();
    assert!(told.len() < 2_000 && told.contains("No: no no"), "{told}");

    let endless = |method, path, status| Fault {
        is_endless: true,
        ..fault(method, path, status, &" ".repeat(64 << 10))
    };
    front.fail(vec![
        endless(Method::GET, BLOB, 403),
        endless(Method::PUT, BLOB, 200),
        endless(Method::GET, CONTAINER, 200),
    ]);
    let began = Instant::now();
    let told = store.get(NAME).await.unwrap_err();
    assert!(told.to_string().contains("403"), "{told}");
    assert!(store.put(NAME, Bytes::new()).await.is_err());
    assert!(store.list("g/").await.is_err());
    assert!(began.elapsed() < Duration::from_secs(10));
}
