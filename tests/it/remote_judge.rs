//! A judge over HTTP: how it is asked, and what becomes of its answers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::executions::{adhoc, series};
use crate::harness::Serin;
use crate::scripted_prometheus::ScriptedPrometheus;

/// A judge over HTTP that gives one reply after the other, the last one for ever.
struct RemoteJudge {
    url: String,
    asked: Arc<Mutex<Vec<Value>>>,
}

async fn remote_judge(replies: Vec<(u16, String)>) -> RemoteJudge {
    let asked = Arc::<Mutex<Vec<Value>>>::default();
    let seen = Arc::clone(&asked);
    let next = Arc::new(AtomicUsize::new(0));
    let judge = move |Json(question): Json<Value>| {
        seen.lock().unwrap().push(question);
        let index = next.fetch_add(1, Ordering::SeqCst);
        let (status, body) = replies[index.min(replies.len() - 1)].clone();
        async move { (StatusCode::from_u16(status).unwrap(), body).into_response() }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/judge-api", listener.local_addr().unwrap());
    let router = Router::new()
        .route("/judge-api/judge", post(judge))
        .layer(axum::extract::DefaultBodyLimit::disable());
    tokio::spawn(async move { axum::serve(listener, router).await });
    RemoteJudge { url, asked }
}

fn remote_verdict() -> String {
    // As sparse as a verdict may be.
    json!({
        "judgeName": "mine",
        "results": [{
            "name": "latency", "id": "x", "classification": "High",
            "experimentMetadata": {"stats": {"count": 1, "mean": 1, "min": 1, "max": 1, "std": 0}},
            "controlMetadata": {"stats": {"count": 1, "mean": 1, "min": 1, "max": 1, "std": 0}},
        }],
        "score": {"score": 42, "classification": "Fail", "classificationReason": null},
    })
    .to_string()
}

#[tokio::test]
async fn a_remote_judge_is_asked_as_kayenta_asks_it() {
    let remote = remote_judge(vec![(503, "busy".to_owned()), (200, remote_verdict())]).await;
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let keys = [
        ("kayenta.remote-judge.enabled", "true"),
        ("kayenta.remote-judge.endpoint.baseUrl", &remote.url),
    ];
    let serin = Serin::start_with(&prometheus.url, &keys, None).await;
    let client = &serin.client;
    assert_eq!(
        client.get("/judges").await.1[3],
        json!({"name": "RemoteJudge-v1.0", "visible": true})
    );

    let mut canary = adhoc(&["latency"]);
    canary["canaryConfig"]["judge"] = json!({"name": "RemoteJudge-v1.0"});
    // What serin's own judge refuses is the other one's affair.
    canary["canaryConfig"]["metrics"][0]["analysisConfigurations"] =
        json!({"canary": {"critical": "never"}});
    let id = client.start_canary("/canary", &canary).await;
    let done = client.poll(&id).await;
    assert_eq!(done["status"], "succeeded", "{done}");
    let result = &done["result"]["judgeResult"];
    assert_eq!(result["judgeName"], "mine");
    assert_eq!(result["score"]["score"], 42.0);
    assert_eq!(result["score"]["classificationReason"], "");
    assert_eq!(result["groupScores"], json!([]));

    let asked = remote.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 2);
    let question = &asked[1];
    assert_eq!(
        question["scoreThresholds"],
        json!({"pass": 95.0, "marginal": 75.0})
    );
    assert_eq!(question["canaryConfig"]["metrics"][0]["name"], "latency");
    assert_eq!(question["metricSetPairList"][0]["name"], "latency");
}

#[tokio::test]
async fn a_remote_judge_without_a_verdict_ends_the_judge_stage() {
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let mut canary = adhoc(&["latency"]);
    canary["canaryConfig"]["judge"] = json!({"name": "RemoteJudge-v1.0"});
    for (reply, times, kind, text) in [
        (
            (404, "no such thing".to_owned()),
            1,
            "SpinnakerHttpException",
            "answered 404 Not Found: no such thing",
        ),
        (
            (500, "broken".to_owned()),
            3,
            "SpinnakerHttpException",
            "answered 500",
        ),
        (
            (200, "{\"judgeName\":1}".to_owned()),
            1,
            "SpinnakerHttpException",
            "at 'judgeName'",
        ),
        (
            (200, "x".repeat(17 << 20)),
            1,
            "SpinnakerHttpException",
            "more than 16777216 bytes",
        ),
    ] {
        let remote = remote_judge(vec![reply]).await;
        let keys = [
            ("kayenta.remote-judge.enabled", "true"),
            ("kayenta.remote-judge.endpoint.baseUrl", &remote.url),
        ];
        let serin = Serin::start_with(&prometheus.url, &keys, None).await;
        let id = serin.client.start_canary("/canary", &canary).await;
        let done = serin.client.poll(&id).await;
        assert_eq!(done["status"], "terminal");
        assert_eq!(done["stageStatus"]["judge"], "terminal");
        assert_eq!(done["stageStatus"]["mixMetrics"], "succeeded");
        let exception = &done["exception"];
        assert_eq!(exception["operation"], "canaryJudge");
        assert_eq!(exception["exceptionType"], kind);
        let error = exception["details"]["errors"][0].as_str().unwrap();
        assert!(error.contains(text), "{error}");
        assert_eq!(remote.asked.lock().unwrap().len(), times, "{error}");
    }
    // Switched off, it is no judge at all.
    let serin = Serin::start(&prometheus.url).await;
    let id = serin.client.start_canary("/canary", &canary).await;
    assert_eq!(
        serin.client.poll(&id).await["exception"]["details"]["errors"],
        json!(["Unable to resolve canary judge 'RemoteJudge-v1.0'."])
    );
}
