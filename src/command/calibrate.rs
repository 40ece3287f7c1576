//! `serin calibrate`: how often a config would stop a release in which nothing changed.

mod options;
mod tell;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::ArgMatches;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use serde_json::Value;

use self::options::Options;
use super::client::{Client, Remote, filled, is_standard, path};
use super::exit::{Exit, Usage, told};
use super::run::here::Here;
use super::serve::stop_signal;
use super::sources::Sources;
use super::tell::{Beside, note, show};
use crate::canary::{Calibration, ExecutionStatus};
use crate::config::LogFormat;
use crate::http::escaped;

const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long a cancel may take when someone waits for the end.
const CANCEL_WITHIN: Duration = Duration::from_secs(10);

/// Judges windows of the past in which nothing changed, by both judges, and tells how often each would have
/// stopped the release, and which margins would not.
///
/// On a server, or with nothing but a metric source. Exits with 0, with 1 where --max-false-alarm is
/// exceeded, 64 when what was typed is wrong, 69 when something did not answer or could not work, 130 after Ctrl-C.
#[derive(clap::Args)]
pub struct Calibrate {
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    sources: Sources,

    /// Keep what is learned on the server under this id, which configs name as
    /// `judge.judgeConfigurations.calibration`.
    #[arg(long, value_name = "ID")]
    write: Option<String>,
    /// Write the whole document to a file, as JSON; `-` for standard output.
    #[arg(short, long, value_name = "FILE", value_parser = path())]
    output: Option<PathBuf>,
    /// Exit with 1 where the config's judge would have stopped more than this share of the windows: 0.05, or 5%.
    #[arg(long, value_name = "SHARE", value_parser = options::share)]
    max_false_alarm: Option<f64>,
}

impl Calibrate {
    /// `typed` tells what was typed, and what is a variable.
    pub async fn run(mut self, typed: Option<&ArgMatches>) -> ExitCode {
        if let Some(typed) = typed {
            self.sources.prefer(&mut self.remote, typed);
        }
        told(self.calibrate().await)
    }

    async fn calibrate(&self) -> anyhow::Result<Exit> {
        super::start_log("serin=error", LogFormat::Text)?;
        let server = self.remote.server.clone().filter(|text| !text.is_empty());
        let sources = self.sources.shorthands();
        let config = self.options.config(sources.kind())?;
        let body = self.options.request(config, self.write.as_deref())?;
        match server {
            Some(_) if !sources.is_empty() => Err(Usage(
                "a server and a metric source are named; the server has its own".to_owned(),
            )
            .into()),
            Some(_) => self.at(&self.remote.client()?, &body).await,
            None if sources.is_empty() => Err(Usage(
                "where to calibrate? --server URL names a serin; without one, --prometheus URL, --datadog SITE, \
                 --signalfx REALM or --google PROJECT is enough"
                    .to_owned(),
            )
            .into()),
            None if self.write.is_some() => Err(Usage(
                "--write keeps margins on a server: --server URL names it; without one, --output FILE keeps them in a \
                 file"
                    .to_owned(),
            )
            .into()),
            None => {
                let here = Here::start(sources, self.remote.patience()?).await?;
                let ended = self.at(&here.client, &body).await;
                here.stop().await;
                ended
            }
        }
    }

    async fn at(&self, client: &Client, body: &Value) -> anyhow::Result<Exit> {
        let mut stopped = pin!(stop_signal());
        let path = format!("/calibrations{}", self.options.accounts());
        let answer = client.once(Method::POST, &path, Some(body)).await?;
        let id = answer["calibrationId"].as_str();
        let id = id.with_context(|| format!("the answer to POST {path} has no 'calibrationId'"))?;
        let made = tokio::select! {
            made = until_end(client, id) => made?,
            signal = stopped.as_mut() => {
                signal?;
                cancel(client, id).await;
                return Ok(Exit::Interrupted);
            }
        };
        self.tell(&made)
    }

    fn tell(&self, document: &Value) -> anyhow::Result<Exit> {
        let made: Calibration =
            serde_json::from_value(document.clone()).context("the calibration cannot be read")?;
        if let Some(file) = filled(self.output.as_ref()) {
            let text = serde_json::to_string_pretty(document)?;
            if is_standard(file) {
                super::tell::result(&text)?;
            } else {
                std::fs::write(file, text + "\n")
                    .with_context(|| format!("cannot write '{}'", file.display()))?;
                note(&format!("Written: {}", file.display()));
            }
        }
        let Some(report) = &made.report else {
            match (made.status, &made.error) {
                (ExecutionStatus::Canceled, _) => bail!("the calibration was canceled"),
                (_, Some(error)) => bail!("no calibration: {error}"),
                (status, None) => bail!("the calibration is {}", status.as_str()),
            }
        };
        let output = filled(self.output.as_ref());
        let beside = Beside::the_result_if(output.is_some_and(|file| is_standard(file)));
        show(&tell::report(report), beside);
        if let Some(error) = &made.error {
            bail!("{error}");
        }
        if let Some(written) = made.learned.filter(|_| self.write.is_some()) {
            note(&format!(
                "Kept; configs name it as judge.judgeConfigurations.calibration: {}",
                written.calibration
            ));
        }
        let Some(most) = self.max_false_alarm else {
            return Ok(Exit::Pass);
        };
        let judge = &report.decides;
        let mut judged = report.judges.iter().filter(|rates| 0 < rates.stopped.of);
        let decides = judged.find(|rates| rates.judge == *judge);
        let share = decides.map(|rates| rates.stopped.share);
        let share = share.with_context(|| {
            format!("--max-false-alarm cannot be held: no window was judged by '{judge}', the judge of the config")
        })?;
        if most < share {
            note(&format!(
                "{judge} would have stopped {:.1} % of the windows, more than {:.1} % (--max-false-alarm)",
                share * 100.0,
                most * 100.0
            ));
            return Ok(Exit::Fail);
        }
        Ok(Exit::Pass)
    }
}

async fn until_end(client: &Client, id: &str) -> anyhow::Result<Value> {
    let path = format!("/calibrations/{}", escaped(id));
    let bar = bar();
    loop {
        let document = client.get(&path).await?;
        if document["complete"] == true {
            bar.finish_and_clear();
            return Ok(document);
        }
        let progress = &document["progress"];
        let (fetched, judged) = (&progress["fetched"], &progress["judged"]);
        bar.set_message(match judged.as_u64() {
            Some(0) | None => format!("fetching: {fetched} of {} series", progress["queries"]),
            Some(judged) => format!("judging: {judged} of {} windows", progress["windows"]),
        });
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

async fn cancel(client: &Client, id: &str) {
    let path = format!("/calibrations/{}/cancel", escaped(id));
    let canceled = client.once(Method::PUT, &path, None);
    match tokio::time::timeout(CANCEL_WITHIN, canceled).await {
        Ok(Ok(_)) => note(&format!("canceled '{id}'")),
        Ok(Err(failure)) => note(&format!("'{id}' could not be canceled: {failure}")),
        Err(_) => note(&format!(
            "'{id}' could not be canceled within {CANCEL_WITHIN:?}"
        )),
    }
}
