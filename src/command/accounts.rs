//! `serin accounts`: what the accounts of a configuration may do.

pub mod check;

use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use serde_json::json;

use self::check::{Asked, Wishes};
use super::exit::{Exit, Usage, told};
use super::table::table;
use super::{Configured, start_log, tell};
use crate::config::{Config, LogFormat};
use crate::escape::line;

#[derive(Subcommand)]
pub enum Accounts {
    /// Ask every account, and say what it may read and write, or what is wrong.
    Check(Check),
}

/// Asks every account of the configuration: metric services for their health and one cheap read, stores for
/// a listing and to write, read and delete one small object (`health/check/…`), the remote judge whether it
/// is there. The database and a running service are asked by `serin health`.
///
/// Exits with 0 where all may do what they are for, 1 where one may not, 64 for what was typed, and 69 where
/// the configuration cannot be used.
#[derive(clap::Args)]
pub struct Check {
    /// Only these; else all.
    names: Vec<String>,
    #[command(flatten)]
    configured: Configured,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Write nothing: stores are only listed.
    #[arg(long)]
    read_only: bool,
    /// How long each may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
}

impl Accounts {
    pub async fn run(self) -> ExitCode {
        let Self::Check(check) = self;
        told(check.run().await)
    }
}

impl Check {
    async fn run(self) -> anyhow::Result<Exit> {
        let loaded = self.configured.load()?;
        // What is wrong is told by what is printed.
        start_log("off", LogFormat::Text)?;
        for warning in &loaded.warnings {
            tell::note(&format!("warning: {warning}"));
        }
        let mut config = loaded.config;
        self.keep_named(&mut config)?;
        let wishes = Wishes {
            limit: Duration::from_secs(self.timeout),
            writes: !self.read_only,
        };
        let asked = check::all(&config, wishes).await;
        let is_well = asked.iter().all(|asked| asked.wrong.is_none());
        if self.json {
            let told = json!({"ok": is_well, "accounts": asked});
            tell::result(&serde_json::to_string_pretty(&told)?)?;
        } else {
            tell::result(&accounts(&asked))?;
        }
        Ok(if is_well { Exit::Pass } else { Exit::Fail })
    }

    fn keep_named(&self, config: &mut Config) -> Result<(), Usage> {
        if self.names.is_empty() {
            return Ok(());
        }
        let known: Vec<&str> = config.accounts.iter().map(|it| it.name.as_str()).collect();
        if let Some(name) = self
            .names
            .iter()
            .find(|name| !known.contains(&name.as_str()))
        {
            let known = known.join(", ");
            return Err(Usage(format!(
                "there is no account '{name}'; there are {known}"
            )));
        }
        config
            .accounts
            .retain(|account| self.names.contains(&account.name));
        config.remote_judge = None;
        Ok(())
    }
}

fn accounts(asked: &[Asked]) -> String {
    let mut table = table(["account", "kind", "used as", "where", "may", "is"]);
    for asked in asked {
        table.add_row([
            line(&asked.name).into_owned(),
            asked.title.to_owned(),
            asked.supported_types.join("\n"),
            line(&asked.place).into_owned(),
            asked.may.join(", "),
            match &asked.wrong {
                None => "well".to_owned(),
                Some(wrong) => format!("cannot {}", wrong.at),
            },
        ]);
    }
    let mut text = table.to_string();
    for asked in asked {
        if let Some(wrong) = &asked.wrong {
            let told = format!("{}: cannot {}: {}", asked.name, wrong.at, wrong.message);
            text = format!("{text}\n  {}\n    {}", line(&told), line(&wrong.advice));
        }
    }
    text
}
