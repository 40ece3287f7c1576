//! Whole services on a bucket.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{BUCKET, keys};
use crate::executions::{config, request, series};
use crate::harness::{Serin, new_database, service};
use crate::scripted_prometheus::ScriptedPrometheus;

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
