//! The database of a fleet: away, silent, behind TLS, and newer than a replica.

use std::time::{Duration, Instant};

use serde_json::json;
use serin::config::Database;
use serin::storage::index::Index;
use sqlx::{Connection, Executor, PgConnection};
use url::Url;

use super::Fleet;
use crate::crash::free_port;
use crate::executions::{adhoc, series};
use crate::harness::{Client, new_database, service};
use crate::scripted_prometheus::ScriptedPrometheus;

/// A proxy of toxiproxy in front of PostgreSQL, and the database's URL through it.
struct Proxied {
    api: String,
    name: String,
    url: String,
}

impl Proxied {
    async fn new() -> Option<Self> {
        let api = service("SERIN_TEST_TOXIPROXY_URL")?;
        let mut url = Url::parse(&new_database().await?).unwrap();
        let (name, port) = (uuid::Uuid::new_v4().to_string(), free_port());
        let upstream = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        let body =
            json!({"name": name, "listen": format!("127.0.0.1:{port}"), "upstream": upstream});
        let (status, answer) = Client::new(&api).post("/proxies", &body).await;
        assert_eq!(status, 201, "{answer}");
        url.set_port(Some(port)).unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        Some(Self {
            api,
            name,
            url: url.into(),
        })
    }

    async fn enable(&self, enabled: bool) {
        let body = json!({"enabled": enabled});
        let path = format!("/proxies/{}", self.name);
        assert_eq!(Client::new(&self.api).post(&path, &body).await.0, 200);
    }

    async fn silence(&self) {
        let body = json!({"name": "silence", "type": "timeout", "attributes": {"timeout": 0}});
        let path = format!("/proxies/{}/toxics", self.name);
        assert_eq!(Client::new(&self.api).post(&path, &body).await.0, 200);
    }

    async fn speak(&self) {
        let path = format!("/proxies/{}/toxics/silence", self.name);
        assert_eq!(Client::new(&self.api).delete(&path).await.0, 204);
    }
}

#[tokio::test]
async fn while_the_database_is_away_a_post_is_503_and_what_runs_ends_afterwards() {
    let Some(database) = Proxied::new().await else {
        return;
    };
    let mut fleet = Fleet::on(database.url.clone()).await.unwrap();
    fleet.prometheus =
        ScriptedPrometheus::start(|_| series(1.0).after(Duration::from_millis(1500))).await;
    let short = [
        ("database.acquireTimeout", "500ms"),
        ("database.statementTimeout", "1s"),
    ];
    let serin = fleet.replica(&short).await;
    for silent in [false, true] {
        // The pool may still hold connections that the earlier loss broke.
        let id = loop {
            let (status, body) = serin.client.post("/canary", &adhoc(&["latency"])).await;
            if let Some(id) = body["canaryExecutionId"].as_str() {
                break id.to_owned();
            }
            assert_eq!(status, 503, "{body}");
        };
        while fleet.prometheus.asked().len() < if silent { 4 } else { 2 } {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if silent {
            database.silence().await;
        } else {
            database.enable(false).await;
        }
        let post = serin
            .client
            .http
            .post(format!("{}/canary", serin.client.url));
        let answer = post.json(&adhoc(&["latency"])).send().await.unwrap();
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.headers()["retry-after"], "2");
        let told = answer.text().await.unwrap();
        assert!(told.contains("database"), "{told}");
        assert!(!told.contains("serin-test"), "{told}");
        assert_eq!(serin.client.get(&format!("/canary/{id}")).await.0, 503);
        tokio::time::sleep(Duration::from_secs(2)).await;
        if silent {
            database.speak().await;
        } else {
            database.enable(true).await;
        }
        let start = Instant::now();
        let done = loop {
            let (status, body) = serin.client.get(&format!("/canary/{id}")).await;
            if status == 200 && body["complete"] == true {
                break body;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "{status} {body}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        assert_eq!(done["status"], "succeeded");
    }
}

#[tokio::test]
async fn tls_to_the_database_is_checked_as_the_url_says() {
    let (Some(url), Some(ca)) = (new_database().await, service("SERIN_TEST_POSTGRES_CA")) else {
        return;
    };
    let other = foreign_certificate();
    let with = |parameters: &str| format!("{url}?{parameters}");
    let open = async |url: String| {
        let database = Database {
            acquire_timeout: Duration::from_secs(3),
            ..Database::at(&url)
        };
        let opened = Index::open(&database).await;
        opened
            .map(|_| ())
            .map_err(|error| format!("{error} {error:?}"))
    };
    for mode in ["require", "verify-ca", "verify-full"] {
        let opened = open(with(&format!("sslmode={mode}&sslrootcert={ca}"))).await;
        assert_eq!(opened, Ok(()), "{mode}");
    }
    for mode in ["verify-ca", "verify-full"] {
        let path = other.path().display();
        let error = open(with(&format!("sslmode={mode}&sslrootcert={path}"))).await;
        let error = error.unwrap_err();
        assert!(!error.contains("serin-test@"), "{error}");
    }
}

/// A certificate that has signed nothing: one of the system's own.
fn foreign_certificate() -> tempfile::NamedTempFile {
    let bundle = std::fs::read_to_string("/etc/ssl/certs/ca-certificates.crt").unwrap();
    let end = "-----END CERTIFICATE-----\n";
    let first = bundle.split_inclusive(end).next().unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), first).unwrap();
    file
}

#[tokio::test]
async fn a_replica_starts_on_a_database_that_a_newer_one_brought_further() {
    let Some(fleet) = Fleet::new().await else {
        return;
    };
    let newer = fleet.replica(&[]).await;
    let mut connection = PgConnection::connect(&fleet.database).await.unwrap();
    let further = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'further', true, '\\x00', 1); \
         ALTER TABLE execution ADD COLUMN further bigint NOT NULL DEFAULT 1";
    connection.execute(further).await.unwrap();
    let older = fleet.replica(&[]).await;
    let id = older
        .client
        .start_canary("/canary", &adhoc(&["latency"]))
        .await;
    assert_eq!(newer.client.poll(&id).await["status"], "succeeded");
}
