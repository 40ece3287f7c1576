//! A canary of ten metrics from each kind of source but Prometheus, beside its requests without serin. The
//! services are stand-ins: one that answers at once shows what serin adds, those that take as long as a
//! service on the internet what a user waits for.
//!
//! `cargo bench --bench sources`

#![expect(clippy::disallowed_methods, reason = "a benchmark is no service")]

mod shared;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use futures::{StreamExt, stream};
use serde_json::{Value, json};

use shared::curl::Curl;
use shared::process::Replica;
use shared::wire::Wire;
use shared::{Floor, QUERIES_AT_ONCE, median, millis};

const METRICS: usize = 10;
const ROUNDS: u32 = 15;
/// 2024-06-01T01:00:00Z
const START_SECONDS: i64 = 1_717_203_600;
const POINTS: i64 = 60;

struct Kind {
    name: &'static str,
    accounts: fn(&str) -> Vec<(&'static str, String)>,
    /// Of a metric of that number, in a canary of its own.
    query: fn(u32, usize) -> Value,
    content_type: &'static str,
    answer: fn() -> String,
    curl: fn() -> Curl,
}

const KINDS: [Kind; 3] = [
    Kind {
        name: "datadog",
        accounts: |url| {
            vec![
                ("SERIN__KAYENTA__DATADOG__ENABLED", "true".to_owned()),
                (
                    "SERIN__KAYENTA__DATADOG__ACCOUNTS",
                    format!(
                        "[{{name: d, apiKey: a, applicationKey: b, endpoint: {{baseUrl: '{url}'}}}}]"
                    ),
                ),
            ]
        },
        query: |run, at| json!({"type": "datadog", "customInlineTemplate": format!("avg:bench.m{at}{{version:${{scope}},run:{run}}}")}),
        content_type: "application/json",
        answer: datadog,
        curl: || Curl::new(&[]),
    },
    Kind {
        name: "signalfx",
        accounts: |url| {
            vec![
                ("SERIN__KAYENTA__SIGNALFX__ENABLED", "true".to_owned()),
                (
                    "SERIN__KAYENTA__SIGNALFX__ACCOUNTS",
                    format!("[{{name: s, accessToken: a, endpoint: {{baseUrl: '{url}'}}}}]"),
                ),
            ]
        },
        query: |run, at| json!({"type": "signalfx", "customInlineTemplate": format!("data('bench.m{at}', filter=filter('version', '${{scope}}') and filter('run', '{run}')).mean().publish()")}),
        content_type: "text/event-stream",
        answer: signalfx,
        curl: || {
            Curl::posting(
                "data('bench.m0', filter=filter('version', 'v1') and filter('run', '1000')).mean().publish()",
            )
        },
    },
    Kind {
        name: "stackdriver",
        accounts: |url| {
            vec![
                ("SERIN__KAYENTA__STACKDRIVER__ENABLED", "true".to_owned()),
                ("SERIN__KAYENTA__GOOGLE__ENABLED", "true".to_owned()),
                (
                    "SERIN__KAYENTA__GOOGLE__ACCOUNTS",
                    format!(
                        "[{{name: g, project: p, supportedTypes: [METRICS_STORE], endpoint: {{baseUrl: '{url}'}}}}]"
                    ),
                ),
            ]
        },
        query: |run, at| {
            json!({"type": "stackdriver", "metricType": format!("custom.googleapis.com/m{at}"), "resourceType": "global",
                "customInlineTemplate": format!("resource.labels.version=\"${{scope}}\" AND metric.labels.run=\"{run}\"")})
        },
        content_type: "application/json",
        answer: stackdriver,
        curl: || Curl::new(&[]),
    },
];

#[tokio::main]
async fn main() {
    println!(
        "| ten metrics from | which answers after | curl | serin's client, bare | POST to complete | of the floor |"
    );
    println!("|---|---|---|---|---|---|");
    for kind in &KINDS {
        for millis in [0, 20, 100] {
            measure(kind, Duration::from_millis(millis)).await;
        }
    }
}

async fn measure(kind: &Kind, delay: Duration) {
    let service = StandIn::start(kind, delay).await;
    let folder = tempfile::tempdir().expect("a folder");
    let directory = folder.path().display().to_string();
    let mut variables = (kind.accounts)(&service.url);
    variables.push(("SERIN__STORAGE__DIRECTORY", directory));
    let replica = Replica::start("http://127.0.0.1:9", &variables).await;
    let (wire, curl, http) = (Wire::to(&replica.url), (kind.curl)(), shared::client());
    let (mut floors, mut whole) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let asked_before = service.asked().len();
        let judged = wire.judge(&canary(kind, round).to_string()).await;
        let urls = service.asked().split_off(asked_before);
        assert_eq!(urls.len(), 2 * METRICS, "{}", kind.name);
        let floor = Floor {
            // Sends them over and over, so that no request waits for the last ones of a canary: that is no
            // floor where the wait is what counts.
            curl: if delay.is_zero() {
                curl.fetch(&urls, QUERIES_AT_ONCE)
            } else {
                f64::NAN
            },
            own_client: bare(&http, &urls, &curl).await,
        };
        // The first round warms connections and caches.
        if round > 0 {
            floors.push(floor);
            whole.push(judged);
        }
    }
    let (floor, whole) = (Floor::median(&floors), median(whole));
    let curl = if delay.is_zero() {
        millis(floor.curl)
    } else {
        "–".to_owned()
    };
    println!(
        "| {} | {} ms | {curl} | {} | {} | {:.2} × |",
        kind.name,
        delay.as_millis(),
        millis(floor.own_client),
        millis(whole),
        whole / floor.seconds()
    );
}

/// Seconds for the requests of one canary, as many at once as serin sends.
async fn bare(http: &reqwest::Client, urls: &[String], curl: &Curl) -> f64 {
    let start = Instant::now();
    stream::iter(urls)
        .map(|url| async move {
            let request = match curl.body() {
                Some(body) => http.post(url).body(body),
                None => http.get(url),
            };
            let answer = request.send().await.expect("an answer");
            assert!(!answer.bytes().await.expect("a body").is_empty());
        })
        .buffer_unordered(QUERIES_AT_ONCE)
        .collect::<Vec<()>>()
        .await;
    start.elapsed().as_secs_f64()
}

fn canary(kind: &Kind, round: u32) -> Value {
    let mut canary = shared::canary(round, METRICS);
    let metrics = canary["canaryConfig"]["metrics"].as_array_mut();
    for (at, metric) in metrics.expect("metrics").iter_mut().enumerate() {
        metric["query"] = (kind.query)(1_000 + round, at);
    }
    canary
}

/// Answers everything alike, and remembers what it was asked.
struct StandIn {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl StandIn {
    async fn start(kind: &Kind, delay: Duration) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let (base, seen) = (url.clone(), Arc::clone(&asked));
        let (content_type, body) = (kind.content_type, (kind.answer)());
        let answer = move |request: Request| {
            let target = request
                .uri()
                .path_and_query()
                .map_or("/", |target| target.as_str());
            seen.lock().expect("a list").push(format!("{base}{target}"));
            let answer = ([(CONTENT_TYPE, content_type)], body.clone());
            async move {
                if !delay.is_zero() {
                    tokio::time::sleep(delay).await;
                }
                answer.into_response()
            }
        };
        let router = Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("a list").clone()
    }
}

/// Epoch seconds and values, a minute apart.
fn points() -> impl Iterator<Item = (i64, i64)> {
    (0..POINTS).map(|at| (START_SECONDS + 60 * at, 100 + at % 7))
}

fn datadog() -> String {
    let points: Vec<Value> = points()
        .map(|(seconds, value)| json!([seconds * 1000, value]))
        .collect();
    let last = (START_SECONDS + 60 * POINTS) * 1000 - 1;
    json!({"status": "ok", "series": [{"start": START_SECONDS * 1000, "end": last, "interval": 60, "pointlist": points}]})
        .to_string()
}

fn signalfx() -> String {
    let events = points().map(|(seconds, value)| {
        let data =
            json!({"data": [{"tsId": "A", "value": value}], "logicalTimestampMs": seconds * 1000});
        format!("event: data\ndata: {data}\n\n")
    });
    events.collect::<String>() + "event: control-message\ndata: {\"event\": \"END_OF_CHANNEL\"}\n\n"
}

fn stackdriver() -> String {
    let time = |seconds: i64| {
        jiff::Timestamp::from_second(seconds)
            .expect("a time")
            .to_string()
    };
    let points = points().map(|(seconds, value)| {
        json!({"interval": {"startTime": time(seconds), "endTime": time(seconds)}, "value": {"doubleValue": value}})
    });
    let mut points: Vec<Value> = points.collect();
    points.reverse();
    json!({"timeSeries": [{"valueType": "DOUBLE", "points": points}]}).to_string()
}
