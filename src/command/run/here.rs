//! A serin of one run: in this process, with a folder that goes when it does.

use std::collections::BTreeMap;

use anyhow::Context;
use tempfile::TempDir;

use crate::command::client::Client;
use crate::command::exit::Usage;
use crate::command::serve::Service;
use crate::command::tell;
use crate::config::{self, LoadOptions};
use crate::secrets::Engines;

/// How a Prometheus is spoken to can be said by the environment, as for a service; what else a
/// service is told there is none of a run's business.
const ACCOUNTS: &str = "SERIN__KAYENTA__PROMETHEUS__";

/// Bytes of a query, as long as one can get: who runs it is who wrote it.
const LONGEST_QUERY: usize = 1 << 20;

pub struct Here {
    pub client: Client,
    service: Service,
    folder: TempDir,
}

impl Here {
    pub async fn start(prometheus: &str) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("serin-run-")
            .tempdir()
            .context("cannot make a temporary folder")?;
        let directory = folder.path().display().to_string();
        let options = LoadOptions {
            prometheus_url: Some(prometheus.to_owned()),
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
            .filter(|(name, _)| name.starts_with(ACCOUNTS))
            .collect();
        let loaded = config::load_with(&options, &accounts, &Engines::default())
            .map_err(|wrong| Usage(format!("the Prometheus cannot be used: {wrong}")))?;
        let service = Service::start(loaded.config).await?;
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
