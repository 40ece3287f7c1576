//! A release of several looks, judged by `sequential-v1`, through every door that clients use.
//!
//! What is bad stops at the look that sees it, what is good passes at the last, and what is not decided yet is a
//! failure for nobody.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::economy;
use crate::flagger::ask;
use crate::harness::{Client, Serin};
use crate::scripted_prometheus::{Asked, Reply, ScriptedPrometheus};

const START: i64 = 1_717_203_600_000;
const MINUTE: i64 = 60_000;
const LOOKS: [i64; 3] = [20, 40, 60];
const PASS: f64 = 95.0;
const MARGINAL: f64 = 75.0;

/// How a release goes by the name of its scope. `traffic` is the same on both sides, whatever the release.
fn release(asked: &Asked) -> Reply {
    let query = asked.params["query"].clone();
    let is = |word: &str| query.contains(word);
    economy::answer(asked, &["a"], |_, time| {
        let minute = (time - START) / MINUTE;
        let mixed = query.bytes().fold(minute.cast_unsigned(), |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        });
        let noise = f64::from(u32::try_from(mixed >> 40).unwrap() % 1000) / 1000.0 - 0.5;
        let at = |level: f64, spread: f64| Some(level * (1.0 + spread * noise));
        match () {
            () if is("traffic") => at(100.0, 0.1),
            () if is("silent") && is("errors") => None,
            () if is("starting") && is("errors") && minute < 5 => None,
            () if is("bad") => at(200.0, 0.1),
            () if is("late") && 20 <= minute => at(300.0, 0.1),
            // Neither a change nor none can be told of it.
            () if is("noisy") => at(104.0, 1.5),
            () => at(100.0, 0.1),
        }
    })
}

async fn start() -> (Serin, ScriptedPrometheus) {
    let prometheus = ScriptedPrometheus::start(release).await;
    let serin = Serin::start(&prometheus.url).await;
    for (name, judge) in [
        ("looks", json!({"lifetimeMins": 60})),
        ("one-by-one", json!({})),
    ] {
        let (status, told) = serin
            .client
            .post("/canaryConfig", &config(name, &judge))
            .await;
        assert_eq!(status, 200, "{told}");
    }
    (serin, prometheus)
}

/// Of a metric that was not measured the verdict hangs, and most of the metrics have data.
fn config(name: &str, judge: &Value) -> Value {
    let metric = |name: &str| {
        json!({"name": name, "groups": [name], "scopeName": "default",
            "query": {"type": "prometheus", "metricName": name, "customInlineTemplate": "version=\"${scope}\""},
            "analysisConfigurations": {"canary": {"direction": "increase"}}})
    };
    let metrics = ["latency", "errors", "traffic"].map(metric);
    json!({"id": name, "name": name, "applications": ["podinfo"], "metrics": metrics,
        "judge": {"name": "sequential-v1", "judgeConfigurations": judge},
        "classifier": {"groupWeights": {"latency": 30, "errors": 30, "traffic": 40}}})
}

fn iso(minute: i64) -> String {
    jiff::Timestamp::from_millisecond(START + minute * MINUTE)
        .unwrap()
        .to_string()
}

/// A window that grows, as a stage of Orca asks for it.
async fn judged(client: &Client, config: &str, experiment: &str, minutes: i64) -> Value {
    let side =
        |scope: &str| json!({"scope": scope, "start": iso(0), "end": iso(minutes), "step": 60});
    let request = json!({
        "scopes": {"default": {"controlScope": side("prod"), "experimentScope": side(experiment)}},
        "thresholds": {"pass": PASS, "marginal": MARGINAL}});
    let path = format!("/canary/{config}?application=podinfo");
    let id = client.start_canary(&path, &request).await;
    let done = client.poll(&id).await;
    assert_eq!(done["status"], "succeeded", "{done}");
    done
}

/// What a client that cuts scores to whole numbers reads.
fn score(execution: &Value) -> f64 {
    let score = &execution["result"]["judgeResult"]["score"]["score"];
    score.as_f64().unwrap().trunc()
}

#[tokio::test]
async fn a_stage_of_orca_stops_at_the_look_that_sees_it() {
    let (serin, _prometheus) = start().await;
    // Which interval is the last, and whether the stage goes on from there.
    let cases = [
        ("looks", "good", 3, true),
        ("looks", "noisy", 3, true),
        ("looks", "starting", 3, true),
        ("looks", "bad", 1, false),
        ("looks", "late", 2, false),
        ("looks", "silent", 3, false),
        ("one-by-one", "good", 3, true),
        ("one-by-one", "silent", 3, false),
    ];
    for (config, experiment, last, passes) in cases {
        let mut scores = Vec::new();
        for minutes in LOOKS {
            let execution = judged(&serin.client, config, experiment, minutes).await;
            scores.push(score(&execution));
            if scores[scores.len() - 1] <= MARGINAL {
                break;
            }
        }
        let has_passed = PASS <= scores[scores.len() - 1];
        assert_eq!(
            (scores.len(), has_passed),
            (last, passes),
            "{config} {experiment}: {scores:?}"
        );
    }
}

#[tokio::test]
async fn a_measurement_of_argo_fails_for_what_was_seen_alone() {
    let (serin, _prometheus) = start().await;
    let phase = |execution: &Value| match score(execution) {
        score if PASS <= score => "Successful",
        score if MARGINAL <= score => "Inconclusive",
        _ => "Failed",
    };
    let cases = [
        ("looks", "good", ["Successful"; 3]),
        ("looks", "noisy", ["Successful"; 3]),
        ("looks", "starting", ["Successful"; 3]),
        ("looks", "bad", ["Failed"; 3]),
        ("looks", "late", ["Successful", "Failed", "Failed"]),
        (
            "looks",
            "silent",
            ["Successful", "Successful", "Inconclusive"],
        ),
        // Without `lifetimeMins` each look is the last one.
        ("one-by-one", "silent", ["Inconclusive"; 3]),
    ];
    for (config, experiment, phases) in cases {
        for (minutes, expected) in LOOKS.into_iter().zip(phases) {
            let execution = judged(&serin.client, config, experiment, minutes).await;
            assert_eq!(
                phase(&execution),
                expected,
                "{experiment} {minutes}: {execution}"
            );
        }
    }
}

#[tokio::test]
async fn the_web_provider_of_argo_waits_for_what_was_not_measured() {
    let (serin, _prometheus) = start().await;
    let cases = [
        ("good", ["Pass"; 3]),
        ("noisy", ["Pass"; 3]),
        ("bad", ["Fail"; 3]),
        ("late", ["Pass", "Fail", "Fail"]),
        ("silent", ["Inconclusive"; 3]),
        ("starting", ["Inconclusive", "Inconclusive", "Pass"]),
    ];
    for (experiment, classes) in cases {
        for (minutes, expected) in LOOKS.into_iter().zip(classes) {
            let body = json!({
                "canaryConfigName": "looks", "controlScope": "prod", "experimentScope": experiment,
                "start": iso(0), "end": iso(minutes), "thresholds": {"pass": PASS, "marginal": MARGINAL}});
            let (status, told) = serin
                .client
                .post("/canary/verdict?application=podinfo", &body)
                .await;
            assert_eq!(
                (status, &told["classification"]),
                (200, &json!(expected)),
                "{experiment} {minutes}: {told}"
            );
            assert_eq!(told["pass"], expected == "Pass", "{told}");
        }
    }
}

#[tokio::test]
async fn an_analysis_stops_at_the_look_that_sees_it() {
    let (serin, _prometheus) = start().await;
    let cases = [
        ("good", 3, "pass"),
        ("noisy", 3, "pass"),
        ("starting", 3, "pass"),
        ("bad", 1, "fail"),
        ("late", 2, "fail"),
        ("silent", 3, "inconclusive"),
    ];
    for (experiment, looks, outcome) in cases {
        // The plan of an analysis is known: `lifetimeMins` is not asked for.
        let request = json!({
            "scopes": [{"controlScope": "prod", "experimentScope": experiment, "step": 60,
                "startTimeIso": iso(0), "endTimeIso": iso(60)}],
            "thresholds": {"pass": PASS, "marginal": MARGINAL}, "analysisIntervalMins": 20});
        let path = "/standalone_canary_analysis/one-by-one?application=podinfo";
        let (status, begun) = serin.client.post(path, &request).await;
        assert_eq!(status, 200, "{begun}");
        let id = begun["canaryAnalysisExecutionId"].as_str().unwrap();
        let done = ended(&serin.client, id).await;
        let runs = done["canaryAnalysisExecutionResult"]["canaryExecutionResults"]
            .as_array()
            .unwrap();
        assert_eq!(
            (runs.len(), &done["outcome"]),
            (looks, &json!(outcome)),
            "{experiment}: {done}"
        );
    }
}

async fn ended(client: &Client, id: &str) -> Value {
    let begun = Instant::now();
    loop {
        let (_, document) = client
            .get(&format!("/standalone_canary_analysis/{id}?wait=5s"))
            .await;
        if document["complete"] == true {
            return document;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "{document}");
    }
}

#[tokio::test]
async fn flagger_rolls_back_what_was_seen_and_halts_what_was_not_measured() {
    // The last look comes late, so that Flagger asks before it is decided.
    let prometheus = ScriptedPrometheus::start(|asked| {
        let is_last = 50 * MINUTE < economy::asked_millis(asked, "end") - START;
        let reply = release(asked);
        if is_last {
            reply.after(Duration::from_secs(3))
        } else {
            reply
        }
    })
    .await;
    let serin = Serin::start(&prometheus.url).await;
    let (status, told) = serin
        .client
        .post("/canaryConfig", &config("looks", &json!({})))
        .await;
    assert_eq!(status, 200, "{told}");
    // `rollout`, `confirm-promotion` and `rollback` at the end, and whether the last look comes.
    let cases = [
        ("good", [200, 200, 403], true),
        ("noisy", [200, 200, 403], true),
        ("bad", [403, 403, 200], false),
        ("late", [403, 403, 200], false),
        ("silent", [403, 403, 403], true),
    ];
    for (experiment, expected, is_waited_for) in cases {
        let metadata = json!({
            "canaryConfigName": "looks", "controlScope": "prod", "experimentScope": experiment,
            "startTime": iso(0), "endTime": iso(60), "interval": "20m"});
        let client = &serin.client;
        let mut was_undecided = false;
        let begun = Instant::now();
        loop {
            let (status, told) = ask(client, "rollout", experiment, &metadata).await;
            if !["begun", "running"].iter().any(|word| told.contains(word)) {
                break;
            }
            assert_eq!(status, 200, "{experiment}: {told}");
            if told.contains("2 of 3 judgements") {
                was_undecided = true;
                let (status, told) = ask(client, "rollback", experiment, &metadata).await;
                assert_eq!(status, 403, "{experiment}: {told}");
                // It may have been decided by now.
                let (status, told) = ask(client, "confirm-promotion", experiment, &metadata).await;
                let is_held = status == 403 || !told.contains("running");
                assert!(is_held, "{experiment}: {told}");
            }
            assert!(begun.elapsed() < Duration::from_mins(1), "{told}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(was_undecided, is_waited_for, "{experiment}");
        for (hook, expected) in ["rollout", "confirm-promotion", "rollback"]
            .into_iter()
            .zip(expected)
        {
            let (status, told) = ask(client, hook, experiment, &metadata).await;
            assert_eq!(status, expected, "{experiment} {hook}: {told}");
        }
    }
}

#[tokio::test]
async fn a_pipeline_exits_by_what_was_seen() {
    let prometheus = ScriptedPrometheus::start(release).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.json");
    std::fs::write(&file, config("looks", &json!({})).to_string()).unwrap();
    let cases = [
        ("good", 0, 3, "Pass"),
        ("noisy", 0, 3, "neither beyond the margin"),
        ("bad", 1, 1, "Fail"),
        ("late", 1, 2, "Fail"),
        ("silent", 3, 3, "Inconclusive"),
        ("starting", 0, 3, "1. ? Inconclusive"),
    ];
    for (experiment, code, looks, told) in cases {
        let junit = folder.path().join("junit.xml");
        let mut command = Command::new(env!("CARGO_BIN_EXE_serin"));
        command
            .args(["run", "--control=prod", "--interval=20m"])
            .args(["--prometheus", &prometheus.url, "--experiment", experiment])
            .args(["--start", &iso(0), "--end", &iso(60)])
            .args(["--canary-config", &file.display().to_string()])
            .args(["--report", &format!("junit={}", junit.display())])
            .env_remove("SERIN_CONFIG")
            .env_remove("GITHUB_STEP_SUMMARY");
        let output = tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap();
        let all = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(code), "{experiment}: {all}");
        assert!(all.contains(told), "{experiment}: {all}");
        let lines = (1..=4)
            .filter(|number| all.contains(&format!("{number}. ")))
            .count();
        assert_eq!(lines, looks, "{experiment}: {all}");
        // No tool calls a build bad for what was not measured.
        let junit = std::fs::read_to_string(&junit).unwrap();
        assert_eq!(
            junit.contains("<failure"),
            code == 1,
            "{experiment}: {junit}"
        );
        assert_eq!(
            junit.contains("<skipped"),
            code == 3,
            "{experiment}: {junit}"
        );
    }
}
