//! A service within the test: port 0, a temporary folder, and a client that reads JSON.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use serin::command::Service;
use serin::config::{LoadOptions, Shorthands, load_from};
use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;
use url::Url;

/// In a configuration: whoever comes may everything, also what only operators need.
pub const ALL_MAY_ALL: &str = "access: {rules: [{who: {anonymous: true}, may: [admin]}]}\n";

pub struct Serin {
    pub service: Service,
    pub folder: TempDir,
    pub client: Client,
}

impl Serin {
    /// With the embedded form, and one metrics account at that URL.
    pub async fn start(prometheus: &str) -> Self {
        Self::start_with(prometheus, &[], None).await
    }

    /// With dotted keys of the configuration, and a configuration file.
    pub async fn start_with(prometheus: &str, keys: &[(&str, &str)], file: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = file.map(|text| {
            let path = folder.path().join("serin.yml");
            std::fs::write(&path, text).unwrap();
            path
        });
        let data = folder.path().join("data").display().to_string();
        let mut overrides = vec![
            ("storage.directory".to_owned(), data),
            ("server.port".to_owned(), "0".to_owned()),
        ];
        overrides.retain(|(key, _)| !keys.iter().any(|(other, _)| key == other));
        overrides.extend(keys.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        let options = LoadOptions {
            file: path,
            shorthands: Shorthands {
                prometheus: (!prometheus.is_empty()).then(|| prometheus.to_owned()),
                ..Shorthands::default()
            },
            overrides,
        };
        let config = load_from(&options, &BTreeMap::new()).unwrap().config;
        let service = Service::start(config).await.unwrap();
        let client = Client::new(&service.url);
        Self {
            service,
            folder,
            client,
        }
    }

    /// Where the account `local` and the index lie.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

#[derive(Clone)]
pub struct Client {
    pub http: reqwest::Client,
    pub url: String,
}

impl Client {
    pub fn new(url: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            http: reqwest::Client::builder()
                .timeout(Duration::from_secs(30))
                .build()
                .unwrap(),
            url: url.to_owned(),
        }
    }

    /// The same, with a token in every request.
    pub fn with_token(&self, token: &str) -> Self {
        let mut shown = reqwest::header::HeaderMap::new();
        shown.insert("authorization", format!("Bearer {token}").parse().unwrap());
        let http = reqwest::Client::builder().default_headers(shown);
        Self {
            http: http.timeout(Duration::from_secs(30)).build().unwrap(),
            url: self.url.clone(),
        }
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.http.get(self.path(path))).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        answer(self.http.post(self.path(path)).json(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> (u16, Value) {
        answer(self.http.put(self.path(path)).json(body)).await
    }

    pub async fn delete(&self, path: &str) -> (u16, Value) {
        answer(self.http.delete(self.path(path))).await
    }

    /// The execution's id.
    pub async fn start_canary(&self, path: &str, body: &Value) -> String {
        let (status, answer) = self.post(path, body).await;
        assert_eq!(status, 200, "{answer}");
        answer["canaryExecutionId"].as_str().unwrap().to_owned()
    }

    /// The execution once it is complete.
    pub async fn poll(&self, id: &str) -> Value {
        let start = Instant::now();
        loop {
            let (status, body) = self.get(&format!("/canary/{id}")).await;
            assert_eq!(status, 200, "{body}");
            if body["complete"] == true {
                return body;
            }
            assert!(start.elapsed() < Duration::from_mins(1), "{body}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn path(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }
}

pub async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    let body = match text.as_str() {
        "" => Value::Null,
        text => serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)),
    };
    (status, body)
}

/// The lines of a compressed file of `tests/golden`.
pub fn golden_lines(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// What a service under test is told by `tests/with-services`. Missing, it is a line here and a
/// failure where `CI=true`.
pub fn service(variable: &str) -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "tests are told by the environment"
    )]
    let (value, ci) = (std::env::var(variable), std::env::var("CI"));
    if value.is_err() {
        assert!(ci.as_deref() != Ok("true"), "{variable} is not set");
        println!("skipped: {variable} is not set; tests/run starts what it names");
    }
    value.ok()
}

/// The URL of an empty database of its own.
pub async fn new_database() -> Option<String> {
    let server = service("SERIN_TEST_POSTGRES_URL")?;
    let name = format!("serin_{}", uuid::Uuid::new_v4().simple());
    let mut connection = PgConnection::connect(&server).await.unwrap();
    let create = format!("CREATE DATABASE {name}");
    connection
        .execute(sqlx::AssertSqlSafe(create))
        .await
        .unwrap();
    let mut url = Url::parse(&server).unwrap();
    url.set_path(&name);
    Some(url.into())
}

/// Keys of all objects below a root folder, sorted.
pub fn bucket_keys(root: &Path) -> Vec<String> {
    let mut keys = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let key = path.strip_prefix(root).unwrap();
                keys.push(key.to_str().unwrap().to_owned());
            }
        }
    }
    keys.sort();
    keys
}
