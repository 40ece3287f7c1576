//! `serin openapi`

use std::process::ExitCode;

use anyhow::Context;

use super::tell;
use crate::api;

pub fn run() -> anyhow::Result<ExitCode> {
    // Who works on serin writes with it what the next build compiles in.
    let text = if cfg!(debug_assertions) {
        api::openapi().to_pretty_json()
    } else {
        serde_json::to_string_pretty(&api::document())
    };
    let text = text.context("cannot write the document")?;
    tell::result(&text)?;
    Ok(ExitCode::SUCCESS)
}
