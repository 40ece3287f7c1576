//! Judges: metric set pairs in, a verdict out. Pure: no clock, no I/O, no unseeded randomness.

pub mod aca;
pub mod describe;
mod doubts;
mod dredd;
mod explain;
pub mod looks;
pub mod noise;
mod other;
mod outcome;
pub mod policy;
mod score;
pub mod sequential;
mod side;

pub use other::hear;
pub use policy::{Doubting, unknown_doubts};

use outcome::{Cap, Traits};
use score::Scored;

use crate::canary::{
    CanaryAnalysisResult, CanaryClassifierThresholdsConfig, CanaryConfig, CanaryJudgeResult,
    CanaryMetricConfig, Fault, Learned, Look, MetricSetPair,
};
use crate::error::{Error, Result};

/// The seed of the noise on constant series when nobody asks for another: same input, same bytes.
pub const DEFAULT_NOISE_SEED: i64 = 42;

/// With fewer points a side, only large differences are found.
pub const ENOUGH_POINTS: u64 = 50;

/// What a judge is asked.
#[derive(Clone, Copy, Debug)]
pub struct Judgement<'a> {
    pub config: &'a CanaryConfig,
    pub thresholds: CanaryClassifierThresholdsConfig,
    pub pairs: &'a [MetricSetPair],
    pub noise_seed: i64,
    /// What becomes of doubtful metrics where the config does not say.
    pub doubting: Doubting,
    /// None for a canary that is alone.
    pub look: Option<Look>,
    /// The margins that were learned for the config, where it names a calibration.
    pub learned: Option<&'a Learned>,
}

pub trait Judge: Send + Sync {
    fn name(&self) -> &'static str;
    /// Whether the judge is offered to users.
    fn is_visible(&self) -> bool;
    /// What of a config it refuses to have stored.
    fn refusals(&self, _: &CanaryConfig) -> Vec<Fault> {
        Vec::new()
    }
    /// What of a config it cannot judge: what it refuses, and more.
    fn faults(&self, _: &CanaryConfig) -> Vec<Fault> {
        Vec::new()
    }
    /// # Errors
    /// `Invalid` where Kayenta's judge throws: never a verdict on what cannot be judged.
    fn judge(&self, judgement: &Judgement<'_>) -> Result<CanaryJudgeResult>;
}

/// Every judge; the first is the one that judges when none is named.
pub fn all() -> &'static [&'static dyn Judge] {
    &[
        &aca::NetflixAcaJudge,
        &sequential::SequentialJudge,
        &dredd::DreddJudge,
    ]
}

/// The judge of that name; the first when none is named.
pub fn resolve(name: Option<&str>) -> Result<&'static dyn Judge> {
    let wanted = name.filter(|name| !name.is_empty());
    let found = all()
        .iter()
        .find(|judge| wanted.is_none_or(|wanted| judge.name() == wanted));
    found.copied().ok_or_else(|| {
        Error::Invalid(format!(
            "Unable to resolve canary judge '{}'.",
            wanted.unwrap_or_default()
        ))
    })
}

impl Judgement<'_> {
    /// No later judgement of the same will come: what is to fail by its doubts fails now.
    fn is_last(&self) -> bool {
        self.look.is_none_or(Look::is_last)
    }

    /// The first metric config of that pair's name.
    fn metric_of(&self, pair: &MetricSetPair) -> Result<&CanaryMetricConfig> {
        let metrics = self.config.metrics.as_deref().unwrap_or_default();
        metrics
            .iter()
            .find(|metric| metric.name.as_deref() == Some(&pair.name))
            .ok_or_else(|| {
                Error::Invalid(format!("Could not find metric config for {}", pair.name))
            })
    }
}

/// The verdict on all metrics together.
fn conclude(
    judgement: &Judgement<'_>,
    name: &str,
    (mut results, traits): (Vec<CanaryAnalysisResult>, Vec<Traits>),
) -> Result<CanaryJudgeResult> {
    let (mut scored, _) = scored(judgement, &mut results, &traits)?;
    let capping = results.iter().zip(&traits);
    let capping = capping.filter(|(result, traits)| !result.muted && traits.cap != Cap::None);
    let capping: Vec<&str> = capping.map(|(result, _)| result.name.as_str()).collect();
    if !capping.is_empty() {
        score::cap(judgement.thresholds, &mut scored, &capping)?;
    }
    let Scored {
        group_scores,
        score,
        mut summary,
    } = scored;
    let verdict = score.classification;
    outcome::settle(judgement, &results, &traits, verdict, &mut summary)?;
    Ok(CanaryJudgeResult {
        judge_name: name.to_owned(),
        results,
        group_scores,
        score,
        summary: Some(summary),
    })
}

/// Scores the results, once those that are to fail by their doubts do; whether any does.
fn scored(
    judgement: &Judgement<'_>,
    results: &mut [CanaryAnalysisResult],
    traits: &[Traits],
) -> Result<(Scored, bool)> {
    let score = |results: &[_]| score::score(judgement.config, judgement.thresholds, results);
    let has_failed = outcome::fail_doubtful(judgement, results, traits);
    let scored = score(results)?;
    if outcome::doubt_missing(scored.summary.rule, results, traits)
        && outcome::fail_doubtful(judgement, results, traits)
    {
        return Ok((score(results)?, true));
    }
    Ok((scored, has_failed))
}

/// The groups of a metric config; a run fills in what is missing before it judges.
fn groups_of(metric: &CanaryMetricConfig) -> Result<Vec<String>> {
    metric.groups.clone().ok_or_else(|| {
        Error::Invalid(format!(
            "metric '{}': groups is missing, a list of names is wanted, [] for none",
            metric.name.as_deref().unwrap_or_default()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_judge_answers_when_none_is_named() {
        let cases = [
            (None, Ok("NetflixACAJudge-v1.0")),
            (Some(""), Ok("NetflixACAJudge-v1.0")),
            (Some("NetflixACAJudge-v1.0"), Ok("NetflixACAJudge-v1.0")),
            (Some("sequential-v1"), Ok("sequential-v1")),
            (Some("dredd-v1.0"), Ok("dredd-v1.0")),
            (
                Some("nosuch"),
                Err("Unable to resolve canary judge 'nosuch'."),
            ),
        ];
        for (name, expected) in cases {
            let found = resolve(name).map(Judge::name).map_err(|e| e.to_string());
            assert_eq!(found, expected.map_err(str::to_owned), "{name:?}");
        }
    }
}
