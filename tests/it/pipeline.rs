//! `serin run`: what a pipeline is told, and by which exit code.

mod margins;
mod reports;
mod stored;
mod values;
mod waiting;

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
            "Inconclusive: shop · checkout (passes from 95",
        ),
        (
            plan(&[
                ("good", plain()),
                ("good2", plain()),
                ("silent", critical()),
            ]),
            3,
            "The verdict hangs on silent (noData)",
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
            "Inconclusive",
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
    let errors = r#"errors=e{version="${scope}"}"#;
    let cases = [
        (vec!["--nosuch"], "", "--nosuch"),
        (vec!["-f", "nosuch.yml"], "", "nosuch.yml"),
        (vec!["-f", "-"], "[1]", "mapping of keys"),
        (vec!["-f", "-"], "a: [", "line 2"),
        (
            vec!["-f", "-"],
            "experimnt: v2",
            "-:1:1: experimnt: unknown field `experimnt`; did you mean 'experiment'?",
        ),
        (
            vec!["-f", "-"],
            "application: shop\ncontrol:\n  # of the last release\n  scop: v1\n",
            "-:4:3: control.scop: unknown field `scop`; did you mean 'scope'?",
        ),
        (
            vec!["-f", "-"],
            "{\"application\": \"shop\",\n \"analysis\": {\"intervall\": \"5m\"}}",
            "-:2:15: analysis.intervall: unknown field `intervall`; did you mean 'interval'?",
        ),
        (
            vec!["-f", "-"],
            "control: 1.10",
            "-:1:1: control: invalid type: floating point `1.1`, expected the name of a scope",
        ),
        (
            vec!["-f", "-", "--timeout", "soon"],
            "timeout: 5m",
            "the flags: timeout: 'soon' must be a duration",
        ),
        (
            vec!["-f", "-"],
            "thresholds: {pass: much}",
            "thresholds.pass",
        ),
        (vec!["-f", "-"], "analysis: {lifetime: soon}", "'5m'"),
        (vec!["--metric", "errors"], "", "NAME=QUERY"),
        (
            vec!["--metric", r#"sum(e{version="${scope}"})"#],
            "",
            r#"'sum(e{version="${scope}"})' is not of the form NAME=QUERY"#,
        ),
        (
            vec![
                "--patience",
                "soon",
                "--prometheus=http://127.0.0.1:1",
                "--metric",
                errors,
                "--control=a",
                "--experiment=b",
            ],
            "",
            "--patience 'soon'",
        ),
    ];
    for (arguments, input, part) in cases {
        is_refused(&arguments, input, part).await;
    }
}

async fn is_refused(arguments: &[&str], input: &str, part: &str) {
    let (exit, told) = run(arguments, &[], input).await;
    assert_eq!(exit, 64, "{arguments:?}: {told}");
    assert!(told.contains(part), "{arguments:?}: {told}");
}

#[tokio::test]
async fn what_lacks_something_or_contradicts_itself_is_told_so() {
    let serin = Serin::start("http://127.0.0.1:1").await;
    let server = serin.service.url.as_str();
    let errors = r#"errors=e{version="${scope}"}"#;
    let window = |more: &[&'static str]| [&WINDOW[..], more].concat();
    let cases = [
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
        is_refused(&arguments, input, part).await;
    }
}

#[tokio::test]
async fn a_config_is_linted_before_anybody_is_asked() {
    let prometheus = ScriptedPrometheus::start(as_named).await;
    let metric = |query: &str| format!("--metric=errors={query}");
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        format!("--canary-config={}", path.display())
    };
    let whole = include_str!("lint/whole.json");
    let config: Value = serde_json::from_str(whole).unwrap();
    let in_request = json!({"canaryConfig": config, "executionRequest": {}}).to_string();
    let marked = format!("\u{feff}{whole}");
    let stage =
        json!({"type": "kayentaCanary", "canaryConfig": {"canaryConfigId": "x"}}).to_string();
    let cases = [
        (
            metric("sum(x{v=“${scope}”})"),
            64,
            "the typographic quote “",
        ),
        (
            metric("sum(x{v=\"${scope}\"}) sum(y)"),
            64,
            "'sum' cannot follow",
        ),
        (
            metric("x{v=\"{{args.hash}}\",w=\"${scope}\"}"),
            64,
            "foreign-variable",
        ),
        (
            metric("sum(x{v=\"${unknown}\"})"),
            64,
            "nothing gives ${unknown} a value",
        ),
        (metric("x{v=\"${scope}\"}"), 0, "warning[kept-label]"),
        (
            file("broken.json", &whole.replace("[1m])", "[1m]")),
            64,
            "broken.json:15:44: error[broken-query]",
        ),
        (file("whole.json", whole), 0, "Pass"),
        (file("marked.json", &marked), 0, "Pass"),
        (file("request.json", &in_request), 0, "Pass"),
        (
            file("stage.json", &stage),
            64,
            "a stage of a pipeline that names the canary config 'x'",
        ),
    ];
    for (what, code, part) in cases {
        let before = prometheus.asked().len();
        let arguments = [&WINDOW[..], &[&what, "--prometheus", &prometheus.url]].concat();
        let (exit, told) = run(&arguments, &[], "").await;
        assert_eq!(exit, code, "{what}: {told}");
        assert!(told.contains(part), "{what}: {told}");
        assert_eq!(prometheus.asked().len() == before, code == 64, "{what}");
    }
}

#[tokio::test]
async fn what_an_interval_leaves_over_is_judged() {
    let prometheus = ScriptedPrometheus::start(as_named).await;
    let arguments = [
        "--metric=errors=sum(x{v=\"${scope}\"})",
        "--control=v1",
        "--experiment=v2",
        "--start=2024-06-01T01:00:00Z",
        "--end=2024-06-01T02:00:00Z",
        "--interval=25m",
        "--prometheus",
        &prometheus.url,
    ];
    let (exit, told) = run(&arguments, &[], "").await;
    assert_eq!(exit, 0, "{told}");
    assert!(told.contains("3. ✓ Pass, score 100"), "{told}");
}

#[tokio::test]
async fn what_a_server_refuses_and_one_that_is_away_are_told() {
    let serin = Serin::start("http://127.0.0.1:1").await;
    let server = serin.service.url.as_str();
    let errors = r#"errors=e{version="${scope}"}"#;
    let of_server = [
        (
            vec!["--config-id", "nosuch"],
            "serin: there is no canary config 'nosuch'",
        ),
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
