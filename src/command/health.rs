//! `serin health`: for an image without a shell or curl.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use super::{Configured, tell};
use crate::http;

#[derive(clap::Args)]
pub struct Health {
    #[command(flatten)]
    configured: Configured,
    /// Port of the service; else server.port.
    #[arg(long)]
    port: Option<u16>,
}

impl Health {
    /// Asks the service of this configuration; success if it is UP.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let server = self.configured.load_settings()?.config.server;
        // Who listens on all addresses listens on that of the loop, too.
        let host = match server.address.as_str() {
            "0.0.0.0" => "127.0.0.1".to_owned(),
            "::" => "[::1]".to_owned(),
            address if address.contains(':') => format!("[{address}]"),
            address => address.to_owned(),
        };
        let port = self.port.unwrap_or(server.port);
        let url = format!("http://{host}:{port}/health");
        let client = http::client()
            .no_proxy()
            .timeout(Duration::from_secs(5))
            .build()
            .context("cannot make an HTTP client")?;
        let answer = client.get(&url).send().await;
        let answer = answer.with_context(|| format!("no answer from {url}"))?;
        let up = answer.status().is_success();
        tell::result(&answer.text().await.context("the answer broke off")?)?;
        Ok(if up {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}
