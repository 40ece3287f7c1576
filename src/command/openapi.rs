//! `serin openapi`

use std::process::ExitCode;

use anyhow::Context;

use super::tell;

pub fn run() -> anyhow::Result<ExitCode> {
    let text = crate::api::openapi()
        .to_pretty_json()
        .context("cannot write the document")?;
    tell::result(&text)?;
    Ok(ExitCode::SUCCESS)
}
