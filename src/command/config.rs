//! `serin config`

use std::process::ExitCode;

use super::{Configured, tell};

pub fn run(configured: &Configured) -> anyhow::Result<ExitCode> {
    let loaded = configured.load()?;
    for warning in &loaded.warnings {
        tell::note(&format!("warning: {warning}"));
    }
    let accounts = loaded.config.accounts.iter();
    let accounts = accounts.map(|account| format!("{} {}", account.face.word, account.name));
    let accounts: Vec<String> = accounts.collect();
    tell::note(&format!("accounts: {}", accounts.join(", ")));
    tell::result(crate::config::print(&loaded.effective).trim_end())?;
    Ok(ExitCode::SUCCESS)
}
