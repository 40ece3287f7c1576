//! The queries that Kayenta sent for the same metrics and scopes.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use serde_json::{Value, json};

use crate::prometheus_source::{Asking, account, config, source};
use crate::scripted_prometheus::{Reply, ScriptedPrometheus};

#[tokio::test]
async fn every_query_is_the_one_that_kayenta_sent() {
    let cases = include_str!("../golden/prometheus_queries.jsonl").lines();
    let mut count = 0;
    for case in cases {
        let case: Value = serde_json::from_str(case).unwrap();
        check(&case).await;
        count += 1;
    }
    assert_eq!(count, 30);
}

async fn check(case: &Value) {
    let name = &case["name"];
    let prometheus = ScriptedPrometheus::start(|_| Reply::matrix(&json!([]))).await;
    // Both sides of a case may be one query, and what the first one told would not be asked again.
    let mut settings = config(vec![("prometheus", account(&prometheus.url))]);
    settings.sources.prometheus.reuse.enabled = false;
    settings.sources.prometheus.raw_values = true;
    let source = source(&settings);
    let config = json!({"templates": case["templates"]});
    let mut messages = Vec::new();
    for side in ["controlScope", "experimentScope"] {
        let asking = Asking::of(&config, &case["metric"], &case["scopes"]["default"][side]);
        if let Err(error) = asking.fetch(&source).await {
            messages.push(error.to_string());
        }
    }

    let mut sent: Vec<Value> = prometheus
        .asked()
        .into_iter()
        .map(|asked| json!({"method": asked.method, "path": asked.path, "params": asked.params}))
        .collect();
    let mut expected = case["queries"].as_array().unwrap().clone();
    for query in &mut expected {
        query.as_object_mut().unwrap().shift_remove("promStatus");
    }
    // The two sides ran beside each other in Kayenta.
    for queries in [&mut sent, &mut expected] {
        queries.sort_by_key(|query| query["params"]["query"].to_string());
    }
    if name == "filter-nometricname" {
        // A template without a metric name is a whole query, which Kayenta always refuses.
        assert_eq!(messages, [""; 0], "{name}");
        return;
    }
    assert_eq!(sent, expected, "{name}");

    if expected.is_empty() {
        let message = case["exception"]["details"]["errors"][0].as_str().unwrap();
        assert_eq!(messages, [message, message], "{name}");
    } else {
        assert!(messages.is_empty(), "{name}: {messages:?}");
    }
}
