//! A disk that is nearly full: nothing new is put there, and what is there goes on.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::executions::{adhoc, config, series};
use crate::harness::{Serin, answer};
use crate::scripted_prometheus::ScriptedPrometheus;

/// More than any disk has.
const ALL: &str = "1000000GiB";

async fn start(prometheus: &str, folder: &Path, min_free: &str) -> Serin {
    let folder = folder.to_str().unwrap();
    let keys = [
        ("storage.directory", folder),
        ("storage.minFree", min_free),
        ("server.shutdownGrace", "0s"),
    ];
    Serin::start_with(prometheus, &keys, None).await
}

#[tokio::test]
async fn a_disk_that_is_nearly_full_takes_nothing_new_and_ends_what_was_accepted() {
    let slow = Duration::from_secs(2);
    let prometheus = ScriptedPrometheus::start(move |_| series(1.0).after(slow)).await;
    let folder = tempfile::tempdir().unwrap();
    let serin = start(&prometheus.url, folder.path(), "0").await;
    let named = json!({"name": "kept", "applications": ["web"], "metrics": config(&["a"])["metrics"],
        "classifier": {"groupWeights": {}}});
    let (status, stored) = serin.client.post("/canaryConfig", &named).await;
    assert_eq!(status, 200, "{stored}");
    let stored = stored["canaryConfigId"].as_str().unwrap().to_owned();
    let sets = serin.client.post("/metricSetList", &json!([])).await.1;
    let sets = sets["metricSetListId"].as_str().unwrap().to_owned();
    let accepted = serin.client.start_canary("/canary", &adhoc(&["a"])).await;
    serin.service.stop().await;

    let serin = start(&prometheus.url, folder.path(), ALL).await;
    let client = &serin.client;
    let request = adhoc(&["a"]);
    let fetch = "/fetch/prometheus/query?metricSetName=a&metricName=a&step=60&customFilter=PromQL:a\
                 &start=2024-06-01T01:00:00Z&end=2024-06-01T01:05:00Z";
    let refused: [(&str, &str, &Value); 8] = [
        ("POST", "/canary", &request),
        (
            "POST",
            &format!("/canary/{stored}"),
            &request["executionRequest"],
        ),
        (
            "POST",
            "/canaryConfig",
            &json!({"name": "other", "applications": ["web"], "metrics": []}),
        ),
        ("PUT", &format!("/canaryConfig/{stored}"), &named),
        ("POST", "/metricSetList", &json!([])),
        ("POST", "/metricSetPairList", &json!([])),
        (
            "POST",
            "/canaryResultArchive",
            &json!({"application": "web"}),
        ),
        ("POST", fetch, &Value::Null),
    ];
    for (method, path, body) in refused {
        let method = method.parse().unwrap();
        let asked = client.http.request(method, format!("{}{path}", client.url));
        let refused = asked.json(body).send().await.unwrap();
        assert_eq!(refused.status(), 503, "{path}");
        assert_eq!(refused.headers()["retry-after"], "2", "{path}");
        let told: Value = refused.json().await.unwrap();
        let told = told["message"].as_str().unwrap();
        assert!(
            told.contains("the disk of the database is nearly full"),
            "{path}: {told}"
        );
        assert!(told.contains("storage.minFree"), "{path}: {told}");
    }

    let (status, health) = client.get("/health").await;
    assert_eq!(status, 200, "{health}");
    let disk = &health["components"]["disk"];
    assert_eq!(disk["status"], "DOWN", "{health}");
    for name in ["database", "local"] {
        assert_eq!(disk["details"][name]["status"], "DOWN", "{health}");
    }
    for path in ["/health/readiness", &format!("/canaryConfig/{stored}")] {
        assert_eq!(client.get(path).await.0, 200, "{path}");
    }
    let done = client.poll(&accepted).await;
    assert_eq!(done["status"], "succeeded", "{done}");
    for path in [
        format!("/metricSetList/{sets}"),
        format!("/canaryConfig/{stored}"),
    ] {
        let deleted = answer(client.http.delete(format!("{}{path}", client.url))).await;
        assert_eq!(deleted.0, 204, "{path}: {}", deleted.1);
    }
}
