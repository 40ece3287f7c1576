//! Other sources than Prometheus: what is asked of them, what is read of their answers, and what fails.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod answers;
mod atlas;
mod clickhouse;
mod cloudwatch;
mod faults;
mod fetching;
mod influxdb;
mod json_api;
mod json_api_faults;
mod mixed;
mod real;
mod recorded;
mod tokens;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, OnceLock};

use indexmap::IndexMap;
use serde_json::{Value, json};
use serin::canary::iso_from_millis;
use serin::clock::Clock;
use serin::config::{LoadOptions, load_from};
use serin::metrics::{self, MetricSource};

use crate::prometheus_source::Asking;

/// Every stand-in gives these values, a minute apart.
fn values(side: &str) -> Vec<f64> {
    let shift = if side == "v2" { 10.0 } else { 0.0 };
    (0..30).map(|at| f64::from(at % 7) + shift).collect()
}

const START: i64 = 1_717_200_000;

fn reply(kind: &str, body: &str) -> Value {
    json!({"status": 200, "headers": {"content-type": kind}, "body": body})
}

fn datadog(values: &[f64]) -> Value {
    let points = values.iter().zip(0_i64..);
    let points: Vec<Value> = points
        .map(|(value, at)| json!([(START + 60 * at) * 1000, value]))
        .collect();
    let series = json!([{"start": START * 1000, "end": (START + 60 * 30) * 1000 - 1, "interval": 60, "pointlist": points}]);
    reply(
        "application/json",
        &json!({"status": "ok", "series": series}).to_string(),
    )
}

fn signalfx(values: &[f64]) -> Value {
    let mut body = String::new();
    for (value, at) in values.iter().zip(0_i64..) {
        let data = json!({"data": [{"tsId": "A", "value": value}], "logicalTimestampMs": (START + 60 * at) * 1000});
        let _ = write!(body, "event: data\ndata: {data}\n\n");
    }
    body += "event: control-message\ndata: {\"event\": \"END_OF_CHANNEL\"}\n\n";
    reply("text/event-stream", &body)
}

fn stackdriver(values: &[f64]) -> Value {
    let points = values.iter().zip(0_i64..);
    let mut points: Vec<Value> = points
        .map(|(value, at)| {
            let time = iso_from_millis((START + 60 * at) * 1000);
            json!({"interval": {"startTime": time, "endTime": time}, "value": {"doubleValue": value}})
        })
        .collect();
    points.reverse();
    let series = json!([{"valueType": "DOUBLE", "points": points}]);
    reply(
        "application/json",
        &json!({"timeSeries": series}).to_string(),
    )
}

fn nerdgraph(values: &[f64]) -> Value {
    let rows = values.iter().zip(0_i64..);
    let rows: Vec<Value> = rows
        .map(|(value, at)| {
            let begin = START + 60 * at;
            json!({"beginTimeSeconds": begin, "endTimeSeconds": begin + 60, "average.duration": value})
        })
        .collect();
    let answer = json!({"data": {"actor": {"account": {"nrql": {"results": rows}}}}});
    reply("application/json", &answer.to_string())
}

fn graphite(values: &[f64]) -> Value {
    let points = values.iter().zip(0_i64..);
    let points: Vec<Value> = points
        .map(|(value, at)| json!([value, START + 60 * at]))
        .collect();
    let answer =
        json!([{"target": "stats.v1", "tags": {"name": "stats.v1"}, "datapoints": points}]);
    reply("application/json", &answer.to_string())
}

fn influxdb(values: &[f64]) -> Value {
    let rows = values.iter().zip(0_i64..);
    let rows: Vec<Value> = rows
        .map(|(value, at)| json!([iso_from_millis((START + 60 * at) * 1000), value]))
        .collect();
    let series = json!([{"name": "m", "columns": ["time", "mean"], "values": rows}]);
    let answer = json!({"results": [{"statement_id": 0, "series": series}]});
    reply("application/json", &answer.to_string())
}

fn wavefront(values: &[f64]) -> Value {
    let points = values.iter().zip(0_i64..);
    let points: Vec<Value> = points
        .map(|(value, at)| json!([START + 60 * at, value]))
        .collect();
    let series = json!([{"label": "m", "host": "h", "tags": {}, "data": points}]);
    let answer = json!({"timeseries": series, "granularity": 60});
    reply("application/json", &answer.to_string())
}

/// The begin of an hour that is not over, in seconds: CloudWatch keeps points of a minute for days only.
fn recent() -> i64 {
    static RECENT: OnceLock<i64> = OnceLock::new();
    *RECENT.get_or_init(|| Clock::System.now_millis().div_euclid(60_000) * 60 - 3_600)
}

fn cloudwatch(values: &[f64]) -> Value {
    let times: Vec<i64> = (0_i64..)
        .take(values.len())
        .map(|at| recent() + 60 * at)
        .collect();
    let result = json!({"Id": "m", "Label": "m", "Timestamps": times, "Values": values, "StatusCode": "Complete"});
    reply(
        "application/x-amz-json-1.0",
        &json!({"MetricDataResults": [result]}).to_string(),
    )
}

fn clickhouse(values: &[f64]) -> Value {
    let rows = values.iter().zip(0_i64..);
    let rows = rows.map(|(value, at)| format!("[{value},{}]\n", START + 60 * at));
    let rows: String = rows.collect();
    let heads = r#"["value","time"]"#.to_owned() + "\n" + r#"["Float64","UInt32"]"#;
    reply("application/x-ndjson", &format!("{heads}\n{rows}"))
}

fn json_api(values: &[f64]) -> Value {
    let points = values.iter().zip(0_i64..);
    let points: Vec<Value> = points
        .map(|(value, at)| json!({"at": START + 60 * at, "value": value}))
        .collect();
    reply("application/json", &json!({"points": points}).to_string())
}

/// An account of each kind, named as it, whose service is one stand-in.
const ONE_OF_EACH: &str = "\
    datadog: {enabled: true, queryDeadline: <deadline>, accounts: [{name: datadog, apiKey: dd-api-key, \
      applicationKey: dd-application-key, endpoint: {baseUrl: '<url>'}}]}
  signalfx: {queryDeadline: <deadline>, accounts: [{name: signalfx, accessToken: t, \
      defaultScopeKey: version, endpoint: {baseUrl: '<url>'}}]}
  stackdriver: {enabled: true, queryDeadline: <deadline>}
  google: {enabled: true, accounts: [{name: stackdriver, project: p, \
      supportedTypes: [METRICS_STORE], endpoint: {baseUrl: '<url>'}}]}
  newrelic: {enabled: true, queryDeadline: <deadline>, accounts: [{name: newrelic, userKey: u, \
      applicationKey: 1, defaultScopeKey: version, endpoint: {baseUrl: '<url>'}}]}
  graphite: {enabled: true, queryDeadline: <deadline>, accounts: [{name: graphite, \
      endpoint: {baseUrl: '<url>'}}]}
  influxdb: {enabled: true, queryDeadline: <deadline>, accounts: [{name: influxdb, token: t, \
      endpoint: {baseUrl: '<url>'}}]}
  wavefront: {enabled: true, queryDeadline: <deadline>, accounts: [{name: wavefront, apiToken: t, \
      endpoint: {baseUrl: '<url>'}}]}
  cloudwatch: {enabled: true, queryDeadline: <deadline>, accounts: [{name: cloudwatch, region: eu-central-1, \
      explicitCredentials: {accessKey: a, secretKey: s}, endpoint: {baseUrl: '<url>'}}]}
  clickhouse: {enabled: true, queryDeadline: <deadline>, accounts: [{name: clickhouse, endpointUrl: '<url>'}]}
  http: {enabled: true, queryDeadline: <deadline>, accounts: [{name: http, \
      endpoint: {baseUrl: '<url>'}}]}";

/// A query of each kind, and what its service answers.
fn kinds() -> [(Value, Value); 10] {
    let values = values("v1");
    [
        (
            json!({"type": "datadog", "metricName": "avg:m"}),
            datadog(&values),
        ),
        (
            json!({"type": "signalfx", "metricName": "m"}),
            signalfx(&values),
        ),
        (
            json!({"type": "stackdriver", "metricType": "m", "resourceType": "global"}),
            stackdriver(&values),
        ),
        (
            json!({"type": "newrelic", "select": "average(duration) FROM Transaction"}),
            nerdgraph(&values),
        ),
        (
            json!({"type": "graphite", "metricName": "stats.$scope"}),
            graphite(&values),
        ),
        (
            json!({"type": "influxdb", "customInlineTemplate": "SELECT mean(m) FROM m WHERE ${timeFilter} AND ${scope}"}),
            influxdb(&values),
        ),
        (
            json!({"type": "wavefront", "metricName": "m", "aggregate": "avg"}),
            wavefront(&values),
        ),
        (
            json!({"type": "cloudwatch", "namespace": "N", "metricName": "m", "dimensions": {"v": "${scope}"}}),
            cloudwatch(&values),
        ),
        (
            json!({"type": "clickhouse", "customInlineTemplate": "SELECT v AS value, t AS time FROM m WHERE v = '${scope}'"}),
            clickhouse(&values),
        ),
        (
            json!({"type": "http", "path": "/${scope}", "points": "$.points[*]", "times": "$.at", "values": "$.value"}),
            json_api(&values),
        ),
    ]
}

/// For an hour of one version.
fn asking(query: &Value) -> Asking {
    // InfluxDB is asked for a tag and its value.
    let scope = if query["type"] == "influxdb" {
        "version:v1"
    } else {
        "v1"
    };
    let start = if query["type"] == "cloudwatch" {
        recent()
    } else {
        START
    };
    let [start, end] = [start, start + 3_600].map(|seconds| iso_from_millis(seconds * 1000));
    let scope = json!({"scope": scope, "start": start, "end": end, "step": 60});
    Asking::of(&json!({}), &json!({"name": "m", "query": query}), &scope)
}

/// The sources of accounts as a configuration has them.
pub fn open(accounts: &str) -> IndexMap<String, Arc<dyn MetricSource>> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("serin.yml");
    let retry = "metrics: {retry: {attempts: 3, backoffPeriodMultiplierMs: 5}}";
    std::fs::write(&file, format!("kayenta:\n  {retry}\n  {accounts}\n")).unwrap();
    let options = LoadOptions {
        file: Some(file),
        ..LoadOptions::default()
    };
    let loaded = load_from(&options, &BTreeMap::new()).unwrap();
    metrics::open(&loaded.config, &Clock::System).unwrap()
}
