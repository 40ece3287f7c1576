//! Tokens of Google Cloud, from a stand-in for each of the services that give them.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod kept;
mod kinds;
mod machine;
mod told;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{AppendHeaders, IntoResponse, Response};
use axum::{Json, Router};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use serin::google::Tokens;
use tempfile::TempDir;

/// What a request asked for: its path, who asked, and its form or JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    path: String,
    bearer: String,
    members: BTreeMap<String, String>,
}

type Script = dyn Fn(&Asked, usize) -> (u16, Value) + Send + Sync;

#[derive(Clone)]
struct Desk {
    script: Arc<Script>,
    /// Whether everybody is refused from now on.
    refuses: Arc<AtomicBool>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// Google, and a folder for the files of those who ask it.
pub struct Google {
    pub url: String,
    desk: Desk,
    folder: TempDir,
}

impl Google {
    pub async fn start(
        script: impl Fn(&Asked, usize) -> (u16, Value) + Send + Sync + 'static,
    ) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let desk = Desk {
            script: Arc::new(script),
            refuses: Arc::default(),
            asked: Arc::default(),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(desk.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let folder = tempfile::tempdir().unwrap();
        Self { url, desk, folder }
    }

    pub fn refuse(&self) {
        self.desk.refuses.store(true, Ordering::SeqCst);
    }

    fn asked(&self) -> Vec<Asked> {
        self.desk.asked.lock().unwrap().clone()
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A file with credentials, opened.
    fn tokens(&self, credentials: &Value) -> Result<Tokens, String> {
        let file = self.write("credentials.json", credentials.to_string());
        Tokens::open(Some(&file), &BTreeMap::new())
    }

    /// An RSA key as Google hands it out, and the file of its other half.
    fn key(&self) -> (String, PathBuf) {
        let (key, public) = (
            self.folder.path().join("key.pem"),
            self.folder.path().join("public.pem"),
        );
        openssl(&["genpkey", "-algorithm", "RSA", "-out", shown(&key)]);
        openssl(&[
            "pkey",
            "-in",
            shown(&key),
            "-pubout",
            "-out",
            shown(&public),
        ]);
        (std::fs::read_to_string(key).unwrap(), public)
    }
}

/// A body that is said again and again.
pub fn endless(text: Bytes) -> Body {
    let again = futures::stream::unfold(text, |text| async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Some((Ok::<_, std::io::Error>(text.clone()), text))
    });
    Body::from_stream(again)
}

/// Of what is answered, the member `retryAfter` is its header, and `afterMillis` is how long it takes.
async fn answer(State(desk): State<Desk>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let bearer = parts.headers.get("authorization");
    let bearer = bearer.map_or("", |value| value.to_str().unwrap());
    let members = match serde_json::from_slice::<Value>(&body) {
        Ok(Value::Object(members)) => members
            .into_iter()
            .map(|(name, value)| (name, value.to_string()))
            .collect(),
        _ => url::form_urlencoded::parse(&body).into_owned().collect(),
    };
    let asked = Asked {
        path: parts.uri.path().to_owned(),
        bearer: bearer.to_owned(),
        members,
    };
    if desk.refuses.load(Ordering::SeqCst) {
        let refusal = Json(json!({"error": "invalid_grant"}));
        return (StatusCode::BAD_REQUEST, refusal).into_response();
    }
    if asked.path == "/endless" {
        return endless(vec![b' '; 64 << 10].into()).into_response();
    }
    let (status, body) = {
        let mut all = desk.asked.lock().unwrap();
        let answer = (desk.script)(&asked, all.len());
        all.push(asked);
        answer
    };
    let after = body["afterMillis"].as_u64().unwrap_or_default();
    tokio::time::sleep(Duration::from_millis(after)).await;
    let wait = body["retryAfter"].as_u64();
    let wait = wait.map(|seconds| AppendHeaders([("retry-after", seconds.to_string())]));
    let status = StatusCode::from_u16(status).unwrap();
    (status, wait, Json(body)).into_response()
}

fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn openssl(arguments: &[&str]) {
    let ended = Command::new("openssl").args(arguments).output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
}

pub fn token(bearer: &str) -> (u16, Value) {
    (
        200,
        json!({"access_token": bearer, "expires_in": 3600, "token_type": "Bearer"}),
    )
}

/// Somebody who is logged in with gcloud.
fn person(url: &str) -> Value {
    json!({
        "type": "authorized_user", "client_id": "id", "client_secret": "client-secret",
        "refresh_token": "refresh-token", "token_uri": url,
    })
}

async fn bearer(tokens: &Tokens) -> String {
    tokens.bearer().await.unwrap().expose_secret().to_owned()
}
