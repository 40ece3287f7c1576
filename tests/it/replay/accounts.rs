//! The accounts of the recordings: one Prometheus behind paths that fail, a bucket, and memory.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serin::storage::objects::ObjectStore;
use serin::storage::s3::S3Store;
use tokio::net::TcpListener;

use crate::harness::service;
use crate::s3::account;

const BUCKET: &str = "kayenta-bucket";

struct Upstream {
    url: String,
    http: reqwest::Client,
}

/// Answers like that Prometheus, but below `/fail500` and its like.
pub async fn proxy(prometheus: &str) -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let upstream = Arc::new(Upstream {
        url: prometheus.to_owned(),
        http: reqwest::Client::builder().build().unwrap(),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer).with_state(upstream);
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

async fn answer(
    State(upstream): State<Arc<Upstream>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let failed = |status: StatusCode| (status, "sorry").into_response();
    match uri.path().split('/').nth(1) {
        Some("fail500") => return failed(StatusCode::INTERNAL_SERVER_ERROR),
        Some("fail429") => return failed(StatusCode::TOO_MANY_REQUESTS),
        Some("fail401") => return failed(StatusCode::UNAUTHORIZED),
        Some("badjson") => return "this is not JSON".into_response(),
        _ => {}
    }
    let mut asked = upstream
        .http
        .request(method, format!("{}{uri}", upstream.url))
        .body(body);
    if let Some(kind) = headers.get(header::CONTENT_TYPE) {
        asked = asked.header(header::CONTENT_TYPE, kind);
    }
    let told = asked.send().await.unwrap();
    Response::builder()
        .status(told.status())
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(told.bytes().await.unwrap()))
        .unwrap()
}

/// The configuration of the recordings. Memory stands first: it is the default store there.
pub async fn configuration(proxy: &str, s3: &str) -> String {
    // A port that was free a moment ago: nothing listens there.
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = closed.local_addr().unwrap();
    let secret = |name| service(name).unwrap_or_default();
    format!(
        "
kayenta:
  memory:
    enabled: true
    accounts:
      - name: in-memory-account
        supportedTypes: [OBJECT_STORE, CONFIGURATION_STORE]
  aws:
    enabled: true
    accounts:
      - name: my-s3-account
        bucket: {BUCKET}
        rootFolder: kayenta
        endpoint: {s3}
        accessKeyId: {}
        secretAccessKey: {}
        supportedTypes: [OBJECT_STORE, CONFIGURATION_STORE]
  s3:
    enabled: true
  prometheus:
    enabled: true
    accounts:
      - name: my-prometheus
        endpoint: {{ baseUrl: '{proxy}' }}
      - name: prom-auth
        endpoint: {{ baseUrl: '{proxy}' }}
        username: alice
        password: wonderland
      - name: prom-down
        endpoint: {{ baseUrl: 'http://{closed}' }}
      - name: prom-500
        endpoint: {{ baseUrl: '{proxy}/fail500' }}
      - name: prom-429
        endpoint: {{ baseUrl: '{proxy}/fail429' }}
      - name: prom-401
        endpoint: {{ baseUrl: '{proxy}/fail401' }}
      - name: prom-badjson
        endpoint: {{ baseUrl: '{proxy}/badjson' }}
  metrics:
    retry:
      attempts: 3
      backoffPeriodMultiplierMs: 200
",
        secret("SERIN_TEST_S3_ACCESS_KEY"),
        secret("SERIN_TEST_S3_SECRET_KEY"),
    )
}

/// What an earlier run on the same server has left would be listed.
pub async fn empty_bucket(s3: &str) {
    let bucket = S3Store::new(account(s3, BUCKET));
    for group in ["canary_config", "canary_archive", "metrics", "metric_pairs"] {
        for object in bucket.list(&format!("{group}/")).await.unwrap() {
            bucket.delete(&object.key).await.unwrap();
        }
    }
}
