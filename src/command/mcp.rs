//! `serin mcp`: the tools of `/mcp` for agents that start a program and speak to it over its standard streams.

use std::process::ExitCode;

use anyhow::Context;
use axum::http::request::Parts;
use clap::ValueEnum;
use rmcp::{ServiceExt, transport};
use serde_json::Value;

use super::client::{Client, Remote};
use super::exit::{Exit, told};
use crate::api::{Agents, Call, Door};
use crate::config::Tools;

#[derive(clap::Args)]
pub struct Mcp {
    #[command(flatten)]
    remote: Remote,
    /// What is offered; what it may do is for the server to say.
    #[arg(long, value_enum, default_value_t = Offered::Read)]
    tools: Offered,
}

#[derive(Clone, Copy, ValueEnum)]
enum Offered {
    /// To read.
    Read,
    /// To start and to cancel, too.
    All,
}

impl From<Offered> for Tools {
    fn from(offered: Offered) -> Self {
        match offered {
            Offered::Read => Self::Read,
            Offered::All => Self::All,
        }
    }
}

impl Mcp {
    pub async fn run(self) -> ExitCode {
        told(self.serve().await)
    }

    async fn serve(&self) -> anyhow::Result<Exit> {
        let agents = Agents::new(There(self.remote.client()?), self.tools.into());
        let talk = agents.serve(transport::stdio()).await;
        let talk = talk.context("no agent speaks to it")?;
        talk.waiting().await.context("the talk broke off")?;
        Ok(Exit::Pass)
    }
}

/// A serin elsewhere.
struct There(Client);

impl Door for There {
    async fn call(&self, call: Call, _: Option<&Parts>) -> Result<Value, String> {
        let answer = self.0.once(call.method, &call.path, call.body.as_ref());
        answer.await.map_err(|failure| failure.to_string())
    }
}
