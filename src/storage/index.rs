//! What lists and claims: one SQL database.

mod archives;
mod configs;
mod executions;

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

pub use archives::ArchiveRow;
pub use configs::{ConfigRow, Named};
pub use executions::{Claim, ExecutionRow, Kind, Listed};

use crate::error::{Error, Result};

static MIGRATIONS: Migrator = sqlx::migrate!();

/// SQLite has one writer: it has a connection of its own, so that writes queue here and not in
/// the database, and readers never wait.
#[derive(Clone)]
pub struct Index {
    write: SqlitePool,
    read: SqlitePool,
}

impl Index {
    /// Opens the database, creates it if need be, and brings it up to date.
    ///
    /// # Errors
    /// `Storage` when it cannot be opened, `Invalid` when the URL is not one of SQLite.
    pub async fn open(url: &str) -> Result<Self> {
        if !url.starts_with("sqlite:") {
            let scheme = url.split(':').next().unwrap_or("");
            return Err(Error::Invalid(format!(
                "database.url with '{scheme}:' is not served; 'sqlite:<path>' is"
            )));
        }
        let options = SqliteConnectOptions::from_str(url)
            .map_err(failed("read database.url"))?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // What has been acknowledged must survive a loss of power.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10))
            .statement_cache_capacity(200);
        if let Some(folder) = options.get_filename().parent()
            && folder != Path::new("")
        {
            std::fs::create_dir_all(folder).map_err(|cause| {
                Error::storage(
                    format!("cannot create the folder '{}'", folder.display()),
                    cause,
                )
            })?;
        }
        let pool = |connections| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(Duration::from_secs(20))
        };
        let write = pool(1)
            .connect_with(options.clone())
            .await
            .map_err(failed("open the index"))?;
        MIGRATIONS
            .run(&write)
            .await
            .map_err(|cause| Error::storage("cannot bring the index up to date", cause))?;
        let read = pool(4)
            .connect_with(options)
            .await
            .map_err(failed("open the index"))?;
        Ok(Self { write, read })
    }

    /// Whether the database answers.
    pub async fn check(&self) -> Result<()> {
        sqlx::query("SELECT count(*) FROM execution WHERE id = ''")
            .fetch_one(&self.read)
            .await
            .map(|_| ())
            .map_err(failed("read the index"))
    }

    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

fn failed(what: &'static str) -> impl Fn(sqlx::Error) -> Error {
    move |cause| Error::storage(format!("cannot {what}"), cause)
}

#[cfg(test)]
#[expect(clippy::missing_panics_doc, reason = "a test fails by it")]
pub async fn temporary() -> (tempfile::TempDir, Index) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("serin.db").display());
    let index = Index::open(&url).await.unwrap();
    (folder, index)
}
