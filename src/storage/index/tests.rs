//! What every index does: the tests of its rows run on each database.

use std::time::Duration;

use sqlx::{Connection, Executor, PgConnection};
use url::Url;
use uuid::Uuid;

use super::{Claim, ExecutionRow, Index};
use crate::canary::ExecutionStatus;
use crate::canary::Kind;
use crate::config::Database;

/// Runs a test on a new SQLite, and on a new database of PostgreSQL where there is one: without it
/// a line is printed, and the test fails where `CI=true`.
pub async fn on_each(test: impl AsyncFn(Index)) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("serin.db").display());
    let index = Index::open(&Database::at(&url)).await.unwrap();
    test(index.clone()).await;
    index.close().await;

    if let Some(url) = new_postgres_database().await {
        let index = Index::open(&Database::at(&url)).await.unwrap();
        test(index.clone()).await;
        index.close().await;
    }
}

/// An execution of the application `web` that nobody has claimed.
pub fn waiting(kind: Kind, id: &str, build_time: i64) -> ExecutionRow {
    ExecutionRow {
        kind,
        id: id.to_owned(),
        application: "web".to_owned(),
        canary_config_id: "c".to_owned(),
        storage_account: "s3".to_owned(),
        status: ExecutionStatus::NotStarted,
        complete: false,
        archived: false,
        build_time,
        attempt: 0,
        parent: None,
        document: "{}".to_owned(),
    }
}

/// A claimed execution.
pub async fn claimed(index: &Index, kind: Kind, id: &str) -> Claim {
    index.insert_execution(&waiting(kind, id, 0)).await.unwrap();
    let lease = Duration::from_secs(30);
    let claimed = index.claim("worker", 0, lease, 1).await.unwrap();
    claimed.into_iter().next().unwrap()
}

/// The URL of an empty database.
pub async fn new_postgres_database() -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "tests are told by the environment"
    )]
    let (server, ci) = (
        std::env::var("SERIN_TEST_POSTGRES_URL"),
        std::env::var("CI"),
    );
    let Ok(server) = server else {
        assert!(
            ci.as_deref() != Ok("true"),
            "SERIN_TEST_POSTGRES_URL is not set"
        );
        println!("skipped on PostgreSQL: SERIN_TEST_POSTGRES_URL is not set; tests/run starts one");
        return None;
    };
    let name = format!("serin_{}", Uuid::new_v4().simple());
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
