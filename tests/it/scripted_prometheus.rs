//! A Prometheus that answers by a script and remembers what it was asked.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use futures::stream;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Listens until it is dropped with the runtime of its test.
pub struct ScriptedPrometheus {
    pub url: String,
    desk: Arc<Desk>,
}

/// One request as it came; `params` are those of the query and of a form.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub params: BTreeMap<String, String>,
    pub headers: HeaderMap,
}

/// What is answered, and after how long.
pub struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    delay: Duration,
    breaks: bool,
}

type Script = dyn Fn(&Asked) -> Reply + Send + Sync;

struct Desk {
    script: Box<Script>,
    asked: Mutex<Vec<Asked>>,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
}

impl ScriptedPrometheus {
    pub async fn start(script: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let desk = Arc::new(Desk {
            script: Box::new(script),
            asked: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(desk.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, desk }
    }

    /// Gives one reply after the other, the last one for ever.
    pub async fn replying(replies: Vec<Reply>) -> Self {
        let next = AtomicUsize::new(0);
        Self::start(move |_| {
            let index = next.fetch_add(1, Ordering::SeqCst);
            replies[index.min(replies.len() - 1)].clone()
        })
        .await
    }

    /// Every request so far, in the order of arrival.
    pub fn asked(&self) -> Vec<Asked> {
        self.desk.asked.lock().unwrap().clone()
    }

    /// How many requests were being answered at the same time, at most.
    pub fn most_in_flight(&self) -> usize {
        self.desk.most_in_flight.load(Ordering::SeqCst)
    }
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Clone for Reply {
    fn clone(&self) -> Self {
        Self {
            headers: self.headers.clone(),
            body: self.body.clone(),
            ..*self
        }
    }
}

impl Reply {
    pub fn text(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            delay: Duration::ZERO,
            breaks: false,
        }
    }

    /// The answer to a range query: `[{"metric": {…}, "values": [[seconds, "value"], …]}, …]`.
    pub fn matrix(result: &Value) -> Self {
        let data = json!({"resultType": "matrix", "result": result});
        let body = json!({"status": "success", "data": data}).to_string();
        Self::text(200, body).with("content-type", "application/json")
    }

    /// The same answer with one member more.
    pub fn saying(mut self, pointer: &str, value: Value) -> Self {
        let mut body: Value = serde_json::from_slice(&self.body).unwrap();
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap()[member] = value;
        self.body = body.to_string().into_bytes();
        self
    }

    pub fn with(mut self, header: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((header, value.into()));
        self
    }

    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// The connection ends before the body does.
    pub fn breaking(mut self) -> Self {
        self.breaks = true;
        self
    }

    pub fn gzipped(mut self) -> Self {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&self.body).unwrap();
        self.body = gzip.finish().unwrap();
        self.with("content-encoding", "gzip")
    }

    fn into_response(self) -> Response {
        let mut response = Response::builder().status(StatusCode::from_u16(self.status).unwrap());
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        let body = if self.breaks {
            let broken = Err(std::io::Error::other("broken"));
            Body::from_stream(stream::iter([Ok(Bytes::from(self.body)), broken]))
        } else {
            Body::from(self.body)
        };
        response.body(body).unwrap()
    }
}

async fn answer(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let form = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let query = parts.uri.query().unwrap_or_default();
    let params = url::form_urlencoded::parse(query.as_bytes()).into_owned();
    let params = params.chain(url::form_urlencoded::parse(&form).into_owned());
    let asked = Asked {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        params: params.collect(),
        headers: parts.headers,
    };
    let reply = (desk.script)(&asked);
    desk.asked.lock().unwrap().push(asked);

    let in_flight = desk.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
    desk.most_in_flight.fetch_max(in_flight, Ordering::SeqCst);
    tokio::time::sleep(reply.delay).await;
    desk.in_flight.fetch_sub(1, Ordering::SeqCst);
    reply.into_response()
}
