//! A whole canary against the bare fetches: from POST to `complete: true`, beside the same range
//! queries sent without serin at the same concurrency. Both are taken in turns within one run.
//!
//! `tests/with-services cargo bench --bench canary`

#![expect(clippy::disallowed_methods, reason = "a benchmark is no service")]

mod shared;

use std::collections::BTreeMap;
use std::time::Instant;

use futures::StreamExt;
use serde_json::Value;
use serin::command::Service;
use serin::config::{LoadOptions, load_from};

const ROUNDS: usize = 15;

fn main() {
    let Ok(prometheus) = std::env::var("SERIN_TEST_PROMETHEUS_URL") else {
        println!(
            "SERIN_TEST_PROMETHEUS_URL is not set; run it as tests/with-services cargo bench --bench canary"
        );
        return;
    };
    tokio::runtime::Runtime::new()
        .expect("a runtime")
        .block_on(measure(&prometheus));
}

async fn measure(prometheus: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let options = LoadOptions {
        prometheus_url: Some(prometheus.to_owned()),
        overrides: vec![
            (
                "storage.directory".to_owned(),
                folder.path().display().to_string(),
            ),
            ("server.port".to_owned(), "0".to_owned()),
            // Every round asks the same; what is measured is a canary that nothing is known of.
            (
                "kayenta.prometheus.reuse.enabled".to_owned(),
                "false".to_owned(),
            ),
        ],
        ..LoadOptions::default()
    };
    let config = load_from(&options, &BTreeMap::new())
        .expect("a configuration")
        .config;
    let service = Service::start(config).await.expect("a service");
    let http = reqwest::Client::builder().build().expect("a client");

    println!("| metrics | queries | bare fetches, ms | POST to complete, ms | ratio |");
    println!("|---|---|---|---|---|");
    for metrics in [10, 50] {
        let (mut bare, mut whole) = (Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            let fetched = fetch(&http, prometheus, metrics).await;
            let judged = judge(&http, &service.url, metrics).await;
            // The first round warms connections and caches.
            if round > 0 {
                bare.push(fetched);
                whole.push(judged);
            }
        }
        let (bare, whole) = (median(bare), median(whole));
        println!(
            "| {metrics} | {} | {:.1} | {:.1} | {:.2} |",
            2 * metrics,
            bare * 1e3,
            whole * 1e3,
            whole / bare
        );
    }
    service.stop().await;
}

/// The queries of a canary, without serin: 16 at a time.
async fn fetch(http: &reqwest::Client, prometheus: &str, metrics: usize) -> f64 {
    let start = Instant::now();
    let queries = (0..metrics).flat_map(|index| ["prod", "canary"].map(|side| query(index, side)));
    futures::stream::iter(queries)
        .map(|query| async move { shared::ask(http, prometheus, &query).await })
        .buffer_unordered(16)
        .collect::<Vec<()>>()
        .await;
    start.elapsed().as_secs_f64()
}

async fn judge(http: &reqwest::Client, serin: &str, metrics: usize) -> f64 {
    let body = shared::canary(metrics, "version=\"${scope}\"");
    let start = Instant::now();
    let answer = http.post(format!("{serin}/canary")).json(&body).send();
    let started: Value = answer.await.expect("an answer").json().await.expect("JSON");
    let id = started["canaryExecutionId"].as_str().expect("an id");
    let answer = http
        .get(format!("{serin}/canary/{id}?wait=30s"))
        .send()
        .await
        .expect("an answer");
    let status: Value = answer.json().await.expect("JSON");
    assert_eq!(status["status"], "succeeded", "{status}");
    start.elapsed().as_secs_f64()
}

fn query(index: usize, side: &str) -> String {
    format!("avg(bench_{index:02}{{version=\"{side}\"}})")
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_unstable_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}
