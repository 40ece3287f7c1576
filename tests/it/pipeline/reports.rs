//! What a run leaves behind.

use super::*;

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
    // On a terminal it would hide what came before.
    config["metrics"][0]["name"] = "bad\u{1b}[2J\u{9b}1A\u{202e}\u{200b}\r".into();
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
    let properties = [
        ("id", id),
        ("application", "shop"),
        ("config", "checkout"),
        ("outcome", "fail"),
        ("control", "v1"),
        ("experiment", "v2"),
        ("windowStart", "2024-06-01T01:00:00Z"),
        ("windowEnd", "2024-06-01T01:05:00Z"),
    ];
    for (name, value) in properties {
        let property = format!(r#"<property name="{name}" value="{value}"/>"#);
        assert!(junit.contains(&property), "{property} in {junit}");
    }
    assert!(
        junit.contains(r#"<property name="link" value="http"#),
        "{junit}"
    );
    assert!(
        junit.contains(r#"<testcase name="verdict" classname="checkout" time=""#),
        "{junit}"
    );
    assert!(read("canary.html").contains("<!doctype html>"));
    for name in [
        "canary.json",
        "summary.md",
        "step.md",
        "junit.xml",
        "canary.html",
    ] {
        let text = read(name);
        let steering = ['\u{1b}', '\u{9b}', '\u{202e}', '\u{200b}', '\r'];
        assert!(!text.contains(steering), "{name}: {text}");
        assert!(text.contains("u202e"), "{name}: {text}");
    }
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
    let names: Vec<String> = (0..300)
        .map(|index| format!("bad_{index}_{}", "x".repeat(230)))
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
async fn no_report_on_standard_output_is_a_command_to_a_ci_job() {
    let prometheus = ScriptedPrometheus::start(as_named).await;
    let mut plan = plan(&[("bad", json!({"direction": "increase"}))]);
    let metric = &mut plan["canaryConfig"]["metrics"][0];
    metric["name"] = "bad ##vso[task.x]\n::error::y".into();
    for report in ["junit=-", "html=-", "markdown=-", "json=-"] {
        let arguments = [
            "-f",
            "-",
            "--prometheus",
            &prometheus.url,
            "--report",
            report,
        ];
        let (exit, told) = run(&arguments, &[], &plan.to_string()).await;
        assert_eq!(exit, 1, "{told}");
        let is_obeyed = |line: &str| line.trim_start().starts_with("::") || line.contains("##vso[");
        assert!(!told.lines().any(is_obeyed), "{report}: {told}");
        assert!(told.contains("task.x"), "{report}: {told}");
    }
}
