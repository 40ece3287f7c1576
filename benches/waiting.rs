//! Ten thousand standalone analyses that wait: resident memory, and CPU time over a minute.
//!
//! `cargo bench --bench waiting`

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures::StreamExt;
use serde_json::{Value, json};

const ANALYSES: usize = 10_000;
const MINUTE: Duration = Duration::from_mins(1);

fn main() {
    tokio::runtime::Runtime::new()
        .expect("a runtime")
        .block_on(measure());
}

async fn measure() {
    let folder = tempfile::tempdir().expect("a folder");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let mut serin = Command::new(env!("CARGO_BIN_EXE_serin"))
        .args([
            "serve",
            "--prometheus",
            "http://127.0.0.1:9",
            "--port",
            &port.to_string(),
        ])
        .env("SERIN__STORAGE__DIRECTORY", folder.path())
        .env("SERIN__LOG__LEVEL", "warn")
        .stderr(Stdio::inherit())
        .spawn()
        .expect("serin");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().build().expect("a client");
    let url = format!("http://127.0.0.1:{port}");
    while http
        .get(format!("{url}/health/readiness"))
        .send()
        .await
        .is_err()
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!("idle: {} MB resident", resident(&serin));

    let start = Instant::now();
    let posts = (0..ANALYSES).map(|_| {
        let request = http
            .post(format!("{url}/standalone_canary_analysis"))
            .json(&request());
        async move {
            let answer = request.send().await.expect("an answer");
            assert!(answer.status().is_success(), "{}", answer.status());
        }
    });
    futures::stream::iter(posts)
        .buffer_unordered(16)
        .collect::<Vec<()>>()
        .await;
    println!(
        "{ANALYSES} analyses accepted in {:.1} s",
        start.elapsed().as_secs_f64()
    );
    // All are planned and wait for their first interval.
    loop {
        let answer = http
            .get(format!(
                "{url}/standalone_canary_analysis?statuses=not_started&limit=1"
            ))
            .send();
        let left: Value = answer.await.expect("an answer").json().await.expect("JSON");
        if left.as_array().is_some_and(Vec::is_empty) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    println!("all planned after {:.1} s", start.elapsed().as_secs_f64());
    let before = cpu_seconds(&serin);
    tokio::time::sleep(MINUTE).await;
    println!(
        "waiting: {} MB resident, {:.2} s of CPU in a minute",
        resident(&serin),
        cpu_seconds(&serin) - before
    );
    serin.kill().expect("an end");
    serin.wait().expect("an end");
}

fn request() -> Value {
    let metric = |index: usize| {
        json!({
            "name": format!("metric {index}"), "scopeName": "default", "groups": ["all"],
            "query": {"type": "prometheus", "metricName": "m", "customInlineTemplate": "version=\"${scope}\""},
        })
    };
    json!({
        "canaryConfig": {
            "metrics": (0..10).map(metric).collect::<Vec<_>>(),
            "classifier": {"groupWeights": {"all": 100}},
        },
        "executionRequest": {
            "scopes": [{"controlScope": "v1", "experimentScope": "v2"}],
            "thresholds": {"pass": 95, "marginal": 75},
            "lifetimeDurationMins": 600, "analysisIntervalMins": 60,
        },
    })
}

fn resident(process: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).expect("Linux");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .expect("VmRSS");
    let kilobytes: u64 = line
        .split_whitespace()
        .nth(1)
        .expect("a number")
        .parse()
        .expect("a number");
    kilobytes / 1024
}

/// User and system time, of which the kernel counts hundredths of a second.
fn cpu_seconds(process: &Child) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.id())).expect("Linux");
    let after_name = stat.rsplit(')').next().expect("fields");
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: f64 = [11, 12]
        .iter()
        .map(|field| fields[*field].parse::<f64>().expect("ticks"))
        .sum();
    ticks / 100.0
}
