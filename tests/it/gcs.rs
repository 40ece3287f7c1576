//! Cloud Storage: its store against a stand-in, and the flows that were recorded with a Kayenta.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Client;
use serde_json::{Value, json};
use serin::config::{GcsAccount, GoogleAccount};
use serin::error::Error;
use serin::storage::gcs::GcsStore;
use serin::storage::objects::ObjectStore;

use crate::executions::{adhoc, config, request, series};
use crate::google::{Google, token};
use crate::harness::{Serin, golden_lines, new_database, service};
use crate::replay::Documented;
use crate::scripted_prometheus::ScriptedPrometheus;

const HEADING: &str = "## Recorded flows on Cloud Storage that serin answers differently";
const BUCKET: &str = "my-kayenta-bucket";

/// An account on a bucket of its own.
pub fn account(url: &str, bucket: &str) -> GcsAccount {
    GcsAccount {
        google: GoogleAccount {
            project: Some("my-project".to_owned()),
            json_path: None,
            endpoint: Some(url.to_owned()),
        },
        bucket: bucket.to_owned(),
        bucket_location: None,
        root_folder: "kayenta".to_owned(),
        url: url.to_owned(),
        timeout: Duration::from_secs(45),
    }
}

fn client() -> Client {
    serin::http::client().build().unwrap()
}

/// Takes a bucket away, with all that is in it.
pub async fn remove(url: &str, bucket: &str) {
    let (client, bucket) = (client(), format!("{url}/storage/v1/b/{bucket}"));
    for name in keys(&bucket).await {
        let name = utf8_percent_encode(&name, NON_ALPHANUMERIC);
        let object = format!("{bucket}/o/{name}");
        client
            .delete(object)
            .send()
            .await
            .unwrap()
            .error_for_status()
            .unwrap();
    }
    client
        .delete(bucket)
        .send()
        .await
        .unwrap()
        .error_for_status()
        .unwrap();
}

/// The names of the objects in a bucket at that address.
async fn keys(bucket: &str) -> Vec<String> {
    let listed: Value = client()
        .get(format!("{bucket}/o"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let items = listed["items"].as_array().into_iter().flatten();
    items
        .map(|item| item["name"].as_str().unwrap().to_owned())
        .collect()
}

pub async fn create(url: &str, bucket: &str) {
    let asked = client()
        .post(format!("{url}/storage/v1/b"))
        .json(&json!({"name": bucket}));
    asked.send().await.unwrap().error_for_status().unwrap();
}

/// In front of Cloud Storage: fails as it is told to.
#[derive(Clone)]
struct Front {
    behind: String,
    client: Client,
    faults: Arc<Mutex<Vec<Fault>>>,
    /// What each request was sent with.
    bearers: Arc<Mutex<Vec<String>>>,
    /// Refused as one that is good no more.
    refused: Arc<Mutex<String>>,
}

/// What is answered instead, as long as it is there.
#[derive(Clone)]
struct Fault {
    method: Method,
    /// With a slash at its end, of all below it.
    path: String,
    status: u16,
    body: String,
    /// So many are answered so.
    times: usize,
}

impl Front {
    async fn of(behind: &str) -> (Self, String) {
        let front = Self {
            behind: behind.to_owned(),
            client: client(),
            faults: Arc::default(),
            bearers: Arc::default(),
            refused: Arc::default(),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(pass).with_state(front.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (front, url)
    }

    fn fail(&self, faults: Vec<Fault>) {
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
    if let Some(bearer) = headers.get("authorization") {
        let bearer = bearer.to_str().unwrap().to_owned();
        let is_refused = bearer == *front.refused.lock().unwrap();
        front.bearers.lock().unwrap().push(bearer);
        if is_refused {
            return StatusCode::UNAUTHORIZED.into_response();
        }
    }
    if let Some(fault) = front.fault_of(&method, uri.path()) {
        if fault.status == 0 {
            // Told to be longer than it is.
            let half = futures::stream::iter([Ok(Bytes::from(fault.body)), Err("it ends")]);
            return Body::from_stream(half).into_response();
        }
        let status = StatusCode::from_u16(fault.status).unwrap();
        return (status, fault.body).into_response();
    }
    let mut asked = front
        .client
        .request(method, format!("{}{uri}", front.behind))
        .body(body);
    for name in ["content-type", "range"] {
        if let Some(value) = headers.get(name) {
            asked = asked.header(name, value);
        }
    }
    let told = asked.send().await.unwrap();
    let status = told.status();
    (status, told.bytes().await.unwrap()).into_response()
}

fn fault(method: Method, path: &str, status: u16, body: &str) -> Fault {
    Fault {
        method,
        path: path.to_owned(),
        status,
        body: body.to_owned(),
        times: usize::MAX,
    }
}

#[tokio::test]
async fn a_listing_has_all_pages() {
    let Some(url) = service("SERIN_TEST_GCS_URL") else {
        return;
    };
    let store = GcsStore::open(&account(&url, "pages")).unwrap();
    let body = Bytes::from_static(b"[]");
    store
        .put("metrics/0000/m.json", body.clone())
        .await
        .unwrap();
    let puts = (1..1010).map(|index| {
        let (store, body) = (&store, body.clone());
        async move {
            store
                .put(&format!("metrics/{index:04}/m.json"), body)
                .await
                .unwrap()
        }
    });
    futures::stream::iter(puts)
        .buffer_unordered(16)
        .collect::<Vec<_>>()
        .await;
    assert_eq!(store.list("metrics/").await.unwrap().len(), 1010);
}

#[tokio::test]
async fn what_fails_for_a_moment_is_asked_again_and_what_is_refused_is_not() {
    let Some(behind) = service("SERIN_TEST_GCS_URL") else {
        return;
    };
    let (front, url) = Front::of(&behind).await;
    let key = "metrics/a/m.json";
    let hasty = GcsAccount {
        timeout: Duration::from_secs(2),
        ..account(&url, "faults")
    };
    let store = GcsStore::open(&hasty).unwrap();
    store.put(key, Bytes::from_static(b"[1]")).await.unwrap();

    let paths = [
        (Method::GET, "/storage/v1/b/faults/o/"),
        (Method::GET, "/storage/v1/b/faults/o"),
        (Method::POST, "/upload/storage/v1/b/faults/o"),
        (Method::DELETE, "/storage/v1/b/faults/o/"),
    ];
    let all = |status: u16, times: usize| {
        let faults = paths.clone().map(|(method, path)| Fault {
            times,
            ..fault(
                method,
                path,
                status,
                "{\"error\": {\"message\": \"in its own words\"}}",
            )
        });
        faults.to_vec()
    };
    let ask = async || {
        [
            store.get(key).await.map(|_| ()),
            store.list("metrics/").await.map(|_| ()),
            store.put(key, Bytes::from_static(b"[1]")).await.map(|_| ()),
            store.delete("metrics/none/m.json").await,
        ]
    };
    for status in [429, 500, 503, 0] {
        front.fail(all(status, 2));
        for done in ask().await {
            done.unwrap();
        }
    }
    front.fail(all(503, usize::MAX));
    for done in ask().await {
        assert!(
            matches!(&done, Err(Error::Unavailable(told)) if told.contains("'faults'")),
            "{done:?}"
        );
    }
    front.fail(all(403, 1));
    for done in ask().await {
        let error = done.unwrap_err();
        let told = error.to_string();
        assert!(matches!(error, Error::Storage { .. }), "{error:?}");
        assert!(told.contains("403 Forbidden: in its own words"), "{told}");
    }
}

#[tokio::test]
async fn requests_carry_a_token_and_another_one_when_it_is_refused() {
    let Some(behind) = service("SERIN_TEST_GCS_URL") else {
        return;
    };
    let (front, url) = Front::of(&behind).await;
    "Bearer token-0".clone_into(&mut front.refused.lock().unwrap());
    let google = Google::start(|_, earlier| token(&format!("token-{earlier}"))).await;
    let person = json!({
        "type": "authorized_user", "client_id": "id", "client_secret": "s", "refresh_token": "r",
        "token_uri": google.url,
    });
    let mut account = account(&url, "tokens");
    account.google.json_path = Some(google.write("person.json", person.to_string()));
    let store = GcsStore::open(&account).unwrap();
    assert_eq!(store.list("g/").await.unwrap(), []);
    assert_eq!(
        *front.bearers.lock().unwrap(),
        ["Bearer token-0", "Bearer token-1"]
    );

    // One that is refused again is not asked for a third time.
    "Bearer token-1".clone_into(&mut front.refused.lock().unwrap());
    google.refuse();
    let error = store.list("g/").await.unwrap_err();
    assert!(matches!(error, Error::Storage { .. }), "{error:?}");
    assert!(
        error.to_string().contains("there is no token for it"),
        "{error}"
    );
}

#[tokio::test]
async fn an_object_that_is_too_large_is_not_read() {
    let Some(url) = service("SERIN_TEST_GCS_URL") else {
        return;
    };
    let store = GcsStore::open(&account(&url, "large")).unwrap().reading(4);
    for (body, fits) in [(&b"1234"[..], true), (b"12345", false)] {
        store
            .put("g/a/a.json", Bytes::from_static(body))
            .await
            .unwrap();
        let read = store.get("g/a/a.json").await;
        assert_eq!(read.is_ok(), fits, "{read:?}");
    }
}

#[tokio::test]
async fn an_account_is_told_as_kayenta_tells_it_and_is_down_while_nobody_answers() {
    let google = json!({
        "name": "my-google", "project": "my-project", "bucket": BUCKET, "bucketLocation": "us-central1",
        "endpoint": {"baseUrl": "http://127.0.0.1:9"}, "timeout": "1s",
        "supportedTypes": ["METRICS_STORE", "OBJECT_STORE", "CONFIGURATION_STORE"],
    });
    let file = json!({"kayenta": {
        "google": {"enabled": true, "accounts": [google]},
        "gcs": {"enabled": true}, "stackdriver": {"enabled": true},
    }});
    let serin = Serin::start_with("", &[], Some(&file.to_string())).await;
    let (_, credentials) = serin.client.get("/credentials").await;
    let expected = json!([{
        "name": "my-google", "type": "google", "project": "my-project", "bucket": BUCKET,
        "bucketLocation": "us-central1", "rootFolder": "kayenta", "metricsStoreType": "stackdriver",
        "supportedTypes": ["METRICS_STORE", "OBJECT_STORE", "CONFIGURATION_STORE"],
        "locations": [], "recommendedLocations": [],
    }]);
    assert_eq!(credentials, expected);
    let (status, health) = serin.client.get("/health").await;
    let found = &health["components"]["storage"]["details"]["my-google"];
    assert_eq!(
        (status, &found["status"]),
        (503, &json!("DOWN")),
        "{health}"
    );
    let told = found["error"].as_str().unwrap();
    assert!(
        told.contains(BUCKET) && told.contains("Connection refused"),
        "{told}"
    );
}

/// What stands for ids in the recording, and what they are here.
#[derive(Default)]
struct Ids(BTreeMap<&'static str, String>);

impl Ids {
    /// Which of the recording's ids are meant on a path.
    fn of(path: &str) -> (&'static str, &'static str) {
        match path {
            path if path.starts_with("/metricSetList") => ("sets", "<uuid-1>"),
            path if path.starts_with("/metricSetPairList") => ("pairs", "<uuid-1>"),
            _ => ("run", "<execution-id>"),
        }
    }

    fn live(&self, path: &str, text: &str) -> String {
        let (what, stands) = Self::of(path);
        match self.0.get(what) {
            Some(id) => text.replace(stands, id),
            None => text.to_owned(),
        }
    }

    fn learn(&mut self, path: &str, answer: &Value) {
        let members = ["metricSetListId", "metricSetPairListId"];
        if !path.starts_with("/metricSet") {
            return;
        }
        if let Some(id) = members.iter().find_map(|member| answer[member].as_str()) {
            self.0.insert(Self::of(path).0, id.to_owned());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_flows_are_answered_as_kayenta_did_or_as_documented() {
    let Some(behind) = service("SERIN_TEST_GCS_URL") else {
        return;
    };
    let (front, url) = Front::of(&behind).await;
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let google = json!({
        "name": "my-google", "project": "my-project", "bucket": BUCKET, "bucketLocation": "us-central1",
        "rootFolder": "kayenta", "endpoint": {"baseUrl": url}, "timeout": "2s",
        "supportedTypes": ["METRICS_STORE", "OBJECT_STORE", "CONFIGURATION_STORE"],
    });
    let file = json!({"storage": {"replaceArchives": true}, "kayenta": {
        "google": {"enabled": true, "accounts": [google]},
        "gcs": {"enabled": true}, "stackdriver": {"enabled": true},
    }});
    let serin = Serin::start_with(&prometheus.url, &[], Some(&file.to_string())).await;

    let mut documented = Documented::below(HEADING);
    let (mut ids, mut unexplained, mut same) = (Ids::default(), Vec::new(), 0);
    let cases = golden_lines("gcs.jsonl.gz");
    for case in &cases {
        let name = case["id"]
            .as_str()
            .unwrap()
            .trim_start_matches("gcs/store/");
        let api = &case["api"];
        let path = api["path"].as_str().unwrap();
        front.fail(faults_of(case, &ids));
        let answer = match name {
            "whole-canary" => whole_canary(&serin, &mut ids).await,
            _ => send(&serin, api, &mut ids).await,
        };
        front.fail(Vec::new());
        let expected = ids.live(path, &api["response"].to_string());
        let mut expected: Value = timeless(serde_json::from_str(&expected).unwrap());
        if name == "load-archive" {
            // Of a source that serin does not have.
            expected = json!({"pipelineId": expected["pipelineId"], "application": "a", "status": "succeeded"});
        }
        let expected = (api["status"].as_u64().unwrap(), expected);
        let differences = differences(&expected, &answer);
        if differences.is_empty() {
            same += 1;
        }
        for difference in differences {
            if !documented.explains(name, &difference) {
                unexplained.push(format!("{name}: {difference}\n{expected:?}\n{answer:?}"));
            }
        }
        written_where_kayenta_writes(case, &behind, &ids).await;
    }
    let told = format!(
        "\ngcs: {} recorded steps, {same} answered the same\n",
        cases.len()
    );
    let _ = std::io::stderr().write_all(told.as_bytes());
    assert!(unexplained.is_empty(), "{unexplained:#?}");
    let unused = documented.unused();
    assert!(unused.is_empty(), "no step needs {unused:#?}");
}

/// The replies that the recording replaced, for the requests that serin makes in their place: it
/// uploads with one request, and asks for no bucket first.
fn faults_of(case: &Value, ids: &Ids) -> Vec<Fault> {
    if !case["id"].as_str().unwrap().contains("/fault-") {
        return Vec::new();
    }
    let path = case["api"]["path"].as_str().unwrap();
    let upstream = case["upstream"].as_array().unwrap();
    let objects = format!("/storage/v1/b/{BUCKET}/o");
    let pages = case["id"].as_str().unwrap().ends_with("-pages");
    let failed = upstream.iter().filter(|call| {
        let is_page = pages && call["request"]["path"] == objects;
        400 <= call["reply"]["status"].as_u64().unwrap() || is_page
    });
    let replaced = failed.map(|call| {
        let (request, reply) = (&call["request"], &call["reply"]);
        let method = match request["method"].as_str().unwrap() {
            "PUT" => Method::POST,
            method => method.parse().unwrap(),
        };
        let place = ids.live(path, request["path"].as_str().unwrap());
        let status = u16::try_from(reply["status"].as_u64().unwrap()).unwrap();
        let body = reply["body"].as_str().unwrap();
        Fault {
            times: if pages { 1 } else { usize::MAX },
            ..fault(method, &place, status, body)
        }
    });
    let mut faults: Vec<Fault> = replaced.collect();
    let bucket = format!("/storage/v1/b/{BUCKET}");
    faults.retain(|fault| fault.path != bucket);
    // Asked for an object, it lists nothing first.
    let listing = faults.iter().find(|fault| fault.path == objects).cloned();
    faults.extend(listing.map(|listing| Fault {
        path: format!("{objects}/"),
        ..listing
    }));
    faults
}

async fn send(serin: &Serin, api: &Value, ids: &mut Ids) -> (u64, Value) {
    let path = api["path"].as_str().unwrap();
    let method: Method = api["method"].as_str().unwrap().parse().unwrap();
    let url = format!("{}{}", serin.client.url, ids.live(path, path));
    let mut asked = serin.client.http.request(method, url);
    if !api["body"].is_null() {
        asked = asked.json(&api["body"]);
    }
    let answer = asked.send().await.unwrap();
    let status = answer.status().as_u16().into();
    let text = answer.text().await.unwrap();
    let answer = serde_json::from_str(&text).unwrap_or(Value::String(text));
    ids.learn(path, &answer);
    (status, timeless(answer))
}

/// The same on a source that serin has.
async fn whole_canary(serin: &Serin, ids: &mut Ids) -> (u64, Value) {
    let path = "/canary?application=a&storageAccountName=my-google";
    let canary = adhoc(&["m"]);
    let (status, started) = serin.client.post(path, &canary).await;
    assert_eq!(status, 200, "{started}");
    let id = started["canaryExecutionId"].as_str().unwrap();
    ids.0.insert("run", id.to_owned());
    let began = Instant::now();
    loop {
        let found = format!("/canary/{id}?storageAccountName=my-google");
        let (status, run) = serin.client.get(&found).await;
        assert!(
            status == 200 && began.elapsed() < Duration::from_secs(30),
            "{run}"
        );
        let archive = format!("/canaryResultArchive/{id}?storageAccountName=my-google");
        if run["complete"] == true && serin.client.get(&archive).await.0 == 200 {
            let exception = run.get("exception").cloned().unwrap_or_default();
            let ended = json!({"status": run["status"], "complete": true, "exception": exception});
            return (200, ended);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Without what tells when it was.
fn timeless(mut value: Value) -> Value {
    fn walk(value: &mut Value) {
        match value {
            Value::Object(members) => {
                members.retain(|name, _| {
                    !name.ends_with("Timestamp") && !name.ends_with("TimestampIso")
                });
                members.values_mut().for_each(walk);
            }
            Value::Array(items) => items.iter_mut().for_each(walk),
            _ => {}
        }
    }
    walk(&mut value);
    value
}

/// `status 404 503`, `message`, `$`: what is not as it was.
fn differences(expected: &(u64, Value), answer: &(u64, Value)) -> Vec<String> {
    let mut differences = Vec::new();
    if expected.0 != answer.0 {
        differences.push(format!("status {} {}", expected.0, answer.0));
    }
    let is_told = |value: &Value| value["message"].is_string();
    if is_told(&expected.1) && is_told(&answer.1) {
        if expected.1["message"] != answer.1["message"] {
            differences.push("message".to_owned());
        }
    } else if !is_within(&expected.1, &answer.1) {
        differences.push("$".to_owned());
    }
    differences
}

/// Members that Kayenta does not have are no difference.
fn is_within(expected: &Value, answer: &Value) -> bool {
    match (expected, answer) {
        (Value::Object(expected), Value::Object(answer)) => expected.iter().all(|(name, value)| {
            answer
                .get(name)
                .is_some_and(|other| is_within(value, other))
        }),
        (Value::Array(expected), Value::Array(answer)) => {
            expected.len() == answer.len()
                && expected
                    .iter()
                    .zip(answer)
                    .all(|(one, other)| is_within(one, other))
        }
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (one, other) => one == other,
    }
}

/// Every object that Kayenta stored is there under the same name.
async fn written_where_kayenta_writes(case: &Value, behind: &str, ids: &Ids) {
    let name = case["id"].as_str().unwrap();
    // What is put over an archive, Kayenta stores beside it, and finds neither any more.
    let is_other = ["/whole-canary", "/put-archive"]
        .iter()
        .any(|end| name.ends_with(end));
    if name.contains("/fault-") || is_other {
        return;
    }
    let path = case["api"]["path"].as_str().unwrap();
    let uploads = case["upstream"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|call| {
            let body: Value = serde_json::from_str(call["request"]["body"].as_str()?).ok()?;
            Some(ids.live(path, body.get("bucket").and(body["name"].as_str())?))
        });
    let bucket = format!("{behind}/storage/v1/b/{BUCKET}");
    let there = keys(&bucket).await;
    for upload in uploads {
        assert!(there.contains(&upload), "{name}: {upload} in {there:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_on_one_bucket_answer_for_each_other_and_outlast_one_another() {
    let Some(url) = service("SERIN_TEST_GCS_URL") else {
        return;
    };
    let Some(database) = new_database().await else {
        return;
    };
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let google = json!({
        "name": "bucket", "project": "p", "bucket": "fleet", "endpoint": {"baseUrl": url},
        "supportedTypes": ["OBJECT_STORE", "CONFIGURATION_STORE"],
    });
    let file = json!({"kayenta": {
        "google": {"enabled": true, "accounts": [google]}, "gcs": {"enabled": true},
    }});
    let start = async || {
        let keys = [("database.url", database.as_str())];
        Serin::start_with(&prometheus.url, &keys, Some(&file.to_string())).await
    };
    let (one, two) = tokio::join!(start(), start());
    let mut stored = config(&["latency"]);
    stored["id"] = "checkout".into();
    stored["name"] = "checkout".into();
    stored["applications"] = json!(["web"]);
    assert_eq!(one.client.post("/canaryConfig", &stored).await.0, 200);
    let (status, read) = two.client.get("/canaryConfig/checkout").await;
    assert_eq!((status, &read["name"]), (200, &json!("checkout")));

    let (status, started) = two
        .client
        .post("/canary/checkout?application=web", &request())
        .await;
    assert_eq!(status, 200, "{started}");
    let id = started["canaryExecutionId"].as_str().unwrap();
    let (_, ended) = one.client.get(&format!("/canary/{id}?wait=30s")).await;
    assert_eq!(ended["status"], "succeeded", "{ended}");
    let bucket = format!("{url}/storage/v1/b/fleet");
    let archived = format!("kayenta/canary_archive/{id}/canary_archive.json");
    let began = Instant::now();
    while !keys(&bucket).await.contains(&archived) {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "it is not archived"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    // A third that knows neither replica nor database finds all of it in the bucket.
    two.service.stop().await;
    let three = Serin::start_with(&prometheus.url, &[], Some(&file.to_string())).await;
    for (client, what) in [(&one.client, "one"), (&three.client, "three")] {
        let (status, archive) = client.get(&format!("/canaryResultArchive/{id}")).await;
        assert_eq!(
            (status, &archive["status"]),
            (200, &json!("succeeded")),
            "{what}"
        );
        let (_, configs) = client.get("/canaryConfig?application=web").await;
        assert_eq!(configs[0]["id"], "checkout", "{what}: {configs}");
    }
}
