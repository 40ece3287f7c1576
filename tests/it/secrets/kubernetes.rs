//! Secrets of a cluster.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use serin::config::{LoadOptions, Loaded, Source, load_with};
use serin::secrets::{Cluster, Engines};

use super::with;

/// A cluster with one secret, which its account may read.
async fn cluster(folder: &Path) -> Cluster {
    async fn answer(
        State(()): State<()>,
        uri: Uri,
        headers: HeaderMap,
    ) -> (StatusCode, Json<Value>) {
        let secret = json!({"kind": "Secret", "data": {"token": "b2YtY2x1c3Rlcgo=", "odd": "?"}});
        let refused =
            |status, message: &str| (status, Json(json!({"kind": "Status", "message": message})));
        match (headers["authorization"].to_str().unwrap(), uri.path()) {
            ("Bearer of-the-pod", "/api/v1/namespaces/spin/secrets/kayenta") => {
                (StatusCode::OK, Json(secret))
            }
            ("Bearer of-the-pod", "/api/v1/namespaces/other/secrets/kayenta") => {
                refused(StatusCode::FORBIDDEN, "secrets \"kayenta\" is forbidden")
            }
            (_, path) => refused(StatusCode::NOT_FOUND, path),
        }
    }
    std::fs::write(folder.join("token"), "of-the-pod\n").unwrap();
    std::fs::write(folder.join("namespace"), "spin").unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(answer).with_state(());
    tokio::spawn(async move { axum::serve(listener, router).await });
    Cluster {
        url,
        folder: folder.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_kubernetes_are_read_by_the_account_of_the_pod() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = cluster(folder.path()).await;
    let file = folder.path().join("kayenta.yml");
    let load = |reference: &str| -> Result<Loaded, String> {
        let on = "spinnaker: {secrets: {kubernetes: {enabled: '${ON:true}'}}}";
        std::fs::write(
            &file,
            with("http://p", &format!("bearerToken: '{reference}'"), on),
        )
        .unwrap();
        let options = LoadOptions {
            file: Some(file.clone()),
            ..LoadOptions::default()
        };
        let engines = Engines::of(cluster.clone());
        let loaded =
            tokio::task::block_in_place(|| load_with(&options, &BTreeMap::new(), &engines));
        loaded.map_err(|error| error.to_string())
    };
    for reference in [
        "encrypted:k8s!n:Kayenta!k:token",
        "encrypted:k8s!ns:spin!k:token!n:kayenta",
    ] {
        let loaded = load(reference).unwrap();
        let Some(Source::Prometheus(account)) = &loaded.config.accounts[0].source else {
            panic!("{loaded:?}");
        };
        let token = account.bearer_token.as_ref().unwrap().expose_secret();
        assert_eq!(token, "of-cluster", "{reference}");
        assert!(!format!("{loaded:?}").contains("of-cluster"));
    }
    let refused = [
        (
            "encrypted:k8s!n:kayenta!k:nosuch",
            "there is no 'nosuch' in it",
        ),
        ("encrypted:k8s!n:kayenta!k:odd", "not encoded in base64"),
        ("encrypted:k8s!n:kayenta", "the parameter 'k' is missing"),
        (
            "encrypted:k8s!n:nosuch!k:token",
            "Kubernetes answers 404 Not Found: ",
        ),
        (
            "encrypted:k8s!n:kayenta!ns:other!k:token",
            "403 Forbidden: secrets \"kayenta\" is forbidden",
        ),
        (
            "encrypted:k8s!n:../pods!k:token",
            "'../pods' is no name in Kubernetes",
        ),
        (
            "encrypted:k8s!n:..!k:token",
            "'..' is no name in Kubernetes",
        ),
    ];
    for (reference, part) in refused {
        let told = load(reference).unwrap_err();
        assert!(
            told.contains(part) && told.contains("bearerToken"),
            "{told}"
        );
    }
    let start = std::time::Instant::now();
    let away = Cluster {
        url: "http://127.0.0.1:9".to_owned(),
        folder: folder.path().to_owned(),
    };
    let asked = away.secret(None, "kayenta").await.unwrap_err();
    assert!(asked.contains("error sending request"), "{asked}");
    assert!(start.elapsed() < Duration::from_secs(20));
}
