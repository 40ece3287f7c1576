//! Many canaries at once, and many replicas: the binary as a process, real Prometheus, PostgreSQL
//! and S3. Every canary asks its own queries, so that nothing is saved by asking once.
//!
//! `tests/with-services cargo bench --bench load`

#![expect(clippy::disallowed_methods, reason = "a benchmark is no service")]

mod shared;

use std::time::{Duration, Instant};

use serde_json::json;
use shared::curl::Curl;
use shared::fleet::{new_database, on};
use shared::process::Replica;
use shared::wire::{Wire, judge_all};
use shared::{Floor, QUERIES_AT_ONCE, median, millis, row, variable};

const METRICS: usize = 10;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(measure());
}

async fn measure() {
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
        let variables = [("SERIN__STORAGE__DIRECTORY", path(&folder))];
        starts.push(Replica::start(prometheus, &variables).await.up_after);
    }
    row(
        "start to /health UP, embedded, median of 10",
        &millis(median(starts)),
    );

    let folder = tempfile::tempdir().expect("a folder");
    let replica = Replica::start(prometheus, &[("SERIN__STORAGE__DIRECTORY", path(&folder))]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    row("resident, idle", &mib(replica.memory("VmRSS")));

    let wires = [Wire::to(&replica.url)];
    let (curl, http) = (Curl::new(&[]), shared::client());
    let mut run = 0;
    for at_once in [1, 8, 80] {
        let count = if at_once == 1 { 30 } else { 400 };
        let (mut floors, mut rates, mut tails) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..5 {
            let urls = shared::urls(prometheus, run, count, METRICS);
            let queries = QUERIES_AT_ONCE.min(at_once * 2 * METRICS);
            floors.push(Floor::of(&curl, &http, &urls, queries).await);
            run += count;
            let start = Instant::now();
            let mut seconds = judge_all(&wires, run, count, METRICS, at_once).await;
            rates.push(f64::from(count) / start.elapsed().as_secs_f64());
            seconds.sort_unstable_by(f64::total_cmp);
            tails.push(seconds[seconds.len() * 99 / 100]);
            run += count;
        }
        let (floor, rate) = (Floor::median(&floors), median(rates));
        let allowed = |seconds: f64| f64::from(count) / seconds;
        row(
            &format!("{METRICS}-metric canaries a second, {at_once} at once"),
            &format!(
                "{rate:.0}; curl allows {:.0}, serin's client {:.0}; {:.2} of the more; p99 {}",
                allowed(floor.curl),
                allowed(floor.own_client),
                rate / allowed(floor.seconds()),
                millis(median(tails))
            ),
        );
    }
    row("resident after that load", &mib(replica.memory("VmRSS")));

    let start = Instant::now();
    judge_all(&wires, run, 1000, METRICS, 1000).await;
    row(
        "1,000 accepted at once",
        &format!(
            "all succeeded after {:.1} s; at most {} resident",
            start.elapsed().as_secs_f64(),
            mib(replica.memory("VmHWM"))
        ),
    );
}

/// One, two and four replicas where the queries are not the limit.
async fn fleet(prometheus: &str, postgres: &str, s3: &str, toxiproxy: &str) {
    let slow = slowed(&shared::client(), toxiproxy, prometheus).await;
    let mut rates: Vec<f64> = Vec::new();
    let mut run = 100_000;
    for count in [1, 2, 4] {
        let database = new_database(postgres).await;
        let mut replicas = Vec::new();
        for _ in 0..count {
            replicas.push(Replica::start(&slow, &on(&database, s3)).await);
        }
        if count == 1 {
            row(
                "start to /health UP, on an empty PostgreSQL and S3",
                &millis(replicas[0].up_after),
            );
            let again = Replica::start(&slow, &on(&database, s3)).await;
            row(
                "start to /health UP, on PostgreSQL and S3",
                &millis(again.up_after),
            );
        }
        let wires = replicas.iter().map(|replica| Wire::to(&replica.url));
        let wires: Vec<Wire> = wires.collect();
        let canaries = 120;
        let start = Instant::now();
        judge_all(&wires, run, canaries, METRICS, 120).await;
        let rate = f64::from(canaries) / start.elapsed().as_secs_f64();
        run += canaries;
        rates.push(rate);
        row(
            &format!("canaries a second, {count} replica(s), Prometheus answering in 200 ms"),
            &format!("{rate:.2}, {:.2} × one", rate / rates[0]),
        );
    }
}

/// The URL of that Prometheus behind 200 ms.
async fn slowed(http: &reqwest::Client, toxiproxy: &str, prometheus: &str) -> String {
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let listen = port.local_addr().expect("an address").to_string();
    drop(port);
    let upstream = prometheus.trim_start_matches("http://");
    let name = uuid::Uuid::new_v4().to_string();
    let proxy = json!({"name": name, "listen": listen, "upstream": upstream});
    let toxic = json!({"type": "latency", "attributes": {"latency": 200}});
    for (path, body) in [
        ("proxies".to_owned(), proxy),
        (format!("proxies/{name}/toxics"), toxic),
    ] {
        let url = format!("{toxiproxy}/{path}");
        let made = http.post(url).json(&body).send().await;
        assert!(made.expect("toxiproxy").status().is_success());
    }
    format!("http://{listen}")
}

fn path(folder: &tempfile::TempDir) -> String {
    folder.path().display().to_string()
}

fn mib(kib: u64) -> String {
    format!("{} MiB", kib / 1024)
}
