//! Opening the database, and bringing it up to date.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers};
use sqlx::migrate::MigrateError;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AnyConnection, AnyPool, ConnectOptions, Executor};

use super::journal::Journal;
use super::migrations::migrations;
use super::{Chain, Engine, Index, failed, postgres};
use crate::config::Database;
use crate::error::{Error, Result};

impl Index {
    /// Opens the database, creates it if it is a file and not there, and brings it up to date.
    ///
    /// # Errors
    /// `Storage` or `Unavailable` when it cannot be opened.
    pub async fn open(database: &Database) -> Result<Self> {
        install_default_drivers();
        if database.url.starts_with("sqlite:") {
            sqlite(database).await
        } else {
            postgres(database).await
        }
    }
}

async fn sqlite(database: &Database) -> Result<Index> {
    let options = SqliteConnectOptions::from_str(&database.url)
        .map_err(failed("read database.url"))?
        .create_if_missing(true);
    if let Some(folder) = options.get_filename().parent()
        && folder != Path::new("")
    {
        std::fs::create_dir_all(folder).map_err(|cause| {
            let what = format!("cannot create the folder '{}'", folder.display());
            Error::storage(what, cause)
        })?;
    }
    let url = options.to_url_lossy();
    let open = async |connections| {
        let pool = AnyPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(database.acquire_timeout)
            .test_before_acquire(false)
            // The last connection to go would take the log with it, see `Journal`.
            .idle_timeout(None)
            .max_lifetime(None)
            .after_connect(|connection, _| {
                Box::pin(async move {
                    let pragmas = "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; \
                                   PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 4000";
                    connection.execute(pragmas).await.map(|_| ())
                })
            });
        let options = AnyConnectOptions::from_url(&url)?;
        pool.connect_with(options).await
    };
    let write = match open(1).await {
        // The pool has tried all the time, and does not say why in vain.
        Err(sqlx::Error::PoolTimedOut) => {
            let options = AnyConnectOptions::from_url(&url).map_err(failed("open the index"))?;
            let mut connection = options.connect().await.map_err(failed("open the index"))?;
            let read = connection.execute("PRAGMA journal_mode = WAL").await;
            read.map_err(failed("open the index"))?;
            Err(sqlx::Error::PoolTimedOut)
        }
        opened => opened,
    };
    let write = write.map_err(failed("open the index"))?;
    migrate(&write).await?;
    let read = open(4).await.map_err(failed("open the index"))?;
    let journal = Journal::of(options.get_filename());
    journal.note_its_folder().await?;
    Ok(Index {
        write,
        read,
        engine: Engine::Sqlite(Arc::new(journal)),
        chain: Arc::new(Chain::new(false)),
        patience: database.acquire_timeout + database.statement_timeout,
    })
}

async fn postgres(database: &Database) -> Result<Index> {
    let url = postgres::url(database)?;
    let options = AnyConnectOptions::from_url(&url).map_err(failed("read database.url"))?;
    let pool = AnyPoolOptions::new()
        .max_connections(database.max_connections)
        .acquire_timeout(database.acquire_timeout)
        .connect_with(options.clone())
        .await;
    let pool = match pool {
        // The pool has tried all the time, and does not say why in vain.
        Err(sqlx::Error::PoolTimedOut) => {
            let once = tokio::time::timeout(database.acquire_timeout, options.connect()).await;
            let cause = match once {
                Ok(Err(cause)) => cause,
                Ok(Ok(_)) | Err(_) => sqlx::Error::PoolTimedOut,
            };
            let host = url.host_str().unwrap_or_default();
            return Err(Error::Unavailable(format!(
                "the database of database.url at '{host}:{}' cannot be reached: {cause}",
                url.port().unwrap_or(5432)
            )));
        }
        pool => pool.map_err(failed("open the index"))?,
    };
    migrate_patiently(&pool).await?;
    Ok(Index {
        write: pool.clone(),
        read: pool,
        engine: Engine::Postgres,
        chain: Arc::new(Chain::new(false)),
        patience: database.acquire_timeout + database.statement_timeout + Duration::from_secs(1),
    })
}

async fn migrate(pool: &AnyPool) -> Result<()> {
    let mut connection = pool.acquire().await.map_err(failed("open the index"))?;
    run_migrations(&mut connection).await
}

/// An index over many rows takes longer to make than a statement may otherwise.
async fn migrate_patiently(pool: &AnyPool) -> Result<()> {
    let mut connection = pool.acquire().await.map_err(failed("open the index"))?;
    let patient = connection.execute("SET statement_timeout = 0").await;
    patient.map_err(failed("open the index"))?;
    run_migrations(&mut connection).await?;
    let as_before = connection.execute("RESET statement_timeout").await;
    as_before.map_err(failed("open the index")).map(|_| ())
}

async fn run_migrations(connection: &mut AnyConnection) -> Result<()> {
    let run = migrations().run(connection).await;
    run.map_err(|cause| match cause {
        MigrateError::Execute(cause) => failed("bring the index up to date")(cause),
        cause => Error::storage("cannot bring the index up to date", cause),
    })
}
