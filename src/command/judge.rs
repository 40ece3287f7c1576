//! `serin judge`: files in, verdict out.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde::de::DeserializeOwned;

use super::tell;
use crate::canary::{
    CanaryAnalysisResult, CanaryClassifierThresholdsConfig, CanaryConfig, Look, LookWindow,
    MetricSetPair, Outcome, Summary,
};
use crate::config;
use crate::escape::line;
use crate::judge::{self, Doubting, Judgement};
use crate::metrics;

/// Prints the `CanaryJudgeResult` as JSON, and its outcome with its doubts to standard error. Exits
/// with 0 whatever the verdict is.
#[derive(clap::Args)]
pub struct JudgeFiles {
    /// Canary config as JSON; `-` for standard input.
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
    /// The windows of the analysis slide, as with `lookbackMins`; else each sees what the earlier ones saw.
    #[arg(long, requires = "look")]
    sliding: bool,
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

    pub fn run(&self) -> anyhow::Result<ExitCode> {
        if self.config == self.metric_set_pairs {
            bail!("--config and --metric-set-pairs are the same file; they hold different things");
        }
        let config: CanaryConfig = read(&self.config, "canary config")?;
        let mut pairs: Vec<MetricSetPair> =
            read(&self.metric_set_pairs, "list of metric set pairs")?;
        metrics::tell_looks_back(&mut pairs);
        let named = config
            .judge
            .as_ref()
            .and_then(|judge| judge.name.as_deref());
        let result = judge::resolve(self.judge.as_deref().or(named))?.judge(&Judgement {
            config: &config,
            thresholds: CanaryClassifierThresholdsConfig {
                pass: Some(self.pass),
                marginal: Some(self.marginal),
            },
            pairs: &pairs,
            noise_seed: self.noise_seed,
            doubting: Doubting::Tell,
            look: self.look(),
            learned: None,
        })?;
        tell::result(&serde_json::to_string_pretty(&result)?)?;
        if let Some(summary) = &result.summary {
            tell(summary, &result.results);
        }
        Ok(ExitCode::SUCCESS)
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

fn read<T: DeserializeOwned>(path: &Path, what: &str) -> anyhow::Result<T> {
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin()
            .read_to_end(&mut bytes)
            .context("cannot read standard input")?;
    } else {
        bytes = fs::read(path).with_context(|| format!("cannot read '{}'", path.display()))?;
    }
    let text = config::text::of(bytes);
    let text = text.with_context(|| format!("cannot read '{}'", path.display()))?;
    let mut reader = serde_json::Deserializer::from_str(&text);
    serde_path_to_error::deserialize(&mut reader)
        .with_context(|| format!("'{}' is not a {what}", path.display()))
}
