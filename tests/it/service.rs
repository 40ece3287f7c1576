//! The service around its endpoints: health, limits, odd requests.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::executions::{adhoc, series};
use crate::harness::{ALL_MAY_ALL, Serin, answer};
use crate::scripted_prometheus::ScriptedPrometheus;

#[tokio::test]
async fn health_is_down_only_when_serin_cannot_work() {
    let serin = Serin::start("http://127.0.0.1:9").await;
    let (status, body) = serin.client.get("/health").await;
    assert_eq!((status, &body["status"]), (200, &json!("UP")), "{body}");
    let account = &body["components"]["prometheus"]["details"]["prometheus"];
    assert_eq!(account["status"], "DOWN");
    for path in ["/health/liveness", "/health/readiness"] {
        assert_eq!(serin.client.get(path).await, (200, json!({"status": "UP"})));
    }
    let keys = [("kayenta.prometheus.health.enabled", "true")];
    let strict = Serin::start_with("http://127.0.0.1:9", &keys, None).await;
    let (status, body) = strict.client.get("/health").await;
    assert_eq!((status, &body["status"]), (503, &json!("DOWN")), "{body}");
}

#[tokio::test]
async fn accounts_are_told_in_the_order_of_the_file_without_secrets() {
    let file = "kayenta:\n  memory:\n    enabled: true\n    accounts:\n      - name: scratch\n        supportedTypes: [OBJECT_STORE, CONFIGURATION_STORE]\n  prometheus:\n    enabled: true\n    accounts:\n      - name: b\n        endpoint: {baseUrl: 'http://b'}\n        username: alice\n        password: hidden\n      - name: a\n        endpoint: {baseUrl: 'http://a'}\n";
    let serin = Serin::start_with("", &[], Some(&format!("{file}{ALL_MAY_ALL}"))).await;
    let (_, accounts) = serin.client.get("/credentials").await;
    let told = accounts.to_string();
    assert!(
        !told.contains("hidden") && !told.contains("alice"),
        "{told}"
    );
    let names: Vec<_> = accounts
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["name"].clone())
        .collect();
    assert_eq!(names, ["scratch", "b", "a"]);
    assert_eq!(accounts[1]["type"], "prometheus");
    assert_eq!(accounts[1]["supportedTypes"], json!(["METRICS_STORE"]));
    assert_eq!(accounts[1]["locations"], json!([]));
    let (_, services) = serin.client.get("/metricsServices").await;
    assert_eq!(services[0]["name"], "b");
    assert_eq!(services.as_array().unwrap().len(), 2);

    assert_eq!(
        serin.client.delete("/credentials/b").await,
        (200, Value::Null)
    );
    assert_eq!(serin.client.delete("/credentials/nosuch").await.0, 200);
    assert_eq!(serin.client.get("/metricsServices").await.1[0]["name"], "a");
}

#[tokio::test]
async fn paths_are_forgiving() {
    let serin = Serin::start("").await;
    for path in ["//judges", "/judges/", "/judges//"] {
        let (status, body) = serin.client.get(path).await;
        assert_eq!(
            (status, &body[0]["name"]),
            (200, &json!("NetflixACAJudge-v1.0")),
            "{path}"
        );
    }
    assert_eq!(
        serin.client.get("/judges").await.1[2],
        json!({"name": "dredd-v1.0", "visible": false})
    );
    let (status, body) = serin.client.get("/nosuch").await;
    assert_eq!((status, &body["error"]), (404, &json!("Not Found")));
}

#[tokio::test]
async fn the_document_and_its_page_are_served_offline() {
    let serin = Serin::start("").await;
    assert_eq!(
        serin.client.get("/v3/api-docs").await.1["info"]["title"],
        "serin"
    );
    let (status, page) = serin.client.get("/swagger-ui/index.html").await;
    assert_eq!(status, 200);
    let page = page.as_str().unwrap();
    assert!(
        page.contains("swagger-ui") && !page.contains("https://"),
        "{page}"
    );
    assert_eq!(
        serin.client.get("/swagger-ui/swagger-ui-bundle.js").await.0,
        200
    );
}

#[tokio::test]
async fn metrics_of_serin_tell_of_executions() {
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let serin = Serin::start(&prometheus.url).await;
    let id = serin
        .client
        .start_canary("/canary?application=told", &adhoc(&["latency"]))
        .await;
    serin.client.poll(&id).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (_, text) = serin.client.get("/metrics").await;
    let text = text.as_str().unwrap();
    for part in [
        "serin_executions_total{status=\"succeeded\"}",
        "serin_canary_score{application=\"told\"",
        "serin_query_duration_seconds_bucket",
        "serin_http_requests_total{method=\"POST\",path=\"/canary\",status=\"200\"}",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_and_a_head_that_never_ends_are_cut() {
    let keys = [
        ("server.maxBodySize", "10KiB"),
        ("server.headerTimeout", "500ms"),
    ];
    let serin = Serin::start_with("", &keys, None).await;
    let large = json!({"name": "x".repeat(20_000)});
    let (status, body) = serin.client.post("/canaryConfig", &large).await;
    assert_eq!(status, 413, "{body}");
    assert!(body["message"].is_string());

    let address = serin.client.url.trim_start_matches("http://").to_owned();
    let closed = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream
            .write_all(b"GET /judges HTTP/1.1\r\nHost: x\r\n")
            .unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).is_ok()
    });
    assert!(closed.await.unwrap(), "the connection stays open");
}

#[tokio::test]
async fn an_answer_is_compressed_when_asked_and_carries_a_request_id() {
    let serin = Serin::start("").await;
    let response = serin
        .client
        .http
        .get(format!("{}/v3/api-docs", serin.client.url))
        .send()
        .await
        .unwrap();
    assert!(response.headers().contains_key("x-request-id"));
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
}

#[tokio::test]
async fn judging_what_has_been_fetched_needs_no_query() {
    let serin = Serin::start("").await;
    let client = &serin.client;
    let config = json!({"id": "c", "name": "c", "applications": ["web"], "metrics": [{"name": "m"}], "classifier": {"groupWeights": {}}});
    assert_eq!(client.post("/canaryConfig", &config).await.0, 200);
    let pairs = json!([{"name": "m", "id": "i", "tags": {}, "values": {"control": [1, 2, "NaN"], "experiment": [1, 2]}}]);
    let (_, stored) = client.post("/metricSetPairList", &pairs).await;
    let list = stored["metricSetPairListId"].as_str().unwrap();
    let path = |config: &str, list: &str| {
        format!(
            "/judges/judge?canaryConfigId={config}&metricSetPairListId={list}&passThreshold=95&marginalThreshold=75"
        )
    };
    let post = async |path: String| answer(client.http.post(format!("{}{path}", client.url))).await;
    let (status, result) = post(path("c", list)).await;
    assert_eq!(
        (status, &result["results"][0]["classification"]),
        (200, &json!("Pass")),
        "{result}"
    );
    assert_eq!(
        post(path("nosuch", list)).await.1["message"],
        "No such object named nosuch"
    );
    assert_eq!(post(path("c", "nosuch")).await.0, 404);
    let (status, body) = post("/judges/judge?canaryConfigId=c".to_owned()).await;
    assert_eq!(status, 400);
    assert!(
        body["message"]
            .as_str()
            .unwrap()
            .contains("metricSetPairListId"),
        "{body}"
    );
    assert_eq!(
        client.delete(&format!("/metricSetPairList/{list}")).await.0,
        204
    );
    assert_eq!(
        client.get(&format!("/metricSetPairList/{list}")).await.0,
        404
    );
}
