//! Secrets in S3 and in Secrets Manager.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::{serve, with};
use crate::command::text;
use crate::executions::series;
use crate::harness::{Client, service};
use crate::scripted_prometheus::ScriptedPrometheus;

const REGION: &str = "eu-central-1";

/// What AWS is asked without a signature, which the stand-in does not want.
async fn store_in_aws(aws: &str) {
    let http = Client::new(aws).http;
    let put = async |path: &str, body: &str| {
        let sent = http
            .put(format!("{aws}/{path}"))
            .body(body.to_owned())
            .send()
            .await;
        assert!(sent.unwrap().status().is_success(), "{path}");
    };
    let place = format!(
        "<CreateBucketConfiguration><LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>"
    );
    put("serin-secrets", &place).await;
    put(
        "serin-secrets/deep/secrets.yml",
        "prometheus: {token: of-yaml, number: 5}\n",
    )
    .await;
    put("serin-secrets/user", "somebody:of-file\n").await;
    for (name, secret) in [
        ("plain", "of-manager"),
        ("some/json", r#"{"token": "of-json"}"#),
    ] {
        let sent = http
            .post(format!("{aws}/"))
            .header("x-amz-target", "secretsmanager.CreateSecret")
            .header("content-type", "application/x-amz-json-1.1")
            // Its region is told by the signature only.
            .header("authorization", format!("AWS4-HMAC-SHA256 Credential=a/20260101/{REGION}/secretsmanager/aws4_request"))
            .json(&json!({"Name": name, "SecretString": secret, "ClientRequestToken": uuid::Uuid::new_v4()}))
            .send()
            .await;
        assert!(sent.unwrap().status().is_success(), "{name}");
    }
}

fn s3() -> String {
    format!("encrypted:s3!r:{REGION}!b:serin-secrets!f")
}

fn manager() -> String {
    format!("encrypted:secrets-manager!r:{REGION}!s")
}

fn at_aws(command: &mut Command, aws: &str, folder: &Path) {
    command
        .env("AWS_ENDPOINT_URL", aws)
        .env("AWS_ACCESS_KEY_ID", "serin")
        .env("AWS_SECRET_ACCESS_KEY", "serin-secret")
        .env("SERIN__STORAGE__DIRECTORY", folder.join("data"))
        .env("TMPDIR", folder)
        .env_remove("SERIN_CONFIG");
}

/// Files of secrets in a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.display().to_string().contains("serin-secret-"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_aws_reach_whom_they_are_for() {
    let Some(aws) = service("SERIN_TEST_AWS_URL") else {
        return;
    };
    store_in_aws(&aws).await;
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let (s3, manager) = (s3(), manager());
    let basic = |text: &str| {
        use base64::Engine;
        format!("Basic {}", base64::prelude::BASE64_STANDARD.encode(text))
    };
    let accounts = [
        (
            "a",
            format!("bearerToken: '{s3}:deep/secrets.yml!k:prometheus.token'"),
            "Bearer of-yaml".to_owned(),
        ),
        (
            "b",
            format!("bearerToken: '{s3}:deep/secrets.yml!k:prometheus.number'"),
            "Bearer 5".to_owned(),
        ),
        (
            "c",
            format!("username: u, password: '{manager}:plain'"),
            basic("u:of-manager"),
        ),
        (
            "d",
            format!("bearerToken: '${{TOKEN:{manager}:some/json!k:token}}'"),
            "Bearer of-json".to_owned(),
        ),
        (
            "e",
            format!("usernamePasswordFile: '{s3}:user'"),
            basic("somebody:of-file"),
        ),
        (
            "f",
            format!("headers: {{Authorization: '{manager}:plain'}}"),
            "of-manager".to_owned(),
        ),
    ];
    let listed = accounts.iter().map(|(name, member, _)| {
        format!(
            "      - {{name: {name}, endpoint: {{baseUrl: '{}'}}, {member}}}\n",
            prometheus.url
        )
    });
    let yaml = format!(
        "kayenta:\n  prometheus:\n    enabled: true\n    accounts:\n{}",
        listed.collect::<String>()
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kayenta.yml");
    std::fs::write(&file, &yaml).unwrap();

    let (mut child, url) = serve(&file, |command, folder| at_aws(command, &aws, folder));
    let client = Client::new(&url);
    for (name, _, expected) in &accounts {
        let path = format!(
            "/fetch/prometheus/query?metricsAccountName={name}&metricSetName=m&metricName=m&step=60\
             &customFilter=a&start=2024-06-01T01:00:00Z&end=2024-06-01T02:00:00Z"
        );
        let (status, told) = client.post(&path, &json!({})).await;
        assert_eq!(status, 200, "{name}: {told}");
        let asked = prometheus.asked();
        let sent = &asked.last().unwrap().headers["authorization"];
        assert_eq!(sent, expected, "{name}");
    }
    for asked in prometheus.asked() {
        let all = format!("{:?} {:?}", asked.headers, asked.params);
        assert!(!all.contains("encrypted"), "{all}");
    }
    let [path] = &files(folder.path())[..] else {
        panic!("one key wants a file");
    };
    let mode = std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let id = child.id().to_string();
    Command::new("kill").args(["-TERM", &id]).status().unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(files(folder.path()).len(), 0, "it goes with the process");

    shown_is_where_they_lie(&file, &aws, folder.path());
    what_is_not_there_is_told(&file, &aws, folder.path());
}

fn shown_is_where_they_lie(file: &Path, aws: &str, folder: &Path) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_serin"));
    at_aws(&mut command, aws, folder);
    let shown = command
        .args(["config", "--config"])
        .arg(file)
        .output()
        .unwrap();
    let shown = text(&shown.stdout);
    assert!(shown.contains("!s:plain"), "{shown}");
    for secret in ["of-yaml", "of-manager", "of-json", "of-file"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

fn what_is_not_there_is_told(file: &Path, aws: &str, folder: &Path) {
    let (s3, manager) = (s3(), manager());
    let refused = [
        (format!("{s3}:nosuch"), "S3 answers NoSuchKey"),
        (
            format!("{s3}:deep/secrets.yml!k:nosuch.key"),
            "there is no 'nosuch.key' in it",
        ),
        (
            format!("{manager}:nosuch"),
            "Secrets Manager answers ResourceNotFoundException",
        ),
        (format!("{manager}:plain!k:a"), "what lies there is no JSON"),
    ];
    for (reference, part) in refused {
        std::fs::write(
            file,
            with("http://p", &format!("bearerToken: '{reference}'"), ""),
        )
        .unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_serin"));
        at_aws(&mut command, aws, folder);
        let ended = command
            .args(["config", "--config"])
            .arg(file)
            .output()
            .unwrap();
        let told = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{told}");
        assert!(
            told.contains(part) && told.contains("bearerToken"),
            "{told}"
        );
        assert!(!told.contains("of-"), "{told}");
    }
}
