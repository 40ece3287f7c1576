//! Stand-ins for APISIX's Admin API and for the API server of Kubernetes: they keep documents, merge
//! what a PATCH brings, and remember every request.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Json;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(40);

/// The key of the Admin API, and the token of the API server.
pub const KEY: &str = "the right key";

/// One request, and how it was answered.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: String,
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
    /// 0: not at all.
    pub status: u16,
}

impl Call {
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }
}

/// What is answered instead; 0 is no answer at all.
type Script = dyn Fn(&Call, usize) -> Option<u16> + Send + Sync;

struct Desk {
    script: Box<Script>,
    calls: Mutex<Vec<Call>>,
    documents: Mutex<BTreeMap<String, Value>>,
    /// Every state that a document had.
    history: Mutex<Vec<(String, Value)>>,
}

#[derive(Clone)]
pub struct Gateway {
    /// `127.0.0.1:1234`
    pub host: String,
    desk: Arc<Desk>,
}

impl Gateway {
    pub async fn start() -> Self {
        Self::failing(|_, _| None).await
    }

    /// With a script of failures, from a request and the number of those before it.
    pub async fn failing(
        script: impl Fn(&Call, usize) -> Option<u16> + Send + Sync + 'static,
    ) -> Self {
        let desk = Arc::new(Desk {
            script: Box::new(script),
            calls: Mutex::default(),
            documents: Mutex::default(),
            history: Mutex::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&desk));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { host, desk }
    }

    pub fn put(&self, path: &str, document: Value) {
        let mut documents = self.desk.documents.lock().unwrap();
        documents.insert(path.to_owned(), document);
    }

    pub fn document(&self, path: &str) -> Value {
        self.desk.documents.lock().unwrap()[path].clone()
    }

    pub fn calls(&self) -> Vec<Call> {
        self.desk.calls.lock().unwrap().clone()
    }

    /// What a place in a document was set to, one after the other.
    pub fn set(&self, path: &str, pointer: &str) -> Vec<Value> {
        let history = self.desk.history.lock().unwrap();
        let states = history.iter().filter(|(of, _)| of == path);
        let values = states.map(|(_, state)| state.pointer(pointer).cloned().unwrap_or_default());
        values.collect()
    }

    /// Once it is so.
    pub async fn until(&self, is_so: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !is_so(self) {
            assert!(start.elapsed() < PATIENCE, "{:#?}", self.calls());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn answer(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 10 << 20).await.unwrap();
    let mut call = Call {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        headers: head.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
        status: 0,
    };
    let (status, answer) = {
        let mut calls = desk.calls.lock().unwrap();
        let (status, answer) = match (desk.script)(&call, calls.len()) {
            Some(status) => (status, json!({"error_msg": "as the script says"})),
            None => decide(&desk, &call),
        };
        call.status = status;
        calls.push(call);
        (status, answer)
    };
    match status {
        0 => std::future::pending().await,
        status => (StatusCode::from_u16(status).unwrap(), Json(answer)).into_response(),
    }
}

fn decide(desk: &Desk, call: &Call) -> (u16, Value) {
    let is_apisix = call.path.starts_with("/apisix/admin/");
    if is_apisix && call.header("x-api-key") != KEY {
        let told = json!({"description": "wrong apikey", "error_msg": "failed to check token"});
        return (401, told);
    }
    if !is_apisix && call.header("authorization") != format!("Bearer {KEY}") {
        return (
            401,
            json!({"kind": "Status", "message": "Unauthorized", "code": 401}),
        );
    }
    let Ok(given) = serde_json::from_str::<Value>(&call.body) else {
        return (400, json!({"error_msg": "invalid request body"}));
    };
    let mut documents = desk.documents.lock().unwrap();
    let state = match (call.method.as_str(), documents.get(&call.path)) {
        ("PUT", _) => given,
        ("PATCH", None) => return (404, json!({"message": "Key not found"})),
        ("PATCH", Some(_))
            if !is_apisix && call.header("content-type") != "application/merge-patch+json" =>
        {
            return (
                415,
                json!({"kind": "Status", "reason": "UnsupportedMediaType", "code": 415}),
            );
        }
        ("PATCH", Some(before)) => {
            let mut state = before.clone();
            merge(&mut state, &given);
            state
        }
        _ => return (404, json!({})),
    };
    if let Some(wrong) = wrong_split(&state).or_else(|| wrong_annotation(&state)) {
        return (400, json!({"error_msg": wrong}));
    }
    documents.insert(call.path.clone(), state.clone());
    desk.history
        .lock()
        .unwrap()
        .push((call.path.clone(), state.clone()));
    let key = call.path.trim_start_matches("/apisix/admin");
    let answer = if is_apisix {
        json!({"key": format!("/apisix{key}"), "value": state})
    } else {
        state
    };
    (200, answer)
}

/// RFC 7386, as both merge.
fn merge(document: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *document = patch.clone();
        return;
    };
    if !document.is_object() {
        *document = json!({});
    }
    let members = document.as_object_mut().unwrap();
    for (name, value) in patch {
        if value.is_null() {
            members.remove(name);
        } else {
            merge(members.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

/// What the schema of the plugin `traffic-split` refuses.
fn wrong_split(state: &Value) -> Option<String> {
    let rules = state.pointer("/plugins/traffic-split/rules")?;
    let upstreams = rules.as_array().into_iter().flatten().flat_map(|rule| {
        rule["weighted_upstreams"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    });
    let mut wrong = upstreams.filter(|one| one["weight"].as_u64().is_none());
    let found = !rules.is_array() || wrong.next().is_some();
    found.then(|| "failed to check the configuration of plugin traffic-split".to_owned())
}

/// Annotations are texts.
fn wrong_annotation(state: &Value) -> Option<String> {
    let annotations = state.pointer("/metadata/annotations")?.as_object()?;
    let mut wrong = annotations.values().filter(|value| !value.is_string());
    wrong
        .next()
        .map(|value| format!("cannot unmarshal {value} into a string"))
}
