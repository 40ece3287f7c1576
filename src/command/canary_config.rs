//! `serin canary-config`: canary configs as code.

mod diff;
mod lint;
mod put;
mod schema;

pub use lint::{read as read_config, told as told_finding};

use std::io::Read;
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;
use reqwest::Method;
use serde_json::Value;

use super::client::{Failure, Remote};
use super::exit::{Exit, Usage, told};
use super::table::table;
use super::tell::{self, Beside};
use crate::canary::CanaryConfigSummary;
use crate::http::escaped;
use crate::{config, escape};

#[derive(clap::Subcommand)]
pub enum CanaryConfigs {
    /// Tell what is wrong with files and what is doubtful; no server is needed.
    Lint(Box<lint::Lint>),
    /// Print a stored config.
    Get(Get),
    /// List what is stored.
    List(List),
    /// Show what differs between two files, or a file and what is stored.
    Diff(diff::Diff),
    /// Print the JSON Schema of a canary config, for editors.
    Schema,
    /// Store files: what is new is created, what differs is updated.
    Put(put::Put),
    /// Delete stored configs.
    Delete(Delete),
}

/// Where configs are stored.
#[derive(clap::Args)]
struct Store {
    #[command(flatten)]
    remote: Remote,
    /// Account of the server that holds the canary configs; else its first.
    #[arg(long, value_name = "NAME")]
    configuration_account: Option<String>,
}

#[derive(clap::Args)]
pub struct Get {
    #[arg(value_name = "ID")]
    id: String,
    #[arg(long, value_enum, default_value_t = Written::Json)]
    format: Written,
    #[command(flatten)]
    store: Store,
}

#[derive(Clone, Copy, ValueEnum)]
enum Written {
    Json,
    Yaml,
}

#[derive(clap::Args)]
pub struct List {
    /// Only those of this application; repeat it for more.
    #[arg(long, value_name = "NAME")]
    application: Vec<String>,
    #[arg(long, value_enum, default_value_t = Listed::Text)]
    format: Listed,
    #[command(flatten)]
    store: Store,
}

#[derive(Clone, Copy, ValueEnum)]
enum Listed {
    Text,
    Json,
}

#[derive(clap::Args)]
pub struct Delete {
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    #[command(flatten)]
    store: Store,
}

impl CanaryConfigs {
    pub async fn run(self) -> ExitCode {
        told(match self {
            Self::Lint(lint) => lint.run().await,
            Self::Get(get) => get.run().await,
            Self::List(list) => list.run().await,
            Self::Diff(diff) => diff.run().await,
            Self::Schema => schema::run(),
            Self::Put(put) => put.run().await,
            Self::Delete(delete) => delete.run().await,
        })
    }
}

impl Get {
    async fn run(self) -> anyhow::Result<Exit> {
        let client = self.store.remote.client()?;
        let config = client.get(&self.store.path_of(&self.id)).await;
        let config = config.map_err(|failure| missing(&self.id, failure))?;
        match self.format {
            Written::Json => tell::result(&serde_json::to_string_pretty(&config)?)?,
            Written::Yaml => tell::result(&yaml(&config)?)?,
        }
        Ok(Exit::Pass)
    }
}

/// Kayenta answers 400 to a DELETE of what is not there.
fn missing(id: &str, failure: Failure) -> anyhow::Error {
    let is_missing = failure.is_missing() || failure.to_string().starts_with("Does not exist");
    if is_missing {
        Usage(format!("there is no canary config '{id}'")).into()
    } else {
        failure.into()
    }
}

/// As JSON, which is YAML too, where YAML would write as it is what steers who reads it.
fn yaml(config: &Value) -> anyhow::Result<String> {
    let yaml = yaml_serde::to_string(config)?;
    let yaml = yaml.trim_end();
    Ok(if escape::block(yaml) == yaml {
        yaml.to_owned()
    } else {
        serde_json::to_string_pretty(config)?
    })
}

impl List {
    async fn run(self) -> anyhow::Result<Exit> {
        let client = self.store.remote.client()?;
        let list = client.get(&self.store.path("", &self.application)).await?;
        if let Listed::Json = self.format {
            tell::result(&serde_json::to_string_pretty(&list)?)?;
            return Ok(Exit::Pass);
        }
        let configs = summaries(list)?;
        if configs.is_empty() {
            tell::note("no canary config is stored");
            return Ok(Exit::Pass);
        }
        let mut table = table(["id", "name", "applications", "updated"]);
        for config in configs {
            let texts = [
                config.id,
                config.name,
                config.applications.join(", "),
                config.updated_timestamp_iso,
            ];
            table.add_row(texts.map(|text| escape::line(&text).into_owned()));
        }
        tell::show(&table.to_string(), Beside::Nothing);
        Ok(Exit::Pass)
    }
}

impl Delete {
    async fn run(self) -> anyhow::Result<Exit> {
        let client = self.store.remote.client()?;
        for id in &self.ids {
            let path = self.store.path_of(id);
            let deleted = client.once(Method::DELETE, &path, None).await;
            deleted.map_err(|failure| missing(id, failure))?;
            tell::say(&format!("deleted {id}"));
        }
        Ok(Exit::Pass)
    }
}

impl Store {
    fn path_of(&self, id: &str) -> String {
        self.path(&format!("/{}", escaped(id)), &[])
    }

    fn path(&self, below: &str, applications: &[String]) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for application in applications {
            query.append_pair("application", application);
        }
        if let Some(account) = &self.configuration_account {
            query.append_pair("configurationAccountName", account);
        }
        match query.finish() {
            query if query.is_empty() => format!("/canaryConfig{below}"),
            query => format!("/canaryConfig{below}?{query}"),
        }
    }
}

/// What is piped in.
pub fn standard_input() -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    let read = std::io::stdin().read_to_end(&mut bytes);
    read.and_then(|_| config::text::of(bytes))
        .context("cannot read standard input")
}

fn summaries(list: Value) -> anyhow::Result<Vec<CanaryConfigSummary>> {
    serde_json::from_value(list).context("the server's list of canary configs cannot be read")
}
