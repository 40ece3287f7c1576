//! Flows that were recorded with a Kayenta.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant};

use axum::http::Method;
use serde_json::{Value, json};

use super::front::{Fault, Front, fault};
use super::{BUCKET, keys};
use crate::executions::{adhoc, series};
use crate::harness::{Serin, golden_lines, service};
use crate::replay::Documented;
use crate::scripted_prometheus::ScriptedPrometheus;

const HEADING: &str = "## Recorded flows on Cloud Storage that serin answers differently";

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
