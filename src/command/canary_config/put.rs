//! `serin canary-config put`

use std::path::PathBuf;

use anyhow::Context;
use reqwest::Method;
use serde_json::Value;

use super::lint::{read, told};
use super::{Store, diff, summaries};
use crate::canary::{CanaryConfig, CanaryConfigSummary};
use crate::command::client::Client;
use crate::command::exit::{Exit, Usage};
use crate::command::tell::{self, Beside};
use crate::config::{LoadOptions, Unread, load};
use crate::escape;
use crate::lint::{self, Code, Finding, Given, Severity};

/// Stores canary configs: each under its id, else under the one that has its name in one of its
/// applications, else as a new one. What is stored already as it is stays as it is.
///
/// All files are linted first, and with errors nothing is stored: exit code 1.
#[derive(clap::Args)]
pub struct Put {
    /// Canary configs as JSON, or as YAML in files that end in .yml or .yaml; `-` for standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Application of configs that name none; repeat it for more.
    #[arg(long, value_name = "NAME")]
    application: Vec<String>,
    /// Store what the lint refuses, if the server takes it.
    #[arg(long)]
    no_lint: bool,
    /// Leave out findings of this code, and store in spite of them; repeat it for more.
    #[arg(long, value_name = "CODE", hide_possible_values = true)]
    allow: Vec<Code>,
    /// Tell what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    store: Store,
}

/// What is to be done with a config.
enum Deed {
    Create,
    /// Its id, and what is stored.
    Update(String, Value),
    Nothing(String),
}

impl Put {
    pub async fn run(self) -> anyhow::Result<Exit> {
        let client = self.store.remote.client()?;
        let Some(configs) = self.read()? else {
            return Ok(Exit::Fail);
        };
        for config in configs {
            self.put(&client, config).await?;
        }
        Ok(Exit::Pass)
    }

    /// `None` when one of them has errors, which have been told.
    fn read(&self) -> anyhow::Result<Option<Vec<CanaryConfig>>> {
        let own =
            load(&LoadOptions::default(), &Unread).map_err(|error| Usage(error.to_string()))?;
        let (mut configs, mut has_errors) = (Vec::new(), false);
        for file in &self.files {
            let (text, format) = read(file)?;
            let read = lint::config(&text, format);
            if !self.no_lint || read.is_none() {
                let mut findings = lint::lint(&own.config, &text, format, &Given::default());
                findings.retain(|finding| !self.gives(finding));
                // Nothing can be stored of what cannot be read.
                findings.retain(|finding| read.is_none() || !self.allow.contains(&finding.code));
                for finding in &findings {
                    tell::note(&told(file, finding));
                }
                let is_error = |finding: &Finding| finding.severity == Severity::Error;
                has_errors |= findings.iter().any(is_error);
            }
            let Some(mut config) = read else { continue };
            if config.applications.as_ref().is_none_or(Vec::is_empty) {
                config.applications = Some(self.application.clone());
            }
            configs.push(config);
        }
        Ok((!has_errors).then_some(configs))
    }

    /// Whether the command line has what is missing in a file.
    fn gives(&self, finding: &Finding) -> bool {
        finding.path == "applications" && !self.application.is_empty()
    }

    async fn put(&self, client: &Client, mut config: CanaryConfig) -> anyhow::Result<()> {
        let name = escape::line(config.name.as_deref().unwrap_or_default()).into_owned();
        let deed = self.deed(client, &config).await?;
        let (path, method, done) = match &deed {
            Deed::Create => (self.store.path("", &[]), Method::POST, "created"),
            Deed::Update(id, _) => (self.store.path_of(id), Method::PUT, "updated"),
            Deed::Nothing(id) => {
                tell::say(&format!("unchanged {id} ({name})"));
                return Ok(());
            }
        };
        if self.dry_run {
            let id = match &deed {
                Deed::Update(id, _) | Deed::Nothing(id) => id,
                Deed::Create => config.id.as_deref().unwrap_or("a new id"),
            };
            tell::say(&format!("would be {done}: {id} ({name})"));
            if let Deed::Update(id, stored) = deed {
                tell_difference(&id, stored, &config)?;
            }
            return Ok(());
        }
        if let Deed::Update(id, _) = deed {
            config.id = Some(id);
        }
        let body = serde_json::to_value(&config)?;
        let answer = client.once(method, &path, Some(&body)).await?;
        let id = answer["canaryConfigId"].as_str();
        let id = escape::line(id.context("the server told no id")?);
        tell::say(&format!("{done} {id} ({name})"));
        Ok(())
    }

    async fn deed(&self, client: &Client, config: &CanaryConfig) -> anyhow::Result<Deed> {
        let Some(id) = id_in(&self.store, client, config).await? else {
            return Ok(Deed::Create);
        };
        let stored = match client.get(&self.store.path_of(&id)).await {
            Ok(stored) => stored,
            Err(failure) if failure.is_missing() => return Ok(Deed::Create),
            Err(failure) => return Err(failure.into()),
        };
        // What serin cannot read is replaced.
        let read = serde_json::from_value::<CanaryConfig>(stored.clone()).ok();
        let is_same = read.is_some_and(|read| essence(read) == essence(config.clone()));
        Ok(if is_same {
            Deed::Nothing(id)
        } else {
            Deed::Update(id, stored)
        })
    }
}

fn tell_difference(id: &str, stored: Value, config: &CanaryConfig) -> anyhow::Result<()> {
    match serde_json::from_value(stored) {
        Ok(stored) => {
            if let Some(told) = diff::of(&stored, config)? {
                tell::show(&told, Beside::Nothing);
            }
        }
        Err(cause) => tell::note(&format!("what is stored as {id} cannot be read: {cause}")),
    }
    Ok(())
}

/// Under which id a config is stored, or would be: its own, else that of its name.
pub async fn id_in(
    store: &Store,
    client: &Client,
    config: &CanaryConfig,
) -> anyhow::Result<Option<String>> {
    match &config.id {
        Some(id) if !id.is_empty() => Ok(Some(id.clone())),
        _ => id_of_name(store, client, config).await,
    }
}

/// A server keeps one config of a name in an application.
async fn id_of_name(
    store: &Store,
    client: &Client,
    config: &CanaryConfig,
) -> anyhow::Result<Option<String>> {
    let Some(name) = &config.name else {
        return Ok(None);
    };
    let applications = config.applications.iter().flatten();
    let list = client.get(&store.path("", &[])).await?;
    let is_same = |stored: &CanaryConfigSummary| {
        let shares = |application| stored.applications.contains(application);
        stored.name == *name && applications.clone().any(shares)
    };
    let same: Vec<CanaryConfigSummary> = summaries(list)?.into_iter().filter(is_same).collect();
    match same.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one.id.clone())),
        several => {
            let ids: Vec<&str> = several.iter().map(|stored| stored.id.as_str()).collect();
            Err(Usage(format!(
                "several canary configs have the name '{name}': {}; give the file the id of one",
                ids.join(", ")
            ))
            .into())
        }
    }
}

/// Without what a server writes itself.
pub fn essence(mut config: CanaryConfig) -> CanaryConfig {
    config.id = None;
    config.created_timestamp = None;
    config.updated_timestamp = None;
    config.created_timestamp_iso = None;
    config.updated_timestamp_iso = None;
    config.prepare();
    config
}
