//! A serin of one run: in this process, with a folder that goes when it does.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use tempfile::TempDir;

use crate::command::client::Client;
use crate::command::exit::Usage;
use crate::command::serve::Service;
use crate::command::tell;
use crate::config::{self, LoadOptions, Shorthands};
use crate::secrets::Engines;

/// How a source is spoken to can be said by the environment, as for a service; what else a
/// service is told there is none of a run's business.
const ACCOUNTS: [&str; 7] = [
    "SERIN__KAYENTA__PROMETHEUS__",
    "SERIN__KAYENTA__DATADOG__",
    "SERIN__KAYENTA__SIGNALFX__",
    "SERIN__KAYENTA__STACKDRIVER__",
    "SERIN__KAYENTA__GOOGLE__",
    "DD_",
    "SFX_",
];

/// Bytes of a query, as long as one can get: who runs it is who wrote it.
const LONGEST_QUERY: usize = 1 << 20;

pub struct Here {
    pub client: Client,
    service: Service,
    folder: TempDir,
}

impl Here {
    /// With `patience`, a source that is away is not asked again for longer.
    pub async fn start(shorthands: Shorthands, patience: Option<Duration>) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("serin-run-")
            .tempdir()
            .context("cannot make a temporary folder")?;
        let directory = folder.path().display().to_string();
        let options = LoadOptions {
            shorthands,
            overrides: vec![
                ("storage.directory".to_owned(), directory),
                ("server.port".to_owned(), "0".to_owned()),
                // What it writes goes with it.
                ("storage.minFree".to_owned(), "0".to_owned()),
                ("limits.queryText".to_owned(), LONGEST_QUERY.to_string()),
            ],
            ..LoadOptions::default()
        };
        let accounts: BTreeMap<String, String> = config::environment()
            .into_iter()
            .filter(|(name, _)| ACCOUNTS.iter().any(|known| name.starts_with(known)))
            .collect();
        let mut loaded = config::load_with(&options, &accounts, &Engines::default())
            .map_err(|wrong| Usage(format!("the metric source cannot be used: {wrong}")))?;
        loaded.config.retry.patience = patience;
        // The configuration lies in it, which grows with every kind of source.
        let service = Box::pin(Service::start(loaded.config)).await?;
        Ok(Self {
            client: Client::local(&service.url)?,
            service,
            folder,
        })
    }

    pub async fn stop(self) {
        self.service.stop().await;
        if let Err(cause) = self.folder.close() {
            tell::note(&format!("the temporary folder stays: {cause}"));
        }
    }
}
