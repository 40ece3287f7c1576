//! A POST that is refused is told in the log, where its client throws the answer away.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::harness::Client;

/// A service whose log is read.
struct Logging {
    child: Child,
    log: std::thread::JoinHandle<Vec<Value>>,
    client: Client,
    _folder: tempfile::TempDir,
}

impl Logging {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_serin"))
            .args(["serve", "--port", "0", "--prometheus", "http://127.0.0.1:9"])
            .env_remove("SERIN_CONFIG")
            .env("SERIN__STORAGE__DIRECTORY", folder.path())
            .env("SERIN__LOG__FORMAT", "json")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut lines = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
        let url = lines.by_ref().find_map(|line| {
            let url = line["fields"]["url"].as_str()?;
            Some(url.to_owned())
        });
        Self {
            log: std::thread::spawn(move || lines.collect()),
            client: Client::new(&url.unwrap()),
            child,
            _folder: folder,
        }
    }

    /// What it told of refusals.
    fn refusals(mut self) -> Vec<Value> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let lines = self.log.join().unwrap().into_iter();
        let refusals = lines.filter(|line| line["fields"]["message"] == "refused a POST");
        refusals.map(|line| line["fields"].clone()).collect()
    }
}

/// Path, application, canary, status, and what is told.
const TOLD: [(&str, &str, &str, u16, &str); 7] = [
    (
        "/canary/nosuch",
        "shop",
        "",
        404,
        "No such object named nosuch",
    ),
    (
        "/canary",
        "shop",
        "c",
        400,
        "executionRequest must be provided",
    ),
    (
        "/canary/verdict",
        "",
        "two lines\u{1b}[31m",
        404,
        "there is no canary config named",
    ),
    (
        "/standalone_canary_analysis/nosuch",
        "",
        "",
        404,
        "No such object named nosuch",
    ),
    (
        "/canaryConfig",
        "",
        "bad name",
        400,
        "cannot be named 'bad name'",
    ),
    (
        "/canaryConfig",
        "",
        "bad name",
        400,
        "cannot be named 'bad name'",
    ),
    (
        "/flagger/confirm-rollout",
        "",
        "test/podinfo",
        404,
        "no canary config named 'nosuch'",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_leaves_one_line_with_its_sentence() {
    let serin = Logging::start();
    let client = &serin.client;
    let posts = [
        ("/canary/nosuch?application=shop", json!({}), 404),
        (
            "/canary?application=shop",
            json!({"canaryConfig": {"name": "c"}}),
            400,
        ),
        (
            "/canary/verdict",
            json!({"canaryConfigName": "two\nlines\u{1b}[31m"}),
            404,
        ),
        ("/standalone_canary_analysis/nosuch", json!({}), 404),
        (
            "/canaryConfig",
            json!({"name": "bad name", "applications": ["a"]}),
            400,
        ),
        (
            "/v2/canaryConfig",
            json!({"name": "bad name", "applications": ["a"]}),
            400,
        ),
        (
            "/flagger/confirm-rollout",
            json!({"name": "podinfo", "namespace": "test", "checksum": "1",
                "metadata": {"canaryConfigName": "nosuch"}}),
            404,
        ),
        // It is told as what it was answered.
        (
            "/flagger/confirm-promotion",
            json!({"name": "podinfo", "namespace": "test", "checksum": "1"}),
            403,
        ),
        (
            "/canaryConfig",
            json!({"name": "good", "applications": ["a"]}),
            200,
        ),
    ];
    for (path, body, expected) in &posts {
        let (status, answer) = client.post(path, body).await;
        assert_eq!(status, *expected, "{path}: {answer}");
    }
    assert_eq!(client.get("/canary/nosuch").await.0, 404);
    for _ in 0..100 {
        client.post("/canary/again", &json!({})).await;
    }
    let told = serin.refusals();
    for (line, (path, application, canary, status, sentence)) in told.iter().zip(TOLD) {
        let text = |name: &str| line[name].as_str().unwrap_or_default();
        let facts = (text("path"), text("application"), text("canary"));
        assert_eq!(facts, (path, application, canary), "{line}");
        assert_eq!(line["status"], status, "{line}");
        assert!(text("told").contains(sentence), "{line}");
    }
    // Whoever tries again and again fills no disk.
    assert!((20..60).contains(&told.len()), "{}", told.len());
}
