//! A hundred analyses of twenty metrics over twelve growing intervals: the samples that are fetched,
//! beside those of the last windows, with reuse and without. Every analysis has scopes of its own,
//! so no query is shared. The clock is set, nothing is waited for.
//!
//! `cargo bench --bench economy`

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::Router;
use axum::extract::{Query, State};
use futures::StreamExt;
use serde_json::json;
use serin::budget::Budget;
use serin::canary::CanaryScope;
use serin::clock::Clock;
use serin::config::{LoadOptions, Shorthands, load_from};
use serin::metrics::{self, MetricRequest, MetricSource};
use tokio::net::TcpListener;

const ANALYSES: usize = 100;
const METRICS: usize = 20;
const INTERVALS: i64 = 12;
/// 2024-06-01T01:00:00Z
const START: i64 = 1_717_203_600_000;
const MINUTE: i64 = 60_000;

fn main() {
    tokio::runtime::Runtime::new()
        .expect("a runtime")
        .block_on(measure());
}

async fn measure() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    println!(
        "| interval, minutes | reuse | samples fetched | of the last windows | ratio | s | resident, MB |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (interval, reuse) in [(30, true), (15, true), (30, false)] {
        run(interval, reuse).await;
    }
}

async fn run(interval: i64, reuse: bool) {
    let sent = Arc::new(AtomicU64::new(0));
    let url = prometheus(Arc::clone(&sent)).await;
    let options = LoadOptions {
        shorthands: Shorthands {
            prometheus: Some(url),
            ..Shorthands::default()
        },
        overrides: vec![(
            "kayenta.prometheus.reuse.enabled".to_owned(),
            reuse.to_string(),
        )],
        ..LoadOptions::default()
    };
    let config = load_from(&options, &BTreeMap::new())
        .expect("a configuration")
        .config;
    let clock = Clock::settable(START);
    let sources = metrics::open(&config, &clock).expect("a source");
    let source = &sources[0];
    let budget = Budget::new(config.limits.memory, config.limits.execution);

    let begun = Instant::now();
    let mut last = 0;
    for number in 1..=INTERVALS {
        let end = START + number * interval * MINUTE;
        clock.set(end + 1000);
        let queries = (0..ANALYSES * METRICS * 2).map(|index| fetch(source, &budget, index, end));
        let counts = futures::stream::iter(queries).buffer_unordered(64);
        last = counts
            .fold(0, |sum, count| async move { sum + count })
            .await;
    }
    let sent = sent.load(Ordering::Relaxed);
    println!(
        "| {interval} | {} | {sent} | {last} | {:.3} | {:.1} | {} |",
        if reuse { "on" } else { "off" },
        ratio(sent, last),
        begun.elapsed().as_secs_f64(),
        resident()
    );
}

/// How many samples the window holds.
async fn fetch(source: &Arc<dyn MetricSource>, budget: &Budget, index: usize, end: i64) -> u64 {
    let metric = json!({"name": "m", "query": {
        "type": "prometheus", "metricName": format!("m{}", index / 2 % METRICS),
        "customInlineTemplate": "version=\"${scope}\"",
    }});
    let metric = serde_json::from_value(metric).expect("a metric");
    let side = ["control", "experiment"][index % 2];
    let scope = json!({
        "scope": format!("{side}-{}", index / 2 / METRICS), "start": START, "end": end, "step": 60,
    });
    let scope: CanaryScope = serde_json::from_value(scope).expect("a scope");
    let request = MetricRequest {
        config: &serin::canary::CanaryConfig::default(),
        metric: &metric,
        scope: &scope,
        longest: 16 << 10,
        is_reused: true,
    };
    let sets = source
        .fetch(&request, &budget.share())
        .await
        .expect("an answer");
    sets.iter().map(|set| set.values.len() as u64).sum()
}

/// Answers every range query with one series that has a sample at every step, and counts them.
async fn prometheus(sent: Arc<AtomicU64>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let router = Router::new().fallback(answer).with_state(sent);
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

async fn answer(
    State(sent): State<Arc<AtomicU64>>,
    Query(params): Query<HashMap<String, String>>,
) -> String {
    let seconds = |name: &str| {
        let time: jiff::Timestamp = params[name].parse().expect("a time");
        time.as_second()
    };
    let mut samples = String::new();
    for time in (seconds("start")..=seconds("end")).step_by(60) {
        let separator = if samples.is_empty() { "" } else { "," };
        let _ = write!(samples, "{separator}[{time},\"{}.5\"]", time % 1000);
        sent.fetch_add(1, Ordering::Relaxed);
    }
    format!(
        r#"{{"status":"success","data":{{"resultType":"matrix","result":[{{"metric":{{}},"values":[{samples}]}}]}}}}"#
    )
}

#[expect(clippy::cast_precision_loss, reason = "counts of samples are small")]
fn ratio(sent: u64, last: u64) -> f64 {
    sent as f64 / last as f64
}

/// Of this process: the source and the Prometheus that answers it.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.expect("VmRSS") / 1024
}
