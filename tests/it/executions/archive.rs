//! `/canaryResultArchive`: what is posted there, and what of a run can be replaced.

use std::time::Duration;

use serde_json::json;

use super::{adhoc, worse};
use crate::harness::Serin;
use crate::scripted_prometheus::ScriptedPrometheus;

#[tokio::test]
async fn the_archive_of_a_run_is_replaced_only_if_that_is_configured() {
    let prometheus = ScriptedPrometheus::start(worse).await;
    for may_replace in ["false", "true"] {
        let keys = [("storage.replaceArchives", may_replace)];
        let serin = Serin::start_with(&prometheus.url, &keys, None).await;
        let client = &serin.client;
        let path = "/canary?application=web";
        let id = client.start_canary(path, &adhoc(&["latency"])).await;
        let done = client.poll(&id).await;
        let path = format!("/canaryResultArchive/{id}");
        while client.get(&path).await.0 != 200 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let (status, told) = client.put(&path, &done).await;
        let (_, kept) = client.get(&path).await;
        if may_replace == "true" {
            assert_eq!((status, &kept["received"]), (200, &json!(true)), "{told}");
            continue;
        }
        assert_eq!((status, kept), (409, done.clone()), "{told}");
        let told = told["message"].as_str().unwrap();
        assert!(told.contains("storage.replaceArchives"), "{told}");
    }
}

#[tokio::test]
async fn a_result_that_is_posted_is_known_for_it() {
    let prometheus = ScriptedPrometheus::start(worse).await;
    let serin = Serin::start(&prometheus.url).await;
    let client = &serin.client;
    let id = client
        .start_canary("/canary?application=web", &adhoc(&["latency"]))
        .await;
    let done = client.poll(&id).await;
    let path = format!("/canaryResultArchive/{id}");
    let start = std::time::Instant::now();
    while client.get(&path).await.0 != 200 {
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "it is archived just after it is complete"
        );
    }
    let (status, body) = client
        .post("/canaryResultArchive?pipelineId=mine", &done)
        .await;
    assert_eq!((status, body), (200, json!({"pipelineId": "mine"})));
    let (status, body) = client
        .post("/canaryResultArchive?pipelineId=mine", &done)
        .await;
    assert_eq!(
        (status, body["message"].as_str()),
        (400, Some("Archived canary result 'mine' already exists."))
    );
    let mut received = done.clone();
    received["received"] = true.into();
    assert_eq!(client.get("/canary/mine").await, (200, received.clone()));
    // It can be corrected, and does not become a run's.
    let path = "/canaryResultArchive/mine";
    received["received"] = false.into();
    assert_eq!(
        client.put(path, &received).await,
        (200, json!({"pipelineId": "mine"}))
    );
    assert_eq!(client.get(path).await.1["received"], true);
    for (page, told) in [
        ("/ui/", "posted, not run here"),
        ("/ui/runs/mine", "This result was posted to the archive"),
    ] {
        let (_, text) = client.get(page).await;
        assert!(text.as_str().unwrap().contains(told), "{page}");
    }
    let long = json!({"application": "a".repeat(256)});
    assert_eq!(client.post("/canaryResultArchive", &long).await.0, 400);
    assert_eq!(
        client
            .get("/canaryResultArchive")
            .await
            .1
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(client.delete("/canaryResultArchive/mine").await.0, 204);
    assert_eq!(client.get("/canary/mine").await.0, 404);
    let (status, body) = client.put("/canaryResultArchive/mine", &done).await;
    assert_eq!(
        (status, body["message"].as_str()),
        (400, Some("Archived canary result 'mine' does not exist."))
    );
}
