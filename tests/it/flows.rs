//! Flows on an object store that were recorded with a Kayenta, played against serin.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant};

use axum::http::Method;
use serde_json::{Value, json};

use crate::executions::adhoc;
use crate::front::{Fault, Front};
use crate::harness::{Serin, golden_lines};
use crate::replay::Documented;

/// The flow of one store.
pub struct Flow {
    /// Which service was recorded, and how its cases begin.
    pub service: &'static str,
    pub account: &'static str,
    /// Of the table with the differences.
    pub heading: &'static str,
    /// The replies that the recording replaced, for the requests that serin makes in their place.
    pub faults: fn(&Value, &Ids) -> Vec<Fault>,
    /// The names under which a call of Kayenta's stored something.
    pub written: fn(&Value) -> Option<String>,
    /// What the recording means by an id of its own, in the answer of that step.
    pub expected: fn(&str, String) -> String,
}

/// What stands for ids in the recording, and what they are here.
#[derive(Default)]
pub struct Ids(BTreeMap<&'static str, String>);

impl Ids {
    /// Which of the recording's ids are meant on a path.
    fn of(path: &str) -> (&'static str, &'static str) {
        match path {
            path if path.starts_with("/metricSetList") => ("sets", "<uuid-1>"),
            path if path.starts_with("/metricSetPairList") => ("pairs", "<uuid-1>"),
            _ => ("run", "<execution-id>"),
        }
    }

    pub fn live(&self, path: &str, text: &str) -> String {
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

/// Plays it, and looks after each step whether Kayenta's objects are there under the same names.
pub async fn play(flow: &Flow, serin: &Serin, front: &Front, keys: impl AsyncFn() -> Vec<String>) {
    let mut documented = Documented::below(flow.heading);
    let (mut ids, mut unexplained, mut same) = (Ids::default(), Vec::new(), 0);
    let cases = golden_lines(&format!("{}.jsonl.gz", flow.service));
    for case in &cases {
        let name = case["id"].as_str().unwrap();
        let name = name.rsplit('/').next().unwrap();
        let api = &case["api"];
        let path = api["path"].as_str().unwrap();
        front.fail((flow.faults)(case, &ids));
        let answer = match name {
            "whole-canary" => whole_canary(serin, flow.account, &mut ids).await,
            _ => send(serin, api, &mut ids).await,
        };
        front.fail(Vec::new());
        let expected = (flow.expected)(name, api["response"].to_string());
        let expected = ids.live(path, &expected);
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
        written_where_kayenta_writes(flow, case, &ids, &keys().await);
    }
    let service = flow.service;
    let told = format!(
        "\n{service}: {} recorded steps, {same} answered the same\n",
        cases.len()
    );
    let _ = std::io::stderr().write_all(told.as_bytes());
    assert!(unexplained.is_empty(), "{unexplained:#?}");
    let unused = documented.unused();
    assert!(unused.is_empty(), "no step needs {unused:#?}");
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
async fn whole_canary(serin: &Serin, account: &str, ids: &mut Ids) -> (u64, Value) {
    let path = format!("/canary?application=a&storageAccountName={account}");
    let canary = adhoc(&["m"]);
    let (status, started) = serin.client.post(&path, &canary).await;
    assert_eq!(status, 200, "{started}");
    let id = started["canaryExecutionId"].as_str().unwrap();
    ids.0.insert("run", id.to_owned());
    let began = Instant::now();
    loop {
        let found = format!("/canary/{id}?storageAccountName={account}");
        let (status, run) = serin.client.get(&found).await;
        assert!(
            status == 200 && began.elapsed() < Duration::from_secs(30),
            "{run}"
        );
        let archive = format!("/canaryResultArchive/{id}?storageAccountName={account}");
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
fn written_where_kayenta_writes(flow: &Flow, case: &Value, ids: &Ids, there: &[String]) {
    let name = case["id"].as_str().unwrap();
    // What is put over an archive, Kayenta stores beside it, and finds neither any more.
    let is_other = ["/whole-canary", "/put-archive"]
        .iter()
        .any(|end| name.ends_with(end));
    if name.contains("/fault-") || is_other {
        return;
    }
    let path = case["api"]["path"].as_str().unwrap();
    let calls = case["upstream"].as_array().unwrap().iter();
    for upload in calls.filter_map(flow.written) {
        let upload = ids.live(path, &upload);
        assert!(there.contains(&upload), "{name}: {upload} in {there:?}");
    }
}
