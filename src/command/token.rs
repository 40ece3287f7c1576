//! `serin token`: what clients show.

use std::process::ExitCode;

use anyhow::Context;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use clap::Subcommand;
use jiff::Timestamp;

use super::exit::{Exit, Usage, told};
use super::tell;
use crate::clock::Clock;
use crate::config::{self, TokenHash};

/// Scanners of secrets find it by its beginning.
const PREFIX: &str = "serin_";

const RANDOM_BYTES: usize = 32;

#[derive(Subcommand)]
pub enum Tokens {
    /// Make a random token: it is printed once, and the lines of the configuration that know it by its hash.
    New(NewToken),
}

#[derive(clap::Args)]
pub struct NewToken {
    /// What rules and logs call it.
    #[arg(long, default_value = "ci")]
    name: String,
    /// How long it holds, as in 90d; for ever, if nobody says so.
    #[arg(long, value_name = "DURATION")]
    expires: Option<String>,
}

impl Tokens {
    pub fn run(&self) -> ExitCode {
        let Self::New(new) = self;
        told(new.run())
    }
}

impl NewToken {
    /// The token on standard output, so that it can be handed on; the lines beside it.
    fn run(&self) -> anyhow::Result<Exit> {
        let wrong = |given: &str, why| Usage(format!("{given} {why}"));
        let name = config::token_name(&self.name);
        let name = name.map_err(|why| wrong(&format!("--name '{}'", self.name), why))?;
        let expires = self.expires.as_deref().map(|text| {
            let until = config::duration(text).and_then(|lasts| {
                let lasts = i64::try_from(lasts.as_secs()).ok();
                let now = Clock::System.now_millis() / 1000;
                let until = lasts.and_then(|lasts| now.checked_add(lasts));
                let until = until.and_then(|until| Timestamp::from_second(until).ok());
                until.ok_or_else(|| "is too long".to_owned())
            });
            until.map_err(|why| wrong(&format!("--expires '{text}'"), why))
        });
        let expires = expires.transpose()?;
        let token = random()?;
        let hash = TokenHash::of(&token).in_digits();
        tell::result(&token)?;
        let expires = expires.map(|expires| format!("\n  expires: {expires}"));
        let expires = expires.unwrap_or_default();
        tell::note(&format!(
            "# the line above is the token, and is shown once; serin knows it by these, below access\n\
             # in its configuration, or in the file that access.tokensFile names:\n\
             tokens:\n- name: {name}\n  sha256: {hash}{expires}"
        ));
        Ok(Exit::Pass)
    }
}

fn random() -> anyhow::Result<String> {
    let mut random = [0; RANDOM_BYTES];
    getrandom::fill(&mut random).context("this machine gives no random numbers")?;
    Ok(format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(random)))
}
