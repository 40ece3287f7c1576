//! What is said beside the file: each flag, and the variable of the environment for it.

use clap::ArgMatches;
use clap::parser::ValueSource;
use serde_json::{Value, json};

use crate::command::exit::Usage;

#[derive(clap::Args)]
pub struct Flags {
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

    /// Margins that `serin calibrate --output` wrote, for a run without a server.
    #[arg(long, env = "SERIN_RUN_CALIBRATION", value_name = "FILE")]
    calibration: Option<String>,

    /// Any key of the file: --set scopes.edge.control=v1
    #[arg(long, env = "SERIN_RUN_SET", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// How long to wait for the verdict; what has none by then is canceled.
    #[arg(long, env = "SERIN_RUN_TIMEOUT", value_name = "DURATION")]
    timeout: Option<String>,
    /// Reports to write: junit=FILE,markdown=FILE,json=FILE,html=FILE; `-` for standard output, which then has
    /// nothing else.
    #[arg(
        long,
        env = "SERIN_RUN_REPORT",
        value_name = "FORMAT=FILE",
        value_delimiter = ','
    )]
    report: Vec<String>,
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
    #[arg(long, env = "SERIN_RUN_METRIC", value_name = "NAME=QUERY")]
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
    #[arg(long, env = "SERIN_RUN_PARAM", value_name = "NAME=VALUE")]
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

impl Flags {
    /// What is typed takes the place of the variables that it excludes; a variable of several pairs
    /// has one a line.
    pub fn prefer(&mut self, typed: &ArgMatches) {
        let is_from = |id: &str, source| typed.value_source(id) == Some(source);
        let (what, times) = (&mut self.what, &mut self.times);
        for (id, pairs) in [
            ("metric", &mut what.metric),
            ("param", &mut self.sides.param),
            ("set", &mut self.set),
        ] {
            if is_from(id, ValueSource::EnvVariable) {
                let lines = pairs.iter().flat_map(|pairs| pairs.lines());
                *pairs = lines.map(str::to_owned).collect();
            }
        }
        let is_variable = |id| is_from(id, ValueSource::EnvVariable);
        let is_typed = |ids: &[&str]| {
            let mut ids = ids.iter();
            ids.any(|id| is_from(id, ValueSource::CommandLine))
        };
        if is_typed(&["canary_config", "config_id", "config_name", "metric"]) {
            for (id, text) in [
                ("canary_config", &mut what.canary_config),
                ("config_id", &mut what.config_id),
                ("config_name", &mut what.config_name),
            ] {
                text.take_if(|_| is_variable(id));
            }
            if is_variable("metric") {
                what.metric.clear();
            }
        }
        if is_typed(&["window", "start"]) {
            for (id, text) in [("window", &mut times.window), ("start", &mut times.start)] {
                text.take_if(|_| is_variable(id));
            }
        }
    }

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
            ("calibration", &self.calibration),
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
            ("metrics", &what.metric, "NAME=QUERY"),
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
}

/// Numbers, lists and mappings as YAML has them; what is none of these is text.
fn scalar(text: &str) -> Value {
    yaml_serde::from_str(text).unwrap_or_else(|_| json!(text))
}

fn named<'a>(pairs: &'a [String], form: &str) -> Result<Vec<(&'a str, &'a str)>, Usage> {
    let filled = pairs.iter().filter(|pair| !pair.trim().is_empty());
    filled
        .map(|pair| {
            // The first '=' of a query without a name is one of its own.
            let parts = pair.split_once('=');
            let parts = parts.filter(|(name, _)| !name.contains(['{', '(']));
            let (name, value) =
                parts.ok_or_else(|| Usage(format!("'{pair}' is not of the form {form}")))?;
            Ok((name.trim(), value))
        })
        .collect()
}
