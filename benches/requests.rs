//! What is read most: a finished execution and a canary config, beside a bare axum route that
//! answers the same bytes. All are taken in turns within one run.
//!
//! `cargo bench --bench requests`

#![expect(clippy::disallowed_methods, reason = "a benchmark is no service")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::header;
use axum::{Router, routing};
use serde_json::{Value, json};
use serin::command::Service;
use serin::config::{LoadOptions, Shorthands, load_from};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const CONNECTIONS: usize = 16;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(measure());
}

async fn measure() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = LoadOptions {
        shorthands: Shorthands {
            prometheus: Some("http://127.0.0.1:9".to_owned()),
            ..Shorthands::default()
        },
        overrides: vec![
            (
                "storage.directory".to_owned(),
                folder.path().display().to_string(),
            ),
            ("server.port".to_owned(), "0".to_owned()),
            ("log.level".to_owned(), "warn".to_owned()),
        ],
        ..LoadOptions::default()
    };
    let config = load_from(&options, &BTreeMap::new()).expect("a configuration");
    let service = Service::start(config.config).await.expect("a service");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::new();

    let execution = finished(&http, &service.url).await;
    let config = stored(&http, &service.url).await;
    println!("| GET | bytes | bare route, a second | serin, a second | part of the bare route |");
    println!("|---|---|---|---|---|");
    for path in [execution, config] {
        let body = http.get(format!("{}{path}", service.url)).send().await;
        let body = body.expect("an answer");
        assert!(body.status().is_success(), "{path}: {}", body.status());
        let body = body.bytes().await.expect("a body");
        let bare = bare(body.clone()).await;
        let serin = service.url.trim_start_matches("http://").to_owned();
        let (mut floor, mut ours) = (Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            let (of_bare, of_serin) = (load(&bare, &path).await, load(&serin, &path).await);
            if round > 0 {
                floor.push(of_bare);
                ours.push(of_serin);
            }
        }
        let (floor, ours) = (median(floor), median(ours));
        let shown = path.rsplit_once('/').map_or("", |(kind, _)| kind);
        println!(
            "| {shown}/{{id}} | {} | {floor:.0} | {ours:.0} | {:.2} |",
            body.len(),
            ours / floor
        );
    }
    service.stop().await;
}

/// The same bytes from a route with nothing around it.
async fn bare(body: Bytes) -> String {
    let answer = move || {
        let body = body.clone();
        async move { ([(header::CONTENT_TYPE, "application/json")], body) }
    };
    let router = Router::new().fallback(routing::get(answer));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Answers a second, over connections that stay open.
async fn load(address: &str, path: &str) -> f64 {
    let until = Instant::now() + ROUND;
    let connections = (0..CONNECTIONS).map(|_| {
        let (address, path) = (address.to_owned(), path.to_owned());
        tokio::spawn(async move { ask(&address, &path, until).await })
    });
    let start = Instant::now();
    let counts = futures::future::join_all(connections).await;
    let count: u32 = counts
        .into_iter()
        .map(|count| count.expect("a count"))
        .sum();
    f64::from(count) / start.elapsed().as_secs_f64()
}

/// Every answer has the length of the first one: the client does as little as it can.
async fn ask(address: &str, path: &str, until: Instant) -> u32 {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("no delay");
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n");
    let mut buffer = vec![0; 256 * 1024];
    let mut count = 0;
    let mut length = None;
    while Instant::now() < until {
        stream.write_all(request.as_bytes()).await.expect("a write");
        let mut read = 0;
        while length.is_none_or(|length| read < length) {
            read += stream.read(&mut buffer[read..]).await.expect("a read");
            if length.is_none() {
                length = whole(&buffer[..read]);
            }
        }
        let head = String::from_utf8_lossy(&buffer[..read.min(300)]);
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        count += 1;
    }
    count
}

/// The length of an answer, once its head is there.
fn whole(answer: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(answer).to_ascii_lowercase();
    let head = text.find("\r\n\r\n")? + 4;
    let length = text.split("content-length: ").nth(1)?;
    let length: usize = length.split("\r\n").next()?.parse().ok()?;
    Some(head + length)
}

/// The path of a finished execution of about 10 KB.
async fn finished(http: &reqwest::Client, serin: &str) -> String {
    let id = "01HZ0000000000000000000000";
    let metrics: Vec<Value> = (0..10).map(result).collect();
    let archive = json!({
        "application": "web", "pipelineId": id, "complete": true, "status": "succeeded",
        "result": {"judgeResult": {"judgeName": "NetflixACAJudge-v1.0", "results": metrics,
            "groupScores": [], "score": {"score": 100.0, "classification": "Pass", "classificationReason": ""}}},
    });
    let url = format!("{serin}/canaryResultArchive?pipelineId={id}");
    store(http, &url, &archive).await;
    format!("/canary/{id}")
}

fn result(index: usize) -> Value {
    let stats = json!({"stats": {"count": 60, "mean": 1.5, "std": 0.5, "min": 0.5, "max": 2.5}});
    json!({
        "name": format!("metric {index}"), "id": "x".repeat(600), "tags": {},
        "classification": "Pass", "classificationReason": null, "groups": ["all"], "critical": false,
        "experimentMetadata": stats, "controlMetadata": stats, "resultMetadata": {"ratio": 1.0},
    })
}

async fn stored(http: &reqwest::Client, serin: &str) -> String {
    let metric = |index: usize| {
        json!({
            "name": format!("metric {index}"), "scopeName": "default", "groups": ["all"],
            "query": {"type": "prometheus", "metricName": format!("bench_{index:02}"), "customInlineTemplate": "version=\"${scope}\""},
        })
    };
    let config = json!({
        "id": "bench", "name": "bench", "description": "", "configVersion": "1", "applications": ["web"],
        "judge": {"name": "NetflixACAJudge-v1.0", "judgeConfigurations": {}},
        "metrics": (0..10).map(metric).collect::<Vec<_>>(), "templates": {},
        "classifier": {"groupWeights": {"all": 100}},
    });
    let url = format!("{serin}/canaryConfig");
    store(http, &url, &config).await;
    "/canaryConfig/bench".to_owned()
}

async fn store(http: &reqwest::Client, url: &str, body: &Value) {
    let stored = http.post(url).json(body).send().await;
    let stored = stored.expect("an answer");
    assert!(
        stored.status().is_success(),
        "{}",
        stored.text().await.unwrap_or_default()
    );
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_unstable_by(f64::total_cmp);
    rates[rates.len() / 2]
}
