//! What is accepted once, what is refused, and who waits for an end.

use std::time::{Duration, Instant};

use reqwest::Response;
use serde_json::{Value, json};

use crate::executions::{adhoc, request, series};
use crate::harness::{Serin, new_database};
use crate::scripted_prometheus::ScriptedPrometheus;

async fn post(serin: &Serin, path: &str, key: &str, body: &Value) -> Response {
    let url = format!("{}{path}", serin.client.url);
    let post = serin.client.http.post(url).header("Idempotency-Key", key);
    post.json(body).send().await.unwrap()
}

async fn id(answer: Response, member: &str) -> String {
    assert_eq!(answer.status(), 200);
    let body: Value = answer.json().await.unwrap();
    body[member].as_str().unwrap().to_owned()
}

/// Embedded, and on PostgreSQL where there is one.
async fn each(prometheus: &str, keys: &[(&str, &str)]) -> Vec<Serin> {
    let mut all = vec![Serin::start_with(prometheus, keys, None).await];
    if let Some(database) = new_database().await {
        let keys = [keys, &[("database.url", database.as_str())]].concat();
        all.push(Serin::start_with(prometheus, &keys, None).await);
    }
    all
}

#[tokio::test]
async fn a_thousand_retries_of_one_post_start_one_execution() {
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    // All write at once, and the machine may have other things to do.
    let patient = [("database.acquireTimeout", "60s")];
    for serin in each(&prometheus.url, &patient).await {
        let body = adhoc(&["latency"]);
        let posts = (0..1000).map(|_| post(&serin, "/canary?application=web", "k-1", &body));
        let mut ids = Vec::new();
        let mut replayed = 0;
        for answer in futures::future::join_all(posts).await {
            replayed += usize::from(answer.headers().contains_key("idempotency-replayed"));
            ids.push(id(answer, "canaryExecutionId").await);
        }
        assert_eq!(replayed, 999);
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 1);
        let path = "/canary/executions?application=web";
        let (_, listed) = serin.client.get(path).await;
        assert_eq!(listed.as_array().unwrap().len(), 1);

        let done = serin.client.poll(&ids[0]).await;
        assert_eq!(done["status"], "succeeded");
        let again = post(&serin, "/canary?application=web", "k-1", &body).await;
        assert_eq!(id(again, "canaryExecutionId").await, ids[0]);
    }
}

#[tokio::test]
async fn a_key_with_another_request_is_refused_and_a_failed_request_uses_none() {
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    for serin in each(&prometheus.url, &[]).await {
        let analysis = json!({"canaryConfig": adhoc(&["a"])["canaryConfig"], "executionRequest": {
            "scopes": [{"controlScope": "v1", "controlLocation": "eu", "experimentScope": "v2",
                "experimentLocation": "eu", "step": 60, "startTimeIso": "2024-06-01T01:00:00Z",
                "endTimeIso": "2024-06-01T01:05:00Z"}],
            "thresholds": {"pass": 95, "marginal": 75}}});
        let bad = post(&serin, "/canary", "k", &json!({})).await;
        assert_eq!(bad.status(), 400);
        let first = id(
            post(&serin, "/canary", "k", &adhoc(&["a"])).await,
            "canaryExecutionId",
        );
        let first = first.await;
        for (path, body) in [
            ("/canary", adhoc(&["b"])),
            ("/canary?application=web", adhoc(&["a"])),
            ("/standalone_canary_analysis", analysis.clone()),
        ] {
            let refused = post(&serin, path, "k", &body).await;
            assert_eq!(refused.status(), 422, "{path}");
            let body: Value = refused.json().await.unwrap();
            let told = body["message"].as_str().unwrap();
            assert!(told.contains("came with another request"), "{told}");
            assert!(
                !told.contains(&first),
                "what is perhaps a stranger's: {told}"
            );
        }
        let long = "k".repeat(256);
        assert_eq!(
            post(&serin, "/canary", &long, &adhoc(&["a"]))
                .await
                .status(),
            400
        );

        let path = "/standalone_canary_analysis";
        let mut ids = Vec::new();
        for _ in 0..3 {
            let answer = post(&serin, path, "analysis", &analysis).await;
            ids.push(id(answer, "canaryAnalysisExecutionId").await);
        }
        ids.dedup();
        assert_eq!(ids.len(), 1);
    }
}

#[tokio::test]
async fn what_is_too_much_is_503_before_anything_is_written() {
    let prometheus =
        ScriptedPrometheus::start(|_| series(1.0).after(Duration::from_secs(25))).await;
    let limits: [&[(&str, &str)]; 2] = [
        &[("executions.maxWaiting", "3")],
        &[("executions.maxWaitingBytes", "5000")],
    ];
    for keys in limits {
        for serin in each(&prometheus.url, keys).await {
            let mut ids = Vec::new();
            let refused = loop {
                let body = adhoc(&["latency"]);
                let answer = post(&serin, "/canary?application=web", "", &body).await;
                assert_eq!(answer.status(), 400, "an empty key is none");
                let key = format!("key-{}", ids.len());
                let answer = post(&serin, "/canary?application=web", &key, &body).await;
                if answer.status() != 200 {
                    break answer;
                }
                ids.push(id(answer, "canaryExecutionId").await);
                assert!(ids.len() < 10);
            };
            assert!(!ids.is_empty());
            assert_eq!(refused.status(), 503);
            assert_eq!(refused.headers()["retry-after"], "2");
            let told: Value = refused.json().await.unwrap();
            let told = told["message"].as_str().unwrap();
            assert!(told.contains("nothing was started"), "{told}");
            let (_, listed) = serin.client.get("/canary/executions?application=web").await;
            assert_eq!(listed.as_array().unwrap().len(), ids.len());
            // What was accepted is still answered for.
            let body = adhoc(&["latency"]);
            let again = post(&serin, "/canary?application=web", "key-0", &body);
            assert_eq!(id(again.await, "canaryExecutionId").await, ids[0]);
            // One less waits, one more is accepted.
            serin.client.delete(&format!("/canary/{}", ids[0])).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
            let more = post(&serin, "/canary?application=web", "more", &body);
            assert_eq!(more.await.status(), 200);
            for id in ids {
                serin.client.delete(&format!("/canary/{id}")).await;
            }
        }
    }
}

#[tokio::test]
async fn a_get_that_waits_is_answered_when_the_execution_ends() {
    let prometheus =
        ScriptedPrometheus::start(|_| series(1.0).after(Duration::from_millis(1500))).await;
    for serin in each(&prometheus.url, &[]).await {
        let id = serin.client.start_canary("/canary", &adhoc(&["a"])).await;
        let (status, early) = serin.client.get(&format!("/canary/{id}?wait=100ms")).await;
        assert_eq!((status, &early["complete"]), (200, &json!(false)));
        let start = Instant::now();
        let (_, done) = serin.client.get(&format!("/canary/{id}?wait=20s")).await;
        assert_eq!(done["status"], "succeeded", "{done}");
        assert!(
            start.elapsed() < Duration::from_secs(4),
            "{:?}",
            start.elapsed()
        );

        let id = serin.client.start_canary("/canary", &adhoc(&["a"])).await;
        let url = format!("{}/canary/{id}", serin.client.url);
        let waits = serin.client.http.get(url).header("Prefer", "wait=20");
        let answer = waits.send().await.unwrap();
        assert_eq!(answer.headers()["preference-applied"], "wait");
        let done: Value = answer.json().await.unwrap();
        assert_eq!(done["complete"], true);

        let (status, told) = serin.client.get(&format!("/canary/{id}?wait=soon")).await;
        assert_eq!(status, 400);
        assert!(told["message"].as_str().unwrap().contains("30s"), "{told}");
        assert_eq!(serin.client.get("/canary/none?wait=20s").await.0, 404);
    }
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_those_who_wait() {
    let prometheus =
        ScriptedPrometheus::start(|_| series(1.0).after(Duration::from_secs(20))).await;
    let keys = [("server.shutdownGrace", "1s")];
    let serin = Serin::start_with(&prometheus.url, &keys, None).await;
    let body =
        json!({"canaryConfig": adhoc(&["a"])["canaryConfig"], "executionRequest": request()});
    let id = serin.client.start_canary("/canary", &body).await;
    let client = serin.client.clone();
    let waits = tokio::spawn(async move { client.get(&format!("/canary/{id}?wait=25s")).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let start = Instant::now();
    let stop = tokio::spawn(serin.service.stop());
    let (status, _) = waits.await.unwrap();
    assert_eq!(status, 200);
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
    stop.await.unwrap();
}
