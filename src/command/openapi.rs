//! `serin openapi`

use std::process::ExitCode;

use anyhow::Context;

pub fn run() -> anyhow::Result<ExitCode> {
    let text = crate::api::openapi()
        .to_pretty_json()
        .context("cannot write the document")?;
    println!("{text}");
    Ok(ExitCode::SUCCESS)
}
