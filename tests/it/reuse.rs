//! The same series and the same verdict with reuse as without.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use serin::canary::MetricSet;
use serin::clock::Clock;

use crate::economy::{HOUR_ONE, MINUTE, answer, at, config_of, source_at, windows, without_reuse};
use crate::harness::{Serin, service};
use crate::prometheus_source::{Asking, account, config, source};
use crate::scripted_prometheus::ScriptedPrometheus;

const OVERLAP: i64 = 5 * MINUTE;

/// The text of a set has all digits, and NaN equals NaN there.
fn shown(sets: &[MetricSet]) -> String {
    format!("{sets:?}")
}

/// A number made of its parts, the same in every run.
fn drawn(parts: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

/// Series that come, have gaps and go; a sample may come late, or be corrected late.
fn sparse(seed: u64, label: &str, time: i64, now: i64) -> Option<f64> {
    let lives = drawn((seed, label, time / (10 * MINUTE))).is_multiple_of(2);
    let number = drawn((seed, label, time));
    let delay = i64::try_from(drawn((number, "late")) % OVERLAP.unsigned_abs()).unwrap();
    if !lives || now < time || number.is_multiple_of(5) {
        return None;
    }
    let values = [f64::NAN, f64::INFINITY, -0.0, 1e-300, 0.1, 123_456.789];
    let value = values[usize::try_from(number / 5 % 6).unwrap()];
    match number / 30 % 3 {
        0 if now < time + delay => None,
        1 if now < time + delay => Some(-1.0),
        _ => Some(value),
    }
}

/// How a window differs from the one before.
#[derive(Clone, Debug)]
struct Move {
    start_steps: i64,
    end_millis: i64,
    /// How long after the end of the window it is asked for; time never goes back.
    wait_millis: i64,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let start_steps = prop_oneof![4 => Just(0), 3 => 1..20_i64, 1 => -20..0_i64];
    let end_millis = prop_oneof![4 => 1..40 * MINUTE, 1 => -10 * MINUTE..0];
    let wait_millis = prop_oneof![3 => 0..2 * MINUTE, 2 => -30 * MINUTE..90 * MINUTE];
    let one = (start_steps, end_millis, wait_millis).prop_map(
        |(start_steps, end_millis, wait_millis)| Move {
            start_steps,
            end_millis,
            wait_millis,
        },
    );
    prop::collection::vec(one, 2..14)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn windows_that_grow_and_slide_equal_the_whole_fetch(
        seed: u64,
        step in prop::sample::select(vec![7_i64, 60, 61]),
        shift in prop::sample::select(vec![0_i64, 500, 541]),
        moves in moves(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check_moves(seed, step, HOUR_ONE + shift, &moves));
    }
}

async fn check_moves(seed: u64, step: i64, mut start: i64, moves: &[Move]) {
    let clock = Clock::settable(0);
    let now = clock.clone();
    let prometheus = ScriptedPrometheus::start(move |asked| {
        let now = now.now_millis();
        let data = |label: &str, time| sparse(seed, label, time, now);
        answer(asked, &["", "a", "a b", "b", "ä"], data)
    });
    let prometheus = prometheus.await;
    let config = config_of(&prometheus);
    let (sparing, lavish) = (
        source_at(&config, &clock),
        source_at(&without_reuse(&config), &clock),
    );
    let mut end = start + 20 * MINUTE;
    for Move {
        start_steps,
        end_millis,
        wait_millis,
    } in moves
    {
        start += start_steps * step * 1000;
        end = start.max(end + end_millis);
        clock.set(clock.now_millis().max(end + wait_millis));
        let asking = Asking::promql("m", &at(start), &at(end), step);
        let sets = asking.fetch(&sparing).await.unwrap();
        let whole = asking.fetch(&lavish).await.unwrap();
        assert_eq!(shown(&sets), shown(&whole), "{}", clock.now_millis());
    }
}

#[tokio::test]
async fn windows_over_a_real_prometheus_equal_the_whole_fetch() {
    let Some(url) = service("SERIN_TEST_PROMETHEUS_URL") else {
        return;
    };
    let config = config(vec![("real", account(&url))]);
    let (sparing, lavish) = (source(&config), source(&without_reuse(&config)));
    let queries = [
        "cpu_usage",
        "avg(cpu_usage) by (version)",
        "flaky_gauge or (cpu_usage and on() (vector(time()) < 1717205000)) \
         or (gce_cpu and on() (vector(time()) > 1717207000))",
        "rate(cpu_usage[3m] offset 1m)",
        "max_over_time(cpu_usage[10m:1m])",
        "topk(1, cpu_usage)",
        "absent(cpu_usage{version=\"nosuch\"})",
        "cpu_usage @ end()",
    ];
    let start = HOUR_ONE - 10 * MINUTE + 250;
    let mut series = 0;
    for query in queries {
        for (slid, grown) in [(0, 20), (0, 31), (0, 47), (13, 62), (26, 62), (26, 90)] {
            let (start, end) = (start + slid * 30_000, start + grown * MINUTE + 1);
            let asking = Asking::promql(query, &at(start), &at(end), 30);
            let sets = asking.fetch(&sparing).await.unwrap();
            let whole = asking.fetch(&lavish).await.unwrap();
            assert_eq!(shown(&sets), shown(&whole), "{query}");
            series += sets.iter().filter(|set| !set.values.is_empty()).count();
        }
    }
    assert!(queries.len() * 6 < series);
}

#[tokio::test]
async fn the_verdict_is_the_same_with_reuse_and_without() {
    let prometheus = ScriptedPrometheus::start(|asked| {
        let query = &asked.params["query"];
        let level = if query.contains("errors") && query.contains("v2") {
            9
        } else {
            0
        };
        // A gap now and then, and a series that begins later.
        answer(asked, &["a", "b"], |label, time| {
            let number = drawn((query, label, time));
            let lives = label == "a" || HOUR_ONE + 25 * MINUTE < time;
            let value = f64::from(u8::try_from(level + number % 10).unwrap());
            (lives && !number.is_multiple_of(7)).then_some(value)
        })
    });
    let prometheus = prometheus.await;
    let metric = |name: &str| {
        json!({
            "name": name, "scopeName": "default", "groups": [name],
            "analysisConfigurations": {"canary": {"direction": "either"}},
            "query": {"type": "prometheus", "metricName": name, "customInlineTemplate": "version=\"${scope}\""},
        })
    };
    let metrics = ["latency", "errors", "cpu"].map(metric);
    let (mut told, mut minutes) = (Vec::new(), Vec::new());
    for reuse in ["true", "false"] {
        let before = prometheus.asked().len();
        let keys = [("kayenta.prometheus.reuse.enabled", reuse)];
        let serin = Serin::start_with(&prometheus.url, &keys, None).await;
        let mut judged = Vec::new();
        for lookback in [0, 30] {
            let body = json!({
                "canaryConfig": {
                    "metrics": metrics,
                    "classifier": {"groupWeights": {}},
                },
                "executionRequest": {
                    "scopes": [{"controlScope": "v1", "experimentScope": "v2", "step": 60,
                        "startTimeIso": at(HOUR_ONE), "endTimeIso": at(HOUR_ONE + 60 * MINUTE)}],
                    "thresholds": {"pass": 0, "marginal": 0}, "analysisIntervalMins": 10,
                    "lookbackMins": lookback,
                },
            });
            judged.push(analysis(&serin, &body).await);
        }
        told.push(judged);
        let windows = windows(&prometheus).split_off(before);
        minutes.push(windows.iter().map(|(start, end)| end - start).sum::<i64>());
    }
    assert!(2 * minutes[0] < minutes[1], "{minutes:?}");
    let samples = |pair: &Value| pair["timestamps"]["control"].as_array().map_or(0, Vec::len);
    let pairs = told[0][0].last().unwrap()["pairs"].as_array().unwrap();
    assert!(pairs.iter().all(|pair| 10 < samples(pair)), "{pairs:?}");
    assert_eq!(told[0], told[1]);
}

/// Judgement and pairs of every canary of an analysis, without ids.
async fn analysis(serin: &Serin, body: &Value) -> Vec<Value> {
    let client = &serin.client;
    let (status, answer) = client.post("/standalone_canary_analysis", body).await;
    assert_eq!(status, 200, "{answer}");
    let id = answer["canaryAnalysisExecutionId"].as_str().unwrap();
    let path = format!("/standalone_canary_analysis/{id}");
    let mut done = json!({});
    while done["complete"] != true {
        tokio::time::sleep(Duration::from_millis(20)).await;
        done = client.get(&path).await.1;
    }
    let runs = &done["canaryAnalysisExecutionResult"]["canaryExecutionResults"];
    let mut told = Vec::new();
    for run in runs.as_array().unwrap() {
        let mut judged = run["result"]["judgeResult"].clone();
        for one in judged["results"].as_array_mut().unwrap() {
            one["id"].take();
        }
        let doubts = judged["summary"].get_mut("doubts");
        for one in doubts.and_then(Value::as_array_mut).into_iter().flatten() {
            one["id"].take();
        }
        let list = run["metricSetPairListId"].as_str().unwrap();
        let (status, mut pairs) = client.get(&format!("/metricSetPairList/{list}")).await;
        assert_eq!(status, 200, "{pairs}");
        for pair in pairs.as_array_mut().unwrap() {
            pair["id"].take();
            for side in ["control", "experiment"] {
                pair["attributes"][side]["askedAt"].take();
            }
        }
        told.push(json!({"judged": judged, "pairs": pairs}));
    }
    assert_eq!(told.len(), 6, "{done}");
    told
}
