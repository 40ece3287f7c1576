//! What Kayenta's and Gate's clients can call beside canaries: comparisons, pipelines, the switch of
//! the worker, a remote judge, accounts, Gate's paths, headers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::executions::{adhoc, request, series};
use crate::harness::{Client, Serin, answer};
use crate::scripted_prometheus::ScriptedPrometheus;

async fn post_empty(client: &Client, path: &str) -> (u16, Value) {
    answer(client.http.post(format!("{}{path}", client.url))).await
}

/// The id of a stored list of one pair for the metric `m`.
async fn store_pairs(client: &Client) -> String {
    let pairs = json!([{"name": "m", "id": "i", "tags": {}, "values": {"control": [1, 2], "experiment": [1, 2]}}]);
    let (_, stored) = client.post("/metricSetPairList", &pairs).await;
    stored["metricSetPairListId"].as_str().unwrap().to_owned()
}

async fn store_config(client: &Client, id: &str, judge: &Value) {
    let mut config = json!({"id": id, "name": id, "applications": ["web"], "metrics": [{"name": "m", "groups": ["g"]}], "classifier": {"groupWeights": {}}});
    if !judge.is_null() {
        config["judge"] = judge.clone();
    }
    let (status, body) = client.post("/canaryConfig", &config).await;
    assert_eq!(status, 200, "{body}");
}

#[tokio::test]
async fn two_judges_are_compared_and_their_results_kept() {
    let serin = Serin::start("").await;
    let client = &serin.client;
    store_config(
        client,
        "named",
        &json!({"name": "NetflixACAJudge-v1.0", "judgeConfigurations": {}}),
    )
    .await;
    store_config(client, "unnamed", &Value::Null).await;
    let list = store_pairs(client).await;
    let compare = async |config: &str, list: &str, two: &str| {
        let path = format!(
            "/judges/comparison?canaryConfigId={config}&metricSetPairListId={list}&passThreshold=95&marginalThreshold=75&overrideCanaryJudge1=&overrideCanaryJudge2={two}"
        );
        let (status, body) = post_empty(client, &path).await;
        assert_eq!(status, 200, "{body}");
        body["canaryExecutionId"].as_str().unwrap().to_owned()
    };
    let found = async |id: &str| client.get(&format!("/judges/comparison/{id}")).await;

    let id = compare("named", &list, "dredd-v1.0").await;
    let (status, body) = found(&id).await;
    assert_eq!(status, 200);
    let results = &body["comparisonResult"];
    assert_eq!(results["judge1Result"]["judgeName"], "NetflixACAJudge-v1.0");
    assert_eq!(results["judge1Result"]["score"]["score"], 100.0);
    assert_eq!(results["judge2Result"]["judgeName"], "dredd-v1.0");
    assert_eq!(
        client.get(&format!("/canary/{id}")).await,
        (
            400,
            problem(
                400,
                &format!("Unable to find StageExecution 'mixMetrics' in pipeline ID '{id}'")
            )
        )
    );
    let (_, pipeline) = client.get(&format!("/pipelines/{id}")).await;
    assert_eq!(pipeline["status"], "SUCCEEDED");
    assert_eq!(pipeline["stages"].as_array().unwrap().len(), 3);

    // Without a judge in the config there is nothing to override.
    let id = compare("unnamed", &list, "dredd-v1.0").await;
    let (_, body) = found(&id).await;
    assert_eq!(
        body["comparisonResult"]["judge2Result"]["judgeName"],
        "NetflixACAJudge-v1.0"
    );

    let id = compare("named", &list, "nosuch").await;
    let (_, body) = found(&id).await;
    assert!(body.get("comparisonResult").is_none(), "{body}");
    let exception = &body["exceptions"]["Perform Analysis with Judge 2"];
    assert_eq!(
        exception["details"]["errors"],
        json!(["Unable to resolve canary judge 'nosuch'."])
    );
    let id = compare("named", "nosuch", "").await;
    assert_eq!(
        found(&id).await.1["exceptions"].as_object().unwrap().len(),
        2
    );

    assert_eq!(
        found("nosuch").await,
        (404, problem(404, "No pipeline found for nosuch"))
    );
    assert_eq!(
        post_empty(client, "/judges/comparison?canaryConfigId=nosuch&metricSetPairListId=l&passThreshold=95&marginalThreshold=75").await.0,
        404
    );
}

fn problem(status: u16, message: &str) -> Value {
    let title = StatusCode::from_u16(status).unwrap().canonical_reason();
    json!({"message": message, "title": title, "status": status, "detail": message})
}

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
    let serin = Serin::start(&prometheus.url).await;
    let client = &serin.client;
    let switch = "/admin/orca/instance/enabled";
    assert_eq!(
        client.post(switch, &json!({"enabled": false})).await,
        (200, Value::Null)
    );
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
        client.get("/judges").await.1[2],
        json!({"name": "RemoteJudge-v1.0", "visible": true})
    );

    let mut canary = adhoc(&["latency"]);
    canary["canaryConfig"]["judge"] = json!({"name": "RemoteJudge-v1.0"});
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

const STORES: &str = "
kayenta:
  memory:
    enabled: true
    accounts:
      - {name: objects, supportedTypes: [OBJECT_STORE]}
      - {name: configs, supportedTypes: [CONFIGURATION_STORE]}
      - {name: both, supportedTypes: [OBJECT_STORE, CONFIGURATION_STORE]}
  prometheus:
    enabled: true
    accounts:
      - {name: first, endpoint: {baseUrl: 'http://127.0.0.1:9'}}
      - {name: second, endpoint: {baseUrl: 'http://127.0.0.1:9'}}
";

#[tokio::test]
async fn an_account_is_found_by_name_alone_else_the_first_of_its_type() {
    let serin = Serin::start_with("", &[], Some(STORES)).await;
    let client = &serin.client;
    store_config(client, "default", &Value::Null).await;
    let listed = async |query: &str| {
        let (status, list) = client.get(&format!("/canaryConfig?{query}")).await;
        assert_eq!(status, 200, "{query}: {list}");
        list.as_array().unwrap().len()
    };
    assert_eq!(listed("configurationAccountName=configs").await, 1);
    assert_eq!(listed("configurationAccountName=both").await, 0);
    // Argo gives the storage account's name, which may be of the other type, and empty values.
    assert_eq!(
        listed("application=web&configurationAccountName=objects").await,
        0
    );
    assert_eq!(listed("application=&configurationAccountName=").await, 1);
    let config = json!({"id": "argo", "name": "argo", "applications": ["web"], "metrics": []});
    assert_eq!(
        client
            .post("/canaryConfig?configurationAccountName=objects", &config)
            .await
            .0,
        200
    );
    assert_eq!(
        listed("application=web&configurationAccountName=objects").await,
        1
    );

    let refused = [
        (
            "/canaryConfig?configurationAccountName=nosuch",
            "Unable to resolve account nosuch.",
        ),
        (
            "/canaryConfig?configurationAccountName=first",
            "Unable to resolve storage service first.",
        ),
        (
            "/metricSetList?accountName=nosuch",
            "Unable to resolve account nosuch.",
        ),
        (
            "/metadata/metricsService?metricsAccountName=objects",
            "Unable to resolve metrics service objects.",
        ),
    ];
    for (path, message) in refused {
        assert_eq!(
            client.get(path).await,
            (400, problem(400, message)),
            "{path}"
        );
    }

    // The default moves on when an account is removed.
    assert_eq!(client.delete("/credentials/configs").await.0, 200);
    assert_eq!(listed("").await, 0);
    client.delete("/credentials/both").await;
    assert_eq!(
        client.get("/canaryConfig").await,
        (
            400,
            problem(
                400,
                "Unable to resolve account of type CONFIGURATION_STORE."
            )
        )
    );
}

const BROKEN: &str = "
kayenta:
  memory:
    enabled: true
    accounts: [{name: works, supportedTypes: [OBJECT_STORE, CONFIGURATION_STORE]}]
  aws:
    enabled: true
    accounts:
      - name: broken
        bucket: b
        region: eu-central-1
        endpoint: http://127.0.0.1:9
        explicitCredentials: {accessKey: a, secretKey: s}
        supportedTypes: [OBJECT_STORE, CONFIGURATION_STORE]
  s3: {enabled: true}
";

#[tokio::test]
async fn a_broken_account_fails_its_own_calls_only_and_shows_in_the_health() {
    // Accepts connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    let serin = Serin::start_with(&silent, &[], Some(BROKEN)).await;
    let client = &serin.client;
    let start = Instant::now();
    let (status, health) = client.get("/health").await;
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "{:?}",
        start.elapsed()
    );
    assert_eq!((status, &health["status"]), (200, &json!("UP")), "{health}");
    let stores = &health["components"]["storage"];
    assert_eq!(stores["status"], "UP");
    assert_eq!(stores["details"]["works"], json!({"status": "UP"}));
    assert_eq!(stores["details"]["broken"]["status"], "DOWN");
    let metrics = &health["components"]["prometheus"]["details"]["prometheus"];
    assert_eq!(metrics["status"], "DOWN");

    store_config(client, "c", &Value::Null).await;
    assert_eq!(client.get("/canaryConfig/c").await.0, 200);
    let (status, body) = client
        .get("/canaryConfig/c?configurationAccountName=broken")
        .await;
    assert!(status >= 500, "{body}");
    assert!(body["message"].is_string(), "{body}");
}

#[tokio::test]
async fn gates_paths_lead_to_kayentas() {
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let serin = Serin::start_with(&prometheus.url, &[], None).await;
    let client = &serin.client;
    let mut config = crate::executions::config(&["errors"]);
    config["id"] = json!("spin-cfg");
    config["name"] = json!("spin-config");
    config["applications"] = json!(["my app"]);
    assert_eq!(client.get("/v2/canaryConfig/spin-cfg").await.0, 404);
    assert_eq!(
        client.post("/v2/canaryConfig", &config).await,
        (200, json!({"canaryConfigId": "spin-cfg"}))
    );
    assert_eq!(
        client.put("/v2/canaryConfig/spin-cfg", &config).await.0,
        200
    );
    let (_, list) = client.get("/v2/canaryConfig?application=my%20app").await;
    assert_eq!(list[0]["name"], "spin-config");
    for (path, name) in [
        ("/v2/canaries/credentials", "prometheus"),
        ("/v2/canaries/judges", "NetflixACAJudge-v1.0"),
    ] {
        assert_eq!(client.get(path).await.1[0]["name"], name, "{path}");
    }

    let retro = "/v2/canaries/canary?application=my%20app&metricsAccountName=prometheus&storageAccountName=local";
    let id = client
        .start_canary(
            retro,
            &json!({"canaryConfig": config, "executionRequest": request()}),
        )
        .await;
    let done = client.poll(&id).await;
    let stored = client
        .start_canary(
            "/v2/canaries/canary/spin-cfg?application=my%20app&configurationAccountName=local",
            &request(),
        )
        .await;
    assert_eq!(client.poll(&stored).await["canaryConfigId"], "spin-cfg");
    for path in [
        format!("/v2/canaries/canary/{id}"),
        format!("/v2/canaries/canary/ad-hoc/{id}?storageAccountName=local"),
    ] {
        assert_eq!(client.get(&path).await, (200, done.clone()), "{path}");
    }
    let (_, runs) = client
        .get(
            "/v2/canaries/my%20app/executions?limit=20&statuses=SUCCEEDED&storageAccountName=local",
        )
        .await;
    assert_eq!(runs.as_array().unwrap().len(), 2);
    let pairs = done["metricSetPairListId"].as_str().unwrap();
    let (status, list) = client
        .get(&format!(
            "/v2/canaries/metricSetPairList/{pairs}?storageAccountName=local"
        ))
        .await;
    assert_eq!((status, &list[0]["name"]), (200, &json!("errors")));
    assert_eq!(
        client
            .get(&format!(
                "/v2/canaries/metricSetPairList/{pairs}?storageAccountName=nosuch"
            ))
            .await
            .0,
        400
    );
    assert_eq!(client.delete("/v2/canaryConfig/spin-cfg").await.0, 204);

    let off = Serin::start_with("", &[("server.gateAliases", "false")], None).await;
    assert_eq!(off.client.get("/v2/canaries/judges").await.0, 404);
}

#[tokio::test]
async fn every_answer_tells_browsers_to_be_careful() {
    let serin = Serin::start("").await;
    let get = async |path: &str| {
        let url = format!("{}{path}", serin.client.url);
        serin.client.http.get(url).send().await.unwrap()
    };
    for path in ["/judges", "/nosuch", "/swagger-ui/index.html"] {
        let response = get(path).await;
        let headers = response.headers();
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["x-frame-options"], "DENY", "{path}");
        assert_eq!(headers["referrer-policy"], "no-referrer", "{path}");
        assert!(!headers.contains_key("access-control-allow-origin"));
    }
    assert_eq!(get("/judges").await.headers()["cache-control"], "no-store");

    let initializer = get("/swagger-ui/swagger-initializer.js").await;
    let text = initializer.text().await.unwrap();
    assert!(
        text.contains("/v3/api-docs") && text.contains("\"validatorUrl\": \"none\""),
        "{text}"
    );

    // The policy of the page allows scripts of files only; the page has no other.
    let page = get("/swagger-ui/index.html").await;
    let policy = page.headers()["content-security-policy"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(policy.contains("script-src 'self';"), "{policy}");
    let text = page.text().await.unwrap();
    assert_eq!(
        text.matches("<script").count(),
        text.matches("<script src=\"./").count()
    );
    assert!(
        !text.contains(" onload=") && !text.contains("<style"),
        "{text}"
    );
}
