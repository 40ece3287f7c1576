//! `serin doctor`: what keeps a serin of this configuration from its work, and what to do about it.

use std::process::ExitCode;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::Certificate;
use reqwest::header::DATE;
use rustix::process::{Resource, getrlimit};

use super::accounts::check::{self, Wishes};
use super::exit::{Exit, told};
use super::{Configured, paint, start_log, tell};
use crate::budget::{memory, whole};
use crate::clock::Clock;
use crate::config::{Account, Config, LogFormat, text};
use crate::error::Error;
use crate::escape::line;
use crate::http;
use crate::storage::index::probe;
use crate::storage::room::left;

const LIMIT: Duration = Duration::from_secs(10);

/// As many sources are asked at once.
const AT_ONCE: usize = 8;

/// Windows end now: a clock that is off by more asks for what is not there yet, or leaves out what is.
const CLOCKS_APART: i64 = 5_000;

/// Files beside connections: the database, stores, sources, the log.
const OTHER_FILES: u64 = 256;

/// Looks through the configuration, the accounts, the database, the clocks, the disk and the limits of this machine,
/// and says of each whether it is well, or what to do. Nothing is changed, but for a small object that each store is to
/// write and delete (`--read-only`: none).
///
/// Exits with 0 where nothing is wrong, and 1 where something is.
#[derive(clap::Args)]
pub struct Doctor {
    #[command(flatten)]
    configured: Configured,
    /// Write nothing: stores are only listed.
    #[arg(long)]
    read_only: bool,
}

/// What was found of one thing.
struct Found {
    of: String,
    how: How,
}

enum How {
    Well(String),
    /// What is to be minded, and what to do.
    Doubtful(String, String),
    Wrong(String, String),
}

impl Doctor {
    pub async fn run(self) -> ExitCode {
        told(self.look().await)
    }

    async fn look(&self) -> anyhow::Result<Exit> {
        start_log("off", LogFormat::Text)?;
        let mut all = Vec::new();
        match self.configured.load() {
            Err(wrong) => {
                let advice = "mend it; config/serin.yml of serin's repository has every key";
                let how = How::Wrong(format!("{wrong:#}"), advice.to_owned());
                all.push(found("configuration", how));
            }
            Ok(loaded) => {
                all.push(found("configuration", How::Well("can be used".to_owned())));
                for warning in &loaded.warnings {
                    let how = How::Doubtful(warning.clone(), "docs/operating.md".to_owned());
                    all.push(found("configuration", how));
                }
                all.extend(self.of_config(&loaded.config).await);
            }
        }
        let is_wrong = all.iter().any(|found| matches!(found.how, How::Wrong(..)));
        for found in &all {
            tell::show(&shown(found), tell::Beside::Nothing);
        }
        Ok(if is_wrong { Exit::Fail } else { Exit::Pass })
    }

    async fn of_config(&self, config: &Config) -> Vec<Found> {
        let mut all = Vec::new();
        if !config.gives_series() {
            let told = "no account gives series, so no canary can be judged";
            let advice = "name a source: --prometheus URL, or an account in the configuration";
            all.push(found(
                "accounts",
                How::Doubtful(told.to_owned(), advice.to_owned()),
            ));
        }
        let wishes = Wishes {
            limit: LIMIT,
            writes: !self.read_only,
        };
        for asked in check::all(config, wishes).await {
            let how = match &asked.wrong {
                None => How::Well(format!("may {}", asked.may.join(", "))),
                Some(wrong) => {
                    let told = format!("cannot {}: {}", wrong.at, wrong.message);
                    How::Wrong(told, wrong.advice.clone())
                }
            };
            all.push(found(&format!("account {}", asked.name), how));
        }
        let (database, clock) = of_database(config).await;
        all.push(found("database", database));
        all.extend(clock.map(|clock| found("clock beside the database's", clock)));
        all.extend(of_sources(config).await);
        all.push(found("disk", of_disk(config).await));
        all.push(found("open files", of_files(config)));
        all.push(found("memory", of_memory(config)));
        all
    }
}

async fn of_database(config: &Config) -> (How, Option<How>) {
    match probe(&config.database).await {
        Ok(millis) => {
            let now = Clock::System.now_millis();
            let clock = millis.map(|millis| apart(millis - now));
            (How::Well("answers".to_owned()), clock)
        }
        Err(Error::NotFound(file)) => (
            How::Well(format!("is made at '{file}' by the first start")),
            None,
        ),
        Err(wrong) => {
            let advice = "see to database.url, its password, and that it can be reached from here";
            let told = format!("{:#}", anyhow::Error::from(wrong));
            (How::Wrong(told, advice.to_owned()), None)
        }
    }
}

/// By the `Date` of what answers there, whoever may ask. That one does not answer is told of its account.
async fn of_sources(config: &Config) -> Vec<Found> {
    let asked = config.accounts.iter().map(|it| Box::pin(of_source(it)));
    let found = stream::iter(asked).buffered(AT_ONCE).collect::<Vec<_>>();
    found.await.into_iter().flatten().collect()
}

async fn of_source(account: &Account) -> Option<Found> {
    let (source, url) = (account.source.as_ref()?, account.face.base_url.as_ref()?);
    let certificates = match &source.http().ca_file {
        Some(file) => Certificate::from_pem_bundle(text::read(file).ok()?.as_bytes()).ok()?,
        None => Vec::new(),
    };
    let (scheme, _) = url.split_once(':')?;
    let client = http::trusting(http::client().timeout(LIMIT), scheme, certificates);
    let answer = client.build().ok()?.head(url).send().await.ok()?;
    let now = Clock::System.now_millis();
    let date = answer.headers().get(DATE)?.to_str().ok()?;
    let date = DateTimeParser::new().parse_timestamp(date).ok()?;
    let of = format!("clock beside that of {}", account.name);
    Some(found(&of, apart(date.as_millisecond() - now)))
}

fn apart(millis: i64) -> How {
    let seconds = millis / 1000;
    if millis.abs() <= CLOCKS_APART {
        return How::Well("the same, to a few seconds".to_owned());
    }
    let advice = "let both follow NTP: windows that end now are cut off, or come too early";
    How::Wrong(format!("{seconds} s apart"), advice.to_owned())
}

async fn of_disk(config: &Config) -> How {
    let folder = &config.storage.directory;
    match left(folder, config.storage.min_free).await {
        None => How::Doubtful(
            format!("'{}' cannot be measured", folder.display()),
            "make the folder, or let storage.directory be another one".to_owned(),
        ),
        Some((free, least)) if free < least => How::Doubtful(
            format!("{} MiB are left at '{}'", free >> 20, folder.display()),
            format!(
                "make room: below {} MiB (storage.minFree) nothing new is begun",
                least >> 20
            ),
        ),
        Some((free, _)) => How::Well(format!("{} MiB are left", free >> 20)),
    }
}

fn of_files(config: &Config) -> How {
    let wanted = config.server.max_connections as u64 + OTHER_FILES;
    match getrlimit(Resource::Nofile).current {
        Some(most) if most < wanted => How::Doubtful(
            format!("{most} at most, and {wanted} may be wanted"),
            "raise it (LimitNOFILE of systemd, ulimit -n), or lower server.maxConnections"
                .to_owned(),
        ),
        Some(most) => How::Well(format!("{most} at most")),
        None => How::Well("as many as are wanted".to_owned()),
    }
}

fn of_memory(config: &Config) -> How {
    let (all, one) = (memory(), config.limits.execution);
    let executions = whole(config.limits.memory);
    let mib = |bytes: usize| bytes >> 20;
    if executions < one || all < executions {
        return How::Doubtful(
            format!(
                "{} MiB, of which executions may take {}",
                mib(all),
                mib(executions)
            ),
            "give it more, or lower limits.memory and limits.execution".to_owned(),
        );
    }
    How::Well(format!(
        "{} MiB, of which executions may take {}",
        mib(all),
        mib(executions)
    ))
}

fn found(of: &str, how: How) -> Found {
    Found {
        of: of.to_owned(),
        how,
    }
}

fn shown(found: &Found) -> String {
    let of = line(&found.of);
    match &found.how {
        How::Well(told) => format!("{} {of}: {}", paint::added("✓"), line(told)),
        How::Doubtful(told, advice) => {
            format!(
                "{} {of}: {}\n    {}",
                paint::warning("!"),
                line(told),
                line(advice)
            )
        }
        How::Wrong(told, advice) => {
            format!(
                "{} {of}: {}\n    {}",
                paint::removed("✗"),
                line(told),
                line(advice)
            )
        }
    }
}
