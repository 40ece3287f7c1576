//! A small S3 server in the test, which fails by a script.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::response::Response;
use futures::stream;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;

/// Its clock counts in seconds, as Amazon's does, and stands still until a test moves it.
pub struct ScriptedS3 {
    pub url: String,
    desk: Arc<Desk>,
}

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub bucket: String,
    /// Empty for a request about the bucket.
    pub key: String,
    pub params: HashMap<String, String>,
    pub access_key: String,
    pub headers: HeaderMap,
    /// How many requests of this method for this key came before.
    pub earlier: usize,
}

/// What happens to a request.
#[derive(Clone, Debug)]
pub enum Fate {
    Serve,
    /// A status with S3's code.
    Refuse(u16, &'static str),
    /// Any answer at all.
    Answer(String),
    /// The connection ends before anything is done.
    Cut,
    /// It is done, and the connection ends all the same.
    CutAfter,
    /// Half of the body, then the connection ends.
    Half,
    /// Half of the body, then nothing for ever.
    Stall,
    /// Nothing for ever.
    Silence,
    /// The bucket is gone from now on.
    Vanish,
}

type Script = dyn Fn(&Asked) -> Fate + Send + Sync;
type Bucket = BTreeMap<String, (Bytes, u32)>;

struct Desk {
    script: Box<Script>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    buckets: HashMap<String, Bucket>,
    asked: Vec<Asked>,
    /// By method and key.
    counts: HashMap<(String, String), usize>,
    seconds: u32,
    page: usize,
}

impl ScriptedS3 {
    pub async fn start(script: impl Fn(&Asked) -> Fate + Send + Sync + 'static) -> Self {
        let desk = Arc::new(Desk {
            script: Box::new(script),
            state: Mutex::default(),
        });
        desk.state().page = 1000;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let served = Arc::clone(&desk);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let desk = Arc::clone(&served);
                let service = tower::service_fn(move |request: hyper::Request<_>| {
                    let desk = Arc::clone(&desk);
                    async move { answer(&desk, request.map(Body::new)).await }
                });
                // What ends in an error ends the connection, and that is all.
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
                tokio::spawn(connection);
            }
        });
        Self { url, desk }
    }

    /// Serves everything.
    pub async fn faithful() -> Self {
        Self::start(|_| Fate::Serve).await
    }

    /// Every request so far, in the order of arrival.
    pub fn asked(&self) -> Vec<Asked> {
        self.desk.state().asked.clone()
    }

    pub fn count(&self, method: &str, key_part: &str) -> usize {
        let asked = self.asked();
        let matching = |asked: &&Asked| asked.method == method && asked.key.contains(key_part);
        asked.iter().filter(matching).count()
    }

    pub fn create(&self, bucket: &str) {
        self.desk
            .state()
            .buckets
            .entry(bucket.to_owned())
            .or_default();
    }

    pub fn remove(&self, bucket: &str) {
        self.desk.state().buckets.remove(bucket);
    }

    pub fn put(&self, bucket: &str, key: &str, body: impl Into<Bytes>) {
        let mut state = self.desk.state();
        let seconds = state.seconds;
        let objects = state.buckets.entry(bucket.to_owned()).or_default();
        objects.insert(key.to_owned(), (body.into(), seconds));
    }

    pub fn keys(&self, bucket: &str) -> Vec<String> {
        let state = self.desk.state();
        state
            .buckets
            .get(bucket)
            .into_iter()
            .flat_map(BTreeMap::keys)
            .cloned()
            .collect()
    }

    pub fn object(&self, bucket: &str, key: &str) -> Option<Bytes> {
        let state = self.desk.state();
        state
            .buckets
            .get(bucket)?
            .get(key)
            .map(|(body, _)| body.clone())
    }

    pub fn tick(&self) {
        self.desk.state().seconds += 1;
    }

    /// How many objects a page of a listing has.
    pub fn set_page(&self, size: usize) {
        self.desk.state().page = size;
    }
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

async fn answer(desk: &Desk, request: Request) -> io::Result<Response> {
    let (asked, body) = read(desk, request).await;
    let fate = (desk.script)(&asked);
    desk.state().asked.push(asked.clone());
    match fate {
        Fate::Serve => Ok(serve(&mut desk.state(), &asked, body)),
        Fate::Refuse(status, code) => Ok(refusal(status, code)),
        Fate::Answer(text) => Ok(Response::new(Body::from(text))),
        Fate::Cut => Err(io::Error::other("cut")),
        Fate::CutAfter => {
            serve(&mut desk.state(), &asked, body);
            Err(io::Error::other("cut"))
        }
        Fate::Half => {
            let served = serve(&mut desk.state(), &asked, body);
            let cut = stream::once(async {
                // The head and the first half are on their way by then.
                tokio::time::sleep(Duration::from_millis(50)).await;
                Err(io::Error::other("cut"))
            });
            Ok(half(served, cut).await)
        }
        Fate::Stall => {
            let served = serve(&mut desk.state(), &asked, body);
            Ok(half(served, stream::pending()).await)
        }
        Fate::Silence => {
            tokio::time::sleep(Duration::from_hours(1)).await;
            Err(io::Error::other("silence"))
        }
        Fate::Vanish => {
            let mut state = desk.state();
            state.buckets.remove(&asked.bucket);
            Ok(serve(&mut state, &asked, body))
        }
    }
}

async fn read(desk: &Desk, request: Request) -> (Asked, Bytes) {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 26)
        .await
        .unwrap_or_default();
    let decoded = |text: &str| {
        // One nameless value of a form is decoded by the same rules, but for the plus sign.
        let form = format!("={}", text.replace('+', "%2B"));
        let value = url::form_urlencoded::parse(form.as_bytes()).next();
        value
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    };
    let path = parts.uri.path().trim_start_matches('/');
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let query = parts.uri.query().unwrap_or_default();
    let params = query.split('&').filter_map(|part| part.split_once('='));
    let credential = parts.headers.get("authorization").and_then(|value| {
        let (_, rest) = value.to_str().ok()?.split_once("Credential=")?;
        rest.split('/').next()
    });
    let (method, key) = (parts.method.to_string(), decoded(key));
    let earlier = {
        let mut state = desk.state();
        let count = state.counts.entry((method.clone(), key.clone()));
        let count = count.or_default();
        *count += 1;
        *count - 1
    };
    let asked = Asked {
        bucket: decoded(bucket),
        params: params
            .map(|(name, value)| (decoded(name), decoded(value)))
            .collect(),
        access_key: credential.unwrap_or_default().to_owned(),
        headers: parts.headers.clone(),
        method,
        key,
        earlier,
    };
    (asked, body)
}

fn serve(state: &mut State, asked: &Asked, body: Bytes) -> Response {
    let (seconds, page) = (state.seconds, state.page);
    if asked.key.is_empty() && asked.method == "PUT" {
        state.buckets.entry(asked.bucket.clone()).or_default();
        return Response::default();
    }
    let Some(objects) = state.buckets.get_mut(&asked.bucket) else {
        return refusal(404, "NoSuchBucket");
    };
    match (asked.method.as_str(), asked.key.as_str()) {
        ("GET", "") => listing(objects, asked, page),
        ("GET", key) => match objects.get(key) {
            Some((body, _)) => Response::new(Body::from(body.clone())),
            None => refusal(404, "NoSuchKey"),
        },
        ("PUT", key) => {
            let tag = tag(&body);
            objects.insert(key.to_owned(), (body, seconds));
            Response::builder()
                .header("etag", tag)
                .body(Body::empty())
                .unwrap()
        }
        ("DELETE", key) => {
            objects.remove(key);
            Response::builder().status(204).body(Body::empty()).unwrap()
        }
        _ => refusal(501, "NotImplemented"),
    }
}

fn listing(objects: &Bucket, asked: &Asked, page: usize) -> Response {
    let prefix = asked.params.get("prefix").cloned().unwrap_or_default();
    let after = asked
        .params
        .get("continuation-token")
        .cloned()
        .unwrap_or_default();
    let after = after.trim_start_matches("after ").to_owned();
    let mut found = objects
        .range(prefix.clone().max(after.clone())..)
        .filter(|(key, _)| key.starts_with(&prefix) && **key > after)
        .take(page + 1);
    let mut text = String::from("<ListBucketResult>");
    let mut last = String::new();
    for (key, (body, seconds)) in found.by_ref().take(page) {
        last = escaped(key);
        let (minutes, seconds) = (seconds / 60, seconds % 60);
        write!(
            text,
            "<Contents><Key>{last}</Key><LastModified>2026-01-01T00:{minutes:02}:{seconds:02}.000Z</LastModified>\
             <ETag>{}</ETag></Contents>",
            escaped(&tag(body)),
        )
        .unwrap();
    }
    match found.next() {
        // A token is any text at all, and must come back as it was.
        Some(_) => write!(
            text,
            "<IsTruncated>true</IsTruncated><NextContinuationToken>after {last}</NextContinuationToken>"
        )
        .unwrap(),
        None => text.push_str("<IsTruncated>false</IsTruncated>"),
    }
    text.push_str("</ListBucketResult>");
    Response::new(Body::from(text))
}

fn refusal(status: u16, code: &str) -> Response {
    let text = format!("<Error><Code>{code}</Code><Message>as the script says</Message></Error>");
    Response::builder()
        .status(status)
        .body(Body::from(text))
        .unwrap()
}

async fn half(
    response: Response,
    then: impl futures::Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> Response {
    use futures::StreamExt;
    let body = axum::body::to_bytes(response.into_body(), 1 << 26)
        .await
        .unwrap();
    let first = body.slice(..body.len() / 2);
    let stream = stream::iter([Ok(first)]).chain(then);
    let response = Response::builder().header("content-length", body.len());
    response.body(Body::from_stream(stream)).unwrap()
}

fn tag(body: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    format!("\"{:x}\"", hasher.finish())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}
