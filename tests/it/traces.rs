//! Traces, as a collector of the test receives them: a request, its execution and its queries.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::net::TcpListener;

use crate::crash::{Process, free_port};
use crate::executions::{adhoc, series};
use crate::scripted_prometheus::ScriptedPrometheus;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";
const SECRET: &str = "hunter2-of-the-test";

/// What it received.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

impl Collector {
    /// It, and where it listens.
    async fn start() -> (Self, String) {
        let collector = Self::default();
        let spans = Arc::clone(&collector.0);
        let take = async move |body: Bytes| {
            let told = ExportTraceServiceRequest::decode(body).unwrap();
            let scopes = told
                .resource_spans
                .into_iter()
                .flat_map(|it| it.scope_spans);
            spans.lock().unwrap().extend(scopes.flat_map(|it| it.spans));
        };
        let routes = Router::new().route("/v1/traces", post(take));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, routes).await.unwrap() });
        (collector, url)
    }

    /// Spans of the test's trace, once there are so many.
    async fn spans(&self, wanted: usize) -> Vec<Span> {
        let start = Instant::now();
        loop {
            let all = self.0.lock().unwrap().clone();
            let is_ours = |span: &Span| hex(&span.trace_id) == TRACE;
            let ours: Vec<_> = all.into_iter().filter(is_ours).collect();
            if wanted <= ours.len() {
                return ours;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "{ours:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

fn attributes(span: &Span) -> BTreeMap<&str, String> {
    let all = span.attributes.iter();
    let texts = all.map(|it| {
        let value = it.value.as_ref().and_then(|value| value.value.as_ref());
        let text = match value.unwrap() {
            Any::StringValue(text) => text.clone(),
            Any::IntValue(number) => number.to_string(),
            Any::DoubleValue(number) => number.to_string(),
            other => format!("{other:?}"),
        };
        (it.key.as_str(), text)
    });
    texts.collect()
}

async fn serin(folder: &Path, prometheus: &str, collector: &str) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_serin"));
    command
        .args(["serve", "--prometheus", prometheus])
        .env("NO_COLOR", "1")
        .env("SERIN__STORAGE__DIRECTORY", folder.join("data"))
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector)
        .env("OTEL_BSP_SCHEDULE_DELAY", "100");
    let log = File::create(folder.join("log")).unwrap();
    Process::spawn_with_log(command, free_port(), log.into()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_receives_request_execution_and_queries_of_one_trace() {
    let (collector, url) = Collector::start().await;
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let folder = tempfile::tempdir().unwrap();
    let with_password = prometheus
        .url
        .replace("http://", &format!("http://serin:{SECRET}@"));
    let serin = serin(folder.path(), &with_password, &url).await;
    let start = format!("{}/canary?application=traced", serin.client.url);
    let answer = serin
        .client
        .http
        .post(start)
        .header("traceparent", format!("00-{TRACE}-{CALLER}-01"))
        .header("authorization", format!("Bearer {SECRET}"))
        .json(&adhoc(&["latency"]));
    let answer: serde_json::Value = answer.send().await.unwrap().json().await.unwrap();
    let id = answer["canaryExecutionId"].as_str().unwrap();
    let done = serin.client.poll(id).await;

    let spans = collector.spans(4).await;
    assert_eq!(spans.len(), 4, "{spans:#?}");
    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let (request, execution) = (named("POST /canary"), named("canary"));
    assert_eq!(hex(&request.parent_span_id), CALLER);
    assert_eq!(attributes(request)["http.response.status_code"], "200");
    assert_eq!(execution.parent_span_id, request.span_id);
    let accepted_by = format!("00-{TRACE}-{}-01", hex(&request.span_id));
    assert_eq!(done["traceparent"], accepted_by);
    for (name, expected) in [
        ("serin.execution.id", id),
        ("serin.application", "traced"),
        ("serin.outcome", "pass"),
        ("serin.score", "100"),
    ] {
        assert_eq!(attributes(execution)[name], expected, "{name}");
    }

    let queries: Vec<_> = spans.iter().filter(|span| span.name == "query").collect();
    let sides: Vec<_> = queries
        .iter()
        .map(|query| attributes(query)["serin.side"].clone())
        .collect();
    assert_eq!(queries.len(), 2, "{sides:?}");
    assert!(
        ["control", "experiment"]
            .iter()
            .all(|it| sides.iter().any(|side| side == it))
    );
    for query in &queries {
        assert_eq!(query.parent_span_id, execution.span_id);
        let told = attributes(query);
        assert_eq!(told["serin.source"], "prometheus");
        assert_eq!(told["serin.metric"], "latency");
        assert!(0 < told["serin.points"].parse::<u64>().unwrap(), "{told:?}");
        assert!(query.start_time_unix_nano < query.end_time_unix_nano);
    }
    // Equal queries are one request.
    let asked = prometheus.asked();
    let sent_on: Vec<_> = asked
        .iter()
        .filter_map(|asked| asked.header("traceparent"))
        .collect();
    assert!(!sent_on.is_empty(), "{asked:?}");
    let of_query = |query: &&Span| format!("00-{TRACE}-{}-01", hex(&query.span_id));
    let of_queries: Vec<_> = queries.iter().map(of_query).collect();
    for traceparent in sent_on {
        let is_ours = of_queries.iter().any(|ours| ours == traceparent);
        assert!(is_ours, "{traceparent} in {of_queries:?}");
    }
    let all = format!("{:?}", collector.0.lock().unwrap());
    assert!(!all.contains(SECRET), "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_costs_nothing_and_is_told_once() {
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let folder = tempfile::tempdir().unwrap();
    let mut serin = serin(folder.path(), &prometheus.url, "http://127.0.0.1:1").await;
    for _ in 0..3 {
        let id = serin
            .client
            .start_canary("/canary", &adhoc(&["latency"]))
            .await;
        let done = serin.client.poll(&id).await;
        assert_eq!(done["status"], "succeeded");
        // More than one batch.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let ended = serin.terminate(Duration::from_secs(10)).await;
    assert!(ended.success(), "{ended}");
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    let told = log.matches("the collector of traces takes none").count();
    assert_eq!(told, 1, "{log}");
    assert!(!log.contains("serin::traces:"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_collector_nothing_is_sent_on() {
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let folder = tempfile::tempdir().unwrap();
    let serin = serin(folder.path(), &prometheus.url, "").await;
    let id = serin
        .client
        .start_canary("/canary", &adhoc(&["latency"]))
        .await;
    let done = serin.client.poll(&id).await;
    assert_eq!(done.get("traceparent"), None);
    let asked = prometheus.asked();
    assert!(
        asked
            .iter()
            .all(|asked| asked.header("traceparent").is_none()),
        "{asked:?}"
    );
}
