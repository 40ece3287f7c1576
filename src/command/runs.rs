//! `serin runs`: what a server has run, and what is done about it.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Client, Remote};
use super::exit::{Exit, Usage, told};
use super::run::{Ending, tell_ending, until_end};
use super::table::{numbers, table};
use super::tell::{Beside, note, result, show};
use super::{paint, start_log};
use crate::canary::{
    CanaryAnalysisExecutionStatusResponse, CanaryExecutionStatusResponse, Execution, Kind, Told,
    iso_from_millis, number,
};
use crate::config::LogFormat;
use crate::escape::line;
use crate::http::escaped;

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Runs are canaries and analyses; each is named by its id.
#[derive(Subcommand)]
pub enum Runs {
    /// List the runs of an application, newest first.
    List(List),
    /// Show a run: its metrics, its verdict, and why.
    Show(Show),
    /// Wait for a run, and exit by its verdict as `serin run` does.
    Watch(One),
    /// Cancel what waits or runs.
    Cancel(One),
    /// Judge a run again, from the same start to a later end.
    Again(Again),
}

#[derive(clap::Args)]
pub struct List {
    /// Whose runs; `ad-hoc` are those of nobody.
    #[arg(long, value_name = "NAME", default_value = "ad-hoc")]
    application: String,
    /// Analyses instead of canaries.
    #[arg(long)]
    analyses: bool,
    /// Only those of this outcome; repeat it for more.
    #[arg(long, value_name = "OUTCOME")]
    outcome: Vec<String>,
    /// How many.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

#[derive(clap::Args)]
pub struct Show {
    #[arg(value_name = "ID")]
    id: String,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    remote: Remote,
}

#[derive(clap::Args)]
pub struct One {
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    remote: Remote,
}

#[derive(clap::Args)]
pub struct Again {
    #[arg(value_name = "ID")]
    id: String,
    /// Until when: RFC 3339, `now` or `now-5m`.
    #[arg(long, value_name = "TIME", default_value = "now")]
    end: String,
    /// Wait for the verdict, and exit by it.
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    remote: Remote,
}

impl Runs {
    pub async fn run(self) -> ExitCode {
        if let Err(error) = start_log("serin=error", LogFormat::Text) {
            return told(Err(error));
        }
        told(match self {
            Self::List(list) => list.run().await,
            Self::Show(show) => show.run().await,
            Self::Watch(one) => one.watch().await,
            Self::Cancel(one) => one.cancel().await,
            Self::Again(again) => again.run().await,
        })
    }
}

impl List {
    async fn run(self) -> anyhow::Result<Exit> {
        let client = self.remote.client()?;
        let (kind, path) = if self.analyses {
            (Kind::Analysis, "/standalone_canary_analysis")
        } else {
            (Kind::Canary, "/canary/executions")
        };
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("application", &self.application);
        query.append_pair("limit", &self.limit.to_string());
        for outcome in &self.outcome {
            query.append_pair("outcome", outcome);
        }
        let list = client.get(&format!("{path}?{}", query.finish())).await?;
        if self.format == Format::Json {
            result(&serde_json::to_string_pretty(&list)?)?;
            return Ok(Exit::Pass);
        }
        let documents = list.as_array().map(Vec::as_slice).unwrap_or_default();
        if documents.is_empty() {
            let of = line(&self.application);
            note(&format!(
                "no run of '{of}' is like that; --application NAME names another"
            ));
            return Ok(Exit::Pass);
        }
        let mut table = table(["id", "config", "compared", "begun", "score", "verdict"]);
        numbers(&mut table, [4]);
        for document in documents {
            table.add_row(with_told(kind, document, row)?);
        }
        show(&table.to_string(), Beside::Nothing);
        Ok(Exit::Pass)
    }
}

fn row(told: &Told<'_>) -> [String; 6] {
    let scope = |scope: Option<&str>| line(scope.unwrap_or("–")).into_owned();
    let (control, experiment) = (told.sides.control.scope, told.sides.experiment.scope);
    [
        line(told.id).into_owned(),
        line(told.config_name()).into_owned(),
        format!("{} → {}", scope(control), scope(experiment)),
        told.times.begun().map_or_else(String::new, iso_from_millis),
        told.score.map_or_else(|| "–".to_owned(), number::score),
        paint::outcome(told.outcome),
    ]
}

fn with_told<T>(kind: Kind, document: &Value, of: impl Fn(&Told<'_>) -> T) -> anyhow::Result<T> {
    let document = document.clone();
    let unread = "a run cannot be read";
    Ok(match kind {
        Kind::Analysis => {
            let read: CanaryAnalysisExecutionStatusResponse =
                serde_json::from_value(document).context(unread)?;
            of(&read.told())
        }
        Kind::Canary | Kind::Comparison => {
            let read: CanaryExecutionStatusResponse =
                serde_json::from_value(document).context(unread)?;
            of(&read.told())
        }
    })
}

impl Show {
    async fn run(self) -> anyhow::Result<Exit> {
        let client = self.remote.client()?;
        let (kind, document) = find(&client, &self.id).await?;
        if self.format == Format::Json {
            result(&serde_json::to_string_pretty(&document)?)?;
        } else if document["complete"] == json!(true) {
            tell(&client, kind, &self.id, document).await?;
        } else {
            let outcome = with_told(kind, &document, |told| told.outcome)?;
            let address = address(&client, kind, &self.id);
            note(&format!("{}; it is shown at {address}", outcome.word()));
        }
        Ok(Exit::Pass)
    }
}

impl One {
    async fn watch(self) -> anyhow::Result<Exit> {
        let client = self.remote.client()?;
        let (kind, _) = find(&client, &self.id).await?;
        watched(&client, kind, &self.id).await
    }

    async fn cancel(self) -> anyhow::Result<Exit> {
        let client = self.remote.client()?;
        let (kind, document) = find(&client, &self.id).await?;
        if document["complete"] == json!(true) {
            let outcome = with_told(kind, &document, |told| told.outcome)?;
            let (id, word) = (line(&self.id), outcome.word());
            return Err(Usage(format!("'{id}' has ended already: {word}")).into());
        }
        client.cancel(&escaped(&self.id).to_string()).await?;
        note(&format!("canceled '{}'", self.id));
        Ok(Exit::Pass)
    }
}

impl Again {
    async fn run(self) -> anyhow::Result<Exit> {
        let client = self.remote.client()?;
        let (kind, _) = find(&client, &self.id).await?;
        let path = format!("{}/{}/again", kind.path(), escaped(&self.id));
        let body = json!({"end": self.end});
        let answer = client.once(Method::POST, &path, Some(&body)).await?;
        let id = answer[kind.id_member()].as_str();
        let id = id.context("the server told no id")?;
        note(&address(&client, kind, id));
        if self.watch {
            return watched(&client, kind, id).await;
        }
        result(id)?;
        Ok(Exit::Pass)
    }
}

/// A canary, else an analysis.
async fn find(client: &Client, id: &str) -> anyhow::Result<(Kind, Value)> {
    let mut refused = None;
    for kind in [Kind::Canary, Kind::Analysis] {
        match client
            .get(&format!("{}/{}", kind.path(), escaped(id)))
            .await
        {
            Ok(document) => return Ok((kind, document)),
            // Of an analysis a canary's door says that it is none.
            Err(failure) if failure.is_of_another_kind() => refused = Some(failure),
            Err(failure) if failure.is_missing() => {}
            Err(failure) => return Err(failure.into()),
        }
    }
    if let Some(failure) = refused {
        return Err(failure.into());
    }
    Err(Usage(format!("there is no run '{id}'")).into())
}

async fn watched(client: &Client, kind: Kind, id: &str) -> anyhow::Result<Exit> {
    let document = until_end(client, kind, &escaped(id).to_string(), LOOK_EVERY).await?;
    tell(client, kind, id, document).await
}

async fn tell(client: &Client, kind: Kind, id: &str, document: Value) -> anyhow::Result<Exit> {
    let link = Some(address(client, kind, id));
    let ending = Ending::of(client, kind, String::new(), link, document).await?;
    tell_ending(&ending, Beside::Nothing);
    Ok(ending.exit())
}

fn address(client: &Client, kind: Kind, id: &str) -> String {
    format!("{}{}/{}", client.shown, kind.page(), escaped(id))
}
