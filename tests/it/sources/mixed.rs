//! One canary whose metrics come from several sources.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use serin::canary::iso_from_millis;

use super::{START, datadog, signalfx, stackdriver, values};
use crate::harness::Serin;
use crate::scripted_prometheus::{Reply as PrometheusReply, ScriptedPrometheus};
use crate::stand_in::StandIn;

/// One of each kind.
fn accounts(prometheus: &str, urls: &[String]) -> String {
    let types = "supportedTypes: [METRICS_STORE]";
    format!(
        "kayenta:\n  prometheus: {{enabled: true, accounts: [{{name: p, endpoint: {{baseUrl: '{}'}}}}]}}\n  \
         datadog: {{enabled: true, accounts: [{{name: d, apiKey: k, applicationKey: k, endpoint: {{baseUrl: '{}'}}}}]}}\n  \
         signalfx: {{enabled: true, accounts: [{{name: s, accessToken: t, defaultScopeKey: version, endpoint: {{baseUrl: '{}'}}}}]}}\n  \
         google: {{enabled: true, accounts: [{{name: g, project: p, {types}, endpoint: {{baseUrl: '{}'}}}}]}}\n  \
         stackdriver: {{enabled: true}}\n  \
         memory: {{enabled: true, accounts: [{{name: m, supportedTypes: [OBJECT_STORE, CONFIGURATION_STORE]}}]}}\n",
        prometheus, urls[0], urls[1], urls[2]
    )
}

fn queries() -> [(&'static str, Value); 4] {
    [
        (
            "of prometheus",
            json!({"type": "prometheus", "customInlineTemplate": "PromQL:m{version=\"${scope}\"}"}),
        ),
        (
            "of datadog",
            json!({"type": "datadog", "metricName": "avg:m"}),
        ),
        (
            "of signalfx",
            json!({"type": "signalfx", "metricName": "m"}),
        ),
        (
            "of stackdriver",
            json!({
                "type": "stackdriver", "metricType": "m", "resourceType": "x", "customInlineTemplate": "v=\"${scope}\"",
            }),
        ),
    ]
}

fn canary(queries: &[(&str, Value)]) -> Value {
    let metric = |name: &str, query: Value| {
        json!({
            "name": name, "query": query, "groups": ["g"], "scopeName": "default",
            "analysisConfigurations": {"canary": {"direction": "increase"}},
        })
    };
    let metrics: Vec<Value> = queries
        .iter()
        .map(|(name, query)| metric(name, query.clone()))
        .collect();
    let scope = |scope: &str| {
        let end = iso_from_millis((START + 60 * 30) * 1000);
        json!({"scope": scope, "start": iso_from_millis(START * 1000), "end": end, "step": 60})
    };
    json!({
        "canaryConfig": {"name": "mixed", "applications": ["a"], "metrics": metrics,
            "classifier": {"groupWeights": {"g": 100}}},
        "executionRequest": {
            "scopes": {"default": {"controlScope": scope("v1"), "experimentScope": scope("v2")}},
            "thresholds": {"pass": 95, "marginal": 75},
        },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn one_canary_mixes_sources() {
    let prometheus = ScriptedPrometheus::start(|asked| {
        let side = if asked.params["query"].contains("v2") {
            "v2"
        } else {
            "v1"
        };
        let values = values(side).into_iter().zip(0_i64..);
        let values: Vec<Value> = values
            .map(|(value, at)| json!([START + 60 * at, value.to_string()]))
            .collect();
        PrometheusReply::matrix(&json!([{"metric": {}, "values": values}]))
    })
    .await;
    let mut urls = Vec::new();
    for answer in [datadog, signalfx, stackdriver] {
        let stand_in = StandIn::start().await;
        stand_in.answer(move |asked| {
            let is_new = format!("{:?}{}", asked.query, asked.body).contains("v2");
            answer(&values(if is_new { "v2" } else { "v1" }))
        });
        urls.push(stand_in.url);
    }
    let yml = accounts(&prometheus.url, &urls);
    let serin = Serin::start_with("", &[], Some(&yml)).await;
    let queries = queries();
    let body = canary(&queries);
    let client = &serin.client;
    let id = client.start_canary("/canary", &body).await;
    let document = client.poll(&id).await;
    assert_eq!(document["status"], "succeeded", "{document}");
    let results = &document["result"]["judgeResult"]["results"];
    let labels: Vec<_> = results
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["classification"])
        .collect();
    assert_eq!(labels, ["High"; 4], "{results}");
    let (_, pipeline) = client.get(&format!("/pipelines/{id}")).await;
    let stages = pipeline["stages"].as_array().unwrap().iter();
    let tasks: BTreeSet<_> = stages
        .map(|stage| stage["type"].as_str().unwrap())
        .collect();
    for (name, query) in &queries {
        let task = format!("{}Fetch", query["type"].as_str().unwrap());
        assert!(tasks.contains(task.as_str()), "{tasks:?}");
        for page in [
            format!("/ui/runs/{id}"),
            format!("/ui/runs/{id}/report.html"),
        ] {
            let (status, page) = client.get(&page).await;
            assert!(
                status == 200 && page.as_str().unwrap().contains(name),
                "{name}: {page}"
            );
        }
    }

    // What is named answers nothing of the config; what nobody answers.
    let mut of_one = body.clone();
    of_one["canaryConfig"]["metrics"]
        .as_array_mut()
        .unwrap()
        .truncate(1);
    let (status, told) = client.post("/canary?metricsAccountName=d", &of_one).await;
    assert_eq!(status, 400, "{told}");
    let told = told["message"].as_str().unwrap();
    assert!(
        told.contains("'d'") && told.contains("'p' (prometheus)"),
        "{told}"
    );
    serin.service.stop().await;
}
