//! The doors for people: one file a subcommand.

mod accounts;
mod audit;
mod auth;
mod backup;
mod calibrate;
mod canary_config;
mod client;
mod config;
mod demo;
mod doctor;
mod exit;
mod health;
mod import;
mod judge;
mod log;
mod manual;
mod mcp;
mod migrate;
mod openapi;
mod paint;
mod replay;
mod run;
mod runs;
mod serve;
mod sources;
mod table;
mod tell;
mod templates;
mod token;
mod version;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{ArgMatches, CommandFactory, Parser, Subcommand};

use log::{start_log, start_log_and};
pub use serve::Service;
pub use tell::failed;

use crate::config::{LoadOptions, Loaded, SecretEngines, Shorthands, Unread};
use crate::secrets::Engines;

/// serin judges canaries: Kayenta's API and verdicts in one small service.
#[derive(Parser)]
#[command(name = "serin", version, about)]
pub struct Arguments {
    #[command(flatten)]
    pub color: colorchoice_clap::Color,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Run the service.
    Serve(serve::Serve),
    /// Judge a canary in a pipeline: start it, wait for it, and exit by its verdict.
    Run(Box<run::Run>),
    /// List the runs of a server, show, watch and cancel them, and judge them again.
    #[command(subcommand)]
    Runs(runs::Runs),
    /// Tell how often a canary config would stop a release in which nothing changed.
    Calibrate(Box<calibrate::Calibrate>),
    /// Keep canary configs as code: lint them, compare them, store them, list them.
    #[command(subcommand)]
    CanaryConfig(canary_config::CanaryConfigs),
    /// List the library of queries that metrics can name, or print one of them.
    Templates(templates::Templates),
    /// Judge metric set pairs from a file; no service is needed.
    Judge(judge::JudgeFiles),
    /// Judge once more what was judged, with another config, judge, margin or thresholds; nothing is queried.
    Replay(Box<replay::ReplayRuns>),
    /// Judge four made-up releases from start to end, with nothing installed.
    Demo(demo::Demo),
    /// Copy canary configs and archived results from one account into another.
    Import(import::Import),
    /// Look for what keeps serin from its work, and say what to do.
    Doctor(doctor::Doctor),
    /// Copy what serin keeps into a folder, while it runs.
    Backup(backup::Backup),
    /// Put back what a backup holds, before serin is started.
    Restore(backup::Restore),
    /// Ask the accounts of this configuration what they may read and write.
    #[command(subcommand)]
    Accounts(accounts::Accounts),
    /// Look through the record of deeds, or print it.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Make tokens that clients show to serin.
    #[command(subcommand)]
    Token(token::Tokens),
    /// Tell what the rules say of who may do what.
    #[command(subcommand)]
    Auth(auth::Auth),
    /// Offer the tools of a running serin to an agent, which speaks to this program over its standard streams.
    Mcp(mcp::Mcp),
    /// Ask the service of this configuration how it is: exit code 0 if it is UP.
    Health(health::Health),
    /// Bring the database up to date, before a new version starts or past a pooler.
    Migrate(Configured),
    /// Print the configuration in force, secrets masked.
    Config(Configured),
    /// Print the document of the API.
    Openapi,
    /// Print completions for a shell.
    Completions(manual::Completions),
    /// Print the manual page, or write those of all commands.
    Man(manual::Manual),
    /// Tell which serin this is.
    Version(version::Version),
}

/// Where the configuration comes from.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Configured {
    #[arg(
        long,
        value_name = "FILE",
        help = "Configuration file: a kayenta.yml, with serin's own keys beside [env: SERIN_CONFIG]"
    )]
    config: Option<PathBuf>,
    #[arg(
        long,
        value_name = "URL",
        help = "Shorthand for one metrics account 'prometheus' [env: SERIN_PROMETHEUS_URL]"
    )]
    prometheus: Option<String>,
    #[arg(
        long,
        value_name = "SITE",
        help = "Shorthand for one metrics account 'datadog' with the keys in DD_API_KEY and DD_APP_KEY [env: SERIN_DATADOG_SITE]"
    )]
    datadog: Option<String>,
    #[arg(
        long,
        value_name = "REALM",
        help = "Shorthand for one metrics account 'signalfx' with the token in SFX_AUTH_TOKEN [env: SERIN_SIGNALFX_REALM]"
    )]
    signalfx: Option<String>,
    #[arg(
        long,
        value_name = "PROJECT",
        help = "Shorthand for one metrics account 'google' with the credentials that Google's tools find [env: SERIN_GOOGLE_PROJECT]"
    )]
    google: Option<String>,
}

impl Configured {
    fn shorthands(&self) -> Shorthands {
        Shorthands {
            prometheus: self.prometheus.clone(),
            datadog: self.datadog.clone(),
            signalfx: self.signalfx.clone(),
            google: self.google.clone(),
        }
    }

    fn load(&self) -> anyhow::Result<Loaded> {
        self.load_with(&Engines::default())
    }

    /// For who wants no secret: none is asked for, unless the rest cannot be read without.
    fn load_settings(&self) -> anyhow::Result<Loaded> {
        self.load_with(&Unread).or_else(|_| self.load())
    }

    fn load_with(&self, secrets: &dyn SecretEngines) -> anyhow::Result<Loaded> {
        let options = LoadOptions {
            file: self.config.clone(),
            shorthands: self.shorthands(),
            overrides: Vec::new(),
        };
        crate::config::load(&options, secrets).context("the configuration cannot be used")
    }
}

impl Command {
    /// Runs to the end of the command; `matches` tell what was typed, and what is a variable.
    ///
    /// # Errors
    /// Whatever keeps the command from doing its work, in words for the person who typed it.
    pub fn run(self, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
        match self {
            Self::Serve(serve) => wait(serve.run()),
            Self::Run(run) => {
                let typed = matches.subcommand_matches("run");
                Ok(exit::or_unavailable(wait(async {
                    Ok(Box::pin(run.run(typed)).await)
                })))
            }
            Self::Runs(runs) => Ok(exit::or_unavailable(wait(async { Ok(runs.run().await) }))),
            Self::Calibrate(calibrate) => {
                let typed = matches.subcommand_matches("calibrate");
                Ok(exit::or_unavailable(wait(async {
                    Ok(calibrate.run(typed).await)
                })))
            }
            Self::CanaryConfig(configs) => Ok(exit::or_unavailable(wait(async {
                Ok(configs.run().await)
            }))),
            Self::Templates(templates) => Ok(templates.run()),
            Self::Judge(files) => Ok(files.run()),
            Self::Replay(replay) => {
                Ok(exit::or_unavailable(wait(async { Ok(replay.run().await) })))
            }
            Self::Demo(demo) => wait(demo.run()),
            Self::Import(import) => wait(import.run()),
            Self::Doctor(doctor) => {
                Ok(exit::or_unavailable(wait(async { Ok(doctor.run().await) })))
            }
            Self::Backup(backup) => {
                Ok(exit::or_unavailable(wait(async { Ok(backup.run().await) })))
            }
            Self::Restore(restore) => Ok(exit::or_unavailable(wait(async {
                Ok(restore.run().await)
            }))),
            Self::Accounts(accounts) => Ok(exit::or_unavailable(wait(async {
                Ok(accounts.run().await)
            }))),
            Self::Audit(audit) => Ok(exit::or_unavailable(wait(async { Ok(audit.run().await) }))),
            Self::Token(tokens) => Ok(tokens.run()),
            Self::Auth(auth) => Ok(auth.run()),
            Self::Mcp(mcp) => Ok(exit::or_unavailable(wait(async { Ok(mcp.run().await) }))),
            Self::Health(health) => wait(health.run()),
            Self::Migrate(configured) => wait(migrate::run(&configured)),
            Self::Config(configured) => config::run(&configured),
            Self::Openapi => openapi::run(),
            Self::Completions(completions) => completions.run(&mut Arguments::command()),
            Self::Man(manual) => manual.run(Arguments::command()),
            Self::Version(version) => version.run(),
        }
    }
}

fn wait(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(work)
}
