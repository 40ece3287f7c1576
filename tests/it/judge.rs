//! The judge against numbers recorded from a running Kayenta: every double equal in all 64 bits.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};

use flate2::read::GzDecoder;
use proptest::prelude::*;
use serde_json::{Value, json};
use serin::canary::{
    CanaryClassifierThresholdsConfig, CanaryConfig, CanaryJudgeResult, MetricSetPair, Pair,
};
use serin::judge::aca::effect_size::{cles, mean_ratio};
use serin::judge::aca::judge_on_one_thread;
use serin::judge::aca::mann_whitney::shift_between;
use serin::judge::aca::rank_sum::{order_key, plain_statistic};
use serin::judge::aca::transform::{Fences, handle_nan};
use serin::judge::describe::{describe, mean, percentile};
use serin::judge::noise::Noise;
use serin::judge::policy::{MetricPolicy, NanStrategy};
use serin::judge::{DEFAULT_NOISE_SEED, Doubting, Judgement, resolve};

use crate::explained::{complaints, remove};

#[test]
fn every_judgement_is_the_one_of_the_reference() {
    let failing: BTreeSet<&str> = include_str!("../golden/judge-exception-ids.txt")
        .split_whitespace()
        .collect();
    let noisy: BTreeSet<&str> = include_str!("../golden/judge-noise-ids.txt")
        .split_whitespace()
        .collect();
    let mut seen = Tally::default();
    for case in cases(include_bytes!("../golden/judge.jsonl.gz")) {
        let id = text(&case["id"]);
        let found = judge(&case);
        // A query of a type to come has nothing to do with how its series are judged.
        if id == "bad-query-1668" {
            assert!(found.is_ok(), "{id}: {found:?}");
            continue;
        }
        let Some(expected) = case.get("result") else {
            assert!(failing.contains(id), "{id} is listed");
            assert!(found.is_err(), "{id} is an error, found {found:?}");
            seen.count("exception");
            continue;
        };
        let mut found = found.unwrap_or_else(|error| panic!("{id}: {error}"));
        let wrong = complaints(&found, &case["scoreThresholds"]);
        assert!(wrong.is_empty(), "{id}: {wrong:#?}");
        remove(&mut found);
        if id == "bad-values-1667" {
            // A pair without tags: Kayenta leaves them out, serin says that there are none.
            assert_eq!(found["results"][0]["tags"], json!({}));
            found["results"][0].as_object_mut().unwrap().remove("tags");
        }
        assert_eq!(canonical(&found), canonical(expected), "{id}");
        seen.count(if noisy.contains(id) { "noise" } else { "plain" });
    }
    seen.are(&[("exception", 30), ("noise", 176), ("plain", 1966)]);
}

/// The answer as a client sees it, or why there is none.
fn judge(case: &Value) -> Result<Value, String> {
    let parsed = |error: serde_json::Error| error.to_string();
    let config: CanaryConfig = serde_json::from_value(case["config"].clone()).map_err(parsed)?;
    let pairs: Vec<MetricSetPair> =
        serde_json::from_value(case["metricSetPairs"].clone()).map_err(parsed)?;
    let thresholds: Option<CanaryClassifierThresholdsConfig> =
        serde_json::from_value(case["scoreThresholds"].clone()).map_err(parsed)?;
    let judgement = Judgement {
        config: &config,
        thresholds: thresholds.unwrap_or_default(),
        pairs: &pairs,
        noise_seed: case["noiseSeed"].as_i64().unwrap_or(DEFAULT_NOISE_SEED),
        doubting: Doubting::Tell,
        look: None,
        learned: None,
    };
    let judged = |found: serin::error::Result<CanaryJudgeResult>| match found {
        Ok(result) => Ok(serde_json::to_value(result).unwrap()),
        Err(error) => Err(error.to_string()),
    };
    let default = resolve(None).unwrap();
    let found = judged(default.judge(&judgement));
    let alone = judged(judge_on_one_thread(&judgement));
    assert_eq!(
        found.as_ref().map(canonical),
        alone.as_ref().map(canonical),
        "threads change nothing"
    );
    found
}

#[test]
fn judging_in_parallel_changes_nothing() {
    // All judgements of the reference as one, which is large enough for threads.
    let mut metrics = Vec::new();
    let mut pairs: Vec<MetricSetPair> = Vec::new();
    for (number, case) in cases(include_bytes!("../golden/judge.jsonl.gz")).enumerate() {
        if case.get("result").is_none()
            || case["metricSetPairs"].as_array().is_none_or(Vec::is_empty)
        {
            continue;
        }
        let name = format!("m{number}");
        let mut pair: MetricSetPair =
            serde_json::from_value(case["metricSetPairs"][0].clone()).unwrap();
        let mut metric = case["config"]["metrics"][0].clone();
        metric["name"] = json!(name);
        pair.name = name;
        metrics.push(metric);
        pairs.push(pair);
    }
    let config: CanaryConfig =
        serde_json::from_value(json!({"metrics": metrics, "classifier": {}})).unwrap();
    let judgement = Judgement {
        config: &config,
        thresholds: CanaryClassifierThresholdsConfig {
            pass: Some(95.0),
            marginal: Some(75.0),
        },
        pairs: &pairs,
        noise_seed: 7,
        doubting: Doubting::Tell,
        look: None,
        learned: None,
    };
    let together = resolve(None).unwrap().judge(&judgement).unwrap();
    let alone = judge_on_one_thread(&judgement).unwrap();
    assert_eq!(
        serde_json::to_string(&together).unwrap(),
        serde_json::to_string(&alone).unwrap()
    );
    assert!(together.results.len() > 2000);
}

#[test]
fn every_interval_is_the_one_of_the_reference() {
    let mut seen = Tally::default();
    for case in cases(include_bytes!("../golden/mannwhitney.jsonl.gz")) {
        let id = text(&case["id"]);
        // NaN within a sample and a negative confidence level: no judgement comes to them.
        if ["mw-0845", "mw-0849"].contains(&id) {
            seen.count("skipped: unreachable");
            continue;
        }
        let pair = sides(&case);
        let level = number(&case["confidenceLevel"]);
        let found = shift_between(pair.as_ref().map(Vec::as_slice), quantile(level));
        let Some(expected) = case.get("result") else {
            assert_eq!(found, None, "{id}");
            seen.count("exception");
            continue;
        };
        let found = found.unwrap_or_else(|| panic!("{id} has an interval"));
        same(id, found.lower, &expected["lower"]);
        same(id, found.upper, &expected["upper"]);
        same(id, found.estimate, &expected["estimate"]);
        let shifts = numbers(&case["diffAt"]);
        let statistics = expected["wilcoxonDiff"].as_array().unwrap();
        assert_eq!(shifts.len(), statistics.len(), "{id}");
        let mut rank_sum = serin::judge::aca::rank_sum::RankSum::default();
        let keys = sorted_keys(&pair);
        rank_sum.prepare(&keys.experiment, &keys.control);
        for (shift, expected) in shifts.into_iter().zip(statistics) {
            let found = rank_sum.statistic(shift).unwrap();
            same(id, found, expected);
            let plain = plain_statistic(&pair.experiment, &pair.control, shift).unwrap();
            same(id, plain, expected);
        }
        seen.count("interval");
    }
    seen.are(&[
        ("exception", 117),
        ("interval", 732),
        ("skipped: unreachable", 2),
    ]);
}

/// Kayenta's bits of the normal quantiles.
fn quantile(level: f64) -> f64 {
    let known: [(f64, f64); 6] = [
        (0.0, 0.0),
        (0.9, -1.644_853_626_951_473),
        (0.95, -1.959_963_984_540_054),
        (0.98, -2.326_347_874_040_841),
        (0.99, -2.575_829_303_548_900_4),
        (1.0, f64::NEG_INFINITY),
    ];
    let found = known
        .iter()
        .find(|(known, _)| known.to_bits() == level.to_bits());
    found.unwrap_or_else(|| panic!("a quantile for {level}")).1
}

#[test]
fn every_transform_is_the_one_of_the_reference() {
    let mut seen = Tally::default();
    for case in cases(include_bytes!("../golden/transforms.jsonl.gz")) {
        let operation = text(&case["op"]);
        if let Some(why) = unreachable(&case) {
            seen.count(&format!("skipped: {why}"));
            continue;
        }
        match operation {
            "stats" => statistics(&case),
            "percentile" => percentiles(&case),
            "nan" => nan(&case),
            "outliers" => outliers(&case),
            "effectSize" => effect_sizes(&case),
            "noise" => noise(&case),
            other => panic!("{other} is no operation"),
        }
        seen.count(operation);
    }
    seen.are(&[
        ("stats", 157),
        ("percentile", 159),
        ("nan", 157),
        ("outliers", 472),
        ("effectSize", 323),
        ("noise", 5),
        ("skipped: k-sigma is for tests of Kayenta only", 472),
        ("skipped: reduceSensitivity is always true", 471),
        ("skipped: no effect size without values, or of NaN", 2),
    ]);
}

/// Why no judgement comes to what a case is about.
fn unreachable(case: &Value) -> Option<&'static str> {
    match (text(&case["op"]), text(&case["id"])) {
        ("outliers", _) if case["detector"] != "iqr" => {
            Some("k-sigma is for tests of Kayenta only")
        }
        ("outliers", _) if case["reduceSensitivity"] == false => {
            Some("reduceSensitivity is always true")
        }
        (_, "effectSize-1889" | "effectSize-1904") => {
            Some("no effect size without values, or of NaN")
        }
        _ => None,
    }
}

fn statistics(case: &Value) {
    let (id, data, expected) = (text(&case["id"]), numbers(&case["data"]), &case["result"]);
    let stats = describe(Pair {
        control: &data,
        experiment: &data,
    });
    assert_eq!(
        stats.control.count,
        expected["count"].as_u64().unwrap(),
        "{id}"
    );
    for found in [stats.control, stats.experiment] {
        same(id, found.mean, &expected["mean"]);
        same(id, found.min, &expected["min"]);
        same(id, found.max, &expected["max"]);
        same(id, found.std, &expected["std"]);
    }
    same(id, mean(&data), &expected["mean"]);
}

fn percentiles(case: &Value) {
    let (id, mut data) = (text(&case["id"]), numbers(&case["data"]));
    data.retain(|value| !value.is_nan());
    data.sort_unstable_by(f64::total_cmp);
    let percents = numbers(&case["ps"]);
    let Some(expected) = case.get("result") else {
        assert!(
            percents.iter().all(|p| percentile(&data, *p).is_none()),
            "{id}"
        );
        return;
    };
    for (percent, expected) in percents.into_iter().zip(expected.as_array().unwrap()) {
        same(id, percentile(&data, percent).unwrap(), expected);
    }
}

fn nan(case: &Value) {
    let (id, data) = (text(&case["id"]), numbers(&case["data"]));
    let mut kept = Vec::new();
    handle_nan(&data, NanStrategy::Remove, &mut kept);
    all_same(id, &kept, &case["result"]["removed"]);
    handle_nan(&data, NanStrategy::Replace, &mut kept);
    all_same(id, &kept, &case["result"]["replaced"]);
}

fn outliers(case: &Value) {
    let (id, data) = (text(&case["id"]), numbers(&case["data"]));
    let canary = json!({"outliers": {"strategy": "remove", "outlierFactor": case["factor"]}});
    let metric = json!({"name": "m", "analysisConfigurations": {"canary": canary}});
    let policy = MetricPolicy::of(&serde_json::from_value(metric).unwrap());
    let Some(expected) = case.get("result") else {
        assert!(policy.is_err(), "{id}");
        return;
    };
    let mut sorted = data.clone();
    sorted.retain(|value| !value.is_nan());
    sorted.sort_unstable_by(f64::total_cmp);
    let fences = Fences::of(&sorted, policy.unwrap().outlier_factor.unwrap());
    let flags: Vec<bool> = data.iter().map(|value| !fences.contain(*value)).collect();
    assert_eq!(json!(flags), expected["outliers"], "{id}");
    let kept: Vec<f64> = data
        .into_iter()
        .filter(|value| fences.contain(*value))
        .collect();
    all_same(id, &kept, &expected["kept"]);
}

fn effect_sizes(case: &Value) {
    let pair = sides(case);
    let id = text(&case["id"]);
    let expected = &case["result"];
    let ratio = mean_ratio(pair.as_ref().map(|values| mean(values)));
    same(id, ratio, &expected["meanRatio"]);
    let keys = sorted_keys(&pair);
    same(
        id,
        cles(keys.as_ref().map(Vec::as_slice)),
        &expected["cles"],
    );
}

fn noise(case: &Value) {
    let id = text(&case["id"]);
    let mut noise = Noise::new(case["noiseSeed"].as_i64().unwrap());
    for expected in case["result"].as_array().unwrap() {
        let found = number(&case["mean"]) + number(&case["stdev"]) * noise.gaussian();
        same(id, found, expected);
    }
}

proptest! {
    /// statrs gives the p-value of the same test, from which the statistic can be taken back.
    #[test]
    fn the_statistic_agrees_with_another_implementation(
        experiment in prop::collection::vec(-3_i8..9, 9..40),
        control in prop::collection::vec(-5_i8..7, 9..40),
    ) {
        use statrs::distribution::{ContinuousCDF, Normal};
        use statrs::stats_tests::mannwhitneyu::{MannWhitneyUMethod, mannwhitneyu};
        use statrs::stats_tests::Alternative;

        let [experiment, control] = [experiment, control]
            .map(|values| values.into_iter().map(f64::from).collect::<Vec<_>>());
        let found = plain_statistic(&experiment, &control, 0.0);
        prop_assume!(found.is_some());
        let (_, p) = mannwhitneyu(
            &experiment,
            &control,
            MannWhitneyUMethod::AsymptoticInclContinuityCorrection,
            Alternative::TwoSided,

        )
        .unwrap();
        let expected = 2.0 * Normal::standard().sf(found.unwrap().abs());
        prop_assert!((p - expected).abs() < 1e-8, "{} {}", p, expected);
    }
}

/// How many cases of which kind there were, so that a skipped one shows.
#[derive(Default)]
struct Tally(BTreeMap<String, usize>);

impl Tally {
    fn count(&mut self, kind: &str) {
        *self.0.entry(kind.to_owned()).or_default() += 1;
    }

    fn are(&self, expected: &[(&str, usize)]) {
        let expected = expected
            .iter()
            .map(|(kind, count)| ((*kind).to_owned(), *count));
        assert_eq!(self.0, expected.collect::<BTreeMap<_, _>>());
    }
}

/// One JSON document a line.
fn cases(compressed: &'static [u8]) -> impl Iterator<Item = Value> {
    BufReader::new(GzDecoder::new(compressed))
        .lines()
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
}

/// Numbers as their bits, infinities and NaN as the text they are written as; the order of members
/// and of group scores does not count.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Number(number) => bits(number.as_f64().unwrap()),
        Value::Array(elements) => elements.iter().map(canonical).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| match member {
                Value::Array(groups) if name == "groupScores" => {
                    let by_name = groups
                        .iter()
                        .map(|g| (text(&g["name"]).to_owned(), canonical(g)));
                    (name.clone(), by_name.collect())
                }
                member => (name.clone(), canonical(member)),
            })
            .collect(),
        other => other.clone(),
    }
}

fn bits(value: f64) -> Value {
    if value.is_nan() {
        return json!("NaN");
    }
    json!(format!("{:016x}", value.to_bits()))
}

fn same(id: &str, found: f64, expected: &Value) {
    assert_eq!(
        bits(found),
        bits(number(expected)),
        "{id}: {found} for {expected}"
    );
}

fn all_same(id: &str, found: &[f64], expected: &Value) {
    let bits = |values: &[f64]| values.iter().copied().map(bits).collect::<Vec<_>>();
    assert_eq!(bits(found), bits(&numbers(expected)), "{id}");
}

fn sides(case: &Value) -> Pair<Vec<f64>> {
    Pair {
        control: numbers(&case["control"]),
        experiment: numbers(&case["experiment"]),
    }
}

fn sorted_keys(pair: &Pair<Vec<f64>>) -> Pair<Vec<u64>> {
    pair.as_ref().map(|values| {
        let mut keys: Vec<u64> = values.iter().map(|value| order_key(*value)).collect();
        keys.sort_unstable();
        keys
    })
}

fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().unwrap().iter().map(number).collect()
}

fn number(value: &Value) -> f64 {
    match value.as_str() {
        Some("NaN") => f64::NAN,
        Some("Infinity") => f64::INFINITY,
        Some("-Infinity") => f64::NEG_INFINITY,
        _ => value.as_f64().unwrap(),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}
