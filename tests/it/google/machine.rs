//! serin where Google's environment is another one than it seems.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{Google, shown, token};
use crate::crash::{Process, free_port};

const NOBODY: &str = "127.0.0.1:9";

/// An account that keeps documents and one that gives series, with these members; nobody serves them.
fn accounts(more: &Value) -> String {
    let types = ["METRICS_STORE", "OBJECT_STORE", "CONFIGURATION_STORE"];
    let mut account = json!({
        "name": "my-google", "project": "p", "bucket": "b", "supportedTypes": types, "timeout": "1s",
        "endpoint": {"baseUrl": format!("https://{NOBODY}")},
    });
    let more = more.as_object().unwrap().clone();
    account.as_object_mut().unwrap().extend(more);
    let accounts = json!({"kayenta": {
        "google": {"enabled": true, "accounts": [account]},
        "gcs": {"enabled": true}, "stackdriver": {"enabled": true},
    }});
    accounts.to_string()
}

/// Of a machine of Google's, whose metadata are told at that host.
fn serin(folder: &Path, accounts: &str, metadata: &str) -> Command {
    let file = folder.join("serin.yml");
    std::fs::write(&file, accounts).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_serin"));
    command
        .args(["serve", "--config", shown(&file)])
        .env("SERIN__STORAGE__DIRECTORY", folder.join("data"))
        .env("HOME", folder)
        .env("GCE_METADATA_HOST", metadata)
        .env_remove("GOOGLE_APPLICATION_CREDENTIALS");
    for variable in ["no_proxy", "NO_PROXY"] {
        command.env_remove(variable);
    }
    command
}

#[tokio::test]
async fn no_proxy_stands_between_a_machine_and_its_metadata() {
    let google = Google::start(|_, _| token("of-machine")).await;
    let folder = tempfile::tempdir().unwrap();
    let host = google.url.trim_start_matches("http://");
    let mut command = serin(folder.path(), &accounts(&json!({})), host);
    command.env("http_proxy", format!("http://{NOBODY}"));
    let serin = Process::spawn(command, free_port()).await;
    serin.client.get("/health").await;
    let asked = google.asked();
    let token = "/computeMetadata/v1/instance/service-accounts/default/token";
    assert!(asked.iter().any(|asked| asked.path == token), "{asked:?}");
}

#[tokio::test]
async fn metadata_that_are_away_stop_no_start() {
    let folder = tempfile::tempdir().unwrap();
    let command = serin(folder.path(), &accounts(&json!({})), NOBODY);
    let serin = Process::spawn(command, free_port()).await;
    let (status, health) = serin.client.get("/health").await;
    assert_eq!(status, 503, "{health}");
    let expected = "the metadata server does not answer with a token";
    for component in ["storage", "stackdriver"] {
        let found = &health["components"][component]["details"]["my-google"]["error"];
        let told = found.as_str().unwrap_or_default();
        assert!(told.contains(expected), "{component}: {health}");
    }
}

#[test]
fn credentials_that_can_never_do_stop_the_start_with_their_account_and_key() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key.json");
    std::fs::write(&key, "{}").unwrap();
    // First what keeps documents is opened, then what gives series.
    for types in [json!(["OBJECT_STORE"]), json!(["METRICS_STORE"])] {
        let accounts = accounts(&json!({"jsonPath": key, "supportedTypes": types}));
        let mut command = serin(folder.path(), &accounts, NOBODY);
        command.args(["--port", &free_port().to_string()]);
        let ended = command.stdout(Stdio::null()).output().unwrap();
        let told = String::from_utf8_lossy(&ended.stderr);
        let expected = format!(
            "account 'my-google': jsonPath: '{}': it has no type",
            key.display()
        );
        assert!(
            !ended.status.success() && told.contains(&expected),
            "{told}"
        );
    }
}
