//! The S3 store while its server fails: retries, bounds, broken bodies, broken listings.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::join_all;
use serin::config::{S3Account, S3Credentials, S3Writing};
use serin::error::Result;
use serin::storage::objects::ObjectStore;
use serin::storage::s3::S3Store;

use crate::contract::contract;
use crate::scripted_s3::{Asked, Fate, ScriptedS3};

const KEY: &str = "metrics/a/m.json";

fn account(server: &ScriptedS3, bucket: &str) -> S3Account {
    S3Account {
        bucket: bucket.to_owned(),
        region: None,
        root_folder: "kayenta".to_owned(),
        profile_name: None,
        endpoint: Some(server.url.clone()),
        credentials: Some(S3Credentials {
            access_key: "key".to_owned().into(),
            secret_key: "secret".to_owned().into(),
            session_token: None,
        }),
        writing: S3Writing::default(),
        timeout: Duration::from_secs(45),
    }
}

fn store(server: &ScriptedS3) -> S3Store {
    S3Store::new(account(server, "reports"))
}

fn hasty(server: &ScriptedS3, timeout: Duration) -> S3Store {
    S3Store::new(S3Account {
        timeout,
        ..account(server, "reports")
    })
}

/// One that has `body` under `KEY`.
async fn with_object(
    body: Bytes,
    script: impl Fn(&Asked) -> Fate + Send + Sync + 'static,
) -> ScriptedS3 {
    let server = ScriptedS3::start(script).await;
    server.put("reports", &format!("kayenta/{KEY}"), body);
    server
}

#[tokio::test]
async fn the_scripted_server_keeps_the_contract_when_it_does_not_fail() {
    let server = ScriptedS3::faithful().await;
    // It counts in seconds, and the contract wants the time of a put to be one of our days.
    contract(&store(&server)).await;
}

#[tokio::test]
async fn every_request_is_sent_again_until_the_server_is_well() {
    let faults = [
        Fate::Refuse(500, "InternalError"),
        Fate::Refuse(503, "SlowDown"),
        Fate::Refuse(503, "ServiceUnavailable"),
        Fate::Cut,
    ];
    join_all(faults.map(|fault| async move {
        let text = format!("{fault:?}");
        let server = with_object(Bytes::from_static(b"[1]"), move |asked| {
            match asked.earlier {
                0 | 1 => fault.clone(),
                _ => Fate::Serve,
            }
        })
        .await;
        let store = store(&server);
        assert_eq!(store.list("metrics/").await.expect(&text).len(), 1);
        assert_eq!(
            store.get(KEY).await.expect(&text).expect("it is there"),
            "[1]"
        );
        store
            .put("metrics/b/m.json", Bytes::from_static(b"[2]"))
            .await
            .expect(&text);
        store.delete(KEY).await.expect(&text);
        assert_eq!(
            server.keys("reports"),
            ["kayenta/metrics/b/m.json"],
            "{text}"
        );
        assert_eq!(server.asked().len(), 12, "{text}");
    }))
    .await;
}

#[tokio::test]
async fn a_put_whose_answer_is_lost_is_one_whole_object() {
    let server = ScriptedS3::start(|asked| match (asked.method.as_str(), asked.earlier) {
        ("PUT", 0) if !asked.key.is_empty() => Fate::CutAfter,
        _ => Fate::Serve,
    })
    .await;
    server.create("reports");
    let body = Bytes::from(vec![b'x'; 500_000]);
    store(&server).put(KEY, body.clone()).await.unwrap();
    assert_eq!(server.count("PUT", KEY), 2);
    assert_eq!(server.keys("reports"), [format!("kayenta/{KEY}")]);
    assert_eq!(
        server.object("reports", &format!("kayenta/{KEY}")),
        Some(body)
    );
}

#[tokio::test]
async fn a_body_that_breaks_off_is_read_again_and_never_half() {
    let body = Bytes::from(vec![b'x'; 500_000]);
    let server = with_object(body.clone(), |asked| match asked.earlier {
        0 | 1 => Fate::Half,
        _ => Fate::Serve,
    })
    .await;
    assert_eq!(store(&server).get(KEY).await.unwrap(), Some(body.clone()));

    let server = with_object(body, |_| Fate::Half).await;
    let error = store(&server).get(KEY).await.unwrap_err().to_string();
    assert!(
        error.contains("breaks off") && error.contains(KEY),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_is_slow_is_given_up_in_time_and_named() {
    let limit = Duration::from_millis(900);
    for fate in [Fate::Silence, Fate::Stall] {
        let stalls = matches!(fate, Fate::Stall);
        let server = with_object(Bytes::from_static(b"[1]"), move |_| fate.clone()).await;
        let store = hasty(&server, limit);
        let told = |result: Result<()>| result.unwrap_err().to_string();
        let started = Instant::now();
        let mut errors = vec![(KEY, told(store.get(KEY).await.map(|_| ())))];
        if !stalls {
            errors.push((KEY, told(store.put(KEY, Bytes::new()).await.map(|_| ()))));
            errors.push((KEY, told(store.delete(KEY).await)));
            errors.push(("metrics/", told(store.list("metrics/").await.map(|_| ()))));
        }
        let most = limit * u32::try_from(errors.len()).unwrap() + Duration::from_secs(2);
        assert!(started.elapsed() < most, "{:?}", started.elapsed());
        for (key, error) in errors {
            for part in ["'reports'", key, "no answer within 900ms"] {
                assert!(error.contains(part), "{part} in {error}");
            }
        }
    }
}

#[tokio::test]
async fn what_keeps_a_request_from_being_answered_is_told() {
    let cases = [
        (Fate::Refuse(400, "InvalidBucketName"), "InvalidBucketName"),
        (Fate::Refuse(403, "AccessDenied"), "AccessDenied"),
        (
            Fate::Answer("<html>".to_owned()),
            "status 200 that S3 does not give",
        ),
        (Fate::Cut, "connection closed before message completed"),
    ];
    for (fate, words) in cases {
        let server = ScriptedS3::start(move |_| fate.clone()).await;
        let error = hasty(&server, Duration::from_secs(20))
            .list("metrics/")
            .await
            .unwrap_err();
        assert!(error.to_string().contains(words), "{words} in {error}");
    }
    let server = ScriptedS3::faithful().await;
    let nobody = S3Account {
        endpoint: Some("http://127.0.0.1:9".to_owned()),
        ..account(&server, "reports")
    };
    let error = S3Store::new(nobody).get(KEY).await.unwrap_err();
    assert!(error.to_string().contains("Connection refused"), "{error}");
}

#[tokio::test]
async fn an_account_that_fails_for_long_leaves_itself_and_others_their_retries() {
    let well = Arc::new(AtomicBool::new(false));
    let is_well = Arc::clone(&well);
    let server = with_object(Bytes::from_static(b"[1]"), move |asked| {
        // Once it is well, every second request still fails.
        if is_well.load(Ordering::SeqCst) && asked.earlier % 2 == 1 {
            Fate::Serve
        } else {
            Fate::Refuse(500, "InternalError")
        }
    })
    .await;
    server.put("others", &format!("kayenta/{KEY}"), "[2]");
    let (failing, other) = (store(&server), S3Store::new(account(&server, "others")));
    let failed = join_all((0..60).map(|_| failing.get(KEY))).await;
    assert!(failed.iter().all(Result::is_err));
    well.store(true, Ordering::SeqCst);
    for (store, body) in [(&failing, "[1]"), (&other, "[2]")] {
        for _ in 0..3 {
            assert_eq!(store.get(KEY).await.unwrap().unwrap(), body);
        }
    }
}

#[tokio::test]
async fn a_listing_comes_whole_by_odd_tokens_or_not_at_all() {
    let server = ScriptedS3::start(|asked| {
        let token = asked.params.get("continuation-token").map(String::as_str);
        match (asked.bucket.as_str(), token) {
            ("fails", Some(token)) if token.contains('2') => Fate::Refuse(403, "AccessDenied"),
            ("without", _) => Fate::Answer(page("")),
            ("again", _) => Fate::Answer(page("<NextContinuationToken>x</NextContinuationToken>")),
            ("half", Some(_)) => Fate::Half,
            _ => Fate::Serve,
        }
    })
    .await;
    server.set_page(2);
    let odd = ["1 +&=", "2 ä%2F+", "3 <\">'", "4/\u{1F426}", "5?#;,", "6"];
    for bucket in ["whole", "fails", "without", "again", "half"] {
        for id in odd {
            server.put(bucket, &format!("kayenta/metrics/{id}/m.json"), "[]");
        }
        let store = S3Store::new(S3Account {
            timeout: Duration::from_secs(10),
            ..account(&server, bucket)
        });
        let listed = store.list("metrics/").await;
        if bucket == "whole" {
            let keys = listed.unwrap().into_iter().map(|entry| entry.key);
            let expected = odd.map(|id| format!("metrics/{id}/m.json"));
            assert_eq!(keys.collect::<Vec<_>>(), expected);
        } else {
            let error = listed.expect_err(bucket).to_string();
            assert!(error.contains(bucket), "{error}");
        }
    }
}

/// A page that says there is more.
fn page(token: &str) -> String {
    format!(
        "<ListBucketResult><Contents><Key>kayenta/metrics/1/m.json</Key></Contents>\
         <IsTruncated>true</IsTruncated>{token}</ListBucketResult>"
    )
}

#[tokio::test]
async fn a_bucket_that_was_there_is_missed_and_not_made_anew() {
    let server = ScriptedS3::faithful().await;
    let seen = store(&server);
    assert_eq!(seen.get(KEY).await.unwrap(), None, "nothing was put yet");
    seen.put(KEY, Bytes::from_static(b"[1]")).await.unwrap();
    server.remove("reports");
    // What another process knows only from its index.
    let told = store(&server);
    told.expect_objects();
    for store in [seen, told] {
        let errors = [
            store.get(KEY).await.unwrap_err(),
            store.put(KEY, Bytes::new()).await.unwrap_err(),
            store.delete(KEY).await.unwrap_err(),
            store.list("metrics/").await.unwrap_err(),
        ];
        for error in errors {
            assert!(error.to_string().contains("it was there before"), "{error}");
        }
    }
    assert_eq!(server.keys("reports"), [""; 0]);
    assert_eq!(
        server
            .asked()
            .iter()
            .filter(|asked| asked.method == "PUT" && asked.key.is_empty())
            .count(),
        1
    );
}
