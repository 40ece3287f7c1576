//! What stands in front of a store that is asked over HTTP, and fails as it is told to.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{AppendHeaders, IntoResponse, Response};
use reqwest::Client;

use crate::google::endless;

/// In front of a store.
#[derive(Clone)]
pub struct Front {
    behind: String,
    client: Client,
    faults: Arc<Mutex<Vec<Fault>>>,
    /// What each request was sent with.
    pub bearers: Arc<Mutex<Vec<String>>>,
    /// Refused as one that is good no more.
    pub refused: Arc<Mutex<String>>,
    /// How many objects a page of a listing has, and how many pages were asked for.
    pub pages: Arc<Mutex<(Option<usize>, usize)>>,
    /// When each request came.
    pub came: Arc<Mutex<Vec<Instant>>>,
}

/// What is answered instead, as long as it is there.
#[derive(Clone)]
pub struct Fault {
    pub method: Method,
    /// With a slash at its end, of all below it.
    pub path: String,
    pub status: u16,
    pub body: String,
    /// So many are answered so.
    pub times: usize,
    /// So long after the request.
    pub after: Duration,
    /// In seconds.
    pub retry_after: Option<u64>,
    /// When the server says that it is.
    pub date: Option<String>,
    /// Whether the body is said again and again.
    pub is_endless: bool,
}

impl Front {
    pub async fn of(behind: &str) -> (Self, String) {
        let front = Self {
            behind: behind.to_owned(),
            client: serin::http::client().build().unwrap(),
            faults: Arc::default(),
            bearers: Arc::default(),
            refused: Arc::default(),
            pages: Arc::default(),
            came: Arc::default(),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(pass).with_state(front.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (front, url)
    }

    pub fn fail(&self, faults: Vec<Fault>) {
        *self.faults.lock().unwrap() = faults;
    }

    fn fault_of(&self, method: &Method, path: &str) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap();
        let fault = faults.iter_mut().find(|fault| {
            let is_below = fault.path.ends_with('/') && path.starts_with(&fault.path);
            let is_meant = fault.path == path || is_below;
            fault.method == *method && is_meant && 0 < fault.times
        })?;
        fault.times -= 1;
        Some(fault.clone())
    }
}

async fn pass(
    State(front): State<Front>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    front.came.lock().unwrap().push(Instant::now());
    // As the clouds do.
    if method == Method::PUT && !headers.contains_key("content-length") {
        return StatusCode::LENGTH_REQUIRED.into_response();
    }
    if let Some(bearer) = headers.get("authorization") {
        let bearer = bearer.to_str().unwrap().to_owned();
        let is_refused = bearer == *front.refused.lock().unwrap();
        front.bearers.lock().unwrap().push(bearer);
        if is_refused {
            return StatusCode::UNAUTHORIZED.into_response();
        }
    }
    if let Some(fault) = front.fault_of(&method, uri.path()) {
        tokio::time::sleep(fault.after).await;
        if fault.status == 0 {
            // Told to be longer than it is.
            let half = futures::stream::iter([Ok(Bytes::from(fault.body)), Err("it ends")]);
            return Body::from_stream(half).into_response();
        }
        let status = StatusCode::from_u16(fault.status).unwrap();
        let wait = fault.retry_after;
        let wait = wait.map(|seconds| AppendHeaders([("retry-after", seconds.to_string())]));
        let date = fault.date.map(|date| AppendHeaders([("date", date)]));
        let body = if fault.is_endless {
            endless(fault.body.into())
        } else {
            fault.body.into()
        };
        return (status, wait, date, body).into_response();
    }
    let mut url = format!("{}{uri}", front.behind);
    if method == Method::GET && uri.path().ends_with("/o") {
        let (size, asked) = &mut *front.pages.lock().unwrap();
        *asked += 1;
        url.extend(size.map(|size| format!("&maxResults={size}")));
    }
    let asked = front.client.request(method, url).body(body);
    let told = asked.headers(passed_on(&headers)).send().await.unwrap();
    let (status, headers) = (told.status(), passed_on(told.headers()));
    (status, headers, told.bytes().await.unwrap()).into_response()
}

/// Without what belongs to one connection.
fn passed_on(headers: &HeaderMap) -> HeaderMap {
    let of_connection = [
        "host",
        "content-length",
        "connection",
        "keep-alive",
        "transfer-encoding",
    ];
    let mut headers = headers.clone();
    for name in of_connection {
        headers.remove(name);
    }
    headers
}

pub fn fault(method: Method, path: &str, status: u16, body: &str) -> Fault {
    Fault {
        method,
        path: path.to_owned(),
        status,
        body: body.to_owned(),
        times: usize::MAX,
        after: Duration::ZERO,
        retry_after: None,
        date: None,
        is_endless: false,
    }
}
