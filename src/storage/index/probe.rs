//! Whether a database is there, and what time it has; nothing in it is changed.

use std::path::Path;
use std::str::FromStr;

use sqlx::any::install_default_drivers;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AnyConnection, Connection, Row};
use tokio::time::timeout;

use super::{failed, postgres};
use crate::config::Database;
use crate::error::{Error, Result};

const CLOCK: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS millis";

/// Epoch milliseconds of PostgreSQL; SQLite has the clock of this machine.
///
/// # Errors
/// When the database cannot be reached or read, or is one of SQLite that nobody made yet (`NotFound`).
pub async fn probe(database: &Database) -> Result<Option<i64>> {
    install_default_drivers();
    let is_postgres = !database.url.starts_with("sqlite:");
    let url = if is_postgres {
        postgres::url(database)?.to_string()
    } else {
        let options = SqliteConnectOptions::from_str(&database.url);
        let options = options.map_err(failed("read database.url"))?;
        refuse_missing(options.get_filename())?;
        database.url.clone()
    };
    let ask = async {
        let mut connection = AnyConnection::connect(&url).await?;
        let asked = if is_postgres {
            let row = sqlx::query(CLOCK).fetch_one(&mut connection).await;
            row.and_then(|row| row.try_get("millis")).map(Some)
        } else {
            let read = sqlx::query("SELECT count(*) FROM sqlite_master");
            read.fetch_one(&mut connection).await.map(|_| None)
        };
        let _ = connection.close().await;
        asked
    };
    let asked = timeout(database.acquire_timeout, ask).await;
    let asked = asked.unwrap_or(Err(sqlx::Error::PoolTimedOut));
    asked.map_err(failed("ask the database"))
}

fn refuse_missing(file: &Path) -> Result<()> {
    if file.is_file() {
        return Ok(());
    }
    Err(Error::NotFound(file.display().to_string()))
}
