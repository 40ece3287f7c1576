//! CloudWatch of moto, a stand-in that computes: whole canaries, statistics, pages of metrics, roles.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::sync::Arc;

use serde_json::{Value, json};
use serin::canary::iso_from_millis;
use serin::clock::Clock;
use serin::metrics::MetricSource;

use crate::harness::{Client, Serin, service};
use crate::prometheus_source::Asking;
use crate::sources::open;

const REGION: &str = "eu-central-1";
/// The account of AWS that all keys are of which moto does not know, and another one.
const OWN: &str = "123456789012";
const OTHER: &str = "111122223333";

/// A namespace of one test, filled in the minutes from `start` on.
struct Written {
    aws: String,
    namespace: String,
    start: i64,
}

impl Written {
    fn new(aws: &str) -> Self {
        Self {
            aws: aws.to_owned(),
            namespace: format!("serin/{}", uuid::Uuid::new_v4().simple()),
            start: Clock::System.now_millis().div_euclid(60_000) * 60 - 3_600,
        }
    }

    /// As an account of AWS; moto takes the region from the signature.
    async fn call(&self, target: &str, account: &str, body: &Value) {
        let credential = format!("Credential=AKIDTEST/20260101/{REGION}/monitoring/aws4_request");
        let sent = Client::new(&self.aws)
            .http
            .post(format!("{}/", self.aws))
            .header(
                "x-amz-target",
                format!("GraniteServiceVersion20100801.{target}"),
            )
            .header("content-type", "application/x-amz-json-1.0")
            .header(
                "authorization",
                format!("AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=x"),
            )
            .header("x-moto-account-id", account)
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        let status = sent.status();
        assert!(
            status.is_success(),
            "{target}: {status} {}",
            sent.text().await.unwrap()
        );
    }

    /// Values of every minute, of one version.
    async fn put(&self, account: &str, metric: &str, version: &str, minutes: &[&[f64]]) {
        let points = minutes.iter().zip(0_i64..).flat_map(|(values, at)| {
            values.iter().map(move |value| {
                json!({
                    "MetricName": metric, "Dimensions": [{"Name": "Version", "Value": version}],
                    "Timestamp": self.start + 60 * at, "Value": value, "Unit": "Milliseconds",
                })
            })
        });
        let points: Vec<Value> = points.collect();
        self.call(
            "PutMetricData",
            account,
            &json!({"Namespace": self.namespace, "MetricData": points}),
        )
        .await;
    }

    fn scope(&self, version: &str, minutes: i64) -> Value {
        let [start, end] =
            [0, 60 * minutes].map(|after| iso_from_millis((self.start + after) * 1000));
        json!({"scope": version, "start": start, "end": end, "step": 60})
    }

    fn query(&self, metric: &str, stat: &str) -> Value {
        json!({
            "type": "cloudwatch", "namespace": self.namespace, "metricName": metric, "stat": stat,
            "dimensions": {"Version": "${scope}"},
        })
    }

    fn accounts(&self, more: &str) -> String {
        format!(
            "cloudwatch: {{enabled: true, accounts: [{{name: c, region: {REGION}, endpoint: {{baseUrl: '{}'}}, \
             explicitCredentials: {{accessKey: AKIDTEST, secretKey: secret}}{more}}}]}}",
            self.aws
        )
    }

    fn source(&self, more: &str) -> Arc<dyn MetricSource> {
        Arc::clone(&open(&self.accounts(more))["c"])
    }

    async fn values(&self, source: &Arc<dyn MetricSource>, query: &Value) -> Value {
        let asking = Asking::of(
            &json!({}),
            &json!({"name": "m", "query": query}),
            &self.scope("v1", 4),
        );
        let sets = asking.fetch(source).await.unwrap();
        let sets = serde_json::to_value(sets).unwrap();
        let sets = sets.as_array().unwrap().iter();
        json!(sets.map(|set| &set["values"]).collect::<Vec<_>>())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_is_judged_by_the_metrics_of_cloudwatch() {
    let Some(aws) = service("SERIN_TEST_AWS_URL") else {
        return;
    };
    let written = Written::new(&aws);
    let minutes =
        |shift: f64| -> Vec<f64> { (0_i32..30).map(|at| f64::from(at % 7) + shift).collect() };
    for (metric, version, shift) in [
        ("Latency", "v1", 0.0),
        ("Latency", "v2", 10.0),
        ("Errors", "v1", 0.0),
        ("Errors", "v2", 0.0),
    ] {
        let values = minutes(shift);
        let values: Vec<&[f64]> = values.chunks(1).collect();
        written.put(OWN, metric, version, &values).await;
    }
    let file = format!("kayenta:\n  {}\n", written.accounts(""));
    let serin = Serin::start_with("", &[], Some(&file)).await;
    let metric = |name: &str, query: Value| {
        json!({
            "name": name, "query": query, "groups": ["g"], "scopeName": "default",
            "analysisConfigurations": {"canary": {"direction": "increase"}},
        })
    };
    let body = json!({
        "canaryConfig": {
            "name": "c", "applications": ["a"], "classifier": {"groupWeights": {"g": 100}},
            "metrics": [
                metric("latency", written.query("Latency", "Average")),
                metric("errors", written.query("Errors", "Sum")),
            ],
        },
        "executionRequest": {
            "scopes": {"default": {
                "controlScope": written.scope("v1", 30), "experimentScope": written.scope("v2", 30),
            }},
            "thresholds": {"pass": 95, "marginal": 75},
        },
    });
    let id = serin.client.start_canary("/canary", &body).await;
    let document = serin.client.poll(&id).await;
    assert_eq!(document["status"], "succeeded", "{document}");
    let results = document["result"]["judgeResult"]["results"]
        .as_array()
        .unwrap();
    let labels: Vec<_> = results
        .iter()
        .map(|it| [&it["name"], &it["classification"]])
        .collect();
    assert_eq!(
        json!(labels),
        json!([["latency", "High"], ["errors", "Pass"]])
    );
    let (status, health) = serin.client.get("/health").await;
    assert_eq!(status, 200, "{health}");
    serin.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_statistic_makes_one_value_of_a_minute_and_gaps_are_nan() {
    let Some(aws) = service("SERIN_TEST_AWS_URL") else {
        return;
    };
    let written = Written::new(&aws);
    written
        .put(OWN, "m", "v1", &[&[1.0, 3.0, 8.0], &[], &[5.0]])
        .await;
    let source = written.source("");
    let cases = [
        ("Average", json!([[4.0, "NaN", 5.0, "NaN"]])),
        ("Sum", json!([[12.0, "NaN", 5.0, "NaN"]])),
        ("Minimum", json!([[1.0, "NaN", 5.0, "NaN"]])),
        ("Maximum", json!([[8.0, "NaN", 5.0, "NaN"]])),
        ("SampleCount", json!([[3.0, "NaN", 1.0, "NaN"]])),
    ];
    for (stat, expected) in cases {
        let values = written.values(&source, &written.query("m", stat)).await;
        assert_eq!(values, expected, "{stat}");
    }
    let mut coarse = written.query("m", "Sum");
    coarse["period"] = 120.into();
    assert_eq!(written.values(&source, &coarse).await, json!([[12.0, 5.0]]));
    for (unit, expected) in [
        ("Milliseconds", json!([[12.0, "NaN", 5.0, "NaN"]])),
        ("Bytes", json!([[]])),
    ] {
        let mut query = written.query("m", "Sum");
        query["unit"] = unit.into();
        assert_eq!(written.values(&source, &query).await, expected, "{unit}");
    }
    assert_eq!(
        written
            .values(&source, &written.query("nosuch", "Sum"))
            .await,
        json!([[]])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assumed_role_reads_what_its_account_has() {
    let Some(aws) = service("SERIN_TEST_AWS_URL") else {
        return;
    };
    let written = Written::new(&aws);
    written.put(OTHER, "m", "v1", &[&[7.0]]).await;
    let query = written.query("m", "Sum");
    let own = written.source("");
    assert_eq!(written.values(&own, &query).await, json!([[]]));
    let role = format!(
        ", roleArn: 'arn:aws:iam::{OTHER}:role/serin', externalId: e, stsEndpoint: '{aws}'"
    );
    let assumed = written.source(&role);
    let expected = json!([[7.0, "NaN", "NaN", "NaN"]]);
    assert_eq!(written.values(&assumed, &query).await, expected);
    assumed.health().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_of_all_pages_are_named() {
    let Some(aws) = service("SERIN_TEST_AWS_URL") else {
        return;
    };
    let written = Written::new(&aws);
    let points: Vec<Value> = (0..700)
        .map(|at| json!({"MetricName": format!("m{at}"), "Timestamp": written.start, "Value": 1}))
        .collect();
    let body = json!({"Namespace": written.namespace, "MetricData": points});
    written.call("PutMetricData", OWN, &body).await;
    let source = written.source("");
    let names = source.metric_names(&written.namespace).await.unwrap();
    assert_eq!(names.len(), 700);
}
