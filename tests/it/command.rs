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
    assert_eq!(judged.status.code(), Some(1), "{}", text(&judged.stderr));
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
    assert_eq!(marginal.status.code(), Some(2));
}

#[test]
fn judge_reads_yaml_and_prints_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = folder.path().join("config.yml");
    std::fs::write(
        &yaml,
        "metrics: [{name: m, groups: [g]}]\nclassifier: {groupWeights: {g: 100}}\n",
    )
    .unwrap();
    let as_table = serin(
        &[
            "judge",
            "--config",
            yaml.to_str().unwrap(),
            "--metric-set-pairs",
            "-",
            "--format",
            "table",
        ],
        r#"[{"name": "m", "id": "i", "values": {"control": [1, 2, 3, 4], "experiment": [1, 2, 3, 4]}}]"#,
    );
    let shown = text(&as_table.stdout);
    for part in ["│ m", "Pass (doubtful)", "? Inconclusive, score 100"] {
        assert!(shown.contains(part), "{shown}{}", text(&as_table.stderr));
    }
    assert_eq!(as_table.status.code(), Some(3));
}

#[test]
fn judge_says_what_it_cannot_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.json");
    let config = json!({"metrics": [{"name": "m", "groups": ["g"]}], "classifier": {"groupWeights": {"g": 100}}});
    std::fs::write(&file, config.to_string()).unwrap();
    let file = file.to_str().unwrap();
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
        assert_eq!(failed.status.code(), Some(64), "{arguments:?}");
        let told = text(&failed.stderr);
        assert!(told.contains(part), "{told}");
        assert!(!told.contains("panicked"), "{told}");
        assert_eq!(text(&failed.stdout), "");
    }
}

#[test]
fn judge_is_told_which_look_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({"judge": {"name": "NetflixACAJudge-v1.0", "judgeConfigurations": {"doubt": "fail"}},
        "metrics": [{"name": "m", "groups": ["g"]}], "classifier": {"groupWeights": {"g": 100}}});
    let file = folder.path().join("config.json");
    std::fs::write(&file, config.to_string()).unwrap();
    let file = file.to_str().unwrap();
    let empty = json!([{"name": "m", "id": "i", "values": {"control": [1, 2, 3, 4], "experiment": [1, "Infinity", 3, 4]}}]);
    let cases: [(&[&str], &str); 4] = [
        (&[], "NodataFailMetric"),
        (&["--look", "1/3"], "Pass"),
        (&["--look", "1/3", "--sliding"], "Pass"),
        (&["--look", "3/3"], "NodataFailMetric"),
    ];
    for (look, label) in cases {
        let files = ["judge", "--config", file, "--metric-set-pairs", "-"];
        let judged = serin(&[&files, look].concat(), &empty.to_string());
        let result: Value = serde_json::from_slice(&judged.stdout).unwrap();
        assert_eq!(result["results"][0]["classification"], label, "{look:?}");
    }
    for wrong in ["4/3", "0/3", "3", "a/b"] {
        let judged = serin(&["judge", "--look", wrong], "");
        let told = text(&judged.stderr);
        assert!(told.contains("the number of the judgement"), "{told}");
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
fn demo_judges_four_releases_and_shows_where_two_judges_differ() {
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
        // The fourth is as good as the first: by the one judge it fails, by the other it is not settled.
        assert_eq!(table.matches("✗ Fail").count(), 2);
        let (_, waves) = table.split_once("v2-tide").unwrap();
        for part in [
            "✗ Fail",
            "beside it, sequential-v1 says: Pass",
            "Pass instead of High: error rate",
        ] {
            assert!(waves.contains(part), "{part} in {waves}");
        }
    }
}

/// Standard error of a service that is started and stopped again.
fn started(arguments: &[&str]) -> String {
    use std::io::{BufRead, BufReader};
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_serin"))
        .args([&["serve", "--port", "0"], arguments].concat())
        .env_remove("SERIN_CONFIG")
        .env("SERIN__STORAGE__DIRECTORY", folder.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = String::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        told += &line.unwrap();
        if told.contains("serin listens") {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    told
}

#[test]
fn a_service_that_can_judge_nothing_says_so_when_it_starts() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kayenta.yml");
    let stores = "kayenta:\n  memory:\n    enabled: true\n    accounts:\n      - name: m\n        supportedTypes: [OBJECT_STORE, CONFIGURATION_STORE]\n";
    std::fs::write(&file, format!("\u{feff}{stores}")).unwrap();
    let with = format!(
        "{stores}  prometheus:\n    enabled: true\n    accounts:\n      - name: p\n        endpoint: {{baseUrl: 'http://p:9090'}}\n"
    );
    let file = file.to_str().unwrap();
    let cases = [
        (vec!["--config", file], true),
        (
            vec!["--config", file, "--prometheus", "http://p:9090"],
            false,
        ),
        (vec![], true),
    ];
    for (arguments, is_told) in cases {
        let told = started(&arguments);
        let says = told.contains("no account gives series");
        assert_eq!(says, is_told, "{arguments:?}: {told}");
    }
    std::fs::write(file, with).unwrap();
    assert!(!started(&["--config", file]).contains("no account gives series"));
}

#[test]
fn files_may_begin_with_a_byte_order_mark() {
    let folder = tempfile::tempdir().unwrap();
    let utf16 = |text: &str| -> Vec<u8> {
        let units = std::iter::once(0xFEFF).chain(text.encode_utf16());
        units.flat_map(u16::to_le_bytes).collect()
    };
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let yaml = "kayenta:\n  prometheus:\n    enabled: true\n    accounts:\n      - {name: p, endpoint: {baseUrl: 'http://p:9090'}}\n";
    let config = include_str!("lint/whole.json");
    let marked = |text: &str| format!("\u{feff}{text}").into_bytes();
    let (pairs, judged) = (
        "[]",
        json!({"metrics": [], "classifier": {"groupWeights": {}}}),
    );
    let judged = judged.to_string();
    let unmarked = utf16(config);
    for (name, bytes) in [
        ("without", &unmarked[2..]),
        ("utf-32", b"\xff\xfe\0\0{\0\0\0"),
    ] {
        let odd = file(&format!("{name}.json"), bytes);
        let commands = [
            vec!["config", "--config", &odd],
            vec!["canary-config", "lint", &odd],
            vec!["judge", "--config", &odd, "--metric-set-pairs", "-"],
            vec!["run", "-f", &odd],
        ];
        for command in commands {
            let ended = serin(&command, "");
            let told = text(&ended.stderr);
            assert!(!ended.status.success(), "{command:?}");
            assert!(
                told.contains("UTF-16 without a byte order mark"),
                "{command:?}: {told}"
            );
        }
    }
    for (name, bytes) in [("utf-8", marked as fn(&str) -> Vec<u8>), ("utf-16", utf16)] {
        let own = file(&format!("{name}.yml"), &bytes(yaml));
        let canary = file(&format!("{name}.json"), &bytes(config));
        let (pairs, judged) = (
            file(&format!("{name}-pairs.json"), &bytes(pairs)),
            file(&format!("{name}-judged.json"), &bytes(&judged)),
        );
        let commands = [
            vec!["config", "--config", &own],
            vec!["canary-config", "lint", "--strict", &canary],
            vec!["judge", "--config", &judged, "--metric-set-pairs", &pairs],
        ];
        for command in commands {
            let ended = serin(&command, "");
            // What was read is judged: nothing carries no verdict.
            assert!(
                matches!(ended.status.code(), Some(0 | 3)),
                "{command:?}: {}",
                text(&ended.stderr)
            );
        }
    }
}
