//! `serin backup` and `serin restore`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::exit::{Exit, Usage, told};
use super::{Configured, start_log, tell};
use crate::config::{Config, LogFormat};
use crate::error::Error;
use crate::escape::line;
use crate::storage::backup::{self, Copied};

/// Copies what serin keeps into a folder, while it may go on running: the embedded database, the documents of the
/// built-in store and of other folders, and of buckets their pins. PostgreSQL has `pg_dump`.
///
/// Exits with 64 when the folder is not empty, and with 69 when something cannot be copied; a document that cannot is
/// named, and the others are.
#[derive(clap::Args)]
pub struct Backup {
    /// Where to: empty, or not there.
    folder: PathBuf,
    #[command(flatten)]
    configured: Configured,
}

/// Puts back what `serin backup` copied, before serin is started there.
///
/// Exits with 64 when there is a database already or the folder is no backup, and with 69 when something cannot be
/// written.
#[derive(clap::Args)]
pub struct Restore {
    /// What `serin backup` wrote.
    folder: PathBuf,
    #[command(flatten)]
    configured: Configured,
}

impl Backup {
    pub async fn run(self) -> ExitCode {
        told(self.back_up().await)
    }

    async fn back_up(&self) -> anyhow::Result<Exit> {
        let config = loaded(&self.configured)?;
        let copied = backup::back_up(&config, &self.folder).await;
        let copied = copied.map_err(of_usage)?;
        tell_copied("backed up", &copied);
        for why in &copied.left_out {
            tell::note(&format!("not backed up: {}", line(why)));
        }
        if copied.left_out.is_empty() {
            return Ok(Exit::Pass);
        }
        let count = copied.left_out.len();
        tell::note(&format!("the backup lacks {count} documents"));
        Ok(Exit::Unavailable)
    }
}

impl Restore {
    pub async fn run(self) -> ExitCode {
        told(self.restore().await)
    }

    async fn restore(&self) -> anyhow::Result<Exit> {
        let config = loaded(&self.configured)?;
        let copied = backup::restore(&config, &self.folder).await;
        tell_copied("restored", &copied.map_err(of_usage)?);
        Ok(Exit::Pass)
    }
}

fn loaded(configured: &Configured) -> anyhow::Result<Config> {
    let loaded = configured.load();
    let loaded = loaded.map_err(|wrong| Usage(format!("{wrong:#}")))?;
    start_log("serin=error", LogFormat::Text)?;
    Ok(loaded.config)
}

fn of_usage(error: Error) -> anyhow::Error {
    match error {
        Error::Invalid(told) => Usage(told).into(),
        error => error.into(),
    }
}

fn tell_copied(done: &str, copied: &Copied) {
    if copied.database {
        tell::say(&format!("{done} the database"));
    } else {
        tell::note("the database is none that serin copies; PostgreSQL has pg_dump and pg_restore");
    }
    for (account, count) in &copied.documents {
        let account = line(account);
        tell::say(&format!("{done} {count} documents of '{account}'"));
    }
}
