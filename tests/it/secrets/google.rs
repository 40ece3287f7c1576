//! Secrets in Cloud Storage and in Secret Manager.

use std::path::Path;
use std::process::Command;

use axum::Json;
use axum::http::{StatusCode, Uri};
use serde_json::{Value, json};
use serin::storage::gcs::GcsStore;
use serin::storage::objects::ObjectStore;

use super::{serve, with};
use crate::command::text;
use crate::executions::series;
use crate::gcs;
use crate::harness::{Client, service};
use crate::scripted_prometheus::ScriptedPrometheus;

/// Secret Manager, with one secret of one project.
async fn secret_manager() -> String {
    async fn answer(uri: Uri) -> (StatusCode, Json<Value>) {
        // {"token": "of-json"}
        let payload = json!({"payload": {"data": "eyJ0b2tlbiI6ICJvZi1qc29uIn0="}});
        let second = json!({"payload": {"data": "b2YtdmVyc2lvbi0y"}});
        let told = json!({"error": {"message": "Secret [b] not found"}});
        match uri.path() {
            "/v1/projects/17/secrets/some/versions/2:access" => (StatusCode::OK, Json(second)),
            "/v1/projects/17/secrets/some/versions/latest:access" => {
                (StatusCode::OK, Json(payload))
            }
            _ => (StatusCode::NOT_FOUND, Json(told)),
        }
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_google_reach_whom_they_are_for() {
    let Some(storage) = service("SERIN_TEST_GCS_URL") else {
        return;
    };
    let manager = secret_manager().await;
    let at_google = |command: &mut Command, folder: &Path| {
        command
            .env("STORAGE_EMULATOR_HOST", &storage)
            .env("CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER", &manager)
            .env("SERIN__STORAGE__DIRECTORY", folder.join("data"))
            .env("TMPDIR", folder)
            .env_remove("SERIN_CONFIG");
    };
    let store = GcsStore::open(&gcs::account(&storage, "serin-secrets")).unwrap();
    let yaml = "prometheus: {token: of-yaml}\n";
    store.put("deep/a b.yml", yaml.into()).await.unwrap();
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kayenta.yml");
    let there = "encrypted:gcs!b:serin-secrets!f:kayenta/deep/a b.yml!k:prometheus.token";
    let of_manager = "encrypted:google-secrets-manager!p:17!s:some!k:token";
    for (reference, expected) in [
        (there, "Bearer of-yaml"),
        (of_manager, "Bearer of-json"),
        (&format!("{of_manager}!v:latest"), "Bearer of-json"),
        (
            "encrypted:google-secrets-manager!p:17!s:some!v:2",
            "Bearer of-version-2",
        ),
    ] {
        let member = format!("bearerToken: '{reference}'");
        std::fs::write(&file, with(&prometheus.url, &member, "")).unwrap();
        let (mut child, url) = serve(&file, at_google);
        let path = "/fetch/prometheus/query?metricSetName=m&metricName=m&step=60&customFilter=a\
                    &start=2024-06-01T01:00:00Z&end=2024-06-01T02:00:00Z";
        let (status, told) = Client::new(&url).post(path, &json!({})).await;
        assert_eq!(status, 200, "{told}");
        let asked = prometheus.asked();
        assert_eq!(asked.last().unwrap().headers["authorization"], expected);
        let id = child.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(child.wait().unwrap().success());
    }
    for (reference, part) in [
        (
            "encrypted:gcs!b:serin-secrets!f:nosuch",
            "answers 404 Not Found",
        ),
        (
            "encrypted:google-secrets-manager!p:17!s:b",
            "404 Not Found: Secret [b] not found",
        ),
    ] {
        let member = format!("bearerToken: '{reference}'");
        std::fs::write(&file, with("http://p", &member, "")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_serin"));
        at_google(&mut command, folder.path());
        let ended = command
            .args(["config", "--config"])
            .arg(&file)
            .output()
            .unwrap();
        let told = text(&ended.stderr);
        assert!(
            told.contains(part) && told.contains("bearerToken"),
            "{told}"
        );
    }
}
