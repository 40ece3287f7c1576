//! `…/events`: status and stages of what runs, as they change.

use std::time::Duration;

use serde_json::{Value, json};

use crate::executions::{adhoc, config, series};
use crate::harness::Serin;
use crate::scripted_prometheus::ScriptedPrometheus;

/// Names and data of all events until the stream ends.
async fn events(serin: &Serin, path: &str) -> Vec<(String, Value)> {
    let url = format!("{}{path}", serin.client.url);
    let response = serin.client.http.get(url).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let text = response.text().await.unwrap();
    text.split("\n\n").filter_map(event).collect()
}

/// Comments, which keep the connection alive, are none.
fn event(text: &str) -> Option<(String, Value)> {
    let member = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    let data = serde_json::from_str(member("data: ")?).unwrap();
    Some((member("event: ")?.to_owned(), data))
}

fn names(events: &[(String, Value)]) -> Vec<&str> {
    events.iter().map(|(name, _)| name.as_str()).collect()
}

#[tokio::test]
async fn who_watches_a_canary_sees_its_steps_and_its_end() {
    // Longer than a request may take: watching is no waiting for an answer.
    let slow = Duration::from_millis(2_500);
    let prometheus = ScriptedPrometheus::start(move |_| series(1.0).after(slow)).await;
    let keys = [("server.requestTimeout", "1s")];
    let serin = Serin::start_with(&prometheus.url, &keys, None).await;
    let id = serin
        .client
        .start_canary("/canary", &adhoc(&["latency"]))
        .await;

    let seen = events(&serin, &format!("/canary/{id}/events")).await;
    let (last, told) = seen.split_last().unwrap();
    assert!(told.len() >= 2, "{seen:?}");
    assert!(
        told.iter().all(|(name, _)| name == "status"),
        "{:?}",
        names(&seen)
    );
    let states: Vec<&Value> = told.iter().map(|(_, data)| &data["status"]).collect();
    assert!(states.contains(&&json!("running")), "{states:?}");
    assert_eq!(told.last().unwrap().1["status"], "succeeded");
    assert_eq!(told.last().unwrap().1["stageStatus"]["judge"], "succeeded");
    assert_eq!(
        (last.0.as_str(), &last.1["complete"]),
        ("end", &json!(true))
    );

    // Of what has ended, the end is told at once.
    let seen = events(&serin, &format!("/canary/{id}/events")).await;
    assert_eq!(names(&seen), ["status", "end"]);
}

#[tokio::test]
async fn an_analysis_is_watched_the_same_way() {
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let serin = Serin::start(&prometheus.url).await;
    let body = json!({"canaryConfig": config(&["latency"]), "executionRequest": {
        "scopes": [{"controlScope": "v1", "experimentScope": "v2", "step": 60,
            "startTimeIso": "2024-06-01T01:00:00Z", "endTimeIso": "2024-06-01T02:00:00Z"}],
        "thresholds": {"pass": 95, "marginal": 75}, "analysisIntervalMins": 30,
    }});
    let (_, started) = serin
        .client
        .post("/standalone_canary_analysis", &body)
        .await;
    let id = started["canaryAnalysisExecutionId"].as_str().unwrap();
    let seen = events(&serin, &format!("/standalone_canary_analysis/{id}/events")).await;
    assert_eq!(seen.last().unwrap().0, "end");
    let (_, told) = &seen[seen.len() - 2];
    assert_eq!(told["status"], "succeeded");
    assert!(told["stageStatus"].is_array(), "{told}");
}

#[tokio::test]
async fn what_is_not_there_cannot_be_watched() {
    let serin = Serin::start("").await;
    for path in [
        "/canary/none/events",
        "/standalone_canary_analysis/none/events",
    ] {
        let (status, body) = serin.client.get(path).await;
        assert_eq!(status, 404, "{path}: {body}");
    }
}

#[tokio::test]
async fn whoever_watches_does_not_keep_serin_from_stopping() {
    let slow = Duration::from_mins(1);
    let prometheus = ScriptedPrometheus::start(move |_| series(1.0).after(slow)).await;
    let keys = [("server.shutdownGrace", "1s")];
    let serin = Serin::start_with(&prometheus.url, &keys, None).await;
    let id = serin
        .client
        .start_canary("/canary", &adhoc(&["latency"]))
        .await;
    let url = format!("{}/canary/{id}/events", serin.client.url);
    let response = serin.client.http.get(url).send().await.unwrap();
    let watching = tokio::spawn(async move { response.bytes().await });
    serin.service.stop().await;
    let ended = tokio::time::timeout(Duration::from_secs(5), watching).await;
    assert!(ended.is_ok(), "the stream goes on");
}
