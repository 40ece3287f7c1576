//! `serin replay`: what was judged, judged once more by other rules.

mod folder;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;

use super::canary_config::read_config;
use super::client::{Client, Remote};
use super::exit::{Exit, Usage, told};
use super::tell;
use crate::canary::{
    CanaryClassifierThresholdsConfig, CanaryConfig, Replay, ReplayRequest, ReplayTally, WhatIf,
};
use crate::lint;
use crate::run::replay::Change;

/// Judges runs once more from their stored series, with another config, judge, margin or thresholds:
/// nothing is queried, and nothing is kept of it. Tells which verdicts would be others, and why.
///
/// Without anything to be otherwise, it shows that this version judges as the one that judged then.
#[derive(clap::Args)]
pub struct ReplayRuns {
    /// Ids of canary executions. Or the newest ones, by --application or --of-config.
    #[arg(value_name = "RUN", conflicts_with_all = ["application", "of_config", "last"])]
    runs: Vec<String>,
    /// The newest runs of this application.
    #[arg(long, value_name = "NAME")]
    application: Option<String>,
    /// The newest runs by the config of this name or id.
    #[arg(long, value_name = "CONFIG")]
    of_config: Option<String>,
    /// How many of the newest; 20, if nobody says so, 100 at most.
    #[arg(long, value_name = "NUMBER")]
    last: Option<usize>,

    /// Judge by the canary config in this file, in JSON or YAML; `-` for standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "canary_config_id")]
    canary_config: Option<PathBuf>,
    /// Judge by the stored canary config of this id, as it is now.
    #[arg(long, value_name = "ID")]
    canary_config_id: Option<String>,
    /// Account of the server that holds it; else its first.
    #[arg(long, value_name = "NAME", requires = "canary_config_id")]
    configuration_account: Option<String>,
    /// Judge with this judge.
    #[arg(long, value_name = "NAME")]
    judge: Option<String>,
    /// Judge with this margin (`judge.judgeConfigurations.margin`), 0.1 for 10 %.
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    margin: Option<f64>,
    /// From this score on a canary passes.
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    pass: Option<f64>,
    /// From this score on a canary is marginal.
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    marginal: Option<f64>,

    /// Judge here what lies in this folder, without a server: the root folder of an account, with
    /// `canary_archive` and `metric_pairs` in it, or that of one run, with `canary_archive.json` and
    /// `metric_set_pairs.json`.
    #[arg(long, value_name = "FOLDER", conflicts_with = "canary_config_id")]
    folder: Option<PathBuf>,
    #[command(flatten)]
    remote: Remote,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Exit with 1 when a verdict is another one, or a run could not be judged once more.
    #[arg(long)]
    exit_code: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

impl ReplayRuns {
    pub async fn run(self) -> ExitCode {
        told(self.replay().await)
    }

    async fn replay(&self) -> anyhow::Result<Exit> {
        let config = self.config()?;
        let replay = match &self.folder {
            Some(folder) => {
                let change = self.change(config);
                change.check().map_err(|error| Usage(error.to_string()))?;
                folder::replay(folder, &self.request(None), &change)?
            }
            None => there(&self.remote.client()?, self.request(config)).await?,
        };
        match self.format {
            Format::Text => tell::show(&show::text(&replay), tell::Beside::Nothing),
            Format::Json => tell::result(&serde_json::to_string_pretty(&replay)?)?,
        }
        if !replay.not_reached.is_empty() {
            anyhow::bail!(
                "these were not reached in the time that the server gives a request: {}",
                replay.not_reached.join(", ")
            );
        }
        let tally = &replay.tally;
        let is_same = tally.changed == 0 && tally.not_judged == 0;
        Ok(if self.exit_code && !is_same {
            Exit::Fail
        } else {
            Exit::Pass
        })
    }

    fn config(&self) -> anyhow::Result<Option<CanaryConfig>> {
        let Some(file) = &self.canary_config else {
            return Ok(None);
        };
        let (text, format) = read_config(file)?;
        let wrong = || Usage(format!("'{}' is not one canary config", file.display()));
        Ok(Some(lint::config(&text, format).ok_or_else(wrong)?))
    }

    fn thresholds(&self) -> CanaryClassifierThresholdsConfig {
        CanaryClassifierThresholdsConfig {
            pass: self.pass,
            marginal: self.marginal,
        }
    }

    fn request(&self, canary_config: Option<CanaryConfig>) -> ReplayRequest {
        let thresholds = self.thresholds();
        let has_thresholds = thresholds != CanaryClassifierThresholdsConfig::default();
        ReplayRequest {
            runs: self.runs.clone(),
            application: self.application.clone(),
            config: self.of_config.clone(),
            last: self.last,
            what_if: WhatIf {
                canary_config_id: self.canary_config_id.clone(),
                configuration_account_name: self.configuration_account.clone(),
                canary_config,
                judge: self.judge.clone(),
                margin: self.margin,
                thresholds: has_thresholds.then_some(thresholds),
            },
        }
    }

    fn change(&self, config: Option<CanaryConfig>) -> Change {
        let prepared = config.map(|mut config| {
            config.prepare();
            config
        });
        Change {
            config: prepared,
            judge: self.judge.clone(),
            margin: self.margin,
            thresholds: self.thresholds(),
            learned: None,
        }
    }
}

/// Asked as often as it takes to reach all.
async fn there(client: &Client, mut request: ReplayRequest) -> anyhow::Result<Replay> {
    let mut all = ask(client, &request).await?;
    while !all.not_reached.is_empty() {
        let runs = std::mem::take(&mut all.not_reached);
        let before = runs.len();
        request = ReplayRequest {
            runs,
            what_if: request.what_if,
            ..ReplayRequest::default()
        };
        let mut more = ask(client, &request).await?;
        all.runs.append(&mut more.runs);
        all.not_reached = more.not_reached;
        if all.not_reached.len() == before {
            break;
        }
    }
    all.tally = ReplayTally::of(&all.runs);
    Ok(all)
}

async fn ask(client: &Client, request: &ReplayRequest) -> anyhow::Result<Replay> {
    let body = serde_json::to_value(request)?;
    let answer = client.read_only("/replay", &body).await?;
    serde_json::from_value(answer).context("the server's answer cannot be read")
}
