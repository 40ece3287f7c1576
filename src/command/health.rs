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
        let of_operators = server
            .admin_address
            .as_deref()
            .filter(|_| self.port.is_none());
        let of_operators = of_operators.and_then(|address| address.rsplit_once(':'));
        let (host, port) = of_operators.map_or_else(
            || {
                let port = self.port.unwrap_or(server.port);
                (server.address.as_str(), port.to_string())
            },
            |(host, port)| (host, port.to_owned()),
        );
        let host = reached(host);
        let scheme = if server.tls.is_some() {
            "https"
        } else {
            "http"
        };
        let url = format!("{scheme}://{host}:{port}/health");
        let client = http::client()
            .no_proxy()
            // Its certificate is for the names that others reach it by, and it is sent nothing secret.
            .tls_danger_accept_invalid_certs(true)
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

/// Who listens on all addresses listens on that of the loop, too.
fn reached(address: &str) -> String {
    match address {
        "0.0.0.0" => "127.0.0.1".to_owned(),
        "::" | "[::]" => "[::1]".to_owned(),
        address if address.contains(':') && !address.starts_with('[') => format!("[{address}]"),
        address => address.to_owned(),
    }
}
