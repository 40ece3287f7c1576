//! A canary of the benchmarks, its range queries, and what they take without serin.

#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "every benchmark takes a part of it"
)]

pub mod curl;
pub mod fleet;
pub mod process;
pub mod wire;

use std::time::Instant;

use futures::{StreamExt, stream};
use serde_json::{Value, json};

use curl::Curl;

pub const START: &str = "2024-06-01T01:00:00Z";
pub const END: &str = "2024-06-01T02:00:00Z";

/// What serin sends at once to one account, unless it is told otherwise.
pub const QUERIES_AT_ONCE: usize = 16;

/// A canary that asks queries of its own, so that nothing is saved by asking once. `run` tells it
/// from the others.
pub fn canary(run: u32, metrics: usize) -> Value {
    let template = format!("version=\"${{scope}}\",run!=\"{run}\"");
    let metric = |index: usize| {
        json!({
            "name": format!("metric {index}"), "scopeName": "default", "groups": ["all"],
            "query": {"type": "prometheus", "metricName": format!("bench_{index:02}"), "customInlineTemplate": template},
        })
    };
    let scope = |version: &str| json!({"scope": version, "start": START, "end": END, "step": 60});
    json!({
        "canaryConfig": {
            "metrics": (0..metrics).map(metric).collect::<Vec<_>>(),
            "classifier": {"groupWeights": {"all": 100}},
        },
        "executionRequest": {
            "scopes": {"default": {"controlScope": scope("prod"), "experimentScope": scope("canary")}},
            "thresholds": {"pass": 95, "marginal": 75},
        },
    })
}

/// The URLs of all queries of `count` such canaries, as serin asks them.
pub fn urls(prometheus: &str, first: u32, count: u32, metrics: usize) -> Vec<String> {
    let url = |run: u32, index: usize, side: &str| {
        let query = format!("avg(bench_{index:02}{{version=\"{side}\",run!=\"{run}\"}})");
        let range = [
            ("query", query.as_str()),
            ("start", START),
            ("end", END),
            ("step", "60"),
        ];
        let url = format!("{prometheus}/api/v1/query_range");
        url::Url::parse_with_params(&url, range)
            .expect("a URL")
            .to_string()
    };
    let of_run = |run| {
        (0..metrics).flat_map(move |index| ["prod", "canary"].map(move |side| (run, index, side)))
    };
    let queries = (first..first + count).flat_map(of_run);
    queries
        .map(|(run, index, side)| url(run, index, side))
        .collect()
}

/// Seconds that serin's own client takes, and reads what it fetched; `at_once` queries at a time.
pub async fn bare(http: &reqwest::Client, urls: &[String], at_once: usize) -> f64 {
    let start = Instant::now();
    stream::iter(urls)
        .map(|url| async move {
            let answer = http.get(url).send().await.expect("an answer");
            let body: Value = answer.json().await.expect("JSON");
            assert_eq!(body["status"], "success");
        })
        .buffer_unordered(at_once)
        .collect::<Vec<()>>()
        .await;
    start.elapsed().as_secs_f64()
}

/// What a source takes for queries without serin, in seconds: the floor is the faster of the two.
#[derive(Clone, Copy)]
pub struct Floor {
    pub curl: f64,
    pub own_client: f64,
}

impl Floor {
    pub async fn of(curl: &Curl, http: &reqwest::Client, urls: &[String], at_once: usize) -> Self {
        Self {
            curl: curl.fetch(urls, at_once),
            own_client: bare(http, urls, at_once).await,
        }
    }

    pub fn seconds(self) -> f64 {
        self.curl.min(self.own_client)
    }

    pub fn median(floors: &[Self]) -> Self {
        Self {
            curl: median(floors.iter().map(|floor| floor.curl).collect()),
            own_client: median(floors.iter().map(|floor| floor.own_client).collect()),
        }
    }
}

pub fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().gzip(false).tls_certs_only([]);
    client.build().expect("a client")
}

/// A variable that `tests/with-services` sets.
pub fn variable(name: &str) -> Option<String> {
    let value = std::env::var(name).ok();
    if value.is_none() {
        println!("{name} is not set; run it as tests/with-services cargo bench");
    }
    value
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

pub fn millis(seconds: f64) -> String {
    format!("{:.1} ms", seconds * 1e3)
}

pub fn row(what: &str, figure: &str) {
    println!("| {what} | {figure} |");
}
