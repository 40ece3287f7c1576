//! What people type.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

pub fn serin(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_serin"))
        .args(arguments)
        .env_remove("SERIN_CONFIG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn judge_reads_files_and_standard_input_and_prints_the_result() {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({"metrics": [{"name": "m", "groups": ["g"]}], "classifier": {"groupWeights": {"g": 100}}});
    let file = folder.path().join("config.json");
    std::fs::write(&file, config.to_string()).unwrap();
    let file = file.to_str().unwrap();
    let pairs = |experiment: Value| {
        json!([{"name": "m", "id": "i", "values": {"control": [1, 2, 3, 4], "experiment": experiment}}]).to_string()
    };
    let judged = serin(
        &["judge", "--config", file, "--metric-set-pairs", "-"],
        &pairs(json!([9, 9.5, 11, 12])),
    );
    assert!(judged.status.success(), "{}", text(&judged.stderr));
    let result: Value = serde_json::from_slice(&judged.stdout).unwrap();
    assert_eq!(result["judgeName"], "NetflixACAJudge-v1.0");
    assert_eq!(result["results"][0]["classification"], "High");
    assert_eq!(
        result["score"],
        json!({"score": 0.0, "classification": "Fail", "classificationReason": ""})
    );

    let marginal = serin(
        &[
            "judge",
            "--config",
            file,
            "--metric-set-pairs",
            "-",
            "--pass",
            "50",
            "--marginal",
            "-1",
        ],
        &pairs(json!([9, 9.5, 11, 12])),
    );
    assert!(text(&marginal.stdout).contains("Marginal"));

    for (arguments, input, part) in [
        (
            vec![
                "judge",
                "--config",
                "nosuch.json",
                "--metric-set-pairs",
                "-",
            ],
            "",
            "nosuch.json",
        ),
        (
            vec!["judge", "--config", file, "--metric-set-pairs", "-"],
            "{",
            "metric set pairs",
        ),
        (
            vec!["judge", "--config", file, "--metric-set-pairs", "-"],
            r#"[{"name":"m","values":{"control":[1]}}]"#,
            "experiment",
        ),
        (
            vec!["judge", "--config", file, "--metric-set-pairs", "-"],
            r#"[{"name":"x","values":{"control":[1],"experiment":[2]}}]"#,
            "x",
        ),
        (
            vec![
                "judge",
                "--config",
                file,
                "--metric-set-pairs",
                "-",
                "--judge",
                "nosuch",
            ],
            "[]",
            "Unable to resolve canary judge 'nosuch'.",
        ),
        (
            vec!["judge", "--config", "-", "--metric-set-pairs", "-"],
            "",
            "same file",
        ),
    ] {
        let failed = serin(&arguments, input);
        assert!(!failed.status.success(), "{arguments:?}");
        let told = text(&failed.stderr);
        assert!(told.contains(part), "{told}");
        assert!(!told.contains("panicked"), "{told}");
        assert_eq!(text(&failed.stdout), "");
    }
}

#[test]
fn config_prints_what_is_in_force_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("serin.yml");
    let yaml = "kayenta:\n  prometheus:\n    enabled: true\n    accounts:\n      - name: p\n        endpoint: {baseUrl: 'http://p:9090'}\n        bearerToken: very-secret\n";
    std::fs::write(&file, yaml).unwrap();
    let printed = serin(&["config", "--config", file.to_str().unwrap()], "");
    assert!(printed.status.success(), "{}", text(&printed.stderr));
    let yaml = text(&printed.stdout);
    assert!(
        yaml.contains("http://p:9090") && yaml.contains("***"),
        "{yaml}"
    );
    assert!(!yaml.contains("very-secret"));

    std::fs::write(&file, "server:\n  prot: 9000\n").unwrap();
    for command in ["config", "serve"] {
        let refused = serin(&[command, "--config", file.to_str().unwrap()], "");
        assert!(!refused.status.success());
        let told = text(&refused.stderr);
        assert!(told.contains("prot") && told.contains("port"), "{told}");
    }
}

#[test]
fn openapi_prints_the_document() {
    let printed = serin(&["openapi"], "");
    let document: Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert_eq!(document["info"]["title"], "serin");
}

#[test]
fn demo_judges_three_releases() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().to_str().unwrap();
    for _ in 0..2 {
        let shown = serin(&["demo", "--directory", directory], "");
        let table = text(&shown.stdout);
        assert!(shown.status.success(), "{table}{}", text(&shown.stderr));
        for part in [
            "v2-good",
            "✓ Pass",
            "v2-errors",
            "High (critical)",
            "v2-silent",
            "No data (critical, doubtful)",
            "score:  – → ? Inconclusive",
            "curl",
        ] {
            assert!(table.contains(part), "{part} in {table}");
        }
        assert_eq!(table.matches("✗ Fail").count(), 1);
    }
}
