//! What lists and claims: one SQL database, SQLite or PostgreSQL.
//!
//! The SQL is the same for both but where `Engine` says otherwise.

mod actions;
mod archives;
mod audit;
mod backlog;
mod claims;
mod configs;
mod executions;
mod flagger;
mod journal;
mod keys;
mod listing;
mod migrations;
mod notices;
mod open;
mod outbox;
mod pins;
mod postgres;
mod probe;
mod retention;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::AnyPool;

pub use actions::{ActionRow, Attempted, DueAction, NewAction, Turn};
pub use archives::ArchiveRow;
pub use audit::{Chain, ChainRow, DeedPlace, DeedSearch};
pub use claims::{Claim, Company};
pub use configs::{ConfigRow, Named};
pub use executions::{ExecutionRow, Lease, Listed, Wanted};
pub use flagger::{FlaggerKey, FlaggerRow, FlaggerStart, FlaggerState};
pub use keys::KeyRow;
pub use listing::{ListedRow, Listing, Place, Search};
pub use notices::{ChartRow, DueNotice, Notice};
pub use outbox::Outbox;
pub use postgres::{Listener, NOTIFICATION_BYTES};
pub use probe::probe;
pub use retention::{DueRow, Limit, Limits};

use crate::error::{Error, Result};
use journal::Journal;

/// One database. Cheap to clone.
#[derive(Clone)]
pub struct Index {
    /// SQLite has one writer: it has a connection of its own, so that writes queue here and not in
    /// the database, and readers never wait. PostgreSQL has one pool for both.
    write: AnyPool,
    read: AnyPool,
    engine: Engine,
    /// How long a statement may take, the way there and back included.
    patience: Duration,
    chain: Arc<Chain>,
}

#[derive(Clone)]
enum Engine {
    Sqlite(Arc<Journal>),
    Postgres,
}

impl Index {
    /// Whether other processes work on the same database.
    pub const fn is_shared(&self) -> bool {
        matches!(self.engine, Engine::Postgres)
    }

    /// The same, that tells the log what is recorded.
    #[must_use]
    pub fn telling(self) -> Self {
        Self {
            chain: Arc::new(Chain::new(true)),
            ..self
        }
    }

    /// Where its file lies, if it is one.
    pub fn folder(&self) -> Option<&Path> {
        match &self.engine {
            Engine::Sqlite(journal) => Some(journal.folder()),
            Engine::Postgres => None,
        }
    }

    /// Whether the database answers.
    pub async fn check(&self) -> Result<()> {
        if let Engine::Sqlite(journal) = &self.engine {
            journal.check()?;
        }
        let counted = sqlx::query("SELECT count(*) FROM execution WHERE id = ''");
        self.ask("read the index", counted.fetch_one(&self.read))
            .await
            .map(|_| ())
    }

    /// Waits until what has been written so far outlives a loss of power.
    pub async fn durable(&self) -> Result<()> {
        match &self.engine {
            Engine::Sqlite(journal) => journal.flush().await,
            Engine::Postgres => Ok(()),
        }
    }

    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }

    async fn ask<T>(
        &self,
        what: &'static str,
        asked: impl Future<Output = sqlx::Result<T>>,
    ) -> Result<T> {
        match tokio::time::timeout(self.patience, asked).await {
            Ok(answer) => answer.map_err(failed(what)),
            Err(_) => Err(Error::Unavailable(format!(
                "cannot {what}: the database did not answer within {} s",
                self.patience.as_secs_f64()
            ))),
        }
    }

    async fn tell<T>(
        &self,
        what: &'static str,
        told: impl Future<Output = sqlx::Result<T>>,
    ) -> Result<T> {
        let told = self.ask(what, told).await;
        if let Engine::Sqlite(journal) = &self.engine {
            journal.written();
        }
        told
    }
}

/// `Unavailable` when the database cannot be reached now, or wants the statement once more.
fn failed(what: &'static str) -> impl Fn(sqlx::Error) -> Error {
    move |cause| match &cause {
        // A conversation that breaks off early, as one with a proxy whose database is down, is told
        // as an error of the protocol.
        sqlx::Error::Io(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed => Error::Unavailable(format!(
            "cannot {what}: the database cannot be reached: {cause}"
        )),
        sqlx::Error::Database(told) => match told.code().as_deref() {
            // Shutting down, starting, out of connections; a deadlock or a conflict.
            Some("57014" | "57P01" | "57P02" | "57P03" | "53300" | "40001" | "40P01") => {
                Error::Unavailable(format!("cannot {what}: {told}"))
            }
            Some("22021") => Error::Invalid(format!(
                "cannot {what}: a text holds the character U+0000, which the database cannot keep"
            )),
            code => match trouble(code.unwrap_or_default()) {
                Some(Trouble::Passing(why)) => {
                    let told = format!("cannot {what}: {why}");
                    tracing::error!(%cause, "{told}");
                    Error::Unavailable(told)
                }
                Some(Trouble::Lasting(why)) => {
                    Error::storage(format!("cannot {what}: {why}"), cause)
                }
                None => Error::storage(format!("cannot {what}"), cause),
            },
        },
        _ => Error::storage(format!("cannot {what}"), cause),
    }
}

/// What ails a database, for those who can mend it.
enum Trouble {
    /// The same goes through once it is mended.
    Passing(&'static str),
    Lasting(&'static str),
}

/// By the result code of SQLite, whose lowest byte is the kind, or of PostgreSQL.
fn trouble(code: &str) -> Option<Trouble> {
    let of_postgres = match code {
        "53100" => "the disk of the database is full",
        "53200" => "the database has no memory left",
        "25006" => "the database is read-only",
        _ => "",
    };
    if !of_postgres.is_empty() {
        return Some(Trouble::Passing(of_postgres));
    }
    // Codes of PostgreSQL have five digits.
    let number: u32 = code.parse().ok().filter(|_| code.len() < 5)?;
    Some(match number & 0xff {
        5 | 6 => Trouble::Passing("another process holds the database"),
        8 => Trouble::Passing(
            "the database cannot be written: its disk is read-only, or its file was moved",
        ),
        10 => Trouble::Passing("the disk of the database fails or is full"),
        11 | 26 => Trouble::Lasting(
            "the database is malformed; stop serin, move its file away with those that end in -wal \
             and -shm, and start: what is archived comes back from the stores",
        ),
        13 => Trouble::Passing("the disk of the database is full"),
        14 => Trouble::Passing("the file of the database cannot be opened"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
