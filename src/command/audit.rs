//! `serin audit`: the record of deeds, straight from the database and the store.

use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;

use super::exit::{Exit, told};
use super::{Configured, start_log, tell};
use crate::clock::Clock;
use crate::config::LogFormat;
use crate::escape::line;
use crate::storage::{CheckedChain, Storage};

#[derive(Subcommand)]
pub enum Audit {
    /// Look for a row that is not as it was written: changed, missing, or in another's place.
    ///
    /// Exits with 0 where all is whole, 1 where something is not, and 69 where it cannot be read.
    Verify(Verify),
    /// Print what is kept, a line of JSON for each deed, chain by chain.
    Export(Export),
}

#[derive(clap::Args)]
pub struct Verify {
    #[command(flatten)]
    configured: Configured,
    /// Look through what was exported to the first account that keeps documents, too, and compare.
    #[arg(long)]
    store: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub struct Export {
    #[command(flatten)]
    configured: Configured,
}

impl Audit {
    pub async fn run(self) -> ExitCode {
        told(match self {
            Self::Verify(verify) => verify.run().await,
            Self::Export(export) => export.run().await,
        })
    }
}

impl Verify {
    async fn run(self) -> anyhow::Result<Exit> {
        let storage = open(&self.configured).await?;
        let store = if self.store {
            let account = storage.default_store();
            Some(account.context("no account of the configuration keeps documents")?)
        } else {
            None
        };
        let checked = storage.check_record(store).await;
        let checked = checked.context("the record cannot be read")?;
        storage.close().await;
        if self.json {
            tell::result(&serde_json::to_string_pretty(&checked)?)?;
        } else {
            for chain in &checked {
                tell::result(&sentence(chain))?;
            }
            if checked.is_empty() {
                tell::result("nothing is recorded yet")?;
            }
        }
        let is_whole = checked.iter().all(|chain| chain.fault.is_none());
        Ok(if is_whole { Exit::Pass } else { Exit::Fail })
    }
}

fn sentence(chain: &CheckedChain) -> String {
    let CheckedChain {
        chain: name,
        place,
        from,
        to,
        fault,
    } = chain;
    let name = line(name);
    let rows = if to < from {
        "no rows".to_owned()
    } else {
        format!("rows {from} to {to}")
    };
    match fault {
        None => format!("whole   {name} in the {place}: {rows}"),
        Some(fault) => format!(
            "broken  {name} in the {place}: {}; whole are {rows}",
            line(fault)
        ),
    }
}

impl Export {
    async fn run(self) -> anyhow::Result<Exit> {
        let storage = open(&self.configured).await?;
        for chain in storage.chains().await? {
            let mut last = chain.anchor;
            loop {
                let (lines, now) = storage.lines(&chain.chain, &last).await?;
                if lines.is_empty() {
                    break;
                }
                for line in lines {
                    let text = String::from_utf8_lossy(&line);
                    tell::result(text.trim_end())?;
                }
                last = now;
            }
        }
        storage.close().await;
        Ok(Exit::Pass)
    }
}

async fn open(configured: &Configured) -> anyhow::Result<Storage> {
    let loaded = configured.load()?;
    start_log("warn", LogFormat::Text)?;
    Storage::open(&loaded.config, Clock::shared())
        .await
        .context("the database cannot be opened")
}
