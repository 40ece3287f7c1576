//! `serin run`: a pipeline's step, from a file to a verdict.

mod ending;
mod flags;
pub mod here;
mod margins;
mod own;
pub mod plan;
mod reports;
mod request;
mod side;
mod times;
mod watch;

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::ArgMatches;
use serde_json::Value;

pub use self::ending::Ending;
use self::flags::Flags;
use self::here::Here;
use self::plan::Plan;
use self::reports::Format;
use self::request::Start;
pub use self::watch::until_end;
use super::client::{Client, Remote, filled, is_standard, path};
use super::exit::{Exit, Usage, told};
use super::serve::stop_signal;
use super::sources::Sources;
use super::tell::{Beside, failed, note, show};
use super::{paint, table};
use crate::canary::Kind;
use crate::clock::Clock;
use crate::config::{LogFormat, Shorthands};
use crate::escape::line;

/// How long a cancel may take when someone waits for the end.
const CANCEL_WITHIN: Duration = Duration::from_secs(10);

/// Starts a canary, or an analysis, and waits for its verdict: on a server, or with nothing but a
/// metric source.
///
/// Exits with 0 for pass, 1 for fail, 2 for marginal, 3 when what was measured cannot carry a verdict, 64 when what was
/// typed is wrong, 69 when something did not answer or could not work, 130 after Ctrl-C.
#[derive(clap::Args)]
pub struct Run {
    /// What to judge: YAML or JSON; `-` for standard input. docs/ci.md tells its keys.
    #[arg(short, long, env = "SERIN_RUN_FILE", value_name = "FILE", value_parser = path())]
    file: Option<PathBuf>,
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    sources: Sources,

    #[command(flatten)]
    flags: Flags,
    /// Where GitHub shows what is appended.
    #[arg(long, env = "GITHUB_STEP_SUMMARY", hide = true, value_parser = path())]
    github_step_summary: Option<PathBuf>,
}

impl Run {
    /// What `-f` names.
    pub fn file(&self) -> Option<&Path> {
        filled(self.file.as_ref()).map(PathBuf::as_path)
    }

    /// `typed` tells what was typed, and what is a variable.
    pub async fn run(mut self, typed: Option<&ArgMatches>) -> ExitCode {
        if let Some(typed) = typed {
            self.sources.prefer(&mut self.remote, typed);
            self.flags.prefer(typed);
        }
        told(Box::pin(self.judge()).await)
    }

    async fn judge(&self) -> anyhow::Result<Exit> {
        // What is wrong is told with the end.
        super::start_log("serin=error", LogFormat::Text)?;
        let plan = Plan::of(self)?;
        let reports = reports_of(&plan)?;
        let named = self.named(&plan);
        if plan.calibration.is_some() && named.0.is_some() {
            return Err(Usage(
                "a server judges with margins that it keeps: 'serin calibrate --server URL --write ID' keeps them, and \
                 the config names them; --calibration FILE is for a run without a server"
                    .to_owned(),
            )
            .into());
        }
        let margins = plan.margins()?;
        let config = plan.own_config(named.1.kind(), margins.as_ref())?;
        let place = self.place(named).await?;
        let ended = async {
            if let (Some(margins), Some(config)) = (&margins, &config) {
                margins::keep(place.client(), config, margins).await?;
            }
            self.judge_at(&place, &plan, config, reports).await
        };
        let ended = ended.await;
        place.leave().await;
        ended
    }

    /// A server, or the sources to judge with: flags and environment come before the file.
    fn named(&self, plan: &Plan) -> (Option<String>, Shorthands) {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let server = given(&self.remote.server);
        let sources = self.sources.shorthands();
        if server.is_none() && sources.is_empty() {
            return (given(&plan.server), plan.shorthands().filled());
        }
        (server, sources)
    }

    async fn place(
        &self,
        (server, sources): (Option<String>, Shorthands),
    ) -> anyhow::Result<Place> {
        match server {
            Some(_) if !sources.is_empty() => Err(Usage(
                "a server and a metric source are named; the server has its own".to_owned(),
            )
            .into()),
            None if sources.is_empty() => Err(Usage(
                "where to judge? --server URL names a serin; without one, --prometheus URL, --datadog SITE, \
                 --signalfx REALM or --google PROJECT is enough"
                    .to_owned(),
            )
            .into()),
            None => Ok(Place::Here(Here::start(sources, self.remote.patience()?).await?)),
            Some(server) => {
                let remote = Remote {
                    server: Some(server),
                    ..self.remote.clone()
                };
                Ok(Place::Server(remote.client()?))
            }
        }
    }

    async fn judge_at(
        &self,
        place: &Place,
        plan: &Plan,
        config: Option<Value>,
        mut reports: Vec<(Format, PathBuf)>,
    ) -> anyhow::Result<Exit> {
        let client = place.client();
        let mut stopped = pin!(stop_signal());
        let start = Start::of(plan, config, client, Clock::System.now_millis()).await?;
        let Some(id) = begin(client, &start, stopped.as_mut()).await? else {
            return Ok(Exit::Interrupted);
        };
        let link = place.link(start.kind, &id);
        note(&line(&start.title));
        if let Some(link) = &link {
            note(link);
        }
        let timeout = plan.timeout.unwrap_or(Duration::MAX);
        let ended = async {
            let document = until_end(client, start.kind, &id, place.look_every()).await?;
            Ending::of(client, start.kind, start.title.clone(), link, document).await
        };
        let ending = tokio::select! {
            ended = tokio::time::timeout(timeout, ended) => match ended {
                Ok(Ok(ending)) => ending,
                Ok(Err(error)) => {
                    cancel(client, &id).await;
                    // Whatever it was, it was not what was typed.
                    bail!("{error:#}");
                }
                Err(_) => {
                    cancel(client, &id).await;
                    bail!("no verdict within {timeout:?}");
                }
            },
            signal = stopped.as_mut() => {
                signal?;
                cancel(client, &id).await;
                return Ok(Exit::Interrupted);
            }
        };
        let is_piped = reports.iter().any(|(_, file)| is_standard(file));
        let beside = Beside::the_result_if(is_piped);
        tell_ending(&ending, beside);
        let has_page = reports.iter().any(|(format, _)| *format == Format::Html);
        if ending.link.is_none() && ending.run.is_some() && !has_page {
            let file = std::env::temp_dir().join(format!("serin-run-{id}.html"));
            reports.push((Format::Html, file));
        }
        // The verdict is there: who stops it now loses reports only.
        tokio::select! {
            () = self.write(&ending, &reports, client) => {}
            _ = stopped => {}
        }
        Ok(ending.exit())
    }

    async fn write(&self, ending: &Ending, reports: &[(Format, PathBuf)], client: &Client) {
        for (format, file) in reports {
            let written = reports::write(ending, *format, file, client).await;
            leave(written, || {
                if !is_standard(file) {
                    note(&format!("Report: {}", file.display()));
                }
            });
        }
        if let Some(file) = filled(self.github_step_summary.as_ref()) {
            leave(reports::append_markdown(ending, file), || {});
        }
    }
}

enum Place {
    Server(Client),
    /// In this process.
    Here(Here),
}

impl Place {
    const fn client(&self) -> &Client {
        match self {
            Self::Server(client) => client,
            Self::Here(here) => &here.client,
        }
    }

    const fn look_every(&self) -> Duration {
        match self {
            // As Spinnaker does.
            Self::Server(_) => Duration::from_secs(1),
            Self::Here(_) => Duration::from_millis(50),
        }
    }

    /// To a page that stays.
    fn link(&self, kind: Kind, id: &str) -> Option<String> {
        match self {
            Self::Server(client) => Some(format!("{}{}/{id}", client.shown, kind.page())),
            Self::Here(_) => None,
        }
    }

    async fn leave(self) {
        if let Self::Here(here) = self {
            here.stop().await;
        }
    }
}

fn reports_of(plan: &Plan) -> Result<Vec<(Format, PathBuf)>, Usage> {
    let reports = plan.report.iter();
    reports
        .map(|(format, file)| Ok((Format::parse(format)?, file.clone())))
        .collect()
}

/// The id of what was started; none when the person who waits has had enough.
async fn begin(
    client: &Client,
    start: &Start,
    stopped: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<Option<String>> {
    let key = uuid::Uuid::new_v4().to_string();
    let mut posted = pin!(client.start(&start.path, &start.body, &key));
    let id_of = |answer: Value| {
        let member = start.kind.id_member();
        let id = answer[member].as_str().map(str::to_owned);
        id.with_context(|| format!("the answer to POST {} has no '{member}'", start.path))
    };
    tokio::select! {
        answer = &mut posted => match (answer, start.config_id.as_deref()) {
            (Err(failure), Some(id)) if failure.is_missing() => {
                Err(Usage(format!("there is no canary config '{id}'")).into())
            }
            (answer, _) => id_of(answer?).map(Some),
        },
        signal = stopped => {
            signal?;
            // It may have arrived: then it has an id that can be canceled.
            match tokio::time::timeout(CANCEL_WITHIN, posted).await {
                Ok(Ok(answer)) => cancel(client, &id_of(answer)?).await,
                Ok(Err(_)) => {}
                Err(_) => note("it may have been started: nobody answered"),
            }
            Ok(None)
        }
    }
}

async fn cancel(client: &Client, id: &str) {
    match tokio::time::timeout(CANCEL_WITHIN, client.cancel(id)).await {
        Ok(Ok(())) => note(&format!("canceled '{id}'")),
        Ok(Err(failure)) => note(&format!("'{id}' could not be canceled: {failure}")),
        Err(_) => note(&format!(
            "'{id}' could not be canceled within {CANCEL_WITHIN:?}"
        )),
    }
}

/// The table and the reasons, for who reads the log.
pub fn tell_ending(ending: &Ending, beside: Beside) {
    let say = |text: &str| show(text, beside);
    for judgement in ending
        .analysis
        .iter()
        .flat_map(|analysis| &analysis.judgements)
    {
        let score = judgement.score.as_deref().unwrap_or("–");
        let (number, word) = (judgement.number, paint::outcome(judgement.outcome));
        let sentence = line(&judgement.sentence);
        say(&format!("{number}. {word}, score {score}: {sentence}"));
    }
    if let Some(run) = ending.run.as_ref().filter(|run| !run.metrics.is_empty()) {
        say(&table::of(run));
    }
    if let Some(failure) = &ending.failure {
        say(&format!(
            "Failed {}: {}",
            failure.step,
            line(&failure.message)
        ));
        for fact in &failure.facts {
            say(&format!("  {}: {}", fact.name, line(&fact.value)));
        }
    }
    let of = reports::of(ending);
    let verdict = paint::outcome(ending.outcome);
    say(&format!("\n{verdict}{}", line(&of)));
    say(&line(&ending.sentence));
    if let Some(link) = &ending.link {
        say(&format!("Report: {}", line(link)));
    }
}

/// A report that cannot be written changes no verdict.
fn leave(written: anyhow::Result<()>, then: impl FnOnce()) {
    match written {
        Ok(()) => then(),
        Err(error) => failed(&error),
    }
}
