//! `NetflixACAJudge-v1.0`: every metric cleaned, described and classified, then scored.

mod brent;
pub mod classify;
pub mod effect_size;
pub mod mann_whitney;
pub mod rank_sum;
pub mod transform;

use rayon::prelude::*;

use classify::{Classification, Workspace};

use super::doubts::{self, Subject};
use super::noise::Noise;
use super::outcome::Traits;
use super::policy::{self, Doubting, MetricPolicy};
use super::side::{self, Side};
use super::{Judge, Judgement, conclude, explain, groups_of};
use crate::canary::explanation::Rule;
use crate::canary::result::{ResultMetadata, SideMetadata};
use crate::canary::{
    CanaryAnalysisResult, CanaryConfig, CanaryJudgeResult, Fault, Label, MetricSetPair, Pair,
};
use crate::error::Result;

pub struct NetflixAcaJudge;

impl Judge for NetflixAcaJudge {
    fn name(&self) -> &'static str {
        "NetflixACAJudge-v1.0"
    }

    fn is_visible(&self) -> bool {
        true
    }

    fn refusals(&self, config: &CanaryConfig) -> Vec<Fault> {
        policy::refusals(config)
    }

    fn faults(&self, config: &CanaryConfig) -> Vec<Fault> {
        policy::faults(config)
    }

    fn judge(&self, judgement: &Judgement<'_>) -> Result<CanaryJudgeResult> {
        let points: usize = judgement.pairs.iter().map(MetricSetPair::points).sum();
        if points < WORTH_THREADS {
            return judge_on_one_thread(judgement);
        }
        let cases = cases(judgement)?;
        let noises = noises(&cases, judgement.noise_seed);
        let results = cases
            .into_par_iter()
            .zip(noises)
            .map_init(Workspace::default, |workspace, (case, mut noise)| {
                case.judge(workspace, &mut noise)
            })
            .unzip();
        conclude(judgement, NetflixAcaJudge.name(), results)
    }
}

/// Below this many points of all series together, threads cost more than they save.
const WORTH_THREADS: usize = 4_000;

/// The same judgement, without threads of its own.
pub fn judge_on_one_thread(judgement: &Judgement<'_>) -> Result<CanaryJudgeResult> {
    let mut workspace = Workspace::default();
    let mut noise = Noise::new(judgement.noise_seed);
    let results = cases(judgement)?
        .into_iter()
        .map(|case| case.judge(&mut workspace, &mut noise))
        .unzip();
    conclude(judgement, NetflixAcaJudge.name(), results)
}

/// One metric to judge; nothing can go wrong from here on.
struct Case<'a> {
    pair: &'a MetricSetPair,
    policy: MetricPolicy,
    groups: Vec<String>,
}

fn cases<'a>(judgement: &Judgement<'a>) -> Result<Vec<Case<'a>>> {
    let pairs = judgement.pairs.iter();
    pairs
        .map(|pair| {
            let metric = judgement.metric_of(pair)?;
            Ok(Case {
                pair,
                policy: MetricPolicy::of(metric)?,
                groups: groups_of(metric)?,
            })
        })
        .collect()
}

/// The generator as each case finds it, had they been judged one after the other.
fn noises(cases: &[Case<'_>], seed: i64) -> Vec<Noise> {
    let mut workspace = Workspace::default();
    let mut noise = Noise::new(seed);
    cases
        .iter()
        .map(|case| {
            let found = noise.clone();
            for _ in 0..workspace.draws(&case.policy, case.values()) {
                noise.gaussian();
            }
            found
        })
        .collect()
}

impl Case<'_> {
    fn values(&self) -> Pair<&[f64]> {
        self.pair.values.as_ref().map(Vec::as_slice)
    }

    fn judge(self, workspace: &mut Workspace, noise: &mut Noise) -> (CanaryAnalysisResult, Traits) {
        let found = workspace.classify(&self.policy, self.values(), noise);
        let sides = side::of(self.pair);
        let mut doubts = doubts::of(&Subject {
            pair: self.pair,
            sides: &sides,
            policy: Some(&self.policy),
            label: found.label,
            found: Some(&found),
        });
        let mut traits = Traits::of(Some(&self.policy), &sides);
        if self.policy.doubt == Some(Doubting::Ignore) {
            doubts.clear();
        } else if let Some(again) = self.without_infinite(&sides, workspace, noise) {
            traits.fails_as = doubts::fails_without_infinite(&mut doubts, &found, &again);
        }
        let explanation = explain::metric(self.pair, &sides, &self.policy, &found, doubts);
        let result = CanaryAnalysisResult {
            name: self.pair.name.clone(),
            tags: self.pair.tags.clone(),
            id: self.pair.id.clone(),
            classification: found.label,
            classification_reason: reason(
                &self.pair.name,
                found.label,
                found.critical,
                found.rule == Rule::Identical,
            ),
            groups: self.groups,
            experiment_metadata: SideMetadata {
                stats: found.stats.experiment,
            },
            control_metadata: SideMetadata {
                stats: found.stats.control,
            },
            result_metadata: found.ratio.map(|ratio| ResultMetadata { ratio }),
            critical: found.critical,
            muted: self.policy.muted,
            explanation: Some(explanation),
        };
        (result, traits)
    }

    /// What is found where infinite values are none; it takes nothing from the noise of others.
    fn without_infinite(
        &self,
        sides: &Pair<Side<'_>>,
        workspace: &mut Workspace,
        noise: &Noise,
    ) -> Option<Classification> {
        let infinite = sides.as_ref().map(|side| side.measured.infinite);
        if infinite.control + infinite.experiment == 0 {
            return None;
        }
        let finite = sides.as_ref().map(Side::without_infinite);
        let finite = finite.as_ref().map(Vec::as_slice);
        Some(workspace.classify(&self.policy, finite, &mut noise.clone()))
    }
}

/// Kayenta's texts.
pub fn reason(name: &str, label: Label, critical: bool, is_identical: bool) -> Option<String> {
    match (label, critical) {
        (Label::Pass, _) => {
            is_identical.then(|| "The Canary and Baseline data are identical".to_owned())
        }
        (Label::Nodata | Label::NodataFailMetric, _) => Some(format!("Missing data for {name}")),
        (Label::Error, _) => Some("Metric Classification Failed".to_owned()),
        (label @ (Label::High | Label::Low), true) => Some(format!(
            "The metric {name} was classified as {label:?} (Critical)"
        )),
        (label @ (Label::High | Label::Low), false) => {
            Some(format!("{name} was classified as {label:?}"))
        }
    }
}
