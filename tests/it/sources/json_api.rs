//! Any HTTP API: the services of `docs/sources/http.md`, answering as they are documented.

use std::sync::Arc;

use serde_json::{Value, json};
use serin::canary::{MetricSet, iso_from_millis};
use serin::metrics::MetricSource;

use super::{START, open, reply, values};
use crate::harness::Serin;
use crate::prometheus_source::Asking;
use crate::stand_in::{Asked, StandIn};

const DOCUMENT: &str = include_str!("../../../docs/sources/http.md");

/// Under a heading, the blocks of a language.
fn blocks(heading: &str, language: &str) -> Vec<&'static str> {
    let section = DOCUMENT.split_once(&format!("\n## {heading}\n")).unwrap().1;
    let section = section.split("\n## ").next().unwrap();
    let begin = format!("```{language}\n");
    let blocks = section.split(&begin).skip(1);
    blocks.map(|it| it.split("```").next().unwrap()).collect()
}

/// The metric and the answer that stand there, one after the other.
fn documented(heading: &str, example: usize) -> (Value, Value) {
    let json = blocks(heading, "json");
    let parsed = |at: usize| serde_json::from_str(json[at]).unwrap();
    (parsed(2 * example), parsed(2 * example + 1))
}

pub fn of_json(body: &Value) -> Value {
    reply("application/json", &body.to_string())
}

/// An account with these keys beside its name, and where it leads.
pub async fn source(keys: &str) -> (Arc<dyn MetricSource>, StandIn) {
    let stand_in = StandIn::start().await;
    let endpoint = format!("endpoint: {{baseUrl: '{}/base/'}}", stand_in.url);
    let account = format!("{{name: h, {endpoint}{keys}}}");
    let sources = open(&format!(
        "http: {{enabled: true, queryDeadline: 20s, accounts: [{account}]}}"
    ));
    (Arc::clone(&sources["h"]), stand_in)
}

/// For three minutes of a version.
pub fn asking(metric: &Value, scope: &str) -> Asking {
    let scope = json!({"scope": scope, "start": "2024-06-01T00:00:00Z", "end": "2024-06-01T00:03:00Z", "step": 60});
    Asking::of(&json!({}), metric, &scope)
}

/// Tags, values, begin and step.
pub fn told(sets: &[MetricSet]) -> Value {
    let sets = sets.iter().map(|set| {
        let set = serde_json::to_value(set).unwrap();
        json!([
            set["tags"],
            set["values"],
            set["startTimeMillis"],
            set["stepMillis"]
        ])
    });
    sets.collect()
}

fn params(asked: &Asked) -> Vec<(&str, &str)> {
    let query = asked.query.iter();
    query
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn services_are_asked_and_read_as_they_are_documented() {
    let (source, stand_in) = source("").await;
    let begin = START * 1000;
    let cases = [
        (
            "Elasticsearch and OpenSearch",
            0,
            json!([[{}, [25.5, "NaN", 27.25], begin, 60_000]]),
        ),
        (
            "Elasticsearch and OpenSearch",
            1,
            json!([[{"host": "a"}, [3.0, 5.0], begin, 60_000], [{"host": "b"}, [0.0, 2.0], begin, 60_000]]),
        ),
        (
            "Dynatrace",
            0,
            json!([[{"version": "v2"}, [11.1, "NaN", 22.2], begin + 60_000, 60_000]]),
        ),
        (
            "VictoriaLogs",
            0,
            json!([[{"level": "error"}, [4.0, 2.0, "NaN", 7.0], begin, 60_000]]),
        ),
    ];
    let mut asked = Vec::new();
    for (heading, example, expected) in cases {
        let (metric, answer) = documented(heading, example);
        stand_in.play(vec![of_json(&answer)]);
        let sets = asking(&metric, "v2").fetch(&source).await.unwrap();
        assert_eq!(told(&sets), expected, "{heading}");
        let attributes = serde_json::to_value(&sets[0].attributes).unwrap();
        for silent in ["partial", "warnings"] {
            assert_eq!(attributes[silent], Value::Null, "{heading}");
        }
        asked.extend(stand_in.asked());
    }
    let [elastic, esql, dynatrace, logs] = asked.as_slice() else {
        panic!("each is asked once: {asked:#?}");
    };
    assert_eq!(
        (elastic.method.as_str(), elastic.path.as_str()),
        ("POST", "/base/logs-checkout/_search")
    );
    assert_eq!(elastic.headers["content-type"], "application/json");
    let body: Value = serde_json::from_str(&elastic.body).unwrap();
    let filter = json!([{"term": {"version": "v2"}},
        {"range": {"@timestamp": {"gte": "2024-06-01T00:00:00Z", "lt": "2024-06-01T00:03:00Z"}}}]);
    assert_eq!(body["query"]["bool"]["filter"], filter);
    assert_eq!(
        body["aggs"]["over_time"]["date_histogram"]["fixed_interval"],
        "60s"
    );

    let body: Value = serde_json::from_str(&esql.body).unwrap();
    let text = body["query"].as_str().unwrap();
    assert!(text.contains("version == \"v2\" AND"), "{text}");

    assert_eq!(
        (dynatrace.method.as_str(), dynatrace.body.as_str()),
        ("GET", "")
    );
    let expected = [
        ("from", "1717200000000"),
        (
            "metricSelector",
            "builtin:service.response.time:filter(eq(\"version\",\"v2\")):splitBy(\"version\"):avg",
        ),
        ("resolution", "1m"),
        ("to", "1717200180000"),
    ];
    assert_eq!(params(dynatrace), expected);

    assert_eq!(
        logs.headers["content-type"],
        "application/x-www-form-urlencoded"
    );
    let form: Vec<(String, String)> = url::form_urlencoded::parse(logs.body.as_bytes())
        .into_owned()
        .collect();
    let expected = [
        (
            "query",
            "version:=\"v2\" level:=\"error\" | stats by (level) count() as errors",
        ),
        ("start", "2024-06-01T00:00:00Z"),
        ("end", "2024-06-01T00:03:00Z"),
        ("step", "60s"),
    ];
    assert_eq!(
        form,
        expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
}

/// What a service answers to that, in the form of its example.
fn answer_of(heading: &str, values: &[f64]) -> Value {
    let (_, mut answer) = documented(heading, 0);
    let at = |minute: usize| START + 60 * i64::try_from(minute).unwrap();
    let points = values.iter().enumerate();
    match heading {
        "Dynatrace" => {
            let times: Vec<i64> = points.map(|(minute, _)| at(minute + 1) * 1000).collect();
            let data = &mut answer["result"][0]["data"][0];
            (data["timestamps"], data["values"]) = (json!(times), json!(values));
        }
        "VictoriaLogs" => {
            let points = points.map(|(minute, value)| json!([at(minute), value.to_string()]));
            answer["data"]["result"][0]["values"] = points.collect();
        }
        _ => {
            let points = points.map(|(minute, value)| {
                json!({"key": at(minute) * 1000, "doc_count": 1, "latency": {"values": {"99.0": value}}})
            });
            answer["aggregations"]["over_time"]["buckets"] = points.collect();
        }
    }
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_is_judged_by_each_of_them_as_documented() {
    let cases = [
        (
            "An account",
            "Elasticsearch and OpenSearch",
            "https://elastic:9200",
            "${ELASTIC_AUTHORIZATION:}",
        ),
        (
            "Dynatrace",
            "Dynatrace",
            "https://abc12345.live.dynatrace.com",
            "${DYNATRACE_AUTHORIZATION:}",
        ),
        (
            "VictoriaLogs",
            "VictoriaLogs",
            "http://victorialogs:9428",
            "",
        ),
    ];
    for (place, heading, address, secret) in cases {
        let stand_in = StandIn::start().await;
        stand_in.answer(move |asked| {
            let is_new = format!("{:?}{}", asked.query, asked.body).contains("v2");
            of_json(&answer_of(
                heading,
                &values(if is_new { "v2" } else { "v1" }),
            ))
        });
        let mut account = blocks(place, "yaml")[0].replace(address, &stand_in.url);
        if !secret.is_empty() {
            account = account.replace(secret, "'ApiKey very-secret'");
        }
        let memory = "supportedTypes: [OBJECT_STORE, CONFIGURATION_STORE]";
        let yml =
            format!("{account}  memory: {{enabled: true, accounts: [{{name: m, {memory}}}]}}\n");
        let serin = Serin::start_with("", &[], Some(&yml)).await;
        let scope = |scope: &str| {
            let end = iso_from_millis((START + 60 * 30) * 1000);
            json!({"scope": scope, "start": iso_from_millis(START * 1000), "end": end, "step": 60})
        };
        let (metric, _) = documented(heading, 0);
        let body = json!({
            "canaryConfig": {"name": "c", "applications": ["a"], "metrics": [metric],
                "classifier": {"groupWeights": {metric["groups"][0].as_str().unwrap(): 100}}},
            "executionRequest": {
                "scopes": {"default": {"controlScope": scope("v1"), "experimentScope": scope("v2")}},
                "thresholds": {"pass": 95, "marginal": 75},
            },
        });
        let id = serin.client.start_canary("/canary", &body).await;
        let document = serin.client.poll(&id).await;
        assert_eq!(document["status"], "succeeded", "{heading}: {document}");
        let result = &document["result"]["judgeResult"]["results"][0];
        assert_eq!(result["classification"], "High", "{heading}: {result}");
        assert_eq!(stand_in.asked().len(), 2, "{heading}");
        let sent = stand_in.asked()[0].headers.get("authorization").cloned();
        let expected = (!secret.is_empty()).then(|| "ApiKey very-secret".to_owned());
        assert_eq!(sent, expected, "{heading}");
        assert!(!document.to_string().contains("very-secret"), "{document}");
        serin.service.stop().await;
    }
}
