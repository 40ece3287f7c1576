//! How long a token is kept, and who gets the next one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use serin::google::Tokens;

use super::{Google, bearer, person, token};

#[tokio::test]
async fn a_token_is_renewed_before_it_ends_and_a_failure_costs_no_good_one() {
    let google = Google::start(|_, earlier| match earlier {
        0 => (200, json!({"access_token": "first", "expires_in": 4})),
        1..=3 => (503, json!({"error": "unavailable"})),
        _ => token("second"),
    })
    .await;
    let host = google.url.trim_start_matches("http://").to_owned();
    let environment = BTreeMap::from([("GCE_METADATA_HOST".to_owned(), host)]);
    let tokens = Tokens::open(None, &environment).unwrap();
    assert_eq!(bearer(&tokens).await, "first");
    tokio::time::sleep(Duration::from_millis(3100)).await;
    assert_eq!(
        bearer(&tokens).await,
        "first",
        "it is good yet, and none can be had"
    );
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(bearer(&tokens).await, "second");
}

#[tokio::test]
async fn while_one_gets_the_next_token_others_go_on_with_the_old_one() {
    let google = Google::start(|_, earlier| {
        if earlier == 0 {
            return (200, json!({"access_token": "first", "expires_in": 4}));
        }
        let (status, mut second) = token("second");
        second["afterMillis"] = 600.into();
        (status, second)
    })
    .await;
    let tokens = Arc::new(google.tokens(&person(&google.url)).unwrap());
    assert_eq!(bearer(&tokens).await, "first");
    tokio::time::sleep(Duration::from_millis(3_050)).await;
    let own = Arc::clone(&tokens);
    let renewing = tokio::spawn(async move { bearer(&own).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    assert_eq!(bearer(&tokens).await, "first");
    assert!(began.elapsed() < Duration::from_millis(300));
    assert_eq!(renewing.await.unwrap(), "second");
    assert_eq!(bearer(&tokens).await, "second");
    assert_eq!(google.asked().len(), 2);
}

#[tokio::test]
async fn who_has_too_much_to_do_is_asked_when_it_says() {
    for (seconds, asked) in [(1, 2), (60, 1)] {
        let google = Google::start(move |_, earlier| match earlier {
            0 => (503, json!({"retryAfter": seconds})),
            _ => token("second"),
        })
        .await;
        let tokens = google.tokens(&person(&google.url)).unwrap();
        let began = Instant::now();
        let bearer = tokens.bearer().await;
        assert_eq!(google.asked().len(), asked, "{seconds} s");
        let waited = began.elapsed();
        match bearer {
            Ok(_) => assert!(Duration::from_secs(1) <= waited, "{waited:?}"),
            Err(failed) => assert!(failed.may_pass && waited < Duration::from_secs(1)),
        }
    }
}
