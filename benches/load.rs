//! Many canaries at once, and many replicas: the binary as a process, real Prometheus, PostgreSQL
//! and S3. Every canary asks its own queries, so that nothing is saved by asking once.
//!
//! `tests/with-services cargo bench --bench load`

#![expect(clippy::disallowed_methods, reason = "a benchmark is no service")]

mod shared;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream;
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection};

/// What serin sends at once to one account, unless it is told otherwise.
const QUERIES_AT_ONCE: usize = 16;
const METRICS: usize = 10;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(measure());
}

fn variable(name: &str) -> Option<String> {
    let value = std::env::var(name).ok();
    if value.is_none() {
        println!("{name} is not set; run it as tests/with-services cargo bench --bench load");
    }
    value
}

async fn measure() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Some(prometheus) = variable("SERIN_TEST_PROMETHEUS_URL") else {
        return;
    };
    println!("| what | figure |");
    println!("|---|---|");
    embedded(&prometheus).await;
    let services = (
        variable("SERIN_TEST_POSTGRES_URL"),
        variable("SERIN_TEST_S3_ENDPOINT"),
        variable("SERIN_TEST_TOXIPROXY_URL"),
    );
    if let (Some(postgres), Some(s3), Some(toxiproxy)) = services {
        fleet(&prometheus, &postgres, &s3, &toxiproxy).await;
    }
}

async fn embedded(prometheus: &str) {
    let mut starts = Vec::new();
    for _ in 0..10 {
        let folder = tempfile::tempdir().expect("a folder");
        starts.push(
            Replica::start(prometheus, &[("SERIN__STORAGE__DIRECTORY", path(&folder))])
                .await
                .up_after,
        );
    }
    row(
        "start to /health UP, embedded, median of 10",
        &millis(median(starts)),
    );

    let folder = tempfile::tempdir().expect("a folder");
    let replica = Replica::start(prometheus, &[("SERIN__STORAGE__DIRECTORY", path(&folder))]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    row("resident, idle", &mib(replica.memory("VmRSS")));

    let mut run = 0;
    for at_once in [1, 8, 80] {
        let count = if at_once == 1 { 30 } else { 400 };
        let (mut floors, mut rates, mut tails) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..3 {
            let start = Instant::now();
            bare(prometheus, run, count, at_once).await;
            floors.push(f64::from(count) / start.elapsed().as_secs_f64());
            let start = Instant::now();
            let mut seconds = judge_all(&replica.http, &[&replica.url], run, count, at_once).await;
            rates.push(f64::from(count) / start.elapsed().as_secs_f64());
            seconds.sort_unstable_by(f64::total_cmp);
            tails.push(seconds[seconds.len() * 99 / 100]);
            run += count;
        }
        let (floor, rate) = (median(floors), median(rates));
        row(
            &format!("{METRICS}-metric canaries a second, {at_once} at once"),
            &format!(
                "{rate:.0}; the bare fetches allow {floor:.0}; {:.2} of them; p99 {}",
                rate / floor,
                millis(median(tails))
            ),
        );
    }
    row("resident after that load", &mib(replica.memory("VmRSS")));

    let start = Instant::now();
    judge_all(&replica.http, &[&replica.url], run, 1000, 1000).await;
    row(
        "1,000 accepted at once",
        &format!(
            "all succeeded after {:.1} s; at most {} resident",
            start.elapsed().as_secs_f64(),
            mib(replica.memory("VmHWM"))
        ),
    );
}

async fn fleet(prometheus: &str, postgres: &str, s3: &str, toxiproxy: &str) {
    let http = reqwest::Client::new();
    let slow = slowed(&http, toxiproxy, prometheus).await;
    let mut rates = Vec::new();
    let mut run = 100_000;
    for count in [1, 2] {
        let database = new_database(postgres).await;
        let mut replicas = Vec::new();
        for _ in 0..count {
            replicas.push(Replica::start(&slow, &on(&database, s3)).await);
        }
        if count == 1 {
            let up = replicas[0].up_after;
            row(
                "start to /health UP, on an empty PostgreSQL and S3",
                &millis(up),
            );
            let again = Replica::start(&slow, &on(&database, s3)).await;
            row(
                "start to /health UP, on PostgreSQL and S3",
                &millis(again.up_after),
            );
        }
        let urls: Vec<&str> = replicas
            .iter()
            .map(|replica| replica.url.as_str())
            .collect();
        let canaries = 60;
        let start = Instant::now();
        judge_all(&http, &urls, run, canaries, 60).await;
        let rate = f64::from(canaries) / start.elapsed().as_secs_f64();
        run += canaries;
        rates.push(rate);
        row(
            &format!("canaries a second, {count} replica(s), Prometheus answering in 200 ms"),
            &format!("{rate:.2}"),
        );
    }
    row(
        "two replicas instead of one",
        &format!("{:.2} ×", rates[1] / rates[0]),
    );
}

/// The binary as a process of its own, killed when dropped.
struct Replica {
    child: Child,
    url: String,
    http: reqwest::Client,
    /// Seconds from its start until `/health` said UP.
    up_after: f64,
}

impl Replica {
    /// Another port is tried when somebody was faster.
    async fn start(prometheus: &str, variables: &[(&str, String)]) -> Self {
        loop {
            if let Some(replica) = Self::try_start(prometheus, variables).await {
                return replica;
            }
        }
    }

    async fn try_start(prometheus: &str, variables: &[(&str, String)]) -> Option<Self> {
        let port = free_port().to_string();
        let start = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_serin"))
            .args(["serve", "--prometheus", prometheus, "--port", &port])
            .envs(variables.iter().map(|(name, value)| (name, value.as_str())))
            .env("SERIN__LOG__LEVEL", "warn")
            .stdout(Stdio::null())
            .spawn()
            .expect("the binary");
        let http = reqwest::Client::builder()
            .timeout(Duration::from_mins(2))
            .build()
            .expect("a client");
        let url = format!("http://127.0.0.1:{port}");
        loop {
            if let Ok(answer) = http.get(format!("{url}/health")).send().await
                && answer.status().is_success()
            {
                break;
            }
            if child.try_wait().ok().flatten().is_some() {
                return None;
            }
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "serin does not start"
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Some(Self {
            child,
            url,
            http,
            up_after: start.elapsed().as_secs_f64(),
        })
    }

    /// Of `/proc/PID/status`, in KiB.
    fn memory(&self, what: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with(what));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        kib.unwrap_or(0)
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Below the ports that connections take for themselves: one to a port where nobody listens yet
/// may else be a connection to itself, and keep the port.
fn free_port() -> u16 {
    let random = uuid::Uuid::new_v4().as_u128() % 12_000;
    let port = 20_000 + u16::try_from(random).unwrap_or(0);
    match std::net::TcpListener::bind(("127.0.0.1", port)) {
        Ok(_) => port,
        Err(_) => free_port(),
    }
}

/// Variables of a replica on a database and a bucket.
fn on(database: &str, s3: &str) -> Vec<(&'static str, String)> {
    let secret = |name| std::env::var(name).unwrap_or_default();
    let account = format!(
        "[{{name: s3, bucket: bench, endpoint: '{s3}', explicitCredentials: {{accessKey: {}, secretKey: {}}}}}]",
        secret("SERIN_TEST_S3_ACCESS_KEY"),
        secret("SERIN_TEST_S3_SECRET_KEY"),
    );
    let pairs = [
        ("SERIN__DATABASE__URL", database),
        ("SERIN__KAYENTA__AWS__ENABLED", "true"),
        ("SERIN__KAYENTA__S3__ENABLED", "true"),
        ("SERIN__KAYENTA__AWS__ACCOUNTS", &account),
    ];
    pairs.map(|(name, value)| (name, value.to_owned())).into()
}

async fn new_database(server: &str) -> String {
    let name = format!("bench_{}", uuid::Uuid::new_v4().simple());
    let mut connection = PgConnection::connect(server).await.expect("PostgreSQL");
    let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    connection.execute(create).await.expect("a database");
    let mut url = url::Url::parse(server).expect("a URL");
    url.set_path(&name);
    url.into()
}

/// The URL of that Prometheus behind 200 ms.
async fn slowed(http: &reqwest::Client, toxiproxy: &str, prometheus: &str) -> String {
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let listen = port.local_addr().expect("an address").to_string();
    drop(port);
    let upstream = prometheus.trim_start_matches("http://");
    let name = uuid::Uuid::new_v4().to_string();
    let body = json!({"name": name, "listen": listen, "upstream": upstream});
    let made = http
        .post(format!("{toxiproxy}/proxies"))
        .json(&body)
        .send()
        .await;
    assert!(made.expect("toxiproxy").status().is_success());
    let body = json!({"type": "latency", "attributes": {"latency": 200}});
    let made = http
        .post(format!("{toxiproxy}/proxies/{name}/toxics"))
        .json(&body)
        .send()
        .await;
    assert!(made.expect("toxiproxy").status().is_success());
    format!("http://{listen}")
}

/// The queries of as many canaries without serin, as many at once as serin sends.
async fn bare(prometheus: &str, first: u32, count: u32, at_once: usize) {
    let http = &reqwest::Client::new();
    let at_once = QUERIES_AT_ONCE.min(at_once * 2 * METRICS);
    let queries = (first..first + count).flat_map(|run| {
        (0..METRICS).flat_map(move |index| ["prod", "canary"].map(|side| query(run, index, side)))
    });
    stream::iter(queries)
        .map(|query| async move { shared::ask(http, prometheus, &query).await })
        .buffer_unordered(at_once)
        .collect::<Vec<()>>()
        .await;
}

/// Seconds from POST to the end of each canary, `at_once` at a time.
async fn judge_all(
    http: &reqwest::Client,
    replicas: &[&str],
    first: u32,
    count: u32,
    at_once: usize,
) -> Vec<f64> {
    stream::iter(first..first + count)
        .map(|run| async move {
            let serin = replicas[run as usize % replicas.len()];
            let start = Instant::now();
            let answer = http
                .post(format!("{serin}/canary"))
                .json(&request(run))
                .send();
            let started: Value = answer.await.expect("an answer").json().await.expect("JSON");
            let id = started["canaryExecutionId"].as_str().expect("an id");
            loop {
                let url = format!("{serin}/canary/{id}?wait=30s");
                let answer = http.get(url).send().await.expect("an answer");
                let status: Value = answer.json().await.expect("JSON");
                if status["complete"] == true {
                    assert_eq!(status["status"], "succeeded", "{status}");
                    return start.elapsed().as_secs_f64();
                }
            }
        })
        .buffer_unordered(at_once)
        .collect()
        .await
}

/// The same series for every run, under a text of its own.
fn query(run: u32, index: usize, side: &str) -> String {
    format!("avg(bench_{index:02}{{version=\"{side}\",run!=\"{run}\"}})")
}

fn request(run: u32) -> Value {
    let template = format!("version=\"${{scope}}\",run!=\"{run}\"");
    shared::canary(METRICS, &template)
}

fn row(what: &str, figure: &str) {
    println!("| {what} | {figure} |");
}

fn path(folder: &tempfile::TempDir) -> String {
    folder.path().display().to_string()
}

fn millis(seconds: f64) -> String {
    format!("{:.0} ms", seconds * 1e3)
}

fn mib(kib: u64) -> String {
    format!("{} MiB", kib / 1024)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
