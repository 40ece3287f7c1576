//! docs/ci.md and action.yml: what stands there works, as it stands there.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::command::text;
use crate::economy;
use crate::harness::Serin;
use crate::scripted_prometheus::{Asked, Reply, ScriptedPrometheus};

/// Points over whatever is asked for; those of a version that is called bad are higher.
fn points(asked: &Asked) -> Reply {
    let is_bad = asked.params["query"].contains("bad");
    let level = if is_bad { 40.0 } else { 10.0 };
    economy::answer(asked, &["one"], |_, time| {
        Some(level + f64::from(u8::try_from(time / 1000 % 3).unwrap()))
    })
}

/// The blocks of a document that are fenced as `language`.
fn blocks(language: &str) -> Vec<String> {
    let document = include_str!("../../docs/ci.md");
    let parts = document.split("```").skip(1).step_by(2);
    parts
        .filter_map(|block| block.strip_prefix(&format!("{language}\n")))
        .map(str::to_owned)
        .collect()
}

struct Workshop {
    serin: Serin,
    prometheus: ScriptedPrometheus,
    folder: tempfile::TempDir,
}

impl Workshop {
    /// A serin with the accounts that the document names, and its files in a folder.
    async fn new() -> Self {
        let prometheus = ScriptedPrometheus::start(points).await;
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("objects");
        let accounts = format!(
            "kayenta:
  prometheus: {{enabled: true, accounts: [{{name: prod, endpoint: {{baseUrl: '{}'}}}}]}}
  file: {{enabled: true, accounts: [{{name: reports, directory: '{1}/r'}}, {{name: configs, directory: '{1}/c'}}]}}",
            prometheus.url,
            data.display()
        );
        let serin = Serin::start_with("", &[], Some(&accounts)).await;
        let config = json!({
            "name": "checkout",
            "metrics": [{"name": "errors", "scopeName": "default", "groups": ["all"],
                "query": {"type": "prometheus", "customInlineTemplate": "PromQL:errors{version=\"${scope}\"}"}}],
            "classifier": {"groupWeights": {"all": 100}},
        });
        std::fs::write(
            folder.path().join("checkout-config.json"),
            config.to_string(),
        )
        .unwrap();
        let plan = blocks("yaml")
            .into_iter()
            .find(|block| block.starts_with("application:"));
        std::fs::write(folder.path().join("canary.yml"), plan.unwrap()).unwrap();
        Self {
            serin,
            prometheus,
            folder,
        }
    }

    /// By a shell that has serin, and a server that the file does not name.
    async fn shell(&self, script: &str, environment: &[(&str, &str)]) -> Output {
        let program = Path::new(env!("CARGO_BIN_EXE_serin")).parent().unwrap();
        let mut command = Command::new("bash");
        command
            .args(["-euo", "pipefail", "-c"])
            .arg(format!("PATH={}:$PATH; {script}", program.display()))
            .current_dir(self.folder.path())
            .env_remove("SERIN_CONFIG")
            .env_remove("GITHUB_STEP_SUMMARY")
            .env("CI_COMMIT_SHORT_SHA", "abc")
            .envs(environment.iter().copied());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap());
        output.await.unwrap()
    }
}

#[tokio::test]
async fn every_shell_line_of_the_document_runs() {
    let workshop = Workshop::new().await;
    let server = [("SERIN_SERVER", workshop.serin.service.url.as_str())];

    let mut scripts = blocks("sh");
    let alone = scripts.remove(0);
    let alone = alone.replace("http://prometheus:9090", &workshop.prometheus.url);
    let output = workshop.shell(&alone, &[]).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("Pass"));

    for script in &scripts {
        let output = workshop.shell(script, &server).await;
        assert!(
            output.status.success(),
            "{script}\n{}",
            text(&output.stderr)
        );
    }
    assert!(
        scripts
            .iter()
            .any(|script| script.contains("echo 'promote'"))
    );

    let inside = [blocks("yaml"), blocks("groovy")].concat().join("\n");
    let lines: Vec<&str> = inside
        .lines()
        .filter_map(|line| Some(&line[line.find("serin run -f")?..]))
        .map(|line| line.trim_end_matches('\''))
        .collect();
    assert_eq!(lines.len(), 2, "GitLab's and Jenkins's");
    for line in lines {
        let output = workshop.shell(line, &server).await;
        assert!(output.status.success(), "{line}\n{}", text(&output.stderr));
        for report in ["canary.xml", "canary.html"] {
            let file = workshop.folder.path().join(report);
            assert!(std::fs::read(&file).unwrap().len() > 100, "{report}");
            std::fs::remove_file(file).unwrap();
        }
    }
}

#[tokio::test]
async fn the_action_stops_a_job_for_what_it_shall_stop_it() {
    let workshop = Workshop::new().await;
    let action: Value = yaml_serde::from_str(include_str!("../../action.yml")).unwrap();
    let step = &action["runs"]["steps"][1];
    let script = step["run"].as_str().unwrap();
    let inputs = action["inputs"].as_object().unwrap();
    let cases = [
        // experiment  fail-on                    exit  verdict
        ("v2-good", "", 0, "pass"),
        ("v2-bad", "", 1, "fail"),
        ("v2-bad", "marginal undecided", 0, "fail"),
        ("v2-bad", "fail,marginal", 1, "fail"),
        ("v2-bad", "marginal\nfail\n", 1, "fail"),
        ("", "marginal", 64, "error"),
    ];
    for (experiment, fail_on, exit, verdict) in cases {
        let given = |name: &str| match name {
            "file" => "canary.yml".to_owned(),
            "server" if !experiment.is_empty() => workshop.serin.service.url.clone(),
            "server" => "nonsense".to_owned(),
            "experiment" => experiment.to_owned(),
            "fail-on" if !fail_on.is_empty() => fail_on.to_owned(),
            other => inputs[other]["default"].as_str().unwrap().to_owned(),
        };
        let variables = step["env"].as_object().unwrap().iter();
        let mut environment: Vec<(String, String)> = variables
            .map(|(name, value)| {
                let input = value.as_str().unwrap();
                let input = input
                    .trim_start_matches("${{ inputs.")
                    .trim_end_matches(" }}");
                (name.clone(), given(input))
            })
            .collect();
        for name in ["GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"] {
            let file = workshop.folder.path().join(name);
            let _ = std::fs::remove_file(&file);
            environment.push((name.to_owned(), file.display().to_string()));
        }
        let environment: Vec<(&str, &str)> = environment
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        let output = workshop.shell(script, &environment).await;
        assert_eq!(
            output.status.code(),
            Some(exit),
            "{experiment}: {}",
            text(&output.stderr)
        );
        let outputs =
            std::fs::read_to_string(workshop.folder.path().join("GITHUB_OUTPUT")).unwrap();
        assert!(
            outputs.contains(&format!("verdict={verdict}\n")),
            "{outputs}"
        );
        let has_summary = workshop.folder.path().join("GITHUB_STEP_SUMMARY").exists();
        assert_eq!(has_summary, verdict != "error");
    }
}
