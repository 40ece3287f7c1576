//! A proxy that speaks HTTP, in front of Prometheus and of the store: it answers wrongly on
//! purpose, knows which replica asks, and can keep one waiting.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, RETRY_AFTER, TRANSFER_ENCODING};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::stream;
use tokio::net::TcpListener;

use crate::random::Random;

/// How answers are wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Status(u16),
    Slow,
    /// The connection ends in the middle of the body.
    Truncated,
    /// Half of the body, as if it were the whole.
    Partial,
    NotJson,
    /// It is done, and an error is told.
    DoneButFailed,
}

impl Mood {
    pub fn name(self) -> String {
        match self {
            Self::Status(status) => format!("status {status}"),
            Self::Slow => "slow".to_owned(),
            Self::Truncated => "truncated".to_owned(),
            Self::Partial => "partial".to_owned(),
            Self::NotJson => "not JSON".to_owned(),
            Self::DoneButFailed => "done but failed".to_owned(),
        }
    }
}

/// Who asked a query that was marked, and when.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub replica: usize,
    pub at: Instant,
}

pub struct Middleman {
    pub address: String,
    upstream: String,
    http: reqwest::Client,
    random: Mutex<Random>,
    mood: Mutex<Option<Mood>>,
    marked: Mutex<HashMap<String, Vec<Asked>>>,
    /// Who asked for a poison, and when.
    poisoned: Mutex<Vec<(usize, Instant)>>,
}

impl Middleman {
    pub async fn start(
        http: reqwest::Client,
        upstream: String,
        random: Random,
    ) -> anyhow::Result<Arc<Self>> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let middleman = Arc::new(Self {
            address: listener.local_addr()?.to_string(),
            upstream,
            http,
            random: Mutex::new(random),
            mood: Mutex::default(),
            marked: Mutex::default(),
            poisoned: Mutex::default(),
        });
        let router = Router::new().fallback(answer).with_state(middleman.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(middleman)
    }

    pub fn set(&self, mood: Option<Mood>) {
        *self.mood.lock().unwrap() = mood;
    }

    /// Every time a query with this mark was asked.
    pub fn asked(&self, mark: &str) -> Vec<Asked> {
        let marked = self.marked.lock().unwrap();
        marked.get(mark).cloned().unwrap_or_default()
    }

    /// One of those that asked for a poison.
    pub fn poisoned(&self) -> Option<(usize, Instant)> {
        self.poisoned.lock().unwrap().pop()
    }

    /// Notes a marked query. Whether it must wait: who asked first is kept waiting.
    fn note(&self, mark: String, replica: usize) -> bool {
        let mut marked = self.marked.lock().unwrap();
        let asked = marked.entry(mark).or_default();
        asked.push(Asked {
            replica,
            at: Instant::now(),
        });
        asked[0].replica == replica
    }

    /// Four of five answers are wrong while there is a mood, so that some retries get through.
    fn mood_of_one(&self) -> Option<Mood> {
        let mood = *self.mood.lock().unwrap();
        mood.filter(|_| self.random.lock().unwrap().percent(80))
    }
}

/// The text between `takeover!="`, or another such name, and the next quote, in a query or a form.
fn mark(text: &str, name: &str) -> Option<String> {
    let decoded: String = url::form_urlencoded::parse(text.as_bytes())
        .map(|(_, value)| value.into_owned())
        .collect();
    let (_, rest) = decoded.split_once(&format!("{name}!=\""))?;
    Some(rest.split('"').next()?.to_owned())
}

async fn answer(State(middleman): State<Arc<Middleman>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, 64 << 20).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let mut path = parts.uri.path().to_owned();
    let query = parts.uri.query().unwrap_or_default();
    // `/replica-2/api/v1/…`; a path that is signed cannot have it.
    if let Some((replica, rest)) = path
        .strip_prefix("/replica-")
        .and_then(|path| path.split_once('/'))
    {
        let replica = replica.parse().unwrap_or(0);
        let text = format!("{query}&{}", String::from_utf8_lossy(&body));
        if mark(&text, "poison").is_some() {
            let asked = (replica, Instant::now());
            middleman.poisoned.lock().unwrap().push(asked);
            tokio::time::sleep(Duration::from_mins(1)).await;
        }
        if let Some(mark) = mark(&text, "takeover")
            && middleman.note(mark, replica)
        {
            tokio::time::sleep(Duration::from_mins(1)).await;
        }
        path = format!("/{rest}");
    }

    let mood = middleman.mood_of_one();
    match mood {
        Some(Mood::Status(status)) => return wrong(status),
        Some(Mood::Slow) => tokio::time::sleep(Duration::from_secs(3)).await,
        Some(Mood::NotJson) => return "<html>Under maintenance</html>".into_response(),
        _ => {}
    }
    let mut headers = parts.headers;
    headers.remove(CONTENT_LENGTH);
    headers.remove(TRANSFER_ENCODING);
    let url = format!("{}{path}?{query}", middleman.upstream);
    let url = url.trim_end_matches('?');
    // The name of the host is part of what is signed, and stays.
    let sent = middleman
        .http
        .request(parts.method, url)
        .headers(headers)
        .body(body);
    let Ok(response) = sent.send().await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let (status, headers) = (response.status(), response.headers().clone());
    let Ok(body) = response.bytes().await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    match mood {
        Some(Mood::DoneButFailed) => wrong(500),
        Some(Mood::Truncated) => {
            let half = body.slice(..body.len() / 2);
            let broken = Err(std::io::Error::other("broken on purpose"));
            let body = Body::from_stream(stream::iter([Ok::<Bytes, _>(half), broken]));
            with(status, headers, body)
        }
        Some(Mood::Partial) => with(status, headers, Body::from(body.slice(..body.len() / 2))),
        _ => with(status, headers, Body::from(body)),
    }
}

fn wrong(status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    let mut response = (status, "wrong on purpose").into_response();
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(RETRY_AFTER, 1.into());
    }
    response
}

fn with(status: StatusCode, mut headers: HeaderMap, body: Body) -> Response {
    headers.remove(CONTENT_LENGTH);
    headers.remove(TRANSFER_ENCODING);
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
