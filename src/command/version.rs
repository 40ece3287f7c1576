//! `serin version`

use std::process::ExitCode;

use serde_json::json;

use super::tell;
use crate::telemetry::{COMMIT, COMMIT_DATE, TARGET, VERSION};

/// Prints the version, the commit with its day, and what it was built for; what nobody said as it was built is
/// `unknown`.
#[derive(clap::Args)]
pub struct Version {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Version {
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let text = if self.json {
            let told = json!({
                "version": VERSION,
                "commit": COMMIT,
                "date": COMMIT_DATE,
                "target": TARGET,
            });
            serde_json::to_string_pretty(&told)?
        } else {
            format!("serin {VERSION}\ncommit {COMMIT}\ndate {COMMIT_DATE}\ntarget {TARGET}")
        };
        tell::result(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}
