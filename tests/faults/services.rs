//! The real services, as `tests/with-services` names them.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;
use serin::config::{S3Account, S3Credentials, S3Writing};
use serin::storage::s3::S3Store;
use sqlx::{Connection, PgConnection, Row};

pub const BUCKET: &str = "faults";

#[derive(Clone, Debug)]
pub struct Services {
    pub prometheus: String,
    pub s3_endpoint: String,
    pub s3_access_key: String,
    pub s3_secret_key: String,
    pub toxiproxy: String,
    pub postgres: String,
    /// A program that stops and starts PostgreSQL.
    pub postgres_control: PathBuf,
    /// The library that makes clocks jump, where there is one.
    pub faketime: Option<PathBuf>,
}

impl Services {
    /// The first variable that is missing, where something is.
    pub fn read() -> Result<Self, String> {
        Ok(Self {
            prometheus: variable("SERIN_TEST_PROMETHEUS_URL")?,
            s3_endpoint: variable("SERIN_TEST_S3_ENDPOINT")?,
            s3_access_key: variable("SERIN_TEST_S3_ACCESS_KEY")?,
            s3_secret_key: variable("SERIN_TEST_S3_SECRET_KEY")?,
            toxiproxy: variable("SERIN_TEST_TOXIPROXY_URL")?,
            postgres: variable("SERIN_TEST_POSTGRES_URL")?,
            postgres_control: variable("SERIN_TEST_POSTGRES_CONTROL")?.into(),
            faketime: variable("SERIN_TEST_FAKETIME").ok().map(PathBuf::from),
        })
    }

    /// The bucket, without anything between.
    pub fn store(&self) -> S3Store {
        S3Store::new(S3Account {
            bucket: BUCKET.to_owned(),
            region: None,
            root_folder: "kayenta".to_owned(),
            writing: S3Writing::default(),
            timeout: Duration::from_secs(45),
            profile_name: None,
            endpoint: Some(self.s3_endpoint.clone()),
            credentials: Some(S3Credentials {
                access_key: self.s3_access_key.clone().into(),
                secret_key: self.s3_secret_key.clone().into(),
                session_token: None,
            }),
        })
    }

    pub async fn make_database(&self, name: &str) -> anyhow::Result<()> {
        let mut connection = PgConnection::connect(&self.postgres).await?;
        let sql = format!("CREATE DATABASE {name}");
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .execute(&mut connection)
            .await?;
        Ok(connection.close().await?)
    }

    /// The documents of executions as their rows have them, without anything between.
    pub async fn rows(&self, database: &str) -> anyhow::Result<Vec<(String, Value)>> {
        let mut url = url::Url::parse(&self.postgres)?;
        url.set_path(database);
        let mut connection = PgConnection::connect(url.as_str()).await?;
        let rows = sqlx::query("SELECT id, document FROM execution")
            .fetch_all(&mut connection)
            .await?;
        connection.close().await?;
        rows.iter()
            .map(|row| {
                let document: String = row.try_get("document")?;
                Ok((row.try_get("id")?, serde_json::from_str(&document)?))
            })
            .collect()
    }

    /// `start`, or `fast` or `immediate` to stop.
    pub fn control_postgres(&self, what: &str) -> anyhow::Result<()> {
        let done = Command::new(&self.postgres_control)
            .arg(what)
            .stdout(Stdio::null())
            .status()
            .context("cannot run the control of PostgreSQL")?;
        ensure!(done.success(), "PostgreSQL: {what} failed");
        Ok(())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests are told by the environment"
)]
pub fn variable(name: &str) -> Result<String, String> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty());
    value.ok_or_else(|| name.to_owned())
}
