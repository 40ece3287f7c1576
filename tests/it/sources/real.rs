//! InfluxDB 1 and Graphite themselves: points are written, and a canary is judged by them.

use std::time::Duration;

use serde_json::{Value, json};
use serin::canary::iso_from_millis;
use serin::clock::Clock;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::open;
use crate::harness::{Serin, service};
use crate::prometheus_source::Asking;

const MINUTES: i64 = 30;
const STORE: &str = "memory: {enabled: true, accounts: [{name: m, supportedTypes: [OBJECT_STORE, \
                     CONFIGURATION_STORE]}]}";

/// Of a minute of a side; none in the sixth.
fn value(side: &str, minute: i64) -> Option<f64> {
    let shift = if side == "v2" { 10 } else { 0 };
    let value = i32::try_from(minute % 7 + shift).unwrap();
    (minute != 5).then(|| f64::from(value))
}

/// What is read of a side, `null` for none.
fn values(side: &str) -> Vec<Value> {
    let values =
        (0..MINUTES).map(|minute| value(side, minute).map_or(json!("NaN"), |it| json!(it)));
    values.collect()
}

/// The document of a canary of one metric, which rose.
async fn judged(accounts: &str, query: &Value, sides: [&str; 2], start: i64) -> Value {
    let serin = Serin::start_with(
        "",
        &[],
        Some(&format!("kayenta:\n  {STORE}\n  {accounts}\n")),
    )
    .await;
    let scope = |scope: &str| {
        let (from, to) = (start * 1000, (start + 60 * MINUTES) * 1000);
        json!({"scope": scope, "location": "eu", "start": iso_from_millis(from), "end": iso_from_millis(to), "step": 60})
    };
    let metric = json!({"name": "latency", "query": query, "groups": ["g"], "scopeName": "default",
        "analysisConfigurations": {"canary": {"direction": "increase"}}});
    let body = json!({
        "canaryConfig": {"name": "c", "applications": ["a"], "metrics": [metric],
            "classifier": {"groupWeights": {"g": 100}}},
        "executionRequest": {
            "scopes": {"default": {"controlScope": scope(sides[0]), "experimentScope": scope(sides[1])}},
            "thresholds": {"pass": 95, "marginal": 75},
        },
    });
    let id = serin.client.start_canary("/canary", &body).await;
    let document = serin.client.poll(&id).await;
    serin.service.stop().await;
    document["result"]["judgeResult"]["results"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_is_judged_by_influxdb() {
    let Some(url) = service("SERIN_TEST_INFLUXDB_URL") else {
        return;
    };
    let client = reqwest::Client::builder().build().unwrap();
    let start = super::START;
    let admin = |request: reqwest::RequestBuilder| request.basic_auth("admin", Some("serin-test"));
    let create = [("q", "CREATE DATABASE shop WITH DURATION INF NAME raw")];
    let request = admin(client.post(format!("{url}/query")).query(&create));
    assert_eq!(request.send().await.unwrap().status(), 200);
    let lines = ["v1", "v2"].into_iter().flat_map(|side| {
        let points = (0..MINUTES).filter_map(move |minute| Some((minute, value(side, minute)?)));
        points.map(move |(minute, value)| {
            let tag = if side == "v1" { "v1" } else { "it's\\ v2" };
            format!(
                "http,version={tag},pod=a latency={value} {}",
                start + 60 * minute + 7
            )
        })
    });
    let lines: Vec<String> = lines.collect();
    let to = [("db", "shop"), ("rp", "raw"), ("precision", "s")];
    let request = admin(
        client
            .post(format!("{url}/write"))
            .query(&to)
            .body(lines.join("\n")),
    );
    assert_eq!(request.send().await.unwrap().status(), 204);

    let account = |more: &str| {
        format!(
            "influxdb: {{enabled: true, accounts: [{{name: i, endpoint: {{baseUrl: '{url}'}}, bucket: shop/raw, {more}}}]}}"
        )
    };
    let query = json!({"type": "influxdb", "customInlineTemplate":
        "SELECT mean(latency) FROM http WHERE ${timeFilter} AND ${scope} GROUP BY time(${step}) fill(null)"});
    let login = account("username: admin, password: serin-test");
    let sides = ["version:v1", "version:it's v2"];
    let result = judged(&login, &query, sides, start).await;
    assert_eq!(result["classification"], "High", "{result}");

    let sources = open(&login);
    let asking = |query: &Value, scope: &str| {
        let scope = json!({"scope": scope, "start": "2024-06-01T00:00:00Z", "end": "2024-06-01T00:30:00Z", "step": 60});
        Asking::of(&json!({}), &json!({"name": "m", "query": query}), &scope)
    };
    for (scope, side) in sides.into_iter().zip(["v1", "v2"]) {
        let sets = asking(&query, scope).fetch(&sources["i"]).await.unwrap();
        let sets = serde_json::to_value(sets).unwrap();
        assert_eq!(sets[0]["values"], json!(values(side)), "{scope}");
        assert_eq!(sets[0]["startTimeMillis"], json!(start * 1000));
    }
    // Without a template the points are those that were written.
    let raw = json!({"type": "influxdb", "metricName": "http", "fields": ["latency"]});
    let sets = asking(&raw, sides[0]).fetch(&sources["i"]).await.unwrap();
    let sets = serde_json::to_value(sets).unwrap();
    assert_eq!(sets[0]["values"].as_array().unwrap().len(), 29);
    assert_eq!(sets[0]["startTimeMillis"], json!((start + 7) * 1000));

    sources["i"].health().await.unwrap();
    let nobody = open(&account("username: admin, password: wrong"));
    let told = asking(&query, sides[0])
        .fetch(&nobody["i"])
        .await
        .unwrap_err()
        .to_string();
    assert!(told.contains("authorization failed"), "{told}");
    let nowhere = json!({"type": "influxdb", "database": "nosuch", "retentionPolicy": "x", "customInlineTemplate": query["customInlineTemplate"]});
    let told = asking(&nowhere, sides[0])
        .fetch(&sources["i"])
        .await
        .unwrap_err()
        .to_string();
    assert!(told.contains("database not found: nosuch"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_is_judged_by_graphite() {
    let (Some(url), Some(receiver)) = (
        service("SERIN_TEST_GRAPHITE_URL"),
        service("SERIN_TEST_GRAPHITE_RECEIVER"),
    ) else {
        return;
    };
    // What is older than its retention is not kept.
    let now = Clock::System.now_millis() / 1000;
    let start = now / 60 * 60 - 3_600;
    let mut connection = TcpStream::connect(&receiver).await.unwrap();
    let sides = ["v1", "v2"];
    for side in sides {
        for minute in 0..MINUTES {
            let Some(value) = value(side, minute) else {
                continue;
            };
            for (host, shift) in [("a", 1.0), ("b", -1.0)] {
                // The first point of a window lies a step behind its start.
                let line = format!(
                    "shop.eu.{side}.{host}.latency {} {}\n",
                    value + shift,
                    start + 60 * (minute + 1)
                );
                connection.write_all(line.as_bytes()).await.unwrap();
            }
        }
    }
    connection.shutdown().await.unwrap();

    let account = format!(
        "graphite: {{enabled: true, accounts: [{{name: g, endpoint: {{baseUrl: '{url}'}}}}]}}"
    );
    let query =
        json!({"type": "graphite", "metricName": "averageSeries(shop.$location.$scope.*.latency)"});
    let sources = open(&account);
    let asking = |query: &Value, scope: &str| {
        let (from, to) = (start * 1000, (start + 60 * MINUTES) * 1000);
        let scope = json!({"scope": scope, "location": "eu", "start": iso_from_millis(from), "end": iso_from_millis(to), "step": 60});
        Asking::of(&json!({}), &json!({"name": "m", "query": query}), &scope)
    };
    for side in sides {
        let mut read = Value::Null;
        // What was received is written a moment later.
        for _ in 0..100 {
            let sets = asking(&query, side).fetch(&sources["g"]).await.unwrap();
            read = serde_json::to_value(sets).unwrap()[0].clone();
            if read["values"] == json!(values(side)) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(read["values"], json!(values(side)), "{side}");
        let window = (&read["startTimeMillis"], &read["stepMillis"]);
        assert_eq!(
            window,
            (&json!((start + 60) * 1000), &json!(60_000)),
            "{read}"
        );
    }
    let result = judged(&account, &query, sides, start).await;
    assert_eq!(result["classification"], "High", "{result}");

    sources["g"].health().await.unwrap();
    let names = sources["g"].metric_names("shop.eu.v").await.unwrap();
    let names: Vec<&str> = names.iter().map(|metric| metric.name.as_str()).collect();
    assert!(
        names.iter().any(|name| name.starts_with("shop.eu.v1")),
        "{names:?}"
    );
    let wrong =
        json!({"type": "graphite", "metricName": "nosuch(shop.$location.$scope.a.latency)"});
    let told = asking(&wrong, "v1")
        .fetch(&sources["g"])
        .await
        .unwrap_err()
        .to_string();
    assert!(told.contains("unknown function: nosuch"), "{told}");
    let nothing = json!({"type": "graphite", "metricName": "shop.$location.nosuch.a.latency"});
    let sets = asking(&nothing, "v1").fetch(&sources["g"]).await.unwrap();
    assert!(sets.iter().all(|set| set.values.is_empty()), "{sets:?}");
}
