//! The main job on real services: Prometheus with the recorded history, S3 or a folder.

use serde_json::{Value, json};
use serin::storage::objects::ObjectStore;
use serin::storage::s3::S3Store;

use crate::harness::{Serin, bucket_keys, golden_lines, service};
use crate::s3::account;

/// A recorded exchange by its number.
fn recorded(exchanges: &[Value], n: i64) -> &Value {
    exchanges
        .iter()
        .find(|exchange| exchange["n"] == n)
        .unwrap()
}

/// Plays the recorded flow of a stored config, and compares with what Kayenta answered.
async fn judge_the_recorded_flow(serin: &Serin) -> (String, String) {
    let exchanges = golden_lines("http.jsonl.gz");
    let client = &serin.client;
    let (status, stored) = client
        .post(
            "/canaryConfig",
            &recorded(&exchanges, 200)["request"]["body"],
        )
        .await;
    assert_eq!(
        (status, stored),
        (200, json!({"canaryConfigId": "flow-id"}))
    );
    let mut ids = (String::new(), String::new());
    for (submit, done) in [(201, 204), (205, 206), (207, 208)] {
        let body = &recorded(&exchanges, submit)["request"]["body"];
        let id = client
            .start_canary("/canary/flow-id?application=web", body)
            .await;
        let got = client.poll(&id).await;
        assert_eq!(got["status"], "succeeded", "{got}");
        let expected = &recorded(&exchanges, done)["response"]["body"];
        let (got_result, expected_result) = (
            &got["result"]["judgeResult"],
            &expected["result"]["judgeResult"],
        );
        assert_eq!(got_result["score"], expected_result["score"]);
        assert_eq!(
            by_name(&got_result["groupScores"]),
            by_name(&expected_result["groupScores"])
        );
        assert_eq!(
            by_name(&got_result["results"]),
            by_name(&expected_result["results"])
        );
        assert_eq!(
            got["result"]["canaryDuration"],
            expected["result"]["canaryDuration"]
        );
        assert_eq!(
            got["canaryExecutionRequest"],
            expected["canaryExecutionRequest"]
        );
        assert_eq!(got["stageStatus"], expected["stageStatus"]);
        ids = (id, got["metricSetPairListId"].as_str().unwrap().to_owned());
    }
    ids
}

/// Elements by name, without the ids, which are made anew, and without what Kayenta does not tell.
fn by_name(list: &Value) -> Vec<Value> {
    let mut list = list.as_array().unwrap().clone();
    list.sort_by_key(|element| element["name"].as_str().unwrap().to_owned());
    for element in &mut list {
        for member in ["id", "explanation"] {
            element.as_object_mut().unwrap().remove(member);
        }
    }
    list
}

#[tokio::test]
async fn a_folder_and_sqlite_hold_kayentas_verdict() {
    let Some(prometheus) = service("SERIN_TEST_PROMETHEUS_URL") else {
        return;
    };
    let serin = Serin::start(&prometheus).await;
    let (id, list) = judge_the_recorded_flow(&serin).await;
    let keys = bucket_keys(&serin.data().join("kayenta"));
    for key in [
        "canary_config/flow-id/flow.json".to_owned(),
        format!("canary_archive/{id}/canary_archive.json"),
        format!("metric_pairs/{list}/metric_set_pairs.json"),
    ] {
        assert!(keys.contains(&key), "{key} in {keys:?}");
    }
}

#[tokio::test]
async fn a_bucket_holds_kayentas_verdict() {
    let (Some(prometheus), Some(endpoint)) = (
        service("SERIN_TEST_PROMETHEUS_URL"),
        service("SERIN_TEST_S3_ENDPOINT"),
    ) else {
        return;
    };
    let key = |name| service(name).unwrap_or_default();
    let file = format!(
        "kayenta:\n  aws:\n    enabled: true\n    accounts:\n      - name: bucket\n        bucket: end-to-end\n        \
         endpoint: {endpoint}\n        accessKeyId: {}\n        secretAccessKey: {}\n        \
         supportedTypes: [OBJECT_STORE, CONFIGURATION_STORE]\n  s3:\n    enabled: true\n",
        key("SERIN_TEST_S3_ACCESS_KEY"),
        key("SERIN_TEST_S3_SECRET_KEY"),
    );
    let serin = Serin::start_with(&prometheus, &[], Some(&file)).await;
    let (id, list) = judge_the_recorded_flow(&serin).await;

    // Straight from the bucket, and the archive is written just after the end is told.
    let bucket = S3Store::new(account(&endpoint, "end-to-end"));
    let archive = format!("canary_archive/{id}/canary_archive.json");
    let mut archived = None;
    for _ in 0..100 {
        archived = bucket.get(&archive).await.unwrap();
        if archived.is_some() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let archived: Value = serde_json::from_slice(&archived.expect("an archive")).unwrap();
    assert_eq!(archived, serin.client.get(&format!("/canary/{id}")).await.1);
    let pairs = format!("metric_pairs/{list}/metric_set_pairs.json");
    assert!(bucket.get(&pairs).await.unwrap().is_some());
    assert!(
        bucket
            .get("canary_config/flow-id/flow.json")
            .await
            .unwrap()
            .is_some()
    );

    // An object put in from outside, as a Kayenta on the same bucket does it.
    let config = bucket
        .get("canary_config/flow-id/flow.json")
        .await
        .unwrap()
        .unwrap();
    let config = String::from_utf8(config.to_vec())
        .unwrap()
        .replace("flow-id", "outside");
    bucket
        .put("canary_config/outside/from-kayenta.json", config.into())
        .await
        .unwrap();
    assert_eq!(serin.client.get("/canaryConfig/outside").await.0, 200);
    serin.service.app.storage.reconcile("bucket").await.unwrap();
    let (_, listed) = serin.client.get("/canaryConfig?application=web").await;
    let names: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["name"].clone())
        .collect();
    assert_eq!(names, ["flow", "from-kayenta"]);
}
