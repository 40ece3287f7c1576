//! The second judge against its reference cases: numbers to nine digits, words, counts and flags exactly.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::io::{BufRead, BufReader};

use flate2::read::GzDecoder;
use serde_json::{Value, json};
use serin::canary::{CanaryClassifierThresholdsConfig, CanaryConfig, Look, MetricSetPair};
use serin::judge::{DEFAULT_NOISE_SEED, Doubting, Judgement, resolve, sequential};

/// Relative, or absolute of what is next to nothing.
const RELATIVE: f64 = 1e-9;
const ABSOLUTE: f64 = 1e-12;

#[test]
fn every_judgement_is_the_one_of_the_reference() {
    let mut played = 0;
    let mut wrong = Vec::new();
    for case in cases() {
        let found = judge(&case);
        let differences = differences(&found, &case["expected"]);
        if !differences.is_empty() {
            wrong.push(format!("{}: {}", case["id"], differences.join("; ")));
        }
        played += 1;
    }
    assert!(
        wrong.is_empty(),
        "{} of {played}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert_eq!(played, 651);
}

#[test]
fn the_order_of_the_metrics_changes_no_byte_of_any() {
    for mut case in cases().filter(|case| text(&case["id"]).starts_with("canary")) {
        let told = |judged: &Value| {
            let results = judged["results"].as_array().unwrap().iter();
            let mut told: Vec<String> = results.map(Value::to_string).collect();
            told.sort();
            (
                told,
                judged["score"]["score"].clone(),
                judged["summary"]["outcome"].clone(),
            )
        };
        let before = told(&judge(&case));
        case["metricSetPairs"].as_array_mut().unwrap().reverse();
        case["config"]["metrics"].as_array_mut().unwrap().reverse();
        assert_eq!(told(&judge(&case)), before, "{}", case["id"]);
    }
}

#[test]
fn judging_in_parallel_changes_nothing() {
    // All judgements of the reference as one, which is large enough for threads.
    let mut metrics = Vec::new();
    let mut pairs: Vec<MetricSetPair> = Vec::new();
    for (number, case) in cases().enumerate() {
        let name = format!("m{number}");
        let mut metric = case["config"]["metrics"][0].clone();
        let mut pair: MetricSetPair =
            serde_json::from_value(case["metricSetPairs"][0].clone()).unwrap();
        metric["name"] = json!(name);
        pair.name = name;
        metrics.push(metric);
        pairs.push(pair);
    }
    let points: usize = pairs.iter().map(MetricSetPair::points).sum();
    assert!(sequential::WORTH_THREADS <= points, "{points}");
    let config: CanaryConfig =
        serde_json::from_value(json!({"metrics": metrics, "classifier": {}})).unwrap();
    let judgement = Judgement {
        config: &config,
        thresholds: CanaryClassifierThresholdsConfig {
            pass: Some(95.0),
            marginal: Some(75.0),
        },
        pairs: &pairs,
        noise_seed: DEFAULT_NOISE_SEED,
        doubting: Doubting::Tell,
        look: None,
        learned: None,
    };
    let together = resolve(Some("sequential-v1")).unwrap();
    let together = together.judge(&judgement).unwrap();
    let alone = sequential::judge_on_one_thread(&judgement).unwrap();
    assert_eq!(
        serde_json::to_string(&together).unwrap(),
        serde_json::to_string(&alone).unwrap()
    );
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn cases() -> impl Iterator<Item = Value> {
    let compressed = &include_bytes!("../golden/sequential.jsonl.gz")[..];
    let lines = BufReader::new(GzDecoder::new(compressed)).lines();
    lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap())
}

fn judge(case: &Value) -> Value {
    let config: CanaryConfig = serde_json::from_value(case["config"].clone()).unwrap();
    let mut pairs: Vec<MetricSetPair> =
        serde_json::from_value(case["metricSetPairs"].clone()).unwrap();
    if let Some(back) = case["lookbackMillis"].as_i64() {
        // As who fetches them tells it.
        for attributes in pairs
            .iter_mut()
            .flat_map(|pair| pair.attributes.values_mut())
        {
            attributes.insert("looksBack", back.to_string());
        }
    }
    let thresholds: CanaryClassifierThresholdsConfig =
        serde_json::from_value(case["scoreThresholds"].clone()).unwrap();
    let judgement = Judgement {
        config: &config,
        thresholds,
        pairs: &pairs,
        noise_seed: DEFAULT_NOISE_SEED,
        doubting: Doubting::Tell,
        look: look(case),
        learned: None,
    };
    let judge = resolve(Some("sequential-v1")).unwrap();
    serde_json::to_value(judge.judge(&judgement).unwrap()).unwrap()
}

fn look(case: &Value) -> Option<Look> {
    let plan = case.get("plan").filter(|plan| !plan.is_null())?;
    let look = json!({"number": plan["look"], "planned": plan["looks"], "window": plan["window"]});
    Some(serde_json::from_value(look).unwrap())
}

fn differences(found: &Value, expected: &Value) -> Vec<String> {
    let results = found["results"].as_array().unwrap();
    let wanted = expected["results"].as_array().unwrap();
    assert_eq!(results.len(), wanted.len());
    let mut differences = Vec::new();
    for (found, wanted) in results.iter().zip(wanted) {
        let told = &found["explanation"];
        for (name, wanted) in wanted.as_object().unwrap() {
            let found = match name.as_str() {
                "classification" | "critical" | "id" | "name" => &found[name],
                "rule" => &told[name],
                // What caps shows in the score.
                "capsMarginal" => continue,
                _ => &told["sequential"][name],
            };
            compare(name, found, wanted, &mut differences);
        }
        let told = told["sequential"].as_object().unwrap();
        for member in ["method", "events"] {
            if told.contains_key(member) != wanted.get(member).is_some() {
                differences.push(format!("{member} is {:?}", told.get(member)));
            }
        }
    }
    let scores = |value: &Value| {
        let groups = value["groupScores"].as_array().unwrap().iter();
        let mut groups: Vec<(String, Value)> = groups
            .map(|group| (group["name"].to_string(), group["score"].clone()))
            .collect();
        groups.sort_by(|a, b| a.0.cmp(&b.0));
        json!(groups)
    };
    compare(
        "groupScores",
        &scores(found),
        &scores(expected),
        &mut differences,
    );
    for name in ["score", "classification"] {
        compare(
            name,
            &found["score"][name],
            &expected["score"][name],
            &mut differences,
        );
    }
    compare(
        "summaryRule",
        &found["summary"]["rule"],
        &expected["summaryRule"],
        &mut differences,
    );
    differences
}

fn compare(name: &str, found: &Value, expected: &Value, differences: &mut Vec<String>) {
    match (found, expected) {
        (Value::Number(one), Value::Number(other)) => {
            let (one, other) = (one.as_f64().unwrap(), other.as_f64().unwrap());
            let distance = (one - other).abs();
            if ABSOLUTE < distance && RELATIVE * other.abs() < distance {
                differences.push(format!("{name} is {one}, not {other}"));
            }
        }
        (Value::Object(one), Value::Object(other)) => {
            for (member, expected) in other {
                let found = one.get(member).unwrap_or(&Value::Null);
                compare(&format!("{name}.{member}"), found, expected, differences);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (found, expected) in one.iter().zip(other) {
                compare(name, found, expected, differences);
            }
        }
        _ if found == expected => {}
        _ => differences.push(format!("{name} is {found}, not {expected}")),
    }
}
