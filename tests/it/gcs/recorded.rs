//! Flows that were recorded with a Kayenta.

use axum::http::Method;
use serde_json::{Value, json};

use super::{BUCKET, keys};
use crate::executions::series;
use crate::flows::{Flow, Ids, play};
use crate::front::{Fault, Front, fault};
use crate::harness::{Serin, service};
use crate::scripted_prometheus::ScriptedPrometheus;

const FLOW: Flow = Flow {
    service: "gcs",
    account: "my-google",
    heading: "## Recorded flows on Cloud Storage that serin answers differently",
    faults: faults_of,
    written,
    expected: |_, text| text,
};

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
    let bucket = format!("{behind}/storage/v1/b/{BUCKET}");
    play(&FLOW, &serin, &front, async || keys(&bucket).await).await;
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

fn written(call: &Value) -> Option<String> {
    let body: Value = serde_json::from_str(call["request"]["body"].as_str()?).ok()?;
    Some(body.get("bucket").and(body["name"].as_str())?.to_owned())
}
