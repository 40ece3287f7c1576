//! The path of a first user: a gauge, the named filter template `version="${scope}"`, a default
//! query, and three one-minute intervals, judged at 75 and 95.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use serin::canary;

use crate::harness::{Client, Serin};
use crate::scripted_prometheus::{Asked, Reply, ScriptedPrometheus};

const MARGINAL: i64 = 75;
const PASS: i64 = 95;
const START: &str = "2024-06-01T01:00:00Z";
const ENDS: [&str; 3] = [
    "2024-06-01T01:01:00Z",
    "2024-06-01T01:02:00Z",
    "2024-06-01T01:03:00Z",
];
const STEP_SECONDS: i64 = 5;

const HEALTHY: &str = "healthy";
const WITHOUT_SUCCESS: &str = "broken";

/// The share of successful answers: about 0.9 for every version, 0 for the broken one.
fn success_share(asked: &Asked) -> Reply {
    let seconds = |name: &str| {
        let instant = canary::Instant::parse(&asked.params[name]).unwrap();
        instant.as_millis() / 1000
    };
    let step: i64 = asked.params["step"].parse().unwrap();
    let broken = asked.params["query"].contains(WITHOUT_SUCCESS);
    let mut values = Vec::new();
    let mut second = seconds("start");
    while second <= seconds("end") {
        let share = match (broken, second % 15) {
            (true, _) => "0",
            (false, 0) => "0.91",
            (false, _) => "0.9",
        };
        values.push(json!([second, share]));
        second += step;
    }
    Reply::matrix(&json!([{"metric": {}, "values": values}]))
}

/// A service that has the config, by the id it gave.
async fn with_config(prometheus: &ScriptedPrometheus) -> (Serin, String) {
    let serin = Serin::start(&prometheus.url).await;
    let config = json!({
        "name": "checkout", "applications": ["shop"], "configVersion": "1",
        "judge": {"name": "NetflixACAJudge-v1.0", "judgeConfigurations": {}},
        "metrics": [{
            "name": "success share", "scopeName": "default", "groups": ["answers"],
            "query": {
                "type": "prometheus", "serviceType": "prometheus",
                "metricName": "success_share", "customFilterTemplate": "by version",
            },
            "analysisConfigurations": {"canary": {"direction": "decrease"}},
        }],
        "templates": {"by version": "version=\"${scope}\""},
        "classifier": {"groupWeights": {"answers": 100}},
    });
    let (status, stored) = serin.client.post("/canaryConfig", &config).await;
    assert_eq!(status, 200, "{stored}");
    (serin, stored["canaryConfigId"].as_str().unwrap().to_owned())
}

/// What Orca does for a retrospective stage of three intervals: one canary after the other over a
/// growing window, until one is not above the marginal threshold; then it cancels what it started.
async fn orca_stage(client: &Client, config: &str, experiment: &str) -> Vec<Value> {
    let mut runs = Vec::new();
    for end in ENDS {
        let side = |scope: &str| {
            json!({
                "scope": scope, "location": "eu", "start": START, "end": end,
                "step": STEP_SECONDS, "extendedScopeParams": {},
            })
        };
        let request = json!({
            "scopes": {"default": {"controlScope": side("stable"), "experimentScope": side(experiment)}},
            "thresholds": {"pass": PASS, "marginal": MARGINAL},
            "siteLocal": {},
        });
        let path = format!("/canary/{config}?application=shop&parentPipelineExecutionId=p1");
        let id = client.start_canary(&path, &request).await;
        let run = client.poll(&id).await;
        let score = run["result"]["judgeResult"]["score"]["score"].as_f64();
        runs.push(run);
        if score.unwrap() <= f64::from(u8::try_from(MARGINAL).unwrap()) {
            let cancel = format!("/pipelines/{id}/cancel");
            assert_eq!(client.put(&cancel, &json!("")).await, (202, Value::Null));
            break;
        }
    }
    runs
}

fn scores(runs: &[Value]) -> Vec<(f64, &str)> {
    runs.iter()
        .map(|run| {
            let score = &run["result"]["judgeResult"]["score"];
            let value = score["score"].as_f64().unwrap();
            (value, score["classification"].as_str().unwrap())
        })
        .collect()
}

#[tokio::test]
async fn an_orca_stage_takes_a_healthy_canary_to_its_end_and_stops_one_without_success() {
    let prometheus = ScriptedPrometheus::start(success_share).await;
    let (serin, config) = with_config(&prometheus).await;
    let client = &serin.client;

    let healthy = orca_stage(client, &config, HEALTHY).await;
    assert_eq!(scores(&healthy), [(100.0, "Pass"); 3]);
    for (run, (end, minutes)) in healthy.iter().zip(ENDS.into_iter().zip(1..)) {
        let scopes = &run["canaryExecutionRequest"]["scopes"]["default"];
        for side in ["controlScope", "experimentScope"] {
            assert_eq!(scopes[side]["start"], START);
            assert_eq!(scopes[side]["end"], end);
        }
        assert_eq!(run["result"]["canaryDuration"], format!("PT{minutes}M"));
        let stats = &run["result"]["judgeResult"]["results"][0]["controlMetadata"]["stats"];
        assert_eq!(stats["count"], 60 / STEP_SECONDS * minutes + 1);
    }
    let mut queries: Vec<_> = prometheus
        .asked()
        .iter()
        .map(|asked| asked.params["query"].clone())
        .collect();
    queries.sort();
    queries.dedup();
    assert_eq!(
        queries,
        [
            r#"avg(success_share{version="healthy"})"#,
            r#"avg(success_share{version="stable"})"#
        ]
    );

    let broken = orca_stage(client, &config, WITHOUT_SUCCESS).await;
    assert_eq!(scores(&broken), [(0.0, "Fail")]);
    let judged = &broken[0]["result"]["judgeResult"]["results"][0];
    assert_eq!(judged["classification"], "Low");

    // The cancel came after the verdict and must not touch it.
    let id = broken[0]["pipelineId"].as_str().unwrap();
    assert_eq!(client.poll(id).await, broken[0]);
}

#[tokio::test]
async fn a_standalone_analysis_takes_a_healthy_canary_to_its_end_and_stops_one_without_success() {
    let prometheus = ScriptedPrometheus::start(success_share).await;
    let (serin, config) = with_config(&prometheus).await;

    let healthy = analysis(&serin.client, &config, HEALTHY).await;
    assert_eq!(healthy["executionStatus"], "SUCCEEDED", "{healthy}");
    let result = &healthy["canaryAnalysisExecutionResult"];
    assert_eq!(result["canaryScores"], json!([100.0, 100.0, 100.0]));
    assert_eq!(result["didPassThresholds"], true);
    assert_eq!(
        result["canaryScoreMessage"],
        "Final canary score 100.0 met or exceeded the pass score threshold."
    );
    let runs = result["canaryExecutionResults"].as_array().unwrap();
    for (run, end) in runs.iter().zip(ENDS) {
        assert_eq!(run["executionStatus"], "SUCCEEDED");
        assert_eq!(run["judgementStartTimeIso"], START);
        assert_eq!(run["judgementEndTimeIso"], end);
    }

    let broken = analysis(&serin.client, &config, WITHOUT_SUCCESS).await;
    assert_eq!(broken["executionStatus"], "TERMINAL", "{broken}");
    let result = &broken["canaryAnalysisExecutionResult"];
    assert_eq!(result["canaryScores"], json!([0.0]));
    assert_eq!(result["didPassThresholds"], false);
    assert_eq!(
        result["canaryScoreMessage"],
        "Final canary score 0.0 is not above the marginal score threshold."
    );
}

/// The analysis once it is complete.
async fn analysis(client: &Client, config: &str, experiment: &str) -> Value {
    let request = json!({
        "scopes": [{
            "scopeName": "default", "controlScope": "stable", "experimentScope": experiment,
            "startTimeIso": START, "endTimeIso": ENDS[2], "step": STEP_SECONDS,
        }],
        "thresholds": {"pass": PASS, "marginal": MARGINAL},
        "analysisIntervalMins": 1,
    });
    let path = format!("/standalone_canary_analysis/{config}?application=shop");
    let (status, answer) = client.post(&path, &request).await;
    assert_eq!(status, 200, "{answer}");
    let id = answer["canaryAnalysisExecutionId"].as_str().unwrap();
    let start = Instant::now();
    loop {
        let path = format!("/standalone_canary_analysis/{id}");
        let (status, body) = client.get(&path).await;
        assert_eq!(status, 200, "{body}");
        if body["complete"] == true {
            return body;
        }
        assert!(start.elapsed() < Duration::from_mins(1), "{body}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
