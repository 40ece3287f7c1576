//! `serin demo`: the main job, from nothing to a verdict.

mod scenario;
mod series;
mod show;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::Client;
use super::serve::Service;
use super::{start_log, tell};
use crate::config::{Config, LoadOptions, LogFormat, Shorthands};
use scenario::{CONFIG_ID, RELEASES};

/// Starts serin on a free port, serves the series of four made-up releases, and judges them
/// through the REST API, as a client would.
#[derive(clap::Args)]
pub struct Demo {
    /// Take the series from this Prometheus instead; the demo app of docker-compose.yml has them.
    #[arg(long, value_name = "URL")]
    prometheus: Option<String>,
    /// Where to keep what the demo stores; else a new folder among the temporary ones.
    #[arg(long, value_name = "FOLDER")]
    directory: Option<PathBuf>,
    /// Port to listen on, 0 for any free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Keep the service up afterwards, until Ctrl-C.
    #[arg(long)]
    stay: bool,
}

impl Demo {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        start_log("serin=warn", LogFormat::Text)?;
        let directory = match &self.directory {
            Some(directory) => directory.clone(),
            None => std::env::temp_dir().join(format!("serin-demo-{}", std::process::id())),
        };
        let source = match &self.prometheus {
            Some(url) => Source::Real(url.clone()),
            None => Source::MadeUp(series::Server::start().await?),
        };
        let service = Service::start(self.config(&directory, source.url())?).await?;
        show::introduction(&source, &service.url, &directory);

        let client = Client::local(&service.url)?;
        let config = scenario::canary_config();
        match client
            .once(Method::POST, "/canaryConfig", Some(&config))
            .await
        {
            // A folder of an earlier demo holds it already.
            Err(failure) if failure.to_string().contains("already exists") => {}
            stored => drop(stored?),
        }
        let window = scenario::window(service.app.clock.now_millis());

        let mut last = None;
        let mut has_data = false;
        for release in &RELEASES {
            let request = scenario::execution_request(release, &window);
            let path = format!("/canary/{CONFIG_ID}?application=checkout");
            let started = client.once(Method::POST, &path, Some(&request)).await?;
            let id = member(&started, "canaryExecutionId")?;
            let ended = poll(&client, &format!("/canary/{id}")).await?;
            let status = serde_json::from_value(ended).context("the answer cannot be read")?;
            show::release(release, &status)?;
            has_data |= show::has_data(&status);
            last = Some((id, request));
        }
        if let (Source::Real(url), false) = (&source, has_data) {
            tell::say(&format!(
                "\n{url} has none of the demo's series; the app of docker-compose.yml has them."
            ));
        }
        if let Some((id, request)) = last {
            show::afterwards(&service.url, &directory, &config, &request, &id, self.stay)?;
        }
        if self.stay {
            tokio::signal::ctrl_c()
                .await
                .context("cannot wait for Ctrl-C")?;
        }
        service.stop().await;
        Ok(ExitCode::SUCCESS)
    }

    /// The configuration of a newcomer, in a folder of its own.
    fn config(&self, directory: &Path, prometheus: &str) -> anyhow::Result<Config> {
        let options = LoadOptions {
            shorthands: Shorthands {
                prometheus: Some(prometheus.to_owned()),
                ..Shorthands::default()
            },
            overrides: vec![
                (
                    "storage.directory".to_owned(),
                    directory.display().to_string(),
                ),
                ("server.port".to_owned(), self.port.to_string()),
                ("storage.minFree".to_owned(), "0".to_owned()),
            ],
            ..LoadOptions::default()
        };
        let loaded = crate::config::load_from(&options, &BTreeMap::new());
        Ok(loaded.context("the configuration cannot be used")?.config)
    }
}

/// Where the series of the demo come from.
pub enum Source {
    MadeUp(series::Server),
    Real(String),
}

impl Source {
    fn url(&self) -> &str {
        match self {
            Self::MadeUp(server) => &server.url,
            Self::Real(url) => url,
        }
    }
}

/// Asks until `complete` is true.
async fn poll(client: &Client, path: &str) -> anyhow::Result<Value> {
    for _ in 0..6000 {
        let body = client.get(path).await?;
        if body["complete"] == json!(true) {
            return Ok(body);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bail!("GET {path}: not complete within a minute")
}

fn member(body: &Value, name: &str) -> anyhow::Result<String> {
    body[name]
        .as_str()
        .map(str::to_owned)
        .with_context(|| format!("the answer has no '{name}': {body}"))
}
