//! `serin config`

use std::process::ExitCode;

use super::{Configured, tell};

pub fn run(configured: &Configured) -> anyhow::Result<ExitCode> {
    let loaded = configured.load()?;
    for warning in &loaded.warnings {
        tell::note(&format!("warning: {warning}"));
    }
    tell::result(crate::config::print(&loaded.effective).trim_end())?;
    Ok(ExitCode::SUCCESS)
}
