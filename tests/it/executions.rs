//! `/canary`: from a request to a report, with a scripted Prometheus.

mod archive;

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Serin, bucket_keys};
use crate::scripted_prometheus::{Asked, Reply, ScriptedPrometheus};

/// The points of an hour around a level, whatever time is asked for: enough for a verdict.
pub fn series(level: f64) -> Reply {
    let values: Vec<Value> = (0..=60)
        .map(|index| {
            let value = level + f64::from(index % 3) / 10.0;
            json!([1_717_203_600 + 60 * index, value.to_string()])
        })
        .collect();
    Reply::matrix(&json!([{"metric": {}, "values": values}]))
}

/// The experiment's errors are four times the control's; all else is equal.
fn worse(asked: &Asked) -> Reply {
    let query = &asked.params["query"];
    series(if query.contains("errors") && query.contains("v2") {
        4.0
    } else {
        1.0
    })
}

/// An experiment whose scope is `bad` is four times as high, `slow` answers late, and `broken` is
/// refused.
pub fn by_scope(asked: &Asked, late: Duration) -> Reply {
    let query = &asked.params["query"];
    let has = |scope: &str| query.contains(&format!("version=\"{scope}\""));
    if has("broken") {
        return Reply::text(
            400,
            r#"{"status": "error", "errorType": "bad_data", "error": "no such thing"}"#,
        );
    }
    let reply = series(if has("bad") { 4.0 } else { 1.0 });
    if has("slow") {
        return reply.after(late);
    }
    reply
}

pub fn config(metrics: &[&str]) -> Value {
    let metric = |name: &&str| {
        json!({
            "name": name, "scopeName": "default", "groups": [format!("{name} group")],
            "query": {"type": "prometheus", "metricName": name, "customInlineTemplate": "version=\"${scope}\""},
        })
    };
    json!({"metrics": metrics.iter().map(metric).collect::<Vec<_>>(), "classifier": {"groupWeights": {}}})
}

pub fn request() -> Value {
    let scope = |version: &str| json!({"scope": version, "location": "eu", "start": "2024-06-01T01:00:00Z", "end": "2024-06-01T01:05:00Z", "step": "60"});
    json!({
        "scopes": {"default": {"controlScope": scope("v1"), "experimentScope": scope("v2")}},
        "thresholds": {"pass": "95", "marginal": 75},
    })
}

pub fn adhoc(metrics: &[&str]) -> Value {
    json!({"canaryConfig": config(metrics), "executionRequest": request()})
}

#[tokio::test]
async fn a_canary_ends_in_a_report_at_kayentas_keys() {
    let prometheus = ScriptedPrometheus::start(worse).await;
    let serin = Serin::start(&prometheus.url).await;
    let path = "/canary?application=web&parentPipelineExecutionId=p1";
    let id = serin
        .client
        .start_canary(path, &adhoc(&["latency", "errors"]))
        .await;
    let done = serin.client.poll(&id).await;

    assert_eq!(done["status"], "succeeded");
    assert_eq!(done["application"], "web");
    assert_eq!(done["parentPipelineExecutionId"], "p1");
    assert_eq!(done["pipelineId"], id.as_str());
    assert_eq!(done["canaryConfigId"], "ad-hoc");
    assert_eq!(done["metricsAccountName"], "prometheus");
    assert_eq!(done["storageAccountName"], "local");
    assert_eq!(done.get("exception"), None);
    assert_eq!(
        done["canaryExecutionRequest"]["thresholds"],
        json!({"pass": 95.0, "marginal": 75.0})
    );
    assert_eq!(done["result"]["canaryDuration"], "PT5M");
    let score = &done["result"]["judgeResult"]["score"];
    assert_eq!(
        *score,
        json!({"score": 50.0, "classification": "Fail", "classificationReason": ""})
    );
    let stages = done["stageStatus"].as_object().unwrap();
    assert_eq!(
        stages.keys().collect::<Vec<_>>(),
        [
            "setupContext",
            "fetchControl0",
            "fetchControl1",
            "fetchExperiment0",
            "fetchExperiment1",
            "mixMetrics",
            "judge"
        ]
    );
    assert!(
        stages.values().all(|state| state == "succeeded"),
        "{stages:?}"
    );

    let list = done["metricSetPairListId"].as_str().unwrap();
    let (_, pairs) = serin
        .client
        .get(&format!("/metricSetPairList/{list}"))
        .await;
    let results = done["result"]["judgeResult"]["results"].as_array().unwrap();
    for (pair, result) in pairs.as_array().unwrap().iter().zip(results) {
        assert_eq!(pair["id"], result["id"]);
        assert_eq!(pair["values"]["control"].as_array().unwrap().len(), 61);
        assert_eq!(pair["timestamps"]["control"][0], 1_717_203_600_000_i64);
    }
    let one = pairs[1]["id"].as_str().unwrap();
    let (_, pair) = serin
        .client
        .get(&format!("/metricSetPairList/{list}/{one}"))
        .await;
    assert_eq!(pair, pairs[1]);
    assert_eq!(
        bucket_keys(&serin.data().join("kayenta")),
        [
            format!("canary_archive/{id}/canary_archive.json"),
            format!("metric_pairs/{list}/metric_set_pairs.json")
        ]
    );
    let archive = serin
        .data()
        .join(format!("kayenta/canary_archive/{id}/canary_archive.json"));
    let archived: Value = serde_json::from_slice(&std::fs::read(archive).unwrap()).unwrap();
    assert_eq!(archived, done);
}

#[tokio::test]
async fn a_failed_query_ends_the_canary_with_the_words_of_prometheus() {
    let refused =
        r#"{"status":"error","errorType":"bad_data","error":"parse error: unclosed left brace"}"#;
    let prometheus = ScriptedPrometheus::start(move |asked| {
        if asked.params["query"].contains("broken") {
            Reply::text(400, refused)
        } else {
            series(1.0)
        }
    })
    .await;
    let serin = Serin::start(&prometheus.url).await;
    let id = serin
        .client
        .start_canary("/canary", &adhoc(&["fine", "broken"]))
        .await;
    let done = serin.client.poll(&id).await;
    assert_eq!(done["status"], "terminal");
    assert_eq!(done["application"], "ad-hoc");
    assert_eq!(done.get("result"), None);
    let exception = &done["exception"];
    assert_eq!(exception["operation"], "prometheusFetch");
    assert_eq!(exception["shouldRetry"], false);
    let details = &exception["details"];
    assert!(
        details["errors"][0]
            .as_str()
            .unwrap()
            .contains("unclosed left brace"),
        "{details}"
    );
    assert!(
        details["query"].as_str().unwrap().contains("broken"),
        "{details}"
    );
    assert_eq!(details["account"], "prometheus");
    assert_eq!(details["status"], 400);
    let states: Vec<_> = done["stageStatus"].as_object().unwrap().values().collect();
    assert!(states.contains(&&json!("terminal")), "{states:?}");
    assert_eq!(done["stageStatus"]["judge"], "not_started");
}

#[tokio::test]
async fn a_canary_that_cannot_be_judged_never_gets_a_verdict() {
    let prometheus = ScriptedPrometheus::start(worse).await;
    let serin = Serin::start(&prometheus.url).await;
    let mut unknown_judge = adhoc(&["latency"]);
    unknown_judge["canaryConfig"]["judge"] = json!({"name": "nosuch"});
    let mut no_thresholds = adhoc(&["latency"]);
    no_thresholds["executionRequest"]["thresholds"] = json!({});
    let mut too_large = adhoc(&["latency"]);
    too_large["canaryConfig"]["metrics"][0]["analysisConfigurations"] =
        json!({"canary": {"effectSize": {"allowedIncrease": 3_000_000_000_u64}}});
    for (body, part) in [
        (unknown_judge, "Unable to resolve canary judge 'nosuch'."),
        (no_thresholds, "threshold"),
        (too_large, "allowedIncrease"),
    ] {
        let id = serin.client.start_canary("/canary", &body).await;
        let done = serin.client.poll(&id).await;
        assert_eq!(done["status"], "terminal", "{part}");
        assert_eq!(done["exception"]["operation"], "canaryJudge");
        let told = done["exception"]["details"]["errors"][0].as_str().unwrap();
        assert!(told.contains(part), "{told}");
        assert_eq!(done.get("result"), None);
        assert_eq!(done["stageStatus"]["mixMetrics"], "succeeded");
        assert_eq!(done["stageStatus"]["judge"], "terminal");
    }
}

#[tokio::test]
async fn what_cannot_run_is_refused_at_once_in_kayentas_words() {
    let serin = Serin::start("http://127.0.0.1:9").await;
    let with = |pointer: &str, value: Value| {
        let mut body = adhoc(&["latency"]);
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap()[member] = value;
        body
    };
    let cases = [
        (
            json!({}),
            "canaryConfig must be provided for ad-hoc requests",
        ),
        (
            json!({"canaryConfig": {}}),
            "executionRequest must be provided for ad-hoc requests",
        ),
        (
            with("/canaryConfig/metrics", json!([])),
            "The canary config must specify at least one metric. Otherwise we're not analyzing anything. :)",
        ),
        (
            with("/executionRequest/scopes", Value::Null),
            "Canary metrics require scopes, but no scopes were provided in the execution request.",
        ),
        (
            with("/executionRequest/scopes", json!({})),
            "Canary metrics require scopes which were not provided in the execution request: [default]",
        ),
        (
            with("/executionRequest/scopes/default/controlScope", Value::Null),
            "Canary scope for named scope default is missing experimentScope or controlScope keys",
        ),
        (
            with("/canaryConfig/metrics/0/scopeName", Value::Null),
            "Canary scope for metric named 'latency' is null.",
        ),
        (
            with("/canaryConfig/metrics/0/query", json!({"type": "datadog"})),
            "metric 'latency': its query is of type 'datadog', and no account answers that. The metrics accounts are 'prometheus' (prometheus).",
        ),
        (
            with(
                "/canaryConfig/metrics/0/query",
                json!({"type": "one to come", "sql": 1}),
            ),
            "Unable to resolve canary scope factory for 'one to come': metric 'latency' cannot be fetched, as serin reads <kinds> only.",
        ),
        (
            with("/executionRequest/thresholds", Value::Null),
            "Execution request must contain thresholds",
        ),
    ];
    for (body, message) in cases {
        let (status, answer) = serin.client.post("/canary", &body).await;
        let message = message.replace("<kinds>", &serin::metrics::kinds().join(", "));
        assert_eq!(
            (status, answer["message"].as_str()),
            (400, Some(message.as_str()))
        );
    }
    let (status, answer) = serin
        .client
        .post("/canary", &with("/canaryConfig/classifier", Value::Null))
        .await;
    assert_eq!(status, 400);
    assert!(
        answer["message"].as_str().unwrap().contains("classifier"),
        "{answer}"
    );
    for (path, message) in [
        ("/canary/nosuch", "No such object named nosuch"),
        (
            "/canary/nosuch?metricsAccountName=x",
            "Unable to resolve account x.",
        ),
        (
            "/canary/nosuch?storageAccountName=x",
            "Unable to resolve account x.",
        ),
        (
            "/canary/nosuch?storageAccountName=prometheus",
            "Unable to resolve storage service prometheus.",
        ),
    ] {
        let (_, answer) = serin.client.post(path, &request()).await;
        assert_eq!(answer["message"], message);
    }
    assert_eq!(serin.client.get("/canary/executions").await.1, json!([]));
}

#[tokio::test]
async fn a_cancel_ends_the_canary_and_stops_its_queries() {
    let prometheus =
        ScriptedPrometheus::start(|_| series(1.0).after(Duration::from_secs(20))).await;
    let keys = [("kayenta.metrics.retry.attempts", "1")];
    let serin = Serin::start_with(&prometheus.url, &keys, None).await;
    let names: Vec<String> = (0..20).map(|index| format!("m{index}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let id = serin.client.start_canary("/canary", &adhoc(&names)).await;
    while prometheus.asked().len() < 16 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (status, body) = serin
        .client
        .put(&format!("/pipelines/{id}/cancel"), &json!(""))
        .await;
    assert_eq!((status, body), (202, Value::Null));
    let (_, done) = serin.client.get(&format!("/canary/{id}")).await;
    assert_eq!(
        (&done["status"], &done["complete"]),
        (&json!("canceled"), &json!(true))
    );
    assert_eq!(done.get("result"), None);
    // Deck and Referee take a run without an exception for one with a result.
    let told = json!({"error": "Canary execution was canceled.", "errors": []});
    assert_eq!(
        (&done["exception"]["details"], &done["outcome"]),
        (&told, &json!("canceled"))
    );

    // Its places are free: another canary's queries go out at once.
    let before = prometheus.asked().len();
    let second = serin
        .client
        .start_canary("/canary", &adhoc(&["later"]))
        .await;
    let start = std::time::Instant::now();
    while !prometheus
        .asked()
        .iter()
        .any(|asked| asked.params["query"].contains("later"))
    {
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "the queries of a canceled canary go on"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(prometheus.asked().len() <= before + 2);
    serin
        .client
        .put(&format!("/pipelines/{second}/cancel"), &json!(""))
        .await;

    assert_eq!(
        serin
            .client
            .put(&format!("/pipelines/{id}/cancel"), &json!(""))
            .await
            .0,
        202
    );
    let (status, body) = serin
        .client
        .put("/pipelines/nosuch/cancel", &json!(""))
        .await;
    assert_eq!(
        (status, body["message"].as_str()),
        (404, Some("No pipeline found for nosuch"))
    );
}

#[tokio::test]
async fn executions_are_listed_newest_first_with_what_is_only_archived() {
    let prometheus = ScriptedPrometheus::start(worse).await;
    let serin = Serin::start(&prometheus.url).await;
    let client = &serin.client;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(
            client
                .start_canary("/canary?application=web", &adhoc(&["latency"]))
                .await,
        );
        client.poll(ids.last().unwrap()).await;
    }
    client
        .start_canary("/canary?application=other", &adhoc(&["latency"]))
        .await;
    ids.reverse();
    let list = async |query: &str| {
        let (status, body) = client.get(&format!("/canary/executions?{query}")).await;
        assert_eq!(status, 200, "{body}");
        let ids = body
            .as_array()
            .unwrap()
            .iter()
            .map(|run| run["pipelineId"].clone());
        ids.map(|id| id.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(list("application=web").await, ids);
    assert_eq!(list("application=web&limit=2").await, ids[..2]);
    assert_eq!(list("application=web&limit=2&page=2").await, ids[2..]);
    assert_eq!(list("application=web&limit=0").await, [""; 0]);
    assert_eq!(
        list("application=web&statuses=SUCCEEDED,terminal").await,
        ids
    );
    assert_eq!(list("application=web&statuses=running").await, [""; 0]);
    assert_eq!(list("").await, [""; 0]);
    assert_eq!(client.get("/canary/executions?limit=many").await.0, 400);
    let (status, body) = client.get("/canary/executions?statuses=bogus").await;
    assert_eq!(status, 400);
    assert_eq!(
        body["message"],
        "No enum constant com.netflix.spinnaker.orca.api.pipeline.models.ExecutionStatus.BOGUS"
    );

    // What another Kayenta archived appears, and a broken document breaks nothing.
    let archives = serin.data().join("kayenta/canary_archive");
    let text = std::fs::read_to_string(archives.join(&ids[0]).join("canary_archive.json")).unwrap();
    for (id, text) in [
        ("from-kayenta", text.replace(&ids[0], "from-kayenta")),
        ("broken", "{".to_owned()),
    ] {
        std::fs::create_dir(archives.join(id)).unwrap();
        std::fs::write(archives.join(id).join("canary_archive.json"), text).unwrap();
    }
    serin.service.app.storage.reconcile("local").await.unwrap();
    let all = list("application=web&limit=10").await;
    assert_eq!(all.len(), 4);
    assert!(all.contains(&"from-kayenta".to_owned()));
    assert_eq!(client.get("/canary/from-kayenta").await.0, 200);
    assert_eq!(
        client.get("/canary/nosuch").await.1["message"],
        "No such object named nosuch"
    );
}

#[tokio::test]
async fn a_canary_outlasts_a_store_that_is_down() {
    let prometheus = ScriptedPrometheus::start(worse).await;
    let serin = Serin::start(&prometheus.url).await;
    // Nothing can be written below what is no folder.
    let folder = serin.data().join("kayenta/metric_pairs");
    std::fs::create_dir_all(folder.parent().unwrap()).unwrap();
    std::fs::write(&folder, "").unwrap();
    let id = serin
        .client
        .start_canary("/canary?application=web", &adhoc(&["latency"]))
        .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (_, waiting) = serin.client.get(&format!("/canary/{id}")).await;
    assert_eq!(waiting["status"], "running", "{waiting}");
    std::fs::remove_file(&folder).unwrap();
    let done = serin.client.poll(&id).await;
    assert_eq!(done["status"], "succeeded", "{done}");
    let list = done["metricSetPairListId"].as_str().unwrap();
    let path = format!("/metricSetPairList/{list}");
    assert_eq!(serin.client.get(&path).await.0, 200);
}

#[tokio::test]
async fn an_execution_that_waits_for_its_first_query_reads_as_running() {
    let slow = series(1.0).after(Duration::from_mins(1));
    let prometheus = ScriptedPrometheus::replying(vec![slow]).await;
    let serin = Serin::start(&prometheus.url).await;
    let id = serin
        .client
        .start_canary("/canary", &adhoc(&["slow"]))
        .await;
    let path = format!("/canary/{id}");
    let mut seen = serin.client.get(&path).await.1;
    for _ in 0..200 {
        if seen["status"] != "not_started" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        seen = serin.client.get(&path).await.1;
    }
    assert_eq!(seen["status"], "running", "{seen}");
    assert!(seen["startTimeIso"].is_string(), "{seen}");
    assert_eq!(seen["stageStatus"]["setupContext"], "succeeded");
    assert_eq!(seen["stageStatus"]["fetchControl0"], "running");
    let cancel = format!("/pipelines/{id}/cancel");
    assert_eq!(serin.client.put(&cancel, &json!("")).await.0, 202);
    assert!(serin.client.poll(&id).await["endTimeIso"].is_string());
}
