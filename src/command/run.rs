//! `serin run`: a pipeline's step, from a file to a verdict.

mod ending;
mod here;
mod plan;
mod reports;
mod request;
mod times;
mod verdict;
mod watch;

use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::anyhow;
use reqwest::Method;
use serde_json::{Value, json};

use self::ending::Ending;
use self::here::Here;
use self::plan::Plan;
use self::reports::Format;
use self::request::Start;
use self::watch::Progress;
use super::client::{Client, Remote};
use super::exit::{Exit, Usage, told};
use super::serve::stop_signal;
use super::table;
use crate::clock::Clock;

/// How often a server is asked, as Spinnaker does.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The same within this process.
const LOOK_EVERY_HERE: Duration = Duration::from_millis(50);

/// How long a cancel may take when someone waits for the end.
const CANCEL_WITHIN: Duration = Duration::from_secs(10);

/// Starts a canary, or an analysis, and waits for its verdict: on a server, or with nothing but a
/// Prometheus.
///
/// Exits with 0 for pass, 1 for fail, 2 for marginal, 3 when the data could not tell, 64 when what was
/// typed is wrong, 69 when something did not answer or could not work, 130 after Ctrl-C.
#[derive(clap::Args)]
pub struct Run {
    /// What to judge: YAML or JSON; `-` for standard input. docs/ci.md tells its keys.
    #[arg(short, long, env = "SERIN_RUN_FILE", value_name = "FILE")]
    pub file: Option<PathBuf>,
    #[command(flatten)]
    remote: Remote,
    /// Judge in this process, with series straight from this Prometheus.
    #[arg(long, env = "SERIN_PROMETHEUS_URL", value_name = "URL")]
    prometheus: Option<String>,

    #[command(flatten)]
    what: What,
    #[command(flatten)]
    sides: SideFlags,
    #[command(flatten)]
    times: TimeFlags,

    /// From this score on the canary passes; 95, if nobody says so.
    #[arg(long, env = "SERIN_RUN_PASS", value_name = "SCORE")]
    pass: Option<String>,
    /// From this score on the canary is marginal; 75, if nobody says so.
    #[arg(long, env = "SERIN_RUN_MARGINAL", value_name = "SCORE")]
    marginal: Option<String>,

    /// Account of the server to take the series from; else its first.
    #[arg(long, env = "SERIN_RUN_METRICS_ACCOUNT", value_name = "NAME")]
    metrics_account: Option<String>,
    /// Account of the server to keep results in; else its first.
    #[arg(long, env = "SERIN_RUN_STORAGE_ACCOUNT", value_name = "NAME")]
    storage_account: Option<String>,
    /// Account of the server that holds the canary config; else its first.
    #[arg(long, env = "SERIN_RUN_CONFIGURATION_ACCOUNT", value_name = "NAME")]
    configuration_account: Option<String>,

    /// Any key of the file: --set scopes.edge.control=v1
    #[arg(
        long,
        env = "SERIN_RUN_SET",
        value_name = "KEY=VALUE",
        value_delimiter = '\n'
    )]
    set: Vec<String>,
    /// How long to wait for the verdict; what has none by then is canceled.
    #[arg(long, env = "SERIN_RUN_TIMEOUT", value_name = "DURATION")]
    timeout: Option<String>,
    /// Reports to write: junit=FILE,markdown=FILE,json=FILE,html=FILE
    #[arg(
        long,
        env = "SERIN_RUN_REPORT",
        value_name = "FORMAT=FILE",
        value_delimiter = ','
    )]
    report: Vec<String>,
    /// Where GitHub shows what is appended.
    #[arg(long, env = "GITHUB_STEP_SUMMARY", hide = true)]
    github_step_summary: Option<PathBuf>,
}

#[derive(clap::Args)]
struct What {
    /// Whose canary it is.
    #[arg(long, env = "SERIN_RUN_APPLICATION", value_name = "NAME")]
    application: Option<String>,
    /// A canary config of your own, YAML or JSON.
    #[arg(long, env = "SERIN_RUN_CANARY_CONFIG", value_name = "FILE")]
    canary_config: Option<String>,
    /// A canary config that the server has.
    #[arg(long, env = "SERIN_RUN_CONFIG_ID", value_name = "ID")]
    config_id: Option<String>,
    /// The same, by its name.
    #[arg(long, env = "SERIN_RUN_CONFIG_NAME", value_name = "NAME")]
    config_name: Option<String>,
    /// A metric without a canary config; any clear change of it fails. May be repeated.
    #[arg(
        long,
        env = "SERIN_RUN_METRIC",
        value_name = "NAME=PROMQL",
        value_delimiter = '\n'
    )]
    metric: Vec<String>,
}

#[derive(clap::Args)]
struct SideFlags {
    /// What `${scope}` stands for in the queries of the control.
    #[arg(long, env = "SERIN_RUN_CONTROL", value_name = "SCOPE")]
    control: Option<String>,
    /// The same for the experiment, which is the canary.
    #[arg(long, env = "SERIN_RUN_EXPERIMENT", value_name = "SCOPE")]
    experiment: Option<String>,
    /// What `${location}` stands for.
    #[arg(long, env = "SERIN_RUN_LOCATION", value_name = "NAME")]
    location: Option<String>,
    /// The same for the control alone.
    #[arg(long, env = "SERIN_RUN_CONTROL_LOCATION", value_name = "NAME")]
    control_location: Option<String>,
    /// The same for the experiment alone.
    #[arg(long, env = "SERIN_RUN_EXPERIMENT_LOCATION", value_name = "NAME")]
    experiment_location: Option<String>,
    /// A variable for the queries of both sides. May be repeated.
    #[arg(
        long,
        env = "SERIN_RUN_PARAM",
        value_name = "NAME=VALUE",
        value_delimiter = '\n'
    )]
    param: Vec<String>,
}

#[derive(clap::Args)]
struct TimeFlags {
    /// What to look back on: `last 30m`; the last hour, if nobody says so.
    #[arg(long, env = "SERIN_RUN_WINDOW", value_name = "WINDOW")]
    window: Option<String>,
    /// Instead: from when on. RFC 3339, `now` or `now-30m`.
    #[arg(long, env = "SERIN_RUN_START", value_name = "TIME")]
    start: Option<String>,
    /// Until when; now, if nobody says so.
    #[arg(long, env = "SERIN_RUN_END", value_name = "TIME")]
    end: Option<String>,
    /// Seconds between two points; 60, if nobody says so.
    #[arg(long, env = "SERIN_RUN_STEP", value_name = "SECONDS")]
    step: Option<String>,
    /// Analyse what comes, for so long: 60m.
    #[arg(long, env = "SERIN_RUN_LIFETIME", value_name = "DURATION")]
    lifetime: Option<String>,
    /// From one judgement of an analysis to the next; its whole lifetime, if nobody says so.
    #[arg(long, env = "SERIN_RUN_INTERVAL", value_name = "DURATION")]
    interval: Option<String>,
    /// How long an analysis waits before its first window begins.
    #[arg(long, env = "SERIN_RUN_BEGIN_AFTER", value_name = "DURATION")]
    begin_after: Option<String>,
    /// How long each window of an analysis is; without it, they grow.
    #[arg(long, env = "SERIN_RUN_LOOKBACK", value_name = "DURATION")]
    lookback: Option<String>,
    /// How far back the control of an analysis lies.
    #[arg(long, env = "SERIN_RUN_CONTROL_OFFSET", value_name = "DURATION")]
    control_offset: Option<String>,
}

impl Run {
    /// What was said beside the file, by the path that it has there. An empty value says nothing.
    pub fn overrides(&self) -> Result<Vec<(String, Value)>, Usage> {
        let (what, sides, times) = (&self.what, &self.sides, &self.times);
        let texts = [
            ("application", &what.application),
            ("canaryConfigFile", &what.canary_config),
            ("canaryConfigId", &what.config_id),
            ("canaryConfigName", &what.config_name),
            ("location", &sides.location),
            ("window", &times.window),
            ("start", &times.start),
            ("end", &times.end),
            ("analysis.lifetime", &times.lifetime),
            ("analysis.interval", &times.interval),
            ("analysis.beginAfter", &times.begin_after),
            ("analysis.lookback", &times.lookback),
            ("analysis.controlOffset", &times.control_offset),
            ("accounts.metrics", &self.metrics_account),
            ("accounts.storage", &self.storage_account),
            ("accounts.configuration", &self.configuration_account),
            ("timeout", &self.timeout),
            ("control.scope", &sides.control),
            ("experiment.scope", &sides.experiment),
            ("control.location", &sides.control_location),
            ("experiment.location", &sides.experiment_location),
        ];
        let numbers = [
            ("step", &times.step),
            ("thresholds.pass", &self.pass),
            ("thresholds.marginal", &self.marginal),
        ];
        let mut all = Vec::new();
        for (path, text) in texts {
            if let Some(text) = text.as_ref().filter(|text| !text.is_empty()) {
                all.push((path.to_owned(), json!(text)));
            }
        }
        for (path, text) in numbers {
            if let Some(text) = text.as_ref().filter(|text| !text.is_empty()) {
                all.push((path.to_owned(), scalar(text)));
            }
        }
        for (path, pairs, form) in [
            ("metrics", &what.metric, "NAME=PROMQL"),
            ("params", &sides.param, "NAME=VALUE"),
            ("report", &self.report, "FORMAT=FILE"),
        ] {
            for (name, value) in named(pairs, form)? {
                all.push((format!("{path}\n{name}"), json!(value)));
            }
        }
        for (path, value) in named(&self.set, "KEY=VALUE")? {
            all.push((path.replace('.', "\n"), scalar(value)));
        }
        Ok(all)
    }

    pub async fn run(self) -> ExitCode {
        told(self.judge().await)
    }

    async fn judge(&self) -> anyhow::Result<Exit> {
        super::start_log("serin=warn", crate::config::LogFormat::Text)?;
        let plan = Plan::of(self)?;
        let reports = reports_of(&plan)?;
        let config = plan.own_config(self)?;
        match self.place(&plan)? {
            Place::Server(client) => {
                self.judge_by(&client, LOOK_EVERY, &plan, config, &reports)
                    .await
            }
            Place::Here(prometheus) => {
                let here = Here::start(&prometheus).await?;
                let client = Client::new(&here.service.url, None, None)?;
                let ended = self
                    .judge_by(&client, LOOK_EVERY_HERE, &plan, config, &reports)
                    .await;
                here.stop().await;
                ended
            }
        }
    }

    /// Where to judge: flags and environment come before the file.
    fn place(&self, plan: &Plan) -> anyhow::Result<Place> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let of_flags = (given(&self.remote.server), given(&self.prometheus));
        let (server, prometheus) = match of_flags {
            (None, None) => (given(&plan.server), given(&plan.prometheus)),
            of_flags => of_flags,
        };
        match (server, prometheus) {
            (Some(_), Some(_)) => Err(Usage(
                "a server and a Prometheus are named; the server has its own".to_owned(),
            )
            .into()),
            (None, None) => Err(Usage(
                "where to judge? --server URL names a serin, --prometheus URL is enough without one"
                    .to_owned(),
            )
            .into()),
            (None, Some(prometheus)) => Ok(Place::Here(prometheus)),
            (Some(server), None) => {
                let remote = Remote {
                    server: Some(server),
                    ..self.remote.clone()
                };
                Ok(Place::Server(remote.client()?))
            }
        }
    }

    async fn judge_by(
        &self,
        client: &Client,
        look_every: Duration,
        plan: &Plan,
        config: Option<Value>,
        reports: &[(Format, PathBuf)],
    ) -> anyhow::Result<Exit> {
        let is_here = look_every == LOOK_EVERY_HERE;
        let mut stopped: Pin<&mut _> = pin!(stop_signal());
        let start = Start::of(plan, config, client, Clock::System.now_millis()).await?;
        let id = {
            let mut starting = pin!(begin(client, &start));
            tokio::select! {
                started = &mut starting => started?,
                signal = &mut stopped => {
                    signal?;
                    // It may have arrived: then it has an id that can be canceled.
                    if let Ok(Ok(id)) = tokio::time::timeout(CANCEL_WITHIN, starting).await {
                        cancel(client, &id).await;
                    }
                    return Ok(Exit::Interrupted);
                }
            }
        };
        let page = format!("{}{}/{id}", client.url, start.kind.page());
        eprintln!("{}", start.title);
        if !is_here {
            eprintln!("{page}");
        }
        let progress = Progress::new("canary");
        let timeout = plan.timeout.unwrap_or(Duration::MAX);
        let watched = watch::until_end(client, start.kind, &id, look_every, &progress);
        let document = tokio::select! {
            watched = tokio::time::timeout(timeout, watched) => {
                let Ok(document) = watched else {
                    progress.end();
                    cancel(client, &id).await;
                    return Err(anyhow!("no verdict within {timeout:?}"));
                };
                document?
            }
            signal = &mut stopped => {
                signal?;
                progress.end();
                cancel(client, &id).await;
                return Ok(Exit::Interrupted);
            }
        };
        progress.end();
        let mut ending = Ending::of(client, start.kind, start.title, document).await?;
        let mut reports = reports.to_vec();
        if is_here {
            ending.link = None;
            if ending.run.is_some() && reports.iter().all(|(format, _)| *format != Format::Html) {
                let file = std::env::temp_dir().join(format!("serin-run-{id}.html"));
                reports.push((Format::Html, file));
            }
        } else {
            ending.link = Some(page);
        }
        for (format, file) in &reports {
            reports::write(&ending, *format, file, client).await?;
        }
        let summary = self.github_step_summary.as_ref();
        if let Some(file) = summary.filter(|file| !file.as_os_str().is_empty()) {
            reports::append_markdown(&ending, file)?;
        }
        tell(&ending, &reports);
        Ok(ending.decision.exit)
    }
}

enum Place {
    Server(Client),
    /// In this process, from this Prometheus.
    Here(String),
}

/// Numbers, lists and mappings as YAML has them; what is none of these is text.
fn scalar(text: &str) -> Value {
    yaml_serde::from_str(text).unwrap_or_else(|_| json!(text))
}

fn named<'a>(pairs: &'a [String], form: &str) -> Result<Vec<(&'a str, &'a str)>, Usage> {
    let filled = pairs.iter().filter(|pair| !pair.trim().is_empty());
    filled
        .map(|pair| {
            let (name, value) = pair
                .split_once('=')
                .ok_or_else(|| Usage(format!("'{pair}' is not of the form {form}")))?;
            Ok((name.trim(), value))
        })
        .collect()
}

fn reports_of(plan: &Plan) -> Result<Vec<(Format, PathBuf)>, Usage> {
    let reports = plan.report.iter();
    reports
        .map(|(format, file)| Ok((Format::parse(format)?, file.clone())))
        .collect()
}

async fn begin(client: &Client, start: &Start) -> anyhow::Result<String> {
    let key = uuid::Uuid::new_v4().to_string();
    let started = client.start(&start.path, &start.body, &key).await?;
    let member = start.kind.id_member();
    let id = started[member].as_str();
    id.map(str::to_owned)
        .ok_or_else(|| anyhow!("the answer to POST {} has no '{member}'", start.path))
}

async fn cancel(client: &Client, id: &str) {
    let path = format!("/pipelines/{id}/cancel");
    let canceled = client.once(Method::PUT, &path, None);
    match tokio::time::timeout(CANCEL_WITHIN, canceled).await {
        Ok(Ok(_)) => eprintln!("canceled '{id}'"),
        Ok(Err(failure)) => eprintln!("'{id}' could not be canceled: {failure}"),
        Err(_) => eprintln!("'{id}' could not be canceled within {CANCEL_WITHIN:?}"),
    }
}

/// The table and the reasons, for who reads the log.
fn tell(ending: &Ending, reports: &[(Format, PathBuf)]) {
    for judgement in ending
        .analysis
        .iter()
        .flat_map(|analysis| &analysis.judgements)
    {
        let score = judgement.score.as_deref().unwrap_or("–");
        let (number, word) = (judgement.number, judgement.outcome.word());
        println!("{number}. {word}, score {score}: {}", judgement.sentence);
    }
    if let Some(run) = ending.run.as_ref().filter(|run| !run.metrics.is_empty()) {
        println!("{}", table::of(run));
    }
    if let Some(failure) = &ending.failure {
        println!("Failed {}: {}", failure.step, failure.message);
    }
    println!("\n{}", reports::headline(ending));
    println!("{}", ending.reason());
    if let Some(link) = &ending.link {
        println!("Report: {link}");
    }
    for (_, file) in reports {
        println!("Report: {}", file.display());
    }
}
