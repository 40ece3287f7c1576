//! A database and a bucket for replicas of the benchmarks.

use sqlx::{Connection, Executor, PgConnection};

pub const BUCKET: &str = "bench";

/// Variables of a replica on a database and a bucket.
pub fn on(database: &str, s3: &str) -> Vec<(&'static str, String)> {
    let secret = |name| std::env::var(name).unwrap_or_default();
    let account = format!(
        "[{{name: s3, bucket: {BUCKET}, endpoint: '{s3}', explicitCredentials: {{accessKey: {}, secretKey: {}}}}}]",
        secret("SERIN_TEST_S3_ACCESS_KEY"),
        secret("SERIN_TEST_S3_SECRET_KEY"),
    );
    let pairs = [
        ("SERIN__DATABASE__URL", database),
        ("SERIN__KAYENTA__AWS__ENABLED", "true"),
        ("SERIN__KAYENTA__S3__ENABLED", "true"),
        ("SERIN__KAYENTA__AWS__ACCOUNTS", &account),
    ];
    pairs.map(|(name, value)| (name, value.to_owned())).into()
}

/// The URL of a database of its own on that server.
pub async fn new_database(server: &str) -> String {
    let name = format!("bench_{}", uuid::Uuid::new_v4().simple());
    let mut connection = PgConnection::connect(server).await.expect("PostgreSQL");
    let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    connection.execute(create).await.expect("a database");
    let mut url = url::Url::parse(server).expect("a URL");
    url.set_path(&name);
    url.into()
}
