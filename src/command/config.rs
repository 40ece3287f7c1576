//! `serin config`

use std::process::ExitCode;

use super::Configured;

pub fn run(configured: &Configured) -> anyhow::Result<ExitCode> {
    let loaded = configured.load()?;
    for warning in &loaded.warnings {
        eprintln!("warning: {warning}");
    }
    print!("{}", crate::config::print(&loaded.effective));
    Ok(ExitCode::SUCCESS)
}
