//! What a canary cost the services that it asked, and how near their limits it came.

use serde_json::{Value, json};

use crate::analysis::retrospective;
use crate::executions::adhoc;
use crate::harness::Serin;
use crate::stand_in::StandIn;
use crate::ui::page;

fn limited(status: u16, remaining: u32, body: &str) -> Value {
    json!({"status": status, "body": body, "headers": {
        "content-type": "application/json",
        "x-ratelimit-limit": "300", "x-ratelimit-period": "3600",
        "x-ratelimit-remaining": remaining.to_string(), "x-ratelimit-reset": "0",
    }})
}

async fn start(stand_in: &StandIn) -> Serin {
    let file = format!(
        "kayenta:\n  metrics: {{retry: {{attempts: 3, backoffPeriodMultiplierMs: 5}}}}\n  \
         datadog: {{enabled: true, accounts: [{{name: cost-datadog, apiKey: k, applicationKey: k, \
         endpoint: {{baseUrl: '{}'}}}}]}}\n",
        stand_in.url
    );
    Serin::start_with("", &[], Some(&file)).await
}

fn canary() -> Value {
    let mut body = adhoc(&["latency"]);
    body["canaryConfig"]["metrics"][0]["query"] = json!({"type": "datadog", "metricName": "avg:m"});
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_tells_what_it_cost_each_service_and_how_near_its_limit_is() {
    let stand_in = StandIn::start().await;
    let none = r#"{"status": "ok", "series": []}"#;
    stand_in.play(vec![
        limited(429, 0, r#"{"errors": ["Rate limit"]}"#),
        limited(200, 299, none),
        limited(200, 298, none),
    ]);
    let serin = start(&stand_in).await;
    let id = serin.client.start_canary("/canary", &canary()).await;
    let done = serin.client.poll(&id).await;
    let expected = json!({"cost-datadog": {"calls": 3, "repeated": 1, "refused": 1, "rateLimit": {
        "limit": 300, "remaining": 0, "periodSeconds": 3600, "resetSeconds": 0}}});
    assert_eq!(done["cost"], expected);
    assert_eq!(stand_in.asked().len(), 3);

    let told = "3 calls, 1 of them repeated, 1 of them refused by a rate limit; 0 of 300 in 3600 s were left";
    let shown = page(&serin, &format!("/ui/runs/{id}")).await.1;
    assert!(shown.contains("Asked of cost-datadog"), "{shown}");
    assert!(2 <= shown.matches(told).count(), "{shown}");
    let (_, metrics) = serin.client.get("/metrics").await;
    let metrics = metrics.as_str().unwrap();
    for line in [
        r#"serin_calls_total{account="cost-datadog",status="429"} 1"#,
        r#"serin_calls_total{account="cost-datadog",status="2xx"} 2"#,
        r#"serin_rate_limit{account="cost-datadog"} 300"#,
        r#"serin_rate_limit_remaining{account="cost-datadog"} 29"#,
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_analysis_tells_what_its_canaries_cost_together() {
    let stand_in = StandIn::start().await;
    let points: Vec<Value> = (0..180)
        .map(|at| json!([(1_717_203_600_i64 + 60 * at) * 1000, at % 7]))
        .collect();
    let series = json!({"start": 1_717_203_600_000_i64, "end": 1_717_214_400_000_i64, "interval": 60, "pointlist": points});
    let answer = json!({"status": "ok", "series": [series]}).to_string();
    stand_in.play(vec![limited(200, 299, &answer), limited(200, 200, &answer)]);
    let serin = start(&stand_in).await;
    let mut body = retrospective(60);
    body["canaryConfig"] = canary()["canaryConfig"].clone();
    body["executionRequest"]["analysisIntervalMins"] = json!(20);
    body["executionRequest"]["thresholds"] = json!({"pass": 1, "marginal": 0});
    let path = "/standalone_canary_analysis";
    let (_, answer) = serin.client.post(path, &body).await;
    let id = answer["canaryAnalysisExecutionId"].as_str().unwrap();
    let (_, done) = serin.client.get(&format!("{path}/{id}?wait=20s")).await;
    assert_eq!(done["complete"], true, "{done}");
    let runs = done["canaryAnalysisExecutionResult"]["canaryExecutionResults"].clone();
    let mut calls = 0;
    for run in runs.as_array().unwrap() {
        let run = run["executionId"].as_str().unwrap();
        let (_, run) = serin.client.get(&format!("/canary/{run}")).await;
        calls += run["cost"]["cost-datadog"]["calls"].as_u64().unwrap();
    }
    assert!(2 < calls, "{done}");
    assert_eq!(calls, stand_in.asked().len() as u64);
    let cost = &done["cost"]["cost-datadog"];
    assert_eq!(
        (&cost["calls"], &cost["rateLimit"]["remaining"]),
        (&json!(calls), &json!(200)),
        "{cost}"
    );
    let shown = page(&serin, &format!("/ui/analyses/{id}")).await.1;
    assert!(
        shown.contains(&format!("{calls} calls; 200 of 300")),
        "{shown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_fails_tells_its_cost_and_one_that_asks_nobody_has_none() {
    let stand_in = StandIn::start().await;
    let wait = json!({"status": 503, "headers": {"retry-after": "0"}, "body": ""});
    stand_in.play(vec![wait]);
    let serin = start(&stand_in).await;
    let id = serin.client.start_canary("/canary", &canary()).await;
    let failed = serin.client.poll(&id).await;
    assert_eq!(failed["status"], "terminal");
    let cost = &failed["cost"]["cost-datadog"];
    // The other side may be given up before it has been asked as often.
    let calls = cost["calls"].as_u64().unwrap();
    assert!((3..=6).contains(&calls), "{cost}");
    assert_eq!(cost["retryAfterSeconds"], 0);
    assert_eq!(cost["refused"], 0);
    let shown = page(&serin, &format!("/ui/runs/{id}")).await.1;
    assert!(shown.contains(&format!("{calls} calls, ")), "{shown}");
    assert!(!shown.contains("the rate limit of"), "{shown}");

    let mut unbuildable = canary();
    unbuildable["canaryConfig"]["metrics"][0]["query"] =
        json!({"type": "datadog", "customInlineTemplate": "avg:m{${nobody}}"});
    let id = serin.client.start_canary("/canary", &unbuildable).await;
    let failed = serin.client.poll(&id).await;
    assert_eq!(failed["status"], "terminal");
    assert_eq!(failed.get("cost"), None);
}
