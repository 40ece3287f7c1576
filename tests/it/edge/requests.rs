//! Requests that are whole and not to be answered.

use std::time::Duration;

use serde_json::{Value, json};

use crate::executions::{adhoc, series};
use crate::harness::Serin;
use crate::scripted_prometheus::ScriptedPrometheus;

#[tokio::test]
async fn what_only_operators_need_is_refused_unless_it_is_configured() {
    let serin = Serin::start("").await;
    let off = json!({"enabled": false});
    let (status, told) = serin
        .client
        .post("/admin/orca/instance/enabled", &off)
        .await;
    assert_eq!(status, 403, "{told}");
    let (status, told) = serin.client.delete("/credentials/local").await;
    assert_eq!(status, 403, "{told}");
    assert!(
        told["message"]
            .as_str()
            .unwrap()
            .contains("does not have the role 'admin'")
    );
    assert_eq!(serin.client.get("/credentials").await.1[0]["name"], "local");
}

#[tokio::test]
async fn methods_that_clients_make_up_are_one_label() {
    let serin = Serin::start("").await;
    for at in 0..1_000 {
        let method = reqwest::Method::from_bytes(format!("MADEUP{at}").as_bytes()).unwrap();
        let url = format!("{}/health/liveness", serin.client.url);
        let answer = serin.client.http.request(method, url).send().await.unwrap();
        assert_eq!(answer.status(), 405);
    }
    let (_, metrics) = serin.client.get("/metrics").await;
    let metrics = metrics.as_str().unwrap();
    assert!(!metrics.contains("MADEUP"));
    let label = "serin_http_requests_total{method=\"other\",path=\"/health/liveness\",status=\"405\"} 1000\n";
    assert!(metrics.contains(label), "{metrics}");
}

#[tokio::test]
async fn names_and_scopes_that_are_too_long_are_refused_in_words() {
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let serin = Serin::start(&prometheus.url).await;
    let client = &serin.client;
    let (name, scope) = ("ä".repeat(255), "s".repeat(4_096));
    let (long_name, long_scope) = ("ä".repeat(256), "s".repeat(4_097));
    let config = "/canaryConfig/metrics/0";
    let side = "/executionRequest/scopes/default/experimentScope";
    // Where in the request, what is taken, what is not, and how that is told.
    let cases = [
        (
            "/canaryConfig/name",
            &name,
            &long_name,
            "name is longer than 255 characters",
        ),
        (
            &format!("{config}/name"),
            &name,
            &long_name,
            "metrics[0].name is longer than 255 characters",
        ),
        (
            &format!("{config}/groups/0"),
            &name,
            &long_name,
            "metrics[0].groups[0] is longer than 255 characters",
        ),
        (
            &format!("{side}/scope"),
            &scope,
            &long_scope,
            "scopes.default.experimentScope.scope is longer than 4096 bytes",
        ),
        (
            &format!("{side}/location"),
            &scope,
            &long_scope,
            "scopes.default.experimentScope.location is longer than 4096 bytes",
        ),
        (
            &format!("{side}/extendedScopeParams/a"),
            &scope,
            &long_scope,
            "scopes.default.experimentScope.extendedScopeParams.a is longer than 4096 bytes",
        ),
    ];
    for (place, taken, refused, told) in cases {
        let mut body = adhoc(&["latency"]);
        let side = &mut body["executionRequest"]["scopes"]["default"]["experimentScope"];
        side["location"] = "eu".into();
        side["extendedScopeParams"] = json!({"a": "b"});
        body["canaryConfig"]["name"] = "c".into();
        let put = |text: &str| -> Value {
            let mut body = body.clone();
            *body
                .pointer_mut(place)
                .unwrap_or_else(|| panic!("no {place}")) = text.into();
            body
        };
        let (status, answer) = client.post("/canary?application=a", &put(taken)).await;
        assert_eq!(status, 200, "{place}: {answer}");
        let (status, answer) = client.post("/canary?application=a", &put(refused)).await;
        assert_eq!((status, &answer["message"]), (400, &json!(told)), "{place}");
    }

    let body = adhoc(&["latency"]);
    for (name, expected) in [(&name, 200), (&long_name, 400)] {
        let (status, answer) = client
            .post(&format!("/canary?application={name}"), &body)
            .await;
        assert_eq!(status, expected, "{answer}");
    }
    let stored = json!({"name": "n".repeat(256), "applications": ["a"], "metrics": []});
    let (status, answer) = client.post("/canaryConfig", &stored).await;
    assert_eq!(
        (status, &answer["message"]),
        (400, &json!("name is longer than 255 characters"))
    );
}

#[tokio::test]
async fn a_list_is_no_object() {
    let serin = Serin::start("").await;
    let client = &serin.client;
    let side = json!({"executionRequest": {"scopes": {"default": {"controlScope": []}}}});
    let cases = [
        ("/canary", json!([])),
        ("/canary", json!({"executionRequest": []})),
        ("/canary", side),
        ("/canaryConfig", json!([])),
        ("/standalone_canary_analysis", json!([])),
        (
            "/standalone_canary_analysis",
            json!({"executionRequest": []}),
        ),
        ("/canaryResultArchive", json!([])),
        ("/canaryResultArchive", json!({"result": []})),
        ("/canaryResultArchive", json!({"exception": []})),
    ];
    for (path, body) in cases {
        let (status, told) = client.post(path, &body).await;
        assert_eq!(status, 400, "{path} {body}: {told}");
        let told = told["message"].as_str().unwrap();
        assert!(told.contains("an object"), "{path} {body}: {told}");
    }
    assert_eq!(client.post("/metricSetList", &json!([])).await.0, 200);
    assert_eq!(client.post("/metricSetList", &json!({})).await.0, 400);
}

#[tokio::test]
async fn a_request_too_many_is_refused_as_any_other() {
    let slow = Duration::from_secs(3);
    let prometheus = ScriptedPrometheus::start(move |_| series(1.0).after(slow)).await;
    let keys = [("server.maxConnections", "2")];
    let serin = Serin::start_with(&prometheus.url, &keys, None).await;
    let id = serin.client.start_canary("/canary", &adhoc(&["a"])).await;
    let many = reqwest::Client::builder().http2_prior_knowledge();
    let many = many.build().unwrap();
    let url = &serin.client.url;
    let wait = format!("{url}/canary/{id}?wait=20s");
    let waiting = [many.get(&wait).send(), many.get(&wait).send()].map(tokio::spawn);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let refused = many.get(format!("{url}/v2/canaries/{id}")).send().await;
    let refused = refused.unwrap();
    assert_eq!(refused.status(), 503);
    for header in ["retry-after", "x-request-id", "x-content-type-options"] {
        assert!(refused.headers().contains_key(header), "{header}");
    }
    let told: Value = refused.json().await.unwrap();
    // In the words of Gate, as on a path of Gate.
    assert_eq!(told["error"], "Service Unavailable", "{told}");
    assert!(
        told["message"]
            .as_str()
            .unwrap()
            .contains("server.maxConnections")
    );
    for waiting in waiting {
        assert_eq!(waiting.await.unwrap().unwrap().status(), 200);
    }
}
