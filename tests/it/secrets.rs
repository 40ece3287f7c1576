//! Secrets that lie elsewhere: what a reference stands for goes to whom it is for, and the reference
//! to nobody.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use serin::config::{LoadOptions, Loaded, Source, load_with};
use serin::secrets::{Cluster, Engines};
use serin::storage::gcs::GcsStore;
use serin::storage::objects::ObjectStore;

use crate::command::{serin, text};
use crate::executions::series;
use crate::gcs;
use crate::harness::{Client, service};
use crate::scripted_prometheus::ScriptedPrometheus;

const REGION: &str = "eu-central-1";

/// A configuration whose one metrics account has that member.
fn with(prometheus: &str, member: &str, more: &str) -> String {
    format!(
        "{more}\nkayenta:\n  prometheus:\n    enabled: true\n    accounts:\n      \
         - {{name: p, endpoint: {{baseUrl: '{prometheus}'}}, {member}}}\n"
    )
}

const PASSWORD: &str = "kayenta.prometheus.accounts[0].password";
const TOKEN: &str = "kayenta.prometheus.accounts[0].bearerToken";
const ON: &str = "spinnaker: {secrets: {kubernetes: {enabled: true}}}";

/// A member of an account, what else stands in the file, the key that is named, and what is told.
const REFUSED: [(&str, &str, &str, &str); 13] = [
    // member, more, key, what is told
    (
        "username: u, password: 'encrypted:k8s!n:a!k:b'",
        "",
        PASSWORD,
        "'k8s' is off",
    ),
    (
        "username: u, password: 'encrypted:k8s!n:a!k:b'",
        ON,
        PASSWORD,
        "serin runs in no cluster",
    ),
    (
        "username: u, password: 'encrypted:vault!s:a!f:b'",
        "",
        PASSWORD,
        "the engine 'vault' is not served",
    ),
    (
        "bearerToken: 'encrypted:google-secrets-manager!s:b'",
        "",
        TOKEN,
        "the parameter 'p' is missing",
    ),
    (
        "bearerToken: 'encryptedFile:vault!p:1'",
        "",
        TOKEN,
        "the engine 'vault' is not served",
    ),
    (
        "bearerToken: 'boot-secret://vault?s=a&k=b'",
        "",
        TOKEN,
        "'boot-secret:' is a hook",
    ),
    (
        "bearerToken: 'encrypted:'",
        "",
        TOKEN,
        "an engine and its parameters",
    ),
    (
        "bearerToken: 'encrypted:s3!b:a!b:b'",
        "",
        TOKEN,
        "'b' stands twice",
    ),
    (
        "bearerToken: '${TOKEN:encrypted:vault!s:a!f:b}'",
        "",
        TOKEN,
        "the engine 'vault' is not served",
    ),
    (
        "bearerToken: '${other.token}'",
        "other: {token: 'encrypted:vault!s:a!f:b'}",
        TOKEN,
        "'vault' is not",
    ),
    (
        "headers: {Authorization: 'Bearer encrypted:k8s!n:a!k:b'}",
        "",
        "headers.Authorization",
        "the whole value",
    ),
    (
        "caFile: 'encrypted:vault!s:a!f:b'",
        "",
        "caFile",
        "the engine 'vault' is not served",
    ),
    (
        "endpoint: {baseUrl: 'encrypted:vault!s:a!f:b'}",
        "",
        "endpoint.baseUrl",
        "'vault' is not",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_cannot_be_had_stops_the_start_with_its_name_and_key() {
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kayenta.yml").display().to_string();
    for (member, more, key, part) in REFUSED {
        let yaml = match member.strip_prefix("endpoint") {
            Some(_) => with("http://p", "compression: false", more)
                .replace("'http://p'", "'encrypted:vault!s:a!f:b'"),
            None => with(&prometheus.url, member, more),
        };
        std::fs::write(&file, yaml).unwrap();
        for command in [&["config"][..], &["serve", "--port", "0"]] {
            let all = [command, &["--config", &file]].concat();
            let ended = tokio::task::block_in_place(|| serin(&all, ""));
            let told = text(&ended.stderr);
            assert_eq!(ended.status.code(), Some(1), "{member}: {told}");
            let line = told.lines().find(|line| line.contains("cannot be read"));
            let line = line.unwrap_or_else(|| panic!("{member}: {told}"));
            assert!(line.contains(key) && line.contains(part), "{line}");
        }
    }
    assert!(prometheus.asked().is_empty());
    // Of a section that nobody reads, nobody is told.
    let off = with(
        "http://p",
        "password: 'encrypted:vault!s:a!f:b'",
        "redis: {connection: 'encrypted:vault!s:a!f:b'}",
    );
    std::fs::write(&file, off.replace("enabled: true", "enabled: false")).unwrap();
    let ended = tokio::task::block_in_place(|| serin(&["config", "--config", &file], ""));
    assert!(ended.status.success(), "{}", text(&ended.stderr));
}

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

fn serve(file: &Path, place: impl FnOnce(&mut Command, &Path)) -> (Child, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_serin"));
    place(&mut command, file.parent().unwrap());
    command
        .args(["serve", "--port", "0", "--config"])
        .arg(file)
        .env("SERIN__LOG__FORMAT", "json")
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut told = String::new();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    while let Some(line) = lines.next() {
        let line = line.unwrap();
        let event: Value = serde_json::from_str(&line).unwrap_or_default();
        if let Some(url) = event["fields"]["url"].as_str() {
            // It could not write any more, if nobody read.
            std::thread::spawn(move || lines.for_each(drop));
            return (child, url.to_owned());
        }
        told += &line;
    }
    let _ = child.wait();
    panic!("{told}");
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
