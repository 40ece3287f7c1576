//! A real Prometheus that holds the history behind Kayenta's recordings.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::sync::Arc;

use serde_json::{Value, json};
use serin::canary::{CanaryConfig, MetricSet, Pair};
use serin::metrics::{MetricSource, mix};

use crate::prometheus_source::{Asking, account, config, source};

/// Where it is; `None` when the tests run without one.
#[expect(
    clippy::disallowed_methods,
    reason = "tests are not configured by files"
)]
fn url() -> Option<String> {
    let url = std::env::var("SERIN_TEST_PROMETHEUS_URL").ok();
    if url.is_none() {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "SERIN_TEST_PROMETHEUS_URL is not set"
        );
        eprintln!("skipped: SERIN_TEST_PROMETHEUS_URL names no Prometheus");
    }
    url
}

fn real() -> Option<Arc<dyn MetricSource>> {
    let url = url()?;
    Some(source(&config(vec![("real", account(&url))])))
}

fn cases(lines: &str) -> impl Iterator<Item = Value> {
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
}

/// Kayenta keeps neither timestamps nor links.
fn as_kayenta_has_it(mut document: Value) -> Value {
    document.as_object_mut().unwrap().shift_remove("timestamps");
    let attributes = document["attributes"].as_object_mut().unwrap();
    attributes.shift_remove("link");
    for side in attributes.values_mut().filter_map(Value::as_object_mut) {
        side.shift_remove("link");
    }
    document
}

#[tokio::test]
async fn series_are_those_that_kayenta_recorded() {
    let Some(source) = real() else { return };
    for case in cases(include_str!("../golden/prometheus_results.jsonl")) {
        let asking = Asking::of(&json!({}), &case["metric"], &case["scope"]);
        let sets = asking.fetch(&source).await.unwrap();
        for set in &sets {
            assert_eq!(set.timestamps.len(), set.values.len());
        }
        let sets = sets
            .iter()
            .map(|set| as_kayenta_has_it(serde_json::to_value(set).unwrap()));
        assert_eq!(
            Value::Array(sets.collect()),
            case["result"],
            "{}",
            case["name"]
        );
    }
}

#[tokio::test]
async fn pairs_are_those_that_kayenta_recorded() {
    let Some(source) = real() else { return };
    for case in cases(include_str!("../golden/prometheus_pairs.jsonl")) {
        let side = async |side: &str| {
            let mut sets = Vec::new();
            for metric in case["metrics"].as_array().unwrap() {
                let asking = Asking::of(&json!({}), metric, &case["scopes"][side]);
                sets.push(asking.fetch(&source).await.unwrap());
            }
            sets
        };
        let sets = Pair {
            control: side("controlScope").await,
            experiment: side("experimentScope").await,
        };
        let config: CanaryConfig =
            serde_json::from_value(json!({"metrics": case["metrics"]})).unwrap();
        let pairs = mix::mix(mix::matched(&config, sets).unwrap(), || "id".to_owned());

        // The order of Kayenta's pairs is that of a hash.
        let by_tags = |mut pairs: Vec<Value>| {
            for pair in &mut pairs {
                pair["id"] = "id".into();
            }
            pairs.sort_by_key(|pair| pair["tags"].to_string());
            pairs
        };
        let pairs = pairs
            .iter()
            .map(|pair| as_kayenta_has_it(serde_json::to_value(pair).unwrap()));
        let expected = case["pairs"].as_array().unwrap().clone();
        assert_eq!(
            by_tags(pairs.collect()),
            by_tags(expected),
            "{}",
            case["name"]
        );
    }
}

#[tokio::test]
async fn a_split_answer_equals_the_whole() {
    let Some(source) = real() else { return };
    // 11,001 points, which Prometheus still answers, and which are split all the same. The second
    // expression ends within the first piece, the third begins in the second.
    let (start, end) = ("2024-06-01T00:00:00.5Z", "2024-06-01T03:03:20.5Z");
    let query = "flaky_gauge or (cpu_usage and on() (vector(time()) < 1717203600)) \
                 or (gce_cpu and on() (vector(time()) > 1717210999))";
    let asking = Asking::promql(query, start, end, 1);
    let joined = asking.fetch(&source).await.unwrap();

    let client = reqwest::Client::builder().build().unwrap();
    let path = format!("{}/api/v1/query_range", url().unwrap());
    let params = [
        ("query", query),
        ("start", start),
        ("end", end),
        ("step", "1"),
    ];
    let whole = client.get(path).query(&params).send().await.unwrap();
    let whole: Value = whole.json().await.unwrap();
    let whole = whole["data"]["result"].as_array().unwrap();

    assert!(2 < whole.len());
    assert_eq!(joined.len(), whole.len());
    for (joined, whole) in joined.iter().zip(whole) {
        check_equal(joined, whole);
    }
}

fn check_equal(joined: &MetricSet, whole: &Value) {
    let mut tags = whole["metric"].clone();
    tags.as_object_mut().unwrap().shift_remove("__name__");
    assert_eq!(serde_json::to_value(&joined.tags).unwrap(), tags);
    let samples = whole["values"].as_array().unwrap();
    assert_eq!(joined.values.len(), samples.len());
    for ((value, millis), sample) in joined.values.iter().zip(&joined.timestamps).zip(samples) {
        let expected: f64 = sample[1].as_str().unwrap().parse().unwrap();
        assert_eq!(value.to_bits(), expected.to_bits());
        let time = jiff::Timestamp::from_millisecond(*millis).unwrap();
        let seconds = time.as_duration().as_secs_f64();
        assert_eq!(json!(seconds), json!(sample[0].as_f64().unwrap()));
    }
}

#[tokio::test]
async fn prometheus_refuses_in_its_own_words() {
    let Some(source) = real() else { return };
    let (start, end) = ("2024-06-01T01:00:00Z", "2024-06-01T02:00:00Z");
    let cases = [
        (
            Asking::promql("avg(cpu_usage{", start, end, 60),
            "parse error",
        ),
        (
            Asking::promql("\"text\"", start, end, 60),
            "invalid expression type \"string\"",
        ),
        (
            Asking::promql("up", end, start, 60),
            "end timestamp must not be before start",
        ),
        (
            Asking::promql("up", "2024-05-01T00:00:00Z", end, 1),
            "exceeded maximum resolution of 11,000 points",
        ),
    ];
    for (asking, expected) in cases {
        let error = asking.fails(&source).await;
        assert_eq!(error.status, Some(400));
        let message = error.message;
        let told = message.starts_with("bad_data: ") && message.contains(expected);
        assert!(told, "{message}");
    }
}

#[tokio::test]
async fn names_and_health_are_there() {
    let Some(source) = real() else { return };
    source.health().await.unwrap();
    let names = source.metric_names("").await.unwrap();
    assert!(names.iter().any(|metric| metric.name == "cpu_usage"));
}

#[tokio::test]
async fn a_long_query_is_answered_as_a_short_one() {
    let Some(source) = real() else { return };
    let (start, end) = ("2024-06-01T01:00:00Z", "2024-06-01T02:00:00Z");
    let long = format!("avg(cpu_usage{{version!=\"{}\"}})", "ä &+%".repeat(500));
    let long = Asking::promql(&long, start, end, 60)
        .fetch(&source)
        .await
        .unwrap();
    let short = Asking::promql("avg(cpu_usage)", start, end, 60);
    let short = short.fetch(&source).await.unwrap();
    assert_eq!(long[0].values, short[0].values);
}
