//! `serin runs`, and what serin says of itself.

use std::time::Duration;

use serde_json::{Value, json};

use crate::command::{serin, text};
use crate::executions::{adhoc, config, series};
use crate::harness::Serin;
use crate::scripted_prometheus::{Asked, Reply, ScriptedPrometheus};

fn as_named(asked: &Asked) -> Reply {
    let is_slow = asked.params["query"].contains("slow");
    let late = if is_slow { 20 } else { 0 };
    series(1.0).after(Duration::from_secs(late))
}

/// Exit code, standard output and standard error.
async fn ended(arguments: &[&str]) -> (i32, String, String) {
    let arguments: Vec<String> = arguments.iter().map(|it| (*it).to_owned()).collect();
    let run = move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        serin(&arguments, "")
    };
    let ended = tokio::task::spawn_blocking(run).await.unwrap();
    let code = ended.status.code().unwrap();
    (code, text(&ended.stdout), text(&ended.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_listed_shown_watched_canceled_and_judged_again() {
    let prometheus = ScriptedPrometheus::start(as_named).await;
    let server = Serin::start(&prometheus.url).await;
    let url = server.service.url.clone();
    let runs = |arguments: &[&'static str], id: &str| {
        let mut all = vec!["runs".to_owned()];
        all.extend(arguments.iter().map(|it| (*it).to_owned()));
        all.extend(
            [id, "--server", &url]
                .iter()
                .filter(|it| !it.is_empty())
                .map(|it| (*it).to_owned()),
        );
        async move {
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            ended(&all).await
        }
    };
    let (code, listed, told) = runs(&["list"], "").await;
    assert_eq!((code, listed.as_str()), (0, ""), "{told}");
    assert!(told.contains("no run of 'ad-hoc'"), "{told}");

    let id = server
        .client
        .start_canary("/canary?application=shop", &adhoc(&["good"]))
        .await;
    let document = server.client.poll(&id).await;
    assert_eq!(document["status"], "succeeded", "{document}");
    let (code, listed, _) = runs(&["list", "--application", "shop"], "").await;
    assert_eq!(code, 0);
    assert!(
        listed.contains(&id) && listed.contains("✓ Pass"),
        "{listed}"
    );
    let (_, listed, _) = runs(&["list", "--application=shop", "--format=json"], "").await;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed[0]["pipelineId"], json!(id));

    let (code, shown, told) = runs(&["show"], &id).await;
    assert_eq!(code, 0, "{told}");
    for part in ["│ good", "✓ Pass: shop", "/ui/runs/"] {
        assert!(shown.contains(part), "{shown}");
    }
    let (code, watched, _) = runs(&["watch"], &id).await;
    assert_eq!(code, 0);
    assert!(watched.contains("✓ Pass: shop"), "{watched}");
    let (code, again, told) = runs(&["again", "--watch", "--end=2024-06-01T02:01:00Z"], &id).await;
    assert_eq!(code, 0, "{told}");
    assert!(again.contains("✓ Pass: shop"), "{again}");
    let (code, _, told) = runs(&["cancel"], &id).await;
    assert_eq!(code, 64);
    assert!(told.contains("has ended already: Pass"), "{told}");
    for what in ["show", "watch", "cancel", "again"] {
        let (code, _, told) = runs(&[what], "nosuch").await;
        assert_eq!(
            (code, told.as_str()),
            (64, "serin: there is no run 'nosuch'\n"),
            "{what}"
        );
    }

    let slow = server
        .client
        .start_canary("/canary", &adhoc(&["slow"]))
        .await;
    let (code, _, told) = runs(&["cancel"], &slow).await;
    assert_eq!(code, 0, "{told}");
    let (code, _, _) = runs(&["watch"], &slow).await;
    assert_eq!(code, 69);
    server.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_an_analysis_is_told_when_it_judges_next() {
    let prometheus = ScriptedPrometheus::start(as_named).await;
    let server = Serin::start(&prometheus.url).await;
    let body = json!({"canaryConfig": config(&["good"]), "executionRequest": {
        "scopes": [{"controlScope": "v1", "experimentScope": "v2"}],
        "thresholds": {"pass": 95, "marginal": 75},
        "lifetimeDurationMins": 60, "analysisIntervalMins": 20,
    }});
    let (_, started) = server
        .client
        .post("/standalone_canary_analysis", &body)
        .await;
    let id = started["canaryAnalysisExecutionId"].as_str().unwrap();
    let watch = ["runs", "watch", id, "--server", &server.service.url];
    let cancel = async {
        // It looks every second.
        tokio::time::sleep(Duration::from_secs(5)).await;
        let path = format!("/standalone_canary_analysis/{id}");
        assert_eq!(server.client.delete(&path).await.0, 202);
    };
    let ((code, _, told), ()) = tokio::join!(ended(&watch), cancel);
    assert_eq!(code, 69, "{told}");
    // A log is told once, though the time that is left becomes less.
    let lines = told.lines().filter(|line| line.contains("judged; "));
    let lines: Vec<&str> = lines.collect();
    let [line] = lines[..] else {
        panic!("{told}");
    };
    for part in [
        "0 of 3 judged; next judgement at ",
        " UTC, in ",
        "; ends at ",
    ] {
        assert!(line.contains(part), "{line}");
    }
    server.service.stop().await;
}

#[test]
fn serin_tells_which_it_is_and_what_it_can() {
    let version = serin(&["version"], "");
    let told = text(&version.stdout);
    let mut lines = told.lines();
    assert_eq!(
        lines.next(),
        Some(concat!("serin ", env!("CARGO_PKG_VERSION")))
    );
    for begins in ["commit ", "date ", "target "] {
        let line = lines.next().unwrap();
        assert!(
            line.starts_with(begins) && begins.len() < line.len(),
            "{told}"
        );
    }
    let json: Value = serde_json::from_slice(&serin(&["version", "--json"], "").stdout).unwrap();
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));

    for (shell, part) in [
        ("bash", "complete -F _serin"),
        ("zsh", "#compdef serin"),
        ("fish", "complete -c serin"),
    ] {
        let written = serin(&["completions", shell], "");
        let written = text(&written.stdout);
        assert!(
            written.contains(part) && written.contains("canary-config"),
            "{shell}"
        );
    }
    let page = text(&serin(&["man"], "").stdout);
    assert!(
        page.contains(".TH serin 1") && page.contains("canary\\-config"),
        "{page}"
    );
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    assert!(
        serin(&["man", pages.to_str().unwrap()], "")
            .status
            .success()
    );
    for page in ["serin.1", "serin-run.1", "serin-canary-config-put.1"] {
        assert!(pages.join(page).is_file(), "{page}");
    }
}

#[test]
fn the_schema_of_a_config_is_whole() {
    let written = serin(&["canary-config", "schema"], "");
    let schema: Value = serde_json::from_slice(&written.stdout).unwrap();
    let text = schema.to_string();
    assert!(!text.contains("#/components"), "{text}");
    for part in text.split("\"$ref\":\"").skip(1) {
        let reference = part.split('"').next().unwrap();
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(schema.pointer(pointer).is_some(), "{reference}");
    }
    let members = &schema["$defs"]["CanaryConfig"]["properties"];
    assert!(
        members["metrics"].is_object() && members["judge"].is_object(),
        "{members}"
    );
}
