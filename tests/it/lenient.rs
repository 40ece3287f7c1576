//! Careless clients are understood: what Kayenta's JSON mapper forgives, serin forgives.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Client, Serin, answer};
use crate::scripted_prometheus::{Reply, ScriptedPrometheus};

/// A serin with one account of a Prometheus, and the config `cfg-1`; with its stores.
pub async fn start() -> (Serin, TempDir) {
    start_with(&["prom"]).await
}

/// The same with Prometheus accounts of these names.
pub async fn start_with(accounts: &[&str]) -> (Serin, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let answer = json!([{"metric": {}, "values": [[1_717_203_600, "1"], [1_717_203_660, "2"]]}]);
    let prometheus = ScriptedPrometheus::replying(vec![Reply::matrix(&answer)]).await;
    let accounts = accounts.iter();
    let accounts =
        accounts.map(|name| json!({"name": name, "endpoint": {"baseUrl": prometheus.url}}));
    let accounts: Vec<Value> = accounts.collect();
    let store = |name| json!({"name": name, "directory": folder.path().join(name)});
    let yml = json!({"kayenta": {
        "prometheus": {"enabled": true, "accounts": accounts},
        "file": {"enabled": true, "accounts": [store("s3"), store("in-memory-store-account")]},
    }});
    let serin = Serin::start_with("", &[], Some(&yml.to_string())).await;
    let mut config = config();
    config["id"] = json!("cfg-1");
    let (status, body) = serin.client.post("/canaryConfig", &config).await;
    assert_eq!(status, 200, "{body}");
    (serin, folder)
}

pub fn config() -> Value {
    json!({
        "name": "careless", "applications": ["guestbook"],
        "metrics": [{
            "name": "cpu", "scopeName": "default", "groups": ["g"],
            "query": {"type": "prometheus", "customInlineTemplate": "PromQL:cpu{version=\"${scope}\"}"},
        }],
        "classifier": {"groupWeights": {"g": 100}},
    })
}

pub fn request() -> Value {
    let scope = |scope| {
        json!({
            "scope": scope, "location": "eu", "step": 60,
            "start": "2024-06-01T01:00:00Z", "end": "2024-06-01T02:00:00Z",
        })
    };
    json!({
        "scopes": {"default": {"controlScope": scope("v1"), "experimentScope": scope("v2")}},
        "thresholds": {"pass": 95, "marginal": 75},
    })
}

#[tokio::test]
async fn members_of_a_request_may_have_the_wrong_type() {
    let cases = [
        ("/thresholds/pass", json!("95"), json!(95.0)),
        ("/thresholds/pass", json!(" 95.5 "), json!(95.5)),
        ("/thresholds/marginal", json!(""), Value::Null),
        ("/thresholds/extra", json!([1]), Value::Null),
        ("/metadata", Value::Null, Value::Null),
        (
            "/metadata",
            json!([{"name": 1, "value": 2.5, "hidden": "true"}]),
            json!([{"name": "1", "value": "2.5", "hidden": true}]),
        ),
        (
            "/metadata",
            json!([{"name": "a", "value": "b", "hidden": ""}]),
            json!([{"name": "a", "value": "b", "hidden": false}]),
        ),
        ("/siteLocal", Value::Null, Value::Null),
        (
            "/siteLocal",
            json!({"a": {"b": [1]}}),
            json!({"a": {"b": [1]}}),
        ),
        ("/unknown", json!(1), Value::Null),
    ];
    are_told("", &cases).await;
}

#[tokio::test]
async fn members_of_a_scope_may_have_the_wrong_type() {
    let cases = [
        ("/step", json!("60"), json!(60)),
        ("/step", json!(60.7), json!(60)),
        ("/step", json!(""), Value::Null),
        ("/step", json!(0), json!(0)),
        ("/step", Value::Null, Value::Null),
        ("/scope", json!(0), json!("0")),
        ("/scope", json!(true), json!("true")),
        ("/location", json!(""), json!("")),
        ("/location", Value::Null, Value::Null),
        (
            "/start",
            json!("2024-06-01T03:00:00+02:00"),
            json!("2024-06-01T01:00:00Z"),
        ),
        (
            "/start",
            json!("2024-06-01T01:00:00+0000"),
            json!("2024-06-01T01:00:00Z"),
        ),
        (
            "/start",
            json!("2024-06-01T01:00:00.722025662Z"),
            json!("2024-06-01T01:00:00.722025662Z"),
        ),
        (
            "/start",
            json!("2024-06-01T01:00:00.5-01:30"),
            json!("2024-06-01T02:30:00.500Z"),
        ),
        (
            "/start",
            json!(1_717_203_600_000_i64),
            json!("2024-06-01T01:00:00Z"),
        ),
        (
            "/start",
            json!("1717203600000"),
            json!("2024-06-01T01:00:00Z"),
        ),
        (
            "/start",
            json!(1_717_203_600.25),
            json!("2024-06-01T01:00:00.250Z"),
        ),
        (
            "/start",
            json!("1717203600.25"),
            json!("2024-06-01T01:00:00.250Z"),
        ),
        ("/start", json!(""), Value::Null),
        (
            "/end",
            json!("2999-01-01T00:00:00Z"),
            json!("2999-01-01T00:00:00Z"),
        ),
        ("/extendedScopeParams", Value::Null, Value::Null),
        ("/extendedScopeParams", json!({}), json!({})),
        (
            "/extendedScopeParams",
            json!({"a": null, "b": 1, "c": true}),
            json!({"b": "1", "c": "true"}),
        ),
        ("/unknown", json!({"a": 1}), Value::Null),
    ];
    are_told("/scopes/default/controlScope", &cases).await;
}

/// What is sent at a place of the request, and how it is told; `null` where it is absent then.
async fn are_told(place: &str, cases: &[(&str, Value, Value)]) {
    let (serin, _stores) = start().await;
    for (pointer, sent, expected) in cases {
        let pointer = format!("{place}{pointer}");
        let mut request = request();
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        request.pointer_mut(parent).unwrap()[member] = sent.clone();
        let (status, body) = serin
            .client
            .post("/canary/cfg-1?application=guestbook", &request)
            .await;
        assert_eq!(status, 200, "{pointer} {sent}: {body}");
        let id = body["canaryExecutionId"].as_str().unwrap();
        let (_, execution) = serin.client.get(&format!("/canary/{id}")).await;
        let told = &execution["canaryExecutionRequest"];
        assert_eq!(
            told.pointer(&pointer).unwrap_or(&Value::Null),
            expected,
            "{pointer} {sent}"
        );
    }
    serin.service.stop().await;
}

#[tokio::test]
async fn members_of_a_config_may_have_the_wrong_type() {
    let (serin, _stores) = start().await;
    let cases = [
        ("/configVersion", json!(1.0), json!("1.0")),
        ("/configVersion", json!(1), json!("1")),
        (
            "/createdTimestamp",
            json!("1717203600000"),
            json!(1_717_203_600_000_i64),
        ),
        ("/createdTimestamp", json!(0), json!(0)),
        ("/description", json!(5), json!("5")),
        ("/description", Value::Null, Value::Null),
        ("/judge", Value::Null, Value::Null),
        ("/templates", Value::Null, Value::Null),
        (
            "/templates",
            json!({"a": null, "b": "x", "c": 1}),
            json!({"b": "x", "c": "1"}),
        ),
        ("/classifier/groupWeights/g", json!("100"), json!(100.0)),
        ("/classifier/groupWeights/g", json!(""), Value::Null),
        (
            "/classifier/scoreThresholds",
            json!({"pass": "95", "marginal": ""}),
            json!({"pass": 95.0}),
        ),
        ("/classifier", Value::Null, Value::Null),
        ("/metrics/0/groups", Value::Null, Value::Null),
        ("/metrics/0/groups", json!(["g", 1]), json!(["g", "1"])),
        (
            "/metrics/0/analysisConfigurations",
            Value::Null,
            Value::Null,
        ),
        ("/metrics/0/analysisConfigurations", json!({}), json!({})),
        ("/metrics/0/scopeName", json!(7), json!("7")),
        ("/metrics/0/query/labelBindings", Value::Null, Value::Null),
        (
            "/metrics/0/query/queryType",
            json!("PROMQL"),
            json!("PROMQL"),
        ),
        ("/isNew", json!(true), json!(true)),
    ];
    for (pointer, sent, expected) in cases {
        let mut config = config();
        config["name"] = json!("mine");
        config["id"] = json!("mine");
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        config.pointer_mut(parent).unwrap()[member] = sent.clone();
        let (status, body) = serin.client.post("/canaryConfig", &config).await;
        assert_eq!(status, 200, "{pointer} {sent}: {body}");
        let (_, told) = serin.client.get("/canaryConfig/mine").await;
        assert_eq!(
            told.pointer(pointer).unwrap_or(&Value::Null),
            &expected,
            "{pointer} {sent}"
        );
        let (status, _) = serin.client.delete("/canaryConfig/mine").await;
        assert_eq!(status, 204);
    }
    serin.service.stop().await;
}

#[tokio::test]
async fn members_of_stored_series_may_have_the_wrong_type() {
    let (serin, _stores) = start().await;
    let set = json!({
        "name": "m", "tags": {"code": 200, "none": null}, "startTimeMillis": "1717203600000",
        "endTimeMillis": 1_717_203_660_000.5, "stepMillis": "", "values": [1, "2", "NaN", null, "", "+INF", "+Infinity", "INF", "-INF"],
        "attributes": null, "unknown": 1,
    });
    let (status, body) = serin.client.post("/metricSetList", &json!([set])).await;
    assert_eq!(status, 200, "{body}");
    let id = body["metricSetListId"].as_str().unwrap();
    let (_, told) = serin.client.get(&format!("/metricSetList/{id}")).await;
    assert_eq!(
        told[0],
        json!({
            "name": "m", "tags": {"code": "200"}, "startTimeMillis": 1_717_203_600_000_i64,
            "endTimeMillis": 1_717_203_660_000_i64, "stepMillis": 0, "values": [1.0, 2.0, "NaN", 0.0, 0.0, "Infinity", "Infinity", "Infinity", "-Infinity"],
        })
    );

    let side =
        json!({"startTimeMillis": "1717203600000", "stepMillis": 60_000.0, "startTimeIso": null});
    let pair = json!({
        "name": "m", "id": 5, "tags": null, "values": {"control": ["1"], "experiment": [2]},
        "scopes": {"control": side, "experiment": null}, "attributes": {"control": {"query": 1, "none": null}, "experiment": null},
    });
    let (status, body) = serin
        .client
        .post("/metricSetPairList", &json!([pair]))
        .await;
    assert_eq!(status, 200, "{body}");
    let id = body["metricSetPairListId"].as_str().unwrap();
    let (_, told) = serin
        .client
        .get(&format!("/metricSetPairList/{id}/5"))
        .await;
    assert_eq!(
        told,
        json!({
            "name": "m", "id": "5", "tags": {}, "values": {"control": [1.0], "experiment": [2.0]},
            "scopes": {"control": {"startTimeMillis": 1_717_203_600_000_i64, "stepMillis": 60_000}},
            "attributes": {"control": {"query": "1"}},
        })
    );

    let archive = json!({
        "application": 7, "pipelineId": "a", "complete": "true", "status": "SUCCEEDED", "stageStatus": null,
        "buildTimeMillis": "1717203600000", "endTimeMillis": "", "canaryExecutionRequest": null, "unknown": 1,
    });
    let (status, body) = serin
        .client
        .post("/canaryResultArchive?pipelineId=a", &archive)
        .await;
    assert_eq!(status, 200, "{body}");
    let (_, told) = serin.client.get("/canaryResultArchive/a").await;
    assert_eq!(
        told,
        json!({
            "application": "7", "pipelineId": "a", "stageStatus": {}, "complete": true, "status": "succeeded",
            "buildTimeMillis": 1_717_203_600_000_i64, "received": true,
        })
    );
    serin.service.stop().await;
}

#[tokio::test]
async fn what_is_no_number_or_instant_is_refused_by_name() {
    let (serin, _stores) = start().await;
    for (pointer, sent) in [
        ("/thresholds/pass", json!("high")),
        ("/scopes/default/controlScope/step", json!("a minute")),
        ("/scopes/default/controlScope/start", json!("yesterday")),
        ("/scopes/default/controlScope/start", json!("2024-06-01")),
        ("/scopes", json!([])),
        ("/scopes/default", Value::Null),
    ] {
        let mut request = request();
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        request.pointer_mut(parent).unwrap()[member] = sent.clone();
        let (status, body) = serin.client.post("/canary/cfg-1", &request).await;
        assert_eq!(status, 400, "{pointer} {sent}");
        let message = body["message"].as_str().unwrap();
        assert!(message.contains(member), "{message}");
    }
    serin.service.stop().await;
}

#[tokio::test]
async fn paths_content_types_and_empty_query_values_are_taken_as_they_are_meant() {
    let (serin, _stores) = start().await;
    let Client { http, url } = &serin.client;
    let body = request().to_string();

    for path in [
        "/canary/cfg-1",
        "/canary/cfg-1/",
        "//canary/cfg-1",
        "/canary//cfg-1//",
        "/canary/cfg-1?application=&metricsAccountName=&storageAccountName=&configurationAccountName=&parentPipelineExecutionId=",
        "/canary/cfg-1/?application=Canary+Test",
        "/canary/cfg-1?application=Canary%20Test&unknown=1",
    ] {
        let request = http.post(format!("{url}{path}")).body(body.clone());
        let (status, told) = answer(request.header("content-type", "application/json")).await;
        assert_eq!(status, 200, "{path}: {told}");
    }
    for path in [
        "/canaryConfig/",
        "//canaryConfig?application=",
        "/canary/executions/?application=&statuses=&limit=&page=",
    ] {
        let (status, told) = serin.client.get(path).await;
        assert_eq!(status, 200, "{path}: {told}");
    }
    let (_, listed) = serin
        .client
        .get("/canary/executions?application=Canary+Test")
        .await;
    assert_eq!(listed.as_array().unwrap().len(), 2);

    for kind in [
        "application/json",
        "application/json;charset=UTF-8",
        "application/json; charset=utf-8",
        "Application/JSON ; charset=\"utf-8\"",
        "",
    ] {
        let request = http.post(format!("{url}/canary/cfg-1")).body(body.clone());
        let (status, told) = answer(request.header("content-type", kind)).await;
        assert_eq!(status, 200, "'{kind}': {told}");
    }
    let without = http.post(format!("{url}/canary/cfg-1")).body(body.clone());
    assert_eq!(answer(without).await.0, 200);
    let other = http.post(format!("{url}/canary/cfg-1")).body(body.clone());
    assert_eq!(
        answer(other.header("content-type", "text/plain")).await.0,
        415
    );

    // A byte order mark, as PowerShell writes it, and a member that stands twice: the last counts.
    let marked = http
        .post(format!("{url}/canary/cfg-1"))
        .body(format!("\u{feff}{body}"));
    assert_eq!(answer(marked).await.0, 200);
    let utf16: Vec<u8> = body.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let (status, told) = answer(http.post(format!("{url}/canary/cfg-1")).body(utf16)).await;
    assert_eq!(status, 400);
    let told = told["message"].as_str().unwrap();
    assert!(told.contains("as UTF-16 does"), "{told}");
    let twice = body.replacen('{', r#"{"thresholds": {"pass": 1, "marginal": 0}, "#, 1);
    let (status, told) = answer(http.post(format!("{url}/canary/cfg-1")).body(twice)).await;
    assert_eq!(status, 200, "{told}");
    let id = told["canaryExecutionId"].as_str().unwrap();
    let (_, execution) = serin.client.get(&format!("/canary/{id}")).await;
    assert_eq!(
        execution["canaryExecutionRequest"]["thresholds"]["pass"],
        95.0
    );
    serin.service.stop().await;
}
