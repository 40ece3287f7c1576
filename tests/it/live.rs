//! A standalone analysis in real time, on series that a real Prometheus scrapes from the test.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::crash::{Process, free_port};
use crate::harness::golden_lines;

/// A Prometheus that scrapes one target every second.
struct Scraper {
    child: Child,
    url: String,
}

impl Scraper {
    async fn start(folder: &Path, target: &str) -> Option<Self> {
        let config = format!(
            "scrape_configs:\n  - job_name: live\n    scrape_interval: 1s\n    static_configs:\n      - targets: ['{target}']\n"
        );
        let file = folder.join("prometheus.yml");
        std::fs::write(&file, config).unwrap();
        let port = free_port();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("tsdb").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let url = format!("http://127.0.0.1:{port}");
        let http = reqwest::Client::builder().build().unwrap();
        while http.get(format!("{url}/-/ready")).send().await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Some(Self { child, url })
    }
}

impl Drop for Scraper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A gauge that swings alike for both versions.
async fn exporter() -> String {
    let start = Instant::now();
    let metrics = move || async move {
        let swing = start.elapsed().as_secs() % 7;
        format!(
            "live_cpu{{version=\"prod\",namespace=\"ns1\"}} {}\nlive_cpu{{version=\"canary\",namespace=\"ns1\"}} {}\n",
            40 + swing,
            40 + (swing + 3) % 7
        )
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let router = Router::new().route("/metrics", get(metrics));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn request() -> Value {
    json!({
        "canaryConfig": {
            "name": "live", "applications": ["web"],
            "metrics": [{
                "name": "cpu", "scopeName": "default", "groups": ["sys"],
                "query": {"type": "prometheus", "metricName": "live_cpu", "customFilterTemplate": "version"},
                "analysisConfigurations": {"canary": {"direction": "increase"}},
            }],
            "templates": {"version": "version=\"${scope}\",namespace=\"${location}\""},
            "classifier": {"groupWeights": {"sys": 100}},
        },
        "executionRequest": {
            "scopes": [{
                "scopeName": "default", "controlScope": "prod", "controlLocation": "ns1",
                "experimentScope": "canary", "experimentLocation": "ns1", "step": 5, "extendedScopeParams": {},
            }],
            "thresholds": {"pass": 95, "marginal": 75}, "lifetimeDurationMins": 3, "analysisIntervalMins": 1,
        },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn three_one_minute_intervals_in_real_time_are_as_recorded_and_survive_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let target = exporter().await;
    let Some(prometheus) = Scraper::start(folder.path(), &target).await else {
        let name = "SERIN_TEST_PROMETHEUS_URL";
        assert!(
            crate::harness::service(name).is_none(),
            "prometheus is not in the path"
        );
        return;
    };
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (data, port) = (folder.path().join("data"), free_port());
    let mut serin = Process::start(&data, &prometheus.url, port).await;
    let path = "/standalone_canary_analysis?user=tester@example.com&application=web";
    let (status, started) = serin.client.post(path, &request()).await;
    assert_eq!(status, 200, "{started}");
    let id = started["canaryAnalysisExecutionId"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/standalone_canary_analysis/{id}");

    let begun = Instant::now();
    let mut killed = false;
    let done = loop {
        let (_, body) = serin.client.get(&path).await;
        if body["complete"] == true {
            break body;
        }
        if !killed && body["stageStatus"][1]["status"] == "SUCCEEDED" {
            let exchanges = golden_lines("http.jsonl.gz");
            let mid = exchanges
                .iter()
                .find(|one| one["name"] == "scape-live-3x1-running-mid");
            assert_eq!(shape(&body), shape(&mid.unwrap()["response"]["body"]));
            serin.kill();
            tokio::time::sleep(Duration::from_secs(3)).await;
            serin = Process::start(&data, &prometheus.url, port).await;
            killed = true;
        }
        assert!(begun.elapsed() < Duration::from_secs(260), "{body}");
        tokio::time::sleep(Duration::from_millis(250)).await;
    };
    assert!(killed);

    let exchanges = golden_lines("http.jsonl.gz");
    let recorded = exchanges
        .iter()
        .find(|one| one["name"] == "scape-live-3x1-done");
    let recorded = &recorded.unwrap()["response"]["body"];
    assert_eq!(shape(&done), shape(recorded));
    let (got, expected) = (
        &done["canaryAnalysisExecutionResult"],
        &recorded["canaryAnalysisExecutionResult"],
    );
    for member in [
        "didPassThresholds",
        "hasWarnings",
        "canaryScoreMessage",
        "canaryScores",
    ] {
        assert_eq!(got[member], expected[member], "{member}");
    }
    let runs = got["canaryExecutionResults"].as_array().unwrap();
    let start = done["startTimeMillis"].as_i64().unwrap();
    for (number, run) in (1..).zip(runs) {
        assert_eq!(run["judgementStartTimeMillis"], start);
        assert_eq!(run["judgementEndTimeMillis"], start + number * 60_000);
        assert_eq!(
            run["warnings"],
            expected["canaryExecutionResults"][0]["warnings"]
        );
        let points =
            &run["result"]["judgeResult"]["results"][0]["controlMetadata"]["stats"]["count"];
        let expected = 12 * number;
        assert!(
            (expected..=expected + 1).contains(&points.as_i64().unwrap()),
            "{points}"
        );
        judge_again(&serin, folder.path(), &done, run).await;
    }
}

/// Stages with their states, and whether each has a canary.
fn shape(document: &Value) -> Vec<(Value, Value, Value, bool)> {
    let stages = document["stageStatus"].as_array().unwrap().iter();
    stages
        .map(|stage| {
            let of = |member: &str| stage[member].clone();
            (
                of("type"),
                of("name"),
                of("status"),
                stage["executionId"].is_string(),
            )
        })
        .collect()
}

/// `serin judge` says the same of the stored pairs.
async fn judge_again(serin: &Process, folder: &Path, analysis: &Value, run: &Value) {
    let list = run["metricSetPairListId"].as_str().unwrap();
    let (_, pairs) = serin
        .client
        .get(&format!("/metricSetPairList/{list}"))
        .await;
    let file = |name: &str, body: &Value| {
        let path = folder.join(name);
        std::fs::write(&path, body.to_string()).unwrap();
        path
    };
    let judged = Command::new(env!("CARGO_BIN_EXE_serin"))
        .arg("judge")
        .arg("--config")
        .arg(file("config.json", &analysis["canaryConfig"]))
        .arg("--metric-set-pairs")
        .arg(file("pairs.json", &pairs))
        .output()
        .unwrap();
    let judged: Value = serde_json::from_slice(&judged.stdout).unwrap();
    assert_eq!(judged, run["result"]["judgeResult"]);
}
