//! `serin judge`: files in, verdict out.

use std::fs;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;
use serde::de::DeserializeOwned;

use super::canary_config::read_config;
use super::client::is_standard;
use super::exit::{Exit, Usage, told};
use super::tell::{self, Beside};
use super::{paint, table};
use crate::canary::{
    CanaryAnalysisResult, CanaryClassifierThresholdsConfig, CanaryConfig, CanaryJudgeResult, Look,
    LookWindow, MetricSetPair, Outcome, Summary, number,
};
use crate::config;
use crate::escape::line;
use crate::judge::{self, Doubting, Judgement};
use crate::lint;
use crate::metrics;
use crate::report::view;

/// Prints the metrics as a table with the verdict, or the `CanaryJudgeResult` as JSON.
///
/// Exits with 0 for pass, 1 for fail, 2 for marginal, 3 when what was measured cannot carry a verdict, 64 when a file or
/// what was typed cannot be used.
#[derive(clap::Args)]
pub struct JudgeFiles {
    /// Canary config as JSON, or as YAML in a file that ends in .yml or .yaml; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// List of metric set pairs as JSON, as `/metricSetPairList/{id}` answers it; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    metric_set_pairs: PathBuf,
    /// From this score on the canary passes.
    #[arg(long, default_value_t = 95.0, allow_negative_numbers = true)]
    pass: f64,
    /// From this score on the canary is marginal.
    #[arg(long, default_value_t = 75.0, allow_negative_numbers = true)]
    marginal: f64,
    /// Judge to use instead of the config's.
    #[arg(long, value_name = "NAME")]
    judge: Option<String>,
    /// Seed of the noise that is added to metrics that are constant on both sides.
    #[arg(long, default_value_t = judge::DEFAULT_NOISE_SEED, allow_negative_numbers = true)]
    noise_seed: i64,
    /// Which judgement of an analysis it is, of how many: `3/6`. Without it, the only one.
    #[arg(long, value_name = "NUMBER/PLANNED", value_parser = look)]
    look: Option<Look>,
    /// How to print: a table on a terminal, else JSON, if nobody says so.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The windows of the analysis slide, as with `lookbackMins`; else each sees what the earlier ones saw.
    #[arg(long, requires = "look")]
    sliding: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

fn look(text: &str) -> Result<Look, String> {
    let numbers = text.split_once('/');
    let numbers =
        numbers.and_then(|(number, planned)| number.parse().ok().zip(planned.parse().ok()));
    let known = numbers.filter(|&(number, planned): &(u32, u32)| 1 <= number && number <= planned);
    let (number, planned) = known.ok_or_else(|| {
        "the number of the judgement, from 1, and how many are planned are wanted: 3/6".to_owned()
    })?;
    Ok(Look {
        number,
        planned,
        window: LookWindow::Growing,
    })
}

impl JudgeFiles {
    fn look(&self) -> Option<Look> {
        let sliding = |look| Look {
            window: LookWindow::Sliding,
            ..look
        };
        if self.sliding {
            self.look.map(sliding)
        } else {
            self.look
        }
    }

    pub fn run(&self) -> ExitCode {
        told(self.judge())
    }

    fn judge(&self) -> anyhow::Result<Exit> {
        if self.config == self.metric_set_pairs {
            let same =
                "--config and --metric-set-pairs are the same file; they hold different things";
            return Err(Usage(same.to_owned()).into());
        }
        let config: CanaryConfig = of_usage(config(&self.config))?;
        let pairs = read(&self.metric_set_pairs, "list of metric set pairs");
        let mut pairs: Vec<MetricSetPair> = of_usage(pairs)?;
        metrics::tell_looks_back(&mut pairs);
        let named = config
            .judge
            .as_ref()
            .and_then(|judge| judge.name.as_deref());
        let judged = self.judged(&config, named, &pairs);
        let result = of_usage(judged)?;
        let is_table = self.format.map_or_else(
            || std::io::stdout().is_terminal(),
            |format| format == Format::Table,
        );
        let outcome = result.summary.as_ref().and_then(|summary| summary.outcome);
        if is_table {
            let metrics = view::metrics(&result, None, None);
            tell::show(&table::metrics(&metrics), Beside::Nothing);
            let verdict = outcome.map_or_else(String::new, paint::outcome);
            let score = number::score(result.score.score);
            tell::show(&format!("{verdict}, score {score}"), Beside::Nothing);
        } else {
            tell::result(&serde_json::to_string_pretty(&result)?)?;
        }
        if let Some(summary) = &result.summary {
            tell(summary, &result.results);
        }
        Ok(match outcome {
            Some(Outcome::Pass) => Exit::Pass,
            Some(Outcome::Marginal) => Exit::Marginal,
            Some(Outcome::Inconclusive) => Exit::Inconclusive,
            _ => Exit::Fail,
        })
    }

    fn judged(
        &self,
        config: &CanaryConfig,
        named: Option<&str>,
        pairs: &[MetricSetPair],
    ) -> anyhow::Result<CanaryJudgeResult> {
        let judge = judge::resolve(self.judge.as_deref().or(named))?;
        Ok(judge.judge(&Judgement {
            config,
            thresholds: CanaryClassifierThresholdsConfig {
                pass: Some(self.pass),
                marginal: Some(self.marginal),
            },
            pairs,
            noise_seed: self.noise_seed,
            doubting: Doubting::Tell,
            look: self.look(),
            learned: None,
        })?)
    }
}

/// What a person wants to know before all else.
fn tell(summary: &Summary, results: &[CanaryAnalysisResult]) {
    let outcome = summary.outcome.map_or("", Outcome::as_str);
    tell::note(&format!("{outcome}: {}", line(&summary.sentence)));
    for result in results {
        let explanation = result.explanation.as_ref();
        for doubt in explanation.into_iter().flat_map(|told| &told.doubts) {
            let cause = doubt.cause.as_str();
            let (name, sentence) = (&result.name, &doubt.sentence);
            let told = format!("{name} is doubtful ({cause}): {sentence}");
            tell::note(&line(&told));
        }
    }
}

/// What is wrong with it is with what was typed, or a file.
fn of_usage<T>(read: anyhow::Result<T>) -> anyhow::Result<T> {
    read.map_err(|wrong| Usage(format!("{wrong:#}")).into())
}

fn config(file: &Path) -> anyhow::Result<CanaryConfig> {
    let (text, format) = read_config(file)?;
    if format == lint::Format::Json {
        return parsed(&text, file, "canary config");
    }
    lint::config(&text, format).with_context(|| {
        let file = file.display();
        format!("'{file}' is not a canary config; 'serin canary-config lint {file}' says why")
    })
}

fn read<T: DeserializeOwned>(path: &Path, what: &str) -> anyhow::Result<T> {
    let mut bytes = Vec::new();
    if is_standard(path) {
        std::io::stdin()
            .read_to_end(&mut bytes)
            .context("cannot read standard input")?;
    } else {
        bytes = fs::read(path).with_context(|| format!("cannot read '{}'", path.display()))?;
    }
    let text = config::text::of(bytes);
    let text = text.with_context(|| format!("cannot read '{}'", path.display()))?;
    parsed(&text, path, what)
}

fn parsed<T: DeserializeOwned>(text: &str, path: &Path, what: &str) -> anyhow::Result<T> {
    let mut reader = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut reader)
        .with_context(|| format!("'{}' is not a {what}", path.display()))
}
