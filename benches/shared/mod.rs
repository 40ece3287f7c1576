//! A canary of the benchmarks, and its range queries without serin.

use serde_json::{Value, json};

const START: &str = "2024-06-01T01:00:00Z";
const END: &str = "2024-06-01T02:00:00Z";

/// Sends one query of the canary to Prometheus itself.
pub async fn ask(http: &reqwest::Client, prometheus: &str, query: &str) {
    let range = [
        ("query", query),
        ("start", START),
        ("end", END),
        ("step", "60"),
    ];
    let answer = http
        .get(format!("{prometheus}/api/v1/query_range"))
        .query(&range)
        .send();
    let body: Value = answer.await.expect("an answer").json().await.expect("JSON");
    assert_eq!(body["status"], "success");
}

/// The canary, its metrics under one template.
pub fn canary(metrics: usize, template: &str) -> Value {
    let metric = |index: usize| {
        json!({
            "name": format!("metric {index}"), "scopeName": "default", "groups": ["all"],
            "query": {"type": "prometheus", "metricName": format!("bench_{index:02}"), "customInlineTemplate": template},
        })
    };
    let scope = |version: &str| json!({"scope": version, "start": START, "end": END, "step": 60});
    json!({
        "canaryConfig": {
            "metrics": (0..metrics).map(metric).collect::<Vec<_>>(),
            "classifier": {"groupWeights": {"all": 100}},
        },
        "executionRequest": {
            "scopes": {"default": {"controlScope": scope("prod"), "experimentScope": scope("canary")}},
            "thresholds": {"pass": 95, "marginal": 75},
        },
    })
}
