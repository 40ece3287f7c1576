//! Flows that were recorded with a Kayenta.

use axum::body::Bytes;
use axum::http::Method;
use serde_json::{Value, json};
use serin::storage::azure::AzureStore;
use serin::storage::objects::ObjectStore;

use super::{KEY, account, names};
use crate::executions::{config, series};
use crate::flows::{Flow, Ids, play};
use crate::front::{Fault, Front, fault};
use crate::harness::{Serin, service};
use crate::scripted_prometheus::ScriptedPrometheus;

const CONTAINER: &str = "kayenta";

/// A run that was archived before the recording began.
const EARLIER: &str = "01M7YG305ARK8ECTB8TPJXH2WJ";

const FLOW: Flow = Flow {
    service: "azure",
    account: "my-azure",
    heading: "## Recorded flows on Azure Blob Storage that serin answers differently",
    faults: faults_of,
    written,
    expected: |name, text| match name {
        "list-archive-empty" | "list-archive" => text.replacen("<execution-id>", EARLIER, 1),
        _ => text,
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn recorded_flows_are_answered_as_kayenta_did_or_as_documented() {
    let Some(behind) = service("SERIN_TEST_AZURE_URL") else {
        return;
    };
    what_the_recording_found(&behind).await;
    let (host, path) = behind.rsplit_once('/').unwrap();
    let (front, url) = Front::of(host).await;
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let azure = json!({
        "name": "my-azure", "storageAccountName": path, "accountAccessKey": KEY, "container": CONTAINER,
        "endpoint": {"baseUrl": format!("{url}/{path}")}, "timeout": "2s",
        "supportedTypes": ["OBJECT_STORE", "CONFIGURATION_STORE"],
    });
    let file = json!({"storage": {"replaceArchives": true}, "kayenta": {
        "azure": {"enabled": true, "accounts": [azure]}, "blobs": {"enabled": true},
    }});
    let serin = Serin::start_with(&prometheus.url, &[], Some(&file.to_string())).await;
    play(&FLOW, &serin, &front, async || {
        names(&behind, CONTAINER).await
    })
    .await;
}

/// A config and an archive.
async fn what_the_recording_found(behind: &str) {
    let store = AzureStore::open(&account(behind, CONTAINER)).unwrap();
    let mut checkout = config(&["latency"]);
    for (member, value) in [("id", "checkout"), ("name", "checkout")] {
        checkout[member] = value.into();
    }
    checkout["applications"] = json!(["checkout"]);
    let archive = include_bytes!(
        "../../golden/s3/kayenta__canary_archive__01M7YG305ARK8ECTB8TPJXH2WJ__canary_archive.json"
    );
    let objects = [
        (
            "canary_config/checkout/checkout.json".to_owned(),
            Bytes::from(checkout.to_string()),
        ),
        (
            format!("canary_archive/{EARLIER}/canary_archive.json"),
            Bytes::from_static(archive),
        ),
    ];
    for (key, body) in objects {
        store.put(&key, body).await.unwrap();
    }
}

/// serin asks for no container first, and for a blob without a list.
fn faults_of(case: &Value, ids: &Ids) -> Vec<Fault> {
    if !case["id"].as_str().unwrap().contains("/fault-") {
        return Vec::new();
    }
    let path = case["api"]["path"].as_str().unwrap();
    let upstream = case["upstream"].as_array().unwrap().iter();
    let failed = upstream.filter(|call| 400 <= call["reply"]["status"].as_u64().unwrap());
    let replaced = failed.filter(|call| call["request"]["method"] != "HEAD");
    let replaced = replaced.flat_map(|call| {
        let (request, reply) = (&call["request"], &call["reply"]);
        let method: Method = request["method"].as_str().unwrap().parse().unwrap();
        let place = request["path"].as_str().unwrap();
        // The id of what is stored is made anew.
        let folder = match place.split_once("<uuid") {
            Some((folder, _)) if method == Method::PUT => folder.to_owned(),
            _ => ids.live(path, place),
        };
        let place = format!("/devstoreaccount1{folder}");
        let status = u16::try_from(reply["status"].as_u64().unwrap()).unwrap();
        let body = reply["body"].as_str().unwrap();
        let below = format!("{place}/");
        let is_listing = method == Method::GET && request["path"] == "/kayenta";
        let below = is_listing.then(|| fault(method.clone(), &below, status, body));
        [Some(fault(method, &place, status, body)), below]
    });
    replaced.flatten().collect()
}

fn written(call: &Value) -> Option<String> {
    let request = &call["request"];
    let name = request["path"].as_str()?.strip_prefix("/kayenta/")?;
    (request["method"] == "PUT").then(|| name.to_owned())
}
