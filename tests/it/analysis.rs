//! `/standalone_canary_analysis`: canaries over one window after the other.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::crash::{Process, free_port};
use crate::economy;
use crate::executions::{config, series};
use crate::harness::{Client, Serin, golden_lines, service};
use crate::scripted_prometheus::{Reply, ScriptedPrometheus};

async fn start(client: &Client, path: &str, body: &Value) -> String {
    let (status, answer) = client.post(path, body).await;
    assert_eq!(status, 200, "{answer}");
    let id = answer["canaryAnalysisExecutionId"].as_str().unwrap();
    id.to_owned()
}

async fn poll(client: &Client, id: &str, limit: Duration) -> Value {
    let begun = Instant::now();
    loop {
        let (status, body) = client
            .get(&format!("/standalone_canary_analysis/{id}"))
            .await;
        assert_eq!(status, 200, "{body}");
        if body["complete"] == true {
            return body;
        }
        assert!(begun.elapsed() < limit, "{body}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub fn retrospective(interval: i64) -> Value {
    json!({"canaryConfig": config(&["latency"]), "executionRequest": {
        "scopes": [{"controlScope": "v1", "experimentScope": "v2", "step": 60,
            "startTimeIso": "2024-06-01T01:00:00Z", "endTimeIso": "2024-06-01T02:00:00Z"}],
        "thresholds": {"pass": 95, "marginal": 75}, "analysisIntervalMins": interval, "beginAfterMins": 30,
    }})
}

fn live(lifetime: i64) -> Value {
    json!({"canaryConfig": config(&["latency"]), "executionRequest": {
        "scopes": [{"controlScope": "v1", "experimentScope": "v2"}],
        "thresholds": {"pass": "95", "marginal": "75"}, "lifetimeDurationMins": lifetime,
    }})
}

fn stages(document: &Value) -> Vec<String> {
    let stages = document["stageStatus"].as_array().unwrap().iter();
    stages
        .map(|stage| {
            format!(
                "{} {}",
                stage["name"].as_str().unwrap(),
                stage["status"].as_str().unwrap()
            )
        })
        .collect()
}

const SETUP: &str = "Sets up and executes the wait, run and monitor canary task chain.";
const RESULT: &str =
    "Aggregates and evaluates the canary executions and generates the final results. SUCCEEDED";

/// The canaries of a result, without what is made anew.
fn runs(result: &Value) -> Vec<Value> {
    let mut runs = result["canaryExecutionResults"].as_array().unwrap().clone();
    for run in &mut runs {
        let judged = run["result"]["judgeResult"].as_object_mut().unwrap();
        // Kayenta gives no reasons.
        for member in ["groupScores", "summary"] {
            judged.remove(member);
        }
        let results = judged["results"].as_array_mut().unwrap();
        results.sort_by_key(|one| one["name"].as_str().unwrap().to_owned());
        for one in results {
            for member in ["id", "explanation"] {
                one.as_object_mut().unwrap().remove(member);
            }
        }
        for made in ["executionId", "metricSetPairListId", "storageAccountName"] {
            assert!(run[made].take().is_string(), "{made}");
        }
        for time in ["buildTime", "startTime", "endTime"] {
            assert!(run[format!("{time}Millis")].take().is_i64(), "{time}");
            assert!(run[format!("{time}Iso")].take().is_string(), "{time}");
        }
    }
    runs
}

#[tokio::test]
async fn recorded_analyses_come_to_the_recorded_results() {
    let Some(prometheus) = service("SERIN_TEST_PROMETHEUS_URL") else {
        return;
    };
    let exchanges = golden_lines("http.jsonl.gz");
    let recorded = |name: &str| {
        exchanges
            .iter()
            .find(|exchange| exchange["name"] == name)
            .unwrap()
    };
    let serin = Serin::start(&prometheus).await;
    let (status, _) = serin
        .client
        .post(
            "/canaryConfig",
            &recorded("scape-config")["request"]["body"],
        )
        .await;
    assert_eq!(status, 200);
    for name in [
        "scape-retro-nointerval",
        "scape-retro-interval30",
        "scape-retro-lookback30",
        "scape-retro-interval-gt-lifetime",
        "scape-retro-interval0",
        "scape-retro-offset",
        "scape-retro-marginal-all",
        "scape-adhoc",
        "scape-both-lifetime-and-end",
        "scape-template-vars",
    ] {
        let request = &recorded(&format!("{name}-submit"))["request"];
        let path = request["path"].as_str().unwrap();
        let id = start(
            &serin.client,
            &format!("{path}?application=web&user=me"),
            &request["body"],
        )
        .await;
        let got = poll(&serin.client, &id, Duration::from_mins(1)).await;
        let expected = &recorded(&format!("{name}-done"))["response"]["body"];
        assert_eq!(got["status"], expected["status"], "{name}");
        assert_eq!(
            got["executionStatus"], expected["executionStatus"],
            "{name}"
        );
        assert_eq!(stages(&got), stages(expected), "{name}");
        assert_eq!(
            got["canaryAnalysisExecutionRequest"], expected["canaryAnalysisExecutionRequest"],
            "{name}"
        );
        let (got, expected) = (
            &got["canaryAnalysisExecutionResult"],
            &expected["canaryAnalysisExecutionResult"],
        );
        for member in [
            "didPassThresholds",
            "hasWarnings",
            "canaryScoreMessage",
            "canaryScores",
        ] {
            assert_eq!(got[member], expected[member], "{name} {member}");
        }
        assert_eq!(runs(got), runs(expected), "{name}");
    }
    let (_, listed) = serin
        .client
        .get("/standalone_canary_analysis?application=web&limit=3")
        .await;
    assert_eq!(listed.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_score_that_is_not_above_marginal_ends_the_analysis() {
    let prometheus = ScriptedPrometheus::start(|asked| {
        let level = if asked.params["query"].contains("v2") {
            9.0
        } else {
            1.0
        };
        economy::answer(asked, &["a"], |_, time| {
            Some(level + f64::from(u8::try_from(time / 60_000 % 3).unwrap()) / 10.0)
        })
    })
    .await;
    let serin = Serin::start(&prometheus.url).await;
    let id = start(
        &serin.client,
        "/standalone_canary_analysis",
        &retrospective(20),
    )
    .await;
    let done = poll(&serin.client, &id, Duration::from_secs(20)).await;
    assert_eq!(done["status"], "terminal");
    assert_eq!(done["user"], "anonymous");
    assert_eq!(
        stages(&done),
        [
            "Run Canary #1 TERMINAL",
            &format!("{SETUP} TERMINAL"),
            RESULT
        ]
    );
    let result = &done["canaryAnalysisExecutionResult"];
    assert_eq!(result["canaryScores"], json!([0.0]));
    assert_eq!(result["didPassThresholds"], false);
    assert_eq!(
        result["canaryScoreMessage"],
        "Final canary score 0.0 is not above the marginal score threshold."
    );
    assert_eq!(result["hasWarnings"], true);
    let canary = result["canaryExecutionResults"][0]["executionId"]
        .as_str()
        .unwrap();
    assert_eq!(
        serin.client.get(&format!("/canary/{canary}")).await.1["complete"],
        true
    );

    let (status, body) = serin.client.get(&format!("/canary/{id}")).await;
    assert_eq!(status, 400);
    assert_eq!(
        body["message"],
        "Only named pipelines of 'Standard Canary Pipeline' can be converted to a CanaryExecutionStatusResponse object, 'Standalone Canary Analysis Pipeline' received"
    );
    for (path, message) in [
        (
            "/standalone_canary_analysis/nosuch",
            "No pipeline found for nosuch",
        ),
        (
            "/standalone_canary_analysis/nosuch?storageAccountName=local",
            "No such object named nosuch",
        ),
    ] {
        let (status, body) = serin.client.get(path).await;
        assert_eq!((status, &body["message"]), (404, &json!(message)));
    }
}

#[tokio::test]
async fn a_canary_that_fails_ends_the_analysis_with_its_exception() {
    let prometheus = ScriptedPrometheus::start(|_| {
        Reply::text(400, r#"{"status":"error","error":"bad brace"}"#)
    })
    .await;
    let serin = Serin::start(&prometheus.url).await;
    let id = start(
        &serin.client,
        "/standalone_canary_analysis",
        &retrospective(20),
    )
    .await;
    let done = poll(&serin.client, &id, Duration::from_secs(20)).await;
    assert_eq!(done["status"], "terminal");
    assert_eq!(done["exception"]["operation"], "prometheusFetch");
    assert!(
        done["exception"]["details"]["errors"][0]
            .as_str()
            .unwrap()
            .contains("bad brace")
    );
    assert_eq!(
        done["canaryAnalysisExecutionResult"]["canaryScores"],
        json!([0.0])
    );
}

#[tokio::test]
async fn a_cancel_ends_the_analysis_and_its_canary() {
    let prometheus =
        ScriptedPrometheus::start(|_| series(1.0).after(Duration::from_secs(20))).await;
    let serin = Serin::start(&prometheus.url).await;
    let client = &serin.client;
    let waiting = start(client, "/standalone_canary_analysis", &live(60)).await;
    let running = start(client, "/standalone_canary_analysis", &retrospective(20)).await;
    while prometheus.asked().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let begun = Instant::now();
    let canary = loop {
        let (_, body) = client
            .get(&format!("/standalone_canary_analysis/{running}"))
            .await;
        if let Some(id) = body["stageStatus"][0]["executionId"].as_str() {
            break id.to_owned();
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{body}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let (status, listed) = client
        .get("/standalone_canary_analysis?statuses=running")
        .await;
    assert_eq!((status, listed.as_array().unwrap().len()), (200, 2));
    assert_eq!(
        client
            .delete(&format!("/standalone_canary_analysis/{running}"))
            .await
            .0,
        202
    );
    assert_eq!(
        client
            .put(&format!("/pipelines/{waiting}/cancel"), &json!(""))
            .await
            .0,
        202
    );
    for id in [&waiting, &running] {
        let done = poll(client, id, Duration::from_secs(1)).await;
        assert_eq!(
            (&done["status"], &done["executionStatus"]),
            (&json!("canceled"), &json!("CANCELED"))
        );
        assert_eq!(done.get("canaryAnalysisExecutionResult"), None);
    }
    let (_, canary) = client.get(&format!("/canary/{canary}")).await;
    assert_eq!(canary["status"], "canceled");
}

#[tokio::test]
async fn a_cancel_just_when_a_canary_starts_leaves_none_behind() {
    let prometheus =
        ScriptedPrometheus::start(|_| series(1.0).after(Duration::from_secs(25))).await;
    let serin = Serin::start(&prometheus.url).await;
    let client = &serin.client;
    let path = "/standalone_canary_analysis?application=race";
    for delay in 0..30 {
        let id = start(client, path, &retrospective(5)).await;
        tokio::time::sleep(Duration::from_millis(delay % 10)).await;
        let (status, _) = client
            .delete(&format!("/standalone_canary_analysis/{id}"))
            .await;
        assert_eq!(status, 202);
    }
    let ended = Instant::now() + Duration::from_secs(5);
    loop {
        let (_, listed) = client
            .get("/canary/executions?application=race&limit=100")
            .await;
        let mut running = listed.as_array().unwrap().iter();
        if running.all(|canary| canary["complete"] == true) {
            break;
        }
        assert!(Instant::now() < ended, "{listed}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_at_the_post() {
    let serin = Serin::start("http://127.0.0.1:9").await;
    let cases = [
        (
            "/executionRequest/scopes",
            json!([]),
            "Canary StageExecution configuration must contain at least one scope.",
        ),
        (
            "/executionRequest/lifetimeDurationMins",
            Value::Null,
            "Canary StageExecution configuration must include either `endTime` or `lifetimeDuration`.",
        ),
        (
            "/executionRequest/scopes/0/startTimeIso",
            json!("yesterday"),
            "Text 'yesterday' could not be parsed at index 0",
        ),
        (
            "/executionRequest/scopes/0/scopeName",
            json!("other"),
            "Canary metrics require scopes which were not provided in the execution request: [default]",
        ),
        (
            "/canaryConfig/metrics",
            json!([]),
            "The canary config must specify at least one metric. Otherwise we're not analyzing anything. :)",
        ),
        (
            "/canaryConfig",
            Value::Null,
            "canaryConfig must be provided for ad-hoc requests",
        ),
    ];
    for (pointer, value, message) in cases {
        let mut body = live(5);
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap()[member] = value;
        let (status, answer) = serin
            .client
            .post("/standalone_canary_analysis", &body)
            .await;
        assert_eq!((status, answer["message"].as_str()), (400, Some(message)));
    }
    assert_eq!(
        serin.client.get("/standalone_canary_analysis").await,
        (200, json!([]))
    );
}

#[tokio::test]
async fn an_analysis_survives_a_kill_while_it_waits_and_while_it_runs() {
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut serin = Process::start(folder.path(), &prometheus.url, port).await;
    let id = start(
        &serin.client,
        "/standalone_canary_analysis?application=web",
        &live(1),
    )
    .await;
    let begun = Instant::now();
    loop {
        let (_, body) = serin
            .client
            .get(&format!("/standalone_canary_analysis/{id}"))
            .await;
        if body["stageStatus"][0]["status"] == "RUNNING"
            && body["stageStatus"][0]["name"] == "Interval Wait #1"
        {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{body}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    serin.kill();
    let mut serin = Process::start(folder.path(), &prometheus.url, port).await;
    let limit = Duration::from_secs(90);
    let done = poll(&serin.client, &id, limit).await;
    assert_eq!(done["status"], "succeeded", "{done}");
    assert_eq!(
        stages(&done),
        [
            "Interval Wait #1 SUCCEEDED",
            "Run Canary #1 SUCCEEDED",
            &format!("{SETUP} SUCCEEDED"),
            RESULT
        ]
    );
    assert!(
        begun.elapsed() >= Duration::from_secs(58),
        "the wait is in real time"
    );

    // Found again by id alone when the index is lost.
    tokio::time::sleep(Duration::from_millis(500)).await;
    serin.kill();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::remove_file(path).unwrap();
        }
    }
    let serin = Process::start(folder.path(), &prometheus.url, port).await;
    let (status, found) = serin
        .client
        .get(&format!("/standalone_canary_analysis/{id}"))
        .await;
    assert_eq!((status, found), (200, done));
}

#[tokio::test]
async fn doubts_that_are_to_fail_fail_at_the_last_look() {
    // One sample of every look is infinite.
    let prometheus = ScriptedPrometheus::start(|asked| {
        economy::answer(asked, &["a"], |_, time| {
            let minute = (time - economy::HOUR_ONE) / 60_000;
            Some(if minute % 20 == 10 {
                f64::INFINITY
            } else {
                100.0 + f64::from(u8::try_from(minute % 7).unwrap_or_default())
            })
        })
    })
    .await;
    let serin = Serin::start(&prometheus.url).await;
    let mut body = retrospective(20);
    body["executionRequest"]["beginAfterMins"] = json!(0);
    let mut found = Vec::new();
    for doubt in ["tell", "fail"] {
        body["canaryConfig"]["judge"] =
            json!({"name": "NetflixACAJudge-v1.0", "judgeConfigurations": {"doubt": doubt}});
        let id = start(&serin.client, "/standalone_canary_analysis", &body).await;
        let done = poll(&serin.client, &id, Duration::from_secs(20)).await;
        let runs = &done["canaryAnalysisExecutionResult"]["canaryExecutionResults"];
        let runs = runs.as_array().unwrap().iter();
        let labels =
            runs.map(|run| run["result"]["judgeResult"]["results"][0]["classification"].clone());
        found.push((json!(labels.collect::<Vec<_>>()), done["outcome"].clone()));
        let first = done["stageStatus"][0]["executionId"].as_str().unwrap();
        let (_, first) = serin.client.get(&format!("/canary/{first}")).await;
        let look = json!({"number": 1, "planned": 3, "window": "growing"});
        assert_eq!(first["look"], look, "{first}");
    }
    let expected = [
        (json!(["Pass", "Pass", "Pass"]), json!("inconclusive")),
        (json!(["Pass", "Pass", "NodataFailMetric"]), json!("fail")),
    ];
    assert_eq!(found, expected);
}
