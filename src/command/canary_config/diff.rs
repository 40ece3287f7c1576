//! `serin canary-config diff`

use std::path::{Path, PathBuf};

use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use super::lint::read;
use super::put::{essence, id_in};
use super::{Store, missing};
use crate::canary::CanaryConfig;
use crate::command::client::Client;
use crate::command::exit::{Exit, Usage};
use crate::command::paint;
use crate::command::tell::{self, Beside};
use crate::escape::line;
use crate::lint;

/// Lines around a change.
const AROUND: usize = 3;

/// Shows what differs between two canary configs, or between a file and what is stored: under its id, else under
/// its name. How they are written makes no difference, nor what a server writes itself.
///
/// Exits with 0 where nothing differs, 1 where something does, 64 when what was typed is wrong, 69 when the server
/// does not answer.
#[derive(clap::Args)]
pub struct Diff {
    /// A canary config as JSON or YAML; `-` for standard input.
    file: PathBuf,
    /// Another one; without it, the one that is stored.
    other: Option<PathBuf>,
    /// The stored one under this id.
    #[arg(long, value_name = "ID", conflicts_with = "other")]
    id: Option<String>,
    #[command(flatten)]
    store: Store,
}

impl Diff {
    pub async fn run(self) -> anyhow::Result<Exit> {
        let file = config(&self.file)?;
        let name = self.file.display().to_string();
        let (before, after) = if let Some(other) = &self.other {
            let shown = other.display().to_string();
            ((name, file), (shown, config(other)?))
        } else {
            let client = self.store.remote.client()?;
            let (id, stored) = self.stored(&client, &file).await?;
            ((format!("stored as {id}"), stored), (name, file))
        };
        let told = of(&before.1, &after.1)?;
        let Some(told) = told else {
            tell::note("nothing differs");
            return Ok(Exit::Pass);
        };
        let head = format!("--- {}\n+++ {}", line(&before.0), line(&after.0));
        tell::show(&format!("{head}\n{told}"), Beside::Nothing);
        Ok(Exit::Fail)
    }

    async fn stored(
        &self,
        client: &Client,
        config: &CanaryConfig,
    ) -> anyhow::Result<(String, CanaryConfig)> {
        let id = match &self.id {
            Some(id) => Some(id.clone()),
            None => id_in(&self.store, client, config).await?,
        };
        let name = config.name.as_deref().unwrap_or_default();
        let id = id.ok_or_else(|| Usage(format!("no canary config is stored as '{name}'")))?;
        let stored: Value = client
            .get(&self.store.path_of(&id))
            .await
            .map_err(|failure| missing(&id, failure))?;
        Ok((id, serde_json::from_value(stored)?))
    }
}

fn config(file: &Path) -> anyhow::Result<CanaryConfig> {
    let (text, format) = read(file)?;
    lint::config(&text, format).ok_or_else(|| {
        let file = file.display();
        Usage(format!(
            "'{file}' is no canary config; 'serin canary-config lint {file}' says why"
        ))
        .into()
    })
}

/// The lines that differ, painted, with some around them; none where all is the same.
pub fn of(before: &CanaryConfig, after: &CanaryConfig) -> anyhow::Result<Option<String>> {
    let text = |config: &CanaryConfig| serde_json::to_string_pretty(&essence(config.clone()));
    let (before, after) = (text(before)?, text(after)?);
    let diff = TextDiff::from_lines(before.as_str(), after.as_str());
    let mut told = Vec::new();
    for hunk in diff.unified_diff().context_radius(AROUND).iter_hunks() {
        told.push(hunk.header().to_string());
        for change in hunk.iter_changes() {
            let shown = format!("{}{}", change.tag(), change.value().trim_end_matches('\n'));
            let shown = line(&shown);
            told.push(match change.tag() {
                ChangeTag::Delete => paint::removed(&shown),
                ChangeTag::Insert => paint::added(&shown),
                ChangeTag::Equal => shown.into_owned(),
            });
        }
    }
    Ok((!told.is_empty()).then(|| told.join("\n")))
}
