//! What clients call as if it were Orca: executions as pipelines, and the switch of the worker.

use std::time::Duration;

use serde_json::{Value, json};

use crate::executions::{adhoc, series};
use crate::harness::{ALL_MAY_ALL, Serin};
use crate::scripted_prometheus::ScriptedPrometheus;
use crate::surface::problem;

#[tokio::test]
async fn an_execution_is_told_in_orcas_shape_and_forgotten_when_asked() {
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let serin = Serin::start(&prometheus.url).await;
    let client = &serin.client;
    let id = client
        .start_canary("/canary?application=web", &adhoc(&["latency", "errors"]))
        .await;
    let done = client.poll(&id).await;
    assert_eq!(client.get("/pipelines").await, (200, json!([id])));

    let path = format!("/pipelines/{id}");
    let (_, pipeline) = client.get(&path).await;
    for (member, expected) in [
        ("type", json!("PIPELINE")),
        ("id", json!(id)),
        ("application", json!("web")),
        ("name", json!("Standard Canary Pipeline")),
        ("buildTime", done["buildTimeMillis"].clone()),
        ("startTime", done["startTimeMillis"].clone()),
        ("endTime", done["endTimeMillis"].clone()),
        ("canceled", json!(false)),
        ("status", json!("SUCCEEDED")),
        ("pipelineConfigId", json!("web-standard-canary-pipeline")),
    ] {
        assert_eq!(pipeline[member], expected, "{member}");
    }
    let stages: Vec<String> = pipeline["stages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stage| {
            format!(
                "{} {} {} after {}",
                stage["refId"].as_str().unwrap(),
                stage["type"].as_str().unwrap(),
                stage["status"].as_str().unwrap(),
                stage["requisiteStageRefIds"]
            )
        })
        .collect();
    assert_eq!(
        stages,
        [
            "setupContext setupCanary SUCCEEDED after []",
            "fetchControl0 prometheusFetch SUCCEEDED after [\"setupContext\"]",
            "fetchControl1 prometheusFetch SUCCEEDED after [\"fetchControl0\"]",
            "fetchExperiment0 prometheusFetch SUCCEEDED after [\"setupContext\"]",
            "fetchExperiment1 prometheusFetch SUCCEEDED after [\"fetchExperiment0\"]",
            "mixMetrics metricSetMixer SUCCEEDED after [\"fetchControl1\",\"fetchExperiment1\"]",
            "judge canaryJudge SUCCEEDED after [\"mixMetrics\"]",
        ]
    );
    assert_eq!(
        pipeline["stages"][6]["outputs"]["result"],
        done["result"]["judgeResult"]
    );

    assert_eq!(client.delete(&path).await, (200, Value::Null));
    for gone in [client.get(&path).await, client.delete(&path).await] {
        assert_eq!(
            gone,
            (404, problem(404, &format!("No pipeline found for {id}")))
        );
    }
    assert_eq!(client.get("/pipelines").await, (200, json!([])));
    assert_eq!(client.get(&format!("/canary/{id}")).await, (200, done));

    let (status, body) = client
        .post("/pipelines/start", &json!({"stages": []}))
        .await;
    assert_eq!(status, 501);
    assert!(body["message"].as_str().unwrap().contains("POST /canary"));
}

#[tokio::test]
async fn an_execution_is_not_forgotten_before_it_is_complete_and_archived() {
    let prometheus =
        ScriptedPrometheus::start(|_| series(1.0).after(Duration::from_secs(20))).await;
    let serin = Serin::start(&prometheus.url).await;
    let client = &serin.client;
    let id = client.start_canary("/canary", &adhoc(&["latency"])).await;
    let path = format!("/pipelines/{id}");
    let (status, body) = client.delete(&path).await;
    assert_eq!(status, 401);
    assert!(
        body["message"]
            .as_str()
            .unwrap()
            .contains("cancel it first")
    );

    // A store that takes no archive.
    let folder = serin.data().join("kayenta/canary_archive");
    std::fs::create_dir_all(folder.parent().unwrap()).unwrap();
    std::fs::write(&folder, "in the way").unwrap();
    assert_eq!(
        client.put(&format!("{path}/cancel"), &json!("")).await.0,
        202
    );
    assert_eq!(client.delete(&path).await.0, 500);
    assert_eq!(client.get(&path).await.1["canceled"], true);

    std::fs::remove_file(&folder).unwrap();
    assert_eq!(client.delete(&path).await.0, 200);
    assert_eq!(client.get(&path).await.0, 404);
    assert_eq!(
        client.get(&format!("/canary/{id}")).await.1["status"],
        "canceled"
    );
}

#[tokio::test]
async fn a_process_that_is_switched_off_takes_up_no_work() {
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let serin = Serin::start_with(&prometheus.url, &[], Some(ALL_MAY_ALL)).await;
    let client = &serin.client;
    let switch = "/admin/orca/instance/enabled";
    let works = async |health: &str, gauge: &str| {
        let (status, told) = client.get("/health").await;
        assert_eq!(status, 200, "{told}");
        assert_eq!(told["components"]["work"]["status"], health);
        assert_eq!(client.get("/health/readiness").await.0, 200);
        let (_, metrics) = client.get("/metrics").await;
        assert!(metrics.as_str().unwrap().contains(gauge), "{gauge}");
    };
    works("UP", "serin_takes_work 1\n").await;
    assert_eq!(
        client.post(switch, &json!({"enabled": false})).await,
        (200, Value::Null)
    );
    works("OUT_OF_SERVICE", "serin_takes_work 0\n").await;
    let id = client.start_canary("/canary", &adhoc(&["latency"])).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    let (_, waiting) = client.get(&format!("/canary/{id}")).await;
    assert_eq!(waiting["status"], "not_started");
    assert_eq!(waiting["stageStatus"]["setupContext"], "not_started");
    assert_eq!(client.post(switch, &json!({"enabled": true})).await.0, 200);
    assert_eq!(client.poll(&id).await["status"], "succeeded");

    let (status, body) = client.post(switch, &json!({})).await;
    assert_eq!(
        (status, &body["message"], &body["error"]),
        (
            400,
            &json!("The field 'enabled' must be set."),
            &json!("Bad Request")
        )
    );
    assert_eq!(client.post(switch, &json!({"enabled": "x"})).await.0, 400);
}

/// Since 2025.1 Orca reads the answer to a start as a map of texts, and fails the stage at anything
/// else; of an error it casts each member without looking.
#[tokio::test]
async fn a_strict_reader_of_2026_gets_texts() {
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let serin = Serin::start(&prometheus.url).await;
    let client = &serin.client;
    let config = json!({"id": "stored", "name": "stored", "applications": ["web"],
        "metrics": adhoc(&["latency"])["canaryConfig"]["metrics"], "classifier": {"groupWeights": {}}});
    assert_eq!(client.post("/canaryConfig", &config).await.0, 200);
    let request = adhoc(&["latency"])["executionRequest"].clone();
    let doubtful = |mut request: Value| {
        request["thresholds"] = json!({"pass": 10, "marginal": 90});
        request
    };
    for request in [request.clone(), doubtful(request.clone())] {
        let (status, answer) = client
            .post("/canary/stored?application=web", &request)
            .await;
        assert_eq!(status, 200, "{answer}");
        let members = answer.as_object().unwrap();
        assert!(members["canaryExecutionId"].is_string(), "{answer}");
        for (name, value) in members {
            assert!(value.is_string(), "'{name}' is no text: {answer}");
        }
        client
            .poll(answer["canaryExecutionId"].as_str().unwrap())
            .await;
    }

    let refused = [
        ("/canary/nosuch", request.clone()),
        ("/canary/stored?metricsAccountName=nosuch", request.clone()),
        (
            "/canary/stored",
            json!({"scopes": {}, "thresholds": {"pass": 95, "marginal": 75}}),
        ),
        ("/canary/stored", json!({"scopes": 5})),
        ("/canary/stored", json!([])),
        ("/nosuch", json!({})),
        ("/judges", json!({})),
    ];
    for (path, body) in refused {
        let (status, told) = client.post(path, &body).await;
        assert!(400 <= status, "{path}: {told}");
        let members = told.as_object().unwrap();
        assert!(members["message"].is_string(), "{path}: {told}");
        for name in ["message", "error"] {
            let is_text = members.get(name).is_none_or(Value::is_string);
            assert!(is_text, "'{name}' of {path} is no text: {told}");
        }
        for name in ["errors", "messages"] {
            let texts = |list: &Value| {
                list.as_array()
                    .is_some_and(|list| list.iter().all(Value::is_string))
            };
            assert!(
                members.get(name).is_none_or(texts),
                "'{name}' of {path}: {told}"
            );
        }
    }
}
