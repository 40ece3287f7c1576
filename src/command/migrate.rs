//! `serin migrate`

use std::process::ExitCode;

use anyhow::Context;

use super::{Configured, tell};
use crate::clock::Clock;
use crate::storage::Storage;

/// Brings the database up to date, as every start does; older replicas may go on working.
pub async fn run(configured: &Configured) -> anyhow::Result<ExitCode> {
    let loaded = configured.load()?;
    let storage = Storage::open(&loaded.config, Clock::shared())
        .await
        .context("the database cannot be brought up to date")?;
    storage.close().await;
    tell::say("the database is up to date");
    Ok(ExitCode::SUCCESS)
}
