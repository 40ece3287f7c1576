//! `serin canary-config lint`

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use indexmap::IndexMap;
use serde_json::json;

use super::standard_input;
use crate::budget::Budget;
use crate::canary::{CanaryClassifierThresholdsConfig, CanaryScope, Instant, Pair};
use crate::clock::Clock;
use crate::command::Configured;
use crate::command::client::is_standard;
use crate::command::exit::{Exit, Usage};
use crate::command::tell;
use crate::config::{self, Config};
use crate::escape::line;
use crate::lint::{self, Code, Finding, Format, Given, Severity};
use crate::metrics::{self, MetricSource};

/// Tells what is wrong with canary configs and what is doubtful, and what to do about it.
///
/// Exits with 1 when there are errors (with --strict: or warnings), with 64 when the arguments cannot
/// be used, and with 69 when a file cannot be read or a metrics account does not answer.
#[derive(clap::Args)]
pub struct Lint {
    /// Canary configs as JSON, or as YAML in files that end in .yml or .yaml; `-` for standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Seconds between two points of the canaries.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(i64).range(1..))]
    step: i64,
    /// How long the canaries last, as in 60m.
    #[arg(long, value_parser = crate::config::duration)]
    duration: Option<Duration>,
    /// How often a client asks for a canary meanwhile, as stages of Orca and measurements of Argo do: 10m.
    #[arg(long, value_parser = crate::config::duration)]
    interval: Option<Duration>,
    /// Score from which canaries pass.
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    pass: Option<f64>,
    /// Score from which canaries are marginal.
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    marginal: Option<f64>,
    /// Scope of the control side, to fill in templates with.
    #[arg(long, value_name = "SCOPE", requires = "experiment")]
    control: Option<String>,
    /// Scope of the experiment side.
    #[arg(long, value_name = "SCOPE", requires = "control")]
    experiment: Option<String>,
    /// Location of both sides.
    #[arg(long, requires = "control")]
    location: Option<String>,
    /// A variable of templates on both sides; repeat it for more.
    #[arg(long = "param", value_name = "NAME=VALUE", requires = "control", value_parser = param)]
    params: Vec<(String, String)>,
    /// Ask this account of --config whether each side has series now; --prometheus, --datadog, --signalfx and --google ask their own.
    #[arg(long, value_name = "ACCOUNT", requires = "control")]
    metrics_account: Option<String>,
    #[command(flatten)]
    configured: Configured,
    /// Exit with 1 for warnings, too.
    #[arg(long)]
    strict: bool,
    /// Leave out findings of this code; repeat it for more.
    #[arg(long, value_name = "CODE", hide_possible_values = true)]
    allow: Vec<Code>,
    #[arg(long, value_enum, default_value_t = Output::Text)]
    format: Output,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Text,
    Json,
}

/// The findings of one file.
struct Linted<'a> {
    file: &'a Path,
    findings: Vec<Finding>,
}

impl Lint {
    pub async fn run(self) -> anyhow::Result<Exit> {
        let own = self.configured.load();
        let own = own.map_err(|error| Usage(format!("{error:#}")))?.config;
        let source = self.source(&own)?;
        let given = self.given();
        let (mut all, mut failed) = (Vec::new(), false);
        for file in &self.files {
            match self.of_file(file, &own, &given, source.as_deref()).await {
                Ok(findings) => all.push(Linted { file, findings }),
                Err(error) => {
                    tell::failed(&error);
                    failed = true;
                }
            }
        }
        let errors = print(&all, self.format)?;
        let all = all.iter().map(|linted| linted.findings.len());
        let warnings = all.sum::<usize>() - errors;
        Ok(match (failed, errors, warnings) {
            (true, _, _) => Exit::Unavailable,
            (false, 0, 0) => Exit::Pass,
            (false, 0, _) if !self.strict => Exit::Pass,
            (false, _, _) => Exit::Fail,
        })
    }

    async fn of_file(
        &self,
        file: &Path,
        own: &Config,
        given: &Given,
        source: Option<&dyn MetricSource>,
    ) -> anyhow::Result<Vec<Finding>> {
        let (text, format) = read(file)?;
        let mut findings = match source {
            None => lint::lint(own, &text, format, given),
            Some(source) => {
                let budget = Budget::new(own.limits.memory, own.limits.execution);
                let linted = lint::lint_with_series(own, &text, format, given, source, &budget);
                linted
                    .await
                    .context("the metrics account does not answer")?
            }
        };
        findings.retain(|finding| !self.allow.contains(&finding.code));
        Ok(findings)
    }

    fn given(&self) -> Given {
        let minutes = |duration: Option<Duration>| {
            let minutes = duration.map(|duration| duration.as_secs() / 60);
            minutes.and_then(|minutes| i64::try_from(minutes).ok())
        };
        Given {
            step: self.step,
            duration_minutes: minutes(self.duration),
            interval_minutes: minutes(self.interval),
            thresholds: CanaryClassifierThresholdsConfig {
                pass: self.pass,
                marginal: self.marginal,
            },
            scopes: self.scopes(),
            // A server would know.
            calibrated: None,
        }
    }

    fn scopes(&self) -> Option<Pair<CanaryScope>> {
        let sides = Pair {
            control: self.control.clone()?,
            experiment: self.experiment.clone()?,
        };
        let now = Instant::from_millis(Clock::System.now_millis());
        let params: IndexMap<String, String> = self.params.iter().cloned().collect();
        Some(sides.map(|scope| CanaryScope {
            scope: Some(scope),
            location: self.location.clone(),
            start: now,
            end: now,
            step: Some(self.step),
            extended_scope_params: Some(params.clone()),
        }))
    }

    /// Where to ask for series, if that is wanted.
    fn source(&self, own: &Config) -> anyhow::Result<Option<Arc<dyn MetricSource>>> {
        let typed = self.configured.shorthands().first();
        let typed = typed.map(|(account, _)| account);
        let Some(account) = self.metrics_account.as_deref().or(typed) else {
            return Ok(None);
        };
        if self.control.is_none() {
            let told = "which series are wanted? --control and --experiment say it";
            return Err(Usage(told.to_owned()).into());
        }
        let mut sources = metrics::open(own, &Clock::System)?;
        let source = sources.shift_remove(account);
        let missing = || Usage(format!("there is no metrics account '{account}'"));
        Ok(Some(source.ok_or_else(missing)?))
    }
}

/// The text of a canary config, and how it is written.
pub fn read(file: &Path) -> anyhow::Result<(String, Format)> {
    if is_standard(file) {
        let text = standard_input()?;
        let format = Format::of(&text);
        return Ok((text, format));
    }
    let text = config::text::read(file);
    let text = text.with_context(|| format!("cannot read '{}'", file.display()))?;
    let is_yaml = file
        .extension()
        .is_some_and(|kind| kind.eq_ignore_ascii_case("yml") || kind.eq_ignore_ascii_case("yaml"));
    let format = if is_yaml { Format::Yaml } else { Format::Json };
    Ok((text, format))
}

/// As compilers print it: `file:line:column: error[code]: sentence`.
pub fn told(file: &Path, finding: &Finding) -> String {
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let place = match (finding.line, finding.column) {
        (Some(line), Some(column)) => format!("{}:{line}:{column}", file.display()),
        _ => file.display().to_string(),
    };
    let at = match finding.path.as_str() {
        "" => String::new(),
        path => format!("{path}: "),
    };
    let (code, sentence) = (finding.code.name(), &finding.sentence);
    let told = format!("{place}: {severity}[{code}]: {at}{sentence}");
    format!("{}\n  fix: {}", line(&told), line(&finding.fix))
}

/// How many errors there are.
fn print(all: &[Linted<'_>], output: Output) -> anyhow::Result<usize> {
    let findings = || {
        all.iter()
            .flat_map(|linted| linted.findings.iter().map(|finding| (linted.file, finding)))
    };
    let is_error = |(_, finding): &(&Path, &Finding)| finding.severity == Severity::Error;
    let errors = findings().filter(is_error).count();
    let warnings = findings().count() - errors;
    match output {
        Output::Text => {
            for (file, finding) in findings() {
                tell::say(&told(file, finding));
            }
            let files = all.len();
            tell::note(&format!(
                "{}: {}, {}",
                counted(files, "file"),
                counted(errors, "error"),
                counted(warnings, "warning")
            ));
        }
        Output::Json => {
            let mut told = Vec::new();
            for (file, finding) in findings() {
                let mut finding = serde_json::to_value(finding)?;
                finding["file"] = file.display().to_string().into();
                told.push(finding);
            }
            let told = json!({"findings": told, "errors": errors, "warnings": warnings});
            tell::result(&serde_json::to_string_pretty(&told)?)?;
        }
    }
    Ok(errors)
}

fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

fn param(text: &str) -> Result<(String, String), String> {
    let param = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = param.ok_or("must be a name and a value, as in 'zone=a'")?;
    Ok((name.to_owned(), value.to_owned()))
}
