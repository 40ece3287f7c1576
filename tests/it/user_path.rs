//! The whole path of a user: margins are learned from what a real Prometheus has, a release is judged by them in
//! real time, its report is read, and it is judged once more with other margins.

use std::collections::HashMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use serde_json::{Value, json};
use serin::clock::Clock;

use crate::calibrating::real::{Noise, started};
use crate::calibrating::{ended, start};
use crate::crash::{Process, free_port};
use crate::harness::{Client, service};

const METRICS: [&str; 2] = ["latency", "errors"];
/// Seconds between two points.
const STEP: i64 = 2;
const PAST: i64 = 5 * 3600;
/// What is there already when the release asks for it.
const AHEAD: i64 = 1800;
/// What the release changes, which is less than the pods differ by.
const CHANGE: f64 = 0.04;
const WINDOWS: usize = 60;
/// How often the release is judged, once a minute.
const LOOKS: usize = 3;

/// Of two pods whose levels wander, and of a release.
fn history() -> String {
    let now = Clock::System.now_millis() / 1000;
    let mut text = String::new();
    for (number, metric) in (0..).zip(METRICS) {
        let _ = writeln!(text, "# TYPE {metric} gauge");
        for (version, seed) in ["a", "b", "release"].into_iter().zip(0..) {
            let mut noise = Noise(3 * number + seed);
            for time in (now - PAST..now + AHEAD).step_by(2) {
                #[expect(clippy::cast_precision_loss, reason = "small")]
                let turn = ((time - now) as f64 / 2_800.0 * std::f64::consts::TAU).sin();
                let level = match version {
                    "b" => 100.0 * (1.0 + 0.1 * turn),
                    "release" => 100.0 * (1.0 + CHANGE),
                    _ => 100.0,
                };
                let value = level * (0.01 * noise.normal()).exp();
                let _ = writeln!(text, "{metric}{{version=\"{version}\"}} {value} {time}");
            }
        }
    }
    text + "# EOF\n"
}

fn config() -> Value {
    let metrics = METRICS.map(|name| {
        json!({"name": name, "groups": [name], "scopeName": "default",
            "query": {"type": "prometheus", "metricName": name, "customInlineTemplate": "version=\"${scope}\""},
            "analysisConfigurations": {"canary": {"direction": "increase"}}})
    });
    json!({"id": "checkout", "name": "checkout", "applications": ["shop"], "metrics": metrics,
        "judge": {"name": "sequential-v1", "judgeConfigurations": {"calibration": "checkout", "lifetimeMins": LOOKS}},
        "classifier": {"groupWeights": {"latency": 50, "errors": 50}}})
}

/// A clock that runs three times as fast, where there is one, so that three minutes are one.
async fn serin(folder: &std::path::Path, prometheus: &str) -> Process {
    let library = service("SERIN_TEST_FAKETIME").filter(|library| !library.is_empty());
    let variables: Vec<(&str, &str)> = match &library {
        Some(library) => vec![
            ("LD_PRELOAD", library),
            ("FAKETIME", "+0 x3"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ],
        None => Vec::new(),
    };
    Process::start_with(&folder.join("data"), prometheus, free_port(), &variables).await
}

async fn learn(client: &Client) -> Value {
    let mut taught = config();
    taught["judge"]["judgeConfigurations"] = json!({});
    let request = json!({"canaryConfig": taught, "control": {"scope": "a"}, "against": [{"scope": "b"}],
        "windows": WINDOWS, "windowMins": LOOKS, "intervalMins": 1, "step": STEP, "write": "checkout"});
    let document = ended(client, &start(client, &request).await).await;
    assert_eq!(document["status"], "succeeded", "{document}");
    document["learned"].clone()
}

/// A release in real time, once it has ended.
async fn released(client: &Client) -> (String, Value) {
    let request = json!({
        "scopes": [{"scopeName": "default", "controlScope": "a", "experimentScope": "release", "step": STEP}],
        "thresholds": {"pass": 95, "marginal": 75}, "lifetimeDurationMins": LOOKS, "analysisIntervalMins": 1});
    let path = "/standalone_canary_analysis";
    let (status, answer) = client
        .post(&format!("{path}/checkout?application=shop"), &request)
        .await;
    assert_eq!(status, 200, "{answer}");
    let id = answer["canaryAnalysisExecutionId"].as_str().unwrap();
    let begun = Instant::now();
    loop {
        let (_, document) = client.get(&format!("{path}/{id}?wait=10s")).await;
        if document["complete"] == true {
            return (id.to_owned(), document);
        }
        assert!(begun.elapsed() < Duration::from_mins(4), "{document}");
    }
}

/// Each metric is held against the margin that was learned for it; at the last look it lies within, and that is told.
fn is_told_by(run: &Value, learned: &Value, is_last: bool) {
    let results = run["result"]["judgeResult"]["results"].as_array().unwrap();
    assert_eq!(results.len(), METRICS.len());
    for (result, metric) in results.iter().zip(learned["metrics"].as_array().unwrap()) {
        let explanation = &result["explanation"];
        let sequential = &explanation["sequential"];
        assert_eq!(sequential["margin"]["origin"], "learned", "{result}");
        let number = |value: &Value| value.as_f64().unwrap();
        let margin = number(&sequential["margin"]["upPercent"]);
        assert!((margin - 100.0 * number(&metric["margin"])).abs() < 1e-9);
        if !is_last {
            continue;
        }
        let [lower, estimate, upper] =
            ["lower", "estimate", "upper"].map(|name| number(&sequential["percent"][name]));
        assert!(lower < estimate && estimate < upper, "{sequential}");
        assert!((estimate - 100.0 * CHANGE).abs() < 2.0, "{sequential}");
        assert!(upper < margin, "{sequential}");
        let sentence = explanation["sentence"].as_str().unwrap();
        let told = format!("learned from {WINDOWS} windows");
        assert!(sentence.contains(&told), "{sentence}");
    }
}

async fn page(client: &Client, path: &str, wanted: &[&str]) {
    let answer = client
        .http
        .get(format!("{}{path}", client.url))
        .send()
        .await;
    let answer = answer.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    let text = answer.text().await.unwrap();
    for wanted in wanted {
        assert!(text.contains(wanted), "{path}: {wanted} in {text}");
    }
}

/// As it was sent.
async fn result(client: &Client, url: &str, body: Option<&Value>, place: &str) -> String {
    let url = format!("{}{url}", client.url);
    let request = match body {
        Some(body) => client.http.post(url).json(body),
        None => client.http.get(url),
    };
    let text = request.send().await.unwrap().text().await.unwrap();
    let mut found: &RawValue = serde_json::from_str(&text).unwrap();
    for name in place.split('.') {
        found = if let Ok(at) = name.parse::<usize>() {
            serde_json::from_str::<Vec<&RawValue>>(found.get()).unwrap()[at]
        } else {
            serde_json::from_str::<HashMap<&str, &RawValue>>(found.get()).unwrap()[name]
        };
    }
    found.get().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn margins_are_learned_and_judge_a_release_in_real_time_which_is_judged_once_more() {
    let Some(prometheus) = started(history).await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let serin = serin(folder.path(), &prometheus.url).await;
    let client = &serin.client;

    let learned = learn(client).await;
    for metric in learned["metrics"].as_array().unwrap() {
        let margin = metric["margin"].as_f64().unwrap();
        assert!(1.5 * CHANGE < margin && margin < 0.5, "{learned}");
    }
    let (status, told) = client.post("/canaryConfig", &config()).await;
    assert_eq!(status, 200, "{told}");

    let (id, analysis) = released(client).await;
    assert_eq!(analysis["outcome"], "pass", "{analysis}");
    let runs = analysis["canaryAnalysisExecutionResult"]["canaryExecutionResults"]
        .as_array()
        .unwrap();
    assert_eq!(runs.len(), LOOKS, "{analysis}");
    let begin = analysis["startTimeMillis"].as_i64().unwrap();
    let last = runs[LOOKS - 1]["executionId"].as_str().unwrap();
    for (look, run) in (1_i64..).zip(runs) {
        assert_eq!(run["judgementEndTimeMillis"], begin + look * 60_000);
        let run = run["executionId"].as_str().unwrap();
        let (_, run) = client.get(&format!("/canary/{run}")).await;
        assert_eq!(run["learned"], learned, "{run}");
        assert_eq!(run["look"]["number"], look);
        is_told_by(&run, &learned, run["pipelineId"] == *last);
    }

    let from_windows = format!("learned from {WINDOWS} windows");
    let wanted = ["How the intervals close", "latency", "<path class=\"at\""];
    page(client, &format!("/ui/analyses/{id}"), &wanted).await;
    let wanted = ["Against the margins", &from_windows];
    page(client, &format!("/ui/runs/{last}"), &wanted).await;
    page(client, &format!("/ui/runs/{last}/report.html"), &wanted).await;

    let before = result(
        client,
        &format!("/canary/{last}"),
        None,
        "result.judgeResult",
    )
    .await;
    let same = json!({"runs": [last]});
    let again = result(client, "/replay", Some(&same), "runs.0.result").await;
    assert_eq!(before, again, "to the last byte");
    let narrow = json!({"runs": [last], "whatIf": {"margin": 0.01}});
    let (_, told) = client.post("/replay", &narrow).await;
    let told = &told["runs"][0];
    assert_eq!(
        (&told["before"]["outcome"], &told["after"]["outcome"]),
        (&json!("pass"), &json!("fail")),
        "{told}"
    );

    let typed = [
        (vec![], 0, "the same results"),
        (vec!["--margin", "0.01"], 1, "another verdict"),
    ];
    for (options, code, wanted) in typed {
        let url = client.url.clone();
        let last = last.to_owned();
        let output = tokio::task::spawn_blocking(move || {
            let mut arguments = vec!["replay", &last, "--server", &url, "--exit-code"];
            arguments.extend(options);
            crate::command::serin(&arguments, "")
        });
        let output = output.await.unwrap();
        let text = crate::command::text(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(wanted), "{text}");
    }
}
