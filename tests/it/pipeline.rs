//! `serin run`: what a pipeline is told, and by which exit code.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::command::text;
use crate::executions::series;
use crate::harness::Serin;
use crate::scripted_prometheus::{Asked, Reply, ScriptedPrometheus};

/// What is asked for says how it goes.
fn as_named(asked: &Asked) -> Reply {
    let query = &asked.params["query"];
    let has = |part: &str| query.contains(part);
    match () {
        () if has("silent") => Reply::matrix(&json!([])),
        () if has("broken") => Reply::text(
            400,
            r#"{"status":"error","errorType":"bad_data","error":"no such function"}"#,
        ),
        () if has("slow") => series(1.0).after(Duration::from_secs(20)),
        () if has("bad") && has("v2") => series(4.0),
        () => series(1.0),
    }
}

const WINDOW: [&str; 4] = [
    "--start=2024-06-01T01:00:00Z",
    "--end=2024-06-01T01:05:00Z",
    "--control=v1",
    "--experiment=v2",
];

fn command(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_serin"));
    command
        .arg("run")
        .args(arguments)
        .env_remove("SERIN_CONFIG")
        .env_remove("GITHUB_STEP_SUMMARY")
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

async fn run(arguments: &[&str], environment: &[(&str, &str)], input: &str) -> (i32, String) {
    let mut command = command(arguments, environment);
    let input = input.to_owned();
    let output = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // Who does not read it has closed it.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output().unwrap()
    });
    end(&output.await.unwrap())
}

fn end(output: &Output) -> (i32, String) {
    let told = text(&output.stdout) + &text(&output.stderr);
    assert!(!told.contains("panicked"), "{told}");
    (output.status.code().unwrap(), told)
}

/// Each metric in a group of its own.
fn plan(metrics: &[(&str, Value)]) -> Value {
    let metric = |(name, policy): &(&str, Value)| {
        json!({
            "name": name, "scopeName": "default", "groups": [name],
            "query": {"type": "prometheus", "customInlineTemplate": format!("PromQL:{name}{{version=\"${{scope}}\"}}")},
            "analysisConfigurations": {"canary": policy},
        })
    };
    let metrics: Vec<Value> = metrics.iter().map(metric).collect();
    json!({
        "application": "shop",
        "canaryConfig": {"name": "checkout", "metrics": metrics, "classifier": {"groupWeights": {}}},
        "control": "v1", "experiment": "v2",
        "start": "2024-06-01T01:00:00Z", "end": "2024-06-01T01:05:00Z",
    })
}

#[tokio::test]
async fn a_pipeline_can_tell_a_bad_canary_from_a_broken_tool() {
    let prometheus = ScriptedPrometheus::start(as_named).await;
    let plain = || json!({"direction": "either"});
    let critical = || json!({"direction": "either", "critical": true});
    let mut muted = plan(&[("good", plain()), ("silent", plain())]);
    let verdicts = [
        // what the data are                                             code  what is told
        (
            plan(&[("good", plain())]),
            0,
            "Pass: shop · checkout, score 100",
        ),
        (
            plan(&[("bad", plain())]),
            1,
            "Fail: shop · checkout, score 0",
        ),
        (plan(&[("good", plain()), ("bad", critical())]), 1, "Fail"),
        (
            plan(&[
                ("good", plain()),
                ("good2", plain()),
                ("good3", plain()),
                ("good4", plain()),
                ("bad", plain()),
            ]),
            2,
            "Marginal: shop · checkout, score 80",
        ),
        (
            plan(&[("good", plain()), ("silent", plain())]),
            3,
            "Half of the metrics or more had no data",
        ),
        (
            plan(&[
                ("good", plain()),
                ("good2", plain()),
                ("silent", critical()),
            ]),
            3,
            "The critical metric 'silent' could not be judged",
        ),
        (
            {
                muted["canaryConfig"]["metrics"][0]["analysisConfigurations"]["canary"] =
                    json!({"direction": "either", "mustHaveData": false});
                muted["canaryConfig"]["metrics"]
                    .as_array_mut()
                    .unwrap()
                    .remove(0);
                muted
            },
            3,
            "Could not tell",
        ),
        (plan(&[("broken", plain())]), 69, "no such function"),
    ];
    for (plan, code, part) in verdicts {
        let arguments = ["-f", "-", "--prometheus", &prometheus.url];
        let (exit, told) = run(&arguments, &[], &plan.to_string()).await;
        assert_eq!(exit, code, "{told}");
        assert!(told.contains(part), "{told}");
    }
}

#[tokio::test]
async fn what_was_typed_wrong_is_told_with_what_would_be_right() {
    let serin = Serin::start("http://127.0.0.1:1").await;
    let server = serin.service.url.as_str();
    let errors = r#"errors=e{version="${scope}"}"#;
    let window = |more: &[&'static str]| [&WINDOW[..], more].concat();
    let cases = [
        (vec!["--nosuch"], "", "--nosuch"),
        (vec!["-f", "nosuch.yml"], "", "nosuch.yml"),
        (vec!["-f", "-"], "[1]", "mapping of keys"),
        (vec!["-f", "-"], "a: [", "line 2"),
        (
            vec!["-f", "-"],
            "experimnt: v2",
            "unknown field `experimnt`",
        ),
        (
            vec!["-f", "-"],
            "thresholds: {pass: much}",
            "thresholds.pass",
        ),
        (vec!["-f", "-"], "analysis: {lifetime: soon}", "'5m'"),
        (vec!["--metric", "errors"], "", "NAME=PROMQL"),
        (window(&[]), "", "--metric 'errors="),
        (
            window(&["--metric", errors, "--config-id", "a"]),
            "",
            "only one of",
        ),
        (window(&["--metric", errors]), "", "--server URL"),
        (
            vec!["--metric", errors, "--server", server],
            "",
            "--control v1",
        ),
        (
            vec!["--metric", errors, "--server", server, "--control", "v1"],
            "",
            "--experiment NAME",
        ),
        (
            window(&[
                "--metric",
                errors,
                "--window",
                "last 1h",
                "--server",
                "http://127.0.0.1:1",
            ]),
            "",
            "both",
        ),
        (
            window(&["--metric", errors, "--server", "serin.example.com"]),
            "",
            "https://serin.example.com",
        ),
        (
            window(&["--metric", errors, "--prometheus", "ftp://x"]),
            "",
            "ftp://x",
        ),
        (
            vec![
                "--metric",
                errors,
                "--control=a",
                "--experiment=b",
                "--server=http://127.0.0.1:1",
                "--window=1h",
                "--lifetime=1h",
            ],
            "",
            "give one",
        ),
        (
            window(&["--metric", errors, "--report", "pdf=x"]),
            "",
            "junit, markdown, json and html",
        ),
        (
            vec![
                "--metric",
                errors,
                "--control=a",
                "--experiment=b",
                "--prometheus=http://127.0.0.1:1",
                "--interval=5m",
                "--lifetime=90s",
            ],
            "",
            "whole minutes",
        ),
    ];
    for (arguments, input, part) in cases {
        let (exit, told) = run(&arguments, &[], input).await;
        assert_eq!(exit, 64, "{arguments:?}: {told}");
        assert!(told.contains(part), "{arguments:?}: {told}");
    }
}

#[tokio::test]
async fn what_a_server_refuses_and_one_that_is_away_are_told() {
    let serin = Serin::start("http://127.0.0.1:1").await;
    let server = serin.service.url.as_str();
    let errors = r#"errors=e{version="${scope}"}"#;
    let of_server = [
        (vec!["--config-id", "nosuch"], "nosuch"),
        (vec!["--config-name", "nosuch"], "there are none"),
        (
            vec!["--metric", errors, "--metrics-account", "nosuch"],
            "nosuch",
        ),
    ];
    for (arguments, part) in of_server {
        let arguments = [&WINDOW[..], &["--server", server], &arguments].concat();
        let (exit, told) = run(&arguments, &[], "").await;
        assert_eq!(exit, 64, "{arguments:?}: {told}");
        assert!(told.contains(part), "{arguments:?}: {told}");
    }
    let away = [
        &WINDOW[..],
        &[
            "--metric",
            errors,
            "--server",
            "http://someone:hidden@127.0.0.1:1",
            "--patience",
            "1s",
        ],
    ]
    .concat();
    let (exit, told) = run(&away, &[], "").await;
    assert_eq!(exit, 69, "{told}");
    assert!(
        told.contains("no answer") && !told.contains("hidden"),
        "{told}"
    );
}

#[tokio::test]
async fn a_server_judges_what_it_has_and_every_report_is_written() {
    let prometheus = ScriptedPrometheus::start(as_named).await;
    let serin = Serin::start(&prometheus.url).await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let policy = json!({"direction": "increase"});
    let names: Vec<String> = (0..50)
        .map(|index| format!("bad_{index}_{}", "long_name_".repeat(6)))
        .collect();
    let metrics: Vec<(&str, Value)> = names
        .iter()
        .map(|name| (name.as_str(), policy.clone()))
        .collect();
    let mut config = plan(&metrics)["canaryConfig"].clone();
    config["applications"] = json!(["shop"]);
    let (status, _) = serin.client.post("/canaryConfig", &config).await;
    assert_eq!(status, 200);

    let report = format!(
        "junit={},markdown={},json={},html={}",
        file("junit.xml"),
        file("summary.md"),
        file("canary.json"),
        file("canary.html")
    );
    let arguments = [
        &WINDOW[..],
        &[
            "--server",
            &serin.service.url,
            "--config-name",
            "checkout",
            "--application",
            "shop",
            "--report",
            &report,
        ],
    ]
    .concat();
    let summary = file("step.md");
    for _ in 0..2 {
        let (exit, told) = run(&arguments, &[("GITHUB_STEP_SUMMARY", &summary)], "").await;
        assert_eq!(exit, 1, "{told}");
        assert!(
            told.contains(&format!("Report: {}/ui/runs/", serin.service.url)),
            "{told}"
        );
    }

    let read = |name: &str| std::fs::read_to_string(Path::new(&file(name))).unwrap();
    let document: Value = serde_json::from_str(&read("canary.json")).unwrap();
    let id = document["pipelineId"].as_str().unwrap();
    let (_, on_server) = serin.client.get(&format!("/canary/{id}")).await;
    assert_eq!(document, on_server);
    assert_eq!(document["application"], "shop");

    let markdown = read("summary.md");
    assert!(markdown.len() < 65_000, "{} bytes", markdown.len());
    assert_eq!(markdown.matches("| High |").count(), 50);
    assert!(markdown.contains(&format!("/ui/runs/{id}")));
    assert_eq!(read("step.md").matches("### ❌ Fail").count(), 2);

    let junit = read("junit.xml");
    assert!(
        junit.contains(r#"tests="51" disabled="0" errors="0" failures="51""#),
        "{junit}"
    );
    assert!(read("canary.html").contains("<!doctype html>"));
}

#[tokio::test]
async fn a_report_that_cannot_be_written_changes_no_verdict() {
    let prometheus = ScriptedPrometheus::start(as_named).await;
    let arguments = [
        "-f",
        "-",
        "--prometheus",
        &prometheus.url,
        "--report",
        "json=/dev/null/canary.json",
    ];
    let policy = json!({"direction": "increase"});
    for (metric, code) in [("good", 0), ("bad", 1)] {
        let plan = plan(&[(metric, policy.clone())]).to_string();
        let (exit, told) = run(&arguments, &[], &plan).await;
        assert_eq!(exit, code, "{told}");
        assert!(
            told.contains("cannot write '/dev/null/canary.json'"),
            "{told}"
        );
    }
}

#[tokio::test]
async fn a_summary_stays_below_what_a_comment_may_have() {
    let prometheus = ScriptedPrometheus::start(as_named).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("summary.md");
    let policy = json!({"direction": "increase"});
    let names: Vec<String> = (0..50)
        .map(|index| format!("bad_{index}_{}", "x".repeat(800)))
        .collect();
    let metrics: Vec<(&str, Value)> = names
        .iter()
        .map(|name| (name.as_str(), policy.clone()))
        .collect();
    let report = format!("markdown={}", file.display());
    let arguments = [
        "-f",
        "-",
        "--prometheus",
        &prometheus.url,
        "--report",
        &report,
    ];
    let (exit, told) = run(&arguments, &[], &plan(&metrics).to_string()).await;
    assert_eq!(exit, 1, "{told}");
    let markdown = std::fs::read_to_string(file).unwrap();
    assert!(markdown.len() < 65_536, "{} bytes", markdown.len());
    assert!(markdown.contains("more metrics are in the report"));
}

#[tokio::test]
async fn every_value_comes_from_the_file_the_environment_or_a_flag_the_flag_first() {
    let prometheus = ScriptedPrometheus::start(as_named).await;
    let folder = tempfile::tempdir().unwrap();
    let plan = folder.path().join("canary.yml");
    std::fs::write(
        &plan,
        r#"
application: of the file
metrics: {good: 'good{version="${scope}",zone="${zone}"}'}
control: {scope: v1, location: eu}
experiment: v2
start: 2024-06-01T01:00:00Z
end: 2024-06-01T01:05:00Z
step: 30
params: {zone: a}
thresholds: {pass: 80, marginal: 50}
"#,
    )
    .unwrap();
    let json = folder.path().join("canary.json");
    let report = format!("json={}", json.display());
    let environment = [
        ("SERIN_RUN_FILE", plan.to_str().unwrap()),
        ("SERIN_PROMETHEUS_URL", &prometheus.url),
        ("SERIN_RUN_APPLICATION", "of the environment"),
        ("SERIN_RUN_STEP", "15"),
        ("SERIN_RUN_REPORT", &report),
        // What a pipeline hands on and nobody has set.
        ("SERIN_SERVER", ""),
        ("SERIN_TOKEN", ""),
        ("SERIN_TOKEN_FILE", ""),
        ("SERIN_RUN_PASS", ""),
        ("SERIN_RUN_METRIC", ""),
    ];
    let flags = [
        "--step",
        "60",
        "--experiment-location",
        "us",
        "--param",
        "zone=b",
        "--set",
        "siteLocal.team=blue",
    ];
    let (exit, told) = run(&flags, &environment, "").await;
    assert_eq!(exit, 0, "{told}");
    let document: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert_eq!(document["application"], "of the environment");
    let request = &document["canaryExecutionRequest"];
    let side = |scope: &str, location: Value| {
        let mut side = json!({"scope": scope, "start": "2024-06-01T01:00:00Z", "end": "2024-06-01T01:05:00Z",
            "step": 60, "extendedScopeParams": {"zone": "b"}});
        if !location.is_null() {
            side["location"] = location;
        }
        side
    };
    let scopes = &request["scopes"]["default"];
    assert_eq!(scopes["controlScope"], side("v1", json!("eu")));
    assert_eq!(scopes["experimentScope"], side("v2", json!("us")));
    assert_eq!(
        request["thresholds"],
        json!({"pass": 80.0, "marginal": 50.0})
    );
    assert_eq!(request["siteLocal"], json!({"team": "blue"}));
}

#[tokio::test]
async fn what_is_typed_takes_the_place_of_variables_and_keys_that_it_excludes() {
    let prometheus = ScriptedPrometheus::start(as_named).await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let mut plan = plan(&[("bad", json!({"direction": "increase"}))]);
    let config = plan["canaryConfig"].take();
    plan.as_object_mut().unwrap().remove("canaryConfig");
    plan["canaryConfigFile"] = json!("config.json");
    std::fs::write(path("canary.json"), plan.to_string()).unwrap();
    std::fs::write(path("config.json"), config.to_string()).unwrap();
    let file = path("canary.json");
    let beside = ["-f", &file, "--prometheus", &prometheus.url];
    let environment = [
        ("SERIN_SERVER", "http://127.0.0.1:1"),
        ("SERIN_PATIENCE", ""),
    ];
    let (exit, told) = run(&beside, &environment, "").await;
    assert_eq!(exit, 1, "{told}");

    // A flag names a file as the shell does, not as the plan does.
    let config = path("config.json");
    let flag = [&beside[..], &["--canary-config", &config]].concat();
    let (exit, told) = run(&flag, &[], "").await;
    assert_eq!(exit, 1, "{told}");

    let long = "good=good{version=\"${scope}\"}\n  or\n  good{version=\"none\"}";
    let typed = [&beside[..], &["--metric", long]].concat();
    let variables = [
        ("SERIN_RUN_CONFIG_ID", "other"),
        ("SERIN_RUN_METRIC", "bad=bad"),
    ];
    let (exit, told) = run(&typed, &variables, "").await;
    assert_eq!(exit, 0, "{told}");

    let variables = [(
        "SERIN_RUN_METRIC",
        "good=good{version=\"${scope}\"}\nbad=bad{version=\"${scope}\"}",
    )];
    let (exit, told) = run(&beside, &variables, "").await;
    assert_eq!(exit, 1, "{told}");
    assert!(told.contains("│ good"), "{told}");
}

#[tokio::test]
async fn a_server_that_stumbles_is_asked_again_and_one_that_refuses_is_left_without_a_run() {
    for (failure, code) in [(500, 69), (401, 69)] {
        let door = ScriptedPrometheus::start(move |asked| {
            let body = match asked.method.as_str() {
                "POST" => json!({"canaryExecutionId": "one"}),
                "PUT" => json!({}),
                _ => return Reply::text(failure, r#"{"message": "not now"}"#),
            };
            Reply::text(200, body.to_string())
        })
        .await;
        let arguments = [
            &WINDOW[..],
            &["--server", &door.url, "--metric", "m=x", "--patience", "2s"],
        ]
        .concat();
        let (exit, told) = run(&arguments, &[], "").await;
        assert_eq!(exit, code, "{told}");
        assert!(told.contains("canceled 'one'"), "{told}");
        let gets = door
            .asked()
            .iter()
            .filter(|asked| asked.method == "GET")
            .count();
        assert_eq!(1 < gets, failure == 500, "{failure}: {gets} times");
    }
}

#[tokio::test]
async fn an_analysis_is_waited_for_and_its_judgements_are_told() {
    let prometheus = ScriptedPrometheus::start(as_named).await;
    let of_two = [
        "--start=2024-06-01T01:00:00Z",
        "--end=2024-06-01T01:10:00Z",
        "--interval=5m",
        "--control=v1",
        "--experiment=v2",
        "--prometheus",
        &prometheus.url,
        "--metric",
    ];
    for (metric, code, part) in [
        (r#"m=good{version="${scope}"}"#, 0, "2. Pass, score 100"),
        (r#"m=bad{version="${scope}"}"#, 1, "1. Fail, score 0"),
        (r#"m=silent{version="${scope}"}"#, 3, "Could not tell"),
        ("m=broken", 69, "no such function"),
    ] {
        let arguments = [&of_two[..], &[metric]].concat();
        let (exit, told) = run(&arguments, &[], "").await;
        assert_eq!(exit, code, "{told}");
        assert!(told.contains(part), "{told}");
    }
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_canceled_on_the_server() {
    let prometheus = ScriptedPrometheus::start(as_named).await;
    let serin = Serin::start(&prometheus.url).await;
    let slow = [
        &WINDOW[..],
        &[
            "--server",
            &serin.service.url,
            "--metric",
            r#"m=slow{version="${scope}"}"#,
        ],
    ]
    .concat();

    let (exit, told) = run(&[&slow[..], &["--timeout", "1s"]].concat(), &[], "").await;
    assert_eq!(exit, 69, "{told}");
    assert!(told.contains("no verdict within 1s"), "{told}");

    for signal in ["INT", "TERM"] {
        let child = command(&slow, &[]).spawn().unwrap();
        let listed = "/canary/executions?statuses=running";
        while serin
            .client
            .get(listed)
            .await
            .1
            .as_array()
            .unwrap()
            .is_empty()
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let kill = Command::new("kill")
            .args([&format!("-{signal}"), &child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
        let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
        let (exit, told) = end(&output.await.unwrap());
        assert_eq!(exit, 130, "{told}");
        assert!(told.contains("canceled"), "{told}");
    }
    let (_, all) = serin.client.get("/canary/executions").await;
    let all = all.as_array().unwrap();
    assert_eq!(all.len(), 3);
    for canary in all {
        assert_eq!(canary["status"], "canceled", "{canary}");
    }
}

#[tokio::test]
async fn a_token_goes_with_every_request_and_into_no_log() {
    let door = ScriptedPrometheus::start(|asked| {
        let is_open = asked.header("authorization") == Some("Bearer hush");
        let body = json!({"message": "who are you?"}).to_string();
        match (is_open, asked.method.as_str()) {
            (false, _) => Reply::text(401, body),
            (true, "POST") => Reply::text(200, json!({"canaryExecutionId": "one"}).to_string()),
            (true, _) => Reply::text(
                200,
                json!({"complete": true, "status": "canceled"}).to_string(),
            ),
        }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "hush\n").unwrap();
    let arguments = [&WINDOW[..], &["--server", &door.url, "--metric", "m=x"]].concat();
    for (environment, code, part) in [
        (vec![("SERIN_TOKEN", "hush")], 69, "It was canceled"),
        (
            vec![("SERIN_TOKEN_FILE", file.to_str().unwrap())],
            69,
            "It was canceled",
        ),
        (vec![("SERIN_TOKEN", "shout")], 64, "who are you?"),
    ] {
        let (exit, told) = run(&arguments, &environment, "").await;
        assert_eq!(exit, code, "{told}");
        assert!(told.contains(part), "{told}");
        assert!(!told.contains("hush") && !told.contains("shout"), "{told}");
    }
    // A Kayenta knows no key, and takes none amiss; to serin it makes two starts one.
    let posted = door
        .asked()
        .into_iter()
        .find(|asked| asked.method == "POST")
        .unwrap();
    assert!(posted.header("idempotency-key").is_some());
}
