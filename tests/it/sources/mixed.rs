//! One canary whose metrics come from several sources.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use serin::canary::iso_from_millis;

use super::{START, datadog, signalfx, stackdriver, values};
use crate::command::text;
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

/// `serin run` with one word for each source, and nothing else but the keys.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_in_a_pipeline_needs_one_word_for_each_source() {
    let mut sources = Vec::new();
    for answer in [datadog, signalfx, stackdriver] {
        let stand_in = StandIn::start().await;
        stand_in.answer(move |asked| {
            let is_new = format!("{:?}{}", asked.query, asked.body).contains("v2");
            answer(&values(if is_new { "v2" } else { "v1" }))
        });
        sources.push(stand_in);
    }
    let google = format!("{}/my-project", sources[2].url);
    let cases = [
        ("--datadog", sources[0].url.as_str(), 1),
        ("--signalfx", &sources[1].url, 2),
        ("--google", &google, 3),
    ];
    let folder = tempfile::tempdir().unwrap();
    let queries = queries();
    let run = |flag: &str, word: &str, more: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_serin"));
        command
            .args(["run", flag, word, "--control", "v1", "--experiment", "v2"])
            .args(["--start", &iso_from_millis(START * 1000)])
            .args(["--end", &iso_from_millis((START + 60 * 30) * 1000)])
            .args(["--param", "_scope_key=version"])
            .args(more)
            .envs([
                ("DD_API_KEY", "k"),
                ("DD_APP_KEY", "a"),
                ("SFX_AUTH_TOKEN", "t"),
            ])
            .env_remove("SERIN_CONFIG")
            .env_remove("GITHUB_STEP_SUMMARY");
        let ended = tokio::task::block_in_place(|| command.output().unwrap());
        let told = format!("{}{}", text(&ended.stdout), text(&ended.stderr));
        (ended.status.code(), told)
    };
    for (flag, word, query) in cases {
        let file = folder.path().join("config.json");
        let config = canary(&queries[query..=query])["canaryConfig"].to_string();
        std::fs::write(&file, config).unwrap();
        let file = file.display().to_string();
        // All rose from 3 to 13.
        let (code, told) = run(flag, word, &["--canary-config", &file]);
        assert_eq!(code, Some(1), "{flag}: {told}");
        assert!(told.contains(queries[query].0), "{flag}: {told}");
    }
    let key = |at: usize, name: &str| sources[at].asked()[0].headers.get(name).cloned();
    assert_eq!(key(0, "dd-application-key").as_deref(), Some("a"));
    assert_eq!(key(1, "x-sf-token").as_deref(), Some("t"));
    assert_eq!(
        sources[2].asked()[0].path,
        "/v3/projects/my-project/timeSeries"
    );

    // A metric by itself is a whole query, where the language has such.
    let program = "m=data('m', filter=filter('version', '${scope}')).mean().publish()";
    let (code, told) = run("--signalfx", &sources[1].url, &["--metric", program]);
    assert_eq!(code, Some(1), "{told}");
    let (code, told) = run("--google", &google, &["--metric", "m=x=\"${scope}\""]);
    assert_eq!(code, Some(64), "{told}");
    assert!(told.contains("metricType"), "{told}");
}
