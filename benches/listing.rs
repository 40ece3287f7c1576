//! A store with 100,000 archived canaries: how long lists take, with and without a reconciliation
//! beside them, and how much memory serin holds.
//!
//! `cargo bench --bench listing`; with `SERIN_TEST_POSTGRES_URL` (`tests/with-services`) on a
//! database of its own in PostgreSQL as well.

#![expect(clippy::disallowed_methods, reason = "a benchmark is no service")]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection};

const RUNS: usize = 100_000;
const APPLICATIONS: usize = 20;
const CONFIGS: usize = 200;
const ROUNDS: usize = 400;
/// So many pages of 20 has every application.
const PAGES: usize = RUNS / APPLICATIONS / 20;

fn main() {
    tokio::runtime::Runtime::new()
        .expect("a runtime")
        .block_on(measure());
}

async fn measure() {
    let folder = tempfile::tempdir().expect("a folder");
    let start = Instant::now();
    fill(&folder.path().join("kayenta"));
    println!(
        "wrote {RUNS} archives and {CONFIGS} canary configs in {:.1} s",
        start.elapsed().as_secs_f64()
    );
    println!("\n## SQLite");
    serve(folder.path(), None).await;
    if let Ok(server) = std::env::var("SERIN_TEST_POSTGRES_URL") {
        println!("\n## PostgreSQL");
        serve(folder.path(), Some(&new_database(&server).await)).await;
    }
}

/// As another program would fill the store: serin has to find and read all of it.
fn fill(root: &Path) {
    let write = |key: String, body: &Value| {
        let path = root.join(key);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, body.to_string()).expect("a document");
    };
    for index in 0..CONFIGS {
        let config = json!({
            "id": format!("config-{index}"), "name": format!("config-{index}"),
            "applications": [application(index)], "updatedTimestamp": 1_700_000_000_000_i64,
            "metrics": [], "classifier": {"groupWeights": {}},
        });
        write(
            format!("canary_config/config-{index}/config-{index}.json"),
            &config,
        );
    }
    let mut archive = archive();
    for index in 0..RUNS {
        let id = format!("01K{index:023}");
        archive["pipelineId"] = id.as_str().into();
        archive["application"] = application(index).into();
        archive["status"] = if index / APPLICATIONS % 10 == 3 {
            "terminal"
        } else {
            "succeeded"
        }
        .into();
        archive["buildTimeMillis"] =
            (1_700_000_000_000_i64 + 60_000 * i64::try_from(index).expect("a small number")).into();
        write(format!("canary_archive/{id}/canary_archive.json"), &archive);
    }
}

fn application(index: usize) -> String {
    format!("application-{}", index % APPLICATIONS)
}

/// The report of a canary of ten metrics, about 9 kB.
fn archive() -> Value {
    let stats = json!({"count": 60, "mean": 12.345_678_9, "max": 99.25, "min": 0.125, "std": 3.75});
    let result = |index: usize| {
        json!({
            "name": format!("metric {index}"), "id": format!("00000000-0000-0000-0000-{index:012}"),
            "tags": {}, "classification": "Pass", "classificationReason": null, "groups": ["all"],
            "experimentMetadata": {"stats": stats}, "controlMetadata": {"stats": stats},
            "resultMetadata": {"ratio": 1.0}, "critical": false,
        })
    };
    let metric = |index: usize| {
        json!({
            "name": format!("metric {index}"), "scopeName": "default", "groups": ["all"],
            "query": {"type": "prometheus", "serviceType": "prometheus", "metricName": format!("metric_{index}"), "customInlineTemplate": "version=\"${scope}\""},
            "analysisConfigurations": {"canary": {"direction": "increase", "critical": false}},
        })
    };
    let scope = |version: &str| json!({"scope": version, "location": "eu", "step": 60, "start": "2024-05-01T10:00:00Z", "end": "2024-05-01T11:00:00Z", "extendedScopeParams": {}});
    json!({
        "complete": true, "status": "succeeded", "stageStatus": {"judge": "succeeded"},
        "canaryConfigId": "config-1", "storageAccountName": "local", "metricsAccountName": "prometheus",
        "metricSetPairListId": "00000000-0000-0000-0000-000000000000",
        "config": {"name": "config-1", "applications": ["application-1"], "metrics": (0..10).map(metric).collect::<Vec<_>>(), "classifier": {"groupWeights": {"all": 100.0}}},
        "canaryExecutionRequest": {
            "scopes": {"default": {"controlScope": scope("v1"), "experimentScope": scope("v2")}},
            "thresholds": {"pass": 95.0, "marginal": 75.0},
        },
        "result": {"judgeResult": {
            "judgeName": "NetflixACAJudge-v1.0", "results": (0..10).map(result).collect::<Vec<_>>(),
            "groupScores": [{"name": "all", "score": 100.0, "classification": "", "classificationReason": ""}],
            "score": {"score": 100.0, "classification": "Pass", "classificationReason": ""},
        }, "canaryDuration": "PT1H"},
    })
}

async fn serve(folder: &Path, database: Option<&str>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let bench = Bench {
        http: {
            let _ = rustls::crypto::ring::default_provider().install_default();
            reqwest::Client::builder().build().expect("a client")
        },
        url: format!("http://127.0.0.1:{port}"),
    };
    // Alone first, then with a reconciliation after the other.
    let mut serin = start(folder, database, port, "1h");
    let begun = Instant::now();
    bench.until_all_are_listed().await;
    println!(
        "index filled in {:.1} s, {} MB resident, {} MB at most",
        begun.elapsed().as_secs_f64(),
        resident(&serin, "VmRSS"),
        resident(&serin, "VmHWM"),
    );
    println!("\n| request | p50, ms | p99, ms | p50, ms, while it reconciles | p99, ms |");
    println!("|---|---|---|---|---|");
    let alone = bench.all().await;
    stop(&mut serin);
    let begun = Instant::now();
    let mut serin = start(folder, database, port, "1s");
    bench.until_all_are_listed().await;
    let restarted = begun.elapsed().as_secs_f64();
    let beside = bench.all().await;
    for ((name, alone), (_, beside)) in alone.iter().zip(&beside) {
        println!(
            "| {name} | {:.1} | {:.1} | {:.1} | {:.1} |",
            part(alone, 50),
            part(alone, 99),
            part(beside, 50),
            part(beside, 99)
        );
    }
    println!(
        "\nlists answer {restarted:.1} s after a restart; {} MB resident, {} MB at most",
        resident(&serin, "VmRSS"),
        resident(&serin, "VmHWM"),
    );
    stop(&mut serin);
}

struct Bench {
    http: reqwest::Client,
    url: String,
}

impl Bench {
    async fn all(&self) -> Vec<(&'static str, Vec<f64>)> {
        let page = |index: usize, page: usize| {
            let application = application(index);
            format!("/canary/executions?application={application}&limit=20&page={page}")
        };
        let mut all = Vec::new();
        let first = |index: usize| page(index, 1 + index / APPLICATIONS % 3);
        all.push(("executions, the first pages", self.time(first, 20).await));
        let far = |index: usize| page(index, PAGES - index / APPLICATIONS % 20);
        all.push(("executions, the last pages", self.time(far, 20).await));
        let failed = |index: usize| page(index, 1) + "&statuses=terminal,stopped";
        all.push((
            "executions by status, the first page",
            self.time(failed, 20).await,
        ));
        let none = |index: usize| page(index, 1) + "&statuses=canceled";
        all.push((
            "executions by a status that none has",
            self.time(none, 0).await,
        ));
        let configs = |_| "/canaryConfig".to_owned();
        all.push(("canary configs", self.time(configs, CONFIGS).await));
        let configs = |index| format!("/canaryConfig?application={}", application(index));
        let own = CONFIGS / APPLICATIONS;
        all.push((
            "canary configs of one application",
            self.time(configs, own).await,
        ));
        all
    }

    /// One request after the other, in milliseconds, sorted.
    async fn time(&self, path: impl Fn(usize) -> String, wanted: usize) -> Vec<f64> {
        let mut times = Vec::with_capacity(ROUNDS);
        for index in 0..ROUNDS {
            let start = Instant::now();
            let answer = self.http.get(format!("{}{}", self.url, path(index))).send();
            let body = answer
                .await
                .expect("an answer")
                .bytes()
                .await
                .expect("a body");
            times.push(start.elapsed().as_secs_f64() * 1e3);
            let list: Vec<Value> = serde_json::from_slice(&body).expect("a list");
            assert_eq!(list.len(), wanted, "{}", path(index));
        }
        times.sort_unstable_by(f64::total_cmp);
        times
    }

    async fn until_all_are_listed(&self) {
        for index in 0..APPLICATIONS {
            let path = format!(
                "{}/canary/executions?application={}&limit=1&page={}",
                self.url,
                application(index),
                RUNS / APPLICATIONS
            );
            while self.count(&path).await != 1 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    async fn count(&self, path: &str) -> usize {
        let Ok(answer) = self.http.get(path).send().await else {
            return 0;
        };
        let list: Value = answer.json().await.expect("JSON");
        list.as_array().map_or(0, Vec::len)
    }
}

fn start(folder: &Path, database: Option<&str>, port: u16, refresh: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_serin"));
    command
        .args(["serve", "--prometheus", "http://127.0.0.1:9"])
        .args(["--port", &port.to_string()])
        .env("SERIN__STORAGE__DIRECTORY", folder)
        .env("SERIN__STORAGE__REFRESH", refresh)
        .env("SERIN__LOG__LEVEL", "warn")
        .stderr(Stdio::inherit());
    if let Some(url) = database {
        command.env("SERIN__DATABASE__URL", url);
    }
    command.spawn().expect("serin")
}

fn stop(serin: &mut Child) {
    serin.kill().expect("an end");
    serin.wait().expect("an end");
}

async fn new_database(server: &str) -> String {
    let name = format!("listing_{}", std::process::id());
    let mut connection = PgConnection::connect(server).await.expect("PostgreSQL");
    let create = format!("CREATE DATABASE {name}");
    let created = connection.execute(sqlx::AssertSqlSafe(create));
    created.await.expect("a database");
    let mut url = url::Url::parse(server).expect("a URL");
    url.set_path(&name);
    url.into()
}

/// Of sorted times, the one below which so many hundredths lie.
fn part(times: &[f64], hundredths: usize) -> f64 {
    times[(times.len() * hundredths / 100).min(times.len() - 1)]
}

/// Megabytes, as the kernel tells them.
fn resident(process: &Child, what: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).expect("Linux");
    let line = status.lines().find(|line| line.starts_with(what));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
    kilobytes
        .and_then(|number| number.parse::<u64>().ok())
        .expect("a number")
        / 1024
}
